
/*
 * Copyright (C) The readiness authors
 */


/* variables: readings of the record; one row each, and one function a row */


#include "ngx_readiness.h"


#define NGX_READINESS_NUMBER_LEN  20


typedef ngx_int_t (*ngx_readiness_reading_pt)(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, ngx_str_t *value);


static ngx_int_t ngx_readiness_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_readiness_number(ngx_http_request_t *r, uint64_t n,
    ngx_str_t *value);


static ngx_int_t
ngx_readiness_var_request_id(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    *value = ctx->client.request_id;
    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_trace_id(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    if (ctx->client.traced) {
        *value = ctx->client.trace.trace_id;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_client_addr(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    *value = ctx->client.text;
    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_peer_addr(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    *value = ctx->client.peer;
    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_scheme(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    if (ctx->client.https) {
        ngx_str_set(value, "https");

    } else {
        ngx_str_set(value, "http");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_decision(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    if (!ctx->evaluated) {
        ngx_str_set(value, "none");

    } else if (ctx->denied) {
        ngx_str_set(value, "deny");

    } else {
        ngx_str_set(value, "allow");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_reason(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    *value = ngx_readiness_reasons[ctx->reason].name;
    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_plan(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    ngx_str_t  tenant;

    if (ngx_readiness_tenant_name(r, ctx, &tenant) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_readiness_plan_name(r, ctx, &tenant, value);
}


static ngx_int_t
ngx_readiness_var_policy(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    ngx_readiness_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_readiness_module);
    *value = conf->applied;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_route(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    ngx_readiness_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_readiness_module);
    *value = conf->route.len ? conf->route : conf->words;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_limit(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    const ngx_readiness_state_t  *state;

    state = ngx_readiness_limit_told(ctx);

    if (state) {
        *value = state->rate->name;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_var_remaining(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    const ngx_readiness_state_t  *state;

    state = ngx_readiness_limit_told(ctx);

    if (state == NULL) {
        return NGX_OK;
    }

    return ngx_readiness_number(r, state->refused ? 0 : state->view.remaining,
                                value);
}


static ngx_int_t
ngx_readiness_var_reset(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    const ngx_readiness_state_t  *state;

    state = ngx_readiness_limit_told(ctx);

    if (state == NULL) {
        return NGX_OK;
    }

    return ngx_readiness_number(r, rdy_rate_seconds(state->view.full), value);
}


static ngx_int_t
ngx_readiness_var_duration(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *value)
{
    if (!ctx->evaluated) {
        return NGX_OK;
    }

    return ngx_readiness_number(r, ctx->duration, value);
}


typedef struct {
    ngx_str_t                    name;
    ngx_readiness_reading_pt     read;
    ngx_uint_t                   flags;
} ngx_readiness_variable_t;


/* what the client station finds is settled once; a verdict is not */

static ngx_readiness_variable_t  ngx_readiness_vars[] = {
    { ngx_string("readiness_request_id"), ngx_readiness_var_request_id, 0 },
    { ngx_string("readiness_trace_id"), ngx_readiness_var_trace_id, 0 },
    { ngx_string("readiness_client_addr"), ngx_readiness_var_client_addr, 0 },
    { ngx_string("readiness_client_key"), ngx_readiness_client_key, 0 },
    { ngx_string("readiness_peer_addr"), ngx_readiness_var_peer_addr, 0 },
    { ngx_string("readiness_scheme"), ngx_readiness_var_scheme, 0 },
    { ngx_string("readiness_decision"), ngx_readiness_var_decision,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_reason"), ngx_readiness_var_reason,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_tenant"), ngx_readiness_tenant_name,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_plan"), ngx_readiness_var_plan,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_policy"), ngx_readiness_var_policy,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_route"), ngx_readiness_var_route,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_limit"), ngx_readiness_var_limit,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_limit_remaining"), ngx_readiness_var_remaining,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_limit_reset"), ngx_readiness_var_reset,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_string("readiness_duration_us"), ngx_readiness_var_duration,
      NGX_HTTP_VAR_NOCACHEABLE },
    { ngx_null_string, NULL, 0 }
};


ngx_int_t
ngx_readiness_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t       *var;
    ngx_readiness_variable_t  *v;

    for (v = ngx_readiness_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = ngx_readiness_variable;
        var->data = (uintptr_t) v->read;
    }

    return NGX_OK;
}


/* empty is "not found", as everywhere where the module is off */

static ngx_int_t
ngx_readiness_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_readiness_reading_pt read = (ngx_readiness_reading_pt) data;

    ngx_str_t                  value;
    ngx_readiness_ctx_t       *ctx;
    ngx_readiness_srv_conf_t  *rscf;

    ngx_str_null(&value);

    rscf = ngx_http_get_module_srv_conf(r, ngx_readiness_module);

    if (rscf->active) {
        ctx = ngx_readiness_get_ctx(r);

        if (ctx == NULL || ngx_readiness_client(r->main, ctx) != NGX_OK
            || read(r, ctx, &value) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    v->len = value.len;
    v->data = value.data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = (value.len == 0);

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_number(ngx_http_request_t *r, uint64_t n, ngx_str_t *value)
{
    value->data = ngx_pnalloc(r->pool, NGX_READINESS_NUMBER_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%uL", n) - value->data;

    return NGX_OK;
}
