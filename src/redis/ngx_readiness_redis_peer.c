
/*
 * Copyright (C) The readiness authors
 */


/*
 * One node as a worker sees it, and until when a call may wait there.  A call
 * is an entry, first in the queue of what is unsent, then in the queue of what
 * was sent, which is the order replies come in.  A call that times out after
 * its first byte was written leaves its entry there: the reply is owed.
 */


#include "redis/ngx_readiness_redis_internal.h"

#include <ngx_event.h>


static void ngx_readiness_redis_event(ngx_readiness_redis_peer_t *peer,
    ngx_event_t *ev, ngx_event_handler_pt handler);
static void ngx_readiness_redis_deadline_handler(ngx_event_t *ev);
static ngx_msec_int_t ngx_readiness_redis_due(
    ngx_readiness_redis_peer_t *peer, ngx_queue_t *queue, ngx_queue_t *due,
    ngx_msec_int_t next);
static void ngx_readiness_redis_watch(ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_owed_handler(ngx_event_t *ev);


ngx_readiness_redis_peer_t *
ngx_readiness_redis_peer(ngx_readiness_redis_worker_t *worker,
    const ngx_readiness_redis_server_t *server)
{
    ngx_readiness_redis_peer_t  *peer;

    /*
     * set by ngx_calloc(): connection, reader, counts, times
     */

    peer = ngx_calloc(sizeof(ngx_readiness_redis_peer_t) + server->host.len,
                      ngx_cycle->log);
    if (peer == NULL) {
        return NULL;
    }

    peer->redis = worker->redis;
    peer->worker = worker;
    peer->server = server;
    peer->ident = (ngx_socket_t) -1;
    peer->state = NGX_READINESS_REDIS_IDLE;

    ngx_queue_init(&peer->unsent);
    ngx_queue_init(&peer->sent);

    ngx_readiness_redis_event(peer, &peer->retry,
                              ngx_readiness_redis_retry_handler);
    ngx_readiness_redis_event(peer, &peer->guard,
                              ngx_readiness_redis_guard_handler);
    ngx_readiness_redis_event(peer, &peer->deadline,
                              ngx_readiness_redis_deadline_handler);
    ngx_readiness_redis_event(peer, &peer->owed,
                              ngx_readiness_redis_owed_handler);
    ngx_readiness_redis_event(peer, &peer->broken,
                              ngx_readiness_redis_broken_handler);

    ngx_readiness_redis_breaker_init(peer);

    /* a worker that shuts down waits for its calls, and for nothing else */

    peer->retry.cancelable = 1;
    peer->guard.cancelable = 1;
    peer->owed.cancelable = 1;

    peer->addrs = server->addrs;
    peer->naddrs = server->naddrs;

    if (server->addrs == NULL) {
        peer->addrs = peer->resolved;

        peer->host.len = server->host.len;
        peer->host.data = (u_char *) (peer + 1);
        ngx_memcpy(peer->host.data, server->host.data, server->host.len);
    }

    ngx_queue_insert_tail(&worker->peers, &peer->queue);

    return peer;
}


static void
ngx_readiness_redis_event(ngx_readiness_redis_peer_t *peer, ngx_event_t *ev,
    ngx_event_handler_pt handler)
{
    ev->data = peer;
    ev->handler = handler;
    ev->log = ngx_cycle->log;
}


void
ngx_readiness_redis_gone(ngx_readiness_redis_peer_t *peer)
{
    peer->state = NGX_READINESS_REDIS_GONE;

    ngx_readiness_redis_close(peer);

    ngx_readiness_redis_cancel(&peer->retry);

    ngx_queue_remove(&peer->queue);

    if (peer->buffer) {
        ngx_free(peer->buffer);
    }

    ngx_free(peer);
}


ngx_int_t
ngx_readiness_redis_ask(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call)
{
    if (peer->breaker.open) {
        return NGX_DECLINED;
    }

    if (ngx_readiness_redis_try(peer, script, call) != NGX_OK) {
        ngx_readiness_redis_failed(peer, NGX_READINESS_REDIS_OK, NULL);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_readiness_redis_try(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call)
{
    if (!ngx_readiness_redis_usable(peer)
        || ngx_readiness_redis_push(peer, script, call) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (!peer->deadline.timer_set) {

        /* else it is set for an earlier call */

        ngx_add_timer(&peer->deadline, peer->redis->timeout);
    }

    ngx_readiness_redis_send(peer);

    return NGX_OK;
}


ngx_uint_t
ngx_readiness_redis_usable(ngx_readiness_redis_peer_t *peer)
{
    if (peer->state == NGX_READINESS_REDIS_IDLE
        && ngx_readiness_redis_connect(peer) != NGX_OK)
    {
        return 0;
    }

    if (peer->state <= NGX_READINESS_REDIS_IDLE || peer->broken.posted) {
        return 0;
    }

    if (peer->nentries >= NGX_READINESS_REDIS_MAX_CALLS) {
        ngx_readiness_redis_break(peer, "too many calls wait for replies");
        return 0;
    }

    return 1;
}


static void
ngx_readiness_redis_deadline_handler(ngx_event_t *ev)
{
    ngx_queue_t                  *q, due;
    ngx_msec_int_t                next;
    ngx_readiness_redis_call_t   *call;
    ngx_readiness_redis_peer_t   *peer;
    ngx_readiness_redis_entry_t  *e;

    peer = ev->data;

    ngx_queue_init(&due);

    next = ngx_readiness_redis_due(peer, &peer->sent, &due, -1);
    next = ngx_readiness_redis_due(peer, &peer->unsent, &due, next);

    if (next != -1) {
        ngx_add_timer(ev, (ngx_msec_t) next);
    }

    if (!ngx_queue_empty(&due)
        && ngx_time() - peer->timeout_at >= NGX_READINESS_REDIS_QUIET)
    {
        peer->timeout_at = ngx_time();

        ngx_log_error(NGX_LOG_ERR, ev->log, 0,
                      "readiness_redis \"%V\": no reply from %V within %Mms",
                      &peer->redis->name, &peer->server->text,
                      peer->redis->timeout);
    }

    while (!ngx_queue_empty(&due)) {

        q = ngx_queue_head(&due);
        ngx_queue_remove(q);

        e = ngx_queue_data(q, ngx_readiness_redis_entry_t, due);

        call = e->call;
        e->call = NULL;

        if (!ngx_readiness_redis_begun(e)) {

            /* Redis does not know of it and owes nothing */

            ngx_readiness_redis_take(peer, e);
            ngx_free(e);
        }

        /* it may make a new call, which moves entries but frees none */

        ngx_readiness_redis_answer(peer, call, NGX_READINESS_REDIS_TIMEOUT,
                                   NULL);
    }

    ngx_readiness_redis_watch(peer);
}


/*
 * Links the entries of queue whose time is over into due.  Returns the ms
 * until the next one's is, or next if that is less; -1: nobody waits.
 */

static ngx_msec_int_t
ngx_readiness_redis_due(ngx_readiness_redis_peer_t *peer, ngx_queue_t *queue,
    ngx_queue_t *due, ngx_msec_int_t next)
{
    ngx_queue_t                  *q;
    ngx_msec_int_t                left;
    ngx_readiness_redis_entry_t  *e;

    for (q = ngx_queue_head(queue);
         q != ngx_queue_sentinel(queue);
         q = ngx_queue_next(q))
    {
        e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

        if (e->call == NULL) {
            continue;
        }

        left = (ngx_msec_int_t) (e->start + peer->redis->timeout
                                 - ngx_current_msec);
        if (left <= 0) {
            ngx_queue_insert_tail(due, &e->due);
            continue;
        }

        if (next == -1 || left < next) {
            next = left;
        }
    }

    return next;
}


/* the oldest entry that Redis knows of says how long it has been silent */

static void
ngx_readiness_redis_watch(ngx_readiness_redis_peer_t *peer)
{
    ngx_queue_t                  *q;
    ngx_msec_int_t                left;
    ngx_readiness_redis_entry_t  *e;

    if (peer->state != NGX_READINESS_REDIS_UP || peer->owed.timer_set) {
        return;
    }

    q = !ngx_queue_empty(&peer->sent) ? ngx_queue_head(&peer->sent)
                                      : ngx_queue_head(&peer->unsent);

    if (q == ngx_queue_sentinel(&peer->unsent)) {
        return;
    }

    e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

    left = (ngx_msec_int_t) (e->start - ngx_current_msec
                             + NGX_READINESS_REDIS_OWED
                               * peer->redis->timeout);
    if (left > 0) {
        ngx_add_timer(&peer->owed, (ngx_msec_t) left);
        return;
    }

    ngx_readiness_redis_break(peer, "owes replies for too long");
}


static void
ngx_readiness_redis_owed_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_watch(ev->data);
}
