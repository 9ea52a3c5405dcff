
/*
 * Copyright (C) The readiness authors
 */


/*
 * Step 5 of a decision: the limits of the location.  Each is met at most once
 * per client request, whatever redirects follow.  What is known to be spent
 * refuses first; then the zone is asked, then each Redis; what was charged is
 * given back when a later one refuses.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"
#include "limit/rdy_key.h"


static ngx_int_t ngx_readiness_limit_begin(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);
static void ngx_readiness_limit_give_back(ngx_readiness_ctx_t *ctx);
static void ngx_readiness_limit_drop(ngx_readiness_ctx_t *ctx);
static ngx_int_t ngx_readiness_limit_collect(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);
static ngx_int_t ngx_readiness_limit_state(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_limit_t *limit);
static ngx_int_t ngx_readiness_limit_applies(ngx_http_request_t *r,
    const ngx_readiness_limit_t *limit);
static ngx_int_t ngx_readiness_limit_key(ngx_http_request_t *r,
    const ngx_readiness_rate_t *rate, ngx_readiness_state_t *state);
static ngx_uint_t ngx_readiness_limit_refused(const ngx_readiness_ctx_t *ctx);
static ngx_int_t ngx_readiness_limit_judge(ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf);
static ngx_readiness_state_t *ngx_readiness_limit_find(
    const ngx_readiness_ctx_t *ctx, const ngx_readiness_rate_t *rate);


ngx_int_t
ngx_readiness_limit_check(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    ngx_int_t  rc;

    if (conf->limits.own == NULL) {
        return NGX_OK;
    }

    if (!ctx->ready) {
        rc = ngx_readiness_limit_begin(r, ctx, conf);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    /* one Redis after the other, as long as none refuses */

    if (!ngx_readiness_limit_refused(ctx)) {
        rc = ngx_readiness_ask(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_readiness_limit_refused(ctx)) {
        ngx_readiness_limit_give_back(ctx);
        ngx_readiness_limit_drop(ctx);
    }

    return ngx_readiness_limit_judge(ctx, conf);
}


/* what is decided without asking anybody */

static ngx_int_t
ngx_readiness_limit_begin(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    if (ngx_readiness_limit_collect(r, ctx, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    /* an empty key that is not to pass: nothing else is charged */

    if (!ngx_readiness_limit_refused(ctx)) {
        ngx_readiness_known_check(ctx);
    }

    if (!ngx_readiness_limit_refused(ctx)) {
        return ngx_readiness_local_decide(ctx);
    }

    return NGX_OK;
}


/* a limit of this location refuses: what the others were charged is undone */

static void
ngx_readiness_limit_give_back(ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t              i;
    ngx_readiness_state_t  *state;

    for (i = ctx->first; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        switch (state->charged) {

        case NGX_READINESS_CHARGED_NOT:
            continue;

        case NGX_READINESS_CHARGED_ZONE:

            if (state->source == NGX_READINESS_SOURCE_FALLBACK) {
                ngx_readiness_outage_give_back(state);

            } else {
                ngx_readiness_local_give_back(state);
            }

            break;

        case NGX_READINESS_CHARGED_LEASE:
            ngx_readiness_known_put_back(state);
            break;

        default: /* NGX_READINESS_CHARGED_REDIS */
            ngx_readiness_ask_give_back(state);
        }

        state->charged = NGX_READINESS_CHARGED_NOT;

        if (state->source != NGX_READINESS_SOURCE_LOCAL) {
            state->view.remaining += state->cost;
        }
    }
}


/* those that nobody was asked about are not met yet */

static void
ngx_readiness_limit_drop(ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t  i, n;

    for (i = ctx->first, n = i; i < ctx->nlimits; i++) {
        if (!ctx->limits[i].asked) {
            ctx->limits[n++] = ctx->limits[i];
        }
    }

    ctx->nlimits = n;
}


/* a state for each limit that applies and has not been met before */

static ngx_int_t
ngx_readiness_limit_collect(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    ngx_int_t               rc;
    ngx_uint_t              i, n;
    ngx_readiness_limit_t  *limit;
    ngx_readiness_state_t  *states, *state;

    limit = conf->limits.own->elts;
    n = conf->limits.own->nelts;

    if (ctx->nlimits + n > ctx->max_limits) {

        states = ngx_palloc(r->pool, (ctx->nlimits + n)
                                     * sizeof(ngx_readiness_state_t));
        if (states == NULL) {
            return NGX_ERROR;
        }

        if (ctx->nlimits) {
            ngx_memcpy(states, ctx->limits,
                       ctx->nlimits * sizeof(ngx_readiness_state_t));
        }

        ctx->limits = states;
        ctx->max_limits = ctx->nlimits + n;
    }

    ctx->first = ctx->nlimits;

    for (i = 0; i < n; i++) {

        state = ngx_readiness_limit_find(ctx, limit[i].rate);

        if (state) {
            /* it was charged then; whether it is only watched is said here */
            state->monitor = limit[i].monitor;
            continue;
        }

        rc = ngx_readiness_limit_applies(r, &limit[i]);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK
            || ngx_readiness_limit_state(r, ctx, &limit[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_readiness_state_t *
ngx_readiness_limit_find(const ngx_readiness_ctx_t *ctx,
    const ngx_readiness_rate_t *rate)
{
    ngx_uint_t  i;

    for (i = 0; i < ctx->nlimits; i++) {
        if (ctx->limits[i].rate == rate) {
            return &ctx->limits[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_readiness_limit_applies(ngx_http_request_t *r,
    const ngx_readiness_limit_t *limit)
{
    ngx_int_t  rc;

    if (limit->if_set) {
        rc = ngx_readiness_expr_true(r, limit->if_set);

        if (rc != 1) {
            return (rc == 0) ? NGX_DECLINED : NGX_ERROR;
        }
    }

    if (limit->unless) {
        rc = ngx_readiness_expr_true(r, limit->unless);

        if (rc != 0) {
            return (rc == 1) ? NGX_DECLINED : NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_limit_state(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_limit_t *limit)
{
    ngx_int_t               rc;
    ngx_str_t               cost;
    ngx_readiness_state_t  *state;

    state = &ctx->limits[ctx->nlimits];

    ngx_memzero(state, sizeof(ngx_readiness_state_t));

    rc = ngx_readiness_plan_numbers(r, ctx, limit->rate, &state->numbers);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    state->rate = limit->rate;
    state->monitor = limit->monitor;
    state->source = limit->rate->redis ? NGX_READINESS_SOURCE_REDIS
                                       : NGX_READINESS_SOURCE_LOCAL;
    state->cost = 1;

    rc = ngx_readiness_limit_key(r, limit->rate, state);

    if (rc == NGX_DECLINED) {
        /* an empty part, and empty=skip */
        return NGX_OK;
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (limit->cost) {
        if (ngx_readiness_expr_value(r, limit->cost, &cost) != NGX_OK) {
            return NGX_ERROR;
        }

        state->cost = rdy_rate_cost(&cost);
    }

    if (state->numbers.kind == RDY_RATE_CONCURRENT && state->cost) {
        state->room = ngx_readiness_hold_room(r->pool);

        if (state->room == NULL) {
            return NGX_ERROR;
        }
    }

    state->counted = 1;
    state->asked = !state->refused;

    ctx->nlimits++;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_limit_key(ngx_http_request_t *r,
    const ngx_readiness_rate_t *rate, ngx_readiness_state_t *state)
{
    u_char      *p;
    ngx_str_t    part;
    ngx_uint_t   i;

    p = ngx_pnalloc(r->pool, rate->prefix.len
                             + rate->nkeys * (RDY_KEY_PART_MAX + 1));
    if (p == NULL) {
        return NGX_ERROR;
    }

    /* in Redis it is <prefix><rate>:{<key>} */

    state->name.data = p;
    p = ngx_cpymem(p, rate->prefix.data, rate->prefix.len);

    state->key.data = p;

    for (i = 0; i < rate->nkeys; i++) {

        if (ngx_readiness_expr_value(r, &rate->keys[i], &part) != NGX_OK) {
            return NGX_ERROR;
        }

        if (part.len == 0 && rate->empty == NGX_READINESS_EMPTY_SKIP) {
            return NGX_DECLINED;
        }

        if (part.len == 0 && rate->empty == NGX_READINESS_EMPTY_REFUSE) {
            state->refused = 1;
        }

        if (i) {
            *p++ = RDY_KEY_SEPARATOR;
        }

        p += rdy_key_part(p, &part, rate->secret[i]);
    }

    state->key.len = p - state->key.data;

    if (rate->redis) {
        *p++ = '}';
        state->name.len = p - state->name.data;
        state->slot = ngx_readiness_redis_slot(rate->redis, &state->name);
    }

    return NGX_OK;
}


/*
 * 1 when a limit first met here, and not only watched, refuses.  One met in an
 * earlier location may have been refused there and passed (readiness monitor):
 * the limits of this location are charged all the same.
 */

static ngx_uint_t
ngx_readiness_limit_refused(const ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t  i;

    for (i = ctx->first; i < ctx->nlimits; i++) {
        if (ctx->limits[i].refused && !ctx->limits[i].monitor) {
            return 1;
        }
    }

    return 0;
}


/*
 * The verdict of this location's limits, those met in an earlier location
 * included.  What a watched limit would have refused is told, and passes.
 */

static ngx_int_t
ngx_readiness_limit_judge(ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    ngx_uint_t                    i, found[2];
    ngx_readiness_limit_t        *limit;
    ngx_readiness_reason_e        reason[2];
    const ngx_readiness_state_t  *state;

    /* of those that refuse, and of those that would but are watched */

    found[0] = 0;
    found[1] = 0;
    reason[0] = NGX_READINESS_LIMITER_UNAVAILABLE;
    reason[1] = NGX_READINESS_LIMITER_UNAVAILABLE;

    limit = conf->limits.own->elts;

    for (i = 0; i < conf->limits.own->nelts; i++) {

        state = ngx_readiness_limit_find(ctx, limit[i].rate);

        if (state == NULL || !state->refused) {
            continue;
        }

        found[state->monitor] = 1;

        if (state->source != NGX_READINESS_SOURCE_UNAVAILABLE) {
            reason[state->monitor] = NGX_READINESS_RATE_LIMITED;
        }
    }

    if (found[0]) {
        if (!ctx->denied || conf->enable == NGX_READINESS_ON) {
            ctx->denied = 1;
            ctx->reason = reason[0];
        }

        return NGX_BUSY;
    }

    if (found[1] && !ctx->denied) {
        ctx->denied = 1;
        ctx->reason = reason[1];
    }

    return NGX_OK;
}


const ngx_readiness_state_t *
ngx_readiness_limit_told(const ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t                    i;
    const ngx_readiness_state_t  *state, *told;

    told = NULL;

    for (i = 0; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!state->decided || state->monitor) {
            continue;
        }

        if (state->refused) {
            return state;
        }

        /* remaining / burst as a product: the smaller share is told */

        if (told == NULL
            || state->view.remaining * told->numbers.burst
               < told->view.remaining * state->numbers.burst)
        {
            told = state;
        }
    }

    return told;
}


uint64_t
ngx_readiness_limit_retry(const ngx_readiness_ctx_t *ctx)
{
    uint64_t                      max;
    ngx_uint_t                    i;
    const ngx_readiness_state_t  *state;

    max = 0;

    for (i = 0; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (state->refused && state->decided && !state->monitor) {
            max = ngx_max(max, state->view.retry);
        }
    }

    max = rdy_rate_seconds(max);

    return ngx_max(max, 1);
}
