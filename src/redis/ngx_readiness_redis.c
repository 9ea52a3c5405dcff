
/*
 * Copyright (C) The readiness authors
 */


/*
 * A worker's place at each Redis: from when to when it is there, and what may
 * be asked of it.
 */


#include "redis/ngx_readiness_redis_internal.h"

#include "redis/rdy_cluster.h"

#include <ngx_event.h>
#include <ngx_sha1.h>


static ngx_int_t ngx_readiness_redis_worker(ngx_readiness_redis_t *redis,
    ngx_cycle_t *cycle);
static void ngx_readiness_redis_know(ngx_readiness_redis_worker_t *worker,
    ngx_readiness_script_t *script);
static ngx_queue_t *ngx_readiness_redis_preludes(
    ngx_readiness_redis_peer_t *peer);


ngx_int_t
ngx_readiness_redis_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_readiness_redis_t      **redis;
    ngx_readiness_main_conf_t   *rmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);
    if (rmcf == NULL) {
        return NGX_OK;
    }

    redis = rmcf->redis.elts;

    for (i = 0; i < rmcf->redis.nelts; i++) {
        if (ngx_readiness_redis_worker(redis[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_readiness_redis_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_queue_t                    *q;
    ngx_readiness_redis_t         **redis;
    ngx_readiness_main_conf_t      *rmcf;
    ngx_readiness_redis_worker_t   *worker;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);
    if (rmcf == NULL) {
        return;
    }

    redis = rmcf->redis.elts;

    for (i = 0; i < rmcf->redis.nelts; i++) {

        worker = redis[i]->worker;
        if (worker == NULL) {
            continue;
        }

        /* no more calls */

        redis[i]->worker = NULL;

        if (worker->cluster) {
            ngx_readiness_redis_cluster_exit(worker->cluster);
        }

        if (worker->sentinel) {
            ngx_readiness_redis_sentinels_gone(worker);
        }

        while (!ngx_queue_empty(&worker->peers)) {
            q = ngx_queue_head(&worker->peers);
            ngx_readiness_redis_gone(ngx_queue_data(q,
                                                    ngx_readiness_redis_peer_t,
                                                    queue));
        }
    }
}


static ngx_int_t
ngx_readiness_redis_worker(ngx_readiness_redis_t *redis, ngx_cycle_t *cycle)
{
    ngx_readiness_redis_worker_t  *worker;

    /* set by ngx_pcalloc(): generation, scripts, counters */

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_readiness_redis_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->redis = redis;

    ngx_queue_init(&worker->peers);

    /* workers begin apart, so that each one's numbers are its own */

    worker->number = (uint64_t) ngx_pid << 40 ^ (uint64_t) ngx_random() << 20
                     ^ ngx_current_msec;

    redis->worker = worker;

    switch (redis->topology) {

    case NGX_READINESS_REDIS_CLUSTER:
        return ngx_readiness_redis_cluster_init(worker, cycle);

    case NGX_READINESS_REDIS_SENTINEL:

        if (ngx_readiness_redis_sentinels(worker, cycle->pool) != NGX_OK) {
            return NGX_ERROR;
        }

        break;

    default: /* NGX_READINESS_REDIS_SINGLE */

        worker->peer = ngx_readiness_redis_peer(worker, redis->servers.elts);
        if (worker->peer == NULL) {
            return NGX_ERROR;
        }
    }

    /* from the event loop, so that the first request need not wait */

    ngx_add_timer(&worker->peer->retry, 0);

    return NGX_OK;
}


ngx_int_t
ngx_readiness_redis_eval(ngx_readiness_redis_t *redis,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call)
{
    ngx_int_t                      rc;
    ngx_readiness_redis_worker_t  *worker;

    worker = redis->worker;
    if (worker == NULL) {
        return NGX_DECLINED;
    }

    worker->ncalls++;

    ngx_readiness_redis_know(worker, script);

    if (worker->cluster) {
        rc = ngx_readiness_redis_cluster_eval(worker->cluster, script, call);

    } else {
        rc = ngx_readiness_redis_ask(worker->peer, script, call);
    }

    if (rc != NGX_OK) {
        worker->ndeclined++;
    }

    return rc;
}


/* each new connection is told of the scripts that were in use so far */

static void
ngx_readiness_redis_know(ngx_readiness_redis_worker_t *worker,
    ngx_readiness_script_t *script)
{
    u_char                       digest[20];
    ngx_uint_t                   i;
    ngx_sha1_t                   sha1;
    ngx_queue_t                 *q;
    ngx_readiness_redis_peer_t  *peer;

    for (i = 0; i < worker->nscripts; i++) {
        if (worker->scripts[i] == script) {
            return;
        }
    }

    if (script->sha1[0] == '\0') {
        ngx_sha1_init(&sha1);
        ngx_sha1_update(&sha1, script->text.data, script->text.len);
        ngx_sha1_final(digest, &sha1);

        *ngx_hex_dump(script->sha1, digest, sizeof(digest)) = '\0';
    }

    if (worker->nscripts == NGX_READINESS_REDIS_MAX_SCRIPTS) {
        return;
    }

    worker->scripts[worker->nscripts++] = script;

    for (q = ngx_queue_head(&worker->peers);
         q != ngx_queue_sentinel(&worker->peers);
         q = ngx_queue_next(q))
    {
        peer = ngx_queue_data(q, ngx_readiness_redis_peer_t, queue);

        if (peer->state < NGX_READINESS_REDIS_PRELUDE || peer->asked) {
            continue;
        }

        /* without it the call is repeated with the script's text */

        (void) ngx_readiness_redis_command(peer,
                                           ngx_readiness_redis_preludes(peer),
                                           NGX_READINESS_REDIS_LOAD, script,
                                           NULL, 0);
    }
}


/*
 * Behind what of a prelude is unsent: it has to be done before anything else
 * is written, which may be waiting already.
 */

static ngx_queue_t *
ngx_readiness_redis_preludes(ngx_readiness_redis_peer_t *peer)
{
    ngx_queue_t                  *q;
    ngx_readiness_redis_entry_t  *e;

    if (peer->state == NGX_READINESS_REDIS_UP) {
        return ngx_queue_last(&peer->unsent);
    }

    for (q = ngx_queue_head(&peer->unsent);
         q != ngx_queue_sentinel(&peer->unsent);
         q = ngx_queue_next(q))
    {
        e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

        if (e->kind > NGX_READINESS_REDIS_LOAD) {
            break;
        }
    }

    return ngx_queue_prev(q);
}


ngx_msec_t
ngx_readiness_redis_timeout(const ngx_readiness_redis_t *redis)
{
    return redis->timeout;
}


const ngx_str_t *
ngx_readiness_redis_prefix(const ngx_readiness_redis_t *redis)
{
    return &redis->prefix;
}


const ngx_str_t *
ngx_readiness_redis_name(const ngx_readiness_redis_t *redis)
{
    return &redis->name;
}


ngx_uint_t
ngx_readiness_redis_cluster(const ngx_readiness_redis_t *redis)
{
    return redis->topology == NGX_READINESS_REDIS_CLUSTER;
}


ngx_uint_t
ngx_readiness_redis_slot(const ngx_readiness_redis_t *redis,
    const ngx_str_t *key)
{
    return redis->topology == NGX_READINESS_REDIS_CLUSTER
           ? rdy_cluster_slot(key) : 0;
}


ngx_uint_t
ngx_readiness_redis_generation(const ngx_readiness_redis_t *redis)
{
    return redis->worker ? redis->worker->generation : 0;
}


void
ngx_readiness_redis_on_ready(ngx_readiness_redis_t *redis, ngx_event_t *ev)
{
    if (redis->worker) {
        redis->worker->ready = ev;
    }
}
