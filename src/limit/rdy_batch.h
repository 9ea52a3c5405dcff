
/*
 * Copyright (C) The readiness authors
 */


/*
 * One call to Redis that decides many requests: the script, its packed
 * argument and its packed reply.
 *
 *     EVALSHA <sha of rdy_batch_script> <keys> KEY.. CALL OPS
 *
 *     KEY..   one for each operation but rdy_batch_request(), in the order of
 *             OPS; the same key may stand in it several times; none is right
 *             too
 *     CALL    8 bytes of any value, echoed
 *     OPS     rdy_batch_begin(), then the operations: rdy_batch_request()
 *             with rdy_batch_limit() for each of its limits behind it,
 *             rdy_batch_take(), rdy_batch_charge(), rdy_batch_hold()
 *
 * The reply is one bulk string: CALL, then in the order of OPS what the
 * rdy_batch_reply_..() of the same name read; of rdy_batch_charge() nothing.
 *
 * The limits of one request are all charged or none is; later operations of
 * the call see what earlier ones charged.  A request that is refused, or
 * whose costs are 0, writes nothing, except what its key would lose: what has
 * to live longer under the numbers of now, and what a clock that was set back
 * would make live for ever.  Whatever else stands in a key (another type, a
 * foreign value, another kind of limit) is taken for one nothing was spent of.
 */


#ifndef _RDY_BATCH_H_INCLUDED_
#define _RDY_BATCH_H_INCLUDED_


#include "limit/rdy_rate.h"


#define RDY_BATCH_KEYS         128      /* in one call */
#define RDY_BATCH_CALL_LEN     8
#define RDY_BATCH_HOLDER_LEN   8

#define RDY_BATCH_BEGIN_LEN    RDY_BATCH_HOLDER_LEN
#define RDY_BATCH_REQUEST_LEN  1
#define RDY_BATCH_LIMIT_LEN    33
#define RDY_BATCH_TAKE_LEN     42
#define RDY_BATCH_RUN_LEN      34
#define RDY_BATCH_RUN_NEED_LEN 1
#define RDY_BATCH_RUN_NEED     255
#define RDY_BATCH_CHARGE_LEN   34
#define RDY_BATCH_HOLD_LEN     34

/* OPS are never longer */

#define RDY_BATCH_MAX_LEN                                                     \
    (RDY_BATCH_BEGIN_LEN + RDY_BATCH_KEYS * RDY_BATCH_TAKE_LEN)

/* in the reply; of limit and take by the kind of the rate, this at most */

#define RDY_BATCH_REPLY_REQUEST_LEN  1
#define RDY_BATCH_REPLY_LIMIT_LEN    33
#define RDY_BATCH_REPLY_TAKE_LEN     48
#define RDY_BATCH_REPLY_RUN_LEN      24
#define RDY_BATCH_REPLY_HOLD_LEN     8


typedef struct {
    const u_char  *pos;
    const u_char  *end;
} rdy_batch_reply_t;


/* what stands in a key after the operation, at the time of Redis */

typedef struct {
    rdy_bucket_t   bucket;      /* of a bucket: drained, at is 0 */
    uint64_t       total;       /* of a bucket: the requests ever charged to
                                   this key, as long as it lives */

    /* of a quota and of slots */

    uint64_t       used;        /* requests counted, slots taken */
    uint64_t       next;        /* us until one more fits, 0: none is counted */
    uint64_t       retry;       /* us until the cost fits, 0 if it does */
    uint64_t       full;        /* us until none is counted */
} rdy_batch_state_t;


extern const rdy_str_t  rdy_batch_script;


/*
 * Who asks: 8 bytes that no other process uses.  They stand once, at the head
 * of OPS, and own the slots that are taken or held in this call.
 *
 * These calls write as many bytes as their RDY_BATCH_*_LEN says, and return
 * that length.
 */
size_t rdy_batch_begin(u_char *dst, const u_char holder[RDY_BATCH_HOLDER_LEN]);


/* opens a request of n limits, 1 .. RDY_BATCH_KEYS */

size_t rdy_batch_request(u_char *dst, rdy_uint_t n);


/*
 * Adds one limit to the request, of any kind.  monitor: when over, this limit
 * refuses nobody, and is itself not charged.  A cost of 0 only looks.  Of a
 * concurrent one `cost` slots are taken for the holder, whose slots there then
 * all last for 60 seconds.
 */
size_t rdy_batch_limit(u_char *dst, const rdy_rate_t *rate, uint64_t cost,
    rdy_uint_t monitor);


/*
 * A bucket or a quota: `need` requests of cost 1 wait, as many are admitted as
 * fit; then for a lease up to `extra` more, but at most half of what is left.
 * Both are charged.
 */
size_t rdy_batch_take(u_char *dst, const rdy_rate_t *rate, uint64_t need,
    uint64_t extra);


/*
 * The same for n buckets with the same numbers and no lease, at less cost:
 * opens a run, which is followed by rdy_batch_run_need() for each of them,
 * need being 1 .. RDY_BATCH_RUN_NEED.
 */
size_t rdy_batch_run(u_char *dst, const rdy_rate_t *rate, rdy_uint_t n);
size_t rdy_batch_run_need(u_char *dst, rdy_uint_t need);


/*
 * Charges what was admitted elsewhere, whether it fits or not, or gives back
 * what was not used: of a bucket in millionths of a request, of a quota in
 * requests.  The total of a bucket counts whole requests charged, and nothing
 * given back.
 */
size_t rdy_batch_charge(u_char *dst, const rdy_rate_t *rate, uint64_t amount,
    rdy_uint_t back);


/*
 * The holder holds `count` slots here for `ms` from now, whatever it held
 * before; 0: none any more.
 */
size_t rdy_batch_hold(u_char *dst, uint64_t ms, uint64_t count);


/*
 * Reads the verdict on the next request: 1 admitted, 0 refused.
 *
 * These calls return RDY_ERROR and leave all as it was where the reply ends
 * before, or holds no such thing here, as a number that is negative, above
 * 2^60 or none at all.
 */
rdy_int_t rdy_batch_reply_request(rdy_batch_reply_t *reply,
    rdy_uint_t *admitted);


/*
 * Reads the next limit of the request: whether its cost fitted, and what is
 * counted after the call.  A refused request's limits are as they were before
 * it.
 */
rdy_int_t rdy_batch_reply_limit(rdy_batch_reply_t *reply,
    const rdy_rate_t *rate, rdy_uint_t *fits, rdy_batch_state_t *state);


/* how many of those who waited are admitted, and how many more were taken */

rdy_int_t rdy_batch_reply_take(rdy_batch_reply_t *reply,
    const rdy_rate_t *rate, uint64_t *got, uint64_t *extra,
    rdy_batch_state_t *state);


/* the same for the next bucket of a run */

rdy_int_t rdy_batch_reply_run(rdy_batch_reply_t *reply, uint64_t *got,
    rdy_batch_state_t *state);


/* what all holders hold who have not expired */

rdy_int_t rdy_batch_reply_hold(rdy_batch_reply_t *reply, uint64_t *sum);


/*
 * What can be told about the state, as rdy_rate_view() does.  The cost is the
 * one that was asked for: retry of a quota is of that cost, and of 1 after
 * rdy_batch_take().
 */
void rdy_batch_view(const rdy_rate_t *rate, const rdy_batch_state_t *state,
    uint64_t cost, rdy_rate_view_t *view);


#endif /* _RDY_BATCH_H_INCLUDED_ */
