
/*
 * Copyright (C) The readiness authors
 */


/*
 * hiredis's reader splits the bytes.  It is given functions that refuse
 * whatever was not asked for (nil, integers, the types of RESP3, arrays unless
 * the first entry that was sent has one coming), so that nothing is ever
 * allocated on a reply's word but one buffer: of fixed size, into which an
 * array goes item by item, or for the map of a cluster.
 */


#include "redis/ngx_readiness_redis_internal.h"


/* of arrays within arrays, the outermost included */
#define NGX_READINESS_REDIS_MAX_DEPTH  4

#define NGX_READINESS_REDIS_MAX_ITEMS                                         \
    (NGX_READINESS_REDIS_MAX_REPLY / RDY_ITEM_HEAD_LEN)


static void *ngx_readiness_redis_string(const redisReadTask *task, char *str,
    size_t len);
static void *ngx_readiness_redis_element(const redisReadTask *task, char *str,
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
static ngx_int_t ngx_readiness_redis_room(ngx_readiness_redis_peer_t *peer,
    size_t len);
static void *ngx_readiness_redis_listing(ngx_readiness_redis_peer_t *peer,
    int type);


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


size_t
ngx_readiness_redis_limit(ngx_readiness_redis_peer_t *peer)
{
    ngx_queue_t                  *q;
    ngx_readiness_redis_entry_t  *e;

    if (ngx_queue_empty(&peer->sent)) {
        return NGX_READINESS_REDIS_MAX_REPLY;
    }

    q = ngx_queue_head(&peer->sent);
    e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

    return e->kind == NGX_READINESS_REDIS_NODES
           ? NGX_READINESS_REDIS_MAX_MAP : NGX_READINESS_REDIS_MAX_REPLY;
}


ngx_uint_t
ngx_readiness_redis_listed(ngx_readiness_redis_peer_t *peer)
{
    ngx_queue_t                  *q;
    ngx_readiness_redis_entry_t  *e;

    if (ngx_queue_empty(&peer->sent)) {
        return 0;
    }

    q = ngx_queue_head(&peer->sent);
    e = ngx_queue_data(q, ngx_readiness_redis_entry_t, queue);

    return e->kind == NGX_READINESS_REDIS_ROLE
           || e->kind == NGX_READINESS_REDIS_MASTER;
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

    if (len > ngx_readiness_redis_limit(peer)) {
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

    if (task->parent) {
        return ngx_readiness_redis_element(task, str, len);
    }

    if (ngx_readiness_redis_room(peer, len) != NGX_OK) {
        return NULL;
    }

    ngx_memcpy(peer->buffer, str, len);

    peer->type = task->type;
    peer->reply.data = peer->buffer;
    peer->reply.len = len;

    return &peer->reply;
}


/* a string within an array, which somebody has coming: see _array() */

static void *
ngx_readiness_redis_element(const redisReadTask *task, char *str, size_t len)
{
    ngx_readiness_redis_peer_t  *peer;

    peer = task->privdata;

    if (task->type == REDIS_REPLY_ERROR
        || rdy_items_string(&peer->items, (u_char *) str, len) != RDY_OK)
    {
        return NULL;
    }

    return &peer->reply;
}


static void *
ngx_readiness_redis_array(const redisReadTask *task,
    ngx_readiness_elements_t elements)
{
    ngx_uint_t                   depth;
    const redisReadTask         *parent;
    ngx_readiness_redis_peer_t  *peer;

    peer = task->privdata;
    depth = 1;

    for (parent = task->parent; parent; parent = parent->parent) {
        depth++;
    }

    if (task->type != REDIS_REPLY_ARRAY
        || depth > NGX_READINESS_REDIS_MAX_DEPTH
        || (size_t) elements > NGX_READINESS_REDIS_MAX_ITEMS)
    {
        return NULL;
    }

    if (depth == 1
        && ngx_readiness_redis_listing(peer, REDIS_REPLY_ARRAY) == NULL)
    {
        return NULL;
    }

    if (rdy_items_array(&peer->items, elements) != RDY_OK) {
        return NULL;
    }

    return &peer->reply;
}


static void *
ngx_readiness_redis_integer(const redisReadTask *task, long long value)
{
    ngx_readiness_redis_peer_t  *peer;

    peer = task->privdata;

    if (task->parent == NULL
        || rdy_items_integer(&peer->items, value) != RDY_OK)
    {
        return NULL;
    }

    return &peer->reply;
}


/* in the place of an array, too */

static void *
ngx_readiness_redis_nil(const redisReadTask *task)
{
    ngx_readiness_redis_peer_t  *peer;

    peer = task->privdata;

    if (task->parent == NULL
        && ngx_readiness_redis_listing(peer, REDIS_REPLY_NIL) == NULL)
    {
        return NULL;
    }

    if (rdy_items_nil(&peer->items) != RDY_OK) {
        return NULL;
    }

    return &peer->reply;
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


/* the buffer is kept for the next reply, unless this is a large one */

static ngx_int_t
ngx_readiness_redis_room(ngx_readiness_redis_peer_t *peer, size_t len)
{
    ngx_uint_t  large;

    large = (len > NGX_READINESS_REDIS_MAX_REPLY);

    if (peer->buffer && !peer->large && !large) {
        return NGX_OK;
    }

    if (peer->buffer) {
        ngx_free(peer->buffer);
    }

    peer->large = large;
    peer->buffer = ngx_alloc(large ? len : NGX_READINESS_REDIS_MAX_REPLY,
                             ngx_cycle->log);

    return peer->buffer ? NGX_OK : NGX_ERROR;
}


/* a reply made of items begins; NULL: nobody has one coming */

static void *
ngx_readiness_redis_listing(ngx_readiness_redis_peer_t *peer, int type)
{
    if (!ngx_readiness_redis_listed(peer)
        || ngx_readiness_redis_room(peer, 0) != NGX_OK)
    {
        return NULL;
    }

    peer->type = type;
    peer->reply.data = peer->buffer;
    peer->reply.len = 0;
    peer->items.pos = peer->buffer;
    peer->items.end = peer->buffer + NGX_READINESS_REDIS_MAX_REPLY;

    return &peer->reply;
}
