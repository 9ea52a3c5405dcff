
/*
 * Copyright (C) The readiness authors
 */


/*
 * A reply of any bytes: the first says how many limits each request has.  It
 * is never read past its end, what is read is in bounds, and each successful
 * read moves on by exactly its length; a failed one does not move.
 */


#include <stdlib.h>

#include "limit/rdy_batch.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static const rdy_rate_t  bucket = { 1, 1, 1, RDY_RATE_BUCKET };


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static rdy_int_t
read_request(rdy_batch_reply_t *reply, rdy_uint_t n)
{
    rdy_int_t      rc;
    rdy_uint_t     flag;
    rdy_batch_state_t  b;
    const u_char  *pos;

    pos = reply->pos;
    rc = rdy_batch_reply_request(reply, &flag);
    check(rc == RDY_ERROR || (rc == RDY_OK && flag <= 1));
    check(reply->pos == pos + (rc == RDY_OK ? RDY_BATCH_REPLY_REQUEST_LEN
                                            : 0));

    while (rc == RDY_OK && n--) {
        pos = reply->pos;
        rc = rdy_batch_reply_limit(reply, &bucket, &flag, &b);

        check(rc == RDY_ERROR
              || (flag <= 1 && b.bucket.at == 0 && b.bucket.spent <= (uint64_t) 1 << 60));
        check(reply->pos == pos + (rc == RDY_OK ? 17
                                                : 0));
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

    while (read_request(&reply, 1 + data[0] % 4) == RDY_OK) { /* void */ }

    free(copy);

    return 0;
}
