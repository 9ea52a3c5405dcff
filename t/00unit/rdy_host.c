
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "client/rdy_host.h"


/* "HOST|PORT", or "error" */

static const char *
parts(const char *text)
{
    rdy_int_t    rc;
    rdy_str_t    value, host, port;
    static char  out[512];

    value.len = strlen(text);
    value.data = malloc(value.len ? value.len : 1);
    memcpy(value.data, text, value.len);

    host.data = NULL;
    port.data = NULL;
    rc = rdy_host_split(&value, &host, &port);

    if (rc == RDY_OK) {
        assert_in_range(port.len, 0, 5);
        sprintf(out, "%.*s|%.*s", (int) host.len, (char *) host.data,
                (int) port.len, (char *) port.data);

    } else {
        assert_int_equal(rc, RDY_ERROR);
        assert_null(host.data);
        assert_null(port.data);
        strcpy(out, "error");
    }

    free(value.data);

    return out;
}


static void
name_and_port_are_split(void **state)
{
    assert_string_equal(parts("a.example"), "a.example|");
    assert_string_equal(parts("a.example:81"), "a.example|81");
    assert_string_equal(parts("A_b-c.0:65535"), "A_b-c.0|65535");
    assert_string_equal(parts("az-AZ-09:19090"), "az-AZ-09|19090");
    assert_string_equal(parts("1.2.3.4:1"), "1.2.3.4|1");
    assert_string_equal(parts("[::1]"), "[::1]|");
    assert_string_equal(parts("[::1]:81"), "[::1]|81");
    assert_string_equal(parts("[2001:DB8::1.2.3.4]:81"),
                        "[2001:DB8::1.2.3.4]|81");
}


static void
bad_name_is_an_error(void **state)
{
    assert_string_equal(parts(""), "error");
    assert_string_equal(parts(":81"), "error");
    assert_string_equal(parts("a b"), "error");
    assert_string_equal(parts(" a"), "error");
    assert_string_equal(parts("a/b"), "error");
    assert_string_equal(parts("a,b"), "error");
    assert_string_equal(parts("a@b"), "error");
    assert_string_equal(parts("a\"b"), "error");
    assert_string_equal(parts("a{b"), "error");
    assert_string_equal(parts("a\r\nb"), "error");
    assert_string_equal(parts("\xc3\xa4"), "error");
    assert_string_equal(parts("a]"), "error");
}


static void
value_that_is_not_there_is_an_error(void **state)
{
    rdy_str_t  value, host, port;

    value.len = 0;
    value.data = NULL;
    assert_int_equal(rdy_host_split(&value, &host, &port), RDY_ERROR);
}


static void
bad_literal_is_an_error(void **state)
{
    assert_string_equal(parts("["), "error");
    assert_string_equal(parts("[]"), "error");
    assert_string_equal(parts("[::1"), "error");
    assert_string_equal(parts("[1.2.3.4]"), "error");
    assert_string_equal(parts("[::1%lo]"), "error");
    assert_string_equal(parts("[v1.x]"), "error");
    assert_string_equal(parts("[::1]a"), "error");
    assert_string_equal(parts("[::1]]"), "error");
    assert_string_equal(parts("::1"), "error");
}


static void
bad_port_is_an_error(void **state)
{
    assert_string_equal(parts("a:"), "error");
    assert_string_equal(parts("a:0"), "error");
    assert_string_equal(parts("a:080"), "error");
    assert_string_equal(parts("a:65536"), "error");
    assert_string_equal(parts("a:99999"), "error");
    assert_string_equal(parts("a:100000"), "error");
    assert_string_equal(parts("a:8x"), "error");
    assert_string_equal(parts("a:81:82"), "error");
    assert_string_equal(parts("a: 81"), "error");
    assert_string_equal(parts("[::1]:"), "error");
    assert_string_equal(parts("[::1]:x"), "error");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(name_and_port_are_split),
        cmocka_unit_test(bad_name_is_an_error),
        cmocka_unit_test(value_that_is_not_there_is_an_error),
        cmocka_unit_test(bad_literal_is_an_error),
        cmocka_unit_test(bad_port_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
