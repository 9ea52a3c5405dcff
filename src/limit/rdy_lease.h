
/*
 * Copyright (C) The readiness authors
 */


/*
 * What one nginx remembers of a key that is counted elsewhere: until when it
 * is refused, the permits it holds on lease, what was last known of the
 * bucket, and how much of the key's traffic is its own.
 *
 * A lease is charged when it is fetched.  It starts at the fourth miss in
 * quick succession and doubles while it is used up within half of
 * RDY_LEASE_QUICK, so that nobody holds much more than it has just used; a
 * permit is void after RDY_LEASE_LIFE, and then given back less what the
 * bucket has refilled meanwhile.
 *
 * Times are microseconds of one monotonic clock, that of the machine; the
 * struct keeps some of them as milliseconds that wrap, which is why each is
 * only believed within a few seconds of now.  It lives in memory shared by
 * processes that may be killed anywhere: whatever stands in it, no function
 * here does worse than to ask, or to refuse for RDY_LEASE_CAP.
 */


#ifndef _RDY_LEASE_H_INCLUDED_
#define _RDY_LEASE_H_INCLUDED_


#include "limit/rdy_rate.h"


#define RDY_LEASE_MAX      4096         /* permits */
#define RDY_LEASE_QUICK    250000       /* us */
#define RDY_LEASE_LIFE     1000000
#define RDY_LEASE_PAUSE    50000
#define RDY_LEASE_SPREAD   100000
#define RDY_LEASE_FAR      1000000      /* ends nearer than that not spread */
#define RDY_LEASE_CAP      5000000
#define RDY_LEASE_FETCH    1000000      /* no call takes longer */


typedef struct {
    uint64_t      refused;      /* us: nothing fits before that */
    uint64_t      paused;       /* us: not asked before that */
    rdy_bucket_t  known;        /* at Redis, drained to at; of a quota the
                                   requests counted; our own in an outage */
    uint64_t      base;         /* running total at the last answer; in an
                                   outage: us, what was known is drained then */
    uint32_t      mark;         /* of the numbers that refused and paused
                                   stand for */
    uint32_t      cost;         /* and the least cost */
    uint32_t      miss;         /* ms, of the last call */
    uint32_t      fetch;        /* ms: a call with a lease is under way */
    uint32_t      held_at[2];   /* ms, the older permits first */
    uint16_t      held[2];
    uint16_t      size;         /* quarters of a permit */
    uint8_t       skip;         /* requests that the pause refuses yet */
    unsigned      later:7;      /* ms: refused is told to last longer */
    unsigned      outage:1;
    uint32_t      believed;     /* ms: refused is, until then */
    uint16_t      own;          /* permits of this nginx, and of all */
    uint16_t      all;
} rdy_lease_t;


typedef enum {
    RDY_LEASE_ASK = 0,
    RDY_LEASE_HELD,
    RDY_LEASE_REFUSED
} rdy_lease_e;


/* what came back of a call */

typedef struct {
    uint64_t      sent;         /* us, when the call was */
    uint64_t      cost;         /* of one request */
    uint64_t      got;          /* requests admitted, times their cost */
    uint64_t      asked;        /* lease */
    uint64_t      extra;        /* and what was got of it */
    uint64_t      total;        /* running total of the key, of a quota the
                                   requests counted */
    rdy_bucket_t  known;        /* at: now */
    uint64_t      until;        /* us from now until one such request fits, 0
                                   if it does */
    uint32_t      random;       /* any */
} rdy_lease_answer_t;


/* a number for the numbers of a rate */
uint32_t rdy_lease_mark(const rdy_rate_t *rate);


/*
 * What becomes of a request of this cost, 1 or more.  RDY_LEASE_HELD: permits
 * were taken, *told is the date of the oldest, us; RDY_LEASE_REFUSED: *told is
 * for how long it would be in vain, us, the same for whoever shares the key;
 * RDY_LEASE_ASK.  lease is the rate's, 0 for an exact limit.
 */
rdy_lease_e rdy_lease_check(rdy_lease_t *l, const rdy_rate_t *rate,
    uint64_t cost, uint64_t lease, uint64_t now, uint64_t *told);


/* puts back what rdy_lease_check() took; date is what it told */
void rdy_lease_put_back(rdy_lease_t *l, uint64_t cost, uint64_t date,
    uint64_t now);


/*
 * Called for each call that is to be sent for the key: how many permits to ask
 * for beyond what waits for the call, 0 .. lease - 1.
 */
uint64_t rdy_lease_size(rdy_lease_t *l, uint64_t lease, uint64_t now);


/*
 * 1: so little is spent that the answer need not be taken in, if the limit is
 * exact.  A bucket like that is as good as a full one in an outage.
 */
rdy_uint_t rdy_lease_far(const rdy_rate_t *rate, uint64_t spent);


/*
 * Takes in the answer to a call; lease as in rdy_lease_check().  Answers may
 * be left out where rdy_lease_far().
 */
void rdy_lease_answer(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t lease,
    const rdy_lease_answer_t *answer, uint64_t now);


/*
 * Takes out the permits whose life is over, and returns how many of them are
 * to be given back.  Of those from before `since`, us, none are.
 */
uint64_t rdy_lease_old(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t since,
    uint64_t now);


/* permits that can be used now */
uint64_t rdy_lease_held(const rdy_lease_t *l, uint64_t now);


/* us until the life of the first of them is over, 0 if there are none */
uint64_t rdy_lease_end(const rdy_lease_t *l, uint64_t now);


/*
 * This nginx's part of the key's traffic, as part/whole: measured, or one of
 * `instances` (0 counts as 1) where fewer than 8 permits were seen.  Never
 * nothing: where all that was seen went to others, one permit more is.
 */
void rdy_lease_share(const rdy_lease_t *l, uint64_t instances, uint64_t *part,
    uint64_t *whole);


/*
 * Redis is away: l->known becomes this nginx's own bucket of a rate (of kind
 * RDY_RATE_BUCKET), for the numbers that are written to *mine, with its part
 * of what was left.  To be called for every decision; does nothing to l but
 * for the first.
 */
void rdy_lease_outage(rdy_lease_t *l, const rdy_rate_t *rate,
    uint64_t instances, uint64_t now, rdy_rate_t *mine);


/*
 * Redis is back: ends the outage and returns what the bucket there is to be
 * charged, in millionths of a request: what was admitted here and has not
 * drained since.  0 if there was no outage: nothing is told twice.
 */
uint64_t rdy_lease_owed(rdy_lease_t *l, const rdy_rate_t *rate,
    uint64_t instances, uint64_t now);


#endif /* _RDY_LEASE_H_INCLUDED_ */
