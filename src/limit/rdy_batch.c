
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_batch.h"


#define RDY_BATCH_MONITOR    0x01
#define RDY_BATCH_MAX_SPENT  1152921504606846976.0      /* 2^60 */


static u_char *rdy_batch_double(u_char *p, uint64_t n);


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
    u_char  *p;

    p = rdy_batch_double(dst, rate->count);
    p = rdy_batch_double(p, rate->period);
    p = rdy_batch_double(p, rate->burst);
    p = rdy_batch_double(p, cost);
    *p++ = monitor ? RDY_BATCH_MONITOR : 0;

    return p - dst;
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
rdy_batch_reply_limit(rdy_batch_reply_t *reply, rdy_uint_t *fits,
    rdy_bucket_t *b)
{
    double         spent;
    uint64_t       bits;
    rdy_uint_t     i;
    const u_char  *p;

    if (reply->end - reply->pos < RDY_BATCH_REPLY_LIMIT_LEN
        || *reply->pos > 1)
    {
        return RDY_ERROR;
    }

    p = reply->pos + 1;
    bits = 0;

    for (i = 0; i < 8; i++) {
        bits |= (uint64_t) p[i] << (8 * i);
    }

    memcpy(&spent, &bits, sizeof(double));

    /* false for what is not a number */

    if (!(spent >= 0 && spent <= RDY_BATCH_MAX_SPENT)) {
        return RDY_ERROR;
    }

    *fits = *reply->pos;
    b->spent = (uint64_t) spent;
    b->at = 0;

    reply->pos += RDY_BATCH_REPLY_LIMIT_LEN;

    return RDY_OK;
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
