
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "observe/rdy_json.h"

#include <jansson.h>


/*
 * the string content as written, NUL-terminated, of a copy of the input that
 * ends where its memory ends, in a block of the promised size
 */

static const char *
written_max(const void *s, size_t len, size_t max)
{
    u_char       *in, *out, *p;
    static char   text[8192];

    in = malloc(len ? len : 1);
    out = malloc(RDY_JSON_STRING_LEN(max));
    memcpy(in, s, len);

    p = rdy_json_string(out, in, len, max);

    assert_in_range(p - out, 0, RDY_JSON_STRING_LEN(max));
    assert_in_range(p - out, 0, sizeof(text) - 1);

    memcpy(text, out, p - out);
    text[p - out] = '\0';

    free(in);
    free(out);

    return text;
}


static const char *
written(const void *s, size_t len)
{
    return written_max(s, len, RDY_JSON_ESCAPED_LEN * len);
}


#define json(s)  written((s), sizeof(s) - 1)
#define cut(s, max)  written_max((s), sizeof(s) - 1, (max))


/* what a parser makes of the content; *len is its length */

static const char *
parsed(const char *content, size_t *len)
{
    size_t        n;
    json_t       *j;
    static char   doc[8192], text[8192];

    n = (size_t) snprintf(doc, sizeof(doc), "{\"a\":\"%s\"}", content);
    assert_in_range(n, 8, sizeof(doc) - 1);

    j = json_loads(doc, JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL, NULL);
    assert_non_null(j);
    assert_int_equal(json_object_size(j), 1);

    *len = json_string_length(json_object_get(j, "a"));
    memcpy(text, json_string_value(json_object_get(j, "a")), *len);
    text[*len] = '\0';

    json_decref(j);

    return text;
}


static void
round_trip(const u_char *s, size_t len)
{
    size_t       n;
    const char  *p;

    p = parsed(written(s, len), &n);

    assert_int_equal(n, len);
    assert_memory_equal(p, s, len);
}


static size_t
utf8(u_char *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = (u_char) c;
        return 1;
    }

    if (c < 0x800) {
        p[0] = (u_char) (0xc0 | c >> 6);
        p[1] = (u_char) (0x80 | (c & 0x3f));
        return 2;
    }

    if (c < 0x10000) {
        p[0] = (u_char) (0xe0 | c >> 12);
        p[1] = (u_char) (0x80 | (c >> 6 & 0x3f));
        p[2] = (u_char) (0x80 | (c & 0x3f));
        return 3;
    }

    p[0] = (u_char) (0xf0 | c >> 18);
    p[1] = (u_char) (0x80 | (c >> 12 & 0x3f));
    p[2] = (u_char) (0x80 | (c >> 6 & 0x3f));
    p[3] = (u_char) (0x80 | (c & 0x3f));

    return 4;
}


static void
clean_text_is_copied(void **state)
{
    assert_string_equal(json(""), "");
    assert_string_equal(json("a"), "a");
    assert_string_equal(json("/api/v1/items"), "/api/v1/items");
    assert_string_equal(json("Mozilla/5.0 (X11; Linux x86_64) [x] ~!'"),
                        "Mozilla/5.0 (X11; Linux x86_64) [x] ~!'");
}


static void
quotes_and_controls_are_escaped(void **state)
{
    assert_string_equal(json("\"\\"), "\\\"\\\\");
    assert_string_equal(json("\b\f\n\r\t"), "\\b\\f\\n\\r\\t");
    assert_string_equal(json("\0\1\37"), "\\u0000\\u0001\\u001f");
    assert_string_equal(json("a/b"), "a/b");
}


static void
B04_each_byte_alone_is_one_valid_string(void **state)
{
    size_t       n;
    u_char       c;
    unsigned     i;
    const char  *p;

    for (i = 0; i < 256; i++) {
        c = (u_char) i;

        p = parsed(written(&c, 1), &n);

        if (i < 0x80) {
            assert_int_equal(n, 1);
            assert_int_equal((u_char) p[0], i);

        } else {
            assert_bytes(p, n, "\xef\xbf\xbd");
        }
    }
}


static void
B04_each_pair_of_bytes_is_one_valid_string(void **state)
{
    size_t       n;
    u_char       s[2], want[7], *w;
    unsigned     i, k;
    const char  *p;

    for (i = 0; i < 256; i++) {
        for (k = 0; k < 256; k++) {
            s[0] = (u_char) i;
            s[1] = (u_char) k;
            w = want;

            /* one sequence, the beginning of one, or each byte for itself */

            if (i >= 0xc2 && i <= 0xdf && k >= 0x80 && k <= 0xbf) {
                *w++ = s[0];
                *w++ = s[1];

            } else if ((i == 0xe0 && k >= 0xa0 && k <= 0xbf)
                       || (i == 0xed && k >= 0x80 && k <= 0x9f)
                       || (i >= 0xe1 && i <= 0xef && i != 0xed
                           && k >= 0x80 && k <= 0xbf)
                       || (i == 0xf0 && k >= 0x90 && k <= 0xbf)
                       || (i >= 0xf1 && i <= 0xf3 && k >= 0x80 && k <= 0xbf)
                       || (i == 0xf4 && k >= 0x80 && k <= 0x8f))
            {
                w += utf8(w, 0xfffd);

            } else {
                w += utf8(w, i < 0x80 ? i : 0xfffd);
                w += utf8(w, k < 0x80 ? k : 0xfffd);
            }

            p = parsed(written(s, 2), &n);

            assert_int_equal(n, w - want);
            assert_memory_equal(p, want, n);
        }
    }
}


static void
B04_each_byte_at_each_place_of_a_word_is_found(void **state)
{
    size_t    at;
    u_char    s[24], c;
    unsigned  i;

    for (i = 0; i < 0x80; i++) {
        c = (u_char) i;

        for (at = 0; at < sizeof(s); at++) {
            memset(s, 'x', sizeof(s));
            s[at] = c;
            round_trip(s, sizeof(s));

            memset(s, c, sizeof(s));
            s[at] = '\n';
            round_trip(s, sizeof(s));
        }
    }
}


static void
B04_every_character_comes_back(void **state)
{
    size_t    n;
    u_char    s[4];
    uint32_t  c;

    for (c = 0; c <= 0x10ffff; c++) {

        if (c >= 0xd800 && c <= 0xdfff) {
            continue;
        }

        /* beyond the first planes, one in a few is enough */

        if (c > 0x3000 && c % 61 && c < 0x10fff0) {
            continue;
        }

        n = utf8(s, c);
        round_trip(s, n);
    }
}


static void
B05_escape_sequences_are_escaped(void **state)
{
    assert_string_equal(json("\33[2J\33]0;x\7"),
                        "\\u001b[2J\\u001b]0;x\\u0007");
    assert_string_equal(json("a\x7f""b"), "a\\u007fb");
    assert_string_equal(json("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0"),
                        "\\u0080\\u009b\\u009f\xc2\xa0");
}


static void
B05_line_separators_are_escaped(void **state)
{
    assert_string_equal(json("\xe2\x80\xa8\xe2\x80\xa9"), "\\u2028\\u2029");
    assert_string_equal(json("\xe2\x80\xa7"), "\xe2\x80\xa7");
}


static void
B05_direction_controls_are_escaped(void **state)
{
    assert_string_equal(json("\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac"
                             "\xe2\x80\xad\xe2\x80\xae\xe2\x80\xaf"),
                        "\\u202a\\u202b\\u202c\\u202d\\u202e\xe2\x80\xaf");
    assert_string_equal(json("\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa7"
                             "\xe2\x81\xa8\xe2\x81\xa9\xe2\x81\xaa"),
                        "\xe2\x81\xa5\\u2066\\u2067\\u2068\\u2069"
                        "\xe2\x81\xaa");
    assert_string_equal(json("\xd8\x9c\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f"),
                        "\\u061c\xe2\x80\x8d\\u200e\\u200f");
}


#define BAD  "\xef\xbf\xbd"

static void
B05_what_is_not_utf8_is_replaced(void **state)
{
    /* overlong */

    assert_string_equal(json("\xc0\x80"), BAD BAD);
    assert_string_equal(json("\xc1\xbf"), BAD BAD);
    assert_string_equal(json("\xe0\x80\xaf"), BAD BAD BAD);
    assert_string_equal(json("\xf0\x80\x80\xa2"), BAD BAD BAD BAD);

    /* surrogates, alone and in pairs */

    assert_string_equal(json("\xed\xa0\x80"), BAD BAD BAD);
    assert_string_equal(json("\xed\xa0\xbd\xed\xb8\x80"),
                        BAD BAD BAD BAD BAD BAD);

    /* beyond U+10FFFF */

    assert_string_equal(json("\xf4\x90\x80\x80"), BAD BAD BAD BAD);
    assert_string_equal(json("\xf5\x80\x80\x80"), BAD BAD BAD BAD);
    assert_string_equal(json("\xfe\xff"), BAD BAD);
}


static void
B05_one_replacement_for_each_maximal_subpart(void **state)
{
    /* Unicode 15, table 3-8 */

    assert_string_equal(json("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"),
                        BAD BAD BAD BAD "A");

    assert_string_equal(json("\xe2\x82"), BAD);
    assert_string_equal(json("\xf0\x9f\x98"), BAD);
    assert_string_equal(json("\xf0\x9f\x98\"x"), BAD "\\\"x");
    assert_string_equal(json("\x80\xbf"), BAD BAD);
    assert_string_equal(json("\xc3\xc3\xa9"), BAD "\xc3\xa9");
    assert_string_equal(json(BAD), BAD);
}


static void
B05_escaped_text_of_a_surrogate_stays_text(void **state)
{
    assert_string_equal(json("\\ud800"), "\\\\ud800");
    round_trip((u_char *) "\\ud800", 6);
}


static void
B06_what_fits_is_not_cut(void **state)
{
    assert_string_equal(cut("", 0), "");
    assert_string_equal(cut("abc", 3), "abc");
    assert_string_equal(cut("0123456789abcdef", 16), "0123456789abcdef");
    assert_string_equal(cut("\"\"", 4), "\\\"\\\"");
    assert_string_equal(cut("\33", 6), "\\u001b");
    assert_string_equal(cut("\xf0\x9f\x98\x80", 4), "\xf0\x9f\x98\x80");
    assert_string_equal(cut("\xff", 3), BAD);
}


#define CUT  "\xe2\x80\xa6"

static void
B06_cut_on_a_character_border(void **state)
{
    assert_string_equal(cut("a", 0), CUT);
    assert_string_equal(cut("abcd", 3), "abc" CUT);
    assert_string_equal(cut("0123456789abcdefg", 16), "0123456789abcdef" CUT);
    assert_string_equal(cut("a\"", 2), "a" CUT);
    assert_string_equal(cut("\33", 5), CUT);
    assert_string_equal(cut("a\xe2\x82\xac", 3), "a" CUT);
    assert_string_equal(cut("a\xe2\x82\xac", 4), "a\xe2\x82\xac");
    assert_string_equal(cut("\xf0\x9f\x98\x80", 3), CUT);
    assert_string_equal(cut("ab\xff", 4), "ab" CUT);
    assert_string_equal(cut("\xe2\x80\xaex", 6), "\\u202e" CUT);
}


static void
B06_64_kilobytes_stay_in_bounds(void **state)
{
    size_t       i, n;
    u_char      *s;
    const char  *p;

    static const char *const  units[] = {
        "a", "\"", "\33", "\xff", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "\xe2\x80\xae", "a\xe2\x82"
    };

    s = malloc(65536);

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {

        for (n = 0; n < 65536; n++) {
            s[n] = (u_char) units[i][n % strlen(units[i])];
        }

        p = written_max(s, 65536, 512);
        assert_in_range(strlen(p), 512 - 5 + 3, 512 + 3);

        p = parsed(p, &n);
        assert_string_equal(p + n - 3, CUT);
    }

    free(s);
}


static void
B07_a_key_in_a_value_makes_no_key(void **state)
{
    static const char  evil[] = "\",\"readiness.decision\":\"allow";

    assert_string_equal(json(evil),
                        "\\\",\\\"readiness.decision\\\":\\\"allow");
    round_trip((const u_char *) evil, sizeof(evil) - 1);
}


static const char *
number(uint64_t n)
{
    u_char       *p, *out;
    static char   text[RDY_JSON_NUMBER_LEN + 1];

    out = malloc(RDY_JSON_NUMBER_LEN);
    p = rdy_json_number(out, n);

    assert_in_range(p - out, 1, RDY_JSON_NUMBER_LEN);

    memcpy(text, out, p - out);
    text[p - out] = '\0';

    free(out);

    return text;
}


static void
numbers_are_decimal(void **state)
{
    assert_string_equal(number(0), "0");
    assert_string_equal(number(9), "9");
    assert_string_equal(number(10), "10");
    assert_string_equal(number(429), "429");
    assert_string_equal(number(1000000000), "1000000000");
}


static void
numbers_that_doubles_round_are_strings(void **state)
{
    assert_string_equal(number(UINT64_C(9007199254740992)),
                        "9007199254740992");
    assert_string_equal(number(UINT64_C(9007199254740993)),
                        "\"9007199254740993\"");
    assert_string_equal(number(UINT64_MAX), "\"18446744073709551615\"");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(clean_text_is_copied),
        cmocka_unit_test(quotes_and_controls_are_escaped),
        cmocka_unit_test(B04_each_byte_alone_is_one_valid_string),
        cmocka_unit_test(B04_each_pair_of_bytes_is_one_valid_string),
        cmocka_unit_test(B04_each_byte_at_each_place_of_a_word_is_found),
        cmocka_unit_test(B04_every_character_comes_back),
        cmocka_unit_test(B05_escape_sequences_are_escaped),
        cmocka_unit_test(B05_line_separators_are_escaped),
        cmocka_unit_test(B05_direction_controls_are_escaped),
        cmocka_unit_test(B05_what_is_not_utf8_is_replaced),
        cmocka_unit_test(B05_one_replacement_for_each_maximal_subpart),
        cmocka_unit_test(B05_escaped_text_of_a_surrogate_stays_text),
        cmocka_unit_test(B06_what_fits_is_not_cut),
        cmocka_unit_test(B06_cut_on_a_character_border),
        cmocka_unit_test(B06_64_kilobytes_stay_in_bounds),
        cmocka_unit_test(B07_a_key_in_a_value_makes_no_key),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(numbers_that_doubles_round_are_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
