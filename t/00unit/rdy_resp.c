
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "redis/rdy_resp.h"


static const rdy_str_t  none = { 0, NULL };


/* what rdy_resp_text() shows of text, in a block of its exact size */

static const char *
shown(size_t size, rdy_str_t text, rdy_str_t secret)
{
    size_t        n;
    u_char       *out;
    static char   buf[256];

    out = malloc(size ? size : 1);
    n = rdy_resp_text(out, size, &text, &secret);
    assert_true(n <= size);

    memcpy(buf, out, n);
    buf[n] = '\0';
    free(out);

    return buf;
}


static rdy_resp_error_e
means(rdy_str_t text)
{
    return rdy_resp_error(&text);
}


static void
a_command_is_an_array_of_bulk_strings(void **state)
{
    u_char  buf[128], *p;

    p = rdy_resp_command(buf, 3);
    p = rdy_resp_arg(p, (u_char *) "SET", 3);
    p = rdy_resp_arg(p, (u_char *) "a\r\n\0b", 5);
    p = rdy_resp_number(p, 120);

    assert_bytes(buf, (size_t) (p - buf),
                 "*3\r\n$3\r\nSET\r\n$5\r\na\r\n\0b\r\n$3\r\n120\r\n");
}


static void
an_empty_argument_needs_no_bytes(void **state)
{
    u_char  buf[16], *p;

    p = rdy_resp_arg(buf, NULL, 0);

    assert_bytes(buf, (size_t) (p - buf), "$0\r\n\r\n");
}


static void
numbers_of_every_length(void **state)
{
    u_char  buf[64], *p;

    p = rdy_resp_number(buf, 0);
    assert_bytes(buf, (size_t) (p - buf), "$1\r\n0\r\n");

    p = rdy_resp_number(buf, 9);
    assert_bytes(buf, (size_t) (p - buf), "$1\r\n9\r\n");

    p = rdy_resp_number(buf, 10);
    assert_bytes(buf, (size_t) (p - buf), "$2\r\n10\r\n");

    p = rdy_resp_number(buf, UINT64_MAX);
    assert_bytes(buf, (size_t) (p - buf),
                 "$20\r\n18446744073709551615\r\n");
}


static void
nothing_is_longer_than_promised(void **state)
{
    size_t   len, n;
    u_char  *buf, *data;

    for (len = 0; len < 70000; len = len * 3 + 1) {
        data = malloc(len ? len : 1);
        memset(data, 'x', len);

        buf = malloc(RDY_RESP_ARG_LEN(len));
        n = rdy_resp_arg(buf, data, len) - buf;

        assert_true(n <= RDY_RESP_ARG_LEN(len));
        assert_memory_equal(buf + n - 2, "\r\n", 2);

        free(buf);
        free(data);
    }

    buf = malloc(RDY_RESP_HEAD_LEN);
    n = rdy_resp_command(buf, SIZE_MAX) - buf;
    assert_int_equal(n, RDY_RESP_HEAD_LEN);
    free(buf);

    buf = malloc(RDY_RESP_ARG_LEN(20));
    (void) rdy_resp_number(buf, UINT64_MAX);
    free(buf);
}


static void
an_unknown_script_is_sent_again(void **state)
{
    assert_int_equal(means(str("NOSCRIPT No matching script. Please use "
                               "EVAL.")),
                     RDY_RESP_NOSCRIPT);
    assert_int_equal(means(str("NOSCRIPT")), RDY_RESP_NOSCRIPT);
}


static void
what_will_not_get_better_closes(void **state)
{
    assert_int_equal(means(str("READONLY You can't write against a read only "
                               "replica.")),
                     RDY_RESP_CLOSE);
    assert_int_equal(means(str("NOAUTH Authentication required.")),
                     RDY_RESP_CLOSE);
    assert_int_equal(means(str("WRONGPASS invalid username-password pair")),
                     RDY_RESP_CLOSE);
    assert_int_equal(means(str("NOPERM this user has no permissions")),
                     RDY_RESP_CLOSE);
    assert_int_equal(means(str("DENIED Redis is running in protected mode")),
                     RDY_RESP_CLOSE);
    assert_int_equal(means(str("ERR max number of clients reached")),
                     RDY_RESP_CLOSE);
}


static void
the_rest_keeps_the_connection(void **state)
{
    size_t            i;
    static rdy_str_t  text[] = {
        rdy_string("LOADING Redis is loading the dataset in memory"),
        rdy_string("BUSY Redis is busy running a script."),
        rdy_string("OOM command not allowed when used memory > 'maxmemory'."),
        rdy_string("MISCONF Redis is configured to save RDB snapshots"),
        rdy_string("MASTERDOWN Link with MASTER is down"),
        rdy_string("CLUSTERDOWN The cluster is down"),
        rdy_string("TRYAGAIN Multiple keys request during rehashing"),
        rdy_string("MOVED 3999 127.0.0.1:6381"),
        rdy_string("WRONGTYPE Operation against a key"),
        rdy_string("EXECABORT Transaction discarded"),
        rdy_string("ERR unknown command"),
        rdy_string("ERR max number of client"),
        rdy_string("NOSCRIPTS"),
        rdy_string("noauth"),
        rdy_string(" NOAUTH"),
        rdy_string("NOAUT"),
        rdy_string("")
    };

    for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        assert_int_equal(rdy_resp_error(&text[i]), RDY_RESP_KEEP);
    }

    assert_int_equal(rdy_resp_error(&none), RDY_RESP_KEEP);
}


static void
an_error_within_a_script_is_looked_for(void **state)
{
    rdy_str_t    text;

#define script(s)  str("ERR Error running script (call to f_0a1): "           \
                       "@user_script:12: @user_script: 12: " s)

    assert_int_equal(means(script("-READONLY You can't write against a "
                                  "read only replica.")), RDY_RESP_CLOSE);
    assert_int_equal(means(script("-NOPERM no")), RDY_RESP_CLOSE);
    assert_int_equal(means(script("-OOM command not allowed")),
                     RDY_RESP_KEEP);
    assert_int_equal(means(script("-READONLYS")), RDY_RESP_KEEP);
    assert_int_equal(means(script("READONLY no")), RDY_RESP_KEEP);
    assert_int_equal(means(script("-")), RDY_RESP_KEEP);
    assert_int_equal(means(str("ERR Error running scripts")), RDY_RESP_KEEP);
    assert_int_equal(means(str("ERR something: -READONLY no")),
                     RDY_RESP_KEEP);

    text = script("-OOM command not allowed");
    assert_int_equal(rdy_resp_alive(&text), 0);

    text = script("attempt to call a nil value");
    assert_int_equal(rdy_resp_alive(&text), 1);
}


static void
text_is_shown_as_printable_ascii(void **state)
{
    assert_string_equal(shown(64, str("ERR a\tb\033[1m\377\r\n\0~ "), none),
                        "ERR a?b?[1m????~ ");
    assert_string_equal(shown(7, str("ERR no such thing"), none), "ERR no ");
    assert_string_equal(shown(0, str("ERR"), none), "");
    assert_string_equal(shown(64, none, none), "");
}


static void
quoted_arguments_are_not_shown(void **state)
{
    assert_string_equal(shown(64, str("ERR unknown command 'AUTH', with args "
                                      "beginning with: 'a' 'hunter2' "),
                              none),
                        "ERR unknown command 'AUTH'");
}


static void
a_secret_is_not_shown_wherever_it_stands(void **state)
{
    assert_string_equal(shown(64, str("ERR what is hunter2?"),
                              str("hunter2")),
                        "ERR what is ");
    assert_string_equal(shown(64, str("hunter2"), str("hunter2")), "");
    assert_string_equal(shown(64, str("ERR hunter"), str("hunter2")),
                        "ERR hunter");

    /* not even the part of it that the room would be enough for */

    assert_string_equal(shown(8, str("ERR hunter2"), str("hunter2")), "ERR ");
}


static void
errors_of_a_script_show_that_redis_is_alive(void **state)
{
    assert_true(rdy_resp_alive(&str("ERR Wrong number of args calling Redis "
                                    "command from script")));
    assert_true(rdy_resp_alive(&str("NOSCRIPT No matching script.")));

    assert_false(rdy_resp_alive(&str("LOADING Redis is loading the dataset")));
    assert_false(rdy_resp_alive(&str("BUSY Redis is busy running a script")));
    assert_false(rdy_resp_alive(&str("OOM command not allowed")));
    assert_false(rdy_resp_alive(&str("NOPERM this user has no permissions")));
    assert_false(rdy_resp_alive(&str("ERR max number of clients reached")));
    assert_false(rdy_resp_alive(&str("ERRATIC ")));
    assert_false(rdy_resp_alive(&str("ERR")));
    assert_false(rdy_resp_alive(&none));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(errors_of_a_script_show_that_redis_is_alive),
        cmocka_unit_test(a_command_is_an_array_of_bulk_strings),
        cmocka_unit_test(an_empty_argument_needs_no_bytes),
        cmocka_unit_test(numbers_of_every_length),
        cmocka_unit_test(nothing_is_longer_than_promised),
        cmocka_unit_test(an_unknown_script_is_sent_again),
        cmocka_unit_test(what_will_not_get_better_closes),
        cmocka_unit_test(the_rest_keeps_the_connection),
        cmocka_unit_test(an_error_within_a_script_is_looked_for),
        cmocka_unit_test(text_is_shown_as_printable_ascii),
        cmocka_unit_test(quoted_arguments_are_not_shown),
        cmocka_unit_test(a_secret_is_not_shown_wherever_it_stands)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
