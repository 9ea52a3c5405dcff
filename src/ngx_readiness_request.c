
/*
 * Copyright (C) The readiness authors
 */


/*
 * The spine: walks a request through the rooms, suspends it while a room
 * waits, runs it on, refuses it.  No room calls another one; they meet in the
 * record.
 */


#include "ngx_readiness.h"
#include "redis/ngx_readiness_redis.h"


static ngx_int_t ngx_readiness_post_read(ngx_http_request_t *r);
static ngx_int_t ngx_readiness_preaccess(ngx_http_request_t *r);
static ngx_int_t ngx_readiness_verdict(ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf, ngx_int_t rc, ngx_uint_t before);
static ngx_int_t ngx_readiness_settle(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf,
    ngx_int_t rc);
static ngx_int_t ngx_readiness_suspend(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx);
static void ngx_readiness_suspended(ngx_http_request_t *r);
static void ngx_readiness_say(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf, ngx_uint_t with_status);
static const ngx_readiness_loc_conf_t *ngx_readiness_untold(
    ngx_http_request_t *r, const ngx_readiness_ctx_t *ctx);
static void ngx_readiness_wrap(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx);
static ngx_int_t ngx_readiness_content(ngx_http_request_t *r);
static ngx_int_t ngx_readiness_content_phase(ngx_http_request_t *r);
static ngx_int_t ngx_readiness_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_readiness_log_phase(ngx_http_request_t *r);
static void ngx_readiness_cleanup(void *data);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


uint64_t
ngx_readiness_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


ngx_readiness_ctx_t *
ngx_readiness_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_readiness_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_readiness_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        /* an internal redirect wipes the contexts of modules, not cleanups */

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_readiness_cleanup) {
                ctx = cln->data;
                ngx_http_set_ctx(r, ctx, ngx_readiness_module);
                break;
            }
        }
    }

    return ctx;
}


ngx_readiness_ctx_t *
ngx_readiness_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_readiness_ctx_t  *ctx;

    ctx = ngx_readiness_find_ctx(r);

    if (ctx) {
        return ctx;
    }

    r = r->main;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_readiness_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;

    ngx_memzero(ctx, sizeof(ngx_readiness_ctx_t));

    ctx->request = r;
    ctx->start = ngx_readiness_now();
    ctx->reason = NGX_READINESS_NOT_EVALUATED;

    cln->handler = ngx_readiness_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_readiness_module);

    return ctx;
}


static void
ngx_readiness_cleanup(void *data)
{
    ngx_readiness_ctx_t *ctx = data;

    ngx_readiness_limit_cleanup(ctx);
    ngx_readiness_client_cleanup(ctx);
}


static ngx_int_t
ngx_readiness_post_read(ngx_http_request_t *r)
{
    ngx_readiness_ctx_t       *ctx;
    ngx_readiness_srv_conf_t  *rscf;

    rscf = ngx_http_get_module_srv_conf(r, ngx_readiness_module);

    if (!rscf->active) {
        return NGX_DECLINED;
    }

    ctx = ngx_readiness_get_ctx(r);

    if (ctx == NULL || ngx_readiness_client(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


/*
 * Entered anew for each location the request comes to, and once more when
 * the answer it was suspended for has come.
 */

static ngx_int_t
ngx_readiness_preaccess(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_uint_t                       before;
    ngx_readiness_ctx_t             *ctx;
    const ngx_readiness_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_readiness_module);

    if (r != r->main || r->post_action) {
        return NGX_DECLINED;
    }

    if (conf->enable == NGX_READINESS_OFF) {
        ngx_readiness_wrap(r, ngx_readiness_find_ctx(r));
        return NGX_DECLINED;
    }

    ctx = ngx_readiness_get_ctx(r);

    if (ctx == NULL || ngx_readiness_client(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->waiting && !ctx->ready) {
        return NGX_AGAIN;
    }

    if (ctx->denied && ctx->enforced) {
        /* ours is final: this redirect only fetches the body of the error */
        return NGX_DECLINED;
    }

    before = ctx->denied;

    rc = ngx_readiness_identity(r, ctx, conf);

    if (rc == NGX_OK) {
        rc = ngx_readiness_limit_check(r, ctx, conf);
    }

    if (rc == NGX_AGAIN) {
        return ngx_readiness_suspend(r, ctx);
    }

    ctx->waiting = 0;
    ctx->ready = 0;

    if (rc == NGX_ERROR && !ctx->denied) {
        ctx->denied = 1;
        ctx->reason = NGX_READINESS_INTERNAL;
    }

    rc = ngx_readiness_verdict(ctx, conf, rc, before);

    return ngx_readiness_settle(r, ctx, conf, rc);
}


/*
 * A spent limit answers right and wrong credentials alike; whatever else the
 * limits came to, the refusal of identity goes before it.  before: something
 * was refused in an earlier location, and watched only.
 */

static ngx_int_t
ngx_readiness_verdict(ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf, ngx_int_t rc, ngx_uint_t before)
{
    if (rc == NGX_ERROR || ctx->refusal == NGX_READINESS_OK) {
        return rc;
    }

    if (rc == NGX_BUSY && ctx->reason == NGX_READINESS_RATE_LIMITED) {
        return rc;
    }

    if (!before || conf->enable == NGX_READINESS_ON) {
        ctx->denied = 1;
        ctx->reason = ctx->refusal;
    }

    return NGX_BUSY;
}


/* rc is what the checks of this location came to: NGX_OK, or a refusal */

static ngx_int_t
ngx_readiness_settle(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf, ngx_int_t rc)
{
    if (!ctx->evaluated) {
        ctx->duration = ngx_readiness_now() - ctx->start;
    }

    ctx->evaluated = 1;
    ctx->conf = conf;

    if (!ctx->denied) {
        ctx->reason = NGX_READINESS_OK;
    }

    if (rc != NGX_OK && conf->enable == NGX_READINESS_ON) {

        ctx->enforced = 1;
        ctx->status = (ctx->reason == NGX_READINESS_RATE_LIMITED)
                      ? conf->limit_status
                      : ngx_readiness_reasons[ctx->reason].status;

        ngx_readiness_say(r, ctx, conf, 1);

        return ngx_readiness_refuse(r, ctx, conf);
    }

    if (ctx->told && ctx->denied && !ctx->told_denied) {
        /* only watched, but the line that is out says nothing of it */
        ngx_readiness_say(r, ctx, conf, 0);
    }

    ngx_readiness_wrap(r, ctx);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_readiness_suspend(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = r->connection;

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_readiness_suspended;

    ctx->waiting = 1;
    ctx->ready = 0;

    return NGX_AGAIN;
}


static void
ngx_readiness_suspended(ngx_http_request_t *r)
{
    /* a level-triggered write event would come again and again */

    if (ngx_handle_write_event(r->connection->write, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
}


void
ngx_readiness_resume(ngx_readiness_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ctx->ready = 1;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);

    } else {
        ngx_http_core_run_phases(r);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_readiness_say(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf, ngx_uint_t with_status)
{
    ctx->revised = ctx->told;

    ngx_readiness_tell(r, ctx, conf, with_status);

    ctx->told = 1;
    ctx->told_denied = ctx->denied;
}


/*
 * Whose line is still to be written, NULL: nobody's.  A decision is told even
 * when a redirect (try_files, error_page) has left for where readiness is off.
 */

static const ngx_readiness_loc_conf_t *
ngx_readiness_untold(ngx_http_request_t *r, const ngx_readiness_ctx_t *ctx)
{
    const ngx_readiness_loc_conf_t  *conf;

    if (ctx == NULL || !ctx->evaluated || ctx->told) {
        return NULL;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_readiness_module);

    return (conf->enable == NGX_READINESS_OFF) ? ctx->conf : conf;
}


static void
ngx_readiness_wrap(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx)
{
    if (r->content_handler && r->content_handler != ngx_readiness_content
        && ngx_readiness_untold(r, ctx))
    {
        ctx->content_handler = r->content_handler;
        r->content_handler = ngx_readiness_content;
    }
}


/* stands before the location's own content handler, to tell just before it */

static ngx_int_t
ngx_readiness_content(ngx_http_request_t *r)
{
    ngx_readiness_ctx_t             *ctx;
    const ngx_readiness_loc_conf_t  *conf;

    ctx = ngx_readiness_find_ctx(r);

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->content_handler = ctx->content_handler;

    conf = ngx_readiness_untold(r, ctx);

    if (conf) {
        /* of an error page the status is known */
        ngx_readiness_say(r, ctx, conf, r->err_status != 0);
    }

    return r->content_handler(r);
}


/* the same where nginx asks its handlers in turn: files, index, autoindex */

static ngx_int_t
ngx_readiness_content_phase(ngx_http_request_t *r)
{
    ngx_readiness_ctx_t             *ctx;
    const ngx_readiness_loc_conf_t  *conf;

    if (r != r->main || r->post_action || r->uri.data[r->uri.len - 1] == '/') {
        /* a directory is redirected to its index, whose checks come first */
        return NGX_DECLINED;
    }

    ctx = ngx_readiness_find_ctx(r);
    conf = ngx_readiness_untold(r, ctx);

    if (conf) {
        ngx_readiness_say(r, ctx, conf, r->err_status != 0);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_readiness_header_filter(ngx_http_request_t *r)
{
    ngx_readiness_ctx_t             *ctx;
    const ngx_readiness_loc_conf_t  *conf;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_readiness_module);

    if (conf->enable == NGX_READINESS_OFF) {

        /* off, but an error_page of our refusal: Retry-After, no-store, ... */

        ctx = ngx_readiness_find_ctx(r);

        if (ctx == NULL || !ctx->enforced) {
            return ngx_http_next_header_filter(r);
        }

        conf = ctx->conf;
    }

    ctx = ngx_readiness_get_ctx(r);

    if (ctx == NULL || ngx_readiness_client(r, ctx) != NGX_OK
        || ngx_readiness_respond(r, ctx, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/* requests that never reached content: nginx's own 400, return, auth_basic */

static ngx_int_t
ngx_readiness_log_phase(ngx_http_request_t *r)
{
    ngx_readiness_ctx_t             *ctx;
    const ngx_readiness_loc_conf_t  *conf;

    if (r != r->main) {
        return NGX_OK;
    }

    conf = ngx_readiness_untold(r, ngx_readiness_find_ctx(r));

    if (conf == NULL) {
        conf = ngx_http_get_module_loc_conf(r, ngx_readiness_module);
    }

    if (conf->enable == NGX_READINESS_OFF) {
        return NGX_OK;
    }

    ctx = ngx_readiness_get_ctx(r);

    if (ctx && ngx_readiness_client(r, ctx) == NGX_OK && !ctx->told) {
        ngx_readiness_say(r, ctx, conf, 1);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_add_handler(ngx_http_core_main_conf_t *cmcf, ngx_uint_t phase,
    ngx_http_handler_pt handler)
{
    ngx_http_handler_pt  *h;

    h = ngx_array_push(&cmcf->phases[phase].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


ngx_int_t
ngx_readiness_init(ngx_conf_t *cf)
{
    ngx_http_core_main_conf_t  *cmcf;
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_readiness_module);

    if (ngx_readiness_expr_check(cf, rmcf) != NGX_OK
        || ngx_readiness_redis_check(cf, rmcf) != NGX_CONF_OK)
    {
        return NGX_ERROR;
    }

    if (!rmcf->active) {
        return NGX_OK;
    }

    if (ngx_readiness_limit_init(cf, rmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (ngx_readiness_add_handler(cmcf, NGX_HTTP_POST_READ_PHASE,
                                  ngx_readiness_post_read) != NGX_OK
        || ngx_readiness_add_handler(cmcf, NGX_HTTP_PREACCESS_PHASE,
                                     ngx_readiness_preaccess) != NGX_OK
        || ngx_readiness_add_handler(cmcf, NGX_HTTP_CONTENT_PHASE,
                                     ngx_readiness_content_phase) != NGX_OK
        || ngx_readiness_add_handler(cmcf, NGX_HTTP_LOG_PHASE,
                                     ngx_readiness_log_phase) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_readiness_header_filter;

    return NGX_OK;
}
