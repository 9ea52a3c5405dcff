
/*
 * Copyright (C) The readiness authors
 */


#include <stdarg.h>
#include <stdio.h>

#include "limit/rdy_members.h"


static rdy_int_t rdy_members_escape(rdy_members_t *p, u_char *c);
static void rdy_members_space(rdy_members_t *p);


rdy_int_t
rdy_members_open(rdy_members_t *p, const char *form)
{
    rdy_members_space(p);

    if (p->pos == p->end || *p->pos != '{') {
        return rdy_members_fail(p, p->pos, "no object here: %s", form);
    }

    p->pos++;

    return RDY_OK;
}


rdy_int_t
rdy_members_next(rdy_members_t *p, rdy_uint_t *n)
{
    rdy_members_space(p);

    if (p->pos < p->end && *p->pos == '}') {
        p->pos++;
        return RDY_DECLINED;
    }

    if (*n) {

        if (p->pos == p->end || *p->pos != ',') {
            return rdy_members_fail(p, p->pos, "no \",\" or \"}\" here");
        }

        p->pos++;
        rdy_members_space(p);
    }

    if (rdy_members_string(p, "write a name in quotes") != RDY_OK) {
        return RDY_ERROR;
    }

    rdy_members_space(p);

    if (p->pos == p->end || *p->pos != ':') {
        return rdy_members_fail(p, p->pos, "no \":\" after \"%.*s\"",
                                (int) p->text.len, p->text.data);
    }

    p->pos++;
    (*n)++;

    rdy_members_space(p);

    return RDY_OK;
}


rdy_int_t
rdy_members_string(rdy_members_t *p, const char *form)
{
    u_char  c;

    p->at = p->pos;
    p->text.data = p->buf;
    p->text.len = 0;

    if (p->pos == p->end || *p->pos != '"') {
        return rdy_members_fail(p, p->pos, "no string here: %s", form);
    }

    for (p->pos++; p->pos < p->end; p->pos++) {

        c = *p->pos;

        if (c == '"') {
            p->pos++;
            return RDY_OK;
        }

        if (c < 0x20 || c > 0x7e) {
            return rdy_members_fail(p, p->pos, "byte 0x%02x in a string: "
                                    "use printable ASCII", c);
        }

        if (c == '\\' && rdy_members_escape(p, &c) != RDY_OK) {
            return RDY_ERROR;
        }

        if (p->text.len == sizeof(p->buf)) {
            return rdy_members_fail(p, p->at, "longer than 255 bytes");
        }

        p->buf[p->text.len++] = c;
    }

    return rdy_members_fail(p, p->at, "no closing quote");
}


/* pos goes from the backslash to the last byte of the escape */

static rdy_int_t
rdy_members_escape(rdy_members_t *p, u_char *c)
{
    u_char         h;
    size_t         i;
    uint32_t       code;
    const u_char  *at;

    at = p->pos++;

    if (p->pos < p->end
        && (*p->pos == '"' || *p->pos == '\\' || *p->pos == '/'))
    {
        *c = *p->pos;
        return RDY_OK;
    }

    if (p->end - p->pos >= 5 && *p->pos == 'u') {
        code = 0;

        for (i = 0; i < 4; i++) {
            p->pos++;
            h = rdy_lower(*p->pos);

            if (h >= '0' && h <= '9') {
                code = code * 16 + (h - '0');

            } else if (h >= 'a' && h <= 'f') {
                code = code * 16 + (h - 'a' + 10);

            } else {
                code = 0;
                break;
            }
        }

        if (code >= 0x20 && code <= 0x7e) {
            *c = (u_char) code;
            return RDY_OK;
        }
    }

    return rdy_members_fail(p, at, "an escape that is none, or not of "
                            "printable ASCII");
}


rdy_int_t
rdy_members_digits(rdy_members_t *p, const char *form)
{
    p->at = p->pos;

    while (p->pos < p->end && *p->pos >= '0' && *p->pos <= '9') {
        p->pos++;
    }

    p->text.data = (u_char *) p->at;
    p->text.len = p->pos - p->at;

    if (p->pos == p->at || *p->at == '0'
        || (p->pos < p->end
            && (*p->pos == '.' || *p->pos == 'e' || *p->pos == 'E')))
    {
        return rdy_members_fail(p, p->at, "no whole number here: %s", form);
    }

    return RDY_OK;
}


rdy_uint_t
rdy_members_null(rdy_members_t *p)
{
    if (p->end - p->pos < 4 || memcmp(p->pos, "null", 4) != 0) {
        return 0;
    }

    p->pos += 4;

    return 1;
}


rdy_int_t
rdy_members_end(rdy_members_t *p)
{
    rdy_members_space(p);

    if (p->pos != p->end) {
        return rdy_members_fail(p, p->pos, "something stands behind the last "
                                "\"}\": remove it");
    }

    return RDY_OK;
}


static void
rdy_members_space(rdy_members_t *p)
{
    while (p->pos < p->end
           && (*p->pos == ' ' || *p->pos == '\t' || *p->pos == '\n'
               || *p->pos == '\r'))
    {
        p->pos++;
    }
}


rdy_int_t
rdy_members_fail(rdy_members_t *p, const u_char *at, const char *fmt, ...)
{
    va_list               args;
    const u_char         *c;
    rdy_members_error_t  *error;

    error = p->error;

    error->line = 1;
    error->column = 1;

    for (c = p->start; c < at; c++) {

        if (*c == '\n') {
            error->line++;
            error->column = 1;

        } else {
            error->column++;
        }
    }

    va_start(args, fmt);
    (void) vsnprintf((char *) error->text, sizeof(error->text), fmt, args);
    va_end(args);

    return RDY_ERROR;
}
