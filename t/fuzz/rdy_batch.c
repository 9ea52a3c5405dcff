
/*
 * Copyright (C) The readiness authors
 */


/*
 * A reply of any bytes: the first says how many limits each request has, and of
 * which kind; behind each request a take and a hold are read.  It is never read
 * past its end, what is read is in bounds, and each successful read moves on by
 * exactly its length; a failed one does not move.
 */


#include <stdlib.h>

#include "limit/rdy_batch.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


#define FUZZ_MOST  ((uint64_t) 1 << 60)


static const rdy_rate_t  rates[] = {
    { 1, 1, 1, RDY_RATE_BUCKET },
    { 1, 1, 1, RDY_RATE_QUOTA },
    { 1, 1, 1, RDY_RATE_CONCURRENT }
};

static const size_t  lengths[] = { 16, 32, 8 };


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
check_state(const rdy_rate_t *rate, const rdy_batch_state_t *state)
{
    rdy_rate_view_t  view;

    check(state->bucket.at == 0 && state->bucket.spent <= FUZZ_MOST
          && state->total <= FUZZ_MOST && state->used <= FUZZ_MOST
          && state->next <= FUZZ_MOST && state->retry <= FUZZ_MOST
          && state->full <= FUZZ_MOST);

    rdy_batch_view(rate, state, 1, &view);
    check(view.remaining <= rate->burst);
}


static rdy_int_t
read_request(rdy_batch_reply_t *reply, rdy_uint_t n, rdy_uint_t kind)
{
    uint64_t            got, extra, sum;
    rdy_int_t           rc;
    rdy_uint_t          flag;
    const u_char       *pos;
    rdy_batch_state_t   state;

    pos = reply->pos;
    rc = rdy_batch_reply_request(reply, &flag);
    check(rc == RDY_ERROR || (rc == RDY_OK && flag <= 1));
    check(reply->pos == pos + (rc == RDY_OK ? RDY_BATCH_REPLY_REQUEST_LEN
                                            : 0));

    while (rc == RDY_OK && n--) {
        pos = reply->pos;
        rc = rdy_batch_reply_limit(reply, &rates[kind], &flag, &state);

        check(reply->pos == pos + (rc == RDY_OK ? 1 + lengths[kind] : 0));

        if (rc == RDY_OK) {
            check(flag <= 1);
            check_state(&rates[kind], &state);
        }
    }

    if (rc == RDY_OK) {
        pos = reply->pos;
        rc = rdy_batch_reply_take(reply, &rates[kind], &got, &extra, &state);

        check(reply->pos == pos + (rc == RDY_OK ? 16 + lengths[kind] : 0));

        if (rc == RDY_OK) {
            check(got <= FUZZ_MOST && extra <= FUZZ_MOST);
            check_state(&rates[kind], &state);
        }
    }

    if (rc == RDY_OK) {
        pos = reply->pos;
        rc = rdy_batch_reply_hold(reply, &sum);

        check(reply->pos == pos + (rc == RDY_OK ? RDY_BATCH_REPLY_HOLD_LEN
                                                : 0));
        check(rc == RDY_ERROR || sum <= FUZZ_MOST);
    }

    check(reply->pos <= reply->end);

    return rc;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char             *copy;
    rdy_batch_reply_t   reply;

    if (size == 0) {
        return 0;
    }

    copy = malloc(size);
    memcpy(copy, data, size);

    reply.pos = copy + 1;
    reply.end = copy + size;

    while (read_request(&reply, 1 + data[0] % 4, data[0] / 4 % 3) == RDY_OK) {
        /* void */
    }

    free(copy);

    return 0;
}
