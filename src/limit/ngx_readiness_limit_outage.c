
/*
 * Copyright (C) The readiness authors
 */


/*
 * While Redis does not answer, its limits are decided by their policy.  With
 * on_redis_error=local the zone counts, by the numbers divided: a key starts
 * from what was last known of it, with this nginx's measured share of it, or
 * one part of as many as there are nginx.  What was admitted here is owed to
 * Redis: ngx_readiness_limit_owed.c.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_ask.h"


/* one limit decided here in Redis' stead */

typedef struct {
    ngx_readiness_state_t       *state;
    rdy_rate_t                   mine;
    rdy_cell_t                  *cell;
    rdy_lease_t                 *lease;
    ngx_readiness_counter_t      counter;
} ngx_readiness_fallback_t;


static ngx_uint_t ngx_readiness_outage_local(
    const ngx_readiness_redis_t *redis, ngx_cycle_t *cycle);
static void ngx_readiness_outage_heart(ngx_event_t *ev);
static ngx_uint_t ngx_readiness_outage_policy(ngx_readiness_ask_t *ask,
    ngx_readiness_state_t **states, ngx_uint_t *n);
static void ngx_readiness_fallback_open(ngx_readiness_fallback_t *f,
    uint64_t instances, uint64_t now);
static void ngx_readiness_fallback_room(ngx_readiness_fallback_t *f);
static void ngx_readiness_fallback_quota(ngx_readiness_fallback_t *f,
    uint64_t part, uint64_t whole, uint64_t now);
static ngx_uint_t ngx_readiness_fallback_fits(
    const ngx_readiness_fallback_t *f);
static void ngx_readiness_fallback_charge(ngx_readiness_fallback_t *f,
    ngx_uint_t charge, uint64_t now);
static void ngx_readiness_fallback_settle(ngx_readiness_ask_t *ask,
    ngx_readiness_state_t *state);


ngx_int_t
ngx_readiness_outage_init(ngx_readiness_asker_t *asker, ngx_cycle_t *cycle)
{
    u_char           *p;
    const ngx_str_t  *prefix;

    ngx_readiness_owed_init(asker);

    /* no rate has an empty name */

    prefix = ngx_readiness_redis_prefix(asker->redis);

    p = ngx_pnalloc(cycle->pool, prefix->len + sizeof(":{nginx}") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    asker->beat_name.data = p;
    p = ngx_cpymem(p, prefix->data, prefix->len);
    p = ngx_cpymem(p, ":{nginx}", sizeof(":{nginx}") - 1);
    asker->beat_name.len = p - asker->beat_name.data;

    asker->beat.type = NGX_READINESS_ITEM_BEAT;
    asker->beat.slot = ngx_readiness_redis_slot(asker->redis,
                                                &asker->beat_name);
    asker->beat.nkeys = 1;

    asker->heart.handler = ngx_readiness_outage_heart;
    asker->heart.cancelable = 1;

    /* one worker speaks for the nginx, where it matters how many there are */

    if (ngx_worker == 0 && asker->index < NGX_READINESS_MAX_REDIS
        && ngx_readiness_outage_local(asker->redis, cycle))
    {
        asker->beats = NGX_READINESS_BEAT_FIRST;
        ngx_add_timer(&asker->heart, asker->beats);
    }

    return NGX_OK;
}


/* 1: there is a rate that is to be decided here when this Redis is away */

static ngx_uint_t
ngx_readiness_outage_local(const ngx_readiness_redis_t *redis,
    ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_readiness_rate_t       **rate;
    ngx_readiness_main_conf_t   *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);
    rate = rmcf->rates.elts;

    for (i = 0; i < rmcf->rates.nelts; i++) {
        if (rate[i]->redis == redis
            && rate[i]->on_error == NGX_READINESS_REDIS_LOCAL)
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_readiness_outage_heart(ngx_event_t *ev)
{
    ngx_readiness_asker_t  *asker;

    asker = (ngx_readiness_asker_t *)
                ((u_char *) ev - offsetof(ngx_readiness_asker_t, heart));

    if (ngx_exiting) {
        /* its successor speaks */
        return;
    }

    ngx_readiness_ask_gather(asker, &asker->beat, 0);

    /* those that begin at the same time hear of each other soon */

    asker->beats = ngx_min(asker->beats * 2, NGX_READINESS_BEAT);

    ngx_add_timer(ev, asker->beats - ngx_random() % (asker->beats / 10));
}


void
ngx_readiness_outage_beat(ngx_readiness_asker_t *asker, uint64_t n)
{
    uint32_t  *instances;

    instances = &ngx_readiness_zone_own->shared->instances[asker->index];

    /*
     * Of a Redis that comes back empty the first hears of nobody: that there
     * are fewer counts when all the others could have spoken.
     */

    if (n < *instances
        && ++asker->fewer <= NGX_READINESS_BEAT_LIFE / NGX_READINESS_BEAT)
    {
        return;
    }

    *instances = ngx_min(n, 1000000);
    asker->fewer = 0;
}


uint64_t
ngx_readiness_outage_instances(const ngx_readiness_asker_t *asker)
{
    if (asker->index >= NGX_READINESS_MAX_REDIS) {
        return 1;
    }

    return ngx_readiness_zone_own->shared->instances[asker->index];
}


void
ngx_readiness_outage_decide(ngx_readiness_ask_t *ask)
{
    uint64_t                   now, instances;
    ngx_uint_t                 i, n, refused;
    ngx_readiness_state_t     *state, *states[NGX_READINESS_MAX_LIMITS];
    ngx_readiness_fallback_t   f[NGX_READINESS_MAX_LIMITS];

    refused = ngx_readiness_outage_policy(ask, states, &n);

    if (n == 0) {
        return;
    }

    for (i = 0; i < n; i++) {
        ngx_readiness_state_hash(states[i]);
        f[i].state = states[i];
    }

    instances = ngx_readiness_outage_instances(ask->asker);

    ngx_readiness_zone_lock();

    now = ngx_readiness_now();
    rdy_cells_begin(ngx_readiness_zone_own->cells);

    for (i = 0; i < n; i++) {
        state = states[i];

        ngx_readiness_fallback_open(&f[i], instances, now);

        if (!ngx_readiness_fallback_fits(&f[i])) {
            state->refused = 1;
            refused |= !state->monitor;
        }
    }

    for (i = 0; i < n; i++) {
        ngx_readiness_fallback_charge(&f[i], !refused, now);
    }

    ngx_readiness_zone_unlock();

    for (i = 0; i < n; i++) {
        ngx_readiness_fallback_settle(ask, states[i]);
    }
}


/*
 * Decides the limits whose policy is to allow or to deny, and lists the others
 * in states.  1: one is refused, and the request with it.
 */

static ngx_uint_t
ngx_readiness_outage_policy(ngx_readiness_ask_t *ask,
    ngx_readiness_state_t **states, ngx_uint_t *n)
{
    ngx_uint_t              i, refused;
    ngx_readiness_ctx_t    *ctx;
    ngx_readiness_state_t  *state;

    *n = 0;
    refused = 0;
    ctx = ask->ctx;

    for (i = ctx->first; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!ngx_readiness_asked_now(state, ask)) {
            continue;
        }

        if (state->rate->on_error == NGX_READINESS_REDIS_LOCAL
            && *n < NGX_READINESS_MAX_LIMITS)
        {
            states[(*n)++] = state;
            continue;
        }

        state->asked = 0;
        state->source = NGX_READINESS_SOURCE_UNAVAILABLE;
        state->refused = (state->rate->on_error != NGX_READINESS_REDIS_ALLOW);

        refused |= state->refused && !state->monitor;
    }

    return refused;
}


/* the lock is held, as in the calls below */

static void
ngx_readiness_fallback_open(ngx_readiness_fallback_t *f, uint64_t instances,
    uint64_t now)
{
    uint64_t                part, whole;
    ngx_uint_t              evicted;
    ngx_readiness_state_t  *state;

    state = f->state;

    if (state->numbers.kind == RDY_RATE_CONCURRENT) {

        /* all slots of this nginx are counted here, whoever gave them */

        rdy_rate_share(&state->numbers, 1, ngx_max(instances, 1), &f->mine);
        ngx_readiness_fallback_room(f);
        ngx_readiness_counter_open(&f->counter, state->rate, state->hash,
                                   &f->mine, now);
        return;
    }

    f->cell = rdy_cells_get(ngx_readiness_zone_own->cells, state->rate->cell,
                            state->hash, now, &evicted);

    f->lease = ngx_readiness_cell_lease(f->cell);

    if (state->numbers.kind == RDY_RATE_BUCKET) {
        rdy_lease_outage(f->lease, &state->numbers, instances, now, &f->mine);
        rdy_rate_drain(&f->mine, &f->lease->known, now);
        ngx_readiness_fallback_room(f);
        return;
    }

    rdy_lease_share(f->lease, instances, &part, &whole);
    rdy_rate_share(&state->numbers, part, whole, &f->mine);
    ngx_readiness_fallback_room(f);

    ngx_readiness_counter_open(&f->counter, state->rate, state->hash, &f->mine,
                               now);

    ngx_readiness_fallback_quota(f, part, whole, now);
}


/* there is room for one request at least, of its cost */

static void
ngx_readiness_fallback_room(ngx_readiness_fallback_t *f)
{
    uint64_t  room;

    room = ngx_min(f->state->cost, f->state->numbers.burst);

    if (f->mine.burst < room) {
        f->mine.burst = room;

        if (f->mine.kind != RDY_RATE_BUCKET) {
            f->mine.count = room;
        }
    }
}


/* a quota starts with our part of what was last known to be counted */

static void
ngx_readiness_fallback_quota(ngx_readiness_fallback_t *f, uint64_t part,
    uint64_t whole, uint64_t now)
{
    uint64_t      before;
    rdy_lease_t  *lease;

    lease = f->lease;

    if (lease->outage) {
        return;
    }

    lease->outage = 1;

    before = 0;

    if (lease->known.at
        && now < lease->known.at + f->state->numbers.period * 1000000)
    {
        before = (lease->known.spent * part + whole - 1) / whole;
        before = ngx_min(before, f->mine.count);
    }

    lease->base = before;
    lease->known.at = now;

    if (before) {
        (void) ngx_readiness_counter_charge(&f->counter, &f->mine, before,
                                            now);
    }
}


static ngx_uint_t
ngx_readiness_fallback_fits(const ngx_readiness_fallback_t *f)
{
    if (f->mine.kind == RDY_RATE_BUCKET) {
        return rdy_rate_fits(&f->mine, &f->lease->known, f->state->cost);
    }

    return ngx_readiness_counter_fits(&f->counter, &f->mine, f->state->cost);
}


static void
ngx_readiness_fallback_charge(ngx_readiness_fallback_t *f, ngx_uint_t charge,
    uint64_t now)
{
    uint64_t                 life;
    ngx_readiness_state_t   *state;
    ngx_readiness_shared_t  *shared;

    state = f->state;

    if (charge && !state->refused && state->cost) {

        state->charged = NGX_READINESS_CHARGED_ZONE;
        state->charged_at = now;

        if (f->mine.kind == RDY_RATE_BUCKET) {
            rdy_rate_charge(&f->lease->known, state->cost);

        } else {
            state->charged_at = ngx_readiness_counter_charge(&f->counter,
                                                             &f->mine,
                                                             state->cost, now);
        }
    }

    if (f->mine.kind == RDY_RATE_BUCKET) {
        rdy_rate_view(&f->mine, &f->lease->known, state->cost, &state->view);

    } else {
        ngx_readiness_counter_view(&f->counter, &f->mine, state->cost, now,
                                   &state->view);
    }

    if (f->mine.kind == RDY_RATE_CONCURRENT) {
        return;
    }

    /* what is owed must not be evicted as if it said nothing */

    f->cell->full_at = ngx_max(f->cell->full_at, now + state->view.full);

    life = ngx_min(state->view.full, NGX_READINESS_OWED_LIFE * 1000000);

    shared = ngx_readiness_zone_own->shared;
    shared->owed_until = ngx_max(shared->owed_until, now + life);
}


static void
ngx_readiness_fallback_settle(ngx_readiness_ask_t *ask,
    ngx_readiness_state_t *state)
{
    ngx_readiness_slots_t  *slots;

    state->source = NGX_READINESS_SOURCE_FALLBACK;
    state->decided = 1;
    state->asked = 0;

    if (!state->refused) {
        state->view.retry = 0;
    }

    if (!state->charged) {
        return;
    }

    if (state->numbers.kind == RDY_RATE_CONCURRENT) {
        slots = ngx_readiness_slots_get(ask->asker, state);

        ngx_readiness_hold(ask->ctx, state, state->charged_at, slots);

        if (slots) {
            ngx_readiness_owed_slots(slots);
        }

        return;
    }

    ngx_readiness_owed(ask->asker, state);
}


/*
 * What a later limit of the request has refused, less what has drained since.
 * If Redis was charged for it meanwhile, it is given back there.
 */

void
ngx_readiness_outage_give_back(ngx_readiness_state_t *state)
{
    uint64_t                  now;
    rdy_cell_t               *cell;
    ngx_uint_t                settled;
    rdy_lease_t              *lease;
    rdy_bucket_t              drained;
    ngx_readiness_counter_t   counter;

    if (state->hold) {
        ngx_readiness_hold_release(state->hold);
        state->hold = NULL;
        return;
    }

    ngx_readiness_zone_lock();

    now = ngx_readiness_now();
    rdy_cells_begin(ngx_readiness_zone_own->cells);

    cell = rdy_cells_find(ngx_readiness_zone_own->cells, state->rate->cell,
                          state->hash);

    lease = cell ? ngx_readiness_cell_lease(cell) : NULL;
    settled = (lease && !lease->outage);

    if (lease == NULL || settled) {

        /* void */

    } else if (state->numbers.kind == RDY_RATE_QUOTA) {

        if (now - state->charged_at < state->numbers.period * 1000000) {
            ngx_readiness_counter_open(&counter, state->rate, state->hash,
                                       &state->numbers, now);
            rdy_quota_give_back(&counter.quota, state->cost);
            counter.all = 1;
            ngx_readiness_quota_store(&counter, now);
        }

    } else {

        /* by the whole rate's numbers, which drain more than our part's */

        drained.spent = state->cost * RDY_RATE_UNIT;
        drained.at = state->charged_at;
        rdy_rate_drain(&state->numbers, &drained, now);

        lease->known.spent -= ngx_min(lease->known.spent, drained.spent);
    }

    ngx_readiness_zone_unlock();

    if (settled) {
        state->generation = ngx_readiness_redis_generation(state->rate->redis);
        ngx_readiness_ask_give_back(state);
    }
}
