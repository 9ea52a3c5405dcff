
/*
 * Copyright (C) The readiness authors
 */


/* readiness_limit, and the names at the end of http */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"
#include "limit/rdy_field.h"


static char *ngx_readiness_limit_param(ngx_conf_t *cf,
    ngx_readiness_limit_t *limit, ngx_str_t *param);
static char *ngx_readiness_limit_names(ngx_conf_t *cf,
    const ngx_readiness_list_t *limits);
static char *ngx_readiness_limit_complain(ngx_conf_t *cf,
    const ngx_readiness_limit_t *limit, const char *message);
static ngx_uint_t ngx_readiness_limit_same(const void *a, const void *b);


char *
ngx_readiness_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_readiness_limit_t  *limit;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_readiness_list_off(cf, cmd, &rlcf->limits);
    }

    if (!ngx_readiness_name_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                     "\"readiness_limit\": write the name of a "
                     "\"readiness_rate\", or off", &value[1]);
    }

    limit = rlcf->limits.own ? rlcf->limits.own->elts : NULL;

    for (i = 0; limit && i < rlcf->limits.own->nelts; i++) {
        if (limit[i].name.len == value[1].len
            && ngx_strncmp(limit[i].name.data, value[1].data, value[1].len)
               == 0)
        {
            return ngx_readiness_conf_error(cf, "\"readiness_limit %V\" is "
                         "given twice in one block: keep one of them",
                         &value[1]);
        }
    }

    limit = ngx_readiness_list_push(cf, &rlcf->limits,
                                    sizeof(ngx_readiness_limit_t));
    if (limit == NULL) {
        return NGX_CONF_ERROR;
    }

    limit->name = value[1];
    limit->file = cf->conf_file->file.name.data;
    limit->line = cf->conf_file->line;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_readiness_limit_param(cf, limit, &value[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_limit_param(ngx_conf_t *cf, ngx_readiness_limit_t *limit,
    ngx_str_t *param)
{
    ngx_int_t               n;
    ngx_str_t               rest;
    ngx_readiness_expr_t  **slot;

    if (ngx_strcmp(param->data, "monitor") == 0) {
        limit->monitor = 1;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(param->data, "on=request") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_readiness_begins(param, "on=", &rest)) {
        return ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_limit\" "
                     "is not supported by this version: use on=request",
                     param);
    }

    if (ngx_readiness_begins(param, "cost=", &rest)) {
        slot = &limit->cost;

    } else if (ngx_readiness_begins(param, "if=", &rest)) {
        slot = &limit->if_set;

    } else if (ngx_readiness_begins(param, "unless=", &rest)) {
        slot = &limit->unless;

    } else {
        return ngx_readiness_conf_error(cf, "unknown parameter \"%V\" in "
                     "\"readiness_limit\": use cost=, if=, unless= or "
                     "monitor", param);
    }

    if (*slot || rest.len == 0) {
        return ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_limit\" "
                     "is empty or given twice: write it once, with an "
                     "expression", param);
    }

    *slot = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_expr_t));

    if (*slot == NULL || ngx_readiness_expr(cf, &rest, *slot) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (slot != &limit->cost || limit->cost->nparts) {
        return NGX_CONF_OK;
    }

    n = ngx_atoi(rest.data, rest.len);

    if (n == NGX_ERROR || n > RDY_RATE_MAX_COST) {
        return ngx_readiness_conf_error(cf, "invalid \"%V\" in "
                     "\"readiness_limit\": use a whole number from 0 to "
                     "1000000000, or a variable", param);
    }

    return NGX_CONF_OK;
}


/* at the end of http: what rates and limits name has to be there */

char *
ngx_readiness_limit_resolve(ngx_conf_t *cf, ngx_readiness_main_conf_t *rmcf)
{
    u_char                   *p;
    ngx_uint_t                i, k;
    rdy_field_t               field;
    const ngx_str_t          *name, *prefix;
    ngx_readiness_rate_t    **rate;
    ngx_readiness_redis_t   **redis;
    ngx_readiness_policy_t   *policy;

    rate = rmcf->rates.elts;
    redis = rmcf->redis.elts;

    for (i = 0; i < rmcf->rates.nelts; i++) {

        field.name = rate[i]->name;
        field.rate = &rate[i]->rate;

        p = ngx_pnalloc(cf->pool, rdy_field_policy_len(&field, 1));
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        rate[i]->policy.data = p;
        rate[i]->policy.len = rdy_field_policy(p, &field, 1) - p;

        if (rate[i]->redis_name.len == 0) {
            continue;
        }

        for (k = 0; k < rmcf->redis.nelts; k++) {
            name = ngx_readiness_redis_name(redis[k]);

            if (ngx_readiness_word(&rate[i]->redis_name, name, 1) == 0) {
                break;
            }
        }

        if (k == rmcf->redis.nelts) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown \"redis=%V\" of rate \"%V\" in "
                          "\"readiness_rate\": declare it with "
                          "\"readiness_redis %V { ... }\" in http in %s:%ui",
                          &rate[i]->redis_name, &rate[i]->name,
                          &rate[i]->redis_name, rate[i]->file, rate[i]->line);
            return NGX_CONF_ERROR;
        }

        rate[i]->redis = redis[k];

        /* <prefix><rate>:{ is the same for all keys of a rate */

        prefix = ngx_readiness_redis_prefix(redis[k]);

        p = ngx_pnalloc(cf->pool, prefix->len + rate[i]->name.len + 2);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        rate[i]->prefix.data = p;

        p = ngx_cpymem(p, prefix->data, prefix->len);
        p = ngx_cpymem(p, rate[i]->name.data, rate[i]->name.len);
        *p++ = ':';
        *p++ = '{';

        rate[i]->prefix.len = p - rate[i]->prefix.data;
    }

    policy = rmcf->policies.elts;

    for (i = 0; i < rmcf->policies.nelts; i++) {
        if (ngx_readiness_limit_names(cf, &policy[i].conf->limits)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_limit_names(ngx_conf_t *cf, const ngx_readiness_list_t *limits)
{
    ngx_uint_t                  i, k;
    ngx_readiness_rate_t      **rate;
    ngx_readiness_limit_t      *limit;
    ngx_readiness_main_conf_t  *rmcf;

    if (limits->own == NULL) {
        return NGX_CONF_OK;
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_readiness_module);

    rate = rmcf->rates.elts;
    limit = limits->own->elts;

    for (i = 0; i < limits->own->nelts; i++) {

        for (k = 0; k < rmcf->rates.nelts; k++) {
            if (ngx_readiness_word(&limit[i].name, &rate[k]->name, 1) == 0) {
                limit[i].rate = rate[k];
                break;
            }
        }

        if (limit[i].rate == NULL) {
            return ngx_readiness_limit_complain(cf, &limit[i],
                                  "is unknown: declare it with "
                                  "\"readiness_rate\" in http");
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_limit_complain(ngx_conf_t *cf,
    const ngx_readiness_limit_t *limit, const char *message)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "rate \"%V\" in \"readiness_limit\" %s in %s:%ui",
                  &limit->name, message, limit->file, limit->line);

    return NGX_CONF_ERROR;
}


char *
ngx_readiness_limit_merge(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner)
{
    ngx_uint_t              n;
    ngx_readiness_limit_t  *limit;

    if (ngx_readiness_limit_names(cf, &inner->limits) != NGX_CONF_OK
        || ngx_readiness_list_merge(cf, &outer->limits, &inner->limits,
                                    sizeof(ngx_readiness_limit_t),
                                    ngx_readiness_limit_same)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (inner->limits.own == NULL) {
        return NGX_CONF_OK;
    }

    limit = inner->limits.own->elts;
    n = inner->limits.own->nelts;

    if (n > NGX_READINESS_MAX_LIMITS) {
        return ngx_readiness_limit_complain(cf, &limit[n - 1],
                                  "is one limit too many for a location, "
                                  "which takes 16: drop some with "
                                  "\"readiness_limit off\"");
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_readiness_limit_same(const void *a, const void *b)
{
    const ngx_readiness_limit_t  *outer, *inner;

    outer = a;
    inner = b;

    return outer->rate == inner->rate;
}
