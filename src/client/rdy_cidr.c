
/*
 * Copyright (C) The readiness authors
 */


#include <stdlib.h>

#include "client/rdy_cidr.h"


static rdy_int_t rdy_cidr_bits(const u_char *p, const u_char *end,
    rdy_uint_t *bits);
static void rdy_cidr_v4_range(rdy_cidr_v4_t *range, const rdy_cidr_t *cidr);
static void rdy_cidr_v6_range(rdy_cidr_v6_t *range, const rdy_cidr_t *cidr);
static int rdy_cidr_v4_order(const void *one, const void *two);
static int rdy_cidr_v6_order(const void *one, const void *two);
static size_t rdy_cidr_v4_merge(rdy_cidr_v4_t *ranges, size_t n);
static size_t rdy_cidr_v6_merge(rdy_cidr_v6_t *ranges, size_t n);


static inline uint32_t
rdy_cidr_v4_load(const u_char *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | (uint32_t) p[3];
}


static inline rdy_cidr_u128_t
rdy_cidr_v6_load(const u_char *p)
{
    rdy_cidr_u128_t  n;

    n.high = (uint64_t) rdy_cidr_v4_load(p) << 32 | rdy_cidr_v4_load(p + 4);
    n.low = (uint64_t) rdy_cidr_v4_load(p + 8) << 32 | rdy_cidr_v4_load(p + 12);

    return n;
}


static inline int
rdy_cidr_v6_less(rdy_cidr_u128_t a, rdy_cidr_u128_t b)
{
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}


rdy_int_t
rdy_cidr_parse(const rdy_str_t *text, rdy_cidr_t *cidr)
{
    u_char      *end, *slash;
    uint16_t     port;
    rdy_str_t    host;
    rdy_addr_t   addr;
    rdy_cidr_t   tmp;
    rdy_uint_t   bits, max, mapped;

    if (text->len == 0 || text->data[0] == '[') {
        return RDY_ERROR;
    }

    end = text->data + text->len;
    slash = memchr(text->data, '/', text->len);

    host.data = text->data;
    host.len = (slash ? slash : end) - text->data;

    if (rdy_addr_parse(&host, &addr, &port) != RDY_OK || port) {
        return RDY_ERROR;
    }

    mapped = (addr.family == 4 && memchr(host.data, ':', host.len));
    max = (addr.family == 4 && !mapped) ? 32 : 128;
    bits = max;

    if (slash
        && (rdy_cidr_bits(slash + 1, end, &bits) != RDY_OK || bits > max))
    {
        return RDY_ERROR;
    }

    if (mapped) {

        if (bits < 96) {
            return RDY_ERROR;
        }

        bits -= 96;
    }

    tmp.addr = addr;
    tmp.bits = (uint8_t) bits;
    rdy_addr_mask(&tmp.addr, bits, bits);

    *cidr = tmp;

    return memcmp(addr.a, tmp.addr.a, 16) ? RDY_DECLINED : RDY_OK;
}


static rdy_int_t
rdy_cidr_bits(const u_char *p, const u_char *end, rdy_uint_t *bits)
{
    if (p == end || end - p > 3 || (*p == '0' && end - p > 1)) {
        return RDY_ERROR;
    }

    for (*bits = 0; p < end; p++) {

        if (*p < '0' || *p > '9') {
            return RDY_ERROR;
        }

        *bits = *bits * 10 + (*p - '0');
    }

    return RDY_OK;
}


size_t
rdy_cidr_set_size(size_t n)
{
    return n * sizeof(rdy_cidr_v6_t);
}


void
rdy_cidr_set_init(rdy_cidr_set_t *set, void *mem, const rdy_cidr_t *cidrs,
    size_t n)
{
    size_t  i;

    memset(set, 0, sizeof(rdy_cidr_set_t));

    if (n == 0) {
        return;
    }

    for (i = 0; i < n; i++) {
        set->nv6 += (cidrs[i].addr.family == 6);
    }

    /* the wider ranges come first, as they need the wider alignment */

    set->v6 = mem;
    set->v4 = (rdy_cidr_v4_t *) (set->v6 + set->nv6);
    set->nv6 = 0;

    for (i = 0; i < n; i++) {

        if (cidrs[i].addr.family == 6) {
            rdy_cidr_v6_range(&set->v6[set->nv6++], &cidrs[i]);

        } else if (cidrs[i].addr.family == 4) {
            rdy_cidr_v4_range(&set->v4[set->nv4++], &cidrs[i]);
        }
    }

    qsort(set->v4, set->nv4, sizeof(rdy_cidr_v4_t), rdy_cidr_v4_order);
    set->nv4 = rdy_cidr_v4_merge(set->v4, set->nv4);

    qsort(set->v6, set->nv6, sizeof(rdy_cidr_v6_t), rdy_cidr_v6_order);
    set->nv6 = rdy_cidr_v6_merge(set->v6, set->nv6);
}


static void
rdy_cidr_v4_range(rdy_cidr_v4_t *range, const rdy_cidr_t *cidr)
{
    uint32_t  host;

    /* shifts by the whole width are undefined, hence 64 bits */

    host = (uint32_t) (UINT64_C(0xffffffff) >> cidr->bits);

    range->first = rdy_cidr_v4_load(cidr->addr.a) & ~host;
    range->last = range->first | host;
}


static void
rdy_cidr_v6_range(rdy_cidr_v6_t *range, const rdy_cidr_t *cidr)
{
    rdy_cidr_u128_t  host, addr;

    if (cidr->bits < 64) {
        host.high = UINT64_MAX >> cidr->bits;
        host.low = UINT64_MAX;

    } else {
        host.high = 0;
        host.low = (cidr->bits < 128) ? UINT64_MAX >> (cidr->bits - 64) : 0;
    }

    addr = rdy_cidr_v6_load(cidr->addr.a);

    range->first.high = addr.high & ~host.high;
    range->first.low = addr.low & ~host.low;
    range->last.high = range->first.high | host.high;
    range->last.low = range->first.low | host.low;
}


static int
rdy_cidr_v4_order(const void *one, const void *two)
{
    const rdy_cidr_v4_t *a = one;
    const rdy_cidr_v4_t *b = two;

    return (a->first > b->first) - (a->first < b->first);
}


static int
rdy_cidr_v6_order(const void *one, const void *two)
{
    const rdy_cidr_v6_t *a = one;
    const rdy_cidr_v6_t *b = two;

    return rdy_cidr_v6_less(b->first, a->first)
           - rdy_cidr_v6_less(a->first, b->first);
}


/* joins sorted ranges that overlap or touch, returns how many are left */

static size_t
rdy_cidr_v4_merge(rdy_cidr_v4_t *ranges, size_t n)
{
    size_t          i;
    rdy_cidr_v4_t  *last;

    if (n == 0) {
        return 0;
    }

    last = ranges;

    for (i = 1; i < n; i++) {

        if (ranges[i].first > (uint64_t) last->last + 1) {
            *++last = ranges[i];

        } else if (ranges[i].last > last->last) {
            last->last = ranges[i].last;
        }
    }

    return last - ranges + 1;
}


static size_t
rdy_cidr_v6_merge(rdy_cidr_v6_t *ranges, size_t n)
{
    size_t            i;
    rdy_cidr_v6_t    *last;
    rdy_cidr_u128_t   next;

    if (n == 0) {
        return 0;
    }

    last = ranges;

    for (i = 1; i < n; i++) {

        next.low = last->last.low + 1;
        next.high = last->last.high + (next.low == 0);

        /* nothing is above the highest address: next has gone round to zero */

        if ((next.high || next.low)
            && rdy_cidr_v6_less(next, ranges[i].first))
        {
            *++last = ranges[i];

        } else if (rdy_cidr_v6_less(last->last, ranges[i].last)) {
            last->last = ranges[i].last;
        }
    }

    return last - ranges + 1;
}


rdy_uint_t
rdy_cidr_set_match(const rdy_cidr_set_t *set, const rdy_addr_t *addr)
{
    size_t           low, high, mid;
    uint32_t         v4;
    rdy_cidr_u128_t  v6;

    /* both look for the first range that does not end before the address */

    low = 0;

    if (addr->family == 4) {
        v4 = rdy_cidr_v4_load(addr->a);

        for (high = set->nv4; low < high; /* void */) {
            mid = low + (high - low) / 2;

            if (set->v4[mid].last < v4) {
                low = mid + 1;

            } else {
                high = mid;
            }
        }

        return low < set->nv4 && set->v4[low].first <= v4;
    }

    if (addr->family == 6) {
        v6 = rdy_cidr_v6_load(addr->a);

        for (high = set->nv6; low < high; /* void */) {
            mid = low + (high - low) / 2;

            if (rdy_cidr_v6_less(set->v6[mid].last, v6)) {
                low = mid + 1;

            } else {
                high = mid;
            }
        }

        return low < set->nv6 && !rdy_cidr_v6_less(v6, set->v6[low].first);
    }

    return 0;
}


rdy_int_t
rdy_cidr_line(rdy_str_t *rest, rdy_str_t *line)
{
    u_char  *p, *end, *next;

    if (rest->len == 0) {
        return RDY_ERROR;
    }

    p = rest->data;
    end = memchr(p, '\n', rest->len);

    if (end) {
        next = end + 1;

    } else {
        end = p + rest->len;
        next = end;
    }

    rest->len -= next - rest->data;
    rest->data = next;

    next = memchr(p, '#', end - p);

    if (next) {
        end = next;
    }

    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (p < end && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) {
        end--;
    }

    line->data = p;
    line->len = end - p;

    return line->len ? RDY_OK : RDY_DECLINED;
}
