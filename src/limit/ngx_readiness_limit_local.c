
/*
 * Copyright (C) The readiness authors
 */


/*
 * The algorithms in the zone: a bucket is one cell, a quota has its counts in
 * up to RDY_QUOTA_CHUNKS of them, slots in use have one.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"


static void ngx_readiness_local_settle(ngx_readiness_ctx_t *ctx,
    ngx_readiness_state_t *state);
static void ngx_readiness_quota_open(ngx_readiness_counter_t *counter,
    const ngx_readiness_rate_t *rate, const uint64_t hash[2]);
static rdy_cell_t *ngx_readiness_slots_cell(const ngx_readiness_rate_t *rate,
    const uint64_t hash[2], uint64_t now);


ngx_int_t
ngx_readiness_local_decide(ngx_readiness_ctx_t *ctx)
{
    uint64_t                  now;
    ngx_uint_t                i, n, refused;
    ngx_readiness_state_t    *s, *states[NGX_READINESS_MAX_LIMITS];
    ngx_readiness_counter_t   counter[NGX_READINESS_MAX_LIMITS];

    for (i = ctx->first, n = 0; i < ctx->nlimits; i++) {
        s = &ctx->limits[i];

        if (!s->asked || s->rate->redis) {
            continue;
        }

        if (n == NGX_READINESS_MAX_LIMITS) {
            return NGX_ERROR;
        }

        states[n++] = s;
        ngx_readiness_state_hash(s);
    }

    if (n == 0) {
        return NGX_OK;
    }

    refused = 0;

    ngx_readiness_zone_lock();

    /*
     * Not before: the time of a worker that had to wait for the others would
     * be behind theirs, and the bucket would drain the same time twice.
     */

    now = ngx_readiness_now();
    rdy_cells_begin(ngx_readiness_zone_own->cells);

    for (i = 0; i < n; i++) {
        s = states[i];

        ngx_readiness_counter_open(&counter[i], s->rate, s->hash, &s->numbers,
                                   now);

        if (!ngx_readiness_counter_fits(&counter[i], &s->numbers, s->cost)) {
            s->refused = 1;
            refused |= !s->monitor;
        }
    }

    for (i = 0; i < n; i++) {
        s = states[i];

        if (!refused && !s->refused && s->cost) {
            s->charged = NGX_READINESS_CHARGED_ZONE;
            s->charged_at = ngx_readiness_counter_charge(&counter[i],
                                                         &s->numbers, s->cost,
                                                         now);
        }

        ngx_readiness_counter_view(&counter[i], &s->numbers, s->cost, now,
                                   &s->view);
    }

    ngx_readiness_zone_unlock();

    for (i = 0; i < n; i++) {
        ngx_readiness_local_settle(ctx, states[i]);
    }

    return NGX_OK;
}


static void
ngx_readiness_local_settle(ngx_readiness_ctx_t *ctx,
    ngx_readiness_state_t *state)
{
    state->source = NGX_READINESS_SOURCE_LOCAL;
    state->decided = 1;
    state->asked = 0;

    if (!state->refused) {
        state->view.retry = 0;
    }

    if (state->charged && state->numbers.kind == RDY_RATE_CONCURRENT) {
        ngx_readiness_hold(ctx, state, state->charged_at, NULL);
    }
}


void
ngx_readiness_local_give_back(ngx_readiness_state_t *state)
{
    uint64_t                 now;
    rdy_bucket_t             drained;
    ngx_readiness_counter_t  counter;

    if (state->hold) {
        ngx_readiness_hold_release(state->hold);
        state->hold = NULL;
        state->view.remaining += state->cost;
        return;
    }

    ngx_readiness_zone_lock();

    now = ngx_readiness_now();
    rdy_cells_begin(ngx_readiness_zone_own->cells);

    ngx_readiness_counter_open(&counter, state->rate, state->hash,
                               &state->numbers, now);

    if (state->numbers.kind == RDY_RATE_QUOTA) {

        if (now - state->charged_at < state->numbers.period * 1000000) {
            rdy_quota_give_back(&counter.quota, state->cost);
            counter.all = 1;
            ngx_readiness_quota_store(&counter, now);
        }

    } else {

        /* what is left of the charge by now, had it been the only one */

        drained.spent = state->cost * RDY_RATE_UNIT;
        drained.at = state->charged_at;
        rdy_rate_drain(&state->numbers, &drained, now);

        counter.cell->bucket.spent -= ngx_min(counter.cell->bucket.spent,
                                              drained.spent);
    }

    ngx_readiness_counter_view(&counter, &state->numbers, state->cost, now,
                               &state->view);

    ngx_readiness_zone_unlock();
}


void
ngx_readiness_counter_open(ngx_readiness_counter_t *counter,
    const ngx_readiness_rate_t *rate, const uint64_t hash[2],
    const rdy_rate_t *numbers, uint64_t now)
{
    ngx_uint_t  evicted;

    switch (numbers->kind) {

    case RDY_RATE_QUOTA:
        ngx_readiness_quota_open(counter, rate, hash);
        counter->all = rdy_quota_drain(numbers, &counter->quota, now);

        /* counts that were moved keep the time that they were given now */

        if (counter->all) {
            ngx_readiness_quota_store(counter, now);
        }

        return;

    case RDY_RATE_CONCURRENT:
        counter->cell = ngx_readiness_slots_cell(rate, hash, now);
        return;

    default: /* RDY_RATE_BUCKET */
        counter->cell = rdy_cells_get(ngx_readiness_zone_own->cells,
                                      rate->cell, hash, now, &evicted);
        rdy_rate_drain(numbers, &counter->cell->bucket, now);
    }
}


ngx_uint_t
ngx_readiness_counter_fits(const ngx_readiness_counter_t *counter,
    const rdy_rate_t *numbers, uint64_t cost)
{
    switch (numbers->kind) {

    case RDY_RATE_QUOTA:
        return rdy_quota_fits(numbers, &counter->quota, cost);

    case RDY_RATE_CONCURRENT:
        return rdy_slots_fits(numbers, ngx_readiness_cell_slots(counter->cell),
                              cost);

    default: /* RDY_RATE_BUCKET */
        return rdy_rate_fits(numbers, &counter->cell->bucket, cost);
    }
}


uint64_t
ngx_readiness_counter_charge(ngx_readiness_counter_t *counter,
    const rdy_rate_t *numbers, uint64_t cost, uint64_t now)
{
    switch (numbers->kind) {

    case RDY_RATE_QUOTA:
        rdy_quota_charge(&counter->quota, cost);
        ngx_readiness_quota_store(counter, now);
        return now;

    case RDY_RATE_CONCURRENT:
        return rdy_slots_take(ngx_readiness_cell_slots(counter->cell), cost);

    default: /* RDY_RATE_BUCKET */
        rdy_rate_charge(&counter->cell->bucket, cost);
        return now;
    }
}


void
ngx_readiness_counter_view(ngx_readiness_counter_t *counter,
    const rdy_rate_t *numbers, uint64_t cost, uint64_t now,
    rdy_rate_view_t *view)
{
    switch (numbers->kind) {

    case RDY_RATE_QUOTA:
        rdy_quota_view(numbers, &counter->quota, now, cost, view);
        return;

    case RDY_RATE_CONCURRENT:
        rdy_slots_view(numbers, ngx_readiness_cell_slots(counter->cell), cost,
                       view);
        break;

    default: /* RDY_RATE_BUCKET */
        rdy_rate_view(numbers, &counter->cell->bucket, cost, view);
    }

    counter->cell->full_at = now + view->full;
}


static void
ngx_readiness_quota_open(ngx_readiness_counter_t *counter,
    const ngx_readiness_rate_t *rate, const uint64_t hash[2])
{
    uint64_t            companion[2];
    ngx_uint_t          i;
    rdy_cell_t         *cell;
    rdy_quota_chunk_t  *chunk[RDY_QUOTA_CHUNKS];

    counter->rate = rate;
    counter->hash[0] = hash[0];
    counter->hash[1] = hash[1];

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
        ngx_readiness_companion(hash, NGX_READINESS_CELL_QUOTA + i, companion);

        cell = rdy_cells_find(ngx_readiness_zone_own->cells, rate->cell,
                              companion);

        counter->chunk[i] = cell;
        chunk[i] = cell ? (rdy_quota_chunk_t *) cell->state : NULL;
    }

    rdy_quota_load(&counter->quota,
                   (const rdy_quota_chunk_t *const *) chunk);
}


void
ngx_readiness_quota_store(ngx_readiness_counter_t *counter, uint64_t now)
{
    uint64_t           companion[2];
    ngx_uint_t         i, evicted;
    rdy_cell_t        *cell;
    rdy_quota_chunk_t  chunk;

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {

        if (!counter->all && i != rdy_quota_place(&counter->quota)) {
            continue;
        }

        cell = counter->chunk[i];

        if (rdy_quota_store(&counter->quota, i, &chunk) && cell == NULL) {
            ngx_readiness_companion(counter->hash,
                                    NGX_READINESS_CELL_QUOTA + i, companion);

            cell = rdy_cells_get(ngx_readiness_zone_own->cells,
                                 counter->rate->cell, companion, now,
                                 &evicted);
            counter->chunk[i] = cell;
        }

        if (cell) {
            ngx_memcpy(cell->state, &chunk, sizeof(rdy_quota_chunk_t));

            /* what is counted now has left the window a part later than that */

            cell->full_at = now + (RDY_QUOTA_WINDOWS + 1) * chunk.width;
        }
    }

    counter->all = 0;
}


static rdy_cell_t *
ngx_readiness_slots_cell(const ngx_readiness_rate_t *rate,
    const uint64_t hash[2], uint64_t now)
{
    uint64_t     companion[2];
    ngx_uint_t   evicted;
    rdy_cell_t  *cell;

    ngx_readiness_companion(hash, NGX_READINESS_CELL_SLOTS, companion);

    cell = rdy_cells_get(ngx_readiness_zone_own->cells, rate->cell, companion,
                         now, &evicted);

    rdy_slots_drain(ngx_readiness_cell_slots(cell), now);

    return cell;
}


uint64_t
ngx_readiness_local_slots(const ngx_readiness_rate_t *rate,
    const uint64_t hash[2], ngx_readiness_slots_do_e what, uint64_t cost,
    uint64_t epoch)
{
    uint64_t      now;
    rdy_cell_t   *cell;
    rdy_slots_t  *slots;

    ngx_readiness_zone_lock();

    now = ngx_readiness_now();
    rdy_cells_begin(ngx_readiness_zone_own->cells);

    cell = ngx_readiness_slots_cell(rate, hash, now);
    slots = ngx_readiness_cell_slots(cell);

    switch (what) {

    case NGX_READINESS_SLOTS_TAKE:
        epoch = rdy_slots_take(slots, cost);
        break;

    case NGX_READINESS_SLOTS_RENEW:
        epoch = rdy_slots_renew(slots, cost, epoch);
        break;

    default: /* NGX_READINESS_SLOTS_RELEASE */
        rdy_slots_release(slots, cost, epoch);
    }

    /* as long as they might last */

    cell->full_at = rdy_slots_used(slots)
                    ? now + NGX_READINESS_SLOT_LIFE * 1000 : now;

    ngx_readiness_zone_unlock();

    return epoch;
}
