
/*
 * Copyright (C) The readiness authors
 */


#include "client/rdy_trace.h"


/* where the fields of a traceparent begin, and how long the IDs are */

#define RDY_TRACE_ID          3
#define RDY_TRACE_ID_LEN      32
#define RDY_TRACE_PARENT      36
#define RDY_TRACE_PARENT_LEN  16
#define RDY_TRACE_FLAGS       53

/* sampled, random */

#define RDY_TRACE_KNOWN       0x03

#define RDY_TRACE_KEY_LEN     256
#define RDY_TRACE_VALUE_LEN   256


/* members of a tracestate that have been seen */

typedef struct {
    rdy_str_t   keys[RDY_TRACE_MAX_MEMBERS];
    rdy_uint_t  n;
} rdy_trace_keys_t;


static rdy_int_t rdy_trace_digits(const u_char *p, size_t n);
static rdy_int_t rdy_trace_nonzero(const u_char *p, size_t n);
static void rdy_trace_hex(u_char *p, const u_char *bytes, size_t n);
static rdy_int_t rdy_trace_line(u_char *p, u_char *end,
    rdy_trace_keys_t *keys);
static rdy_int_t rdy_trace_member(u_char *p, u_char *end,
    rdy_trace_keys_t *keys);
static rdy_int_t rdy_trace_value(const u_char *p, const u_char *end);


static const u_char  rdy_trace_hex_digits[] = "0123456789abcdef";


rdy_int_t
rdy_trace_parse(const rdy_str_t *value, rdy_trace_t *t)
{
    u_char     *p;
    rdy_uint_t  flags;

    if (value->len < RDY_TRACE_LEN) {
        return RDY_ERROR;
    }

    p = value->data;

    if (rdy_trace_digits(p, 2) != RDY_OK
        || p[RDY_TRACE_ID - 1] != '-'
        || rdy_trace_digits(p + RDY_TRACE_ID, RDY_TRACE_ID_LEN) != RDY_OK
        || p[RDY_TRACE_PARENT - 1] != '-'
        || rdy_trace_digits(p + RDY_TRACE_PARENT, RDY_TRACE_PARENT_LEN)
           != RDY_OK
        || p[RDY_TRACE_FLAGS - 1] != '-'
        || rdy_trace_digits(p + RDY_TRACE_FLAGS, 2) != RDY_OK)
    {
        return RDY_ERROR;
    }

    if (rdy_trace_nonzero(p + RDY_TRACE_ID, RDY_TRACE_ID_LEN) != RDY_OK
        || rdy_trace_nonzero(p + RDY_TRACE_PARENT, RDY_TRACE_PARENT_LEN)
           != RDY_OK)
    {
        return RDY_ERROR;
    }

    if (p[0] == 'f' && p[1] == 'f') {
        return RDY_ERROR;
    }

    /* only versions to come may be longer */

    if (value->len > RDY_TRACE_LEN
        && ((p[0] == '0' && p[1] == '0') || p[RDY_TRACE_LEN] != '-'))
    {
        return RDY_ERROR;
    }

    /* the flags that are known are in the low bits of the last digit */

    flags = p[RDY_TRACE_LEN - 1];
    flags = (flags <= '9') ? flags - '0' : flags - 'a' + 10;

    memcpy(t->text, p, RDY_TRACE_LEN);
    t->text[0] = '0';
    t->text[1] = '0';
    t->text[RDY_TRACE_FLAGS] = '0';
    t->text[RDY_TRACE_FLAGS + 1] = (u_char) ('0' + (flags & RDY_TRACE_KNOWN));

    t->trace_id.data = t->text + RDY_TRACE_ID;
    t->trace_id.len = RDY_TRACE_ID_LEN;

    return RDY_OK;
}


static rdy_int_t
rdy_trace_digits(const u_char *p, size_t n)
{
    for ( /* void */ ; n; n--, p++) {

        if ((*p < '0' || *p > '9') && (*p < 'a' || *p > 'f')) {
            return RDY_ERROR;
        }
    }

    return RDY_OK;
}


static rdy_int_t
rdy_trace_nonzero(const u_char *p, size_t n)
{
    while (n--) {

        if (*p++ != '0') {
            return RDY_OK;
        }
    }

    return RDY_ERROR;
}


void
rdy_trace_make(rdy_trace_t *t, const u_char rnd[24])
{
    u_char  *p;

    p = t->text;

    memcpy(p, "00-", 3);
    rdy_trace_hex(p + RDY_TRACE_ID, rnd, RDY_TRACE_ID_LEN / 2);
    p[RDY_TRACE_PARENT - 1] = '-';
    rdy_trace_hex(p + RDY_TRACE_PARENT, rnd + RDY_TRACE_ID_LEN / 2,
                  RDY_TRACE_PARENT_LEN / 2);
    memcpy(p + RDY_TRACE_FLAGS - 1, "-02", 3);

    /* an ID of zeros means "invalid" to whoever reads it */

    if (rdy_trace_nonzero(p + RDY_TRACE_ID, RDY_TRACE_ID_LEN) != RDY_OK) {
        p[RDY_TRACE_ID + RDY_TRACE_ID_LEN - 1] = '1';
    }

    if (rdy_trace_nonzero(p + RDY_TRACE_PARENT, RDY_TRACE_PARENT_LEN)
        != RDY_OK)
    {
        p[RDY_TRACE_PARENT + RDY_TRACE_PARENT_LEN - 1] = '1';
    }

    t->trace_id.data = p + RDY_TRACE_ID;
    t->trace_id.len = RDY_TRACE_ID_LEN;
}


static void
rdy_trace_hex(u_char *p, const u_char *bytes, size_t n)
{
    while (n--) {
        *p++ = rdy_trace_hex_digits[*bytes >> 4];
        *p++ = rdy_trace_hex_digits[*bytes++ & 0xf];
    }
}


rdy_uint_t
rdy_trace_state_valid(const rdy_str_t *lines, size_t n)
{
    size_t            i;
    rdy_trace_keys_t  keys;

    keys.n = 0;

    for (i = 0; i < n; i++) {

        if (lines[i].len
            && rdy_trace_line(lines[i].data, lines[i].data + lines[i].len,
                              &keys)
               != RDY_OK)
        {
            return 0;
        }
    }

    return 1;
}


static rdy_int_t
rdy_trace_line(u_char *p, u_char *end, rdy_trace_keys_t *keys)
{
    u_char  *last, *next;

    for ( ;; ) {

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        for (next = p; next < end && *next != ','; next++) {
            /* void */
        }

        last = next;

        while (p < last && (last[-1] == ' ' || last[-1] == '\t')) {
            last--;
        }

        if (p < last && rdy_trace_member(p, last, keys) != RDY_OK) {
            return RDY_ERROR;
        }

        if (next == end) {
            return RDY_OK;
        }

        p = next + 1;
    }
}


static rdy_int_t
rdy_trace_member(u_char *p, u_char *end, rdy_trace_keys_t *keys)
{
    u_char      c, *start;
    size_t      len;
    rdy_uint_t  i;

    for (start = p; p < end && *p != '='; p++) {
        c = *p;

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            continue;
        }

        if (p == start
            || (c != '_' && c != '*' && c != '/' && c != '@' && c != '-'))
        {
            return RDY_ERROR;
        }
    }

    len = p - start;

    if (p == end || len == 0 || len > RDY_TRACE_KEY_LEN
        || keys->n == RDY_TRACE_MAX_MEMBERS)
    {
        return RDY_ERROR;
    }

    for (i = 0; i < keys->n; i++) {

        if (keys->keys[i].len == len
            && memcmp(keys->keys[i].data, start, len) == 0)
        {
            return RDY_ERROR;
        }
    }

    keys->keys[i].data = start;
    keys->keys[i].len = len;
    keys->n++;

    return rdy_trace_value(p + 1, end);
}


static rdy_int_t
rdy_trace_value(const u_char *p, const u_char *end)
{
    if (p == end || end - p > RDY_TRACE_VALUE_LEN) {
        return RDY_ERROR;
    }

    for ( /* void */ ; p < end; p++) {

        if (*p < 0x20 || *p > 0x7e || *p == '=') {
            return RDY_ERROR;
        }
    }

    return RDY_OK;
}
