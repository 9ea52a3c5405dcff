
/*
 * Copyright (C) The readiness authors
 */


/*
 * A quota: never more than `count` requests in any window of `period` seconds.
 *
 * Time is cut into sub-windows of a sixtieth of the period.  What was counted
 * in one leaves when 60 whole ones lie behind it: a permit comes back at most
 * a sixtieth of the period (and the microseconds by which its length is
 * rounded up, 60 at most) too late, and never too early.
 *
 * Nothing but the length of a sub-window depends on the numbers of the rate.
 * Under another period each count moves to the sub-window of the latest time
 * it may be from.  Of two periods that do not divide each other, and are used
 * on one key in turn, each change may so add a sub-window to its age.
 *
 * A clock that was set back leaves every count its age.  One that is back by
 * less than two sub-windows, as the clocks of two processes are, is taken to
 * stand still: otherwise each such look would age the counts.
 */


#ifndef _RDY_QUOTA_H_INCLUDED_
#define _RDY_QUOTA_H_INCLUDED_


#include "limit/rdy_rate.h"


#define RDY_QUOTA_WINDOWS  61           /* 60 and the one that runs */
#define RDY_QUOTA_CHUNK    16           /* sub-windows kept together */
#define RDY_QUOTA_CHUNKS   5            /* as many as 61 can touch */


typedef struct {
    uint64_t  width;            /* us of a sub-window, 0: nothing counted */
    uint64_t  newest;           /* number of the newest sub-window */
    uint64_t  spent;            /* the sum of all counts */
    uint32_t  count[RDY_QUOTA_WINDOWS];     /* by number % 61 */
} rdy_quota_t;


/*
 * As kept in a cell of the table: the sub-windows number * 16 up to
 * number * 16 + 15.  Its place is number % 5.  All zero: nothing is counted.
 */

typedef struct {
    uint64_t  width;
    uint64_t  number;
    uint32_t  count[RDY_QUOTA_CHUNK];
} rdy_quota_chunk_t;


/*
 * Puts the chunks together, by place; NULL: there is none.  One too old to
 * count, as of an earlier lap, and one that cannot be, are ignored.
 */
void rdy_quota_load(rdy_quota_t *q,
    const rdy_quota_chunk_t *const chunk[RDY_QUOTA_CHUNKS]);


/*
 * Writes what belongs at this place.  0: nothing does, the chunk is zeroed.
 */
rdy_uint_t rdy_quota_store(const rdy_quota_t *q, rdy_uint_t place,
    rdy_quota_chunk_t *chunk);


/* the place of the newest sub-window */

rdy_uint_t rdy_quota_place(const rdy_quota_t *q);


/*
 * Goes on to `now` (us): what has left the window is dropped.  Returns 1 when
 * all places have to be stored, as after a change of the period or of the
 * clock; 0 when a charge will change only the newest.
 */
rdy_uint_t rdy_quota_drain(const rdy_rate_t *rate, rdy_quota_t *q,
    uint64_t now);


/* The calls below take a drained quota. */


/* 1 if `cost` more fit, else 0.  A cost of 0 only looks and always fits. */

rdy_uint_t rdy_quota_fits(const rdy_rate_t *rate, const rdy_quota_t *q,
    uint64_t cost);


/*
 * Charges the cost, whether it fits or not, at the newest place.  A cost over
 * RDY_RATE_MAX_COST counts as that, and a count stays below 2^32.
 */
void rdy_quota_charge(rdy_quota_t *q, uint64_t cost);


/*
 * Takes back as much, from the oldest counts on: what is left then lasts too
 * long rather than too short.  All places have to be stored.
 */
void rdy_quota_give_back(rdy_quota_t *q, uint64_t cost);


/*
 * What can be told, as rdy_rate_view() does.  A cost over the count is told to
 * come back when nothing is spent, or after one period if that is later.
 */
void rdy_quota_view(const rdy_rate_t *rate, const rdy_quota_t *q,
    uint64_t now, uint64_t cost, rdy_rate_view_t *view);


#endif /* _RDY_QUOTA_H_INCLUDED_ */
