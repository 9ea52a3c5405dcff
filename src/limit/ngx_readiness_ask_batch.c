
/*
 * Copyright (C) The readiness authors
 */


/* one call: what has gathered is packed into it, and sent */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_ask.h"


/* what a call is made of until it is sent; Redis' room copies it */

typedef struct {
    ngx_readiness_batch_t       *batch;
    u_char                      *arg;
    u_char                      *run;        /* that is open, or NULL */
    const rdy_rate_t            *numbers;    /* of the run */
    ngx_uint_t                   nrun;
} ngx_readiness_packer_t;


static ngx_readiness_batch_t *ngx_readiness_batch_get(
    ngx_readiness_asker_t *asker);
static void ngx_readiness_batch_pack(ngx_readiness_packer_t *packer,
    ngx_readiness_item_t *item);
static ngx_uint_t ngx_readiness_batch_pack_take(
    ngx_readiness_packer_t *packer, ngx_readiness_take_t *take);
static void ngx_readiness_batch_pack_ask(ngx_readiness_packer_t *packer,
    ngx_readiness_ask_t *ask);
static uint64_t ngx_readiness_batch_amount(const ngx_readiness_batch_t *batch,
    const ngx_readiness_charge_t *charge);
static void ngx_readiness_batch_key(ngx_readiness_packer_t *packer,
    const ngx_str_t *name, rdy_rate_kind_e kind);
static void ngx_readiness_batch_undo(ngx_readiness_batch_t *batch);
static void ngx_readiness_batch_sent(ngx_readiness_batch_t *batch);


static ngx_readiness_script_t  ngx_readiness_batch_script;

static ngx_str_t  ngx_readiness_batch_keys[RDY_BATCH_KEYS];
static u_char     ngx_readiness_batch_arg[RDY_BATCH_MAX_LEN + RDY_BATCH_KEYS];


ngx_int_t
ngx_readiness_batch_init(ngx_readiness_asker_t *asker, ngx_cycle_t *cycle)
{
    ngx_uint_t              i;
    ngx_readiness_batch_t  *batch;

    ngx_readiness_batch_script.text = rdy_batch_script;

    ngx_queue_init(&asker->batches);

    batch = ngx_pcalloc(cycle->pool,
                        NGX_READINESS_CALLS * sizeof(ngx_readiness_batch_t));
    if (batch == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_READINESS_CALLS; i++) {
        ngx_queue_insert_tail(&asker->batches, &batch[i].queue);
    }

    return NGX_OK;
}


/* a cluster may need more of them; they are kept for the next time */

static ngx_readiness_batch_t *
ngx_readiness_batch_get(ngx_readiness_asker_t *asker)
{
    ngx_queue_t            *q;
    ngx_readiness_batch_t  *batch;

    if (ngx_queue_empty(&asker->batches)) {

        batch = ngx_calloc(sizeof(ngx_readiness_batch_t), ngx_cycle->log);
        if (batch == NULL) {
            return NULL;
        }

        ngx_queue_insert_tail(&asker->batches, &batch->queue);
    }

    q = ngx_queue_head(&asker->batches);

    return ngx_queue_data(q, ngx_readiness_batch_t, queue);
}


ngx_int_t
ngx_readiness_batch_send(ngx_readiness_asker_t *asker)
{
    ngx_uint_t               beat;
    ngx_queue_t             *q;
    ngx_readiness_item_t    *item;
    ngx_readiness_batch_t   *batch;
    ngx_readiness_packer_t   packer;

    if (ngx_queue_empty(&asker->gather)) {
        return NGX_OK;
    }

    batch = ngx_readiness_batch_get(asker);
    if (batch == NULL) {
        return NGX_DECLINED;
    }

    batch->asker = asker;
    batch->n = 0;
    batch->nkeys = 0;
    batch->sent_at = ngx_readiness_now();
    batch->generation = ngx_readiness_redis_generation(asker->redis);

    q = ngx_queue_head(&asker->gather);
    item = ngx_queue_data(q, ngx_readiness_item_t, queue);
    batch->slot = item->slot;
    beat = (item->type == NGX_READINESS_ITEM_BEAT);

    packer.batch = batch;
    packer.run = NULL;
    packer.numbers = NULL;
    packer.nrun = 0;
    packer.arg = ngx_readiness_batch_arg;
    packer.arg += rdy_batch_begin(packer.arg,
                                  beat ? ngx_readiness_zone_own->shared->id
                                       : asker->holder);

    for ( /* void */ ;
         q != ngx_queue_sentinel(&asker->gather);
         q = ngx_queue_next(q))
    {
        item = ngx_queue_data(q, ngx_readiness_item_t, queue);

        if (batch->nkeys + item->nkeys > RDY_BATCH_KEYS) {
            break;
        }

        /* the heartbeat is not the worker's but of the nginx */

        if (item->slot == batch->slot
            && (item->type == NGX_READINESS_ITEM_BEAT) == beat)
        {
            ngx_readiness_batch_pack(&packer, item);
        }
    }

    batch->call.handler = ngx_readiness_batch_reply;
    batch->call.data = batch;
    batch->call.keys = ngx_readiness_batch_keys;
    batch->call.nkeys = batch->nkeys;
    batch->call.arg.data = ngx_readiness_batch_arg;
    batch->call.arg.len = packer.arg - ngx_readiness_batch_arg;

    if (ngx_readiness_redis_eval(asker->redis, &ngx_readiness_batch_script,
                                 &batch->call)
        != NGX_OK)
    {
        ngx_readiness_batch_undo(batch);
        return NGX_DECLINED;
    }

    ngx_queue_remove(&batch->queue);
    asker->under_way++;

    ngx_readiness_batch_sent(batch);

    return NGX_OK;
}


static void
ngx_readiness_batch_pack(ngx_readiness_packer_t *packer,
    ngx_readiness_item_t *item)
{
    ngx_readiness_batch_t   *batch;
    ngx_readiness_place_t   *place;
    ngx_readiness_slots_t   *slots;
    ngx_readiness_charge_t  *charge;

    batch = packer->batch;

    place = &batch->places[batch->n++];
    place->type = item->type;
    place->item = item;
    place->first = batch->nkeys;
    place->n = item->nkeys;
    place->run = 0;

    if (item->type == NGX_READINESS_ITEM_TAKE) {
        place->run = ngx_readiness_batch_pack_take(packer,
                                              (ngx_readiness_take_t *) item);
        return;
    }

    packer->run = NULL;

    switch (item->type) {

    case NGX_READINESS_ITEM_ASK:
        ngx_readiness_batch_pack_ask(packer, (ngx_readiness_ask_t *) item);
        return;

    case NGX_READINESS_ITEM_CHARGE:
        charge = (ngx_readiness_charge_t *) item;

        ngx_readiness_batch_key(packer, &charge->name, charge->numbers.kind);
        packer->arg += rdy_batch_charge(packer->arg, &charge->numbers,
                                        ngx_readiness_batch_amount(batch,
                                                                   charge),
                                        charge->back);
        return;

    case NGX_READINESS_ITEM_SLOTS:
        slots = ngx_readiness_item_slots(item);

        ngx_readiness_batch_key(packer, &slots->node.str, RDY_RATE_CONCURRENT);
        packer->arg += rdy_batch_hold(packer->arg, NGX_READINESS_SLOT_LIFE,
                                      slots->count + slots->pending);
        return;

    default: /* NGX_READINESS_ITEM_BEAT */
        ngx_readiness_batch_key(packer, &batch->asker->beat_name,
                                RDY_RATE_CONCURRENT);
        packer->arg += rdy_batch_hold(packer->arg, NGX_READINESS_BEAT_LIFE, 1);
    }
}


/* neighbours with the same numbers, and no lease, make a run: 1 */

static ngx_uint_t
ngx_readiness_batch_pack_take(ngx_readiness_packer_t *packer,
    ngx_readiness_take_t *take)
{
    ngx_readiness_take_count(take);
    ngx_readiness_batch_key(packer, &take->name, take->numbers.kind);

    if (take->extra || take->numbers.kind != RDY_RATE_BUCKET
        || take->need > RDY_BATCH_RUN_NEED)
    {
        packer->run = NULL;
        packer->arg += rdy_batch_take(packer->arg, &take->numbers, take->need,
                                      take->extra);
        return 0;
    }

    if (packer->run == NULL
        || !rdy_rate_same(packer->numbers, &take->numbers))
    {
        packer->run = packer->arg;
        packer->numbers = &take->numbers;
        packer->nrun = 0;
        packer->arg += RDY_BATCH_RUN_LEN;
    }

    packer->arg += rdy_batch_run_need(packer->arg, take->need);

    (void) rdy_batch_run(packer->run, packer->numbers, ++packer->nrun);

    return 1;
}


static void
ngx_readiness_batch_pack_ask(ngx_readiness_packer_t *packer,
    ngx_readiness_ask_t *ask)
{
    ngx_uint_t                  i;
    ngx_readiness_ctx_t        *ctx;
    ngx_readiness_batch_t      *batch;
    ngx_readiness_state_t      *state;
    ngx_readiness_place_key_t  *key;

    ctx = ask->ctx;
    batch = packer->batch;

    packer->arg += rdy_batch_request(packer->arg, ask->item.nkeys);

    for (i = ctx->first; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!ngx_readiness_asked_now(state, ask)) {
            continue;
        }

        key = &batch->keys[batch->nkeys];

        ngx_readiness_batch_key(packer, &state->name, state->numbers.kind);

        packer->arg += rdy_batch_limit(packer->arg, &state->numbers,
                                       state->cost, state->monitor);

        if (state->numbers.kind == RDY_RATE_CONCURRENT && state->cost) {
            key->slots = ngx_readiness_slots_get(batch->asker, state);
            key->cost = state->cost;

            if (key->slots) {
                key->slots->pending += key->cost;
            }
        }
    }
}


/*
 * Of what is given back: as much as has not drained by now, had it been the
 * only charge; nothing of what this Redis may not know of.
 */

static uint64_t
ngx_readiness_batch_amount(const ngx_readiness_batch_t *batch,
    const ngx_readiness_charge_t *charge)
{
    rdy_bucket_t       drained;
    const rdy_rate_t  *rate;

    if (!charge->back) {
        return charge->amount;
    }

    if (charge->generation != batch->generation) {
        return 0;
    }

    if (charge->since == 0) {
        return charge->amount;
    }

    rate = &charge->numbers;

    if (rate->kind == RDY_RATE_BUCKET) {
        drained.spent = charge->amount * RDY_RATE_UNIT;
        drained.at = charge->since;
        rdy_rate_drain(rate, &drained, batch->sent_at);

        return drained.spent;
    }

    return batch->sent_at - charge->since < rate->period * 1000000
           ? charge->amount : 0;
}


static void
ngx_readiness_batch_key(ngx_readiness_packer_t *packer, const ngx_str_t *name,
    rdy_rate_kind_e kind)
{
    ngx_readiness_place_key_t  *key;

    key = &packer->batch->keys[packer->batch->nkeys];
    key->kind = kind;
    key->slots = NULL;
    key->cost = 0;
    key->refused = 0;

    ngx_readiness_batch_keys[packer->batch->nkeys++] = *name;
}


/* nothing was sent: no slots were asked for */

static void
ngx_readiness_batch_undo(ngx_readiness_batch_t *batch)
{
    ngx_uint_t                  k;
    ngx_readiness_place_key_t  *key;

    for (k = 0; k < batch->nkeys; k++) {
        key = &batch->keys[k];

        if (key->slots) {
            ngx_readiness_slots_answer(key->slots, key->cost, 1);
        }
    }
}


/* the items are no longer gathered: they are under way, or over */

static void
ngx_readiness_batch_sent(ngx_readiness_batch_t *batch)
{
    ngx_uint_t              i;
    ngx_readiness_ask_t    *ask;
    ngx_readiness_item_t   *item;
    ngx_readiness_place_t  *place;

    for (i = 0; i < batch->n; i++) {
        place = &batch->places[i];
        item = place->item;

        ngx_queue_remove(&item->queue);
        item->gathered = 0;

        switch (place->type) {

        case NGX_READINESS_ITEM_ASK:
            ask = place->item;
            ask->batch = batch;
            ask->place = i;
            break;

        case NGX_READINESS_ITEM_TAKE:
            ngx_readiness_take_sent(place->item, batch->sent_at);
            break;

        case NGX_READINESS_ITEM_CHARGE:
            place->owed = !((ngx_readiness_charge_t *) item)->back;
            ngx_free(item);
            place->item = NULL;
            break;

        case NGX_READINESS_ITEM_SLOTS:
            place->item = ngx_readiness_item_slots(item);
            ngx_readiness_slots_told(place->item);
            break;

        default: /* NGX_READINESS_ITEM_BEAT */
            break;
        }
    }
}
