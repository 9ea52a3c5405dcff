
/*
 * Copyright (C) The readiness authors
 */


/*
 * Replies.  hiredis's reader splits the bytes; it is given functions that
 * refuse whatever we never ask for (arrays, nil, the types of RESP3), so that
 * nothing is ever allocated on a reply's word but one buffer of fixed size.
 * A reply belongs to the first entry that was sent, and proves it with the
 * number of that call; error replies have none and are matched by order.
 */


#include "redis/ngx_readiness_redis_internal.h"
#include "redis/rdy_resp.h"


/* a bulk string that is not complete: its head, its CRLF */
#define NGX_READINESS_REDIS_MAX_UNREAD                                        \
    (NGX_READINESS_REDIS_MAX_REPLY + RDY_RESP_HEAD_LEN + 2)

/* of the length of NGX_READINESS_REDIS_MAX_REPLY */
#define NGX_READINESS_REDIS_MAX_DIGITS  5


static void *ngx_readiness_redis_string(const redisReadTask *task, char *str,
    size_t len);
static void *ngx_readiness_redis_array(const redisReadTask *task,
    ngx_readiness_elements_t elements);
static void *ngx_readiness_redis_integer(const redisReadTask *task,
    long long value);
static void *ngx_readiness_redis_nil(const redisReadTask *task);
#ifdef REDIS_REPLY_DOUBLE
static void *ngx_readiness_redis_double(const redisReadTask *task,
    double value, char *str, size_t len);
static void *ngx_readiness_redis_bool(const redisReadTask *task, int value);
#endif
static ngx_uint_t ngx_readiness_redis_endless(redisReader *reader);
static ngx_int_t ngx_readiness_redis_reply(ngx_readiness_redis_peer_t *peer);
static ngx_uint_t ngx_readiness_redis_expected(
    ngx_readiness_redis_peer_t *peer, ngx_readiness_redis_entry_t *e);
static void ngx_readiness_redis_accept(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e);
static ngx_int_t ngx_readiness_redis_refused(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e);
static void ngx_readiness_redis_complain(ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_text(ngx_readiness_redis_peer_t *peer);
static ngx_int_t ngx_readiness_redis_protocol(
    ngx_readiness_redis_peer_t *peer, const char *what,
    const ngx_str_t *text);


static redisReplyObjectFunctions  ngx_readiness_redis_functions = {
    ngx_readiness_redis_string,
    ngx_readiness_redis_array,
    ngx_readiness_redis_integer,
#ifdef REDIS_REPLY_DOUBLE
    ngx_readiness_redis_double,
#endif
    ngx_readiness_redis_nil,
#ifdef REDIS_REPLY_DOUBLE
    ngx_readiness_redis_bool,
#endif
    NULL                           /* what they return is never freed */
};


redisReader *
ngx_readiness_redis_reader(ngx_readiness_redis_peer_t *peer)
{
    redisReader  *reader;

    reader = redisReaderCreateWithFunctions(&ngx_readiness_redis_functions);
    if (reader == NULL) {
        return NULL;
    }

    reader->privdata = peer;

    return reader;
}


/*
 * The reader calls this with a whole string, and may move its bytes before
 * it returns the reply.
 */

static void *
ngx_readiness_redis_string(const redisReadTask *task, char *str, size_t len)
{
    ngx_readiness_redis_peer_t  *peer;

    peer = task->privdata;

    if (len > NGX_READINESS_REDIS_MAX_REPLY) {
        return NULL;
    }

    switch (task->type) {

    case REDIS_REPLY_STRING:

        /* hiredis 0.14 skips these two unseen */

        if (str[len] != '\r' || str[len + 1] != '\n') {
            return NULL;
        }

        break;

    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        break;

    default:
        return NULL;
    }

    if (peer->buffer == NULL) {
        peer->buffer = ngx_alloc(NGX_READINESS_REDIS_MAX_REPLY,
                                 ngx_cycle->log);
        if (peer->buffer == NULL) {
            return NULL;
        }
    }

    ngx_memcpy(peer->buffer, str, len);

    peer->type = task->type;
    peer->reply.data = peer->buffer;
    peer->reply.len = len;

    return &peer->reply;
}


static void *
ngx_readiness_redis_array(const redisReadTask *task,
    ngx_readiness_elements_t elements)
{
    return NULL;
}


static void *
ngx_readiness_redis_integer(const redisReadTask *task, long long value)
{
    return NULL;
}


static void *
ngx_readiness_redis_nil(const redisReadTask *task)
{
    return NULL;
}


#ifdef REDIS_REPLY_DOUBLE

static void *
ngx_readiness_redis_double(const redisReadTask *task, double value, char *str,
    size_t len)
{
    return NULL;
}


static void *
ngx_readiness_redis_bool(const redisReadTask *task, int value)
{
    return NULL;
}

#endif


ngx_int_t
ngx_readiness_redis_feed(ngx_readiness_redis_peer_t *peer, u_char *buf,
    size_t len)
{
    void         *reply;
    size_t        unread;
    redisReader  *reader;

    reader = peer->reader;

    if (redisReaderFeed(reader, (char *) buf, len) != REDIS_OK) {
        return ngx_readiness_redis_protocol(peer, "no memory for a reply",
                                            NULL);
    }

    for ( ;; ) {

        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            return ngx_readiness_redis_protocol(peer,
                           "sent what is no reply to us, or too long", NULL);
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

    if (unread > NGX_READINESS_REDIS_MAX_UNREAD
        || ngx_readiness_redis_endless(reader))
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


/*
 * The reader waits for as many bytes as a bulk string says it has.  What is
 * unread begins behind the type, and nothing else that we may be sent begins
 * with a digit.
 */

static ngx_uint_t
ngx_readiness_redis_endless(redisReader *reader)
{
    size_t  i;

    for (i = reader->pos; i < reader->len; i++) {
        if (reader->buf[i] < '0' || reader->buf[i] > '9') {
            break;
        }
    }

    return i - reader->pos > NGX_READINESS_REDIS_MAX_DIGITS;
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
        return peer->type == REDIS_REPLY_STATUS && reply->len == 2
               && ngx_memcmp(reply->data, "OK", 2) == 0;

    case NGX_READINESS_REDIS_LOAD:
        return peer->type == REDIS_REPLY_STRING
               && reply->len == sizeof(e->script->sha1) - 1
               && ngx_memcmp(reply->data, e->script->sha1, reply->len) == 0;

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

    if (e->kind > NGX_READINESS_REDIS_LOAD) {

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

    ngx_readiness_redis_take(peer, e);
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
        ngx_readiness_redis_fail(peer, 0, "AUTH was refused", &peer->error);
        return NGX_ERROR;

    case NGX_READINESS_REDIS_SELECT:
        ngx_readiness_redis_fail(peer, 0, "SELECT was refused", &peer->error);
        return NGX_ERROR;

    case NGX_READINESS_REDIS_LOAD:

        /* calls take the text along, and say whether that is forbidden too */

        ngx_readiness_redis_complain(peer);
        ngx_readiness_redis_take(peer, e);
        ngx_readiness_redis_finish(peer, e, NGX_READINESS_REDIS_REFUSED, NULL);
        return NGX_OK;

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

    ngx_readiness_redis_complain(peer);
    ngx_readiness_redis_finish(peer, e, NGX_READINESS_REDIS_REFUSED,
                               &peer->error);

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
    ngx_str_t               none;
    ngx_readiness_redis_t  *redis;

    redis = peer->redis;

    ngx_str_null(&none);

    peer->error.data = peer->text;
    peer->error.len = rdy_resp_text(peer->text, sizeof(peer->text),
                                    &peer->reply,
                                    redis->password ? redis->password->data
                                                    : &none);
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
