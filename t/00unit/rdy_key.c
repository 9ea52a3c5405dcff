
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_key.h"


/* in and out are blocks of their exact size */

static const char *
part_of(const char *data, size_t len, rdy_uint_t secret)
{
    size_t       n;
    u_char      *dst;
    rdy_str_t    s;
    static char  out[RDY_KEY_PART_MAX + 1];

    s.len = len;
    s.data = malloc(len ? len : 1);
    memcpy(s.data, data, len);
    dst = malloc(RDY_KEY_PART_MAX);

    n = rdy_key_part(dst, &s, secret);

    assert_true(n <= RDY_KEY_PART_MAX);
    memcpy(out, dst, n);
    out[n] = '\0';

    free(dst);
    free(s.data);

    return out;
}

#define part(s)    part_of((s), sizeof(s) - 1, 0)
#define secret(s)  part_of((s), sizeof(s) - 1, 1)


/* as the caller joins: a separator between every two parts */

static void
joined(char *out, const char **parts, size_t n)
{
    size_t  i;

    *out = '\0';

    for (i = 0; i < n; i++) {

        if (i) {
            out[strlen(out) + 1] = '\0';
            out[strlen(out)] = RDY_KEY_SEPARATOR;
        }

        strcat(out, part_of(parts[i], strlen(parts[i]), 0));
    }
}


static void
plain_part_stays_as_it_is(void **state)
{
    assert_string_equal(part("203.0.113.7"), "203.0.113.7");
    assert_string_equal(part("2001:db8::1"), "2001:db8::1");
    assert_string_equal(part("joe@example.com"), "joe@example.com");
    assert_string_equal(part("A_Z-az09"), "A_Z-az09");
    assert_string_equal(part("0123456789abcdef0123456789abcdef"
                             "0123456789abcdef0123456789abcdef"),
                        "0123456789abcdef0123456789abcdef"
                        "0123456789abcdef0123456789abcdef");
}


static void
C02_long_part_is_digested(void **state)
{
    assert_string_equal(part("0123456789abcdef0123456789abcdef"
                             "0123456789abcdef0123456789abcdef0"),
                        "#2a6ad82f3620d3ebe9d678c812ae1231");
}


static void
other_bytes_are_digested(void **state)
{
    assert_string_equal(part(" "), "#36a9e7f1c95b82ffb99743e0c5c4ce95");
    assert_string_equal(part("\0"), "#6e340b9cffb37a989ca544e6bb780a2c");
    assert_string_equal(part("{}"), "#44136fa355b3678a1146ad16f7e8649e");
    assert_string_equal(part("a|b"), "#0eab8a0a3380abf4c7d1fb0b43b66aaf");
}


static void
C05_only_the_plain_alphabet_is_plain(void **state)
{
    int   c;
    char  in;

    for (c = 0; c < 256; c++) {
        in = (char) c;

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
            || (c >= 'a' && c <= 'z') || (c && strchr("._:@-", c)))
        {
            assert_int_equal(part_of(&in, 1, 0)[0], c);
            assert_int_equal(strlen(part_of(&in, 1, 0)), 1);

        } else {
            assert_int_equal(part_of(&in, 1, 0)[0], '#');
            assert_int_equal(strlen(part_of(&in, 1, 0)), 33);
        }
    }
}


static void
secret_is_digested_even_if_plain(void **state)
{
    assert_string_equal(secret("abc"), "#ba7816bf8f01cfea414140de5dae2223");
}


static void
empty_part_writes_nothing(void **state)
{
    rdy_str_t  none = { 0, NULL };

    assert_string_equal(part(""), "");
    assert_string_equal(secret(""), "");
    assert_int_equal(rdy_key_part(NULL, &none, 0), 0);
    assert_int_equal(rdy_key_part(NULL, &none, 1), 0);
}


static void
C05_digest_cannot_be_written_as_a_plain_part(void **state)
{
    assert_string_not_equal(part("#ba7816bf8f01cfea414140de5dae2223"),
                            "#ba7816bf8f01cfea414140de5dae2223");
}


static void
C05_separator_in_a_part(void **state)
{
    char         a[256], b[256];
    const char  *one[] = { "a|b" }, *two[] = { "a", "b" };

    joined(a, one, 1);
    joined(b, two, 2);

    assert_string_not_equal(a, b);
    assert_string_equal(b, "a|b");
}


/* every list of up to four parts out of these, against every other one */

static void
C05_different_lists_give_different_keys(void **state)
{
    size_t              i, j, n, k, c;
    const char         *parts[4];
    static char         key[1600][256];
    static const char  *pool[] = { "", "a", "b", "ab", "|", "a|" };

    k = 0;

    for (n = 1; n <= 4; n++) {
        for (c = 0; c < (size_t[]) { 1, 6, 36, 216, 1296 }[n]; c++) {
            for (i = 0, j = c; i < n; i++, j /= 6) {
                parts[i] = pool[j % 6];
            }

            joined(key[k++], parts, n);
        }
    }

    for (i = 0; i < k; i++) {
        for (j = i + 1; j < k; j++) {
            assert_string_not_equal(key[i], key[j]);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(plain_part_stays_as_it_is),
        cmocka_unit_test(C02_long_part_is_digested),
        cmocka_unit_test(other_bytes_are_digested),
        cmocka_unit_test(C05_only_the_plain_alphabet_is_plain),
        cmocka_unit_test(secret_is_digested_even_if_plain),
        cmocka_unit_test(empty_part_writes_nothing),
        cmocka_unit_test(C05_digest_cannot_be_written_as_a_plain_part),
        cmocka_unit_test(C05_separator_in_a_part),
        cmocka_unit_test(C05_different_lists_give_different_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
