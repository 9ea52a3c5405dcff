
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_rate.h"


#define RDY_RATE_MAX_COUNT    1000000000
#define RDY_RATE_MAX_PERIOD   (366 * 86400)
#define RDY_RATE_MAX_SHARED   4000000000        /* * 10^6 <= FOREVER */
#define RDY_RATE_MAX_PRODUCT  9000000000000000
#define RDY_RATE_MAX_SPENT    9000000000000000
#define RDY_RATE_MAX_WINDOW   999999999999999


static const u_char *rdy_rate_number(const u_char *p, const u_char *end,
    uint64_t *n);
static const u_char *rdy_rate_period(const u_char *p, const u_char *end,
    uint64_t *period);
static uint64_t rdy_rate_gcd(uint64_t a, uint64_t b);
static uint64_t rdy_rate_time(const rdy_rate_t *rate, uint64_t amount,
    uint64_t limit);


rdy_int_t
rdy_rate_parse(const rdy_str_t *text, rdy_rate_t *rate)
{
    uint64_t       count, period;
    const u_char  *p, *end;

    if (text->len == 0) {
        return RDY_ERROR;
    }

    end = text->data + text->len;

    p = rdy_rate_number(text->data, end, &count);

    if (p == NULL || end - p < 3 || p[0] != 'r' || p[1] != '/') {
        return RDY_ERROR;
    }

    p = rdy_rate_period(p + 2, end, &period);

    if (p == NULL || count == 0 || count * period > RDY_RATE_MAX_PRODUCT) {
        return RDY_ERROR;
    }

    rate->count = count;
    rate->period = period;
    rate->burst = count;
    rate->kind = RDY_RATE_BUCKET;

    return RDY_OK;
}


rdy_int_t
rdy_rate_quota(const rdy_str_t *text, rdy_rate_t *rate)
{
    uint64_t       count, period;
    const u_char  *p, *end;

    if (text->len == 0) {
        return RDY_ERROR;
    }

    end = text->data + text->len;

    p = rdy_rate_number(text->data, end, &count);

    if (p == NULL || p == end || *p != '/') {
        return RDY_ERROR;
    }

    p = rdy_rate_period(p + 1, end, &period);

    if (p == NULL || count == 0) {
        return RDY_ERROR;
    }

    rate->count = count;
    rate->period = period;
    rate->burst = count;
    rate->kind = RDY_RATE_QUOTA;

    return RDY_OK;
}


rdy_int_t
rdy_rate_concurrent(const rdy_str_t *text, rdy_rate_t *rate)
{
    rdy_rate_t  read;

    if (rdy_rate_burst(text, &read) != RDY_OK) {
        return RDY_ERROR;
    }

    rate->count = read.burst;
    rate->period = 60;
    rate->burst = read.burst;
    rate->kind = RDY_RATE_CONCURRENT;

    return RDY_OK;
}


void
rdy_rate_share(const rdy_rate_t *rate, uint64_t part, uint64_t whole,
    rdy_rate_t *mine)
{
    double    share;
    uint64_t  count, period, most, burst, gcd;

    burst = rate->burst * part / whole;

    mine->kind = rate->kind;
    mine->burst = burst ? burst : 1;
    mine->period = rate->period;
    mine->count = mine->burst;

    if (rate->kind != RDY_RATE_BUCKET) {
        return;
    }

    count = rate->count * part;             /* < 2^62 */
    period = rate->period * whole;          /* < 2^57; 2^64 of a share's */
    gcd = rdy_rate_gcd(count, period);

    count /= gcd;
    period /= gcd;

    if (count > RDY_RATE_MAX_COUNT || period > RDY_RATE_MAX_SHARED
        || count * period > RDY_RATE_MAX_PRODUCT)
    {
        /*
         * The smaller number, and the larger one that belongs to it.  Both are
         * far below what a double holds exactly.
         */

        share = (double) count / (double) period;

        if (share < 1) {
            most = RDY_RATE_MAX_SHARED;

            while (share * most * most > RDY_RATE_MAX_PRODUCT) {
                most /= 2;
            }

            count = (uint64_t) (share * most);
            count = count ? count : 1;
            share = count / share;
            period = share < most ? (uint64_t) share + 1 : most;

        } else {
            most = RDY_RATE_MAX_COUNT;

            while (most / share * most > RDY_RATE_MAX_PRODUCT) {
                most /= 2;
            }

            period = (uint64_t) (most / share);
            period = period ? period : 1;
            count = (uint64_t) (period * share);
        }
    }

    mine->count = count;
    mine->period = period;
}


rdy_int_t
rdy_rate_burst(const rdy_str_t *text, rdy_rate_t *rate)
{
    uint64_t       burst;
    const u_char  *p, *end;

    if (text->len == 0) {
        return RDY_ERROR;
    }

    end = text->data + text->len;

    p = rdy_rate_number(text->data, end, &burst);

    if (p != end || burst == 0) {
        return RDY_ERROR;
    }

    rate->burst = burst;

    return RDY_OK;
}


uint64_t
rdy_rate_cost(const rdy_str_t *text)
{
    uint64_t       cost;
    const u_char  *p, *end;

    if (text->len == 0) {
        return 1;
    }

    end = text->data + text->len;

    p = rdy_rate_number(text->data, end, &cost);

    return p == end ? cost : 1;
}


void
rdy_rate_drain(const rdy_rate_t *rate, rdy_bucket_t *b, uint64_t now)
{
    uint64_t  dt, part, drained;

    if (b->at >= now) {
        b->at = now;
        return;
    }

    dt = now - b->at;

    /* whole periods first: neither product can overflow after this check */

    if (dt / rate->period > b->spent / rate->count) {
        b->spent = 0;
        b->at = now;
        return;
    }

    part = dt % rate->period * rate->count;
    drained = dt / rate->period * rate->count + part / rate->period;

    if (drained >= b->spent) {
        b->spent = 0;
        b->at = now;
        return;
    }

    b->spent -= drained;
    b->at = now - part % rate->period / rate->count;
}


rdy_uint_t
rdy_rate_fits(const rdy_rate_t *rate, const rdy_bucket_t *b, uint64_t cost)
{
    if (cost == 0) {
        return 1;
    }

    if (cost > rate->burst) {
        return 0;
    }

    return b->spent <= (rate->burst - cost) * RDY_RATE_UNIT;
}


void
rdy_rate_charge(rdy_bucket_t *b, uint64_t cost)
{
    if (cost > RDY_RATE_MAX_COST) {
        cost = RDY_RATE_MAX_COST;
    }

    cost *= RDY_RATE_UNIT;

    if (b->spent >= RDY_RATE_MAX_SPENT - cost) {
        b->spent = RDY_RATE_MAX_SPENT;
        return;
    }

    b->spent += cost;
}


void
rdy_rate_view(const rdy_rate_t *rate, const rdy_bucket_t *b, uint64_t cost,
    rdy_rate_view_t *view)
{
    uint64_t  room, left;

    room = rate->burst * RDY_RATE_UNIT;
    left = room > b->spent ? room - b->spent : 0;

    view->remaining = left / RDY_RATE_UNIT;
    view->full = rdy_rate_time(rate, b->spent, RDY_RATE_FOREVER);
    view->next = 0;
    view->retry = 0;

    if (view->remaining < rate->burst) {
        left = room - (view->remaining + 1) * RDY_RATE_UNIT;
        view->next = rdy_rate_time(rate, b->spent - left, RDY_RATE_FOREVER);
    }

    if (rdy_rate_fits(rate, b, cost)) {
        return;
    }

    if (cost <= rate->burst) {
        left = room - cost * RDY_RATE_UNIT;
        view->retry = rdy_rate_time(rate, b->spent - left, RDY_RATE_FOREVER);
        return;
    }

    view->retry = view->full;

    if (view->retry < rate->period * 1000000) {
        view->retry = rate->period * 1000000;
    }
}


uint64_t
rdy_rate_window(const rdy_rate_t *rate)
{
    if (rate->kind != RDY_RATE_BUCKET) {
        return rate->period;
    }

    return rdy_rate_time(rate, rate->burst, RDY_RATE_MAX_WINDOW);
}


uint64_t
rdy_rate_seconds(uint64_t us)
{
    return us / 1000000 + (us % 1000000 != 0);
}


/*
 * A number of at most 10^9, digits only, of any length.  Returns where it
 * ends, which is p when there is no digit, or NULL when it is larger.
 */

static const u_char *
rdy_rate_number(const u_char *p, const u_char *end, uint64_t *n)
{
    uint64_t  value;

    value = 0;

    while (p < end && *p >= '0' && *p <= '9') {

        value = value * 10 + (*p++ - '0');

        if (value > RDY_RATE_MAX_COUNT) {
            return NULL;
        }
    }

    *n = value;

    return p;
}


/*
 * An optional number and a unit, and nothing behind it: seconds within the
 * bounds.  Returns where it ends, or NULL for anything else.
 */

static const u_char *
rdy_rate_period(const u_char *p, const u_char *end, uint64_t *period)
{
    uint64_t  n, unit;

    n = 1;

    if (p < end && *p >= '0' && *p <= '9') {
        p = rdy_rate_number(p, end, &n);
    }

    if (p == NULL || end - p != 1) {
        return NULL;
    }

    switch (*p) {

    case 's':
        unit = 1;
        break;

    case 'm':
        unit = 60;
        break;

    case 'h':
        unit = 3600;
        break;

    case 'd':
        unit = 86400;
        break;

    default:
        return NULL;
    }

    n *= unit;

    if (n == 0 || n > RDY_RATE_MAX_PERIOD) {
        return NULL;
    }

    *period = n;

    return p + 1;
}


static uint64_t
rdy_rate_gcd(uint64_t a, uint64_t b)
{
    uint64_t  rest;

    while (b) {
        rest = a % b;
        a = b;
        b = rest;
    }

    return a;
}


/*
 * ceil(amount * period / count), but at most limit.  Millionths of requests
 * drain in microseconds as requests do in seconds, so it serves for both.
 */

static uint64_t
rdy_rate_time(const rdy_rate_t *rate, uint64_t amount, uint64_t limit)
{
    uint64_t  time, part;

    time = amount / rate->count;

    if (time > limit / rate->period) {
        return limit;
    }

    part = amount % rate->count * rate->period;

    time = time * rate->period + part / rate->count
           + (part % rate->count != 0);

    return time < limit ? time : limit;
}
