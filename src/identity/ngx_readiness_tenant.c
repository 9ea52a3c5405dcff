
/*
 * Copyright (C) The readiness authors
 */


/* readiness_tenant */


#include "ngx_readiness.h"
#include "client/rdy_names.h"
#include "identity/ngx_readiness_identity.h"
#include "identity/rdy_tenant.h"


#define NGX_READINESS_TENANT_WHOLE  "(*LIMIT_MATCH=10000)\\A(?:%V)\\z"


static char *ngx_readiness_tenant_param(ngx_conf_t *cf,
    ngx_readiness_tenant_t *rule, ngx_str_t *param);
static char *ngx_readiness_tenant_pattern(ngx_conf_t *cf,
    ngx_readiness_tenant_t *rule, ngx_str_t *param);
static char *ngx_readiness_tenant_headers(ngx_conf_t *cf,
    ngx_readiness_tenant_t *rule);
static ngx_uint_t ngx_readiness_tenant_valid(
    const ngx_readiness_tenant_t *rule, ngx_str_t *name);
static ngx_uint_t ngx_readiness_tenant_once(ngx_http_request_t *r,
    const ngx_str_t *header);


char *
ngx_readiness_tenant(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_readiness_tenant_t  *rule;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_readiness_list_off(cf, cmd, &rlcf->tenant);
    }

    if (rlcf->tenant.own) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    if (value[1].len == 0) {
        return ngx_readiness_conf_error(cf, "empty expression in "
                                        "\"readiness_tenant\": write a "
                                        "variable, the name of a tenant, or "
                                        "off");
    }

    rule = ngx_readiness_list_push(cf, &rlcf->tenant,
                                   sizeof(ngx_readiness_tenant_t));

    if (rule == NULL
        || ngx_readiness_expr(cf, &value[1], &rule->value) != NGX_OK
        || ngx_readiness_tenant_headers(cf, rule) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_readiness_tenant_param(cf, rule, &value[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (rule->value.nparts == 0
        && !ngx_readiness_tenant_valid(rule, &rule->value.text))
    {
        return ngx_readiness_conf_error(cf, "invalid tenant \"%V\" in "
                     "\"readiness_tenant\": no request would pass, write a "
                     "name that the pattern takes, or a variable", &value[1]);
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_tenant_param(ngx_conf_t *cf, ngx_readiness_tenant_t *rule,
    ngx_str_t *param)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(param->data, "optional") == 0) {

        if (rule->optional) {
            return ngx_readiness_conf_error(cf, "second \"optional\" in "
                                            "\"%V\": keep one of them",
                                            &value[0]);
        }

        rule->optional = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(param->data, "pattern=", 8) == 0) {
        return ngx_readiness_tenant_pattern(cf, rule, param);
    }

    return ngx_readiness_conf_error(cf, "unknown parameter \"%V\" in "
                                    "\"readiness_tenant\": use pattern=REGEX "
                                    "or optional", param);
}


#if (NGX_PCRE)

/*
 * The expression has to be one by itself, lest "a)|(b" be let in by what is
 * put around it.  What it may cost is bounded, for clients choose the text.
 */

static char *
ngx_readiness_tenant_pattern(ngx_conf_t *cf, ngx_readiness_tenant_t *rule,
    ngx_str_t *param)
{
    u_char               *p, err[NGX_MAX_CONF_ERRSTR / 2];
    ngx_str_t             text, whole;
    ngx_uint_t            i;
    ngx_regex_compile_t   rc;

    text.len = param->len - 8;
    text.data = param->data + 8;

    if (text.len == 0 || rule->pattern) {
        return ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_tenant\" "
                                        "is empty or given twice: write it "
                                        "once, with a regular expression",
                                        param);
    }

    p = ngx_pnalloc(cf->pool, text.len + sizeof(NGX_READINESS_TENANT_WHOLE));
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    whole.data = p;
    whole.len = ngx_sprintf(p, NGX_READINESS_TENANT_WHOLE, &text) - p;

    for (i = 0; i < 2; i++) {
        ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

        rc.pattern = i ? whole : text;
        rc.pool = cf->pool;
        rc.err.len = sizeof(err);
        rc.err.data = err;

        if (ngx_regex_compile(&rc) != NGX_OK) {
            return ngx_readiness_conf_error(cf, "invalid \"%V\" in "
                         "\"readiness_tenant\": %V; write a regular "
                         "expression that may stand in parentheses", param,
                         &rc.err);
        }
    }

    rule->pattern = rc.regex;

    return NGX_CONF_OK;
}

#else

static char *
ngx_readiness_tenant_pattern(ngx_conf_t *cf, ngx_readiness_tenant_t *rule,
    ngx_str_t *param)
{
    return ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_tenant\" needs "
                                    "an nginx with PCRE: leave it out for the "
                                    "default pattern", param);
}

#endif


/* the headers that the expression names itself: $http_x_tenant */

static char *
ngx_readiness_tenant_headers(ngx_conf_t *cf, ngx_readiness_tenant_t *rule)
{
    size_t                            i, n;
    ngx_str_t                        *name;
    const ngx_readiness_expr_part_t  *part;

    if (ngx_array_init(&rule->headers, cf->pool, 1, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (n = 0; n < rule->value.nparts; n++) {
        part = &rule->value.parts[n];

        if (!part->variable || part->text.len <= 5
            || ngx_strncasecmp(part->text.data, (u_char *) "http_", 5) != 0)
        {
            continue;
        }

        name = ngx_array_push(&rule->headers);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        name->len = part->text.len - 5;
        name->data = ngx_pnalloc(cf->pool, name->len);
        if (name->data == NULL) {
            return NGX_CONF_ERROR;
        }

        for (i = 0; i < name->len; i++) {
            name->data[i] = part->text.data[i + 5];

            if (name->data[i] == '_') {
                name->data[i] = '-';
            }
        }
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_readiness_tenant_find(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_tenant_t *rule, ngx_str_t *name,
    ngx_readiness_reason_e *reason)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    const ngx_str_t  *header;

    header = rule->headers.elts;

    ngx_str_null(name);
    *reason = NGX_READINESS_TENANT_INVALID;

    for (i = 0; i < rule->headers.nelts; i++) {
        if (!ngx_readiness_tenant_once(r, &header[i])) {
            return NGX_OK;
        }
    }

    ctx->naming = 1;
    rc = ngx_readiness_expr_value(r, &rule->value, name);
    ctx->naming = 0;

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (name->len == 0) {
        *reason = rule->optional ? NGX_READINESS_OK
                                 : NGX_READINESS_TENANT_MISSING;
        return NGX_OK;
    }

    if (!ngx_readiness_tenant_valid(rule, name)) {
        ngx_str_null(name);
        return NGX_OK;
    }

    *reason = NGX_READINESS_OK;

    return NGX_OK;
}


static ngx_uint_t
ngx_readiness_tenant_valid(const ngx_readiness_tenant_t *rule,
    ngx_str_t *name)
{
#if (NGX_PCRE)
    int  captures[3];

    if (rule->pattern) {

        if (name->len > RDY_TENANT_MAX_OWN || rdy_tenant_nobody(name)) {
            return 0;
        }

        /* \K and (*ACCEPT) could make a part of it do */

        return ngx_regex_exec(rule->pattern, name, captures, 3) >= 0
               && captures[0] == 0 && captures[1] == (int) name->len;
    }
#endif

    return rdy_tenant_valid(name);
}


/*
 * 1 when the header comes at most once, and in no spelling that an application
 * may take for it ("X_Tenant"): nginx would show one of several.
 */

static ngx_uint_t
ngx_readiness_tenant_once(ngx_http_request_t *r, const ngx_str_t *header)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (!rdy_names_equal(h[i].key.data, h[i].key.len, header->data,
                                 header->len))
            {
                continue;
            }

            if (n++ || ngx_strncasecmp(h[i].key.data, header->data,
                                       header->len)
                       != 0)
            {
                return 0;
            }
        }
    }

    return 1;
}
