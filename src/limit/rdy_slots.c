
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_slots.h"


#define RDY_SLOTS_MAX_COUNT  UINT32_MAX
#define RDY_SLOTS_LIFE       60000000           /* us */
#define RDY_SLOTS_RETRY      1000000            /* us */


static uint32_t *rdy_slots_of(rdy_slots_t *s, uint64_t epoch);


void
rdy_slots_drain(rdy_slots_t *s, uint64_t now)
{
    uint32_t    count[RDY_SLOTS_EPOCHS];
    uint64_t    epoch;
    rdy_uint_t  i;

    /* so that two epochs before the first there is one, too */

    epoch = now / RDY_SLOTS_WIDTH + RDY_SLOTS_EPOCHS;

    if (epoch == s->newest || epoch + 1 == s->newest) {
        return;
    }

    if (epoch > s->newest && epoch - s->newest >= RDY_SLOTS_EPOCHS) {
        memset(s->count, 0, sizeof(s->count));
        s->newest = epoch;
        return;
    }

    if (epoch > s->newest) {

        while (s->newest < epoch) {
            s->newest++;
            s->count[s->newest % RDY_SLOTS_EPOCHS] = 0;
        }

        return;
    }

    /* the clock was set back: each keeps its age */

    memcpy(count, s->count, sizeof(count));

    for (i = 0; i < RDY_SLOTS_EPOCHS; i++) {
        s->count[(epoch + i) % RDY_SLOTS_EPOCHS]
            = count[(s->newest % RDY_SLOTS_EPOCHS + i) % RDY_SLOTS_EPOCHS];
    }

    s->newest = epoch;
}


uint64_t
rdy_slots_used(const rdy_slots_t *s)
{
    uint64_t    used;
    rdy_uint_t  i;

    used = 0;

    for (i = 0; i < RDY_SLOTS_EPOCHS; i++) {
        used += s->count[i];
    }

    return used;
}


rdy_uint_t
rdy_slots_fits(const rdy_rate_t *rate, const rdy_slots_t *s, uint64_t cost)
{
    uint64_t  used;

    if (cost == 0) {
        return 1;
    }

    used = rdy_slots_used(s);

    return used <= rate->count && cost <= rate->count - used;
}


uint64_t
rdy_slots_take(rdy_slots_t *s, uint64_t cost)
{
    uint32_t  *count;

    if (cost > RDY_RATE_MAX_COST) {
        cost = RDY_RATE_MAX_COST;
    }

    count = &s->count[s->newest % RDY_SLOTS_EPOCHS];

    *count = cost < RDY_SLOTS_MAX_COUNT - *count
             ? (uint32_t) (*count + cost) : RDY_SLOTS_MAX_COUNT;

    return s->newest;
}


void
rdy_slots_release(rdy_slots_t *s, uint64_t cost, uint64_t epoch)
{
    uint32_t  *count;

    count = rdy_slots_of(s, epoch);

    if (count) {
        *count = cost < *count ? (uint32_t) (*count - cost) : 0;
    }
}


uint64_t
rdy_slots_renew(rdy_slots_t *s, uint64_t cost, uint64_t epoch)
{
    rdy_slots_release(s, cost, epoch);

    return rdy_slots_take(s, cost);
}


void
rdy_slots_view(const rdy_rate_t *rate, const rdy_slots_t *s, uint64_t cost,
    rdy_rate_view_t *view)
{
    uint64_t  used;

    used = rdy_slots_used(s);

    view->remaining = used < rate->count ? rate->count - used : 0;
    view->next = 0;
    view->full = used ? RDY_SLOTS_LIFE : 0;
    view->retry = rdy_slots_fits(rate, s, cost) ? 0 : RDY_SLOTS_RETRY;
}


/* the count of an epoch, NULL when it is over, or not one of this clock */

static uint32_t *
rdy_slots_of(rdy_slots_t *s, uint64_t epoch)
{
    if (epoch > s->newest || s->newest - epoch >= RDY_SLOTS_EPOCHS) {
        return NULL;
    }

    return &s->count[epoch % RDY_SLOTS_EPOCHS];
}
