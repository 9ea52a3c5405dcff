
/*
 * Copyright (C) The readiness authors
 */


/*
 * Requests of cost 1 whose only limit in the call is the same key: they are
 * one item, whatever their number.  While the last answer for a key was that
 * it is spent, or its limit is leased, those that come while its call is under
 * way wait for the answer instead of asking themselves.
 *
 * A take is kept after its call for what it remembers: that its key is spent,
 * or that permits of it will have to be given back.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_ask.h"


#define NGX_READINESS_TAKE_TEXT   96
#define NGX_READINESS_TAKE_SLACK  8      /* ms: nginx's clock may be behind */


static ngx_readiness_take_t *ngx_readiness_take_find(
    ngx_readiness_asker_t *asker, const ngx_readiness_state_t *state,
    uint32_t hash);
static ngx_readiness_take_t *ngx_readiness_take_new(
    ngx_readiness_asker_t *asker, const ngx_readiness_state_t *state,
    uint32_t hash);
static ngx_int_t ngx_readiness_take_text(ngx_readiness_take_t *take,
    const ngx_readiness_state_t *state);
static void ngx_readiness_take_learn(ngx_readiness_take_t *take,
    uint64_t got, uint64_t extra, const rdy_batch_state_t *state,
    rdy_rate_view_t *view);
static void ngx_readiness_take_lease(ngx_readiness_take_t *take);
static uint64_t ngx_readiness_take_since(ngx_readiness_asker_t *asker,
    uint64_t at);
static void ngx_readiness_take_lease_until(ngx_readiness_take_t *take,
    uint64_t us);
static void ngx_readiness_take_tell(ngx_readiness_ask_t *ask,
    const ngx_readiness_take_t *take, const rdy_rate_view_t *view,
    ngx_uint_t admitted);
static void ngx_readiness_take_again(ngx_readiness_take_t *take);
static ngx_readiness_state_t *ngx_readiness_take_state(
    ngx_readiness_ask_t *ask);
static void ngx_readiness_take_rest(ngx_readiness_take_t *take);
static void ngx_readiness_take_wake(ngx_readiness_take_t *take);
static void ngx_readiness_take_free(ngx_readiness_take_t *take);


ngx_int_t
ngx_readiness_take(ngx_readiness_ask_t *ask, ngx_readiness_state_t *state)
{
    uint32_t                hash;
    ngx_readiness_take_t   *take;
    ngx_readiness_asker_t  *asker;

    asker = ask->asker;
    hash = ngx_murmur_hash2(state->name.data, state->name.len);

    take = ngx_readiness_take_find(asker, state, hash);

    if (take == NULL) {
        take = ngx_readiness_take_new(asker, state, hash);
        if (take == NULL) {
            return NGX_ERROR;
        }
    }

    ask->take = take;

    if (take->sent) {
        ngx_queue_insert_tail(&take->later, &ask->wait);
        return NGX_OK;
    }

    ngx_readiness_take_wake(take);

    ngx_queue_insert_tail(&take->asks, &ask->wait);
    ngx_readiness_ask_gather(asker, &take->item, 0);

    return NGX_OK;
}


/* one that the request may join */

static ngx_readiness_take_t *
ngx_readiness_take_find(ngx_readiness_asker_t *asker,
    const ngx_readiness_state_t *state, uint32_t hash)
{
    ngx_readiness_take_t  *take;

    for (take = asker->takes[hash % NGX_READINESS_TAKES];
         take;
         take = take->next)
    {
        if (take->hash32 == hash && take->rate == state->rate
            && take->name.len == state->name.len
            && ngx_memcmp(take->name.data, state->name.data, take->name.len)
               == 0
            && rdy_rate_same(&take->numbers, &state->numbers)
            && (!take->sent || take->spent || take->rate->lease))
        {
            return take;
        }
    }

    return NULL;
}


static ngx_readiness_take_t *
ngx_readiness_take_new(ngx_readiness_asker_t *asker,
    const ngx_readiness_state_t *state, uint32_t hash)
{
    ngx_queue_t            *q;
    ngx_readiness_take_t   *take, **head;

    if (ngx_queue_empty(&asker->free)) {

        take = ngx_calloc(sizeof(ngx_readiness_take_t), ngx_cycle->log);
        if (take == NULL) {
            return NULL;
        }

        take->asker = asker;
        take->item.type = NGX_READINESS_ITEM_TAKE;
        take->item.nkeys = 1;

        ngx_queue_init(&take->asks);
        ngx_queue_init(&take->later);
        ngx_queue_insert_head(&asker->free, &take->idle);
    }

    q = ngx_queue_head(&asker->free);
    take = ngx_queue_data(q, ngx_readiness_take_t, idle);

    if (ngx_readiness_take_text(take, state) != NGX_OK) {
        return NULL;
    }

    ngx_queue_remove(q);

    take->rate = state->rate;
    take->numbers = state->numbers;
    take->item.slot = state->slot;
    take->hash32 = hash;
    take->hashed = state->hashed;
    take->hash[0] = state->hash[0];
    take->hash[1] = state->hash[1];

    head = &asker->takes[hash % NGX_READINESS_TAKES];
    take->next = *head;
    *head = take;

    return take;
}


static ngx_int_t
ngx_readiness_take_text(ngx_readiness_take_t *take,
    const ngx_readiness_state_t *state)
{
    if (take->size < state->name.len) {

        if (take->name.data) {
            ngx_free(take->name.data);
        }

        take->size = ngx_max(state->name.len, NGX_READINESS_TAKE_TEXT);
        take->name.data = ngx_alloc(take->size, ngx_cycle->log);

        if (take->name.data == NULL) {
            take->size = 0;
            return NGX_ERROR;
        }
    }

    ngx_memcpy(take->name.data, state->name.data, state->name.len);

    take->name.len = state->name.len;
    take->key.data = take->name.data + (state->key.data - state->name.data);
    take->key.len = state->key.len;

    return NGX_OK;
}


void
ngx_readiness_take_sent(ngx_readiness_take_t *take, uint64_t now)
{
    take->sent = 1;
    take->item.gathered = 0;
    take->sent_at = now;
    take->sent_in = ngx_readiness_redis_generation(take->asker->redis);
}


/* how many wait, and how many permits are to be asked for beyond them */

void
ngx_readiness_take_count(ngx_readiness_take_t *take)
{
    ngx_queue_t  *q;

    take->need = 0;
    take->extra = 0;

    for (q = ngx_queue_head(&take->asks);
         q != ngx_queue_sentinel(&take->asks);
         q = ngx_queue_next(q))
    {
        take->need++;
    }

    if (take->rate->lease == 0) {
        return;
    }

    if (!take->hashed) {
        ngx_readiness_zone_hash(take->rate, &take->key, take->hash);
        take->hashed = 1;
    }

    take->extra = ngx_readiness_known_size(take->rate, take->hash);
}


void
ngx_readiness_take_answer(ngx_readiness_take_t *take, uint64_t got,
    uint64_t extra, const rdy_batch_state_t *state)
{
    ngx_queue_t           asks, *q;
    rdy_rate_view_t       view;
    ngx_readiness_ask_t  *ask;

    if (state) {
        ngx_readiness_take_learn(take, got, extra, state, &view);
    }

    /*
     * What they run on to may come back here, and may take others with it:
     * until all are told, whoever comes waits, and nobody frees this.
     */

    take->sent = 1;

    ngx_queue_init(&asks);

    if (!ngx_queue_empty(&take->asks)) {
        ngx_queue_add(&asks, &take->asks);
        ngx_queue_init(&take->asks);
    }

    while (!ngx_queue_empty(&asks)) {

        q = ngx_queue_head(&asks);
        ngx_queue_remove(q);

        ask = ngx_queue_data(q, ngx_readiness_ask_t, wait);
        ask->take = NULL;

        if (state) {
            ngx_readiness_take_tell(ask, take, &view, got != 0);
            got -= (got != 0);
        }

        ngx_readiness_ask_answer(ask, state == NULL);
    }

    ngx_readiness_take_again(take);
}


static void
ngx_readiness_take_learn(ngx_readiness_take_t *take, uint64_t got,
    uint64_t extra, const rdy_batch_state_t *state, rdy_rate_view_t *view)
{
    uint64_t            owed;
    rdy_lease_answer_t  answer;

    rdy_batch_view(&take->numbers, state, 1, view);

    take->spent = (view->retry != 0);

    answer.sent = take->sent_at;
    answer.cost = 1;
    answer.got = got;
    answer.asked = take->extra;
    answer.extra = extra;
    answer.total = state->total;
    answer.until = view->retry;

    answer.known.spent = (take->numbers.kind == RDY_RATE_BUCKET)
                         ? state->bucket.spent : state->used;

    owed = ngx_readiness_known_answer(take->rate, &take->numbers, &take->key,
                                      take->hash, &take->hashed, &answer);

    ngx_readiness_ask_charge(take->asker, &take->numbers, &take->name,
                             take->item.slot, owed, 0);

    if (extra) {
        ngx_readiness_take_lease(take);
    }
}


/* permits have come in: their end is to be looked after */

static void
ngx_readiness_take_lease(ngx_readiness_take_t *take)
{
    ngx_readiness_asker_t  *asker;

    asker = take->asker;

    (void) ngx_readiness_take_since(asker, take->sent_at);

    if (!take->leased) {
        ngx_readiness_take_lease_until(take, RDY_LEASE_LIFE);
    }

    if (!asker->lease.timer_set) {
        ngx_add_timer(&asker->lease, RDY_LEASE_LIFE / 1000
                                     + NGX_READINESS_TAKE_SLACK);
    }
}


static void
ngx_readiness_take_lease_until(ngx_readiness_take_t *take, uint64_t us)
{
    take->leased = 1;
    take->lease.key = ngx_current_msec + us / 1000 + NGX_READINESS_TAKE_SLACK;

    ngx_rbtree_insert(&take->asker->leases, &take->lease);
}


/* to the request that waits: what became of its only limit in the call */

static void
ngx_readiness_take_tell(ngx_readiness_ask_t *ask,
    const ngx_readiness_take_t *take, const rdy_rate_view_t *view,
    ngx_uint_t admitted)
{
    ngx_readiness_state_t  *state;

    state = ngx_readiness_take_state(ask);

    if (state == NULL) {
        return;
    }

    state->view = *view;
    state->asked = 0;
    state->decided = 1;

    if (admitted) {
        state->view.retry = 0;
        state->charged = NGX_READINESS_CHARGED_REDIS;
        state->charged_at = take->sent_at;
        state->generation = take->sent_in;
        return;
    }

    state->refused = 1;
    state->view.retry = ngx_max(ngx_readiness_known_retry(view->retry), 1);
}


/* those that came while the call was under way: permits, a refusal, a call */

static void
ngx_readiness_take_again(ngx_readiness_take_t *take)
{
    ngx_queue_t            *q;
    ngx_readiness_ask_t    *ask;
    ngx_readiness_state_t  *state;

    while (!ngx_queue_empty(&take->later)) {

        q = ngx_queue_head(&take->later);
        ngx_queue_remove(q);

        ask = ngx_queue_data(q, ngx_readiness_ask_t, wait);
        state = ngx_readiness_take_state(ask);

        if (state == NULL || ngx_readiness_known_one(state)) {
            ask->take = NULL;
            ngx_readiness_ask_answer(ask, 0);
            continue;
        }

        ngx_queue_insert_tail(&take->asks, q);
    }

    take->sent = 0;

    if (!ngx_queue_empty(&take->asks)) {
        ngx_readiness_ask_gather(take->asker, &take->item, 0);
        return;
    }

    ngx_readiness_take_rest(take);
}


static ngx_readiness_state_t *
ngx_readiness_take_state(ngx_readiness_ask_t *ask)
{
    ngx_uint_t            i;
    ngx_readiness_ctx_t  *ctx;

    ctx = ask->ctx;

    for (i = ctx->first; i < ctx->nlimits; i++) {
        if (ngx_readiness_asked_now(&ctx->limits[i], ask)) {
            return &ctx->limits[i];
        }
    }

    return NULL;
}


void
ngx_readiness_take_leave(ngx_readiness_ask_t *ask)
{
    ngx_readiness_take_t  *take;

    take = ask->take;
    ask->take = NULL;

    ngx_queue_remove(&ask->wait);

    if (take->item.gathered && ngx_queue_empty(&take->asks)) {
        ngx_queue_remove(&take->item.queue);
        take->item.gathered = 0;

        ngx_readiness_take_rest(take);
    }
}


/* nobody waits: it is kept for what it remembers */

static void
ngx_readiness_take_rest(ngx_readiness_take_t *take)
{
    ngx_queue_t            *q;
    ngx_readiness_asker_t  *asker;

    if (!take->spent && !take->leased) {
        ngx_readiness_take_free(take);
        return;
    }

    asker = take->asker;

    take->resting = 1;
    ngx_queue_insert_tail(&asker->idle, &take->idle);
    asker->nidle++;

    if (asker->nidle > NGX_READINESS_TAKES_IDLE) {
        q = ngx_queue_head(&asker->idle);
        take = ngx_queue_data(q, ngx_readiness_take_t, idle);

        ngx_readiness_take_wake(take);
        ngx_readiness_take_free(take);
    }
}


static void
ngx_readiness_take_wake(ngx_readiness_take_t *take)
{
    if (take->resting) {
        take->resting = 0;
        ngx_queue_remove(&take->idle);
        take->asker->nidle--;
    }
}


static void
ngx_readiness_take_free(ngx_readiness_take_t *take)
{
    ngx_readiness_take_t  **link;

    link = &take->asker->takes[take->hash32 % NGX_READINESS_TAKES];

    while (*link != take) {
        link = &(*link)->next;
    }

    *link = take->next;

    if (take->leased) {
        ngx_rbtree_delete(&take->asker->leases, &take->lease);
        take->leased = 0;
    }

    take->spent = 0;

    ngx_queue_insert_head(&take->asker->free, &take->idle);
}


/* the process ends: takes whose call is under way are still told of it */

void
ngx_readiness_take_exit(ngx_readiness_asker_t *asker)
{
    ngx_queue_t           *q;
    ngx_readiness_take_t  *take;

    while (!ngx_queue_empty(&asker->idle)) {
        q = ngx_queue_head(&asker->idle);
        take = ngx_queue_data(q, ngx_readiness_take_t, idle);

        ngx_readiness_take_wake(take);
        ngx_readiness_take_free(take);
    }

    while (!ngx_queue_empty(&asker->free)) {
        q = ngx_queue_head(&asker->free);
        ngx_queue_remove(q);

        take = ngx_queue_data(q, ngx_readiness_take_t, idle);

        if (take->name.data) {
            ngx_free(take->name.data);
        }

        ngx_free(take);
    }
}


/*
 * Nobody knows what was charged before a connection was lost or the master
 * changed: permits from before that, or if nobody has noticed yet from before
 * `at`, are not given back.
 */

static uint64_t
ngx_readiness_take_since(ngx_readiness_asker_t *asker, uint64_t at)
{
    ngx_uint_t  generation;

    generation = ngx_readiness_redis_generation(asker->redis);

    if (asker->generation != generation) {
        asker->generation = generation;
        asker->since = at;
    }

    return asker->since;
}


/* permits whose life is over are given back, once */

void
ngx_readiness_take_lease_handler(ngx_event_t *ev)
{
    uint64_t                n, end, since;
    ngx_msec_int_t          left;
    ngx_rbtree_node_t      *node;
    ngx_readiness_take_t   *take;
    ngx_readiness_asker_t  *asker;

    asker = (ngx_readiness_asker_t *)
                ((u_char *) ev - offsetof(ngx_readiness_asker_t, lease));

    since = ngx_readiness_take_since(asker, ngx_readiness_now());

    while (asker->leases.root != asker->leases.sentinel) {

        node = ngx_rbtree_min(asker->leases.root, asker->leases.sentinel);
        left = (ngx_msec_int_t) (node->key - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(ev, left);
            return;
        }

        take = ngx_rbtree_data(node, ngx_readiness_take_t, lease);

        ngx_rbtree_delete(&asker->leases, node);
        take->leased = 0;

        n = ngx_readiness_known_old(take->rate, &take->numbers, take->hash,
                                    since, &end);

        ngx_readiness_ask_charge(asker, &take->numbers, &take->name,
                                 take->item.slot, n * RDY_RATE_UNIT, 1);

        if (end) {
            ngx_readiness_take_lease_until(take, end);
            continue;
        }

        if (take->resting && !take->spent) {
            ngx_readiness_take_wake(take);
            ngx_readiness_take_free(take);
        }
    }
}
