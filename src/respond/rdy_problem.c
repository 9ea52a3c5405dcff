
/*
 * Copyright (C) The readiness authors
 */


#include "respond/rdy_problem.h"


#define RDY_PROBLEM_ESCAPED  (sizeof("\\u0000") - 1)

#define rdy_problem_copy(p, s)                                                \
    ((u_char *) memcpy(p, s, sizeof(s) - 1) + sizeof(s) - 1)


typedef struct {
    rdy_uint_t  status;
    rdy_str_t   title;
} rdy_problem_title_t;


static u_char *rdy_problem_string(u_char *p, const rdy_str_t *s);


static const rdy_problem_title_t  rdy_problem_titles[] = {
    { 400, rdy_string("Bad Request") },
    { 401, rdy_string("Unauthorized") },
    { 402, rdy_string("Payment Required") },
    { 403, rdy_string("Forbidden") },
    { 404, rdy_string("Not Found") },
    { 409, rdy_string("Conflict") },
    { 413, rdy_string("Content Too Large") },
    { 429, rdy_string("Too Many Requests") },
    { 500, rdy_string("Internal Server Error") },
    { 502, rdy_string("Bad Gateway") },
    { 503, rdy_string("Service Unavailable") },
    { 504, rdy_string("Gateway Timeout") }
};


rdy_str_t
rdy_problem_title(rdy_uint_t status)
{
    rdy_str_t   none;
    rdy_uint_t  i;

    for (i = 0;
         i < sizeof(rdy_problem_titles) / sizeof(rdy_problem_titles[0]);
         i++)
    {
        if (rdy_problem_titles[i].status == status) {
            return rdy_problem_titles[i].title;
        }
    }

    none.len = 0;
    none.data = NULL;

    return none;
}


size_t
rdy_problem_len(const rdy_problem_t *problem)
{
    size_t  i, len, text;

    len = sizeof("{\"type\":\"about:blank\",\"title\":\"\",\"status\":999,"
                 "\"reason\":\"\",\"request_id\":\"\","
                 "\"violated-policies\":[]}") - 1;

    text = problem->title.len + problem->reason.len + problem->request_id.len;

    for (i = 0; i < problem->npolicies; i++) {
        len += sizeof("\"\",") - 1;
        text += problem->policies[i].len;
    }

    return len + text * RDY_PROBLEM_ESCAPED;
}


u_char *
rdy_problem_write(u_char *p, const rdy_problem_t *problem)
{
    size_t  i;

    p = rdy_problem_copy(p, "{\"type\":\"about:blank\",\"title\":\"");
    p = rdy_problem_string(p, &problem->title);
    p = rdy_problem_copy(p, "\",\"status\":");

    *p++ = (u_char) ('0' + problem->status / 100 % 10);
    *p++ = (u_char) ('0' + problem->status / 10 % 10);
    *p++ = (u_char) ('0' + problem->status % 10);

    p = rdy_problem_copy(p, ",\"reason\":\"");
    p = rdy_problem_string(p, &problem->reason);
    *p++ = '"';

    if (problem->request_id.len) {
        p = rdy_problem_copy(p, ",\"request_id\":\"");
        p = rdy_problem_string(p, &problem->request_id);
        *p++ = '"';
    }

    if (problem->npolicies) {
        p = rdy_problem_copy(p, ",\"violated-policies\":[");

        for (i = 0; i < problem->npolicies; i++) {

            if (i) {
                *p++ = ',';
            }

            *p++ = '"';
            p = rdy_problem_string(p, &problem->policies[i]);
            *p++ = '"';
        }

        *p++ = ']';
    }

    *p++ = '}';

    return p;
}


static u_char *
rdy_problem_string(u_char *p, const rdy_str_t *s)
{
    u_char               c;
    size_t               i;
    static const u_char  hex[] = "0123456789abcdef";

    for (i = 0; i < s->len; i++) {
        c = s->data[i];

        if (c == '"' || c == '\\') {
            *p++ = '\\';
            *p++ = c;

        } else if (c < 0x20 || c >= 0x7f) {
            p = rdy_problem_copy(p, "\\u00");
            *p++ = hex[c >> 4];
            *p++ = hex[c & 0xf];

        } else {
            *p++ = c;
        }
    }

    return p;
}
