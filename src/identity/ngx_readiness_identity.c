
/*
 * Copyright (C) The readiness authors
 */


/*
 * Step 4 of a decision: who and whose the request is.  What it refuses is
 * kept: the limits are charged before it is answered.
 */


#include "ngx_readiness.h"
#include "identity/ngx_readiness_identity.h"


static const ngx_readiness_tenant_t *ngx_readiness_identity_rule(
    const ngx_readiness_loc_conf_t *conf);


ngx_int_t
ngx_readiness_identity(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    ngx_str_t                      name;
    const ngx_readiness_tenant_t  *rule;

    rule = ngx_readiness_identity_rule(conf);

    if (rule == NULL) {
        ctx->refusal = NGX_READINESS_OK;
        return NGX_OK;
    }

    if (rule == ctx->claim) {
        /* inherited by another location, or resumed */
        ctx->refusal = ctx->claimed;
        return NGX_OK;
    }

    if (ngx_readiness_tenant_find(r, ctx, rule, &name, &ctx->claimed)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->claim = rule;
    ctx->refusal = ctx->claimed;

    /* whom an earlier location has found, it is */

    if (name.len && ctx->tenant.len == 0) {

        ctx->tenant.data = ngx_pstrdup(r->pool, &name);
        if (ctx->tenant.data == NULL) {
            return NGX_ERROR;
        }

        ctx->tenant.len = name.len;
    }

    return NGX_OK;
}


ngx_int_t
ngx_readiness_tenant_name(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *name)
{
    ngx_readiness_reason_e           reason;
    const ngx_readiness_tenant_t    *rule;
    const ngx_readiness_loc_conf_t  *conf;

    *name = ctx->tenant;

    if (name->len || ctx->naming || (ctx->denied && ctx->enforced)) {
        return NGX_OK;
    }

    r = r->main;

    conf = ngx_http_get_module_loc_conf(r, ngx_readiness_module);
    rule = ngx_readiness_identity_rule(conf);

    if (rule == NULL || rule == ctx->claim
        || conf->enable == NGX_READINESS_OFF)
    {
        return NGX_OK;
    }

    return ngx_readiness_tenant_find(r, ctx, rule, name, &reason);
}


static const ngx_readiness_tenant_t *
ngx_readiness_identity_rule(const ngx_readiness_loc_conf_t *conf)
{
    return conf->tenant.own ? conf->tenant.own->elts : NULL;
}


char *
ngx_readiness_identity_merge(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner)
{
    ngx_readiness_list_replace(&outer->tenant, &inner->tenant);

    return NGX_CONF_OK;
}
