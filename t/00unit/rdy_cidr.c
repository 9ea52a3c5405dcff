
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "client/rdy_cidr.h"


static uint32_t  seed = 1;


static uint32_t
any(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;

    return seed % n;
}


/* parses, and writes back as ADDRESS/BITS; '!' in front: host bits were set */

static const char *
parsed(const char *text)
{
    char        *p;
    rdy_int_t    rc;
    rdy_str_t    s;
    rdy_cidr_t   cidr;
    static char  out[64];

    s.len = strlen(text);
    s.data = malloc(s.len ? s.len : 1);
    memcpy(s.data, text, s.len);
    rc = rdy_cidr_parse(&s, &cidr);
    free(s.data);

    if (rc == RDY_ERROR) {
        return "error";
    }

    p = out;

    if (rc == RDY_DECLINED) {
        *p++ = '!';
    }

    p += rdy_addr_text(&cidr.addr, (u_char *) p);
    sprintf(p, "/%d", cidr.bits);

    return out;
}


static void
A20_cidr_is_read(void **state)
{
    assert_string_equal(parsed("10.0.0.0/8"), "10.0.0.0/8");
    assert_string_equal(parsed("0.0.0.0/0"), "0.0.0.0/0");
    assert_string_equal(parsed("1.2.3.4/32"), "1.2.3.4/32");
    assert_string_equal(parsed("2001:db8::/32"), "2001:db8::/32");
    assert_string_equal(parsed("::/0"), "::/0");
    assert_string_equal(parsed("::1/128"), "::1/128");
}


static void
text_that_is_not_there_is_an_error(void **state)
{
    rdy_str_t   s;
    rdy_cidr_t  cidr;

    s.len = 0;
    s.data = NULL;
    assert_int_equal(rdy_cidr_parse(&s, &cidr), RDY_ERROR);
}


static void
bare_address_is_a_network_of_one(void **state)
{
    assert_string_equal(parsed("1.2.3.4"), "1.2.3.4/32");
    assert_string_equal(parsed("2001:db8::1"), "2001:db8::1/128");
    assert_string_equal(parsed("::ffff:1.2.3.4"), "1.2.3.4/32");
}


static void
A20_host_bits_are_cleared_and_told(void **state)
{
    assert_string_equal(parsed("10.0.0.1/8"), "!10.0.0.0/8");
    assert_string_equal(parsed("1.2.3.5/31"), "!1.2.3.4/31");
    assert_string_equal(parsed("0.0.0.1/0"), "!0.0.0.0/0");
    assert_string_equal(parsed("2001:db8::1/64"), "!2001:db8::/64");
    assert_string_equal(parsed("::ffff:10.1.0.0/104"), "!10.0.0.0/8");
}


static void
A07_mapped_cidr_is_v4(void **state)
{
    assert_string_equal(parsed("::ffff:10.0.0.0/104"), "10.0.0.0/8");
    assert_string_equal(parsed("::ffff:a00:0/104"), "10.0.0.0/8");
    assert_string_equal(parsed("::ffff:1.2.3.4/128"), "1.2.3.4/32");
    assert_string_equal(parsed("::ffff:0:0/96"), "0.0.0.0/0");
    assert_string_equal(parsed("::ffff:0:0/95"), "error");
    assert_string_equal(parsed("::ffff:10.0.0.0/8"), "error");
}


static void
A20_malformed_cidr_is_an_error(void **state)
{
    assert_string_equal(parsed(""), "error");
    assert_string_equal(parsed("/"), "error");
    assert_string_equal(parsed("/8"), "error");
    assert_string_equal(parsed("10.0.0.0/"), "error");
    assert_string_equal(parsed("10.0.0.0/33"), "error");
    assert_string_equal(parsed("10.0.0.0/08"), "error");
    assert_string_equal(parsed("10.0.0.0/-1"), "error");
    assert_string_equal(parsed("10.0.0.0/+8"), "error");
    assert_string_equal(parsed("10.0.0.0/8 "), "error");
    assert_string_equal(parsed("10.0.0.0/1:"), "error");
    assert_string_equal(parsed("10.0.0.0/1/"), "error");
    assert_string_equal(parsed("10.0.0.0/8/8"), "error");
    assert_string_equal(parsed("10.0.0.0/4294967304"), "error");
    assert_string_equal(parsed("10.0.0.0/255.0.0.0"), "error");
    assert_string_equal(parsed("10/8"), "error");
    assert_string_equal(parsed("10.0.0.0:80/8"), "error");
    assert_string_equal(parsed("10.0.0.0:80"), "error");
    assert_string_equal(parsed("[::1]"), "error");
    assert_string_equal(parsed("[::1]/128"), "error");
    assert_string_equal(parsed("::1/129"), "error");
    assert_string_equal(parsed("::1/256"), "error");
    assert_string_equal(parsed("unix:"), "error");
    assert_string_equal(parsed("localhost"), "error");
}


/* a set of the words, asked for the address; the words must be CIDRs */

static rdy_uint_t
in_set(const char *words, const char *address)
{
    void            *mem;
    size_t           n;
    rdy_str_t        s;
    rdy_addr_t       addr;
    rdy_cidr_t       cidrs[16];
    rdy_uint_t       rc;
    rdy_cidr_set_t   set;

    for (n = 0; *words; n++) {
        s.data = (u_char *) words;
        s.len = strcspn(words, " ");
        words += s.len + (words[s.len] == ' ');
        assert_int_not_equal(rdy_cidr_parse(&s, &cidrs[n]), RDY_ERROR);
    }

    s.data = (u_char *) address;
    s.len = strlen(address);
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), RDY_OK);

    mem = malloc(rdy_cidr_set_size(n));
    rdy_cidr_set_init(&set, mem, cidrs, n);
    rc = rdy_cidr_set_match(&set, &addr);
    free(mem);

    return rc;
}


static void
A20_set_holds_both_ends_and_not_beyond(void **state)
{
    assert_true(in_set("10.0.0.0/8", "10.0.0.0"));
    assert_true(in_set("10.0.0.0/8", "10.255.255.255"));
    assert_false(in_set("10.0.0.0/8", "9.255.255.255"));
    assert_false(in_set("10.0.0.0/8", "11.0.0.0"));
    assert_true(in_set("2001:db8::/33", "2001:db8:7fff:ffff::ffff"));
    assert_false(in_set("2001:db8::/33", "2001:db8:8000::"));
    assert_true(in_set("::/65", "::7fff:ffff:ffff:ffff"));
    assert_false(in_set("::/65", "::8000:0:0:0"));
    assert_false(in_set("10.0.0.1 10.0.0.3", "10.0.0.2"));
    assert_false(in_set("::1 ::3", "::2"));
    assert_true(in_set("::1", "::1"));
    assert_false(in_set("::1", "::2"));
    assert_false(in_set("::1", "::"));
}


static void
A20_set_of_everything_is_of_one_family(void **state)
{
    assert_true(in_set("0.0.0.0/0", "0.0.0.0"));
    assert_true(in_set("0.0.0.0/0", "255.255.255.255"));
    assert_false(in_set("0.0.0.0/0", "::"));
    assert_true(in_set("::/0", "::"));
    assert_true(in_set("::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_false(in_set("::/0", "1.2.3.4"));
    assert_false(in_set("::/0", "::ffff:1.2.3.4"));
}


static void
A07_mapped_address_matches_v4_cidr(void **state)
{
    assert_true(in_set("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_true(in_set("::ffff:10.0.0.0/104", "10.1.2.3"));
}


static void
A20_overlaps_and_neighbours_are_one_range(void **state)
{
    rdy_str_t       s;
    rdy_cidr_t      cidrs[6];
    rdy_uint_t      i;
    rdy_cidr_v6_t   mem[6];
    rdy_cidr_set_t  set;

    static const char *v4[] = { "10.0.1.0/24", "10.0.0.0/24", "10.0.0.7/32",
                                "10.0.0.7/32", "10.0.3.0/24", "10.0.1.0/25" };

    static const char *v6[] = { "::1:0:0:0:0/64", "::/64", "::5", "::/128",
                                "::3:0:0:0:0/64", "::1:0:0:0:0/65" };

    assert_int_equal(rdy_cidr_set_size(6), sizeof(mem));

    for (i = 0; i < 6; i++) {
        s.data = (u_char *) v4[i];
        s.len = strlen(v4[i]);
        assert_int_equal(rdy_cidr_parse(&s, &cidrs[i]), RDY_OK);
    }

    rdy_cidr_set_init(&set, mem, cidrs, 6);
    assert_int_equal(set.nv4, 2);
    assert_int_equal(set.nv6, 0);
    assert_int_equal(set.v4[0].first, 0x0a000000);
    assert_int_equal(set.v4[0].last, 0x0a0001ff);

    for (i = 0; i < 6; i++) {
        s.data = (u_char *) v6[i];
        s.len = strlen(v6[i]);
        assert_int_equal(rdy_cidr_parse(&s, &cidrs[i]), RDY_OK);
    }

    rdy_cidr_set_init(&set, mem, cidrs, 6);
    assert_int_equal(set.nv4, 0);
    assert_int_equal(set.nv6, 2);
    assert_int_equal(set.v6[0].last.high, 1);
    assert_true(set.v6[0].last.low == UINT64_MAX);
}


static void
empty_set_holds_nothing(void **state)
{
    rdy_addr_t      addr;
    rdy_cidr_set_t  set;

    memset(&set, 0x5a, sizeof(set));
    assert_int_equal(rdy_cidr_set_size(0), 0);
    rdy_cidr_set_init(&set, NULL, NULL, 0);

    assert_int_equal(rdy_addr_bytes((u_char *) "\0\0\0\0", 4, &addr), RDY_OK);
    assert_false(rdy_cidr_set_match(&set, &addr));

    memset(&addr, 0, sizeof(addr));
    addr.family = 6;
    assert_false(rdy_cidr_set_match(&set, &addr));
}


static void
no_address_is_in_no_set(void **state)
{
    rdy_str_t       s;
    rdy_addr_t      addr;
    rdy_cidr_t      cidr[2];
    rdy_cidr_v6_t   mem[2];
    rdy_cidr_set_t  set;

    s = str("0.0.0.0/0");
    assert_int_equal(rdy_cidr_parse(&s, &cidr[0]), RDY_OK);
    s = str("::/0");
    assert_int_equal(rdy_cidr_parse(&s, &cidr[1]), RDY_OK);
    rdy_cidr_set_init(&set, mem, cidr, 2);

    memset(&addr, 0, sizeof(addr));
    assert_false(rdy_cidr_set_match(&set, &addr));
}


static void
random_cidr(rdy_cidr_t *cidr, rdy_uint_t wide)
{
    u_char      bytes[16];
    rdy_uint_t  i;

    memset(cidr, 0, sizeof(*cidr));

    for (i = 0; i < 16; i++) {
        bytes[i] = (u_char) any(256);
    }

    if (any(2)) {
        assert_int_equal(rdy_addr_bytes(bytes, 4, &cidr->addr), RDY_OK);
        cidr->bits = (uint8_t) (wide ? any(33) : 14 + any(19));

    } else {
        memcpy(bytes, "\x20\x01\x0d\xb8\0\0", 6);
        assert_int_equal(rdy_addr_bytes(bytes, 16, &cidr->addr), RDY_OK);
        cidr->bits = (uint8_t) (wide ? any(129) : 60 + any(69));
    }

    rdy_addr_mask(&cidr->addr, cidr->bits, cidr->bits);
}


/* bit by bit, one CIDR after another */

static rdy_uint_t
in_list(const rdy_cidr_t *cidrs, size_t n, const rdy_addr_t *addr)
{
    size_t      i;
    rdy_uint_t  bit;

    for (i = 0; i < n; i++) {

        if (cidrs[i].addr.family != addr->family) {
            continue;
        }

        for (bit = 0; bit < cidrs[i].bits; bit++) {

            if ((cidrs[i].addr.a[bit / 8] ^ addr->a[bit / 8])
                & 0x80 >> bit % 8)
            {
                break;
            }
        }

        if (bit == cidrs[i].bits) {
            return 1;
        }
    }

    return 0;
}


/* the address before the CIDR's first one, or after its last one */

static void
beyond(rdy_addr_t *addr, const rdy_cidr_t *cidr, rdy_uint_t after)
{
    rdy_uint_t  i, len;

    *addr = cidr->addr;
    len = (addr->family == 4) ? 4 : 16;

    for (i = cidr->bits; after && i < len * 8; i++) {
        addr->a[i / 8] |= 0x80 >> i % 8;
    }

    for (i = len; i--; /* void */) {
        addr->a[i] += after ? 1 : -1;

        if (addr->a[i] != (after ? 0 : 0xff)) {
            break;
        }
    }
}


static void
compare(const rdy_cidr_t *cidrs, size_t n, rdy_uint_t queries, size_t *found)
{
    void            *mem;
    rdy_addr_t       addr;
    rdy_cidr_t       some;
    rdy_uint_t       i, expected;
    rdy_cidr_set_t   set;

    mem = malloc(rdy_cidr_set_size(n));
    rdy_cidr_set_init(&set, mem, cidrs, n);

    found[0] = 0;
    found[1] = 0;

    for (i = 0; i < queries; i++) {

        switch (i % 4) {

        case 0:
            beyond(&addr, &cidrs[any(n)], 0);
            break;

        case 1:
            beyond(&addr, &cidrs[any(n)], 1);
            break;

        case 2:
            addr = cidrs[any(n)].addr;
            break;

        default:
            random_cidr(&some, 0);
            addr = some.addr;
        }

        expected = in_list(cidrs, n, &addr);
        found[expected]++;
        assert_int_equal(rdy_cidr_set_match(&set, &addr), expected);
    }

    free(mem);
}


static void
A20_10000_random_cidrs_agree_with_a_linear_scan(void **state)
{
    size_t       i, n, found[2];
    rdy_cidr_t  *cidrs;

    n = 10000;
    cidrs = malloc(n * sizeof(rdy_cidr_t));

    for (i = 0; i < n; i++) {

        if (i % 10 == 9) {
            cidrs[i] = cidrs[any(i)];

        } else {
            random_cidr(&cidrs[i], 0);

            if (i % 10 == 8) {
                cidrs[i].bits = (cidrs[i].addr.family == 4) ? 32 : 128;
            }
        }
    }

    compare(cidrs, n, 1600, found);

    /* the question was a real one */

    assert_in_range(found[0], 100, 1600);
    assert_in_range(found[1], 400, 1600);

    /* all of IPv4 is in now, IPv6 is as before */

    memset(&cidrs[n / 2], 0, sizeof(rdy_cidr_t));
    cidrs[n / 2].addr.family = 4;

    compare(cidrs, n, 400, found);

    free(cidrs);
}


static void
A20_small_sets_agree_with_a_linear_scan(void **state)
{
    size_t      i, n, found[2];
    rdy_uint_t  round;
    rdy_cidr_t  cidrs[8];

    for (round = 0; round < 2000; round++) {
        n = 1 + any(8);

        for (i = 0; i < n; i++) {
            random_cidr(&cidrs[i], 1);
        }

        compare(cidrs, n, 32, found);
    }
}


static void
file_is_taken_line_by_line(void **state)
{
    rdy_str_t  rest, line;

    rest = str("# balancers\n"
               "\n"
               " \t 10.0.0.0/8 \t# east\r\n"
               "::1\r\n"
               "   #\n"
               "\r\n"
               "#a#b\n"
               "1.2.3.4#x\n"
               "a b");

    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_DECLINED);
    assert_int_equal(line.len, 0);
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_DECLINED);
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_OK);
    assert_bytes(line.data, line.len, "10.0.0.0/8");
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_OK);
    assert_bytes(line.data, line.len, "::1");
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_DECLINED);
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_DECLINED);
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_DECLINED);
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_OK);
    assert_bytes(line.data, line.len, "1.2.3.4");
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_OK);
    assert_bytes(line.data, line.len, "a b");
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_ERROR);
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_ERROR);
}


static void
last_line_may_end_with_lf(void **state)
{
    rdy_str_t  rest, line;

    rest = str("::1\n");
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_OK);
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_ERROR);

    rest.len = 0;
    rest.data = NULL;
    assert_int_equal(rdy_cidr_line(&rest, &line), RDY_ERROR);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(A20_cidr_is_read),
        cmocka_unit_test(text_that_is_not_there_is_an_error),
        cmocka_unit_test(bare_address_is_a_network_of_one),
        cmocka_unit_test(A20_host_bits_are_cleared_and_told),
        cmocka_unit_test(A07_mapped_cidr_is_v4),
        cmocka_unit_test(A20_malformed_cidr_is_an_error),
        cmocka_unit_test(A20_set_holds_both_ends_and_not_beyond),
        cmocka_unit_test(A20_set_of_everything_is_of_one_family),
        cmocka_unit_test(A07_mapped_address_matches_v4_cidr),
        cmocka_unit_test(A20_overlaps_and_neighbours_are_one_range),
        cmocka_unit_test(empty_set_holds_nothing),
        cmocka_unit_test(no_address_is_in_no_set),
        cmocka_unit_test(A20_10000_random_cidrs_agree_with_a_linear_scan),
        cmocka_unit_test(A20_small_sets_agree_with_a_linear_scan),
        cmocka_unit_test(file_is_taken_line_by_line),
        cmocka_unit_test(last_line_may_end_with_lf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
