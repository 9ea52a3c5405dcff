
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_batch.h"


/* the first byte of an operation; a request's is its number of limits */

#define RDY_BATCH_RUN          0xf0
#define RDY_BATCH_TAKE         0xf1
#define RDY_BATCH_CHARGE       0xf2
#define RDY_BATCH_HOLD         0xf3

/* flags behind the numbers */

#define RDY_BATCH_MONITOR      0x01
#define RDY_BATCH_BACK         0x01
#define RDY_BATCH_QUOTA        0x02
#define RDY_BATCH_CONCURRENT   0x04

#define RDY_BATCH_MAX_NUMBER   1152921504606846976.0    /* 2^60 */


static u_char *rdy_batch_numbers(u_char *p, const rdy_rate_t *rate,
    uint64_t amount, rdy_uint_t flag);
static u_char *rdy_batch_double(u_char *p, uint64_t n);
static rdy_int_t rdy_batch_state(rdy_batch_reply_t *reply, size_t first,
    const rdy_rate_t *rate, rdy_batch_state_t *state);
static rdy_int_t rdy_batch_read(const u_char *p, uint64_t *n);


size_t
rdy_batch_begin(u_char *dst, const u_char holder[RDY_BATCH_HOLDER_LEN])
{
    memcpy(dst, holder, RDY_BATCH_HOLDER_LEN);

    return RDY_BATCH_BEGIN_LEN;
}


size_t
rdy_batch_request(u_char *dst, rdy_uint_t n)
{
    *dst = (u_char) n;

    return RDY_BATCH_REQUEST_LEN;
}


size_t
rdy_batch_limit(u_char *dst, const rdy_rate_t *rate, uint64_t cost,
    rdy_uint_t monitor)
{
    return rdy_batch_numbers(dst, rate, cost,
                             monitor ? RDY_BATCH_MONITOR : 0) - dst;
}


size_t
rdy_batch_take(u_char *dst, const rdy_rate_t *rate, uint64_t need,
    uint64_t extra)
{
    u_char  *p;

    p = dst;

    *p++ = RDY_BATCH_TAKE;
    p = rdy_batch_numbers(p, rate, need, 0);
    p = rdy_batch_double(p, extra);

    return p - dst;
}


size_t
rdy_batch_run(u_char *dst, const rdy_rate_t *rate, rdy_uint_t n)
{
    u_char  *p;

    p = dst;

    *p++ = RDY_BATCH_RUN;

    return rdy_batch_numbers(p, rate, n, 0) - dst;
}


size_t
rdy_batch_run_need(u_char *dst, rdy_uint_t need)
{
    *dst = (u_char) need;

    return RDY_BATCH_RUN_NEED_LEN;
}


size_t
rdy_batch_charge(u_char *dst, const rdy_rate_t *rate, uint64_t amount,
    rdy_uint_t back)
{
    u_char  *p;

    p = dst;

    *p++ = RDY_BATCH_CHARGE;
    p = rdy_batch_numbers(p, rate, amount, back ? RDY_BATCH_BACK : 0);

    return p - dst;
}


size_t
rdy_batch_hold(u_char *dst, uint64_t ms, uint64_t count)
{
    rdy_rate_t  slots;

    slots.count = 0;
    slots.period = 0;
    slots.burst = ms;
    slots.kind = RDY_RATE_CONCURRENT;

    *dst = RDY_BATCH_HOLD;

    return rdy_batch_numbers(dst + 1, &slots, count, 0) - dst;
}


rdy_int_t
rdy_batch_reply_request(rdy_batch_reply_t *reply, rdy_uint_t *admitted)
{
    if (reply->end - reply->pos < RDY_BATCH_REPLY_REQUEST_LEN
        || *reply->pos > 1)
    {
        return RDY_ERROR;
    }

    *admitted = *reply->pos++;

    return RDY_OK;
}


rdy_int_t
rdy_batch_reply_limit(rdy_batch_reply_t *reply, const rdy_rate_t *rate,
    rdy_uint_t *fits, rdy_batch_state_t *state)
{
    rdy_uint_t  verdict;

    if (reply->end - reply->pos < 1 || *reply->pos > 1) {
        return RDY_ERROR;
    }

    verdict = *reply->pos;

    if (rdy_batch_state(reply, 1, rate, state) != RDY_OK) {
        return RDY_ERROR;
    }

    *fits = verdict;

    return RDY_OK;
}


rdy_int_t
rdy_batch_reply_take(rdy_batch_reply_t *reply, const rdy_rate_t *rate,
    uint64_t *got, uint64_t *extra, rdy_batch_state_t *state)
{
    uint64_t  first, more;

    if (reply->end - reply->pos < 16
        || rdy_batch_read(reply->pos, &first) != RDY_OK
        || rdy_batch_read(reply->pos + 8, &more) != RDY_OK
        || rdy_batch_state(reply, 16, rate, state) != RDY_OK)
    {
        return RDY_ERROR;
    }

    *got = first;
    *extra = more;

    return RDY_OK;
}


rdy_int_t
rdy_batch_reply_run(rdy_batch_reply_t *reply, uint64_t *got,
    rdy_batch_state_t *state)
{
    uint64_t  n, spent, total;

    if (reply->end - reply->pos < RDY_BATCH_REPLY_RUN_LEN
        || rdy_batch_read(reply->pos, &n) != RDY_OK
        || rdy_batch_read(reply->pos + 8, &spent) != RDY_OK
        || rdy_batch_read(reply->pos + 16, &total) != RDY_OK)
    {
        return RDY_ERROR;
    }

    reply->pos += RDY_BATCH_REPLY_RUN_LEN;

    memset(state, 0, sizeof(rdy_batch_state_t));

    *got = n;
    state->bucket.spent = spent;
    state->total = total;

    return RDY_OK;
}


rdy_int_t
rdy_batch_reply_hold(rdy_batch_reply_t *reply, uint64_t *sum)
{
    if (reply->end - reply->pos < RDY_BATCH_REPLY_HOLD_LEN
        || rdy_batch_read(reply->pos, sum) != RDY_OK)
    {
        return RDY_ERROR;
    }

    reply->pos += RDY_BATCH_REPLY_HOLD_LEN;

    return RDY_OK;
}


void
rdy_batch_view(const rdy_rate_t *rate, const rdy_batch_state_t *state,
    uint64_t cost, rdy_rate_view_t *view)
{
    if (rate->kind == RDY_RATE_BUCKET) {
        rdy_rate_view(rate, &state->bucket, cost, view);
        return;
    }

    view->remaining = rate->count > state->used ? rate->count - state->used
                                                : 0;
    view->next = state->next;
    view->full = state->full;
    view->retry = 0;

    if (cost > view->remaining) {
        view->retry = state->retry ? state->retry : state->next;
    }
}


static u_char *
rdy_batch_numbers(u_char *p, const rdy_rate_t *rate, uint64_t amount,
    rdy_uint_t flag)
{
    p = rdy_batch_double(p, rate->count);
    p = rdy_batch_double(p, rate->period);
    p = rdy_batch_double(p, rate->burst);
    p = rdy_batch_double(p, amount);

    if (rate->kind == RDY_RATE_QUOTA) {
        flag |= RDY_BATCH_QUOTA;

    } else if (rate->kind == RDY_RATE_CONCURRENT) {
        flag |= RDY_BATCH_CONCURRENT;
    }

    *p++ = (u_char) flag;

    return p;
}


/* little-endian, on every machine */

static u_char *
rdy_batch_double(u_char *p, uint64_t n)
{
    double      number;
    uint64_t    bits;
    rdy_uint_t  i;

    number = (double) n;
    memcpy(&bits, &number, sizeof(double));

    for (i = 0; i < 8; i++) {
        *p++ = (u_char) (bits >> (8 * i));
    }

    return p;
}


/* the numbers of a state, behind the first bytes, which are read then too */

static rdy_int_t
rdy_batch_state(rdy_batch_reply_t *reply, size_t first,
    const rdy_rate_t *rate, rdy_batch_state_t *state)
{
    uint64_t    number[4];
    rdy_uint_t  i, n;

    n = rate->kind == RDY_RATE_BUCKET ? 2
        : rate->kind == RDY_RATE_QUOTA ? 4 : 1;

    if ((size_t) (reply->end - reply->pos) < first + n * 8) {
        return RDY_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (rdy_batch_read(reply->pos + first + i * 8, &number[i])
            != RDY_OK)
        {
            return RDY_ERROR;
        }
    }

    memset(state, 0, sizeof(rdy_batch_state_t));

    if (rate->kind == RDY_RATE_BUCKET) {
        state->bucket.spent = number[0];
        state->total = number[1];

    } else {
        state->used = number[0];
    }

    if (rate->kind == RDY_RATE_QUOTA) {
        state->next = number[1];
        state->retry = number[2];
        state->full = number[3];
    }

    if (rate->kind == RDY_RATE_CONCURRENT) {
        state->retry = 1000000;
        state->full = number[0] ? 60000000 : 0;
    }

    reply->pos += first + n * 8;

    return RDY_OK;
}


static rdy_int_t
rdy_batch_read(const u_char *p, uint64_t *n)
{
    double      number;
    uint64_t    bits;
    rdy_uint_t  i;

    bits = 0;

    for (i = 0; i < 8; i++) {
        bits |= (uint64_t) p[i] << (8 * i);
    }

    memcpy(&number, &bits, sizeof(double));

    /* false for what is not a number */

    if (!(number >= 0 && number <= RDY_BATCH_MAX_NUMBER)) {
        return RDY_ERROR;
    }

    *n = (uint64_t) number;

    return RDY_OK;
}
