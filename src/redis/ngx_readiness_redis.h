
/*
 * Copyright (C) The readiness authors
 */


/*
 * One pipelined connection per node of a Redis and worker.  nginx owns the
 * socket and the events, hiredis's redisReader reads the replies, a FIFO of
 * calls keeps who waits for which.
 */


#ifndef _NGX_READINESS_REDIS_H_INCLUDED_
#define _NGX_READINESS_REDIS_H_INCLUDED_


#include "ngx_readiness.h"


/* why a call got no payload */

typedef enum {
    NGX_READINESS_REDIS_OK = 0,
    NGX_READINESS_REDIS_TIMEOUT,       /* no reply by the deadline */
    NGX_READINESS_REDIS_CLOSED,        /* the connection went away */
    NGX_READINESS_REDIS_REFUSED,       /* an error reply: see payload */
    NGX_READINESS_REDIS_PROTOCOL       /* not a reply to this call */
} ngx_readiness_redis_rc_e;


typedef struct ngx_readiness_redis_call_s  ngx_readiness_redis_call_t;

/*
 * Called exactly once for each call that was accepted, never from within
 * ngx_readiness_redis_eval(); at the latest when the process exits.  payload
 * is the reply without the echoed number, with REFUSED the text of the error
 * reply (printable ASCII, no secrets), else empty; it is the room's and gone
 * after the return.
 */
typedef void (*ngx_readiness_redis_pt)(ngx_readiness_redis_call_t *call,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload);


typedef struct {
    ngx_str_t                    text;
    u_char                       sha1[41];   /* lower hex, made by the room */
} ngx_readiness_script_t;


/*
 * A call is its caller's memory until its handler is called, and the caller's
 * again from then on.  keys and arg are copied: they may be gone as soon as
 * ngx_readiness_redis_eval() has returned.
 */
struct ngx_readiness_redis_call_s {
    ngx_readiness_redis_pt       handler;
    void                        *data;

    ngx_str_t                   *keys;
    ngx_uint_t                   nkeys;
    ngx_str_t                    arg;        /* ARGV[2]; ARGV[1] is ours: 8
                                                bytes that the script puts
                                                before its reply */
    ngx_uint_t                   slot;       /* the room's own */
};


/*
 * EVALSHA of script with the call's keys and argument; on a cluster all keys
 * of a call are of one slot, and there is one at least.  script is used until
 * the process ends.  NGX_OK: the handler will be called, with a timeout at
 * the latest; it may make a new call.  NGX_DECLINED: it will not; this Redis
 * cannot be asked now (not connected and waiting to try again, queue full, no
 * memory).
 */
ngx_int_t ngx_readiness_redis_eval(ngx_readiness_redis_t *redis,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call);

/* the configured timeout of one call, ms */
ngx_msec_t ngx_readiness_redis_timeout(const ngx_readiness_redis_t *redis);

/* <prefix> of all keys */
const ngx_str_t *ngx_readiness_redis_prefix(
    const ngx_readiness_redis_t *redis);

/* the name in readiness_redis NAME */
const ngx_str_t *ngx_readiness_redis_name(const ngx_readiness_redis_t *redis);

/* 1: topology cluster, where all keys of a call have to be of one slot */
ngx_uint_t ngx_readiness_redis_cluster(const ngx_readiness_redis_t *redis);

/* the slot of a key; 0 unless this is a cluster */
ngx_uint_t ngx_readiness_redis_slot(const ngx_readiness_redis_t *redis,
    const ngx_str_t *key);

/*
 * A number that changes whenever this worker lost a connection of this Redis,
 * or learned that the master, of any slot, is another one: what was charged
 * before may be unknown there.
 */
ngx_uint_t ngx_readiness_redis_generation(const ngx_readiness_redis_t *redis);

/*
 * Posts ev whenever a connection of this worker is ready for calls, of a
 * cluster to any node: Redis may have been restarted since the last one.
 */
void ngx_readiness_redis_on_ready(ngx_readiness_redis_t *redis,
    ngx_event_t *ev);

/*
 * At the end of http: host names need its resolver.  NGX_CONF_OK, or
 * NGX_CONF_ERROR with [emerg] logged.
 */
char *ngx_readiness_redis_check(ngx_conf_t *cf,
    ngx_readiness_main_conf_t *rmcf);


#endif /* _NGX_READINESS_REDIS_H_INCLUDED_ */
