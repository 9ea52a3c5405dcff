
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_quota.h"


#define RDY_QUOTA_PARTS      60
#define RDY_QUOTA_FIRST      64         /* number of the one at 0 us: those of
                                           a whole window lie before it */
#define RDY_QUOTA_MAX_COUNT  UINT32_MAX
#define RDY_QUOTA_MAX_WIDTH  1000000000000              /* us */
#define RDY_QUOTA_MAX_TIME   9000000000000000000        /* us */


static uint64_t rdy_quota_width(const rdy_rate_t *rate);
static rdy_uint_t rdy_quota_sound(const rdy_quota_chunk_t *chunk,
    rdy_uint_t place);
static void rdy_quota_advance(rdy_quota_t *q, uint64_t number);
static void rdy_quota_age(rdy_quota_t *q, uint64_t number);
static void rdy_quota_move(rdy_quota_t *q, uint64_t width, uint64_t now);
static void rdy_quota_add(rdy_quota_t *q, uint64_t number, uint64_t cost);
static uint64_t rdy_quota_time(const rdy_quota_t *q, uint64_t now,
    uint64_t spent);


void
rdy_quota_load(rdy_quota_t *q,
    const rdy_quota_chunk_t *const chunk[RDY_QUOTA_CHUNKS])
{
    uint64_t                  number;
    rdy_uint_t                i, n;
    const rdy_quota_chunk_t  *c, *newest;

    memset(q, 0, sizeof(rdy_quota_t));

    newest = NULL;

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
        c = chunk[i];

        if (c && rdy_quota_sound(c, i)
            && (newest == NULL
                || c->number * c->width > newest->number * newest->width))
        {
            newest = c;
        }
    }

    if (newest == NULL) {
        return;
    }

    for (n = RDY_QUOTA_CHUNK - 1; newest->count[n] == 0; n--) { /* void */ }

    q->width = newest->width;
    q->newest = newest->number * RDY_QUOTA_CHUNK + n;

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
        c = chunk[i];

        if (c == NULL || !rdy_quota_sound(c, i) || c->width != q->width) {
            continue;
        }

        for (n = 0; n < RDY_QUOTA_CHUNK; n++) {
            number = c->number * RDY_QUOTA_CHUNK + n;

            if (number <= q->newest
                && q->newest - number < RDY_QUOTA_WINDOWS)
            {
                rdy_quota_add(q, number, c->count[n]);
            }
        }
    }
}


rdy_uint_t
rdy_quota_store(const rdy_quota_t *q, rdy_uint_t place,
    rdy_quota_chunk_t *chunk)
{
    uint64_t    number;
    rdy_uint_t  n, any;

    memset(chunk, 0, sizeof(rdy_quota_chunk_t));

    if (q->width == 0) {
        return 0;
    }

    /* the last chunk up to that of the newest that has this place */

    number = q->newest / RDY_QUOTA_CHUNK;
    n = (number + RDY_QUOTA_CHUNKS - place) % RDY_QUOTA_CHUNKS;

    if (n > number) {
        return 0;
    }

    chunk->number = number - n;
    any = 0;

    for (n = 0; n < RDY_QUOTA_CHUNK; n++) {
        number = chunk->number * RDY_QUOTA_CHUNK + n;

        if (number <= q->newest && q->newest - number < RDY_QUOTA_WINDOWS) {
            chunk->count[n] = q->count[number % RDY_QUOTA_WINDOWS];
            any |= chunk->count[n];
        }
    }

    if (any == 0) {
        chunk->number = 0;
        return 0;
    }

    chunk->width = q->width;

    return 1;
}


rdy_uint_t
rdy_quota_place(const rdy_quota_t *q)
{
    return q->newest / RDY_QUOTA_CHUNK % RDY_QUOTA_CHUNKS;
}


rdy_uint_t
rdy_quota_drain(const rdy_rate_t *rate, rdy_quota_t *q, uint64_t now)
{
    uint64_t  width, number;

    width = rdy_quota_width(rate);
    number = now / width + RDY_QUOTA_FIRST;

    if (q->width == 0 || q->spent == 0) {
        memset(q, 0, sizeof(rdy_quota_t));
        q->width = width;
        q->newest = number;
        return 0;
    }

    if (q->width != width) {
        rdy_quota_move(q, width, now);
        return 1;
    }

    if (number >= q->newest) {
        rdy_quota_advance(q, number);
        return 0;
    }

    if (number + 1 == q->newest) {
        return 0;
    }

    rdy_quota_age(q, number);

    return 1;
}


rdy_uint_t
rdy_quota_fits(const rdy_rate_t *rate, const rdy_quota_t *q, uint64_t cost)
{
    if (cost == 0) {
        return 1;
    }

    return q->spent <= rate->count && cost <= rate->count - q->spent;
}


void
rdy_quota_charge(rdy_quota_t *q, uint64_t cost)
{
    rdy_quota_add(q, q->newest, cost < RDY_RATE_MAX_COST ? cost
                                                         : RDY_RATE_MAX_COST);
}


void
rdy_quota_give_back(rdy_quota_t *q, uint64_t cost)
{
    uint32_t    *count, n;
    rdy_uint_t   i;

    /* the place behind the newest is the oldest's */

    for (i = 1; i <= RDY_QUOTA_WINDOWS && cost; i++) {
        count = &q->count[(q->newest % RDY_QUOTA_WINDOWS + i)
                          % RDY_QUOTA_WINDOWS];

        n = cost < *count ? (uint32_t) cost : *count;

        *count -= n;
        q->spent -= n;
        cost -= n;
    }
}


void
rdy_quota_view(const rdy_rate_t *rate, const rdy_quota_t *q, uint64_t now,
    uint64_t cost, rdy_rate_view_t *view)
{
    view->remaining = q->spent < rate->count ? rate->count - q->spent : 0;
    view->full = rdy_quota_time(q, now, 0);
    view->next = 0;
    view->retry = 0;

    if (view->remaining < rate->count) {
        view->next = rdy_quota_time(q, now,
                                    rate->count - view->remaining - 1);
    }

    if (rdy_quota_fits(rate, q, cost)) {
        return;
    }

    if (cost <= rate->count) {
        view->retry = rdy_quota_time(q, now, rate->count - cost);
        return;
    }

    view->retry = view->full;

    if (view->retry < rate->period * 1000000) {
        view->retry = rate->period * 1000000;
    }
}


static uint64_t
rdy_quota_width(const rdy_rate_t *rate)
{
    return (rate->period * 1000000 + RDY_QUOTA_PARTS - 1) / RDY_QUOTA_PARTS;
}


/* memory may hold anything after a crash */

static rdy_uint_t
rdy_quota_sound(const rdy_quota_chunk_t *chunk, rdy_uint_t place)
{
    rdy_uint_t  n;

    if (chunk->width == 0
        || chunk->width > RDY_QUOTA_MAX_WIDTH
        || chunk->number % RDY_QUOTA_CHUNKS != place
        || chunk->number
           > RDY_QUOTA_MAX_TIME / RDY_QUOTA_CHUNK / chunk->width)
    {
        return 0;
    }

    for (n = 0; n < RDY_QUOTA_CHUNK; n++) {
        if (chunk->count[n]) {
            return 1;
        }
    }

    return 0;
}


static void
rdy_quota_advance(rdy_quota_t *q, uint64_t number)
{
    uint32_t  *count;

    if (number - q->newest >= RDY_QUOTA_WINDOWS) {
        memset(q->count, 0, sizeof(q->count));
        q->spent = 0;
        q->newest = number;
        return;
    }

    while (q->newest < number) {
        q->newest++;

        count = &q->count[q->newest % RDY_QUOTA_WINDOWS];
        q->spent -= *count;
        *count = 0;
    }
}


/* the clock was set back: each count keeps its age */

static void
rdy_quota_age(rdy_quota_t *q, uint64_t number)
{
    rdy_uint_t   i;
    rdy_quota_t  was;

    was = *q;

    for (i = 0; i < RDY_QUOTA_WINDOWS; i++) {
        q->count[(number + i) % RDY_QUOTA_WINDOWS]
            = was.count[(was.newest % RDY_QUOTA_WINDOWS + i)
                        % RDY_QUOTA_WINDOWS];
    }

    q->newest = number;
}


/*
 * Another period: each count goes to the new sub-window of the latest time it
 * may be from.
 */

static void
rdy_quota_move(rdy_quota_t *q, uint64_t width, uint64_t now)
{
    uint64_t     i, newest, number, at;
    rdy_quota_t  was;

    was = *q;

    newest = now / was.width + RDY_QUOTA_FIRST;

    if (newest + 1 < was.newest) {
        rdy_quota_age(&was, newest);
    }

    memset(q, 0, sizeof(rdy_quota_t));

    q->width = width;
    q->newest = now / width + RDY_QUOTA_FIRST;

    for (i = 0; i < RDY_QUOTA_WINDOWS && i <= was.newest; i++) {
        number = was.newest - i;

        at = number < RDY_QUOTA_FIRST
             ? 0 : (number + 1 - RDY_QUOTA_FIRST) * was.width - 1;

        if (at > now) {
            at = now;
        }

        at = at / width + RDY_QUOTA_FIRST;

        if (q->newest - at < RDY_QUOTA_WINDOWS) {
            rdy_quota_add(q, at, was.count[number % RDY_QUOTA_WINDOWS]);
        }
    }
}


static void
rdy_quota_add(rdy_quota_t *q, uint64_t number, uint64_t cost)
{
    uint32_t  *count;

    count = &q->count[number % RDY_QUOTA_WINDOWS];

    if (cost > RDY_QUOTA_MAX_COUNT - *count) {
        cost = RDY_QUOTA_MAX_COUNT - *count;
    }

    *count += (uint32_t) cost;
    q->spent += cost;
}


/* us until no more than `spent` is */

static uint64_t
rdy_quota_time(const rdy_quota_t *q, uint64_t now, uint64_t spent)
{
    uint64_t    left, end;
    rdy_uint_t  i;

    left = q->spent;

    if (left <= spent) {
        return 0;
    }

    for (i = 1; i < RDY_QUOTA_WINDOWS; i++) {
        left -= q->count[(q->newest + i) % RDY_QUOTA_WINDOWS];

        if (left <= spent) {
            break;
        }
    }

    /* the i-th after the newest is the one that takes its place */

    end = (q->newest + i - RDY_QUOTA_FIRST) * q->width;

    return end > now ? end - now : 0;
}
