
/*
 * Copyright (C) The readiness authors
 */


/* readiness_rate */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"


static char *ngx_readiness_rate_param(ngx_conf_t *cf,
    ngx_readiness_rate_t *rate, ngx_str_t *param, ngx_str_t *burst);
static char *ngx_readiness_rate_numbers(ngx_conf_t *cf,
    ngx_readiness_rate_t *rate, ngx_str_t *param, ngx_str_t *text);
static char *ngx_readiness_rate_burst(ngx_conf_t *cf,
    ngx_readiness_rate_t *rate, ngx_str_t *burst);
static char *ngx_readiness_rate_lease(ngx_conf_t *cf,
    ngx_readiness_rate_t *rate);
static char *ngx_readiness_rate_key(ngx_conf_t *cf, ngx_readiness_rate_t *rate,
    ngx_str_t *text);
static ngx_uint_t ngx_readiness_rate_secret(const ngx_str_t *text);


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
    rate->lease = NGX_CONF_UNSET_UINT;
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
                     "\"readiness_rate\" has no numbers: add "
                     "rate=Nr/PERIOD, quota=N/PERIOD or concurrent=N, such as "
                     "rate=100r/m", &rate->name);
    }

    if (burst.len && ngx_readiness_rate_burst(cf, rate, &burst)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_readiness_rate_lease(cf, rate) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (rate->redis_name.len == 0 && rate->on_error != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_error(cf, "\"on_redis_error\" of rate "
                     "\"%V\" in \"readiness_rate\" does nothing without "
                     "\"redis=NAME\": add it", &rate->name);
    }

    ngx_conf_init_uint_value(rate->lease, 0);
    ngx_conf_init_uint_value(rate->on_error, NGX_READINESS_REDIS_LOCAL);
    ngx_conf_init_uint_value(rate->empty, NGX_READINESS_EMPTY_SKIP);

    return NGX_CONF_OK;
}


static char *
ngx_readiness_rate_param(ngx_conf_t *cf, ngx_readiness_rate_t *rate,
    ngx_str_t *param, ngx_str_t *burst)
{
    ngx_int_t   n;
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

    if (ngx_readiness_begins(param, "rate=", &rest)
        || ngx_readiness_begins(param, "quota=", &rest)
        || ngx_readiness_begins(param, "concurrent=", &rest))
    {
        return ngx_readiness_rate_numbers(cf, rate, param, &rest);
    }

    if (ngx_readiness_begins(param, "lease=", &rest)) {

        n = ngx_atoi(rest.data, rest.len);

        if (n < 1 || n > RDY_LEASE_MAX || rate->lease != NGX_CONF_UNSET_UINT) {
            return ngx_readiness_conf_error(cf, "invalid \"%V\" in "
                         "\"readiness_rate\": write lease=N once, with a "
                         "whole number from 1 to %d", param, RDY_LEASE_MAX);
        }

        rate->lease = n;
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

    return ngx_readiness_conf_error(cf, "unknown parameter \"%V\" in "
                 "\"readiness_rate\": use key=, rate=, burst=, quota=, "
                 "concurrent=, redis=, on_redis_error=, lease= or empty=",
                 param);
}


/* what is counted, and how much of it; text is behind the = of param */

static char *
ngx_readiness_rate_numbers(ngx_conf_t *cf, ngx_readiness_rate_t *rate,
    ngx_str_t *param, ngx_str_t *text)
{
    if (rate->rate.count) {
        return ngx_readiness_conf_error(cf, "second \"%V\" in "
                     "\"readiness_rate\": a rate has one of rate=, quota= "
                     "and concurrent=, declare another rate for another "
                     "number", param);
    }

    switch (param->data[0]) {

    case 'r':

        if (rdy_rate_parse(text, &rate->rate) == RDY_OK) {
            return NGX_CONF_OK;
        }

        return ngx_readiness_conf_error(cf, "invalid rate \"%V\" in "
                     "\"readiness_rate\": use Nr/PERIOD with a period in "
                     "s, m, h or d, such as rate=100r/m or rate=5r/15m", text);

    case 'q':

        if (rdy_rate_quota(text, &rate->rate) == RDY_OK) {
            return NGX_CONF_OK;
        }

        return ngx_readiness_conf_error(cf, "invalid quota \"%V\" in "
                     "\"readiness_rate\": use N/PERIOD with a period in "
                     "s, m, h or d, such as quota=1000/1d", text);

    default:

        if (rdy_rate_concurrent(text, &rate->rate) == RDY_OK) {
            return NGX_CONF_OK;
        }

        return ngx_readiness_conf_error(cf, "invalid \"concurrent=%V\" in "
                     "\"readiness_rate\": use a whole number from 1 to "
                     "1000000000", text);
    }
}


static char *
ngx_readiness_rate_burst(ngx_conf_t *cf, ngx_readiness_rate_t *rate,
    ngx_str_t *burst)
{
    if (rate->rate.kind != RDY_RATE_BUCKET) {
        return ngx_readiness_conf_error(cf, "\"burst=%V\" of rate \"%V\" in "
                     "\"readiness_rate\" needs \"rate=\": delete it", burst,
                     &rate->name);
    }

    if (rdy_rate_burst(burst, &rate->rate) != RDY_OK) {
        return ngx_readiness_conf_error(cf, "invalid burst \"%V\" in "
                     "\"readiness_rate\": use a whole number from 1 to "
                     "1000000000", burst);
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_rate_lease(ngx_conf_t *cf, ngx_readiness_rate_t *rate)
{
    if (rate->lease == NGX_CONF_UNSET_UINT) {
        return NGX_CONF_OK;
    }

    if (rate->rate.kind != RDY_RATE_BUCKET || rate->redis_name.len == 0) {
        return ngx_readiness_conf_error(cf, "\"lease=%ui\" of rate \"%V\" in "
                     "\"readiness_rate\" needs \"rate=\" and \"redis=\": "
                     "delete it", rate->lease, &rate->name);
    }

    if (rate->lease > rate->rate.burst / 2) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                     "\"lease=%ui\" of rate \"%V\" in \"readiness_rate\" is "
                     "more than half of its burst, %uL: a few nginx could "
                     "hold all of it, use a smaller one", rate->lease,
                     &rate->name, rate->rate.burst);
    }

    return NGX_CONF_OK;
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
