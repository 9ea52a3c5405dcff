
/*
 * Copyright (C) The readiness authors
 */


/* readiness_rate and readiness_limit */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"
#include "limit/rdy_field.h"


static char *ngx_readiness_rate_param(ngx_conf_t *cf,
    ngx_readiness_rate_t *rate, ngx_str_t *param, ngx_str_t *burst);
static char *ngx_readiness_rate_key(ngx_conf_t *cf, ngx_readiness_rate_t *rate,
    ngx_str_t *text);
static ngx_uint_t ngx_readiness_rate_secret(const ngx_str_t *text);
static char *ngx_readiness_limit_param(ngx_conf_t *cf,
    ngx_readiness_limit_t *limit, ngx_str_t *param);
static char *ngx_readiness_limit_names(ngx_conf_t *cf,
    const ngx_readiness_list_t *limits);
static char *ngx_readiness_limit_complain(ngx_conf_t *cf,
    const ngx_readiness_limit_t *limit, const char *message);
static ngx_uint_t ngx_readiness_limit_same(const void *a, const void *b);


/* true when text begins with the literal s; rest is what follows */

#define ngx_readiness_begins(text, s, rest)                                   \
    ((text)->len >= sizeof(s) - 1                                             \
     && ngx_strncmp((text)->data, s, sizeof(s) - 1) == 0                      \
     && ((rest)->len = (text)->len - (sizeof(s) - 1),                         \
         (rest)->data = (text)->data + (sizeof(s) - 1), 1))


char *
ngx_readiness_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_main_conf_t *rmcf = conf;

    ngx_str_t              *value, burst;
    ngx_uint_t              i;
    ngx_readiness_rate_t   *rate, **slot;

    value = cf->args->elts;

    if (!ngx_readiness_name_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                      "\"readiness_rate\": use 1 to 64 of A-Z a-z 0-9 _ . -",
                      &value[1]);
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_readiness_conf_error(cf, "invalid name \"off\" in "
                      "\"readiness_rate\": it means none in "
                      "\"readiness_limit\", use another");
    }

    slot = rmcf->rates.elts;

    for (i = 0; i < rmcf->rates.nelts; i++) {
        if (slot[i]->name.len == value[1].len
            && ngx_strncmp(slot[i]->name.data, value[1].data, value[1].len)
               == 0)
        {
            return ngx_readiness_conf_error(cf, "rate \"%V\" in "
                         "\"readiness_rate\" is declared twice: give one of "
                         "them another name", &value[1]);
        }
    }

    rate = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_rate_t));
    slot = ngx_array_push(&rmcf->rates);

    if (rate == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = rate;

    rate->name = value[1];
    rate->on_error = NGX_CONF_UNSET_UINT;
    rate->empty = NGX_CONF_UNSET_UINT;
    rate->file = cf->conf_file->file.name.data;
    rate->line = cf->conf_file->line;

    burst.len = 0;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_readiness_rate_param(cf, rate, &value[i], &burst)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (rate->nkeys == 0) {
        return ngx_readiness_conf_error(cf, "rate \"%V\" in "
                     "\"readiness_rate\" has no key: add key=EXPR, such as "
                     "key=$readiness_client_key", &rate->name);
    }

    if (rate->rate.count == 0) {
        return ngx_readiness_conf_error(cf, "rate \"%V\" in "
                     "\"readiness_rate\" has no numbers: add rate=Nr/PERIOD, "
                     "such as rate=100r/m", &rate->name);
    }

    if (burst.len && rdy_rate_burst(&burst, &rate->rate) != RDY_OK) {
        return ngx_readiness_conf_error(cf, "invalid burst \"%V\" in "
                     "\"readiness_rate\": use a whole number from 1 to "
                     "1000000000", &burst);
    }

    if (rate->redis_name.len == 0 && rate->on_error != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_error(cf, "\"on_redis_error\" of rate "
                     "\"%V\" in \"readiness_rate\" does nothing without "
                     "\"redis=NAME\": add it", &rate->name);
    }

    ngx_conf_init_uint_value(rate->on_error, NGX_READINESS_REDIS_LOCAL);
    ngx_conf_init_uint_value(rate->empty, NGX_READINESS_EMPTY_SKIP);

    return NGX_CONF_OK;
}


static char *
ngx_readiness_rate_param(ngx_conf_t *cf, ngx_readiness_rate_t *rate,
    ngx_str_t *param, ngx_str_t *burst)
{
    ngx_str_t   rest;
    ngx_uint_t  i;

    static const ngx_str_t  errors[] = {
        ngx_string("local"), ngx_string("allow"), ngx_string("deny")
    };

    static const ngx_str_t  empties[] = {
        ngx_string("skip"), ngx_string("share"), ngx_string("refuse")
    };

    if (ngx_readiness_begins(param, "key=", &rest)) {
        return ngx_readiness_rate_key(cf, rate, &rest);
    }

    if (ngx_readiness_begins(param, "rate=", &rest)) {

        if (rate->rate.count) {
            return ngx_readiness_conf_error(cf, "second \"%V\" in "
                         "\"readiness_rate\": one is enough, declare another "
                         "rate for another number", param);
        }

        if (rdy_rate_parse(&rest, &rate->rate) != RDY_OK) {
            return ngx_readiness_conf_error(cf, "invalid rate \"%V\" in "
                         "\"readiness_rate\": use Nr/PERIOD with a period in "
                         "s, m, h or d, such as rate=100r/m or rate=5r/15m",
                         &rest);
        }

        return NGX_CONF_OK;
    }

    if (ngx_readiness_begins(param, "burst=", &rest)) {

        if (burst->len) {
            return ngx_readiness_conf_error(cf, "second \"%V\" in "
                         "\"readiness_rate\": keep one of them", param);
        }

        if (rest.len == 0) {
            return ngx_readiness_conf_error(cf, "invalid burst \"\" in "
                         "\"readiness_rate\": use a whole number from 1 to "
                         "1000000000");
        }

        *burst = rest;
        return NGX_CONF_OK;
    }

    if (ngx_readiness_begins(param, "redis=", &rest)) {

        if (rate->redis_name.len || !ngx_readiness_name_valid(&rest)) {
            return ngx_readiness_conf_error(cf, "invalid \"%V\" in "
                         "\"readiness_rate\": write redis=NAME once, with "
                         "the name of a \"readiness_redis\" block", param);
        }

        rate->redis_name = rest;
        return NGX_CONF_OK;
    }

    if (ngx_readiness_begins(param, "on_redis_error=", &rest)) {

        i = ngx_readiness_word(&rest, errors, 3);

        if (i == 3 || rate->on_error != NGX_CONF_UNSET_UINT) {
            return ngx_readiness_conf_error(cf, "invalid value \"%V\" in "
                         "\"readiness_rate\": use on_redis_error=local, "
                         "allow or deny, once", param);
        }

        rate->on_error = i;
        return NGX_CONF_OK;
    }

    if (ngx_readiness_begins(param, "empty=", &rest)) {

        i = ngx_readiness_word(&rest, empties, 3);

        if (i == 3 || rate->empty != NGX_CONF_UNSET_UINT) {
            return ngx_readiness_conf_error(cf, "invalid value \"%V\" in "
                         "\"readiness_rate\": use empty=skip, share or "
                         "refuse, once", param);
        }

        rate->empty = i;
        return NGX_CONF_OK;
    }

    if (ngx_readiness_begins(param, "quota=", &rest)
        || ngx_readiness_begins(param, "concurrent=", &rest)
        || ngx_readiness_begins(param, "lease=", &rest))
    {
        return ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_rate\" is "
                     "not supported by this version: use rate=Nr/PERIOD",
                     param);
    }

    return ngx_readiness_conf_error(cf, "unknown parameter \"%V\" in "
                 "\"readiness_rate\": use key=, rate=, burst=, redis=, "
                 "on_redis_error= or empty=", param);
}


static char *
ngx_readiness_rate_key(ngx_conf_t *cf, ngx_readiness_rate_t *rate,
    ngx_str_t *text)
{
    if (text->len == 0) {
        return ngx_readiness_conf_error(cf, "empty \"key=\" in "
                     "\"readiness_rate\": write an expression, such as "
                     "key=$readiness_client_key");
    }

    if (text->len >= 5 && ngx_strncmp(text->data, "body:", 5) == 0) {
        return ngx_readiness_conf_error(cf, "\"key=%V\" in "
                     "\"readiness_rate\" is not supported by this version: "
                     "use an expression of nginx variables", text);
    }

    if (rate->nkeys == NGX_READINESS_MAX_KEYS) {
        return ngx_readiness_conf_error(cf, "too many keys at \"key=%V\" in "
                     "\"readiness_rate\": use %d at most", text,
                     NGX_READINESS_MAX_KEYS);
    }

    if (ngx_readiness_expr(cf, text, &rate->keys[rate->nkeys]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rate->secret[rate->nkeys] = ngx_readiness_rate_secret(text);
    rate->nkeys++;

    return NGX_CONF_OK;
}


/* credentials and cookies are kept as digests: see them in no store */

static ngx_uint_t
ngx_readiness_rate_secret(const ngx_str_t *text)
{
    size_t       i, k;
    ngx_str_t    rest;

    static const ngx_str_t  names[] = {
        ngx_string("http_authorization"), ngx_string("http_cookie"),
        ngx_string("http_proxy_authorization"), ngx_string("cookie_")
    };

    for (i = 0; i < text->len; i++) {

        if (text->data[i] != '$') {
            continue;
        }

        rest.data = text->data + i + 1;
        rest.len = text->len - i - 1;

        if (rest.len && rest.data[0] == '{') {
            rest.data++;
            rest.len--;
        }

        for (k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            if (rest.len >= names[k].len
                && ngx_strncasecmp(rest.data, names[k].data, names[k].len)
                   == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


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
    ngx_uint_t                    i, n;
    ngx_readiness_limit_t        *limit;
    const ngx_readiness_redis_t  *redis;

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
    redis = NULL;

    if (n > NGX_READINESS_MAX_LIMITS) {
        return ngx_readiness_limit_complain(cf, &limit[n - 1],
                                  "is one limit too many for a location, "
                                  "which takes 16: drop some with "
                                  "\"readiness_limit off\"");
    }

    for (i = 0; i < n; i++) {

        if (limit[i].rate->redis == NULL) {
            continue;
        }

        if (redis && redis != limit[i].rate->redis) {
            return ngx_readiness_limit_complain(cf, &limit[i],
                                  "is in another Redis than the location's "
                                  "other limits: give the rates of one "
                                  "location the same \"redis=\"");
        }

        redis = limit[i].rate->redis;
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
