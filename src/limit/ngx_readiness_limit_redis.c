
/*
 * Copyright (C) The readiness authors
 */


/*
 * Limits counted in Redis.  All decisions that become ready in one turn of the
 * event loop gather, and go out in one script call by a posted event at the
 * end of the turn.  At most two calls are under way; what comes meanwhile
 * gathers for the next.
 *
 * A request waits through its ask.  One that goes away takes its ask out of
 * wherever it is; a batch keeps the place, so that the reply is still read in
 * step, and drops the answer.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"
#include "limit/rdy_batch.h"


#define NGX_READINESS_CALLS  2

#define NGX_READINESS_KEY_LEN                                                 \
    (32 + 64 + sizeof(":{}") + NGX_READINESS_MAX_KEYS * 65)


typedef struct ngx_readiness_batch_s  ngx_readiness_batch_t;
typedef struct ngx_readiness_asker_s  ngx_readiness_asker_t;


struct ngx_readiness_batch_s {
    ngx_readiness_redis_call_t   call;
    ngx_readiness_asker_t       *asker;
    ngx_uint_t                   n;
    ngx_readiness_ask_t         *asks[RDY_BATCH_KEYS];
    u_char                       nlimits[RDY_BATCH_KEYS];
};


/* one per Redis, in each worker */

struct ngx_readiness_asker_s {
    ngx_readiness_redis_t       *redis;
    ngx_queue_t                  order;      /* all that wait, by deadline */
    ngx_queue_t                  gather;     /* those not sent yet */
    ngx_uint_t                   under_way;
    ngx_event_t                  flush;
    ngx_event_t                  timer;
    ngx_readiness_batch_t        batches[NGX_READINESS_CALLS];
};


static ngx_readiness_asker_t *ngx_readiness_asker(
    const ngx_readiness_redis_t *redis);
static void ngx_readiness_ask_flush(ngx_event_t *ev);
static ngx_int_t ngx_readiness_ask_send(ngx_readiness_asker_t *asker);
static ngx_uint_t ngx_readiness_ask_pack(ngx_readiness_ask_t *ask,
    ngx_str_t *keys, u_char **key, u_char **arg);
static void ngx_readiness_ask_reply(ngx_readiness_redis_call_t *call,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload);
static ngx_int_t ngx_readiness_ask_read(ngx_readiness_ctx_t *ctx,
    rdy_batch_reply_t *reply, ngx_uint_t nlimits);
static void ngx_readiness_ask_expire(ngx_event_t *ev);
static void ngx_readiness_ask_answer(ngx_readiness_ask_t *ask,
    ngx_uint_t unavailable);
static void ngx_readiness_ask_detach(ngx_readiness_ask_t *ask);


static ngx_readiness_asker_t   *ngx_readiness_askers;
static ngx_uint_t               ngx_readiness_naskers;
static ngx_connection_t         ngx_readiness_ask_dummy;
static ngx_readiness_script_t   ngx_readiness_limit_script;


/* what a call is made of until it is sent; Redis' room copies it */

static ngx_str_t  ngx_readiness_ask_keys[RDY_BATCH_KEYS];
static u_char     ngx_readiness_ask_key[RDY_BATCH_KEYS
                                        * NGX_READINESS_KEY_LEN];
static u_char     ngx_readiness_ask_arg[RDY_BATCH_MAX_LEN];


ngx_int_t
ngx_readiness_limit_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i, n;
    ngx_readiness_asker_t       *asker;
    ngx_readiness_redis_t      **redis;
    ngx_readiness_main_conf_t   *rmcf;

    ngx_readiness_naskers = 0;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);

    if (rmcf == NULL || rmcf->redis.nelts == 0) {
        return NGX_OK;
    }

    n = rmcf->redis.nelts;
    redis = rmcf->redis.elts;

    asker = ngx_pcalloc(cycle->pool, n * sizeof(ngx_readiness_asker_t));
    if (asker == NULL) {
        return NGX_ERROR;
    }

    ngx_readiness_askers = asker;
    ngx_readiness_naskers = n;
    ngx_readiness_limit_script.text = rdy_batch_script;
    ngx_readiness_ask_dummy.fd = (ngx_socket_t) -1;

    for (i = 0; i < n; i++) {
        asker[i].redis = redis[i];

        ngx_queue_init(&asker[i].order);
        ngx_queue_init(&asker[i].gather);

        asker[i].flush.handler = ngx_readiness_ask_flush;
        asker[i].flush.data = &asker[i];
        asker[i].flush.log = cycle->log;

        asker[i].timer.handler = ngx_readiness_ask_expire;
        asker[i].timer.data = &ngx_readiness_ask_dummy;
        asker[i].timer.log = cycle->log;
    }

    return NGX_OK;
}


void
ngx_readiness_limit_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t    i;
    ngx_queue_t  *order;

    /* no request is run on any more, whatever becomes of the calls */

    for (i = 0; i < ngx_readiness_naskers; i++) {
        order = &ngx_readiness_askers[i].order;

        while (!ngx_queue_empty(order)) {
            ngx_readiness_ask_detach(ngx_queue_data(ngx_queue_head(order),
                                                    ngx_readiness_ask_t,
                                                    order));
        }
    }
}


static ngx_readiness_asker_t *
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


ngx_int_t
ngx_readiness_ask(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t              i, n;
    ngx_readiness_ask_t    *ask;
    ngx_readiness_asker_t  *asker;

    asker = NULL;

    for (i = 0, n = 0; i < ctx->nlimits; i++) {

        if (ctx->limits[i].asked && ctx->limits[i].rate->redis) {
            asker = ngx_readiness_asker(ctx->limits[i].rate->redis);
            n++;
        }
    }

    ask = ngx_palloc(r->pool, sizeof(ngx_readiness_ask_t));

    if (ask == NULL || asker == NULL) {
        return NGX_ERROR;
    }

    ask->ctx = ctx;
    ask->asker = asker;
    ask->batch = NULL;
    ask->nlimits = n;
    ask->deadline = ngx_current_msec
                    + ngx_readiness_redis_timeout(asker->redis);

    ctx->ask = ask;

    if (ngx_queue_empty(&asker->order)) {
        ngx_add_timer(&asker->timer,
                      ngx_readiness_redis_timeout(asker->redis));
    }

    ngx_queue_insert_tail(&asker->order, &ask->order);
    ngx_queue_insert_tail(&asker->gather, &ask->gather);

    ngx_post_event(&asker->flush, &ngx_posted_events);

    return NGX_AGAIN;
}


static void
ngx_readiness_ask_flush(ngx_event_t *ev)
{
    ngx_queue_t            *q;
    ngx_readiness_asker_t  *asker;

    asker = ev->data;

    while (!ngx_queue_empty(&asker->gather)
           && asker->under_way < NGX_READINESS_CALLS)
    {
        if (ngx_readiness_ask_send(asker) == NGX_OK) {
            continue;
        }

        /* Redis cannot be asked: nobody waits for what will not come */

        while (!ngx_queue_empty(&asker->gather)) {
            q = ngx_queue_head(&asker->gather);
            ngx_readiness_ask_answer(ngx_queue_data(q, ngx_readiness_ask_t,
                                                    gather), 1);
        }
    }
}


static ngx_int_t
ngx_readiness_ask_send(ngx_readiness_asker_t *asker)
{
    u_char                 *key, *arg;
    ngx_uint_t              i, nkeys;
    ngx_queue_t            *q;
    ngx_readiness_ask_t    *ask;
    ngx_readiness_batch_t  *batch;

    batch = asker->batches;

    if (batch->n) {
        batch++;
    }

    key = ngx_readiness_ask_key;
    arg = ngx_readiness_ask_arg;
    arg += rdy_batch_begin(arg, (u_char *) "\0\0\0\0\0\0\0");
    nkeys = 0;

    for (q = ngx_queue_head(&asker->gather);
         q != ngx_queue_sentinel(&asker->gather);
         q = ngx_queue_next(q))
    {
        ask = ngx_queue_data(q, ngx_readiness_ask_t, gather);

        if (nkeys + ask->nlimits > RDY_BATCH_KEYS) {
            break;
        }

        nkeys += ngx_readiness_ask_pack(ask, &ngx_readiness_ask_keys[nkeys],
                                        &key, &arg);

        batch->nlimits[batch->n] = (u_char) ask->nlimits;
        batch->asks[batch->n++] = ask;
    }

    batch->asker = asker;
    batch->call.handler = ngx_readiness_ask_reply;
    batch->call.data = batch;
    batch->call.keys = ngx_readiness_ask_keys;
    batch->call.nkeys = nkeys;
    batch->call.arg.data = ngx_readiness_ask_arg;
    batch->call.arg.len = arg - ngx_readiness_ask_arg;

    if (ngx_readiness_redis_eval(asker->redis, &ngx_readiness_limit_script,
                                 &batch->call)
        != NGX_OK)
    {
        batch->n = 0;
        return NGX_DECLINED;
    }

    asker->under_way++;

    for (i = 0; i < batch->n; i++) {
        ask = batch->asks[i];
        ask->batch = batch;
        ask->index = i;
        ngx_queue_remove(&ask->gather);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_readiness_ask_pack(ngx_readiness_ask_t *ask, ngx_str_t *keys,
    u_char **key, u_char **arg)
{
    u_char                       *p;
    ngx_uint_t                    i, n;
    ngx_readiness_ctx_t          *ctx;
    const ngx_readiness_state_t  *state;

    ctx = ask->ctx;
    n = 0;

    *arg += rdy_batch_request(*arg, ask->nlimits);

    for (i = 0; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!state->asked || state->rate->redis == NULL) {
            continue;
        }

        p = ngx_cpymem(*key, state->rate->prefix.data,
                       state->rate->prefix.len);
        p = ngx_cpymem(p, state->key.data, state->key.len);
        *p++ = '}';

        keys[n].data = *key;
        keys[n].len = p - *key;
        n++;

        *key = p;
        *arg += rdy_batch_limit(*arg, &state->numbers, state->cost,
                                state->monitor);
    }

    return n;
}


static void
ngx_readiness_ask_reply(ngx_readiness_redis_call_t *call,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload)
{
    ngx_int_t               ok;
    ngx_uint_t              i;
    rdy_batch_reply_t       reply;
    ngx_readiness_ask_t    *ask;
    ngx_readiness_batch_t  *batch;
    ngx_readiness_asker_t  *asker;

    batch = call->data;
    asker = batch->asker;
    ok = (rc == NGX_READINESS_REDIS_OK) ? NGX_OK : NGX_ERROR;

    if (ok == NGX_OK) {
        reply.pos = payload->data;
        reply.end = payload->data + payload->len;
    }

    /* a request that is run on may take others with it: see each place anew */

    for (i = 0; i < batch->n; i++) {

        ask = batch->asks[i];

        if (ok == NGX_OK) {
            ok = ngx_readiness_ask_read(ask ? ask->ctx : NULL, &reply,
                                        batch->nlimits[i]);
        }

        if (ask) {
            ngx_readiness_ask_answer(ask, ok != NGX_OK);
        }
    }

    batch->n = 0;
    asker->under_way--;

    if (!ngx_queue_empty(&asker->gather)) {
        ngx_post_event(&asker->flush, &ngx_posted_events);
    }
}


/* reads one request's part of the reply; ctx NULL: nobody waits for it */

static ngx_int_t
ngx_readiness_ask_read(ngx_readiness_ctx_t *ctx, rdy_batch_reply_t *reply,
    ngx_uint_t nlimits)
{
    ngx_uint_t              i;
    rdy_uint_t              admitted, fits;
    static const rdy_rate_t bucket;     /* only buckets are asked for */
    rdy_batch_state_t       told;
    ngx_readiness_state_t  *state;

    if (rdy_batch_reply_request(reply, &admitted) != RDY_OK) {
        return NGX_ERROR;
    }

    if (ctx == NULL) {
        while (nlimits--) {
            if (rdy_batch_reply_limit(reply, &bucket, &fits, &told) != RDY_OK) {
                return NGX_ERROR;
            }
        }

        return NGX_OK;
    }

    for (i = 0; i < ctx->nlimits && nlimits; i++) {
        state = &ctx->limits[i];

        if (!state->asked || state->rate->redis == NULL) {
            continue;
        }

        if (rdy_batch_reply_limit(reply, &state->numbers, &fits, &told)
            != RDY_OK)
        {
            return NGX_ERROR;
        }

        nlimits--;

        rdy_batch_view(&state->numbers, &told, state->cost, &state->view);

        state->refused = !fits;
        state->decided = 1;
        state->asked = 0;

        if (fits) {
            state->view.retry = 0;
        }
    }

    return NGX_OK;
}


static void
ngx_readiness_ask_expire(ngx_event_t *ev)
{
    ngx_msec_int_t          left;
    ngx_queue_t            *q;
    ngx_readiness_ask_t    *ask;
    ngx_readiness_asker_t  *asker;

    /* nginx wants a connection in the data of an event with a timer */

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


/* the ask is over: what it waited for is in the states, or will not come */

static void
ngx_readiness_ask_answer(ngx_readiness_ask_t *ask, ngx_uint_t unavailable)
{
    ngx_readiness_ctx_t  *ctx;

    ctx = ask->ctx;

    ngx_readiness_ask_detach(ask);

    if (unavailable) {
        ngx_readiness_limit_unavailable(ctx);
    }

    ngx_readiness_resume(ctx);
}


static void
ngx_readiness_ask_detach(ngx_readiness_ask_t *ask)
{
    ngx_readiness_asker_t  *asker;

    asker = ask->asker;

    ngx_queue_remove(&ask->order);

    if (ask->batch) {
        ask->batch->asks[ask->index] = NULL;

    } else {
        ngx_queue_remove(&ask->gather);
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
}
