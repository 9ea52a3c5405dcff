
/*
 * Copyright (C) The readiness authors
 */


#include "observe/rdy_json.h"
#include "rdy_decimal.h"


#define RDY_JSON_MAX_EXACT    ((uint64_t) 1 << 53)

/* the byte c in each of eight */

#define RDY_JSON_EACH(c)      (UINT64_C(0x0101010101010101) * (c))


static u_char *rdy_json_rest(u_char *p, const u_char *s, size_t len,
    size_t max) __attribute__((noinline));
static inline size_t rdy_json_run(u_char *p, const u_char *s, size_t n);
static rdy_uint_t rdy_json_clean(const u_char *s);
static u_char *rdy_json_char(u_char *p, u_char *last, const u_char **s,
    const u_char *end);
static size_t rdy_json_escape(u_char *out, uint32_t c);
static uint32_t rdy_json_decode(const u_char **s, const u_char *end);
static rdy_uint_t rdy_json_hidden(uint32_t c);


/* 1: copied as it is */

#define RDY_JSON_16(a)  a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a

static const u_char  rdy_json_plain[256] = {
    RDY_JSON_16(0), RDY_JSON_16(0),
    /*        "                                              */
    1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    RDY_JSON_16(1), RDY_JSON_16(1),
    /* \ is 0x5c                                             */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1,
    RDY_JSON_16(1),
    /* DEL is 0x7f                                           */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0,
    RDY_JSON_16(0), RDY_JSON_16(0), RDY_JSON_16(0), RDY_JSON_16(0),
    RDY_JSON_16(0), RDY_JSON_16(0), RDY_JSON_16(0), RDY_JSON_16(0)
};


u_char *
rdy_json_string(u_char *p, const u_char *s, size_t len, size_t max)
{
    size_t  n;

    n = rdy_json_run(p, s, len < max ? len : max);

    if (n == len) {
        return p + n;
    }

    return rdy_json_rest(p + n, s + n, len - n, max - n);
}


/* most texts end above: kept apart, so that they do not pay for this one */

static u_char *
rdy_json_rest(u_char *p, const u_char *s, size_t len, size_t max)
{
    size_t         n, room;
    u_char        *last, *next;
    const u_char  *end;

    end = s + len;
    last = p + max;

    while (s < end) {

        next = rdy_json_char(p, last, &s, end);

        if (next == NULL) {
            memcpy(p, "\xe2\x80\xa6", RDY_JSON_CUT_LEN);
            return p + RDY_JSON_CUT_LEN;
        }

        p = next;

        n = end - s;
        room = last - p;

        n = rdy_json_run(p, s, n < room ? n : room);
        p += n;
        s += n;
    }

    return p;
}


/*
 * Copies the bytes of s, up to n, that stand before the first one that may
 * need escaping; returns their number.
 */

static inline size_t
rdy_json_run(u_char *p, const u_char *s, size_t n)
{
    size_t  i;

    for (i = 0; i + 8 <= n && rdy_json_clean(s + i); i += 8) {
        memcpy(p + i, s + i, 8);
    }

    if (i + 8 > n && n >= 8 && rdy_json_clean(s + n - 8)) {

        /* the rest, together with bytes that are there already */

        memcpy(p + n - 8, s + n - 8, 8);
        return n;
    }

    for ( /* void */ ; i < n && rdy_json_plain[s[i]]; i++) {
        p[i] = s[i];
    }

    return i;
}


/*
 * 1 if the eight bytes at s are all copied as they are.  In each byte the high
 * bit tells; below 0x80 no sum reaches into the next byte, and at or above it
 * the answer is 0 whatever the others say.
 */

static rdy_uint_t
rdy_json_clean(const u_char *s)
{
    uint64_t  w, good, bad;

    memcpy(&w, s, 8);

    good = w + RDY_JSON_EACH(0x80 - 0x20);
    good &= (w ^ RDY_JSON_EACH('"')) + RDY_JSON_EACH(0x7f);
    good &= (w ^ RDY_JSON_EACH('\\')) + RDY_JSON_EACH(0x7f);

    bad = w | (w + RDY_JSON_EACH(0x80 - 0x7f));

    return (good & ~bad & RDY_JSON_EACH(0x80)) == RDY_JSON_EACH(0x80);
}


/* one character that may need escaping; NULL: it does not fit */

static u_char *
rdy_json_char(u_char *p, u_char *last, const u_char **s, const u_char *end)
{
    size_t         n;
    u_char         out[RDY_JSON_ESCAPED_LEN];
    uint32_t       c;
    const u_char  *start;

    start = *s;
    c = rdy_json_decode(s, end);

    if (c == 0xfffd) {
        memcpy(out, "\xef\xbf\xbd", 3);
        n = 3;

    } else if (rdy_json_hidden(c)) {
        n = rdy_json_escape(out, c);

    } else {
        n = *s - start;
        memcpy(out, start, n);
    }

    if ((size_t) (last - p) < n) {
        return NULL;
    }

    memcpy(p, out, n);

    return p + n;
}


static size_t
rdy_json_escape(u_char *out, uint32_t c)
{
    static const u_char  hex[] = "0123456789abcdef";

    out[0] = '\\';

    switch (c) {

    case '"':
    case '\\':
        out[1] = (u_char) c;
        return 2;

    case '\b':
        out[1] = 'b';
        return 2;

    case '\f':
        out[1] = 'f';
        return 2;

    case '\n':
        out[1] = 'n';
        return 2;

    case '\r':
        out[1] = 'r';
        return 2;

    case '\t':
        out[1] = 't';
        return 2;
    }

    out[1] = 'u';
    out[2] = hex[c >> 12 & 0xf];
    out[3] = hex[c >> 8 & 0xf];
    out[4] = hex[c >> 4 & 0xf];
    out[5] = hex[c & 0xf];

    return 6;
}


/*
 * One character of s, which is not at its end, or U+FFFD for the longest
 * beginning of one that turns out to be none.
 */

static uint32_t
rdy_json_decode(const u_char **s, const u_char *end)
{
    u_char         b, low, high;
    uint32_t       c;
    rdy_uint_t     n;
    const u_char  *p;

    p = *s;
    b = *p++;
    *s = p;

    if (b < 0x80) {
        return b;
    }

    /* the bounds of the second byte keep out overlong forms and surrogates */

    low = 0x80;
    high = 0xbf;

    if (b >= 0xc2 && b <= 0xdf) {
        n = 1;
        c = b & 0x1f;

    } else if (b >= 0xe0 && b <= 0xef) {
        n = 2;
        c = b & 0x0f;
        low = (b == 0xe0) ? 0xa0 : 0x80;
        high = (b == 0xed) ? 0x9f : 0xbf;

    } else if (b >= 0xf0 && b <= 0xf4) {
        n = 3;
        c = b & 0x07;
        low = (b == 0xf0) ? 0x90 : 0x80;
        high = (b == 0xf4) ? 0x8f : 0xbf;

    } else {
        return 0xfffd;
    }

    for ( /* void */ ; n; n--) {

        if (p == end || *p < low || *p > high) {
            *s = p;
            return 0xfffd;
        }

        c = c << 6 | (*p++ & 0x3f);

        low = 0x80;
        high = 0xbf;
    }

    *s = p;

    return c;
}


/* 1: c is written as an escape */

static rdy_uint_t
rdy_json_hidden(uint32_t c)
{
    return c < 0x20 || c == '"' || c == '\\'
           || (c >= 0x7f && c <= 0x9f)
           || c == 0x61c || c == 0x200e || c == 0x200f
           || (c >= 0x2028 && c <= 0x202e)
           || (c >= 0x2066 && c <= 0x2069);
}


u_char *
rdy_json_number(u_char *p, uint64_t n)
{
    u_char      *end;
    rdy_uint_t   quoted;

    if (n < 10) {
        *p++ = (u_char) ('0' + n);
        return p;
    }

    quoted = (n > RDY_JSON_MAX_EXACT);

    if (quoted) {
        *p++ = '"';
    }

    end = p + rdy_decimal_len(n);

    (void) rdy_decimal(end, n);

    if (quoted) {
        *end++ = '"';
    }

    return end;
}
