
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "respond/rdy_accept.h"


static rdy_uint_t
html(const char *text)
{
    rdy_str_t   s;
    rdy_uint_t  rc;

    s.len = strlen(text);
    s.data = malloc(s.len ? s.len : 1);
    memcpy(s.data, text, s.len);
    rc = rdy_accept_html(&s, 1);
    free(s.data);

    return rc;
}


static void
browsers_prefer_html(void **state)
{
    assert_int_equal(html("text/html,application/xhtml+xml,application/xml;"
                          "q=0.9,image/avif,image/webp,*/*;q=0.8"), 1);
    assert_int_equal(html("text/html, application/xhtml+xml, */*"), 1);
    assert_int_equal(html("text/html"), 1);
    assert_int_equal(html("TEXT/HTML;level=1"), 1);
    assert_int_equal(html("text/*"), 1);
}


static void
machines_do_not(void **state)
{
    assert_int_equal(rdy_accept_html(NULL, 0), 0);
    assert_int_equal(html(""), 0);
    assert_int_equal(html("*/*"), 0);
    assert_int_equal(html("application/json"), 0);
    assert_int_equal(html("application/json, text/plain, */*"), 0);
    assert_int_equal(html("application/problem+json"), 0);
    assert_int_equal(html("application/*"), 0);
    assert_int_equal(html("image/png"), 0);
    assert_int_equal(html("text/htmlx"), 0);
    assert_int_equal(html("text/plain"), 0);
}


static void
quality_decides(void **state)
{
    assert_int_equal(html("text/html;q=0.5, application/json"), 0);
    assert_int_equal(html("text/html, application/json;q=0.9"), 1);
    assert_int_equal(html("application/json;q=0.8,text/html;q=0.801"), 1);
    assert_int_equal(html("text/html;q=0.001, application/json;q=0"), 1);
    assert_int_equal(html("text/html;q=0"), 0);
    assert_int_equal(html("text/html;q=0, */*"), 0);
    assert_int_equal(html("text/html , application/json ; q=0.3 "), 1);
    assert_int_equal(html("text/html;Q=0.1,application/json;Q=0.2"), 0);
    assert_int_equal(html("text/html;q=1.,application/json;q=0.9"), 1);
}


static void
equal_quality_goes_to_the_closer_name(void **state)
{
    assert_int_equal(html("text/html, application/json"), 0);
    assert_int_equal(html("application/json, text/html"), 0);
    assert_int_equal(html("text/html;q=0.5, */*;q=0.5"), 1);
    assert_int_equal(html("text/*, application/*"), 0);
    assert_int_equal(html("text/*, application/json"), 0);
    assert_int_equal(html("text/*, */*"), 1);
}


static void
most_specific_range_counts(void **state)
{
    assert_int_equal(html("text/*;q=0.9, text/html;q=0.1, */*;q=0.5"), 0);
    assert_int_equal(html("text/html;q=0.1, text/*;q=0.9, */*;q=0.5"), 0);
    assert_int_equal(html("application/*;q=0.1, */*;q=0.8"), 1);
    assert_int_equal(html("application/json;q=0.1, application/problem+json, "
                          "text/html;q=0.9"), 0);
    assert_int_equal(html("text/html;q=0.2, text/html, */*;q=0.5"), 1);
}


static void
unreadable_elements_count_for_nothing(void **state)
{
    assert_int_equal(html("text/html;q=2"), 0);
    assert_int_equal(html("text/html;q=1.001"), 0);
    assert_int_equal(html("text/html;q=-1"), 0);
    assert_int_equal(html("text/html;q="), 0);
    assert_int_equal(html("text/html;q=0.1234"), 0);
    assert_int_equal(html("text/html;q=0x1"), 0);
    assert_int_equal(html("text / html"), 0);
    assert_int_equal(html(",,, ;, text/html"), 1);
    assert_int_equal(html(";;;;"), 0);
}


static void
quoted_parameters_hold_anything(void **state)
{
    assert_int_equal(html("text/html;a=\",application/json\""), 1);
    assert_int_equal(html("text/html;a=\"x;q=0\""), 1);
    assert_int_equal(html("text/html;a=\"\\\";q=0\";q=0.5"), 1);
    assert_int_equal(html("image/png;a=\"b,text/html"), 0);
    assert_int_equal(html("text/html;a=\"\\"), 1);
}


static void
lines_are_one_list(void **state)
{
    rdy_str_t  lines[] = { str("text/html;q=0.5"), str("application/json") };
    rdy_str_t  other[] = { str("*/*;q=0.1"), str(""), str("text/html") };

    assert_int_equal(rdy_accept_html(lines, 1), 1);
    assert_int_equal(rdy_accept_html(lines, 2), 0);
    assert_int_equal(rdy_accept_html(other, 3), 1);
}


static void
bytes_beyond_the_bound_are_not_read(void **state)
{
    char  text[RDY_ACCEPT_MAX_LEN + 16];

    memset(text, ',', sizeof(text));
    memcpy(text + RDY_ACCEPT_MAX_LEN - 9, "text/html", 10);
    assert_int_equal(html(text), 1);

    memset(text, ',', sizeof(text));
    memcpy(text + RDY_ACCEPT_MAX_LEN - 8, "text/html", 10);
    assert_int_equal(html(text), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(browsers_prefer_html),
        cmocka_unit_test(machines_do_not),
        cmocka_unit_test(quality_decides),
        cmocka_unit_test(equal_quality_goes_to_the_closer_name),
        cmocka_unit_test(most_specific_range_counts),
        cmocka_unit_test(unreadable_elements_count_for_nothing),
        cmocka_unit_test(quoted_parameters_hold_anything),
        cmocka_unit_test(lines_are_one_list),
        cmocka_unit_test(bytes_beyond_the_bound_are_not_read)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
