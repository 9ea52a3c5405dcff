
/*
 * Copyright (C) The readiness authors
 */


/*
 * A worker's place at each Redis: from when to when it is there, what may be
 * asked of it, and until when a call may wait.  A call is an entry, first in
 * the queue of what is unsent, then in the queue of what was sent, which is
 * the order replies come in.  A call that times out after its first byte was
 * written leaves its entry there: the reply is owed.
 */


#include "redis/ngx_readiness_redis_internal.h"

#include <ngx_event.h>
#include <ngx_sha1.h>


static ngx_readiness_redis_peer_t *ngx_readiness_redis_peer(
    ngx_readiness_redis_t *redis, ngx_cycle_t *cycle);
static void ngx_readiness_redis_event(ngx_readiness_redis_peer_t *peer,
    ngx_event_t *ev, ngx_event_handler_pt handler);
static void ngx_readiness_redis_gone(ngx_readiness_redis_peer_t *peer);
static ngx_uint_t ngx_readiness_redis_usable(
    ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_know(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script);
static void ngx_readiness_redis_deadline_handler(ngx_event_t *ev);
static ngx_msec_int_t ngx_readiness_redis_due(
    ngx_readiness_redis_peer_t *peer, ngx_queue_t *queue, ngx_queue_t *due,
    ngx_msec_int_t next);
static void ngx_readiness_redis_watch(ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_owed_handler(ngx_event_t *ev);


ngx_int_t
ngx_readiness_redis_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_readiness_redis_t       **redis;
    ngx_readiness_redis_peer_t   *peer;
    ngx_readiness_main_conf_t    *rmcf;

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

        peer = ngx_readiness_redis_peer(redis[i], cycle);
        if (peer == NULL) {
            return NGX_ERROR;
        }

        /* from the event loop, so that the first request need not wait */

        ngx_add_timer(&peer->retry, 0);
    }

    return NGX_OK;
}


void
ngx_readiness_redis_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_readiness_redis_t      **redis;
    ngx_readiness_main_conf_t   *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);
    if (rmcf == NULL) {
        return;
    }

    redis = rmcf->redis.elts;

    for (i = 0; i < rmcf->redis.nelts; i++) {
        if (redis[i]->peer) {
            ngx_readiness_redis_gone(redis[i]->peer);
        }
    }
}


static ngx_readiness_redis_peer_t *
ngx_readiness_redis_peer(ngx_readiness_redis_t *redis, ngx_cycle_t *cycle)
{
    ngx_readiness_redis_peer_t  *peer;

    /*
     * set by ngx_pcalloc(): connection, reader, counts and counters, times
     */

    peer = ngx_pcalloc(cycle->pool, sizeof(ngx_readiness_redis_peer_t));
    if (peer == NULL) {
        return NULL;
    }

    peer->redis = redis;
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

    /* a worker that shuts down waits for its calls, and for nothing else */

    peer->retry.cancelable = 1;
    peer->guard.cancelable = 1;
    peer->owed.cancelable = 1;

    peer->addrs = redis->addrs;
    peer->naddrs = redis->naddrs;

    if (redis->addrs == NULL) {
        peer->addrs = peer->resolved;

        peer->host.data = ngx_pstrdup(cycle->pool, &redis->host);
        if (peer->host.data == NULL) {
            return NULL;
        }

        peer->host.len = redis->host.len;
    }

    /* workers begin apart, so that each one's numbers are its own */

    peer->number = (uint64_t) ngx_pid << 40 ^ (uint64_t) ngx_random() << 20
                   ^ ngx_current_msec;

    redis->peer = peer;

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


static void
ngx_readiness_redis_gone(ngx_readiness_redis_peer_t *peer)
{
    peer->state = NGX_READINESS_REDIS_GONE;

    ngx_readiness_redis_close(peer);

    ngx_readiness_redis_cancel(&peer->retry);

    if (peer->buffer) {
        ngx_free(peer->buffer);
        peer->buffer = NULL;
    }

    peer->redis->peer = NULL;
}


ngx_int_t
ngx_readiness_redis_eval(ngx_readiness_redis_t *redis,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call)
{
    ngx_readiness_redis_peer_t  *peer;

    peer = redis->peer;
    if (peer == NULL) {
        return NGX_DECLINED;
    }

    peer->ncalls++;

    if (!ngx_readiness_redis_usable(peer)) {
        peer->ndeclined++;
        return NGX_DECLINED;
    }

    ngx_readiness_redis_know(peer, script);

    if (ngx_readiness_redis_push(peer, script, call) != NGX_OK) {
        peer->ndeclined++;
        return NGX_DECLINED;
    }

    if (!peer->deadline.timer_set) {

        /* else it is set for an earlier call */

        ngx_add_timer(&peer->deadline, redis->timeout);
    }

    ngx_readiness_redis_send(peer);

    return NGX_OK;
}


static ngx_uint_t
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


/* each new connection is told of the scripts that were in use so far */

static void
ngx_readiness_redis_know(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script)
{
    u_char       digest[20];
    ngx_uint_t   i;
    ngx_sha1_t   sha1;

    for (i = 0; i < peer->nscripts; i++) {
        if (peer->scripts[i] == script) {
            return;
        }
    }

    if (script->sha1[0] == '\0') {
        ngx_sha1_init(&sha1);
        ngx_sha1_update(&sha1, script->text.data, script->text.len);
        ngx_sha1_final(digest, &sha1);

        *ngx_hex_dump(script->sha1, digest, sizeof(digest)) = '\0';
    }

    if (peer->nscripts == NGX_READINESS_REDIS_MAX_SCRIPTS) {
        return;
    }

    peer->scripts[peer->nscripts++] = script;

    if (peer->state >= NGX_READINESS_REDIS_PRELUDE) {

        /* without it the call is repeated with the script's text */

        (void) ngx_readiness_redis_command(peer, ngx_queue_last(&peer->unsent),
                                           NGX_READINESS_REDIS_LOAD, script,
                                           NULL, 0);
    }
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
                      &peer->redis->name, &peer->redis->server,
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
