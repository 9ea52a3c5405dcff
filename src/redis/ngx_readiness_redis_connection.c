
/*
 * Copyright (C) The readiness authors
 */


/*
 * A connection that is there: what is read and written, how it ends, and when
 * the next attempt is due.  Connections are closed from event handlers only,
 * never from within ngx_readiness_redis_eval(): what fails there is left to
 * a posted event.
 */


#include "redis/ngx_readiness_redis_internal.h"

#include <ngx_event.h>


#define NGX_READINESS_REDIS_BUFFER  16384


static void ngx_readiness_redis_lost(ngx_readiness_redis_peer_t *peer,
    ngx_err_t err);
static ngx_int_t ngx_readiness_redis_flush(ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_teardown(ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_schedule(ngx_readiness_redis_peer_t *peer);


void
ngx_readiness_redis_read_handler(ngx_event_t *ev)
{
    u_char                       buf[NGX_READINESS_REDIS_BUFFER];
    ssize_t                      n;
    ngx_connection_t            *c;
    ngx_readiness_redis_peer_t  *peer;

    c = ev->data;
    peer = c->data;

    if (c->close) {
        ngx_readiness_redis_close(peer);
        return;
    }

    for ( ;; ) {

        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_readiness_redis_lost(peer, n == 0 ? 0 : ngx_socket_errno);
            return;
        }

        if (ngx_readiness_redis_feed(peer, buf, n) != NGX_OK) {
            return;
        }
    }

    if (ngx_handle_read_event(ev, 0) != NGX_OK) {
        ngx_readiness_redis_fail(peer, 0, "event failed", NULL);
        return;
    }

    c->idle = (peer->nentries == 0
               && peer->state == NGX_READINESS_REDIS_UP);
}


static void
ngx_readiness_redis_lost(ngx_readiness_redis_peer_t *peer, ngx_err_t err)
{
    if (err || peer->nentries || peer->state != NGX_READINESS_REDIS_UP) {
        ngx_readiness_redis_fail(peer, err, "the connection was closed", NULL);
        return;
    }

    /* Redis has a timeout for idle clients, and stops when it is told to */

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "readiness_redis \"%V\": %V closed an idle connection",
                  &peer->redis->name, &peer->server->text);

    ngx_readiness_redis_close(peer);
}


void
ngx_readiness_redis_write_handler(ngx_event_t *ev)
{
    ngx_connection_t            *c;
    ngx_readiness_redis_peer_t  *peer;

    c = ev->data;
    peer = c->data;

    if (c->close) {
        ngx_readiness_redis_close(peer);
        return;
    }

    ngx_readiness_redis_send(peer);
}


void
ngx_readiness_redis_send(ngx_readiness_redis_peer_t *peer)
{
    if (peer->state < NGX_READINESS_REDIS_PRELUDE || peer->broken.posted) {
        return;
    }

    if (ngx_readiness_redis_flush(peer) != NGX_OK) {
        ngx_readiness_redis_break(peer, "send() failed");
    }
}


static ngx_int_t
ngx_readiness_redis_flush(ngx_readiness_redis_peer_t *peer)
{
    ssize_t                       n;
    ngx_queue_t                  *q;
    ngx_connection_t             *c;
    ngx_readiness_redis_entry_t  *e;

    c = peer->connection;

    while (!ngx_queue_empty(&peer->unsent)) {

        q = ngx_queue_head(&peer->unsent);
        e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

        if (peer->state == NGX_READINESS_REDIS_PRELUDE
            && e->kind > NGX_READINESS_REDIS_LOAD)
        {
            /* not before Redis has let us in, and into the right database */
            break;
        }

        n = c->send(c, e->pos, e->last - e->pos);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        e->offered = (peer->redis->tls.ssl != NULL);

        if (n <= 0) {
            break;
        }

        e->pos += n;
        peer->nunsent -= n;

        if (e->pos == e->last) {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&peer->sent, q);
        }
    }

    return ngx_handle_write_event(c->write, 0);
}


void
ngx_readiness_redis_break(ngx_readiness_redis_peer_t *peer, const char *why)
{
    peer->why = why;
    ngx_post_event(&peer->broken, &ngx_posted_events);
}


void
ngx_readiness_redis_broken_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_peer_t *peer = ev->data;

    ngx_readiness_redis_fail(peer, 0, peer->why, NULL);
}


void
ngx_readiness_redis_fail(ngx_readiness_redis_peer_t *peer, ngx_err_t err,
    const char *what, const ngx_str_t *text)
{
    ngx_str_t               none;
    ngx_uint_t              level;
    ngx_addr_t             *addr;
    ngx_readiness_redis_t  *redis;

    redis = peer->redis;
    level = peer->down ? NGX_LOG_INFO : NGX_LOG_ERR;
    addr = peer->naddrs ? &peer->addrs[peer->addr % peer->naddrs] : NULL;

    ngx_str_null(&none);

    if (text == NULL && peer->ssl_text.len) {
        text = &peer->ssl_text;
        err = 0;
    }

    if (peer->asked) {
        level = peer->down ? NGX_LOG_INFO : NGX_LOG_WARN;

        ngx_log_error(level, ngx_cycle->log, err,
                      "readiness_redis \"%V\": sentinel %V: %s%s%V%s",
                      &redis->name, addr ? &addr->name : &peer->server->text,
                      what, text ? ": " : "", text ? text : &none,
                      redis->servers.nelts > 1 ? "; another is asked" : "");
    } else {
        ngx_log_error(level, ngx_cycle->log, err,
                      "readiness_redis \"%V\" at %V: %s%s%V, %ui calls were "
                      "waiting", &redis->name,
                      addr ? &addr->name : &peer->server->text, what,
                      text ? ": " : "", text ? text : &none, peer->nwaiting);
    }

    peer->down = 1;

    ngx_readiness_redis_close(peer);
}


void
ngx_readiness_redis_close(ngx_readiness_redis_peer_t *peer)
{
    ngx_queue_t                  *q, calls;
    ngx_readiness_redis_entry_t  *e;

    ngx_queue_init(&calls);

    if (peer->state == NGX_READINESS_REDIS_UP && !peer->asked) {
        peer->worker->generation++;
    }

    if (!ngx_queue_empty(&peer->sent)) {
        ngx_queue_add(&calls, &peer->sent);
        ngx_queue_init(&peer->sent);
    }

    if (!ngx_queue_empty(&peer->unsent)) {
        ngx_queue_add(&calls, &peer->unsent);
        ngx_queue_init(&peer->unsent);
    }

    peer->nunsent = 0;
    peer->nentries = 0;
    peer->nprelude = 0;
    peer->nevals = 0;

    ngx_readiness_redis_teardown(peer);
    ngx_readiness_redis_schedule(peer);

    if (peer->worker->cluster) {
        ngx_readiness_redis_cluster_closed(peer);
    }

    /* from here on handlers may begin the next connection */

    while (!ngx_queue_empty(&calls)) {

        q = ngx_queue_head(&calls);
        ngx_queue_remove(q);

        e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

        ngx_readiness_redis_finish(peer, e, e->rc,
                                   e->rc == NGX_READINESS_REDIS_REFUSED
                                   ? &peer->error : NULL);
    }
}


static void
ngx_readiness_redis_teardown(ngx_readiness_redis_peer_t *peer)
{
    ngx_pool_t  *pool;

    if (peer->resolving) {
        ngx_resolve_name_done(peer->resolving);
        peer->resolving = NULL;
    }

    ngx_readiness_redis_cancel(&peer->guard);
    ngx_readiness_redis_cancel(&peer->owed);

    ngx_readiness_redis_probe_down(peer);

    if (peer->broken.posted) {
        ngx_delete_posted_event(&peer->broken);
    }

    if (peer->reader) {
        redisReaderFree(peer->reader);
        peer->reader = NULL;
    }

    if (peer->connection) {
        pool = peer->connection->pool;

        ngx_readiness_redis_unsecure(peer->connection);
        ngx_close_connection(peer->connection);
        peer->connection = NULL;
        peer->ssl_text.len = 0;

        if (pool) {
            ngx_destroy_pool(pool);
        }
    }
}


/*
 * When the next attempt may be made: at once after a connection that had
 * lived, or that a worker which shuts down has closed itself, since it still
 * has requests to decide; and while there are addresses that were not tried;
 * else after a pause, which doubles.  It is shortened by chance, so that the
 * workers of many machines do not come back together, and never lengthened.
 */

static void
ngx_readiness_redis_schedule(ngx_readiness_redis_peer_t *peer)
{
    ngx_msec_t  delay;

    if (peer->state == NGX_READINESS_REDIS_GONE) {
        return;
    }

    if (peer->worker->sentinel
        && ngx_readiness_redis_parted(peer) == NGX_DONE)
    {
        return;
    }

    if (peer->state == NGX_READINESS_REDIS_UP
        && (ngx_exiting
            || ngx_current_msec - peer->since >= NGX_READINESS_REDIS_LIVED))
    {
        rdy_breaker_lived(&peer->breaker);
        delay = 0;

    } else if (peer->tried + 1 < peer->naddrs) {
        peer->tried++;
        peer->addr++;
        delay = 0;

    } else {
        delay = rdy_breaker_pause(&peer->breaker, peer->redis->retry,
                                  ngx_current_msec - peer->started,
                                  ngx_random());
        peer->tried = 0;
        peer->addr++;
    }

    peer->state = delay ? NGX_READINESS_REDIS_WAIT : NGX_READINESS_REDIS_IDLE;

    ngx_readiness_redis_cancel(&peer->retry);
    ngx_add_timer(&peer->retry, delay);
}


void
ngx_readiness_redis_cancel(ngx_event_t *ev)
{
    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}
