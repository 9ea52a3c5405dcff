
/*
 * Copyright (C) The readiness authors
 */


/*
 * The reply to a call, read in the order its items were packed.  A batch
 * remembers of each item as much as it takes to read the reply past it when
 * its request has gone.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_ask.h"


static ngx_int_t ngx_readiness_batch_read(ngx_readiness_batch_t *batch,
    ngx_readiness_place_t *place, rdy_batch_reply_t *reply);
static ngx_int_t ngx_readiness_batch_read_ask(ngx_readiness_batch_t *batch,
    ngx_readiness_place_t *place, rdy_batch_reply_t *reply);
static ngx_uint_t ngx_readiness_batch_lost(const ngx_readiness_batch_t *batch,
    const ngx_readiness_place_t *place);
static void ngx_readiness_batch_learn(ngx_readiness_state_t *state,
    const rdy_batch_state_t *found, uint64_t sent_at);
static void ngx_readiness_batch_slots(ngx_readiness_batch_t *batch,
    ngx_readiness_place_t *place, ngx_readiness_ctx_t *ctx,
    ngx_uint_t known);
static void ngx_readiness_batch_unanswered(ngx_readiness_batch_t *batch,
    ngx_readiness_place_t *place);


/* a kind is all that it takes to read a reply past */

static const rdy_rate_t  ngx_readiness_batch_kinds[] = {
    { 1, 1, 1, RDY_RATE_BUCKET },
    { 1, 1, 1, RDY_RATE_QUOTA },
    { 1, 1, 1, RDY_RATE_CONCURRENT }
};


void
ngx_readiness_batch_reply(ngx_readiness_redis_call_t *call,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload)
{
    ngx_int_t               ok;
    ngx_uint_t              i;
    rdy_batch_reply_t       reply;
    ngx_readiness_batch_t  *batch;
    ngx_readiness_asker_t  *asker;

    batch = call->data;
    asker = batch->asker;
    ok = (rc == NGX_READINESS_REDIS_OK) ? NGX_OK : NGX_ERROR;

    if (ok == NGX_OK) {
        reply.pos = payload->data;
        reply.end = payload->data + payload->len;

        ngx_readiness_owed_over(asker, batch->slot);
    }

    /* a request that is run on may take others with it: see each place anew */

    for (i = 0; i < batch->n; i++) {

        if (ok == NGX_OK) {
            ok = ngx_readiness_batch_read(batch, &batch->places[i], &reply);

            if (ok == NGX_OK) {
                continue;
            }
        }

        ngx_readiness_batch_unanswered(batch, &batch->places[i]);
    }

    batch->n = 0;
    asker->under_way--;

    ngx_queue_insert_head(&asker->batches, &batch->queue);

    if (!ngx_queue_empty(&asker->gather)) {
        ngx_post_event(&asker->flush, &ngx_posted_events);
    }
}


/* NGX_ERROR: the reply has no such part; nothing was done */

static ngx_int_t
ngx_readiness_batch_read(ngx_readiness_batch_t *batch,
    ngx_readiness_place_t *place, rdy_batch_reply_t *reply)
{
    uint64_t           got, extra, sum;
    rdy_batch_state_t  found;

    switch (place->type) {

    case NGX_READINESS_ITEM_ASK:
        return ngx_readiness_batch_read_ask(batch, place, reply);

    case NGX_READINESS_ITEM_TAKE:

        if (place->run) {
            extra = 0;

            if (rdy_batch_reply_run(reply, &got, &found) != RDY_OK) {
                return NGX_ERROR;
            }

        } else if (rdy_batch_reply_take(reply,
                &ngx_readiness_batch_kinds[batch->keys[place->first].kind],
                &got, &extra, &found)
            != RDY_OK)
        {
            return NGX_ERROR;
        }

        ngx_readiness_take_answer(place->item, got, extra, &found);

        return NGX_OK;

    case NGX_READINESS_ITEM_CHARGE:
        return NGX_OK;

    default: /* NGX_READINESS_ITEM_SLOTS, NGX_READINESS_ITEM_BEAT */

        if (rdy_batch_reply_hold(reply, &sum) != RDY_OK) {
            return NGX_ERROR;
        }

        if (place->type == NGX_READINESS_ITEM_BEAT) {
            ngx_readiness_outage_beat(batch->asker, sum);

        } else {
            ngx_readiness_slots_heard(place->item, 1);
        }

        return NGX_OK;
    }
}


static ngx_int_t
ngx_readiness_batch_read_ask(ngx_readiness_batch_t *batch,
    ngx_readiness_place_t *place, rdy_batch_reply_t *reply)
{
    ngx_uint_t              i, k;
    rdy_uint_t              admitted, fits[NGX_READINESS_MAX_LIMITS];
    rdy_batch_state_t       found[NGX_READINESS_MAX_LIMITS];
    ngx_readiness_ask_t    *ask;
    ngx_readiness_ctx_t    *ctx;
    ngx_readiness_state_t  *state;

    if (rdy_batch_reply_request(reply, &admitted) != RDY_OK) {
        return NGX_ERROR;
    }

    for (k = 0; k < place->n; k++) {
        if (rdy_batch_reply_limit(reply,
                &ngx_readiness_batch_kinds[batch->keys[place->first + k].kind],
                &fits[k], &found[k])
            != RDY_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_readiness_batch_lost(batch, place)) {
        ngx_readiness_batch_unanswered(batch, place);
        return NGX_OK;
    }

    ask = place->item;
    ctx = ask ? ask->ctx : NULL;

    for (i = ctx ? ctx->first : 0, k = 0; ctx && i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!ngx_readiness_asked_now(state, ask)) {
            continue;
        }

        state->refused = !fits[k];

        if (admitted && fits[k] && state->cost) {
            state->charged = NGX_READINESS_CHARGED_REDIS;
            state->charged_at = batch->sent_at;
            state->generation = batch->generation;
        }

        ngx_readiness_batch_learn(state, &found[k++], batch->sent_at);
    }

    for (k = 0; k < place->n; k++) {
        if (!admitted || !fits[k]) {
            batch->keys[place->first + k].refused = 1;
        }
    }

    ngx_readiness_batch_slots(batch, place, ctx, 1);

    if (ask) {
        ngx_readiness_ask_answer(ask, 0);
    }

    return NGX_OK;
}


/* slots that there was no memory to keep account of are nobody's */

static ngx_uint_t
ngx_readiness_batch_lost(const ngx_readiness_batch_t *batch,
    const ngx_readiness_place_t *place)
{
    ngx_uint_t  k;

    for (k = place->first; k < place->first + place->n; k++) {
        if (batch->keys[k].cost && batch->keys[k].slots == NULL) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_readiness_batch_learn(ngx_readiness_state_t *state,
    const rdy_batch_state_t *found, uint64_t sent_at)
{
    uint64_t            owed;
    ngx_uint_t          hashed;
    rdy_lease_answer_t  answer;

    rdy_batch_view(&state->numbers, found, state->cost, &state->view);

    state->decided = 1;
    state->asked = 0;

    if (state->numbers.kind != RDY_RATE_CONCURRENT && state->cost) {

        answer.sent = sent_at;
        answer.cost = state->cost;
        answer.got = state->charged ? state->cost : 0;
        answer.asked = 0;
        answer.extra = 0;
        answer.total = found->total;
        answer.until = state->view.retry;

        answer.known.spent = (state->numbers.kind == RDY_RATE_BUCKET)
                             ? found->bucket.spent : found->used;

        hashed = state->hashed;

        owed = ngx_readiness_known_answer(state->rate, &state->numbers,
                                          &state->key, state->hash, &hashed,
                                          &answer);
        state->hashed = hashed;

        ngx_readiness_ask_charge(ngx_readiness_asker(state->rate->redis),
                                 &state->numbers, &state->name, state->slot,
                                 owed, 0);
    }

    state->view.retry = state->refused
                        ? ngx_readiness_known_retry(state->view.retry) : 0;
}


/*
 * Slots that a call has asked for: they are the request's, nobody's, or, of a
 * request that has gone, to be given back.
 */

static void
ngx_readiness_batch_slots(ngx_readiness_batch_t *batch,
    ngx_readiness_place_t *place, ngx_readiness_ctx_t *ctx, ngx_uint_t known)
{
    ngx_uint_t                  i, k;
    ngx_readiness_state_t      *state;
    ngx_readiness_place_key_t  *key;

    for (k = place->first; k < place->first + place->n; k++) {
        key = &batch->keys[k];

        if (key->slots == NULL) {
            continue;
        }

        for (i = ctx ? ctx->first : 0; ctx && i < ctx->nlimits; i++) {
            state = &ctx->limits[i];

            if (state->charged == NGX_READINESS_CHARGED_REDIS
                && state->hold == NULL && !key->refused
                && ngx_readiness_slots_are(key->slots, state))
            {
                ngx_readiness_hold(ctx, state, NGX_READINESS_SLOTS_ELSEWHERE,
                                   key->slots);
                break;
            }
        }

        /* whoever has gone is not in its count: that is told */

        ngx_readiness_slots_answer(key->slots, key->cost,
                                   known && (ctx || key->refused));
        key->slots = NULL;
    }
}


static void
ngx_readiness_batch_unanswered(ngx_readiness_batch_t *batch,
    ngx_readiness_place_t *place)
{
    switch (place->type) {

    case NGX_READINESS_ITEM_ASK:
        ngx_readiness_batch_slots(batch, place, NULL, 0);

        if (place->item) {
            ngx_readiness_ask_answer(place->item, 1);
        }

        return;

    case NGX_READINESS_ITEM_TAKE:
        ngx_readiness_take_answer(place->item, 0, 0, NULL);
        return;

    case NGX_READINESS_ITEM_CHARGE:

        /* it may have been charged: never again, then */

        if (place->owed) {
            ngx_readiness_owed_lost(batch->asker);
        }

        return;

    case NGX_READINESS_ITEM_SLOTS:
        ngx_readiness_slots_heard(place->item, 0);
        return;

    default:
        return;
    }
}
