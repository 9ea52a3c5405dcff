
/*
 * Copyright (C) The readiness authors
 */


/* The answer to a refused request. */


#include "ngx_readiness.h"
#include "respond/rdy_accept.h"
#include "respond/rdy_problem.h"


#define NGX_READINESS_MAX_ACCEPT  8      /* lines that are looked at */


static ngx_uint_t ngx_readiness_has_error_page(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_uint_t ngx_readiness_prefers_html(ngx_http_request_t *r);
static ngx_int_t ngx_readiness_send_problem(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);
static ngx_buf_t *ngx_readiness_problem_body(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, ngx_uint_t terse);


ngx_int_t
ngx_readiness_refuse(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    /* 444: nginx closes the connection */

    if (conf->problem == NGX_READINESS_PROBLEM_OFF
        || ctx->status == NGX_HTTP_CLOSE
        || ngx_readiness_has_error_page(r, ctx->status)
        || ngx_readiness_prefers_html(r))
    {
        return ctx->status;
    }

    ngx_http_finalize_request(r, ngx_readiness_send_problem(r, ctx, conf));

    return NGX_DONE;
}


/* whether nginx will answer this status by an error_page: as it looks itself */

static ngx_uint_t
ngx_readiness_has_error_page(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->error_page || r->uri_changes == 0 || clcf->error_pages == NULL) {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == (ngx_int_t) status) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_readiness_prefers_html(ngx_http_request_t *r)
{
    ngx_str_t         lines[NGX_READINESS_MAX_ACCEPT];
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    n = 0;
    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; n < NGX_READINESS_MAX_ACCEPT; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == sizeof("Accept") - 1
            && ngx_strncasecmp(header[i].key.data, (u_char *) "Accept",
                               sizeof("Accept") - 1)
               == 0)
        {
            lines[n++] = header[i].value;
        }
    }

    return rdy_accept_html(lines, n);
}


/* returns what the request is to be finalized with */

static ngx_int_t
ngx_readiness_send_problem(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_uint_t    terse;
    ngx_chain_t   out;

    terse = (conf->problem == NGX_READINESS_PROBLEM_TERSE);

    b = ngx_readiness_problem_body(r, ctx, terse);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* a body that nobody reads is not asked for: no 100 Continue */

    r->expect_tested = 1;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    /* what an X-Accel-Redirect or an error page has brought along */

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);
    ngx_http_clear_location(r);

    r->err_status = ctx->status;
    r->headers_out.status = ctx->status;
    r->headers_out.content_length_n = b->last - b->pos;

    ngx_str_set(&r->headers_out.content_type, "application/problem+json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset.len = 0;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_buf_t *
ngx_readiness_problem_body(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_uint_t terse)
{
    ngx_buf_t                     *b;
    ngx_str_t                      policies[NGX_READINESS_MAX_LIMITS];
    ngx_uint_t                     i;
    rdy_problem_t                  problem;
    const ngx_readiness_reason_t  *reason;

    reason = &ngx_readiness_reasons[ctx->reason];

    problem.status = ctx->status;
    problem.title = rdy_problem_title(ctx->status);
    problem.reason = terse ? reason->terse : reason->name;
    problem.request_id = ctx->client.request_id;
    problem.policies = policies;
    problem.npolicies = 0;

    if (problem.title.len == 0) {
        problem.title = reason->title;
    }

    if (ctx->reason == NGX_READINESS_RATE_LIMITED && !terse) {
        for (i = 0; i < ctx->nlimits; i++) {
            if (ctx->limits[i].refused && !ctx->limits[i].monitor
                && problem.npolicies < NGX_READINESS_MAX_LIMITS)
            {
                policies[problem.npolicies++] = ctx->limits[i].rate->name;
            }
        }
    }

    b = ngx_create_temp_buf(r->pool, rdy_problem_len(&problem));
    if (b == NULL) {
        return NULL;
    }

    b->last = rdy_problem_write(b->last, &problem);
    b->last_buf = 1;
    b->last_in_chain = 1;

    return b;
}
