
/*
 * Copyright (C) The readiness authors
 */


/*
 * The input is three numbers (spent, time, cost) and a text.  A rate that is
 * read keeps to its bounds, and writes back as a rate with the same numbers;
 * with it, a bucket never gains by draining, and what a view tells comes true
 * at that microsecond and not before.
 */


#include <stdio.h>
#include <stdlib.h>

#include "limit/rdy_rate.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
check_text(const rdy_str_t *text, const rdy_rate_t *rate)
{
    char        again[64];
    rdy_str_t   s;
    rdy_rate_t  other = { 0, 0, 0 };

    check(rate->count >= 1 && rate->count <= 1000000000);
    check(rate->period >= 1 && rate->period <= 366 * 86400);
    check(rate->count * rate->period <= 9000000000000000);
    check(rate->burst == rate->count);

    s.data = (u_char *) again;
    s.len = sprintf(again, "%lur/%lus", (unsigned long) rate->count,
                    (unsigned long) rate->period);

    check(rdy_rate_parse(&s, &other) == RDY_OK);
    check(memcmp(rate, &other, sizeof(rdy_rate_t)) == 0);
}


static void
check_bucket(const rdy_rate_t *rate, uint64_t spent, uint64_t dt,
    uint64_t cost)
{
    rdy_bucket_t     b, later;
    rdy_rate_view_t  view;

    b.spent = spent % 9000000000000000;
    b.at = 1000000;

    later = b;
    rdy_rate_drain(rate, &later, b.at + dt);
    check(later.spent <= b.spent);
    check(later.at <= b.at + dt);

    rdy_rate_view(rate, &b, cost, &view);
    check(view.remaining <= rate->burst);
    check(view.full <= RDY_RATE_FOREVER && view.retry <= RDY_RATE_FOREVER);
    check((view.retry == 0) == rdy_rate_fits(rate, &b, cost));

    if (view.retry && cost <= rate->burst && view.retry < RDY_RATE_FOREVER) {
        later = b;
        rdy_rate_drain(rate, &later, b.at + view.retry - 1);
        check(!rdy_rate_fits(rate, &later, cost));

        later = b;
        rdy_rate_drain(rate, &later, b.at + view.retry);
        check(rdy_rate_fits(rate, &later, cost));
    }

    later = b;
    rdy_rate_charge(&later, cost);
    check(later.spent >= b.spent && later.spent <= 9000000000000000);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t    n[3];
    rdy_str_t   text;
    rdy_rate_t  rate = { 0, 0, 0 };

    if (size < sizeof(n)) {
        return 0;
    }

    memcpy(n, data, sizeof(n));

    text.len = size - sizeof(n);
    text.data = malloc(text.len ? text.len : 1);
    memcpy(text.data, data + sizeof(n), text.len);

    check(rdy_rate_cost(&text) <= RDY_RATE_MAX_COST);

    if (rdy_rate_burst(&text, &rate) == RDY_OK) {
        check(rate.burst >= 1 && rate.burst <= 1000000000);
        check(rdy_rate_cost(&text) == rate.burst);
    }

    if (rdy_rate_parse(&text, &rate) == RDY_OK) {
        check_text(&text, &rate);
        check_bucket(&rate, n[0], n[1], n[2]);
        rate.burst = 1 + n[2] % 1000000000;
        check_bucket(&rate, n[0], n[1], n[2] % 2000000000);
    }

    free(text.data);

    return 0;
}
