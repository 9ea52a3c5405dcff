
/*
 * Copyright (C) The readiness authors
 */


/*
 * Chunks of any content, as memory shared with a process that died, then a few
 * steps on them.  Whatever they hold, the sum is that of the counts, what is
 * stored is read back the same, and a window later nothing is counted.
 */


#include <stdlib.h>

#include "limit/rdy_quota.h"


#define FUZZ_NOW  1800000000000000


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
check_sum(const rdy_quota_t *q)
{
    uint64_t    sum;
    rdy_uint_t  i;

    sum = 0;

    for (i = 0; i < RDY_QUOTA_WINDOWS; i++) {
        sum += q->count[i];
    }

    check(sum == q->spent);
}


static void
check_stored(const rdy_quota_t *q)
{
    rdy_uint_t                i;
    rdy_quota_t               again;
    rdy_quota_chunk_t         chunk[RDY_QUOTA_CHUNKS];
    const rdy_quota_chunk_t  *c[RDY_QUOTA_CHUNKS];

    check(rdy_quota_place(q) < RDY_QUOTA_CHUNKS);

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
        c[i] = rdy_quota_store(q, i, &chunk[i]) ? &chunk[i] : NULL;
    }

    rdy_quota_load(&again, c);
    check(again.spent == q->spent);
    check(again.spent == 0
          || memcmp(again.count, q->count, sizeof(again.count)) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t                  now;
    rdy_rate_t                rate = { 10, 60, 10, RDY_RATE_QUOTA };
    rdy_uint_t                i;
    rdy_quota_t               q;
    rdy_rate_view_t           view;
    rdy_quota_chunk_t         chunk[RDY_QUOTA_CHUNKS];
    const rdy_quota_chunk_t  *c[RDY_QUOTA_CHUNKS];

    if (size < 1) {
        return 0;
    }

    memset(chunk, 0, sizeof(chunk));
    memcpy(chunk, data + 1, size - 1 < sizeof(chunk) ? size - 1
                                                     : sizeof(chunk));

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
        c[i] = data[0] & (1 << i) ? &chunk[i] : NULL;
    }

    rate.period = data[0] & 0x80 ? 366 * 86400 : data[0] & 0x40 ? 1 : 60;
    now = data[0] & 0x20 ? FUZZ_NOW : 0;

    rdy_quota_load(&q, c);
    check_sum(&q);
    check(q.width != 0 || q.spent == 0);
    check_stored(&q);

    (void) rdy_quota_drain(&rate, &q, now);
    check_sum(&q);
    check_stored(&q);

    rdy_quota_view(&rate, &q, now, 1, &view);
    check(view.full <= rate.period * 1000000 * 62 / 60 + 100);
    check(view.next <= view.full);

    rdy_quota_charge(&q, 3);
    check_sum(&q);
    check_stored(&q);

    rdy_quota_give_back(&q, 4);
    check_sum(&q);

    (void) rdy_quota_drain(&rate, &q, now + rate.period * 1000000 * 62 / 60
                                      + 200);
    check(q.spent == 0);

    return 0;
}
