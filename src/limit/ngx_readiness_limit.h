
/*
 * Copyright (C) The readiness authors
 */


/* what the files of the limit room share */


#ifndef _NGX_READINESS_LIMIT_H_INCLUDED_
#define _NGX_READINESS_LIMIT_H_INCLUDED_


#include "ngx_readiness.h"
#include "redis/ngx_readiness_redis.h"
#include "limit/rdy_cells.h"


/*
 * The zone, found through shpool->data after a reload or an upgrade.  One
 * mutex, shpool's own: it is the only one that nginx unlocks when a worker
 * dies with it.
 */

typedef struct {
    uint64_t                     magic;
    u_char                       secret[16];  /* of the hash of keys */
    size_t                       size;        /* of cells */
    size_t                       cells;       /* offset from this struct */
} ngx_readiness_shared_t;


struct ngx_readiness_zone_s {
    ngx_slab_pool_t             *shpool;
    ngx_readiness_shared_t      *shared;
    rdy_cells_t                 *cells;
    ngx_array_t                 *rates;       /* ngx_readiness_rate_t * */
};


/* what is at Redis for one request; lives in the request's pool */

struct ngx_readiness_ask_s {
    ngx_queue_t                  order;       /* by deadline */
    ngx_queue_t                  gather;      /* not sent yet */
    ngx_readiness_ctx_t         *ctx;
    struct ngx_readiness_batch_s  *batch;     /* NULL: not sent yet */
    struct ngx_readiness_asker_s  *asker;
    ngx_uint_t                   index;       /* in the batch */
    ngx_uint_t                   nlimits;
    ngx_msec_t                   deadline;
};


/* whether the zone is to decide a state: its own, or Redis' in its stead */

#define ngx_readiness_zone_takes(state, from)                                 \
    ((state)->asked                                                           \
     && ((from) == NGX_READINESS_SOURCE_FALLBACK)                             \
        == ((state)->rate->redis != NULL))

/*
 * Decides in the zone the states marked asked that are its own (source
 * local), or those that Redis should have decided (fallback): all of them are
 * charged, or none.  Clears the marks.  NGX_OK; NGX_ERROR: there are more of
 * them than NGX_READINESS_MAX_LIMITS.
 */
ngx_int_t ngx_readiness_zone_decide(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, ngx_readiness_source_e source);

/*
 * Gives back what the zone was charged in this location, less what has drained
 * since: it may refuse early for a moment, never admit one too many.
 */
void ngx_readiness_zone_give_back(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx);

/*
 * Has Redis decide the states marked asked.  NGX_AGAIN:
 * ngx_readiness_resume() will be called; NGX_ERROR: no memory.
 */
ngx_int_t ngx_readiness_ask(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx);

/*
 * The numbers that count for this request.  NGX_OK: *numbers, the tenant's
 * own, its plan's or the declared ones; NGX_DECLINED: unlimited; NGX_ERROR.
 */
ngx_int_t ngx_readiness_plan_numbers(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_rate_t *rate,
    rdy_rate_t *numbers);

/* Redis has not answered: decides the states marked asked by their policy */
void ngx_readiness_limit_unavailable(ngx_readiness_ctx_t *ctx);


#endif /* _NGX_READINESS_LIMIT_H_INCLUDED_ */
