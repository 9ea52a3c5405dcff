
/*
 * Copyright (C) The readiness authors
 */


#include "respond/rdy_cookie.h"


#define rdy_cookie_blank(c)  ((c) == ' ' || (c) == '\t')

#define rdy_cookie_copy(p, s)                                                 \
    ((u_char *) memcpy(p, s, sizeof(s) - 1) + sizeof(s) - 1)


typedef struct {
    rdy_str_t   name;
    rdy_uint_t  flag;
} rdy_cookie_attribute_t;


static u_char *rdy_cookie_part(u_char *p, u_char *end);
static u_char *rdy_cookie_quoted(u_char *p, u_char *end);
static rdy_str_t rdy_cookie_name(u_char *p, u_char *end);
static rdy_uint_t rdy_cookie_flag(const rdy_str_t *name);


static const rdy_cookie_attribute_t  rdy_cookie_attributes[] = {
    { rdy_string("secure"), RDY_COOKIE_SECURE },
    { rdy_string("httponly"), RDY_COOKIE_HTTPONLY },
    { rdy_string("samesite"), RDY_COOKIE_SAMESITE }
};


void
rdy_cookie_scan(const rdy_str_t *value, rdy_cookie_t *c)
{
    u_char     *p, *end, *last;
    rdy_str_t   name;

    p = value->data;
    last = p + value->len;
    end = rdy_cookie_part(p, last);

    c->flags = 0;
    c->name.len = 0;
    c->name.data = p;

    if (end > p && memchr(p, '=', end - p)) {
        c->name = rdy_cookie_name(p, end);
    }

    while (end < last) {
        p = end + 1;
        end = rdy_cookie_part(p, last);

        name = rdy_cookie_name(p, end);
        c->flags |= rdy_cookie_flag(&name);
    }
}


/* returns the ";" that ends the part beginning at p, or end */

static u_char *
rdy_cookie_part(u_char *p, u_char *end)
{
    u_char  *q;

    while (p < end && *p != '=' && *p != ';') {
        p++;
    }

    if (p == end || *p == ';') {
        return p;
    }

    q = rdy_cookie_quoted(p + 1, end);
    if (q) {
        return q;
    }

    while (p < end && *p != ';') {
        p++;
    }

    return p;
}


/*
 * If nothing but a quoted string stands between p and the next ";" or the end,
 * returns that; else NULL.
 */

static u_char *
rdy_cookie_quoted(u_char *p, u_char *end)
{
    while (p < end && rdy_cookie_blank(*p)) {
        p++;
    }

    if (p == end || *p != '"') {
        return NULL;
    }

    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\' && end - p > 1) {
            p++;
        }
    }

    if (p == end) {
        return NULL;
    }

    for (p++; p < end && rdy_cookie_blank(*p); p++) { /* void */ }

    return (p == end || *p == ';') ? p : NULL;
}


/* what stands before the "=" of a part, if there is one, without blanks */

static rdy_str_t
rdy_cookie_name(u_char *p, u_char *end)
{
    u_char     *q;
    rdy_str_t   name;

    while (p < end && rdy_cookie_blank(*p)) {
        p++;
    }

    for (q = p; q < end && *q != '='; q++) { /* void */ }

    while (q > p && rdy_cookie_blank(q[-1])) {
        q--;
    }

    name.len = q - p;
    name.data = p;

    return name;
}


static rdy_uint_t
rdy_cookie_flag(const rdy_str_t *name)
{
    size_t                         k;
    rdy_uint_t                     i;
    const rdy_cookie_attribute_t  *a;

    for (i = 0; i < 3; i++) {
        a = &rdy_cookie_attributes[i];

        if (name->len != a->name.len) {
            continue;
        }

        for (k = 0; k < name->len; k++) {
            if (rdy_lower(name->data[k]) != a->name.data[k]) {
                break;
            }
        }

        if (k == name->len) {
            return a->flag;
        }
    }

    return 0;
}


rdy_uint_t
rdy_cookie_missing(const rdy_cookie_t *c, rdy_uint_t want)
{
    if (c->flags & RDY_COOKIE_SAMESITE) {
        want &= ~(rdy_uint_t) RDY_COOKIE_SAMESITE;
    }

    if (want & RDY_COOKIE_NONE) {
        want |= RDY_COOKIE_SECURE;
    }

    return want & ~c->flags;
}


u_char *
rdy_cookie_write(u_char *p, const rdy_str_t *value, rdy_uint_t flags)
{
    size_t  len;

    len = value->len;

    while (len
           && (value->data[len - 1] == ';'
               || rdy_cookie_blank(value->data[len - 1])))
    {
        len--;
    }

    if (len) {
        memcpy(p, value->data, len);
        p += len;
    }

    if (flags & RDY_COOKIE_SECURE) {
        p = rdy_cookie_copy(p, "; Secure");
    }

    if (flags & RDY_COOKIE_HTTPONLY) {
        p = rdy_cookie_copy(p, "; HttpOnly");
    }

    if (flags & RDY_COOKIE_STRICT) {
        p = rdy_cookie_copy(p, "; SameSite=Strict");

    } else if (flags & RDY_COOKIE_LAX) {
        p = rdy_cookie_copy(p, "; SameSite=Lax");

    } else if (flags & RDY_COOKIE_NONE) {
        p = rdy_cookie_copy(p, "; SameSite=None");
    }

    return p;
}
