
/*
 * Copyright (C) The readiness authors
 */


/*
 * Limits counted in Redis.  All decisions that become ready in one turn of the
 * event loop gather, and go out in one script call by a posted event at the
 * end of the turn.  At most two calls are under way; what comes meanwhile
 * gathers for the next.  A cluster takes one call for each slot.
 *
 * A request waits through its ask.  One that goes away takes its ask out of
 * wherever it is; a batch keeps the place, so that the reply is still read in
 * step, and drops the answer.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_ask.h"


static ngx_int_t ngx_readiness_asker_init(ngx_readiness_asker_t *asker,
    ngx_cycle_t *cycle);
static void ngx_readiness_ask_event(ngx_event_t *ev, ngx_cycle_t *cycle,
    ngx_event_handler_pt handler);
static ngx_int_t ngx_readiness_ask_choose(ngx_readiness_ctx_t *ctx,
    ngx_readiness_ask_t *ask, ngx_readiness_state_t **only);
static void ngx_readiness_ask_ready(ngx_event_t *ev);
static void ngx_readiness_ask_flush(ngx_event_t *ev);
static void ngx_readiness_ask_declined(ngx_readiness_asker_t *asker);
static void ngx_readiness_ask_expire(ngx_event_t *ev);
static void ngx_readiness_ask_detach(ngx_readiness_ask_t *ask);
static ngx_readiness_charge_t *ngx_readiness_ask_charge_item(
    ngx_readiness_asker_t *asker, const rdy_rate_t *numbers,
    const ngx_str_t *name, ngx_uint_t slot, uint64_t amount, ngx_uint_t back);


static ngx_readiness_asker_t   *ngx_readiness_askers;
static ngx_uint_t               ngx_readiness_naskers;
static ngx_connection_t         ngx_readiness_ask_dummy;


ngx_int_t
ngx_readiness_limit_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i, n;
    ngx_readiness_asker_t       *asker;
    ngx_readiness_redis_t      **redis;
    ngx_readiness_main_conf_t   *rmcf;

    ngx_readiness_naskers = 0;
    ngx_readiness_zone_own = NULL;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);

    if (rmcf == NULL || rmcf->zone == NULL) {
        return NGX_OK;
    }

    ngx_readiness_zone_own = rmcf->zone->data;

    if (ngx_readiness_hold_init_process(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    n = rmcf->redis.nelts;

    if (n == 0) {
        return NGX_OK;
    }

    redis = rmcf->redis.elts;

    asker = ngx_pcalloc(cycle->pool, n * sizeof(ngx_readiness_asker_t));
    if (asker == NULL) {
        return NGX_ERROR;
    }

    ngx_readiness_ask_dummy.fd = (ngx_socket_t) -1;

    for (i = 0; i < n; i++) {
        asker[i].redis = redis[i];
        asker[i].index = i;

        if (ngx_readiness_asker_init(&asker[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_readiness_askers = asker;
    ngx_readiness_naskers = n;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_asker_init(ngx_readiness_asker_t *asker, ngx_cycle_t *cycle)
{
    asker->cluster = ngx_readiness_redis_cluster(asker->redis);

    ngx_queue_init(&asker->order);
    ngx_queue_init(&asker->gather);
    ngx_queue_init(&asker->free);
    ngx_queue_init(&asker->idle);

    ngx_rbtree_init(&asker->leases, &asker->leases_nil,
                    ngx_rbtree_insert_timer_value);

    ngx_rbtree_init(&asker->slots, &asker->slots_nil,
                    ngx_str_rbtree_insert_value);

    asker->flush.handler = ngx_readiness_ask_flush;
    asker->flush.data = asker;
    asker->flush.log = cycle->log;

    asker->ready.handler = ngx_readiness_ask_ready;
    asker->ready.data = asker;
    asker->ready.log = cycle->log;

    ngx_readiness_redis_on_ready(asker->redis, &asker->ready);

    ngx_readiness_ask_event(&asker->timer, cycle, ngx_readiness_ask_expire);
    ngx_readiness_ask_event(&asker->heart, cycle, NULL);
    ngx_readiness_ask_event(&asker->probe, cycle, NULL);
    ngx_readiness_ask_event(&asker->lease, cycle,
                            ngx_readiness_take_lease_handler);
    asker->lease.cancelable = 1;

    if (ngx_readiness_random(asker->holder, sizeof(asker->holder)) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_readiness_batch_init(asker, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_readiness_outage_init(asker, cycle);
}


/* nginx wants a connection in the data of an event with a timer */

static void
ngx_readiness_ask_event(ngx_event_t *ev, ngx_cycle_t *cycle,
    ngx_event_handler_pt handler)
{
    ev->handler = handler;
    ev->data = &ngx_readiness_ask_dummy;
    ev->log = cycle->log;
}


void
ngx_readiness_limit_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t              i;
    ngx_queue_t            *order;
    ngx_readiness_asker_t  *asker;

    if (ngx_readiness_zone_own == NULL) {
        return;
    }

    /* no request is run on any more, whatever becomes of the calls */

    for (i = 0; i < ngx_readiness_naskers; i++) {
        asker = &ngx_readiness_askers[i];
        order = &asker->order;

        while (!ngx_queue_empty(order)) {
            ngx_readiness_ask_detach(ngx_queue_data(ngx_queue_head(order),
                                                    ngx_readiness_ask_t,
                                                    order));
        }
    }

    ngx_readiness_hold_exit_process();

    /* slots and charges that have gathered still go out */

    for (i = 0; i < ngx_readiness_naskers; i++) {
        asker = &ngx_readiness_askers[i];

        while (!ngx_queue_empty(&asker->gather)
               && ngx_readiness_batch_send(asker) == NGX_OK)
        {
            /* void */
        }

        ngx_readiness_take_exit(asker);
    }
}


ngx_readiness_asker_t *
ngx_readiness_asker(const ngx_readiness_redis_t *redis)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_readiness_naskers; i++) {
        if (ngx_readiness_askers[i].redis == redis) {
            return &ngx_readiness_askers[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_readiness_slots_renew(void)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < ngx_readiness_naskers; i++) {
        n += ngx_readiness_slots_tell_all(&ngx_readiness_askers[i], 0);
    }

    return n;
}


/* Redis may have come back with nothing, and others ask it already */

static void
ngx_readiness_ask_ready(ngx_event_t *ev)
{
    (void) ngx_readiness_slots_tell_all(ev->data, 1);
}


ngx_int_t
ngx_readiness_ask(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_msec_t              timeout;
    ngx_readiness_ask_t    *ask;
    ngx_readiness_state_t  *only;
    ngx_readiness_asker_t  *asker;

    ask = ngx_palloc(r->pool, sizeof(ngx_readiness_ask_t));
    if (ask == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_readiness_ask_choose(ctx, ask, &only);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    ask->ctx = ctx;
    ask->batch = NULL;
    ask->take = NULL;

    rc = only ? ngx_readiness_take(ask, only) : NGX_DECLINED;

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    asker = ask->asker;

    if (rc == NGX_DECLINED) {
        ngx_readiness_ask_gather(asker, &ask->item, 0);
    }

    ctx->ask = ask;

    timeout = ngx_readiness_redis_timeout(asker->redis);
    ask->deadline = ngx_current_msec + timeout;

    if (ngx_queue_empty(&asker->order)) {
        ngx_add_timer(&asker->timer, timeout);
    }

    ngx_queue_insert_tail(&asker->order, &ask->order);

    return NGX_AGAIN;
}


/*
 * The first limit that waits, and those that can be decided together with it:
 * in the same Redis, and on a cluster in the same slot.  *only is set where it
 * is the only one and may be merged with other requests'.
 */

static ngx_int_t
ngx_readiness_ask_choose(ngx_readiness_ctx_t *ctx, ngx_readiness_ask_t *ask,
    ngx_readiness_state_t **only)
{
    ngx_uint_t              i, n;
    ngx_readiness_state_t  *state;

    n = 0;
    *only = NULL;

    for (i = ctx->first; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!state->asked || state->rate->redis == NULL) {
            continue;
        }

        if (n == 0) {
            ask->asker = ngx_readiness_asker(state->rate->redis);

            if (ask->asker == NULL) {
                return NGX_ERROR;
            }

            ask->item.type = NGX_READINESS_ITEM_ASK;
            ask->item.slot = state->slot;
            ask->item.gathered = 0;
            *only = state;
        }

        if (ngx_readiness_asked_now(state, ask)) {
            n++;
        }
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    ask->item.nkeys = n;

    if (n > 1 || (*only)->cost != 1
        || (*only)->numbers.kind == RDY_RATE_CONCURRENT)
    {
        *only = NULL;
    }

    return NGX_OK;
}


void
ngx_readiness_ask_gather(ngx_readiness_asker_t *asker,
    ngx_readiness_item_t *item, ngx_uint_t first)
{
    if (item->gathered) {
        return;
    }

    item->gathered = 1;

    if (first) {
        ngx_queue_insert_head(&asker->gather, &item->queue);

    } else {
        ngx_queue_insert_tail(&asker->gather, &item->queue);
    }

    ngx_post_event(&asker->flush, &ngx_posted_events);
}


static void
ngx_readiness_ask_flush(ngx_event_t *ev)
{
    ngx_uint_t              generation;
    ngx_readiness_asker_t  *asker;

    asker = ev->data;

    generation = ngx_readiness_redis_generation(asker->redis);

    if (asker->told_in != generation) {

        /* what is held is told before more is asked for */

        asker->told_in = generation;
        (void) ngx_readiness_slots_tell_all(asker, 1);
    }

    while (!ngx_queue_empty(&asker->gather)
           && (asker->cluster || asker->under_way < NGX_READINESS_CALLS))
    {
        if (ngx_readiness_batch_send(asker) != NGX_OK) {
            ngx_readiness_ask_declined(asker);
        }
    }
}


/* the first item cannot be sent: nobody waits for what will not come */

static void
ngx_readiness_ask_declined(ngx_readiness_asker_t *asker)
{
    ngx_queue_t           *q;
    ngx_readiness_item_t  *item;

    q = ngx_queue_head(&asker->gather);
    item = ngx_queue_data(q, ngx_readiness_item_t, queue);

    switch (item->type) {

    case NGX_READINESS_ITEM_ASK:
        ngx_readiness_ask_answer((ngx_readiness_ask_t *) item, 1);
        return;

    case NGX_READINESS_ITEM_TAKE:
        ngx_queue_remove(q);
        item->gathered = 0;
        ngx_readiness_take_answer((ngx_readiness_take_t *) item, 0, 0, NULL);
        return;

    case NGX_READINESS_ITEM_CHARGE:

        if (!((ngx_readiness_charge_t *) item)->back) {
            ngx_readiness_owed_lost(asker);
        }

        ngx_queue_remove(q);
        ngx_free(item);
        return;

    case NGX_READINESS_ITEM_SLOTS:
        ngx_queue_remove(q);
        item->gathered = 0;
        ngx_readiness_owed_slots(ngx_readiness_item_slots(item));
        return;

    default: /* NGX_READINESS_ITEM_BEAT: later */
        ngx_queue_remove(q);
        item->gathered = 0;
    }
}


static void
ngx_readiness_ask_expire(ngx_event_t *ev)
{
    ngx_msec_int_t          left;
    ngx_queue_t            *q;
    ngx_readiness_ask_t    *ask;
    ngx_readiness_asker_t  *asker;

    asker = (ngx_readiness_asker_t *)
                ((u_char *) ev - offsetof(ngx_readiness_asker_t, timer));

    while (!ngx_queue_empty(&asker->order)) {

        q = ngx_queue_head(&asker->order);
        ask = ngx_queue_data(q, ngx_readiness_ask_t, order);
        left = (ngx_msec_int_t) (ask->deadline - ngx_current_msec);

        if (left > 0) {
            if (!ev->timer_set) {
                ngx_add_timer(ev, left);
            }

            return;
        }

        ngx_readiness_ask_answer(ask, 1);
    }
}


void
ngx_readiness_ask_answer(ngx_readiness_ask_t *ask, ngx_uint_t unavailable)
{
    ngx_readiness_ctx_t  *ctx;

    ctx = ask->ctx;

    ngx_readiness_ask_detach(ask);

    if (unavailable) {
        ngx_readiness_outage_decide(ask);
    }

    ngx_readiness_resume(ctx);
}


static void
ngx_readiness_ask_detach(ngx_readiness_ask_t *ask)
{
    ngx_readiness_asker_t  *asker;

    asker = ask->asker;

    ngx_queue_remove(&ask->order);

    if (ask->take) {
        ngx_readiness_take_leave(ask);

    } else if (ask->batch) {
        ask->batch->places[ask->place].item = NULL;

    } else if (ask->item.gathered) {
        ngx_queue_remove(&ask->item.queue);
        ask->item.gathered = 0;
    }

    ask->ctx->ask = NULL;

    if (ngx_queue_empty(&asker->order) && asker->timer.timer_set) {
        ngx_del_timer(&asker->timer);
    }
}


void
ngx_readiness_limit_cleanup(ngx_readiness_ctx_t *ctx)
{
    if (ctx->ask) {
        ngx_readiness_ask_detach(ctx->ask);
    }

    ngx_readiness_hold_cleanup(ctx);
}


void
ngx_readiness_ask_give_back(ngx_readiness_state_t *state)
{
    ngx_readiness_asker_t   *asker;
    ngx_readiness_charge_t  *charge;

    if (state->hold) {
        ngx_readiness_hold_release(state->hold);
        state->hold = NULL;
        return;
    }

    asker = ngx_readiness_asker(state->rate->redis);

    if (asker == NULL || state->numbers.kind == RDY_RATE_CONCURRENT) {
        return;
    }

    charge = ngx_readiness_ask_charge(asker, &state->numbers, &state->name,
                                      state->slot, state->cost, 1);
    if (charge) {
        charge->since = state->charged_at;
        charge->generation = state->generation;
    }
}


ngx_readiness_charge_t *
ngx_readiness_ask_charge(ngx_readiness_asker_t *asker,
    const rdy_rate_t *numbers, const ngx_str_t *name, ngx_uint_t slot,
    uint64_t amount, ngx_uint_t back)
{
    if (amount == 0) {
        return NULL;
    }

    return ngx_readiness_ask_charge_item(asker, numbers, name, slot, amount,
                                         back);
}


void
ngx_readiness_ask_probe(ngx_readiness_asker_t *asker,
    const rdy_rate_t *numbers, const ngx_str_t *name, ngx_uint_t slot)
{
    (void) ngx_readiness_ask_charge_item(asker, numbers, name, slot, 0, 1);
}


static ngx_readiness_charge_t *
ngx_readiness_ask_charge_item(ngx_readiness_asker_t *asker,
    const rdy_rate_t *numbers, const ngx_str_t *name, ngx_uint_t slot,
    uint64_t amount, ngx_uint_t back)
{
    ngx_readiness_charge_t  *charge;

    charge = ngx_alloc(sizeof(ngx_readiness_charge_t) + name->len,
                       ngx_cycle->log);
    if (charge == NULL) {
        if (!back) {
            ngx_readiness_owed_lost(asker);
        }

        return NULL;
    }

    charge->item.type = NGX_READINESS_ITEM_CHARGE;
    charge->item.slot = slot;
    charge->item.nkeys = 1;
    charge->item.gathered = 0;
    charge->numbers = *numbers;
    charge->amount = amount;
    charge->back = back;
    charge->since = 0;
    charge->generation = ngx_readiness_redis_generation(asker->redis);
    charge->name.data = (u_char *) (charge + 1);
    charge->name.len = name->len;
    ngx_memcpy(charge->name.data, name->data, name->len);

    /* what is owed comes before what is asked */

    ngx_readiness_ask_gather(asker, &charge->item, !back);

    return charge;
}
