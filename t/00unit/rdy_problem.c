
/*
 * Copyright (C) The readiness authors
 */


#include <jansson.h>

#include "unit.h"
#include "respond/rdy_problem.h"


static const char *
written(const rdy_problem_t *problem)
{
    size_t       len;
    u_char      *p, *end;
    static char  out[4096];

    len = rdy_problem_len(problem);
    p = malloc(len);
    end = rdy_problem_write(p, problem);
    assert_true(end <= p + len);

    snprintf(out, sizeof(out), "%.*s", (int) (end - p), p);
    free(p);

    return out;
}


static void
limits_are_named(void **state)
{
    rdy_str_t      policies[] = { str("api"), str("day") };
    rdy_problem_t  problem = { 429, str("Too Many Requests"),
                               str("rate_limited"), str("0190-7"),
                               policies, 1 };

    assert_string_equal(written(&problem),
        "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\","
        "\"status\":429,\"reason\":\"rate_limited\","
        "\"request_id\":\"0190-7\",\"violated-policies\":[\"api\"]}");

    problem.npolicies = 2;

    assert_string_equal(written(&problem),
        "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\","
        "\"status\":429,\"reason\":\"rate_limited\","
        "\"request_id\":\"0190-7\",\"violated-policies\":[\"api\",\"day\"]}");
}


static void
what_is_not_known_is_left_out(void **state)
{
    rdy_problem_t  problem = { 503, str("Service Unavailable"),
                               str("unavailable"), str(""), NULL, 0 };

    assert_string_equal(written(&problem),
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
        "\"status\":503,\"reason\":\"unavailable\"}");
}


static void
every_byte_is_json(void **state)
{
    u_char         bytes[256];
    json_t        *json;
    rdy_uint_t     i;
    rdy_problem_t  problem = { 429, str("t"), str("r"), str(""), NULL, 0 };

    for (i = 0; i < 256; i++) {
        bytes[i] = (u_char) i;
    }

    problem.request_id.data = bytes + 1;
    problem.request_id.len = 255;

    json = json_loads(written(&problem), 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_object_size(json), 5);
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 429);

    /* bytes from 0x80 on have come out as characters of two */
    assert_int_equal(json_string_length(json_object_get(json, "request_id")),
                     127 + 2 * 128);
    json_decref(json);
}


static void
quotes_are_escaped(void **state)
{
    rdy_problem_t  problem = { 401, str("a\"b"), str("c\\d"), str("\n"),
                               NULL, 0 };

    assert_string_equal(written(&problem),
        "{\"type\":\"about:blank\",\"title\":\"a\\\"b\",\"status\":401,"
        "\"reason\":\"c\\\\d\",\"request_id\":\"\\u000a\"}");
}


static void
titles_are_phrases(void **state)
{
    rdy_str_t  title;

    title = rdy_problem_title(429);
    assert_bytes(title.data, title.len, "Too Many Requests");

    title = rdy_problem_title(503);
    assert_bytes(title.data, title.len, "Service Unavailable");

    title = rdy_problem_title(420);
    assert_int_equal(title.len, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(every_byte_is_json),
        cmocka_unit_test(quotes_are_escaped),
        cmocka_unit_test(titles_are_phrases)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
