
/*
 * Copyright (C) The readiness authors
 */


/*
 * The arithmetic of one rate: a bucket of `burst` requests that drains evenly
 * at `count` requests per `period` seconds.
 *
 * What a bucket remembers is how much was spent, in millionths of a request,
 * and since when it drains.  Nothing in it depends on the numbers of the rate,
 * so other numbers (a reload, another plan) apply at once, and what was spent
 * stays spent.  A drain is whole millionths, rounded down; the time that did
 * not make up a whole one stays in `at`, so that a key asked for every
 * microsecond drains as fast as one asked for once a day.
 *
 * Every number here stays below 9 * 10^15, where the doubles of the Redis
 * script are exact too: both sides come to the same bucket.
 */


#ifndef _RDY_RATE_H_INCLUDED_
#define _RDY_RATE_H_INCLUDED_


#include "rdy_base.h"


#define RDY_RATE_UNIT      1000000              /* one request */
#define RDY_RATE_MAX_COST  1000000000           /* requests */
#define RDY_RATE_FOREVER   4000000000000000     /* us, about 126 years */


typedef enum {
    RDY_RATE_BUCKET = 0,        /* rate=: rdy_rate_fits() and its companions */
    RDY_RATE_QUOTA,             /* quota=: at most count in any period */
    RDY_RATE_CONCURRENT         /* concurrent=: at most count in flight */
} rdy_rate_kind_e;


typedef struct {
    uint64_t         count;     /* requests, 1 .. 10^9 */
    uint64_t         period;    /* seconds, 1 .. 366 days; 60 of slots; of a
                                   share up to 4 * 10^9 */
    uint64_t         burst;     /* requests, 1 .. 10^9; count of all but
                                   a bucket */
    rdy_rate_kind_e  kind;
} rdy_rate_t;


#define rdy_rate_same(a, b)                                                   \
    ((a)->count == (b)->count && (a)->period == (b)->period                   \
     && (a)->burst == (b)->burst && (a)->kind == (b)->kind)


typedef struct {
    uint64_t   spent;           /* millionths of a request */
    uint64_t   at;              /* us: drained up to here */
} rdy_bucket_t;


typedef struct {
    uint64_t   remaining;       /* whole requests that fit now */
    uint64_t   next;            /* us until one more fits, 0 when full */
    uint64_t   full;            /* us until the bucket is full again */
    uint64_t   retry;           /* us until the cost fits, 0 if it does */
} rdy_rate_view_t;


/*
 * Reads "100r/m", "5r/15m", "1000r/s": a count, "r/", an optional number and
 * one of s m h d.  Sets count and period, burst to the count, and
 * the kind to RDY_RATE_BUCKET.
 *
 * RDY_ERROR: another form, a number out of the bounds above, or
 * count * period over 9 * 10^15; *rate is then untouched.
 */
rdy_int_t rdy_rate_parse(const rdy_str_t *text, rdy_rate_t *rate);


/*
 * Reads a quota, "100/1d", "10000/h": a count, "/", an optional number and one
 * of s m h d.  Sets count and burst to the count, the period, and the kind to
 * RDY_RATE_QUOTA.  RDY_ERROR: another form, or a number out of the bounds
 * above; *rate is then untouched.
 */
rdy_int_t rdy_rate_quota(const rdy_str_t *text, rdy_rate_t *rate);


/*
 * Reads how many may be in flight, a whole number 1 .. 10^9.  Sets count and
 * burst to it, the period to 60, and the kind to RDY_RATE_CONCURRENT.
 * RDY_ERROR: anything else; *rate is then untouched.
 */
rdy_int_t rdy_rate_concurrent(const rdy_str_t *text, rdy_rate_t *rate);


/*
 * The part / whole (0 < part <= whole <= 2^32) of the numbers, rounded down,
 * but never less than one request.  A bucket's count and period become those
 * nearest to the exact fraction that all sums here can bear, so that a small
 * part of a slow rate is a slower rate and not none; of the other kinds only
 * the count is divided.
 */
void rdy_rate_share(const rdy_rate_t *rate, uint64_t part, uint64_t whole,
    rdy_rate_t *mine);


/*
 * Reads the burst, a whole number 1 .. 10^9.
 * RDY_ERROR: anything else; *rate is then untouched.
 */
rdy_int_t rdy_rate_burst(const rdy_str_t *text, rdy_rate_t *rate);


/*
 * The cost of one request in requests: a whole number 0 .. 10^9 in digits,
 * leading zeros allowed.  Anything else, from an empty text to 2^63, counts 1:
 * what a client can write must neither be free nor empty the bucket.
 */
uint64_t rdy_rate_cost(const rdy_str_t *text);


/*
 * Takes from the bucket what has drained until `now` (us).  A clock that was
 * set back drains nothing and goes on from its new time; what was spent stays.
 */
void rdy_rate_drain(const rdy_rate_t *rate, rdy_bucket_t *b, uint64_t now);


/*
 * 1 if `cost` requests fit into the drained bucket, else 0.  A cost of 0 only
 * looks and always fits.
 */
rdy_uint_t rdy_rate_fits(const rdy_rate_t *rate, const rdy_bucket_t *b,
    uint64_t cost);


/*
 * Charges the cost, whether it fits or not: what was admitted elsewhere may be
 * charged afterwards.  A cost over RDY_RATE_MAX_COST counts as that, and the
 * bucket never holds more than 9 * 10^15.
 */
void rdy_rate_charge(rdy_bucket_t *b, uint64_t cost);


/*
 * What can be told about a drained bucket.  Times are rounded up to whole
 * microseconds: that much later, and not before, the requests do fit.
 * A cost that never fits, being over the burst, is told to come back when the
 * bucket is full, or after one period if that is later.  No time is longer
 * than RDY_RATE_FOREVER.
 */
void rdy_rate_view(const rdy_rate_t *rate, const rdy_bucket_t *b,
    uint64_t cost, rdy_rate_view_t *view);


/*
 * Seconds in which an empty bucket's worth of burst refills, rounded up: w= of
 * RateLimit-Policy.  At most 15 digits, as structured fields allow.  Of the
 * other kinds it is the period.
 */
uint64_t rdy_rate_window(const rdy_rate_t *rate);


/* microseconds as whole seconds, rounded up */

uint64_t rdy_rate_seconds(uint64_t us);


#endif /* _RDY_RATE_H_INCLUDED_ */
