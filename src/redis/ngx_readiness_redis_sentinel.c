
/*
 * Copyright (C) The readiness authors
 */


/*
 * topology sentinel: where the master is.  The sentinels are asked one after
 * the other, each within connect_timeout, beginning with the one that answered
 * last; its connection is kept.  They are asked before each attempt to connect
 * to the master, so after it was lost and after READONLY, and every 10 s while
 * it is there.  What they say is believed once ROLE confirms it; a sentinel
 * whose word led nowhere is not the next to be asked.
 *
 * While they are asked for the first time, or for the first time after the
 * master was lost, calls wait as they do for a connection; then they are
 * declined until a master is known.
 */


#include "redis/ngx_readiness_redis_internal.h"
#include "redis/rdy_sentinel.h"

#include <ngx_event.h>


#define NGX_READINESS_REDIS_POLL       10000    /* ms */
#define NGX_READINESS_REDIS_TEXT_LEN   (RDY_SENTINEL_HOST_LEN                 \
                                        + sizeof("[]:65535") - 1)


struct ngx_readiness_redis_sentinel_s {

    /* as in a peer: what stands behind three pointers */

    ngx_readiness_redis_worker_t   *worker;
    ngx_readiness_redis_peer_t    **peers;     /* the sentinels */
    ngx_readiness_redis_peer_t     *asking;    /* one of them */
    ngx_socket_t                    ident;

    ngx_uint_t                      npeers;
    ngx_uint_t                      current;   /* to be asked */
    ngx_uint_t                      tried;     /* for this one answer */
    ngx_uint_t                      wanted;    /* the master waits for it */
    ngx_uint_t                      failures;  /* attempts in a row */

    ngx_event_t                     ask;       /* posted */
    ngx_event_t                     poll;      /* cancelable */

    /* the answer that came last, the place of the master, the last one used */

    ngx_str_t                       answer;    /* HOST:PORT */
    ngx_str_t                       host;
    in_port_t                       port;
    ngx_readiness_redis_server_t    server;
    ngx_str_t                       used;

    ngx_addr_t                      addr;
    ngx_sockaddr_t                  sockaddr;
    u_char                          answer_buf[NGX_READINESS_REDIS_TEXT_LEN];
    u_char                          host_buf[RDY_SENTINEL_HOST_LEN];
    u_char                          text_buf[NGX_READINESS_REDIS_TEXT_LEN];
    u_char                          name_buf[RDY_SENTINEL_HOST_LEN];
    u_char                          lower_buf[RDY_SENTINEL_HOST_LEN];
    u_char                          used_buf[NGX_READINESS_REDIS_TEXT_LEN];
};


static void ngx_readiness_redis_ask_handler(ngx_event_t *ev);
static void ngx_readiness_redis_poll_handler(ngx_event_t *ev);
static void ngx_readiness_redis_nobody(ngx_readiness_redis_sentinel_t *s);
static void ngx_readiness_redis_again(ngx_readiness_redis_peer_t *peer);
static ngx_int_t ngx_readiness_redis_role(ngx_readiness_redis_peer_t *peer,
    rdy_items_t items);
static void ngx_readiness_redis_store(ngx_readiness_redis_sentinel_t *s,
    const ngx_str_t *host, ngx_uint_t port);
static void ngx_readiness_redis_answered(ngx_readiness_redis_sentinel_t *s,
    ngx_readiness_redis_peer_t *peer);
static ngx_int_t ngx_readiness_redis_place(ngx_readiness_redis_sentinel_t *s);
static ngx_int_t ngx_readiness_redis_literal(
    ngx_readiness_redis_sentinel_t *s);
static void ngx_readiness_redis_in_use(ngx_readiness_redis_sentinel_t *s);
static ngx_uint_t ngx_readiness_redis_same(const ngx_str_t *one,
    const ngx_str_t *two);
static void ngx_readiness_redis_later(ngx_readiness_redis_sentinel_t *s);


ngx_int_t
ngx_readiness_redis_sentinels(ngx_readiness_redis_worker_t *worker,
    ngx_pool_t *pool)
{
    ngx_uint_t                       i;
    ngx_readiness_redis_t           *redis;
    ngx_readiness_redis_peer_t      *peer;
    ngx_readiness_redis_server_t    *server;
    ngx_readiness_redis_sentinel_t  *s;

    redis = worker->redis;

    /* set by ngx_pcalloc(): asking, counts, answer, server, used */

    s = ngx_pcalloc(pool, sizeof(ngx_readiness_redis_sentinel_t));
    if (s == NULL) {
        return NGX_ERROR;
    }

    s->npeers = redis->servers.nelts;
    s->peers = ngx_pcalloc(pool, s->npeers
                                 * sizeof(ngx_readiness_redis_peer_t *));
    if (s->peers == NULL) {
        return NGX_ERROR;
    }

    s->worker = worker;
    s->ident = (ngx_socket_t) -1;
    s->server.text = redis->master;
    s->server.addrs = &s->addr;

    s->ask.handler = ngx_readiness_redis_ask_handler;
    s->ask.data = s;
    s->ask.log = ngx_cycle->log;

    s->poll.handler = ngx_readiness_redis_poll_handler;
    s->poll.data = s;
    s->poll.log = ngx_cycle->log;
    s->poll.cancelable = 1;

    worker->peer = ngx_readiness_redis_peer(worker, &s->server);
    if (worker->peer == NULL) {
        return NGX_ERROR;
    }

    server = redis->servers.elts;

    for (i = 0; i < s->npeers; i++) {

        peer = ngx_readiness_redis_peer(worker, &server[i]);
        if (peer == NULL) {
            return NGX_ERROR;
        }

        peer->asked = 1;
        s->peers[i] = peer;
    }

    worker->sentinel = s;

    return NGX_OK;
}


void
ngx_readiness_redis_sentinels_gone(ngx_readiness_redis_worker_t *worker)
{
    ngx_readiness_redis_sentinel_t  *s;

    s = worker->sentinel;

    ngx_readiness_redis_cancel(&s->poll);

    if (s->ask.posted) {
        ngx_delete_posted_event(&s->ask);
    }
}


void
ngx_readiness_redis_discover(ngx_readiness_redis_peer_t *peer)
{
    ngx_readiness_redis_sentinel_t  *s;

    s = peer->worker->sentinel;

    /* with WAIT calls are declined, and no timer ends it */

    peer->state = s->failures ? NGX_READINESS_REDIS_WAIT
                              : NGX_READINESS_REDIS_SEEKING;
    s->wanted = 1;

    /* this may be called from anywhere, and what follows may close */

    ngx_post_event(&s->ask, &ngx_posted_events);
}


static void
ngx_readiness_redis_ask_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_peer_t      *peer;
    ngx_readiness_redis_sentinel_t  *s;

    s = ev->data;

    if (s->asking) {

        /* the answer to come will do */

        return;
    }

    if (!s->wanted
        && (ngx_exiting || s->worker->peer->state != NGX_READINESS_REDIS_UP))
    {
        s->tried = 0;
        return;
    }

    if (s->tried == s->npeers) {
        s->tried = 0;
        ngx_readiness_redis_nobody(s);
        return;
    }

    peer = s->peers[s->current];

    s->asking = peer;

    if (peer->state == NGX_READINESS_REDIS_UP) {
        ngx_readiness_redis_again(peer);

    } else {
        (void) ngx_readiness_redis_connect(peer);
    }
}


static void
ngx_readiness_redis_poll_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_ask_handler(&((ngx_readiness_redis_sentinel_t *)
                                      ev->data)->ask);
}


/* all were asked in vain */

static void
ngx_readiness_redis_nobody(ngx_readiness_redis_sentinel_t *s)
{
    if (!s->wanted) {

        /* each of them was logged; the master may be as good as ever */

        ngx_readiness_redis_later(s);
        return;
    }

    ngx_readiness_redis_fail(s->worker->peer, 0,
                             "no sentinel names a master to connect to", NULL);
}


/* on a connection that was kept */

static void
ngx_readiness_redis_again(ngx_readiness_redis_peer_t *peer)
{
    if (ngx_readiness_redis_question(peer) != NGX_OK) {
        ngx_readiness_redis_break(peer, "no memory for a question");
        return;
    }

    peer->state = NGX_READINESS_REDIS_PRELUDE;

    ngx_add_timer(&peer->guard, peer->redis->connect_timeout);

    ngx_readiness_redis_send(peer);
}


ngx_int_t
ngx_readiness_redis_told(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_kind_e kind)
{
    ngx_int_t    rc;
    ngx_str_t    host;
    ngx_uint_t   port;
    rdy_items_t  items;

    items.pos = peer->buffer;
    items.end = peer->items.pos;

    if (kind == NGX_READINESS_REDIS_ROLE) {
        return ngx_readiness_redis_role(peer, items);
    }

    rc = rdy_sentinel_master(items, &host, &port);

    if (rc == RDY_DECLINED) {
        ngx_readiness_redis_fail(peer, 0, "it knows no master of this name, "
                                 "compare \"topology sentinel\" with its "
                                 "\"sentinel monitor\"", &peer->redis->master);
        return NGX_ERROR;
    }

    if (rc != RDY_OK) {
        ngx_readiness_redis_fail(peer, 0, "what it names is no address", NULL);
        return NGX_ERROR;
    }

    ngx_readiness_redis_store(peer->worker->sentinel, &host, port);

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_redis_role(ngx_readiness_redis_peer_t *peer, rdy_items_t items)
{
    const char  *what;

    switch (rdy_sentinel_role(items)) {

    case RDY_ROLE_MASTER:
        return NGX_OK;

    case RDY_ROLE_REPLICA:
        what = "a sentinel calls it the master, but it is a replica";
        break;

    case RDY_ROLE_SENTINEL:
        what = "a sentinel calls it the master, but it is a sentinel";
        break;

    default: /* RDY_ROLE_UNKNOWN */
        what = "a sentinel calls it the master, but it has no such role";
    }

    ngx_readiness_redis_fail(peer, 0, what, NULL);

    return NGX_ERROR;
}


static void
ngx_readiness_redis_store(ngx_readiness_redis_sentinel_t *s,
    const ngx_str_t *host, ngx_uint_t port)
{
    u_char      *last;
    ngx_uint_t   v6;

    s->port = (in_port_t) port;

    s->host.data = s->host_buf;
    s->host.len = host->len;
    ngx_memcpy(s->host_buf, host->data, host->len);

    v6 = ngx_strlchr(host->data, host->data + host->len, ':') != NULL;

    last = ngx_snprintf(s->answer_buf, NGX_READINESS_REDIS_TEXT_LEN,
                        v6 ? "[%V]:%ui" : "%V:%ui", host, port);

    s->answer.data = s->answer_buf;
    s->answer.len = last - s->answer_buf;
}


void
ngx_readiness_redis_found(ngx_readiness_redis_peer_t *peer)
{
    ngx_readiness_redis_sentinel_t  *s;

    s = peer->worker->sentinel;

    if (peer->asked) {
        ngx_readiness_redis_answered(s, peer);
        return;
    }

    ngx_readiness_redis_in_use(s);
    ngx_readiness_redis_later(s);
}


/* the sentinel that was asked has named the master, see s->answer */

static void
ngx_readiness_redis_answered(ngx_readiness_redis_sentinel_t *s,
    ngx_readiness_redis_peer_t *peer)
{
    ngx_readiness_redis_peer_t  *master;

    master = s->worker->peer;

    s->asking = NULL;
    s->tried = 0;

    if (peer->down) {
        peer->down = 0;

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "readiness_redis \"%V\": sentinel %V is back",
                      &peer->redis->name,
                      &peer->addrs[peer->addr % peer->naddrs].name);
    }

    if (s->wanted) {
        s->wanted = 0;

        if (ngx_readiness_redis_place(s) != NGX_OK) {
            s->current = (s->current + 1) % s->npeers;

            ngx_readiness_redis_fail(master, 0, "a sentinel calls this host "
                                     "the master: add \"resolver\" to "
                                     "http{}, or have addresses announced",
                                     &s->answer);
            return;
        }

        (void) ngx_readiness_redis_reach(master);
        return;
    }

    if (master->state != NGX_READINESS_REDIS_UP) {
        return;
    }

    if (ngx_readiness_redis_same(&s->answer, &s->server.text)) {
        ngx_readiness_redis_later(s);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "readiness_redis \"%V\": sentinel %V calls %V the master, "
                  "%V is left", &peer->redis->name,
                  &peer->addrs[peer->addr % peer->naddrs].name, &s->answer,
                  &s->server.text);

    /* those who wait there are told; the next attempt asks once more */

    ngx_readiness_redis_close(master);
}


/*
 * Makes the answer the place of the master, which is not connected.  NGX_OK,
 * or NGX_ERROR: it is a host name, and nobody can be asked for its address.
 */

static ngx_int_t
ngx_readiness_redis_place(ngx_readiness_redis_sentinel_t *s)
{
    ngx_readiness_redis_peer_t  *master;

    master = s->worker->peer;

    if (ngx_readiness_redis_same(&s->answer, &s->server.text)
        && s->server.port)
    {
        /* with the addresses that its name had last */

        return NGX_OK;
    }

    s->server.port = 0;

    ngx_memcpy(s->text_buf, s->answer.data, s->answer.len);
    s->server.text.data = s->text_buf;
    s->server.text.len = s->answer.len;

    master->addr = 0;
    master->tried = 0;

    if (ngx_readiness_redis_literal(s) == NGX_OK) {
        s->addr.sockaddr = &s->sockaddr.sockaddr;
        s->addr.name = s->server.text;
        s->server.addrs = &s->addr;
        s->server.naddrs = 1;
        s->server.host.len = 0;

        master->addrs = s->server.addrs;
        master->naddrs = 1;

        s->server.port = s->port;

        return NGX_OK;
    }

    s->server.addrs = NULL;
    s->server.naddrs = 0;

    master->addrs = master->resolved;
    master->naddrs = 0;

    if (s->worker->redis->resolver == NULL
        || s->answer.data[0] == '[')
    {
        return NGX_ERROR;
    }

    ngx_memcpy(s->name_buf, s->host.data, s->host.len);
    s->server.host.data = s->name_buf;
    s->server.host.len = s->host.len;

    ngx_strlow(s->lower_buf, s->host.data, s->host.len);
    master->host.data = s->lower_buf;
    master->host.len = s->host.len;

    s->server.port = s->port;

    return NGX_OK;
}


/* NGX_DECLINED: the host is no address */

static ngx_int_t
ngx_readiness_redis_literal(ngx_readiness_redis_sentinel_t *s)
{
    in_addr_t             addr;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    ngx_memzero(&s->sockaddr, sizeof(ngx_sockaddr_t));

    addr = ngx_inet_addr(s->host.data, s->host.len);

    if (addr != INADDR_NONE) {
        sin = &s->sockaddr.sockaddr_in;
        sin->sin_family = AF_INET;
        sin->sin_port = htons(s->port);
        sin->sin_addr.s_addr = addr;
        s->addr.socklen = sizeof(struct sockaddr_in);

        return NGX_OK;
    }

#if (NGX_HAVE_INET6)

    sin6 = &s->sockaddr.sockaddr_in6;

    if (ngx_inet6_addr(s->host.data, s->host.len, sin6->sin6_addr.s6_addr)
        == NGX_OK)
    {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(s->port);
        s->addr.socklen = sizeof(struct sockaddr_in6);

        return NGX_OK;
    }

#endif

    return NGX_DECLINED;
}


/* the master is up, and said that it is one */

static void
ngx_readiness_redis_in_use(ngx_readiness_redis_sentinel_t *s)
{
    ngx_str_t  *name;

    if (ngx_readiness_redis_same(&s->used, &s->server.text)) {
        return;
    }

    name = &s->worker->redis->name;

    if (s->used.len) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "readiness_redis \"%V\": the master is %V now, it was "
                      "%V", name, &s->server.text, &s->used);
    } else {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "readiness_redis \"%V\": the master is %V", name,
                      &s->server.text);
    }

    ngx_memcpy(s->used_buf, s->server.text.data, s->server.text.len);
    s->used.data = s->used_buf;
    s->used.len = s->server.text.len;
}


ngx_int_t
ngx_readiness_redis_parted(ngx_readiness_redis_peer_t *peer)
{
    ngx_readiness_redis_sentinel_t  *s;

    s = peer->worker->sentinel;

    if (peer->asked) {
        peer->state = NGX_READINESS_REDIS_IDLE;
        peer->addr++;

        if (s->asking == peer) {
            s->asking = NULL;
            s->tried++;
            s->current = (s->current + 1) % s->npeers;

            ngx_post_event(&s->ask, &ngx_posted_events);
        }

        return NGX_DONE;
    }

    ngx_readiness_redis_cancel(&s->poll);

    s->wanted = 0;

    if (peer->state == NGX_READINESS_REDIS_UP
        && ngx_current_msec - peer->since >= NGX_READINESS_REDIS_LIVED)
    {
        s->failures = 0;
        return NGX_OK;
    }

    s->failures++;

    if (peer->state > NGX_READINESS_REDIS_SEEKING && s->asking == NULL) {

        /* what was said of it is old, or no truth at all */

        s->current = (s->current + 1) % s->npeers;
    }

    return NGX_OK;
}


const char *
ngx_readiness_redis_advice(ngx_readiness_redis_peer_t *peer)
{
    ngx_str_t  *error;

    error = &peer->error;

    if (error->len >= 6 && ngx_strncmp(error->data, "NOAUTH", 6) == 0) {
        return "it wants a password, add \"sentinel_password_file\"";
    }

    if (error->len >= 6 && ngx_strncmp(error->data, "NOPERM", 6) == 0) {
        return "let its user do \"sentinel|get-master-addr-by-name\"";
    }

    return "it names no master, is it a sentinel?";
}


static ngx_uint_t
ngx_readiness_redis_same(const ngx_str_t *one, const ngx_str_t *two)
{
    return one->len == two->len
           && ngx_memcmp(one->data, two->data, one->len) == 0;
}


/* the workers of many machines do not ask at the same time */

static void
ngx_readiness_redis_later(ngx_readiness_redis_sentinel_t *s)
{
    ngx_readiness_redis_cancel(&s->poll);

    ngx_add_timer(&s->poll, NGX_READINESS_REDIS_POLL
                            - ngx_random() % (NGX_READINESS_REDIS_POLL / 10));
}
