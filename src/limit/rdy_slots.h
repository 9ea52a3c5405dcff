
/*
 * Copyright (C) The readiness authors
 */


/*
 * Slots of requests in flight, counted in shared memory.  Whoever holds slots
 * renews them every 20 seconds; those of a process that died are free again
 * within 60: a slot counts in the epoch of 20 seconds it was taken or renewed
 * in, and in the two after it.
 *
 * A clock that was set back leaves every slot its age; one that is back by
 * less than two epochs is taken to stand still.
 */


#ifndef _RDY_SLOTS_H_INCLUDED_
#define _RDY_SLOTS_H_INCLUDED_


#include "limit/rdy_rate.h"


#define RDY_SLOTS_EPOCHS  3
#define RDY_SLOTS_WIDTH   20000000              /* us */


/* all zero: none is taken */

typedef struct {
    uint64_t  newest;                           /* epoch: us / 20 s + 3 */
    uint32_t  count[RDY_SLOTS_EPOCHS];          /* by epoch % 3 */
} rdy_slots_t;


/* goes on to `now` (us): what was not renewed in time is free */

void rdy_slots_drain(rdy_slots_t *s, uint64_t now);


/* The calls below take drained slots. */


uint64_t rdy_slots_used(const rdy_slots_t *s);


/* 1 if `cost` more fit, else 0.  A cost of 0 only looks and always fits. */

rdy_uint_t rdy_slots_fits(const rdy_rate_t *rate, const rdy_slots_t *s,
    uint64_t cost);


/*
 * Takes slots, whether they fit or not, and returns the epoch they are counted
 * in, to be given to the next two calls.  A cost over RDY_RATE_MAX_COST counts
 * as that, and a count stays below 2^32.
 */
uint64_t rdy_slots_take(rdy_slots_t *s, uint64_t cost);


/* frees slots of that epoch; nothing if it is over, they are free already */

void rdy_slots_release(rdy_slots_t *s, uint64_t cost, uint64_t epoch);


/*
 * Moves slots to the newest epoch, or takes them anew if theirs is over, and
 * returns the epoch they are counted in now.
 */
uint64_t rdy_slots_renew(rdy_slots_t *s, uint64_t cost, uint64_t epoch);


/*
 * What can be told: next is 0 and retry one second, for nobody knows when a
 * slot will be free; full is 60 seconds if any is taken.
 */
void rdy_slots_view(const rdy_rate_t *rate, const rdy_slots_t *s,
    uint64_t cost, rdy_rate_view_t *view);


#endif /* _RDY_SLOTS_H_INCLUDED_ */
