
/*
 * Copyright (C) The readiness authors
 */


/*
 * From a name to a connection that calls may be written to: resolve, connect,
 * TLS handshake, prelude.  All of them together have connect_timeout.
 */


#include "redis/ngx_readiness_redis_internal.h"

#include <ngx_event.h>
#include <ngx_event_connect.h>


static ngx_int_t ngx_readiness_redis_resolve(
    ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_readiness_redis_addresses(ngx_readiness_redis_peer_t *peer,
    ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_readiness_redis_open(ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_connect_handler(ngx_event_t *ev);
static ngx_err_t ngx_readiness_redis_test_connect(ngx_connection_t *c);
static ngx_int_t ngx_readiness_redis_connected(
    ngx_readiness_redis_peer_t *peer);
static ngx_int_t ngx_readiness_redis_prelude(
    ngx_readiness_redis_peer_t *peer);
static ngx_int_t ngx_readiness_redis_auth(ngx_readiness_redis_peer_t *peer);
static ngx_int_t ngx_readiness_redis_first(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_kind_e kind, ngx_readiness_script_t *script,
    const ngx_str_t *args, ngx_uint_t nargs);


ngx_int_t
ngx_readiness_redis_connect(ngx_readiness_redis_peer_t *peer)
{
    ngx_readiness_redis_cancel(&peer->retry);

    peer->started = ngx_current_msec;

    if (peer->worker->sentinel && !peer->asked) {
        ngx_readiness_redis_discover(peer);
        return NGX_OK;
    }

    return ngx_readiness_redis_reach(peer);
}


ngx_int_t
ngx_readiness_redis_reach(ngx_readiness_redis_peer_t *peer)
{
    peer->started = ngx_current_msec;

    if (peer->server->addrs == NULL) {
        return ngx_readiness_redis_resolve(peer);
    }

    return ngx_readiness_redis_open(peer);
}


static ngx_int_t
ngx_readiness_redis_resolve(ngx_readiness_redis_peer_t *peer)
{
    ngx_msec_t           wait;
    ngx_resolver_ctx_t  *ctx;

    ctx = ngx_resolve_start(peer->redis->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return ngx_readiness_redis_open(peer);
    }

    ctx->name = peer->host;
    ctx->handler = ngx_readiness_redis_resolved;
    ctx->data = peer;

    /* ctx->timeout is left 0: the guard limits the attempt as a whole */

    peer->resolving = ctx;
    peer->state = NGX_READINESS_REDIS_RESOLVING;

    wait = peer->redis->connect_timeout;

    /* where older addresses are known, there has to be time to try them */

    ngx_add_timer(&peer->guard, peer->naddrs ? (wait + 1) / 2 : wait);

    if (ngx_resolve_name(ctx) != NGX_OK) {
        peer->resolving = NULL;
    }

    if (peer->resolving) {
        return NGX_OK;
    }

    return ngx_readiness_redis_open(peer);
}


static void
ngx_readiness_redis_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t                   async, level;
    ngx_readiness_redis_peer_t  *peer;

    peer = ctx->data;
    async = ctx->async;
    level = peer->down ? NGX_LOG_INFO : NGX_LOG_ERR;

    if (ctx->state == NGX_OK && ctx->naddrs) {
        ngx_readiness_redis_addresses(peer, ctx);

    } else {
        level = peer->down ? NGX_LOG_INFO : NGX_LOG_ERR;

        ngx_log_error(level, ngx_cycle->log, 0,
                      "readiness_redis \"%V\": \"%V\" could not be resolved "
                      "(%i: %s)", &peer->redis->name, &peer->server->host,
                      ctx->state, ngx_resolver_strerror(ctx->state));
    }

    ngx_resolve_name_done(ctx);
    peer->resolving = NULL;

    if (async) {
        (void) ngx_readiness_redis_open(peer);
    }
}


static void
ngx_readiness_redis_addresses(ngx_readiness_redis_peer_t *peer,
    ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t   i, n;
    ngx_addr_t  *addr;

    n = ngx_min(ctx->naddrs, NGX_READINESS_REDIS_MAX_ADDRS);

    for (i = 0; i < n; i++) {
        addr = &peer->resolved[i];

        addr->sockaddr = &peer->sockaddrs[i].sockaddr;
        addr->socklen = ctx->addrs[i].socklen;
        ngx_memcpy(addr->sockaddr, ctx->addrs[i].sockaddr, addr->socklen);

        ngx_inet_set_port(addr->sockaddr, peer->server->port);

        addr->name.data = peer->names[i];
        addr->name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen,
                                       addr->name.data, NGX_SOCKADDR_STRLEN,
                                       1);
    }

    peer->naddrs = n;
}


static ngx_int_t
ngx_readiness_redis_open(ngx_readiness_redis_peer_t *peer)
{
    ngx_int_t               rc;
    ngx_addr_t             *addr;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *pc;

    if (peer->naddrs == 0) {
        ngx_readiness_redis_fail(peer, 0, "no address is known of the host",
                                 NULL);
        return NGX_ERROR;
    }

    peer->addr %= peer->naddrs;
    addr = &peer->addrs[peer->addr];

    /* nginx logs each connect() that fails at once; one line is enough */

    peer->silent = *ngx_cycle->log;
    peer->silent.log_level = NGX_LOG_EMERG;

    pc = &peer->pc;
    ngx_memzero(pc, sizeof(ngx_peer_connection_t));

    pc->sockaddr = addr->sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &addr->name;
    pc->get = ngx_event_get_peer;
    pc->log = peer->down ? &peer->silent : ngx_cycle->log;
    pc->log_error = NGX_ERROR_INFO;
    pc->so_keepalive = 1;

    rc = ngx_event_connect_peer(pc);

    c = pc->connection;

    if (c == NULL || (rc != NGX_OK && rc != NGX_AGAIN)) {
        ngx_readiness_redis_fail(peer, 0, "could not connect", NULL);
        return NGX_ERROR;
    }

    peer->connection = c;
    peer->state = NGX_READINESS_REDIS_CONNECTING;

    c->data = peer;
    c->log = ngx_cycle->log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_readiness_redis_connect_handler;
    c->write->handler = ngx_readiness_redis_connect_handler;

    ngx_readiness_redis_cancel(&peer->guard);
    ngx_add_timer(&peer->guard,
                  ngx_max((ngx_msec_int_t) (peer->started - ngx_current_msec
                                            + peer->redis->connect_timeout),
                          1));

    if (rc == NGX_AGAIN) {
        return NGX_OK;
    }

    return ngx_readiness_redis_connected(peer);
}


static void
ngx_readiness_redis_connect_handler(ngx_event_t *ev)
{
    ngx_err_t                    err;
    ngx_connection_t            *c;
    ngx_readiness_redis_peer_t  *peer;

    c = ev->data;
    peer = c->data;

    if (c->close) {
        ngx_readiness_redis_close(peer);
        return;
    }

    err = ngx_readiness_redis_test_connect(c);
    if (err) {
        ngx_readiness_redis_fail(peer, err, "connect() failed", NULL);
        return;
    }

    /* a read event alone does not tell that there is a connection */

    if (ev->write) {
        (void) ngx_readiness_redis_connected(peer);
    }
}


static ngx_err_t
ngx_readiness_redis_test_connect(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

#if (NGX_HAVE_KQUEUE)

    if (ngx_event_flags & NGX_USE_KQUEUE_EVENT) {

        if (c->write->pending_eof) {
            return c->write->kq_errno ? c->write->kq_errno : NGX_ECONNRESET;
        }

        if (c->read->pending_eof) {
            return c->read->kq_errno ? c->read->kq_errno : NGX_ECONNRESET;
        }

        return 0;
    }

#endif

    err = 0;
    len = sizeof(int);

    /* Solaris returns the error, others put it into err */

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        return ngx_socket_errno;
    }

    return err;
}


static ngx_int_t
ngx_readiness_redis_connected(ngx_readiness_redis_peer_t *peer)
{
    ngx_int_t  rc;

    (void) ngx_tcp_nodelay(peer->connection);

    rc = ngx_readiness_redis_secure(peer);

    if (rc == NGX_AGAIN) {
        return NGX_OK;
    }

    return rc == NGX_OK ? ngx_readiness_redis_begin(peer) : NGX_ERROR;
}


ngx_int_t
ngx_readiness_redis_begin(ngx_readiness_redis_peer_t *peer)
{
    ngx_connection_t  *c;

    c = peer->connection;

    peer->state = NGX_READINESS_REDIS_PRELUDE;

    c->read->handler = ngx_readiness_redis_read_handler;
    c->write->handler = ngx_readiness_redis_write_handler;

    peer->reader = ngx_readiness_redis_reader(peer);

    if (peer->reader == NULL
        || ngx_handle_read_event(c->read, 0) != NGX_OK
        || ngx_readiness_redis_prelude(peer) != NGX_OK)
    {
        ngx_readiness_redis_fail(peer, 0, "no memory for a connection", NULL);
        return NGX_ERROR;
    }

    if (c->read->ready) {

        /* of an edge-triggered event that came too early */

        ngx_post_event(c->read, &ngx_posted_events);
    }

    if (peer->nprelude == 0) {
        ngx_readiness_redis_ready(peer);

    } else {
        ngx_readiness_redis_send(peer);
    }

    return NGX_OK;
}


/* the commands that come before the calls which may be waiting already */

static ngx_int_t
ngx_readiness_redis_prelude(ngx_readiness_redis_peer_t *peer)
{
    u_char                         number[NGX_INT_T_LEN];
    ngx_str_t                      args[2];
    ngx_uint_t                     i;
    ngx_readiness_redis_t         *redis;
    ngx_readiness_redis_worker_t  *worker;

    redis = peer->redis;
    worker = peer->worker;

    if (ngx_readiness_redis_auth(peer) != NGX_OK) {
        return NGX_ERROR;
    }

    if (peer->asked) {
        return ngx_readiness_redis_question(peer);
    }

    if (redis->database) {
        ngx_str_set(&args[0], "SELECT");
        args[1].data = number;
        args[1].len = ngx_sprintf(number, "%i", redis->database) - number;

        if (ngx_readiness_redis_first(peer, NGX_READINESS_REDIS_SELECT, NULL,
                                      args, 2)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (worker->sentinel) {
        ngx_str_set(&args[0], "ROLE");

        if (ngx_readiness_redis_first(peer, NGX_READINESS_REDIS_ROLE, NULL,
                                      args, 1)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < worker->nscripts; i++) {

        if (ngx_readiness_redis_first(peer, NGX_READINESS_REDIS_LOAD,
                                      worker->scripts[i], NULL, 0)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_redis_auth(ngx_readiness_redis_peer_t *peer)
{
    ngx_str_t         args[3];
    ngx_uint_t        n;
    const ngx_str_t  *user, *password;

    password = ngx_readiness_redis_secret(peer);

    if (password->len == 0) {
        return NGX_OK;
    }

    user = peer->asked ? &peer->redis->sentinel_user : &peer->redis->user;

    ngx_str_set(&args[0], "AUTH");
    n = 1;

    if (user->len) {
        args[n++] = *user;
    }

    args[n++] = *password;

    return ngx_readiness_redis_first(peer, NGX_READINESS_REDIS_AUTH, NULL,
                                     args, n);
}


const ngx_str_t *
ngx_readiness_redis_secret(ngx_readiness_redis_peer_t *peer)
{
    ngx_readiness_file_t    *file;
    static const ngx_str_t   none = ngx_null_string;

    file = peer->asked ? peer->redis->sentinel_password
                       : peer->redis->password;

    return file ? file->data : &none;
}


ngx_int_t
ngx_readiness_redis_question(ngx_readiness_redis_peer_t *peer)
{
    ngx_str_t  args[3];

    ngx_str_set(&args[0], "SENTINEL");
    ngx_str_set(&args[1], "GET-MASTER-ADDR-BY-NAME");
    args[2] = peer->redis->master;

    return ngx_readiness_redis_first(peer, NGX_READINESS_REDIS_MASTER, NULL,
                                     args, 3);
}


/* a command before the first call that waits, and behind those before it */

static ngx_int_t
ngx_readiness_redis_first(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_kind_e kind, ngx_readiness_script_t *script,
    const ngx_str_t *args, ngx_uint_t nargs)
{
    ngx_queue_t                  *q, *last;
    ngx_readiness_redis_entry_t  *e;

    last = &peer->unsent;

    for (q = ngx_queue_head(&peer->unsent);
         q != ngx_queue_sentinel(&peer->unsent);
         q = ngx_queue_next(q))
    {
        e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

        if (e->kind > NGX_READINESS_REDIS_LOAD) {
            break;
        }

        last = q;
    }

    return ngx_readiness_redis_command(peer, last, kind, script, args, nargs);
}


void
ngx_readiness_redis_ready(ngx_readiness_redis_peer_t *peer)
{
    ngx_readiness_redis_cancel(&peer->guard);

    peer->state = NGX_READINESS_REDIS_UP;
    peer->since = ngx_current_msec;
    peer->tried = 0;
    peer->worker->nconnects += !peer->asked;

    peer->connection->idle = (peer->nentries == 0);

    ngx_readiness_redis_probe_up(peer);
    if (peer->worker->sentinel) {
        ngx_readiness_redis_found(peer);
    }

    if (peer->worker->ready && !peer->asked) {
        ngx_post_event(peer->worker->ready, &ngx_posted_events);
    }

    ngx_readiness_redis_send(peer);
}


void
ngx_readiness_redis_guard_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_peer_t *peer = ev->data;

    const char  *what;

    switch (peer->state) {

    case NGX_READINESS_REDIS_RESOLVING:

        ngx_resolve_name_done(peer->resolving);
        peer->resolving = NULL;

        if (peer->naddrs) {
            (void) ngx_readiness_redis_open(peer);
            return;
        }

        what = "the resolver gave no answer";
        break;

    case NGX_READINESS_REDIS_CONNECTING:
        what = "connect() failed";
        break;

    case NGX_READINESS_REDIS_SECURING:
        what = "no TLS handshake, is TLS spoken there?";
        break;

    default: /* NGX_READINESS_REDIS_PRELUDE */
        what = peer->asked ? "no reply in time"
                           : "no replies after connect()";
        break;
    }

    ngx_readiness_redis_fail(peer, NGX_ETIMEDOUT, what, NULL);
}


void
ngx_readiness_redis_retry_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_peer_t *peer = ev->data;

    if (peer->state == NGX_READINESS_REDIS_WAIT) {
        peer->state = NGX_READINESS_REDIS_IDLE;
    }

    /*
     * a worker that shuts down connects when a call needs it, and no call
     * does while the breaker is open
     */

    if (peer->state == NGX_READINESS_REDIS_IDLE
        && (peer->breaker.open || (!peer->lazy && !ngx_exiting)))
    {
        (void) ngx_readiness_redis_connect(peer);
    }
}
