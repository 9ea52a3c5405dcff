
/*
 * Copyright (C) The readiness authors
 */


/*
 * Calls on a cluster: each goes to the node that has its slot, and on to
 * another when the node says so.  MOVED and ASK say that the call was not
 * done, which is why it may be sent once more.
 */


#include "redis/ngx_readiness_redis_cluster.h"

#include <ngx_event.h>


static void ngx_readiness_redis_cluster_event(
    ngx_readiness_redis_cluster_t *cluster, ngx_event_t *ev,
    ngx_event_handler_pt handler);
static void ngx_readiness_redis_moved(ngx_readiness_redis_cluster_t *cluster,
    ngx_uint_t slot, uint16_t number);
static ngx_int_t ngx_readiness_redis_pass(
    ngx_readiness_redis_cluster_t *cluster, ngx_readiness_redis_peer_t *from,
    ngx_readiness_redis_entry_t *e, uint16_t number);


ngx_int_t
ngx_readiness_redis_cluster_init(ngx_readiness_redis_worker_t *worker,
    ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_readiness_redis_server_t   *server;
    ngx_readiness_redis_cluster_t  *cluster;

    /* set by ngx_pcalloc(): asked, prefer, nodes, counts, times */

    cluster = ngx_pcalloc(cycle->pool, sizeof(ngx_readiness_redis_cluster_t));
    if (cluster == NULL) {
        return NGX_ERROR;
    }

    cluster->worker = worker;
    cluster->ident = (ngx_socket_t) -1;

    ngx_memset(cluster->slots, 0xff, sizeof(cluster->slots));

    server = worker->redis->servers.elts;
    cluster->nseeds = worker->redis->servers.nelts;

    cluster->seeds = ngx_pcalloc(cycle->pool, cluster->nseeds
                                         * sizeof(ngx_readiness_redis_seed_t));
    if (cluster->seeds == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < cluster->nseeds; i++) {
        cluster->seeds[i].server = &server[i];
    }

    worker->limbo = ngx_readiness_redis_peer(worker, server);
    if (worker->limbo == NULL) {
        return NGX_ERROR;
    }

    worker->limbo->state = NGX_READINESS_REDIS_CONNECTING;

    ngx_readiness_redis_cluster_event(cluster, &cluster->fetch,
                                      ngx_readiness_redis_fetch_handler);
    ngx_readiness_redis_cluster_event(cluster, &cluster->guard,
                                      ngx_readiness_redis_map_guard_handler);
    ngx_readiness_redis_cluster_event(cluster, &cluster->reap,
                                      ngx_readiness_redis_reap_handler);

    worker->cluster = cluster;

    ngx_add_timer(&cluster->fetch, 0);

    return NGX_OK;
}


static void
ngx_readiness_redis_cluster_event(ngx_readiness_redis_cluster_t *cluster,
    ngx_event_t *ev, ngx_event_handler_pt handler)
{
    ev->data = cluster;
    ev->handler = handler;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;
}


void
ngx_readiness_redis_cluster_exit(ngx_readiness_redis_cluster_t *cluster)
{
    ngx_readiness_redis_cancel(&cluster->fetch);
    ngx_readiness_redis_cancel(&cluster->guard);
    ngx_readiness_redis_cancel(&cluster->reap);
}


ngx_int_t
ngx_readiness_redis_cluster_eval(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call)
{
    uint16_t                     number;
    ngx_readiness_redis_peer_t  *peer, *limbo;

    limbo = cluster->worker->limbo;

    call->slot = rdy_cluster_slot(&call->keys[0]);

    if (cluster->map_number == 0) {

        if (cluster->failures
            || limbo->nentries >= NGX_READINESS_REDIS_MAX_CALLS)
        {
            return NGX_DECLINED;
        }

        return ngx_readiness_redis_try(limbo, script, call);
    }

    number = cluster->slots[call->slot];

    if (number == RDY_CLUSTER_NONE) {
        ngx_readiness_redis_refresh(cluster);
        return NGX_DECLINED;
    }

    peer = ngx_readiness_redis_node_peer(cluster, cluster->nodes[number]);
    if (peer == NULL) {
        return NGX_DECLINED;
    }

    return ngx_readiness_redis_ask(peer, script, call);
}


ngx_int_t
ngx_readiness_redis_redirect(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e)
{
    uint16_t                        number;
    rdy_cluster_error_e             what;
    rdy_cluster_target_t            target;
    ngx_readiness_redis_peer_t     *limbo;
    ngx_readiness_redis_cluster_t  *cluster;

    cluster = peer->worker->cluster;
    limbo = peer->worker->limbo;

    what = rdy_cluster_error(&peer->reply, &target);

    if (what == RDY_CLUSTER_OTHER || what == RDY_CLUSTER_TRYAGAIN) {
        return NGX_DECLINED;
    }

    if (what == RDY_CLUSTER_MOVED) {
        cluster->same = 0;
    }

    if (what != RDY_CLUSTER_ASK) {
        ngx_readiness_redis_refresh(cluster);
    }

    if ((what != RDY_CLUSTER_MOVED && what != RDY_CLUSTER_ASK)
        || e->call == NULL || e->call->slot != target.slot
        || e->redirects == NGX_READINESS_REDIS_REDIRECTS)
    {
        return NGX_DECLINED;
    }

    e->redirects++;
    e->asking = (what == RDY_CLUSTER_ASK);

    number = ngx_readiness_redis_node(cluster, peer, &target.host,
                                      target.port);

    if (number != RDY_CLUSTER_NONE) {

        if (what == RDY_CLUSTER_MOVED) {
            ngx_readiness_redis_moved(cluster, target.slot, number);
        }

        return ngx_readiness_redis_pass(cluster, peer, e, number);
    }

    if (what == RDY_CLUSTER_ASK
        || limbo->nentries >= NGX_READINESS_REDIS_MAX_CALLS)
    {
        return NGX_DECLINED;
    }

    /* a host name that only the map can tell the address of */

    ngx_readiness_redis_move(peer, limbo, e);

    return NGX_OK;
}


static void
ngx_readiness_redis_moved(ngx_readiness_redis_cluster_t *cluster,
    ngx_uint_t slot, uint16_t number)
{
    cluster->prefer = cluster->nodes[number];

    if (cluster->slots[slot] == number) {
        return;
    }

    cluster->slots[slot] = number;
    cluster->same = 0;
    cluster->worker->generation++;
}


/* e, which was taken from one node, waits for another's reply from now on */

static ngx_int_t
ngx_readiness_redis_pass(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_peer_t *from, ngx_readiness_redis_entry_t *e,
    uint16_t number)
{
    ngx_readiness_redis_peer_t  *peer;

    peer = ngx_readiness_redis_node_peer(cluster, cluster->nodes[number]);

    if (peer == NULL || peer->breaker.open || !ngx_readiness_redis_usable(peer)
        || peer->nunsent >= NGX_READINESS_REDIS_MAX_UNSENT
        || ngx_readiness_redis_asking(peer, e) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_readiness_redis_move(from, peer, e);

    return NGX_OK;
}


ngx_uint_t
ngx_readiness_redis_elsewhere(const ngx_str_t *text)
{
    rdy_cluster_error_e   what;
    rdy_cluster_target_t  target;

    what = rdy_cluster_error(text, &target);

    return what == RDY_CLUSTER_MOVED || what == RDY_CLUSTER_ASK
           || what == RDY_CLUSTER_TRYAGAIN;
}


void
ngx_readiness_redis_limbo(ngx_readiness_redis_cluster_t *cluster)
{
    uint16_t                      number;
    ngx_queue_t                  *q;
    ngx_readiness_redis_peer_t   *limbo;
    ngx_readiness_redis_entry_t  *e;

    limbo = cluster->worker->limbo;

    while (!ngx_queue_empty(&limbo->unsent)) {

        q = ngx_queue_head(&limbo->unsent);
        e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

        ngx_readiness_redis_take(limbo, e);

        number = cluster->failures ? RDY_CLUSTER_NONE
                                   : cluster->slots[e->call->slot];

        if (number == RDY_CLUSTER_NONE
            || ngx_readiness_redis_pass(cluster, limbo, e, number) != NGX_OK)
        {
            ngx_readiness_redis_finish(limbo, e, NGX_READINESS_REDIS_CLOSED,
                                       NULL);
        }
    }
}


ngx_uint_t
ngx_readiness_redis_is_limbo(ngx_readiness_redis_peer_t *peer)
{
    return peer == peer->worker->limbo;
}
