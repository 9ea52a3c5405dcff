
/*
 * Copyright (C) The readiness authors
 */


/*
 * What this nginx knows of keys that are counted in Redis, shared by its
 * workers: until when they are refused, and permits held on lease.
 *
 * Keys of exact limits that are far from spent are not kept, and while no key
 * is known to be spent nobody looks: that costs one comparison.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"


static void ngx_readiness_known_view(ngx_readiness_state_t *state,
    const rdy_lease_t *lease, uint64_t now, uint64_t retry);
static uint64_t ngx_readiness_known_full(const ngx_readiness_rate_t *rate,
    const rdy_rate_t *numbers, const rdy_lease_answer_t *answer);
static rdy_lease_t *ngx_readiness_known_find(const ngx_readiness_rate_t *rate,
    const uint64_t hash[2]);


void
ngx_readiness_known_check(ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t              i;
    ngx_readiness_state_t  *state;

    for (i = ctx->first; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (state->asked && state->rate->redis && state->cost
            && state->numbers.kind != RDY_RATE_CONCURRENT)
        {
            (void) ngx_readiness_known_one(state);
        }
    }
}


ngx_uint_t
ngx_readiness_known_one(ngx_readiness_state_t *state)
{
    uint64_t      now, told;
    rdy_lease_e   found;
    rdy_lease_t  *lease;

    if (state->rate->lease == 0
        && ngx_readiness_now() >= ngx_readiness_zone_own->shared->spent_until)
    {
        return 0;
    }

    ngx_readiness_state_hash(state);

    told = 0;
    found = RDY_LEASE_ASK;

    ngx_readiness_zone_lock();

    /* not before: what others have dated meanwhile must not be to come */

    now = ngx_readiness_now();
    lease = ngx_readiness_known_find(state->rate, state->hash);

    if (lease) {
        found = rdy_lease_check(lease, &state->numbers, state->cost,
                                state->rate->lease, now, &told);

        if (found != RDY_LEASE_ASK) {
            ngx_readiness_known_view(state, lease, now,
                                     found == RDY_LEASE_REFUSED ? told : 0);
        }
    }

    ngx_readiness_zone_unlock();

    if (found == RDY_LEASE_ASK) {
        return 0;
    }

    state->asked = 0;
    state->decided = 1;

    if (found == RDY_LEASE_REFUSED) {
        state->refused = 1;
        state->source = NGX_READINESS_SOURCE_CACHE;
        return 1;
    }

    state->charged = NGX_READINESS_CHARGED_LEASE;
    state->charged_at = told;
    state->source = NGX_READINESS_SOURCE_LEASE;

    return 1;
}


/* what can be told of a key that is counted elsewhere */

static void
ngx_readiness_known_view(ngx_readiness_state_t *state,
    const rdy_lease_t *lease, uint64_t now, uint64_t retry)
{
    rdy_bucket_t      known;
    rdy_rate_view_t  *view;

    view = &state->view;
    known = lease->known;

    if (state->numbers.kind == RDY_RATE_BUCKET) {
        rdy_rate_drain(&state->numbers, &known, now);
        rdy_rate_view(&state->numbers, &known, state->cost, view);
        view->remaining += rdy_lease_held(lease, now);

    } else {
        view->remaining = state->numbers.count
                          - ngx_min(state->numbers.count, known.spent);
        view->next = retry;
        view->full = state->numbers.period * 1000000;
    }

    view->retry = retry;

    if (retry) {
        view->remaining = ngx_min(view->remaining, state->cost - 1);
        view->full = ngx_max(view->full, retry);
    }
}


void
ngx_readiness_known_put_back(ngx_readiness_state_t *state)
{
    rdy_lease_t  *lease;

    ngx_readiness_zone_lock();

    lease = ngx_readiness_known_find(state->rate, state->hash);

    if (lease) {
        rdy_lease_put_back(lease, state->cost, state->charged_at,
                           ngx_readiness_now());
    }

    ngx_readiness_zone_unlock();
}


uint64_t
ngx_readiness_known_size(const ngx_readiness_rate_t *rate,
    const uint64_t hash[2])
{
    uint64_t     now, size;
    ngx_uint_t   evicted;
    rdy_cell_t  *cell;

    ngx_readiness_zone_lock();

    now = ngx_readiness_now();
    rdy_cells_begin(ngx_readiness_zone_own->cells);

    cell = rdy_cells_get(ngx_readiness_zone_own->cells, rate->cell, hash, now,
                         &evicted);

    cell->full_at = ngx_max(cell->full_at, now + RDY_LEASE_CAP);
    size = rdy_lease_size(ngx_readiness_cell_lease(cell), rate->lease, now);

    ngx_readiness_zone_unlock();

    return size;
}


uint64_t
ngx_readiness_known_answer(const ngx_readiness_rate_t *rate,
    const rdy_rate_t *numbers, const ngx_str_t *key, uint64_t hash[2],
    ngx_uint_t *hashed, rdy_lease_answer_t *answer)
{
    uint64_t                 now, end, owed;
    ngx_uint_t               far, evicted;
    rdy_cell_t              *cell;
    rdy_lease_t             *lease;
    ngx_readiness_shared_t  *shared;

    shared = ngx_readiness_zone_own->shared;

    far = (rate->lease == 0 && answer->until == 0
           && rdy_lease_far(numbers, answer->known.spent));

    if (far && shared->owed_until == 0) {
        return 0;
    }

    now = ngx_readiness_now();

    if (far && now >= shared->owed_until) {
        return 0;
    }

    if (!*hashed) {
        ngx_readiness_zone_hash(rate, key, hash);
        *hashed = 1;
    }

    answer->random = (uint32_t) ngx_random();

    if (numbers->kind != RDY_RATE_BUCKET) {
        answer->total = answer->known.spent;
    }

    owed = 0;

    ngx_readiness_zone_lock();

    now = ngx_readiness_now();
    answer->known.at = now;

    rdy_cells_begin(ngx_readiness_zone_own->cells);

    if (far) {
        lease = ngx_readiness_known_find(rate, hash);

        if (lease && lease->outage) {
            owed = ngx_readiness_owed_settle(rate, numbers, hash, lease, now);
        }

        ngx_readiness_zone_unlock();

        return owed;
    }

    cell = rdy_cells_get(ngx_readiness_zone_own->cells, rate->cell, hash, now,
                         &evicted);
    lease = ngx_readiness_cell_lease(cell);

    if (lease->outage) {
        owed = ngx_readiness_owed_settle(rate, numbers, hash, lease, now);
    }

    rdy_lease_answer(lease, numbers, rate->lease, answer, now);

    cell->full_at = now + ngx_readiness_known_full(rate, numbers, answer);

    if (answer->until) {
        end = now + ngx_min(answer->until + RDY_LEASE_SPREAD, RDY_LEASE_CAP);
        shared->spent_until = ngx_max(shared->spent_until, end);
    }

    ngx_readiness_zone_unlock();

    return owed;
}


/* us that an answer is of use */

static uint64_t
ngx_readiness_known_full(const ngx_readiness_rate_t *rate,
    const rdy_rate_t *numbers, const rdy_lease_answer_t *answer)
{
    if (rate->on_error != NGX_READINESS_REDIS_LOCAL) {
        return RDY_LEASE_CAP;
    }

    /* in an outage, until the bucket has drained */

    if (numbers->kind == RDY_RATE_BUCKET) {
        return RDY_LEASE_CAP
               + answer->known.spent / numbers->count * numbers->period;
    }

    return RDY_LEASE_CAP + numbers->period * 1000000;
}


uint64_t
ngx_readiness_known_old(const ngx_readiness_rate_t *rate,
    const rdy_rate_t *numbers, const uint64_t hash[2], uint64_t since,
    uint64_t *end)
{
    uint64_t      n, now;
    rdy_lease_t  *lease;

    n = 0;
    *end = 0;

    ngx_readiness_zone_lock();

    now = ngx_readiness_now();
    lease = ngx_readiness_known_find(rate, hash);

    if (lease) {
        n = rdy_lease_old(lease, numbers, since, now);
        *end = rdy_lease_end(lease, now);
    }

    ngx_readiness_zone_unlock();

    return n;
}


/* the lock is held */

static rdy_lease_t *
ngx_readiness_known_find(const ngx_readiness_rate_t *rate,
    const uint64_t hash[2])
{
    rdy_cell_t  *cell;

    rdy_cells_begin(ngx_readiness_zone_own->cells);

    cell = rdy_cells_find(ngx_readiness_zone_own->cells, rate->cell, hash);

    return cell ? ngx_readiness_cell_lease(cell) : NULL;
}
