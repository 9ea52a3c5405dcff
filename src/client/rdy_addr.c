
/*
 * Copyright (C) The readiness authors
 */


#include "client/rdy_addr.h"


static rdy_int_t rdy_addr_v4(const u_char *p, const u_char *end, u_char *out);
static rdy_int_t rdy_addr_v6(const u_char *p, const u_char *end, u_char *out);
static const u_char *rdy_addr_hex(const u_char *p, const u_char *end,
    rdy_uint_t *word);
static rdy_int_t rdy_addr_port(const u_char *p, const u_char *end,
    uint16_t *port);
static void rdy_addr_keep(u_char *a, rdy_uint_t bytes, rdy_uint_t bits);
static u_char *rdy_addr_decimal(u_char *p, rdy_uint_t n);
static u_char *rdy_addr_word(u_char *p, rdy_uint_t n);


static const u_char  rdy_addr_mapped[12] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};


rdy_int_t
rdy_addr_parse(const rdy_str_t *text, rdy_addr_t *addr, uint16_t *port)
{
    u_char         bytes[16];
    size_t         len;
    uint16_t       n;
    rdy_int_t      rc;
    const u_char  *p, *end, *last, *colon;

    if (text->len == 0 || text->len > RDY_ADDR_PARSE_LEN) {
        return RDY_ERROR;
    }

    p = text->data;
    last = p + text->len;
    len = 16;

    if (*p == '[') {
        p++;
        end = memchr(p, ']', last - p);

        if (end == NULL) {
            return RDY_ERROR;
        }

        colon = (end + 1 == last) ? NULL : end + 1;

    } else {
        end = last;
        colon = memchr(p, ':', end - p);

        if (colon == NULL) {
            len = 4;

        } else if (memchr(colon + 1, ':', end - (colon + 1)) == NULL) {
            len = 4;
            end = colon;

        } else {
            colon = NULL;
        }
    }

    n = 0;

    if (colon
        && (*colon != ':' || rdy_addr_port(colon + 1, last, &n) != RDY_OK))
    {
        return RDY_ERROR;
    }

    rc = (len == 4) ? rdy_addr_v4(p, end, bytes) : rdy_addr_v6(p, end, bytes);

    if (rc != RDY_OK) {
        return RDY_ERROR;
    }

    if (port) {
        *port = n;
    }

    return rdy_addr_bytes(bytes, len, addr);
}


static rdy_int_t
rdy_addr_v4(const u_char *p, const u_char *end, u_char *out)
{
    rdy_uint_t     i, octet;
    const u_char  *start;

    for (i = 0; i < 4; i++) {

        if (i && (p == end || *p++ != '.')) {
            return RDY_ERROR;
        }

        octet = 0;

        for (start = p; p < end && *p >= '0' && *p <= '9'; p++) {

            if (p - start == 3) {
                return RDY_ERROR;
            }

            octet = octet * 10 + (*p - '0');
        }

        if (p == start || octet > 255 || (*start == '0' && p - start > 1)) {
            return RDY_ERROR;
        }

        out[i] = (u_char) octet;
    }

    return (p == end) ? RDY_OK : RDY_ERROR;
}


static rdy_int_t
rdy_addr_v6(const u_char *p, const u_char *end, u_char *out)
{
    rdy_uint_t     n, gap, word;
    const u_char  *next;

    n = 0;
    gap = 16;         /* where "::" stands, in bytes; 16: nowhere */

    if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;

    } else if (p == end) {
        return RDY_ERROR;
    }

    while (p < end) {

        next = rdy_addr_hex(p, end, &word);

        if (next < end && *next == '.') {

            if (n > 12 || rdy_addr_v4(p, end, out + n) != RDY_OK) {
                return RDY_ERROR;
            }

            n += 4;
            break;
        }

        if (next == p || n == 16) {
            return RDY_ERROR;
        }

        out[n++] = (u_char) (word >> 8);
        out[n++] = (u_char) word;

        if (next == end) {
            break;
        }

        /* a colon has to have something after it */

        if (*next != ':' || ++next == end) {
            return RDY_ERROR;
        }

        if (*next == ':') {

            if (gap < 16 || n == 16) {
                return RDY_ERROR;
            }

            gap = n;
            next++;
        }

        p = next;
    }

    if (gap == 16) {
        return (n == 16) ? RDY_OK : RDY_ERROR;
    }

    /* "::" stands for at least one group */

    if (n == 16) {
        return RDY_ERROR;
    }

    memmove(out + 16 - (n - gap), out + gap, n - gap);
    memset(out + gap, 0, 16 - n);

    return RDY_OK;
}


/* reads up to four digits, returns where it stopped: p if there are none */

static const u_char *
rdy_addr_hex(const u_char *p, const u_char *end, rdy_uint_t *word)
{
    u_char         c;
    const u_char  *last;

    *word = 0;
    last = (end - p > 4) ? p + 4 : end;

    for ( /* void */ ; p < last; p++) {
        c = rdy_lower(*p);

        if (c >= '0' && c <= '9') {
            *word = *word * 16 + (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            *word = *word * 16 + (c - 'a' + 10);

        } else {
            break;
        }
    }

    return p;
}


static rdy_int_t
rdy_addr_port(const u_char *p, const u_char *end, uint16_t *port)
{
    rdy_uint_t  n;

    if (p == end || end - p > 5) {
        return RDY_ERROR;
    }

    for (n = 0; p < end; p++) {

        if (*p < '0' || *p > '9') {
            return RDY_ERROR;
        }

        n = n * 10 + (*p - '0');
    }

    if (n == 0 || n > 65535) {
        return RDY_ERROR;
    }

    *port = (uint16_t) n;

    return RDY_OK;
}


rdy_int_t
rdy_addr_bytes(const u_char *bytes, size_t len, rdy_addr_t *addr)
{
    rdy_addr_t  tmp;

    if (len == 16 && memcmp(bytes, rdy_addr_mapped, 12) == 0) {
        bytes += 12;
        len = 4;
    }

    if (len != 4 && len != 16) {
        return RDY_ERROR;
    }

    /* bytes may be addr's own */

    memset(&tmp, 0, sizeof(rdy_addr_t));
    memcpy(tmp.a, bytes, len);
    tmp.family = (len == 4) ? 4 : 6;

    *addr = tmp;

    return RDY_OK;
}


void
rdy_addr_mask(rdy_addr_t *addr, rdy_uint_t v4, rdy_uint_t v6)
{
    if (addr->family == 4) {
        rdy_addr_keep(addr->a, 4, v4);

    } else if (addr->family == 6) {
        rdy_addr_keep(addr->a, 16, v6);
    }
}


static void
rdy_addr_keep(u_char *a, rdy_uint_t bytes, rdy_uint_t bits)
{
    rdy_uint_t  n;

    n = bits / 8;

    if (n >= bytes) {
        return;
    }

    a[n] &= (u_char) ~(0xff >> (bits % 8));
    memset(a + n + 1, 0, bytes - n - 1);
}


size_t
rdy_addr_text(const rdy_addr_t *addr, u_char *buf)
{
    u_char      *p;
    rdy_uint_t   i, run, gap, best, words[8];

    p = buf;

    if (addr->family == 4) {
        p = rdy_addr_decimal(p, addr->a[0]);

        for (i = 1; i < 4; i++) {
            *p++ = '.';
            p = rdy_addr_decimal(p, addr->a[i]);
        }

        return p - buf;
    }

    if (addr->family != 6) {
        return 0;
    }

    /* a single zero group is not shortened, hence best begins at one */

    gap = 8;
    run = 0;
    best = 1;

    for (i = 0; i < 8; i++) {
        words[i] = (rdy_uint_t) addr->a[2 * i] << 8 | addr->a[2 * i + 1];
        run = words[i] ? 0 : run + 1;

        if (run > best) {
            best = run;
            gap = i + 1 - run;
        }
    }

    for (i = 0; i < 8; /* void */) {

        if (i == gap) {
            *p++ = ':';
            *p++ = ':';
            i += best;
            continue;
        }

        if (i && i != gap + best) {
            *p++ = ':';
        }

        p = rdy_addr_word(p, words[i++]);
    }

    return p - buf;
}


static u_char *
rdy_addr_decimal(u_char *p, rdy_uint_t n)
{
    if (n >= 100) {
        *p++ = (u_char) ('0' + n / 100);
        n %= 100;
        *p++ = (u_char) ('0' + n / 10);

    } else if (n >= 10) {
        *p++ = (u_char) ('0' + n / 10);
    }

    *p++ = (u_char) ('0' + n % 10);

    return p;
}


static u_char *
rdy_addr_word(u_char *p, rdy_uint_t n)
{
    static const u_char  hex[] = "0123456789abcdef";

    if (n >= 0x1000) {
        *p++ = hex[n >> 12];
    }

    if (n >= 0x100) {
        *p++ = hex[n >> 8 & 0xf];
    }

    if (n >= 0x10) {
        *p++ = hex[n >> 4 & 0xf];
    }

    *p++ = hex[n & 0xf];

    return p;
}
