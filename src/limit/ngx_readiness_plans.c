
/*
 * Copyright (C) The readiness authors
 */


/*
 * Numbers by plan and tenant: readiness_plans_file and readiness_plan.  The
 * table is another one after the file has changed, so nothing that points
 * into it is kept in a request: the plan is kept by name.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"
#include "limit/rdy_plans.h"


struct ngx_readiness_plans_s {
    ngx_str_t                    name;       /* empty: no plans file */
    u_char                      *file;       /* where it is written */
    ngx_uint_t                   line;
    ngx_readiness_file_t        *watched;    /* data: rdy_plans_t */
    rdy_plans_rate_t            *rates;      /* the declared ones */
    ngx_uint_t                   nrates;
    ngx_array_t                  places;     /* ngx_readiness_expr_place_t,
                                                of readiness_plan */
};


static ngx_readiness_plans_t *ngx_readiness_plans_conf(ngx_conf_t *cf);
static void *ngx_readiness_plans_load(void *owner, ngx_pool_t *pool,
    const ngx_str_t *content, u_char *err, size_t errlen);
static void *ngx_readiness_plans_alloc(void *pool, size_t size);
static ngx_readiness_plans_t *ngx_readiness_plans_of(ngx_http_request_t *r);
static ngx_int_t ngx_readiness_plan_find(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const rdy_plans_t *table,
    const ngx_str_t *tenant, ngx_str_t *name);


char *
ngx_readiness_plans_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t              *value;
    ngx_readiness_plans_t  *plans;

    plans = ngx_readiness_plans_conf(cf);
    if (plans == NULL) {
        return NGX_CONF_ERROR;
    }

    if (plans->name.len) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_readiness_conf_error(cf, "empty path in "
                                        "\"readiness_plans_file\": write the "
                                        "path of a file");
    }

    plans->name = value[1];
    plans->file = cf->conf_file->file.name.data;
    plans->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


char *
ngx_readiness_plan(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t                   *value;
    ngx_readiness_plans_t       *plans;
    ngx_readiness_expr_place_t  *place;

    if (rlcf->plan) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;

    rlcf->plan = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_expr_t));

    if (rlcf->plan == NULL
        || ngx_readiness_expr(cf, &value[1], rlcf->plan) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (rlcf->plan->nparts == 0 && value[1].len
        && (!ngx_readiness_name_valid(&value[1])
            || ngx_strcmp(value[1].data, "off") == 0))
    {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                                        "\"readiness_plan\": write the name "
                                        "of a plan, a variable, or \"\" for "
                                        "the tenant's plan", &value[1]);
    }

    plans = ngx_readiness_plans_conf(cf);
    if (plans == NULL) {
        return NGX_CONF_ERROR;
    }

    place = ngx_array_push(&plans->places);
    if (place == NULL) {
        return NGX_CONF_ERROR;
    }

    place->text = value[1];
    place->directive = value[0];
    place->file = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


static ngx_readiness_plans_t *
ngx_readiness_plans_conf(ngx_conf_t *cf)
{
    ngx_readiness_plans_t      *plans;
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_readiness_module);

    if (rmcf->plans) {
        return rmcf->plans;
    }

    plans = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_plans_t));

    if (plans == NULL
        || ngx_array_init(&plans->places, cf->pool, 4,
                          sizeof(ngx_readiness_expr_place_t))
           != NGX_OK)
    {
        return NULL;
    }

    rmcf->plans = plans;

    return plans;
}


char *
ngx_readiness_plans_resolve(ngx_conf_t *cf, ngx_readiness_main_conf_t *rmcf)
{
    ngx_uint_t                   i;
    ngx_conf_file_t              there, *here;
    ngx_readiness_rate_t       **rate;
    ngx_readiness_plans_t       *plans;
    ngx_readiness_expr_place_t  *place;

    plans = rmcf->plans;

    if (plans == NULL) {
        return NGX_CONF_OK;
    }

    place = plans->places.elts;

    if (plans->name.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"readiness_plan\" does nothing without "
                      "\"readiness_plans_file FILE\" in http: add it in "
                      "%s:%ui", place[0].file, place[0].line);
        return NGX_CONF_ERROR;
    }

    rate = rmcf->rates.elts;

    plans->nrates = rmcf->rates.nelts;
    plans->rates = ngx_palloc(cf->pool,
                              (plans->nrates + 1) * sizeof(rdy_plans_rate_t));
    if (plans->rates == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < plans->nrates; i++) {
        rate[i]->number = i;
        plans->rates[i].name = rate[i]->name;
        plans->rates[i].kind = rate[i]->rate.kind;
    }

    /* a mistake in the file is told with the line that names the file */

    here = cf->conf_file;
    there = *here;
    there.file.name.data = plans->file;
    there.file.name.len = ngx_strlen(plans->file);
    there.line = plans->line;
    cf->conf_file = &there;

    plans->watched = ngx_readiness_file_add(cf, "readiness_plans_file",
                                            &plans->name,
                                            ngx_readiness_plans_load, NULL,
                                            plans);
    cf->conf_file = here;

    if (plans->watched == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < plans->places.nelts; i++) {

        if (place[i].text.len == 0
            || ngx_strlchr(place[i].text.data,
                           place[i].text.data + place[i].text.len, '$')
            || rdy_plans_plan(plans->watched->data, &place[i].text))
        {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "plan \"%V\" in \"readiness_plan\" is not in \"%V\": "
                      "until it is, the declared numbers count in %s:%ui",
                      &place[i].text, &plans->watched->name, place[i].file,
                      place[i].line);
    }

    return NGX_CONF_OK;
}


static void *
ngx_readiness_plans_load(void *owner, ngx_pool_t *pool,
    const ngx_str_t *content, u_char *err, size_t errlen)
{
    ngx_readiness_plans_t *plans = owner;

    u_char                key[16];
    rdy_plans_t          *table;
    rdy_members_error_t   error;

    if (ngx_readiness_random(key, sizeof(key)) != NGX_OK) {
        (void) ngx_snprintf(err, errlen, "no random numbers");
        return NULL;
    }

    table = rdy_plans_read(content, plans->rates, plans->nrates, key,
                           ngx_readiness_plans_alloc, pool, &error);

    if (table == NULL) {
        (void) ngx_snprintf(err, errlen, "line %uz, column %uz: %s",
                            error.line, error.column, error.text);
    }

    return table;
}


static void *
ngx_readiness_plans_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


ngx_int_t
ngx_readiness_plan_numbers(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_rate_t *rate, rdy_rate_t *numbers)
{
    ngx_int_t               rc;
    const rdy_plan_t       *plan, *tenant;
    const rdy_plans_t      *table;
    ngx_readiness_plans_t  *plans;

    plans = ngx_readiness_plans_of(r);

    if (plans == NULL) {
        *numbers = rate->rate;
        return NGX_OK;
    }

    table = plans->watched->data;

    if (!ctx->planned) {

        if (ngx_readiness_plan_find(r, ctx, table, &ctx->tenant, &ctx->plan)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ctx->planned = 1;
    }

    /* numbers of its own go before those of the plan */

    tenant = rdy_plans_tenant(table, &ctx->tenant);

    if (tenant) {
        rc = rdy_plans_numbers(table, tenant, rate->number, numbers);

        if (rc != RDY_ERROR) {
            return rc;
        }
    }

    plan = rdy_plans_plan(table, &ctx->plan);

    if (plan) {
        rc = rdy_plans_numbers(table, plan, rate->number, numbers);

        if (rc != RDY_ERROR) {
            return rc;
        }
    }

    *numbers = rate->rate;

    return NGX_OK;
}


ngx_int_t
ngx_readiness_plan_name(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_str_t *tenant, ngx_str_t *name)
{
    ngx_readiness_plans_t           *plans;
    const ngx_readiness_loc_conf_t  *conf;

    plans = ngx_readiness_plans_of(r);
    conf = ngx_http_get_module_loc_conf(r->main, ngx_readiness_module);

    if (plans == NULL || ctx->planned || ctx->planning
        || conf->enable == NGX_READINESS_OFF)
    {
        *name = ctx->plan;
        return NGX_OK;
    }

    return ngx_readiness_plan_find(r->main, ctx, plans->watched->data, tenant,
                                   name);
}


static ngx_readiness_plans_t *
ngx_readiness_plans_of(ngx_http_request_t *r)
{
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_readiness_module);

    return rmcf->plans;
}


/* name is a copy: the table may go while the request waits */

static ngx_int_t
ngx_readiness_plan_find(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const rdy_plans_t *table, const ngx_str_t *tenant, ngx_str_t *name)
{
    ngx_int_t                        rc;
    ngx_str_t                        value;
    const rdy_plan_t                *plan;
    const ngx_readiness_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_readiness_module);

    ngx_str_null(name);
    value.len = 0;

    if (conf->plan) {
        ctx->planning = 1;
        rc = ngx_readiness_expr_value(r, conf->plan, &value);
        ctx->planning = 0;

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (value.len) {
        plan = rdy_plans_plan(table, &value);

        if (plan == NULL) {
            /* it may be of the client's making, with any byte in it */

            if (!ngx_readiness_name_valid(&value)) {
                ngx_str_set(&value, "(no name)");
            }

            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "plan \"%V\" of \"readiness_plan\" is unknown: the "
                          "declared numbers count", &value);
        }

    } else {
        plan = rdy_plans_of(table, rdy_plans_tenant(table, tenant));
    }

    if (plan == NULL) {
        return NGX_OK;
    }

    value = rdy_plans_name(table, plan);

    name->data = ngx_pstrdup(r->pool, &value);
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    name->len = value.len;

    return NGX_OK;
}
