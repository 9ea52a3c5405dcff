
/*
 * Copyright (C) The readiness authors
 */


/*
 * Replies.  A reply belongs to the first entry that was sent, and proves it
 * with the number of that call; error replies have none and are matched by
 * order.
 */


#include "redis/ngx_readiness_redis_internal.h"
#include "redis/rdy_resp.h"


/* beside a bulk string that is not complete: its head, its CRLF */
#define NGX_READINESS_REDIS_UNREAD  (RDY_RESP_HEAD_LEN + 2)


static ngx_uint_t ngx_readiness_redis_is_tls(ngx_readiness_redis_peer_t *peer,
    u_char *buf, size_t len);
static ngx_uint_t ngx_readiness_redis_endless(
    ngx_readiness_redis_peer_t *peer, size_t limit);
static ngx_int_t ngx_readiness_redis_reply(ngx_readiness_redis_peer_t *peer);
static ngx_uint_t ngx_readiness_redis_expected(
    ngx_readiness_redis_peer_t *peer, ngx_readiness_redis_entry_t *e);
static void ngx_readiness_redis_accept(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e);
static ngx_int_t ngx_readiness_redis_refused(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e);
static ngx_int_t ngx_readiness_redis_cluster_refused(
    ngx_readiness_redis_peer_t *peer, ngx_readiness_redis_entry_t *e,
    rdy_resp_error_e means);
static void ngx_readiness_redis_complain(ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_text(ngx_readiness_redis_peer_t *peer);
static ngx_int_t ngx_readiness_redis_protocol(
    ngx_readiness_redis_peer_t *peer, const char *what,
    const ngx_str_t *text);


ngx_int_t
ngx_readiness_redis_feed(ngx_readiness_redis_peer_t *peer, u_char *buf,
    size_t len)
{
    void         *reply;
    size_t        unread, limit;
    redisReader  *reader;

    reader = peer->reader;

    if (redisReaderFeed(reader, (char *) buf, len) != REDIS_OK) {
        return ngx_readiness_redis_protocol(peer, "no memory for a reply",
                                            NULL);
    }

    for ( ;; ) {

        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            return ngx_readiness_redis_protocol(peer,
                           ngx_readiness_redis_is_tls(peer, buf, len)
                           ? "speaks TLS, which needs \"ssl on\""
                           : "sent what is no reply to us, or too long", NULL);
        }

        if (reply == NULL) {
            break;
        }

        /* its handler may send, but not close */

        if (ngx_readiness_redis_reply(peer) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    unread = reader->len - reader->pos;
    limit = ngx_readiness_redis_limit(peer);

    if (unread > limit + NGX_READINESS_REDIS_UNREAD
        || ngx_readiness_redis_endless(peer, limit))
    {
        return ngx_readiness_redis_protocol(peer, "sent a reply that is too "
                                            "long", NULL);
    }

    if (unread && ngx_queue_empty(&peer->sent)) {
        return ngx_readiness_redis_protocol(peer, "sent bytes nobody asked "
                                            "for", NULL);
    }

    return NGX_OK;
}


/* the alert of a server that waits for a handshake */

static ngx_uint_t
ngx_readiness_redis_is_tls(ngx_readiness_redis_peer_t *peer, u_char *buf,
    size_t len)
{
    return peer->state == NGX_READINESS_REDIS_PRELUDE
           && peer->redis->tls.ssl == NULL
           && len >= 2 && buf[0] == 0x15 && buf[1] == 0x03;
}


/*
 * The reader waits for as many bytes as a bulk string says it has.  What is
 * unread begins behind the type, and nothing else that we may be sent begins
 * with a digit; except in an array, whose numbers may be as long as any.
 */

static ngx_uint_t
ngx_readiness_redis_endless(ngx_readiness_redis_peer_t *peer, size_t limit)
{
    size_t        i, digits;
    redisReader  *reader;

    reader = peer->reader;

    if (ngx_readiness_redis_listed(peer)) {
        return 0;
    }

    for (digits = 0; limit; limit /= 10) {
        digits++;
    }

    for (i = reader->pos; i < reader->len; i++) {
        if (reader->buf[i] < '0' || reader->buf[i] > '9') {
            break;
        }
    }

    return i - reader->pos > digits;
}


static ngx_int_t
ngx_readiness_redis_reply(ngx_readiness_redis_peer_t *peer)
{
    ngx_queue_t                  *q;
    ngx_readiness_redis_entry_t  *e;

    if (peer->type == REDIS_REPLY_ERROR) {
        ngx_readiness_redis_text(peer);
    }

    if (ngx_queue_empty(&peer->sent)) {

        /* such as "ERR max number of clients reached" */

        return ngx_readiness_redis_protocol(peer,
                               "sent a reply nobody asked for",
                               peer->type == REDIS_REPLY_ERROR ? &peer->error
                                                               : NULL);
    }

    q = ngx_queue_head(&peer->sent);
    e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

    if (peer->type == REDIS_REPLY_ERROR) {

        if (ngx_readiness_redis_refused(peer, e) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {

        if (!ngx_readiness_redis_expected(peer, e)) {
            return ngx_readiness_redis_protocol(peer,
                                  "sent a reply to another call", NULL);
        }

        if (ngx_readiness_redis_listed(peer)
            && ngx_readiness_redis_told(peer, e->kind) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_readiness_redis_accept(peer, e);
    }

    if (peer->state == NGX_READINESS_REDIS_PRELUDE && peer->nprelude == 0) {
        ngx_readiness_redis_ready(peer);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_readiness_redis_expected(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e)
{
    ngx_str_t  *reply;

    reply = &peer->reply;

    switch (e->kind) {

    case NGX_READINESS_REDIS_AUTH:
    case NGX_READINESS_REDIS_SELECT:
    case NGX_READINESS_REDIS_ASKING:
        return peer->type == REDIS_REPLY_STATUS && reply->len == 2
               && ngx_memcmp(reply->data, "OK", 2) == 0;

    case NGX_READINESS_REDIS_ROLE:
    case NGX_READINESS_REDIS_MASTER:
        return peer->type == REDIS_REPLY_ARRAY
               || peer->type == REDIS_REPLY_NIL;

    case NGX_READINESS_REDIS_LOAD:
        return peer->type == REDIS_REPLY_STRING
               && reply->len == sizeof(e->script->sha1) - 1
               && ngx_memcmp(reply->data, e->script->sha1, reply->len) == 0;

    case NGX_READINESS_REDIS_NODES:
        return peer->type == REDIS_REPLY_STRING;

    default: /* NGX_READINESS_REDIS_EVALSHA, NGX_READINESS_REDIS_EVAL */
        return peer->type == REDIS_REPLY_STRING
               && reply->len >= NGX_READINESS_REDIS_NUMBER_LEN
               && ngx_memcmp(reply->data, e->number,
                             NGX_READINESS_REDIS_NUMBER_LEN)
                  == 0;
    }
}


static void
ngx_readiness_redis_accept(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e)
{
    ngx_str_t  payload;

    ngx_str_null(&payload);

    if (e->kind >= NGX_READINESS_REDIS_EVALSHA) {

        payload.data = peer->reply.data + NGX_READINESS_REDIS_NUMBER_LEN;
        payload.len = peer->reply.len - NGX_READINESS_REDIS_NUMBER_LEN;

        /* only a call that was done proves that calls are possible again */

        if (peer->down) {
            peer->down = 0;

            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "readiness_redis \"%V\" at %V is back",
                          &peer->redis->name, &peer->addrs[peer->addr].name);
        }
    }

    if (e->kind == NGX_READINESS_REDIS_LOAD) {
        peer->loaded = 1;
    }

    if (e->kind == NGX_READINESS_REDIS_AUTH
        && peer->state == NGX_READINESS_REDIS_UP)
    {
        ngx_readiness_redis_password_told(peer, 1);
    }

    ngx_readiness_redis_take(peer, e);

    if (e->kind == NGX_READINESS_REDIS_NODES) {
        ngx_readiness_redis_map_reply(peer);
    }

    ngx_readiness_redis_finish(peer, e, NGX_READINESS_REDIS_OK, &payload);
}


static ngx_int_t
ngx_readiness_redis_refused(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e)
{
    rdy_resp_error_e  means;

    means = rdy_resp_error(&peer->reply);

    switch (e->kind) {

    case NGX_READINESS_REDIS_AUTH:

        if (peer->state == NGX_READINESS_REDIS_UP) {
            ngx_readiness_redis_password_told(peer, 0);
            ngx_readiness_redis_take(peer, e);
            ngx_readiness_redis_finish(peer, e, NGX_READINESS_REDIS_REFUSED,
                                       NULL);
            return NGX_OK;
        }

        ngx_readiness_redis_fail(peer, 0, "AUTH was refused", &peer->error);
        return NGX_ERROR;

    case NGX_READINESS_REDIS_SELECT:
        ngx_readiness_redis_fail(peer, 0, "SELECT was refused", &peer->error);
        return NGX_ERROR;

    case NGX_READINESS_REDIS_ROLE:
        ngx_readiness_redis_fail(peer, 0, "ROLE was refused", &peer->error);
        return NGX_ERROR;

    case NGX_READINESS_REDIS_MASTER:
        ngx_readiness_redis_fail(peer, 0, ngx_readiness_redis_advice(peer),
                                 &peer->error);
        return NGX_ERROR;

    case NGX_READINESS_REDIS_LOAD:

        /* calls take the text along, and say whether that is forbidden too */

        ngx_readiness_redis_complain(peer);
        ngx_readiness_redis_take(peer, e);
        ngx_readiness_redis_finish(peer, e, NGX_READINESS_REDIS_REFUSED, NULL);
        return NGX_OK;

    case NGX_READINESS_REDIS_NODES:
    case NGX_READINESS_REDIS_ASKING:
        return ngx_readiness_redis_cluster_refused(peer, e, means);

    default: /* NGX_READINESS_REDIS_EVALSHA, NGX_READINESS_REDIS_EVAL */
        break;
    }

    if (means == RDY_RESP_CLOSE) {
        e->rc = NGX_READINESS_REDIS_REFUSED;
        ngx_readiness_redis_fail(peer, 0, "a call was refused", &peer->error);
        return NGX_ERROR;
    }

    ngx_readiness_redis_take(peer, e);

    if (means == RDY_RESP_NOSCRIPT && e->call
        && e->kind == NGX_READINESS_REDIS_EVALSHA
        && ngx_readiness_redis_repeat(peer, e) == NGX_OK)
    {
        return NGX_OK;
    }

    if (peer->worker->cluster && !e->probe
        && ngx_readiness_redis_redirect(peer, e) == NGX_OK)
    {
        return NGX_OK;
    }

    /* of a probe the script may complain, which has no keys */

    if (!e->probe || !rdy_resp_alive(&peer->reply)) {
        ngx_readiness_redis_complain(peer);
    }

    ngx_readiness_redis_finish(peer, e, NGX_READINESS_REDIS_REFUSED,
                               &peer->error);

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_redis_cluster_refused(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e, rdy_resp_error_e means)
{
    ngx_readiness_redis_kind_e  kind;

    kind = e->kind;

    if (means == RDY_RESP_CLOSE) {
        ngx_readiness_redis_fail(peer, 0, kind == NGX_READINESS_REDIS_NODES
                                          ? "CLUSTER NODES was refused"
                                          : "ASKING was refused",
                                 &peer->error);
        return NGX_ERROR;
    }

    ngx_readiness_redis_take(peer, e);
    ngx_readiness_redis_finish(peer, e, NGX_READINESS_REDIS_REFUSED, NULL);

    if (kind == NGX_READINESS_REDIS_NODES) {
        ngx_readiness_redis_map_refused(peer);

    } else {
        ngx_readiness_redis_complain(peer);
    }

    return NGX_OK;
}


static void
ngx_readiness_redis_complain(ngx_readiness_redis_peer_t *peer)
{
    if (ngx_time() - peer->refused_at < NGX_READINESS_REDIS_QUIET) {
        return;
    }

    peer->refused_at = ngx_time();

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "readiness_redis \"%V\" at %V refuses: %V",
                  &peer->redis->name, &peer->addrs[peer->addr].name,
                  &peer->error);
}


/* the error reply without what may not be seen */

static void
ngx_readiness_redis_text(ngx_readiness_redis_peer_t *peer)
{
    peer->error.data = peer->text;
    peer->error.len = rdy_resp_text(peer->text, sizeof(peer->text),
                                    &peer->reply,
                                    ngx_readiness_redis_secret(peer));
}


static ngx_int_t
ngx_readiness_redis_protocol(ngx_readiness_redis_peer_t *peer,
    const char *what, const ngx_str_t *text)
{
    ngx_queue_t                  *q;
    ngx_readiness_redis_entry_t  *e;

    if (!ngx_queue_empty(&peer->sent)) {
        q = ngx_queue_head(&peer->sent);
        e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);
        e->rc = NGX_READINESS_REDIS_PROTOCOL;
    }

    ngx_readiness_redis_fail(peer, 0, what, text);

    return NGX_ERROR;
}
