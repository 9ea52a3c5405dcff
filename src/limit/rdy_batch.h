
/*
 * Copyright (C) The readiness authors
 */


/*
 * One call to Redis that decides many requests: the script, its packed
 * argument and its packed reply.
 *
 *     EVALSHA <sha of rdy_batch_script> <keys> KEY.. CALL LIMITS
 *
 *     KEY..   one for each limit, in the order of LIMITS; the same key may
 *             stand in it several times
 *     CALL    8 bytes of any value, echoed
 *     LIMITS  for each request: rdy_batch_request(), then rdy_batch_limit()
 *             for each of its limits
 *
 * The reply is one bulk string: CALL, then for each request what
 * rdy_batch_reply_request() reads, and what rdy_batch_reply_limit() reads for
 * each of its limits.
 *
 * The limits of one request are all charged or none is; later requests of the
 * call see what earlier ones were charged.  A request that is refused, or
 * whose costs are 0, writes nothing, except what its key would lose: a bucket
 * that drains more slowly now than when its TTL was set is given a longer one.
 * Whatever else stands in a key (another type, a foreign value) is taken for a
 * bucket nothing was spent of.
 */


#ifndef _RDY_BATCH_H_INCLUDED_
#define _RDY_BATCH_H_INCLUDED_


#include "limit/rdy_rate.h"


#define RDY_BATCH_KEYS         128      /* limits in one call */
#define RDY_BATCH_CALL_LEN     8
#define RDY_BATCH_REQUEST_LEN  1
#define RDY_BATCH_LIMIT_LEN    33

/* in the reply */

#define RDY_BATCH_REPLY_REQUEST_LEN  1
#define RDY_BATCH_REPLY_LIMIT_LEN    9


typedef struct {
    const u_char  *pos;
    const u_char  *end;
} rdy_batch_reply_t;


extern const rdy_str_t  rdy_batch_script;


/*
 * Opens a request of n limits, 1 .. RDY_BATCH_KEYS.
 * Writes RDY_BATCH_REQUEST_LEN bytes and returns that length.
 */
size_t rdy_batch_request(u_char *dst, rdy_uint_t n);


/*
 * Adds one limit to the request.  monitor: when over, this limit refuses
 * nobody, and is itself not charged.  A cost of 0 only looks.
 * Writes RDY_BATCH_LIMIT_LEN bytes and returns that length.
 */
size_t rdy_batch_limit(u_char *dst, const rdy_rate_t *rate, uint64_t cost,
    rdy_uint_t monitor);


/*
 * Reads the verdict on the next request: 1 admitted, 0 refused.
 * RDY_ERROR: the reply ends before, or holds no verdict here.
 */
rdy_int_t rdy_batch_reply_request(rdy_batch_reply_t *reply,
    rdy_uint_t *admitted);


/*
 * Reads the next limit of the request: whether its cost fitted, and what is
 * spent after the call, drained to now; b->at is 0, for only Redis knows its
 * time.  A refused request's limits are as they were before it.
 *
 * RDY_ERROR: the reply ends before, or holds no such thing here, as a number
 * that is negative, above 2^60 or none at all.
 */
rdy_int_t rdy_batch_reply_limit(rdy_batch_reply_t *reply, rdy_uint_t *fits,
    rdy_bucket_t *b);


#endif /* _RDY_BATCH_H_INCLUDED_ */
