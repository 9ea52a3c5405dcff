
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "client/rdy_addr.h"

#include <arpa/inet.h>


static uint16_t  last_port;


/*
 * parses a copy of the text that ends where its memory ends; returns the
 * canonical text, "error" if there is none
 */

static const char *
canonical(const char *text)
{
    size_t       n;
    uint16_t     port;
    rdy_int_t    rc;
    rdy_str_t    s;
    rdy_addr_t   addr;
    static char  out[64];

    s.len = strlen(text);
    s.data = malloc(s.len ? s.len : 1);
    memcpy(s.data, text, s.len);

    port = 7;
    rc = rdy_addr_parse(&s, &addr, &port);
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), rc);

    free(s.data);
    last_port = port;

    if (rc != RDY_OK) {
        assert_int_equal(rc, RDY_ERROR);
        assert_int_equal(port, 7);
        return "error";
    }

    memset(out, 0, sizeof(out));
    n = rdy_addr_text(&addr, (u_char *) out);
    assert_int_equal(n, strlen(out));
    assert_in_range(n, 2, RDY_ADDR_TEXT_LEN);

    return out;
}


static void
A05_port_is_split_from_the_address(void **state)
{
    assert_string_equal(canonical("1.2.3.4"), "1.2.3.4");
    assert_int_equal(last_port, 0);

    assert_string_equal(canonical("1.2.3.4:80"), "1.2.3.4");
    assert_int_equal(last_port, 80);

    assert_string_equal(canonical("[2001:db8::1]:443"), "2001:db8::1");
    assert_int_equal(last_port, 443);

    assert_string_equal(canonical("[2001:db8::1]"), "2001:db8::1");
    assert_int_equal(last_port, 0);

    assert_string_equal(canonical("1.2.3.4:1"), "1.2.3.4");
    assert_int_equal(last_port, 1);

    assert_string_equal(canonical("1.2.3.4:65535"), "1.2.3.4");
    assert_int_equal(last_port, 65535);

    assert_string_equal(canonical("1.2.3.4:19090"), "1.2.3.4");
    assert_int_equal(last_port, 19090);
}


static void
A05_colons_without_brackets_are_the_address(void **state)
{
    assert_string_equal(canonical("2001:db8::1:80"), "2001:db8::1:80");
    assert_int_equal(last_port, 0);
}


static void
A05_bad_port_is_an_error(void **state)
{
    assert_string_equal(canonical("1.2.3.4:"), "error");
    assert_string_equal(canonical("1.2.3.4:0"), "error");
    assert_string_equal(canonical("1.2.3.4:65536"), "error");
    assert_string_equal(canonical("1.2.3.4:000080"), "error");
    assert_string_equal(canonical("1.2.3.4:8x"), "error");
    assert_string_equal(canonical("1.2.3.4:-1"), "error");
    assert_string_equal(canonical("1.2.3.4: 80"), "error");
    assert_string_equal(canonical("1.2.3.4:_x"), "error");
    assert_string_equal(canonical("[::1]:"), "error");
    assert_string_equal(canonical("[::1]:0"), "error");
    assert_string_equal(canonical("[::1]80"), "error");
    assert_string_equal(canonical("[::1]]"), "error");
    assert_string_equal(canonical("[::1]:99999"), "error");
}


static void
A06_zone_ids_are_errors(void **state)
{
    assert_string_equal(canonical("fe80::1%eth0"), "error");
    assert_string_equal(canonical("[fe80::1%25eth0]:80"), "error");
    assert_string_equal(canonical("1.2.3.4%x"), "error");
}


static void
A07_mapped_equals_v4(void **state)
{
    assert_string_equal(canonical("::ffff:10.0.0.1"), "10.0.0.1");
    assert_string_equal(canonical("::ffff:a00:1"), "10.0.0.1");
    assert_string_equal(canonical("::FFFF:0A00:0001"), "10.0.0.1");
    assert_string_equal(canonical("0:0:0:0:0:ffff:10.0.0.1"), "10.0.0.1");
    assert_string_equal(canonical("0000::0000:ffff:a00:1"), "10.0.0.1");
    assert_string_equal(canonical("[::ffff:10.0.0.1]:81"), "10.0.0.1");
    assert_int_equal(last_port, 81);
}


static void
A08_dotted_tail_is_ordinary_v6(void **state)
{
    assert_string_equal(canonical("2001:db8::1.2.3.4"), "2001:db8::102:304");
    assert_string_equal(canonical("1:2:3:4:5:6:7.8.9.10"),
                        "1:2:3:4:5:6:708:90a");
    assert_string_equal(canonical("::1.2.3.4"), "::102:304");
    assert_string_equal(canonical("::fffe:1.2.3.4"), "::fffe:102:304");
    assert_string_equal(canonical("::ffff:0:1.2.3.4"), "::ffff:0:102:304");
}


static void
A09_odd_forms_of_v4_are_errors(void **state)
{
    assert_string_equal(canonical(""), "error");
    assert_string_equal(canonical("unknown"), "error");
    assert_string_equal(canonical("_hidden"), "error");
    assert_string_equal(canonical("a"), "error");
    assert_string_equal(canonical("999.1.1.1"), "error");
    assert_string_equal(canonical("256.1.1.1"), "error");
    assert_string_equal(canonical("0x7f.1"), "error");
    assert_string_equal(canonical("0x7f.0.0.1"), "error");
    assert_string_equal(canonical("010.0.0.1"), "error");
    assert_string_equal(canonical("1.2.3.00"), "error");
    assert_string_equal(canonical("1.2.3.1111"), "error");
    assert_string_equal(canonical("1.2.3.a"), "error");
    assert_string_equal(canonical("1.2.3.4a"), "error");
    assert_string_equal(canonical("a.2.3.4"), "error");
    assert_string_equal(canonical("1.2.3"), "error");
    assert_string_equal(canonical("127.1"), "error");
    assert_string_equal(canonical("2130706433"), "error");
    assert_string_equal(canonical("1.2.3."), "error");
    assert_string_equal(canonical("1.2.3.4."), "error");
    assert_string_equal(canonical("1.2.3.4.5"), "error");
    assert_string_equal(canonical(".1.2.3.4"), "error");
    assert_string_equal(canonical("1..2.3"), "error");
    assert_string_equal(canonical(" 1.2.3.4"), "error");
    assert_string_equal(canonical("1.2.3.4 "), "error");
    assert_string_equal(canonical("1.2.3.4\t"), "error");
    assert_string_equal(canonical("\xc2\xa0" "1.2.3.4"), "error");
    assert_string_equal(canonical("[1.2.3.4]"), "error");
    assert_string_equal(canonical("1.2.3.4/32"), "error");
}


static void
A09_odd_forms_of_v6_are_errors(void **state)
{
    assert_string_equal(canonical(":"), "error");
    assert_string_equal(canonical(":::"), "error");
    assert_string_equal(canonical("[]"), "error");
    assert_string_equal(canonical("["), "error");
    assert_string_equal(canonical("]"), "error");
    assert_string_equal(canonical("[::1"), "error");
    assert_string_equal(canonical("::1]"), "error");
    assert_string_equal(canonical("[[::1]]"), "error");
    assert_string_equal(canonical("1::2::3"), "error");
    assert_string_equal(canonical("1:2:3:4:5:6:7"), "error");
    assert_string_equal(canonical("1:2:3:4:5:6:7:8:9"), "error");
    assert_string_equal(canonical("1:2:3:4:5:6:7:8:"), "error");
    assert_string_equal(canonical("1:2:3:4::5:6:7:8"), "error");
    assert_string_equal(canonical("1:2:3:4:5:6:7:8::"), "error");
    assert_string_equal(canonical("1:2:3:4:5:6:7:1.2.3.4"), "error");
    assert_string_equal(canonical("12345::"), "error");
    assert_string_equal(canonical("::12345"), "error");
    assert_string_equal(canonical("::g"), "error");
    assert_string_equal(canonical("::1.2.3"), "error");
    assert_string_equal(canonical("::01.2.3.4"), "error");
    assert_string_equal(canonical("::1.2.3.4:5"), "error");
    assert_string_equal(canonical("::.1.2.3"), "error");
    assert_string_equal(canonical("1:"), "error");
    assert_string_equal(canonical(":1:2:3:4:5:6:7"), "error");
}


static void
A09_nul_bytes_are_errors(void **state)
{
    rdy_str_t   s;
    rdy_addr_t  addr;

    s = str("1.2.3.4\0");
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), RDY_ERROR);

    s = str("::1\0");
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), RDY_ERROR);
}


static void
A09_text_that_is_not_there_is_an_error(void **state)
{
    rdy_str_t   s;
    rdy_addr_t  addr;

    s.len = 0;
    s.data = NULL;
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), RDY_ERROR);
}


static void
A10_long_text_is_not_scanned(void **state)
{
    rdy_str_t   s;
    rdy_addr_t  addr;

    /* one byte too many to be looked at: the data is not even there */

    s.data = (u_char *) "[0000:0000:0000:0000:0000:0000:255.255.255.255]:65535";
    s.len = 53;
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), RDY_OK);

    s.data = NULL;
    s.len = 54;
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), RDY_ERROR);
}


static void
address_is_untouched_on_error(void **state)
{
    rdy_str_t   s;
    rdy_addr_t  addr, before;

    memset(&addr, 0x5a, sizeof(addr));
    before = addr;

    s = str("1:2:3:4:5:6:7:x");
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), RDY_ERROR);
    assert_memory_equal(&addr, &before, sizeof(addr));

    assert_int_equal(rdy_addr_bytes((u_char *) "123", 3, &addr), RDY_ERROR);
    assert_memory_equal(&addr, &before, sizeof(addr));
}


static void
text_is_that_of_rfc5952(void **state)
{
    assert_string_equal(canonical("::"), "::");
    assert_string_equal(canonical("::1"), "::1");
    assert_string_equal(canonical("1::"), "1::");
    assert_string_equal(canonical("1:2:3:4:5:6:7:8"), "1:2:3:4:5:6:7:8");
    assert_string_equal(canonical("1::3:4:5:6:7:8"), "1:0:3:4:5:6:7:8");
    assert_string_equal(canonical("1:2:3:4:5:6:7::"), "1:2:3:4:5:6:7:0");
    assert_string_equal(canonical("::2:3:4:5:6:7:8"), "0:2:3:4:5:6:7:8");
    assert_string_equal(canonical("2001:DB8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");
    assert_string_equal(canonical("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");
    assert_string_equal(canonical("0:0:1:2:3:4:0:0"), "::1:2:3:4:0:0");
    assert_string_equal(canonical("1:2:3:4:5:6:0:0"), "1:2:3:4:5:6::");
    assert_string_equal(canonical("0:1:2:3:4:5:6:0"), "0:1:2:3:4:5:6:0");
    assert_string_equal(canonical("00ab:0c00:d000:000e::"), "ab:c00:d000:e::");
    assert_string_equal(canonical("0.0.0.0"), "0.0.0.0");
    assert_string_equal(canonical("9.10.99.100"), "9.10.99.100");
    assert_string_equal(canonical("255.255.255.255"), "255.255.255.255");
}


static void
longest_text_fits(void **state)
{
    u_char      buf[RDY_ADDR_TEXT_LEN];
    rdy_addr_t  addr;

    memset(addr.a, 0xff, 16);
    addr.family = 6;

    assert_bytes(buf, rdy_addr_text(&addr, buf),
                 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}


static void
no_address_has_no_text(void **state)
{
    u_char      buf[RDY_ADDR_TEXT_LEN];
    rdy_addr_t  addr;

    memset(&addr, 0, sizeof(addr));
    assert_int_equal(rdy_addr_text(&addr, buf), 0);
}


static void
text_agrees_with_libc(void **state)
{
    char         text[INET6_ADDRSTRLEN];
    u_char       bytes[16];
    uint32_t     seed;
    rdy_str_t    s;
    rdy_addr_t   addr, again;
    rdy_uint_t   i, j;
    u_char       buf[RDY_ADDR_TEXT_LEN];

    seed = 1;

    for (i = 0; i < 20000; i++) {

        for (j = 0; j < 16; j++) {
            seed = seed * 1103515245 + 12345;
            bytes[j] = (seed >> 28 & 3) ? 0 : (u_char) (seed >> 16);
        }

        /* libc writes the IPv4-compatible ones, ::1.2.3.4, its own way */

        bytes[0] |= 0x20;

        assert_int_equal(rdy_addr_bytes(bytes, 16, &addr), RDY_OK);
        assert_non_null(inet_ntop(AF_INET6, bytes, text, sizeof(text)));

        s.data = buf;
        s.len = rdy_addr_text(&addr, buf);
        assert_int_equal(s.len, strlen(text));
        assert_memory_equal(buf, text, s.len);

        assert_int_equal(rdy_addr_parse(&s, &again, NULL), RDY_OK);
        assert_memory_equal(&addr, &again, sizeof(addr));
    }
}


static void
A07_bytes_of_a_mapped_address_are_v4(void **state)
{
    rdy_addr_t  addr, v4;

    assert_int_equal(rdy_addr_bytes((u_char *) "\12\0\0\1", 4, &v4), RDY_OK);
    assert_int_equal(v4.family, 4);
    assert_memory_equal(v4.a, "\12\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0", 16);

    assert_int_equal(rdy_addr_bytes((u_char *)
                                    "\0\0\0\0\0\0\0\0\0\0\377\377\12\0\0\1",
                                    16, &addr),
                     RDY_OK);
    assert_memory_equal(&addr, &v4, sizeof(addr));

    assert_int_equal(rdy_addr_bytes((u_char *)
                                    "\0\0\0\0\0\0\0\0\0\0\377\376\12\0\0\1",
                                    16, &addr),
                     RDY_OK);
    assert_int_equal(addr.family, 6);
}


static const char *
masked(const char *text, rdy_uint_t v4, rdy_uint_t v6)
{
    rdy_str_t    s;
    rdy_addr_t   addr;
    static char  out[64];

    s.data = (u_char *) text;
    s.len = strlen(text);
    assert_int_equal(rdy_addr_parse(&s, &addr, NULL), RDY_OK);

    rdy_addr_mask(&addr, v4, v6);

    memset(out, 0, sizeof(out));
    (void) rdy_addr_text(&addr, (u_char *) out);

    return out;
}


static void
C04_mask_keeps_leading_bits_of_its_family(void **state)
{
    assert_string_equal(masked("2001:db8:1:2:3:4:5:6", 32, 64),
                        "2001:db8:1:2::");
    assert_string_equal(masked("2001:db8:1:2ff:3:4:5:6", 0, 56),
                        "2001:db8:1:200::");
    assert_string_equal(masked("ffff:ffff::", 0, 17), "ffff:8000::");
    assert_string_equal(masked("ffff::1", 0, 128), "ffff::1");
    assert_string_equal(masked("ffff::1", 0, 127), "ffff::");
    assert_string_equal(masked("ffff::1", 32, 0), "::");
    assert_string_equal(masked("ffff::1", 0, 1000), "ffff::1");
    assert_string_equal(masked("255.255.255.255", 32, 0), "255.255.255.255");
    assert_string_equal(masked("255.255.255.255", 25, 0), "255.255.255.128");
    assert_string_equal(masked("255.255.255.255", 0, 128), "0.0.0.0");
    assert_string_equal(masked("255.255.255.255", 33, 0), "255.255.255.255");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(A05_port_is_split_from_the_address),
        cmocka_unit_test(A05_colons_without_brackets_are_the_address),
        cmocka_unit_test(A05_bad_port_is_an_error),
        cmocka_unit_test(A06_zone_ids_are_errors),
        cmocka_unit_test(A07_mapped_equals_v4),
        cmocka_unit_test(A08_dotted_tail_is_ordinary_v6),
        cmocka_unit_test(A09_odd_forms_of_v4_are_errors),
        cmocka_unit_test(A09_odd_forms_of_v6_are_errors),
        cmocka_unit_test(A09_nul_bytes_are_errors),
        cmocka_unit_test(A09_text_that_is_not_there_is_an_error),
        cmocka_unit_test(A10_long_text_is_not_scanned),
        cmocka_unit_test(address_is_untouched_on_error),
        cmocka_unit_test(text_is_that_of_rfc5952),
        cmocka_unit_test(longest_text_fits),
        cmocka_unit_test(no_address_has_no_text),
        cmocka_unit_test(text_agrees_with_libc),
        cmocka_unit_test(A07_bytes_of_a_mapped_address_are_v4),
        cmocka_unit_test(C04_mask_keeps_leading_bits_of_its_family),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
