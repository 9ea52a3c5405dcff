
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_members.h"


static rdy_members_error_t   error;
static u_char               *copy;


/* the text is on the heap, so that a byte read past it is seen */

static rdy_members_t
members(const char *text)
{
    rdy_members_t  p;

    memset(&p, 0, sizeof(rdy_members_t));
    memset(&error, 0, sizeof(rdy_members_error_t));

    free(copy);
    copy = malloc(strlen(text) + (text[0] == '\0'));
    memcpy(copy, text, strlen(text));

    p.start = copy;
    p.pos = copy;
    p.end = copy + strlen(text);
    p.error = &error;

    return p;
}


#define string_is(p, s)                                                       \
    (assert_int_equal((p)->text.len, sizeof(s) - 1),                          \
     assert_memory_equal((p)->text.data, s, sizeof(s) - 1))

#define error_at(l, c)                                                        \
    (assert_int_equal(error.line, l), assert_int_equal(error.column, c),      \
     assert_true(error.text[0] != '\0'))


static void
members_come_in_order(void **state)
{
    rdy_uint_t     n;
    rdy_members_t  p;

    p = members(" { \"a\" : \"x\" ,\n\"b\":12,\"c\":null} ");
    n = 0;

    assert_int_equal(rdy_members_open(&p, "an object"), RDY_OK);

    assert_int_equal(rdy_members_next(&p, &n), RDY_OK);
    string_is(&p, "a");
    assert_int_equal(rdy_members_string(&p, "a string"), RDY_OK);
    string_is(&p, "x");

    assert_int_equal(rdy_members_next(&p, &n), RDY_OK);
    string_is(&p, "b");
    assert_int_equal(rdy_members_null(&p), 0);
    assert_int_equal(rdy_members_digits(&p, "a number"), RDY_OK);
    string_is(&p, "12");

    assert_int_equal(rdy_members_next(&p, &n), RDY_OK);
    string_is(&p, "c");
    assert_int_equal(rdy_members_null(&p), 1);

    assert_int_equal(rdy_members_next(&p, &n), RDY_DECLINED);
    assert_int_equal(n, 3);
    assert_int_equal(rdy_members_end(&p), RDY_OK);
}


static void
empty_object(void **state)
{
    rdy_uint_t     n;
    rdy_members_t  p;

    p = members("{}");
    n = 0;

    assert_int_equal(rdy_members_open(&p, "an object"), RDY_OK);
    assert_int_equal(rdy_members_next(&p, &n), RDY_DECLINED);
    assert_int_equal(rdy_members_end(&p), RDY_OK);
}


static void
escapes_are_read(void **state)
{
    rdy_members_t  p;

    p = members("\"a\\u0062\\/c\"");
    assert_int_equal(rdy_members_string(&p, "a string"), RDY_OK);
    string_is(&p, "ab/c");
}


static void
D08_what_is_no_json_is_an_error(void **state)
{
    rdy_uint_t         n;
    size_t             i;
    rdy_members_t      p;

    static const char  *strings[] = {
        "", "x", "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u00\"", "\"\\u0000\"",
        "\"\x01\"", "\"\x7f\"", "\"\xc3\xa4\"", "'a'", "1", "null"
    };

    static const char  *objects[] = {
        "", "[", "{", "{\"a\"", "{\"a\":", "{,", "{a:1}", "{\"a\" 1}"
    };

    for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        p = members(strings[i]);
        assert_int_equal(rdy_members_string(&p, "a string"), RDY_ERROR);
        assert_int_equal(error.line, 1);
        assert_true(error.column >= 1);
    }

    for (i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        p = members(objects[i]);
        n = 0;

        if (rdy_members_open(&p, "an object") == RDY_OK
            && rdy_members_next(&p, &n) == RDY_OK)
        {
            assert_int_equal(rdy_members_digits(&p, "a number"), RDY_ERROR);
        }

        assert_int_equal(error.line, 1);
    }
}


static void
numbers_are_whole_and_positive(void **state)
{
    size_t         i;
    rdy_members_t  p;

    static const char  *bad[] = {
        "0", "01", "-1", "1.5", "1e3", "+1", "x", "", "\"1\""
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        p = members(bad[i]);

        if (rdy_members_digits(&p, "a number") == RDY_OK) {
            assert_int_equal(rdy_members_end(&p), RDY_ERROR);
        }
    }

    p = members("18446744073709551616");
    assert_int_equal(rdy_members_digits(&p, "a number"), RDY_OK);
    string_is(&p, "18446744073709551616");
}


static void
errors_have_their_place(void **state)
{
    rdy_uint_t     n;
    rdy_members_t  p;

    p = members("{\n  \"a\": 1,\n    x }");
    n = 0;

    assert_int_equal(rdy_members_open(&p, "an object"), RDY_OK);
    assert_int_equal(rdy_members_next(&p, &n), RDY_OK);
    assert_int_equal(rdy_members_digits(&p, "a number"), RDY_OK);
    assert_int_equal(rdy_members_next(&p, &n), RDY_ERROR);
    error_at(3, 5);

    p = members("{} x");
    n = 0;
    assert_int_equal(rdy_members_open(&p, "an object"), RDY_OK);
    assert_int_equal(rdy_members_next(&p, &n), RDY_DECLINED);
    assert_int_equal(rdy_members_end(&p), RDY_ERROR);
    error_at(1, 4);

    p = members("ab");
    assert_int_equal(rdy_members_fail(&p, p.start + 1, "no %s", "b"),
                     RDY_ERROR);
    error_at(1, 2);
    assert_string_equal((char *) error.text, "no b");
}


static void
long_strings_are_refused(void **state)
{
    char           text[RDY_MEMBERS_TEXT + 4];
    rdy_members_t  p;

    memset(text, 'a', sizeof(text));
    text[0] = '"';
    text[RDY_MEMBERS_TEXT + 1] = '"';
    text[RDY_MEMBERS_TEXT + 2] = '\0';

    p = members(text);
    assert_int_equal(rdy_members_string(&p, "a string"), RDY_OK);
    assert_int_equal(p.text.len, RDY_MEMBERS_TEXT);

    text[RDY_MEMBERS_TEXT + 1] = 'a';
    text[RDY_MEMBERS_TEXT + 2] = '"';
    text[RDY_MEMBERS_TEXT + 3] = '\0';

    p = members(text);
    assert_int_equal(rdy_members_string(&p, "a string"), RDY_ERROR);
}


static int
done(void **state)
{
    free(copy);
    copy = NULL;

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(members_come_in_order),
        cmocka_unit_test(empty_object),
        cmocka_unit_test(escapes_are_read),
        cmocka_unit_test(D08_what_is_no_json_is_an_error),
        cmocka_unit_test(numbers_are_whole_and_positive),
        cmocka_unit_test(errors_have_their_place),
        cmocka_unit_test(long_strings_are_refused)
    };

    return cmocka_run_group_tests(tests, NULL, done);
}
