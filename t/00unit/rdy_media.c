
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "respond/rdy_media.h"


static rdy_uint_t
document(const char *text)
{
    rdy_str_t   s;
    rdy_uint_t  rc;

    s.len = strlen(text);
    s.data = malloc(s.len ? s.len : 1);
    memcpy(s.data, text, s.len);
    rc = rdy_media_document(&s);
    free(s.data);

    return rc;
}


static void
documents_are_known(void **state)
{
    assert_int_equal(document("text/html"), 1);
    assert_int_equal(document("application/xhtml+xml"), 1);
    assert_int_equal(document("image/svg+xml"), 1);
}


static void
case_blanks_and_parameters_do_not_matter(void **state)
{
    assert_int_equal(document("Text/HTML"), 1);
    assert_int_equal(document(" \ttext/html\t "), 1);
    assert_int_equal(document("text/html;charset=utf-8"), 1);
    assert_int_equal(document("text/html ; charset=\"a\""), 1);
    assert_int_equal(document("IMAGE/SVG+XML; x"), 1);
    assert_int_equal(document("text/html, text/plain"), 1);
}


static void
other_types_are_not(void **state)
{
    assert_int_equal(document(""), 0);
    assert_int_equal(document("  "), 0);
    assert_int_equal(document(";text/html"), 0);
    assert_int_equal(document("text/htm"), 0);
    assert_int_equal(document("text/htmlx"), 0);
    assert_int_equal(document("text/plain"), 0);
    assert_int_equal(document("application/json"), 0);
    assert_int_equal(document("application/xhtml+xmm"), 0);
    assert_int_equal(document("x;text/html"), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(documents_are_known),
        cmocka_unit_test(case_blanks_and_parameters_do_not_matter),
        cmocka_unit_test(other_types_are_not)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
