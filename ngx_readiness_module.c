
/*
 * Copyright (C) The readiness authors
 */


/* the map: every directive and variable, and the room it leads to */


#include "ngx_readiness.h"


static ngx_int_t ngx_readiness_init_process(ngx_cycle_t *cycle);
static void ngx_readiness_exit_process(ngx_cycle_t *cycle);


#define ngx_readiness_main(name, flags, handler)                              \
    { ngx_string(name), NGX_HTTP_MAIN_CONF|(flags), handler,                  \
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL }

#define ngx_readiness_server(name, flags, handler)                            \
    { ngx_string(name), NGX_READINESS_HS|(flags), handler,                    \
      NGX_HTTP_SRV_CONF_OFFSET, 0, NULL }

#define ngx_readiness_local(name, flags, handler)                             \
    { ngx_string(name), (flags), handler, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL }


static ngx_command_t  ngx_readiness_commands[] = {

    /* switch and policies */

    ngx_readiness_local("readiness",
                        NGX_READINESS_HSLP|NGX_CONF_TAKE1,
                        ngx_readiness_switch),
    ngx_readiness_main("readiness_policy",
                       NGX_CONF_BLOCK|NGX_CONF_TAKE1,
                       ngx_readiness_policy),
    ngx_readiness_local("readiness_apply",
                        NGX_READINESS_SLP|NGX_CONF_TAKE1,
                        ngx_readiness_apply),
    ngx_readiness_local("readiness_route",
                        NGX_READINESS_SLP|NGX_CONF_TAKE1,
                        ngx_readiness_route),
    ngx_readiness_main("readiness_zone",
                       NGX_CONF_TAKE1,
                       ngx_readiness_zone),

    /* nginx's own is for its own blocks */
    ngx_readiness_local("include",
                        NGX_READINESS_POLICY_CONF|NGX_CONF_TAKE1,
                        ngx_conf_include),

    /* client */

    ngx_readiness_server("readiness_trusted_proxies",
                         NGX_CONF_1MORE,
                         ngx_readiness_trusted_proxies),
    ngx_readiness_server("readiness_client_header",
                         NGX_CONF_TAKE1,
                         ngx_readiness_client_header),
    ngx_readiness_server("readiness_forwarded",
                         NGX_CONF_TAKE12,
                         ngx_readiness_forwarded),
    ngx_readiness_server("readiness_client_prefix",
                         NGX_CONF_TAKE12,
                         ngx_readiness_client_prefix),
    ngx_readiness_server("readiness_request_id",
                         NGX_CONF_TAKE123,
                         ngx_readiness_request_id),
    ngx_readiness_server("readiness_traceparent",
                         NGX_CONF_TAKE1,
                         ngx_readiness_traceparent),

    /* redis */

    ngx_readiness_main("readiness_redis",
                       NGX_CONF_BLOCK|NGX_CONF_TAKE1,
                       ngx_readiness_redis_block),

    /* limits */

    ngx_readiness_main("readiness_rate",
                       NGX_CONF_2MORE,
                       ngx_readiness_rate),
    ngx_readiness_local("readiness_limit",
                        NGX_READINESS_SLP|NGX_CONF_1MORE,
                        ngx_readiness_limit),
    ngx_readiness_local("readiness_limit_headers",
                        NGX_READINESS_HSLP|NGX_CONF_1MORE,
                        ngx_readiness_limit_headers),
    ngx_readiness_local("readiness_limit_status",
                        NGX_READINESS_HSLP|NGX_CONF_TAKE1,
                        ngx_readiness_limit_status),

    ngx_readiness_main("readiness_plans_file",
                       NGX_CONF_TAKE1,
                       ngx_readiness_plans_file),
    ngx_readiness_local("readiness_plan",
                        NGX_READINESS_HSLP|NGX_CONF_TAKE1,
                        ngx_readiness_plan),

    /* identity */

    ngx_readiness_local("readiness_tenant",
                        NGX_READINESS_SLP|NGX_CONF_TAKE123,
                        ngx_readiness_tenant),

    /* response */

    ngx_readiness_local("readiness_headers",
                        NGX_READINESS_HSLP|NGX_CONF_TAKE1,
                        ngx_readiness_headers),
    ngx_readiness_local("readiness_header",
                        NGX_READINESS_HSLP|NGX_CONF_1MORE,
                        ngx_readiness_header),
    ngx_readiness_local("readiness_hide_header",
                        NGX_READINESS_HSLP|NGX_CONF_1MORE,
                        ngx_readiness_hide_header),
    ngx_readiness_local("readiness_cookies",
                        NGX_READINESS_HSLP|NGX_CONF_1MORE,
                        ngx_readiness_cookies),
    ngx_readiness_local("readiness_problem",
                        NGX_READINESS_HSLP|NGX_CONF_TAKE1,
                        ngx_readiness_problem),

    /* observation */

    ngx_readiness_local("readiness_log",
                        NGX_READINESS_HSL|NGX_CONF_1MORE,
                        ngx_readiness_log),
    ngx_readiness_local("readiness_log_field",
                        NGX_READINESS_HSLP|NGX_CONF_TAKE12,
                        ngx_readiness_log_field),

      ngx_null_command
};


static ngx_http_module_t  ngx_readiness_module_ctx = {
    ngx_readiness_add_variables,           /* preconfiguration */
    ngx_readiness_init,                    /* postconfiguration */

    ngx_readiness_create_main_conf,        /* create main configuration */
    ngx_readiness_init_main_conf,          /* init main configuration */

    ngx_readiness_create_srv_conf,         /* create server configuration */
    ngx_readiness_merge_srv_conf,          /* merge server configuration */

    ngx_readiness_create_loc_conf,         /* create location configuration */
    ngx_readiness_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_readiness_module = {
    NGX_MODULE_V1,
    &ngx_readiness_module_ctx,             /* module context */
    ngx_readiness_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_readiness_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_readiness_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_readiness_init_process(ngx_cycle_t *cycle)
{
    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    if (ngx_readiness_file_init_process(cycle) != NGX_OK
        || ngx_readiness_redis_init_process(cycle) != NGX_OK
        || ngx_readiness_limit_init_process(cycle) != NGX_OK
        || ngx_readiness_observe_init_process(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* whoever asks goes before whom it asks, and what is told of it last */

static void
ngx_readiness_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    ngx_readiness_limit_exit_process(cycle);
    ngx_readiness_redis_exit_process(cycle);
    ngx_readiness_observe_exit_process(cycle);
    ngx_readiness_file_exit_process(cycle);
}
