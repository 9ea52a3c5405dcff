
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "client/rdy_trace.h"


#define ID      "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT  "00f067aa0ba902b7"


/* the traceparent that is passed on, or "error" */

static const char *
passed(const char *text)
{
    rdy_int_t    rc;
    rdy_str_t    value;
    rdy_trace_t  t, before;
    static char  out[RDY_TRACE_LEN + 1];

    value.len = strlen(text);
    value.data = malloc(value.len ? value.len : 1);
    memcpy(value.data, text, value.len);

    memset(&t, 0x5a, sizeof(t));
    before = t;
    rc = rdy_trace_parse(&value, &t);
    free(value.data);

    if (rc != RDY_OK) {
        assert_int_equal(rc, RDY_ERROR);
        assert_memory_equal(&t, &before, sizeof(t));
        return "error";
    }

    assert_ptr_equal(t.trace_id.data, t.text + 3);
    assert_int_equal(t.trace_id.len, 32);
    memcpy(out, t.text, RDY_TRACE_LEN);

    return out;
}


static void
valid_traceparent_is_passed_on(void **state)
{
    assert_string_equal(passed("00-" ID "-" PARENT "-01"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("00-" ID "-" PARENT "-00"),
                        "00-" ID "-" PARENT "-00");
    assert_string_equal(passed("00-" ID "-" PARENT "-03"),
                        "00-" ID "-" PARENT "-03");
}


static void
unknown_flags_are_dropped(void **state)
{
    assert_string_equal(passed("00-" ID "-" PARENT "-ff"),
                        "00-" ID "-" PARENT "-03");
    assert_string_equal(passed("00-" ID "-" PARENT "-a9"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("00-" ID "-" PARENT "-1e"),
                        "00-" ID "-" PARENT "-02");
    assert_string_equal(passed("00-" ID "-" PARENT "-f4"),
                        "00-" ID "-" PARENT "-00");
}


static void
higher_version_is_passed_on_as_00(void **state)
{
    assert_string_equal(passed("01-" ID "-" PARENT "-01"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("cc-" ID "-" PARENT "-09-what-comes"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("fe-" ID "-" PARENT "-01-"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("01-" ID "-" PARENT "-01-x"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("10-" ID "-" PARENT "-01-x"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("f0-" ID "-" PARENT "-01"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("0f-" ID "-" PARENT "-01"),
                        "00-" ID "-" PARENT "-01");
    assert_string_equal(passed("cc-" ID "-" PARENT "-01.x"), "error");
    assert_string_equal(passed("01-" ID "-" PARENT "-010"), "error");
    assert_string_equal(passed("01-" ID "-" PARENT "-0"), "error");
}


static void
version_ff_is_an_error(void **state)
{
    assert_string_equal(passed("ff-" ID "-" PARENT "-01"), "error");
    assert_string_equal(passed("ff-" ID "-" PARENT "-01-x"), "error");
}


static void
version_00_has_exactly_55_bytes(void **state)
{
    assert_string_equal(passed(""), "error");
    assert_string_equal(passed("00"), "error");
    assert_string_equal(passed("00-" ID "-" PARENT "-0"), "error");
    assert_string_equal(passed("00-" ID "-" PARENT "-01-"), "error");
    assert_string_equal(passed("00-" ID "-" PARENT "-01-x"), "error");
    assert_string_equal(passed("00-" ID "-" PARENT "-01 "), "error");
    assert_string_equal(passed(" 00-" ID "-" PARENT "-01"), "error");
}


static void
zero_ids_are_errors(void **state)
{
    assert_string_equal(passed("00-00000000000000000000000000000000-" PARENT
                               "-01"),
                        "error");
    assert_string_equal(passed("00-" ID "-0000000000000000-01"), "error");
    assert_string_equal(passed("00-00000000000000000000000000000001-"
                               "1000000000000000-01"),
                        "00-00000000000000000000000000000001-"
                        "1000000000000000-01");
}


static void
each_byte_has_to_be_right(void **state)
{
    char    text[RDY_TRACE_LEN + 1];
    size_t  i;

    for (i = 0; i < RDY_TRACE_LEN; i++) {
        strcpy(text, "00-" ID "-" PARENT "-01");

        text[i] = 'g';
        assert_string_equal(passed(text), "error");
        text[i] = 'A';
        assert_string_equal(passed(text), "error");
        text[i] = ':';
        assert_string_equal(passed(text), "error");
        text[i] = (i == 2 || i == 35 || i == 52) ? '0' : '-';
        assert_string_equal(passed(text), "error");
    }
}


static void
new_trace_is_random_and_says_so(void **state)
{
    rdy_trace_t  t;

    rdy_trace_make(&t, (u_char *) "\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6"
                                  "\xa3\xce\x92\x9d\x0e\x0e\x47\x36"
                                  "\x00\xf0\x67\xaa\x0b\xa9\x02\xb7");
    assert_bytes(t.text, sizeof(t.text), "00-" ID "-" PARENT "-02");
    assert_bytes(t.trace_id.data, t.trace_id.len, ID);
}


static void
new_trace_is_never_zero(void **state)
{
    u_char       rnd[24];
    rdy_trace_t  t;

    memset(rnd, 0, sizeof(rnd));
    rdy_trace_make(&t, rnd);
    assert_bytes(t.text, sizeof(t.text),
                 "00-00000000000000000000000000000001-0000000000000001-02");
}


/* lines are parted by LF */

static rdy_uint_t
state_valid(const char *text)
{
    void        *mem[8];
    size_t       n, i, len;
    rdy_str_t    lines[8];
    rdy_uint_t   rc;

    for (n = 0; n < 8; /* void */) {
        len = strcspn(text, "\n");
        mem[n] = malloc(len ? len : 1);
        memcpy(mem[n], text, len);
        lines[n].data = mem[n];
        lines[n++].len = len;

        if (text[len] == '\0') {
            break;
        }

        text += len + 1;
    }

    rc = rdy_trace_state_valid(lines, n);

    for (i = 0; i < n; i++) {
        free(mem[i]);
    }

    return rc;
}


static void
tracestate_is_a_list_of_members(void **state)
{
    assert_true(state_valid("rojo=00f067aa0ba902b7"));
    assert_true(state_valid("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
    assert_true(state_valid("a=1 \t,\t b=2\nc=3"));
    assert_true(state_valid("fw529a3039@dt=FfYtz:a/b;c\"d\\~!"));
    assert_true(state_valid("0a_-*/@=1"));
    assert_true(state_valid("az09=1"));
    assert_true(state_valid("a=b c"));
    assert_false(state_valid("a=1;b=2=3"));
    assert_false(state_valid("a"));
    assert_false(state_valid("a,b=1"));
    assert_false(state_valid("=1"));
    assert_false(state_valid("a=1 b=2"));
    assert_false(state_valid("a =1"));
}


static void
tracestate_may_be_empty(void **state)
{
    assert_int_equal(rdy_trace_state_valid(NULL, 0), 1);
    assert_true(state_valid(""));
    assert_true(state_valid(" \t"));
    assert_true(state_valid(",, ,\t,"));
    assert_true(state_valid("a=1,,b=2,"));
    assert_true(state_valid("a=1\n\nb=2"));
}


static void
tracestate_keys_are_lower_case(void **state)
{
    assert_false(state_valid("A=1"));
    assert_false(state_valid("aB=1"));
    assert_false(state_valid("_a=1"));
    assert_false(state_valid("@a=1"));
    assert_false(state_valid("a.b=1"));
    assert_false(state_valid("a{=1"));
    assert_false(state_valid("a\xe4=1"));
}


static void
tracestate_keys_come_once(void **state)
{
    assert_false(state_valid("a=1,a=2"));
    assert_false(state_valid("a=1,b=1\na=1"));
    assert_true(state_valid("a=1,aa=1,b=1"));
}


static void
tracestate_values_are_printable(void **state)
{
    assert_false(state_valid("a="));
    assert_false(state_valid("a= "));
    assert_false(state_valid("a=,b=1"));
    assert_false(state_valid("a=b\tc"));
    assert_false(state_valid("a=b\x7f"));
    assert_false(state_valid("a=\xc3\xa4"));
    assert_false(state_valid("a=b=c"));
}


static void
tracestate_lengths_are_bounded(void **state)
{
    char  text[600];

    memset(text, 'a', sizeof(text));
    strcpy(text + 256, "=1");
    assert_true(state_valid(text));
    memset(text, 'a', 257);
    strcpy(text + 257, "=1");
    assert_false(state_valid(text));

    memset(text, 'a', sizeof(text));
    text[1] = '=';
    text[258] = '\0';
    assert_true(state_valid(text));
    text[258] = 'a';
    text[259] = '\0';
    assert_false(state_valid(text));
}


static void
tracestate_has_at_most_32_members(void **state)
{
    char    text[600];
    size_t  i;

    text[0] = '\0';

    for (i = 0; i < 32; i++) {
        sprintf(text + strlen(text), "%sk%d=1", i == 20 ? "\n" : ",", (int) i);
    }

    assert_true(state_valid(text));
    strcat(text, ",,");
    assert_true(state_valid(text));
    strcat(text, "x=1");
    assert_false(state_valid(text));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(valid_traceparent_is_passed_on),
        cmocka_unit_test(unknown_flags_are_dropped),
        cmocka_unit_test(higher_version_is_passed_on_as_00),
        cmocka_unit_test(version_ff_is_an_error),
        cmocka_unit_test(version_00_has_exactly_55_bytes),
        cmocka_unit_test(zero_ids_are_errors),
        cmocka_unit_test(each_byte_has_to_be_right),
        cmocka_unit_test(new_trace_is_random_and_says_so),
        cmocka_unit_test(new_trace_is_never_zero),
        cmocka_unit_test(tracestate_is_a_list_of_members),
        cmocka_unit_test(tracestate_may_be_empty),
        cmocka_unit_test(tracestate_keys_are_lower_case),
        cmocka_unit_test(tracestate_keys_come_once),
        cmocka_unit_test(tracestate_values_are_printable),
        cmocka_unit_test(tracestate_lengths_are_bounded),
        cmocka_unit_test(tracestate_has_at_most_32_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
