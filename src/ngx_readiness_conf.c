
/*
 * Copyright (C) The readiness authors
 */


/*
 * Creation and merging of configuration.  From outer to inner a request sees
 * http, the policy its server applies, the server, the policy its location
 * applies, the location.  nginx merges http, server and location; a policy is
 * slipped in as one layer more: a copy of it is merged over the parent, and
 * the block itself over that copy.
 */


#include "ngx_readiness.h"
#include "redis/ngx_readiness_redis.h"


static void ngx_readiness_location_words(ngx_conf_t *cf,
    ngx_readiness_loc_conf_t *conf);
static ngx_readiness_policy_t *ngx_readiness_find_policy(
    ngx_readiness_main_conf_t *rmcf, ngx_str_t *name);
static char *ngx_readiness_merge_layer(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner);
static char *ngx_readiness_merge_policy(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner,
    ngx_readiness_loc_conf_t *layer);


void *
ngx_readiness_create_main_conf(ngx_conf_t *cf)
{
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_main_conf_t));
    if (rmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&rmcf->policies, cf->pool, 4,
                       sizeof(ngx_readiness_policy_t))
        != NGX_OK
        || ngx_array_init(&rmcf->rates, cf->pool, 8, sizeof(void *)) != NGX_OK
        || ngx_array_init(&rmcf->redis, cf->pool, 2, sizeof(void *)) != NGX_OK
        || ngx_array_init(&rmcf->sinks, cf->pool, 2, sizeof(void *)) != NGX_OK
        || ngx_array_init(&rmcf->files, cf->pool, 2, sizeof(void *)) != NGX_OK
        || ngx_array_init(&rmcf->exprs, cf->pool, 16,
                          sizeof(ngx_readiness_expr_place_t))
           != NGX_OK)
    {
        return NULL;
    }

    rmcf->zone_size = NGX_CONF_UNSET;

    return rmcf;
}


char *
ngx_readiness_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_readiness_main_conf_t *rmcf = conf;

    if (ngx_readiness_limit_resolve(cf, rmcf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_readiness_plans_resolve(cf, rmcf);
}


void *
ngx_readiness_create_srv_conf(ngx_conf_t *cf)
{
    ngx_readiness_srv_conf_t  *rscf;

    rscf = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_srv_conf_t));
    if (rscf == NULL) {
        return NULL;
    }

    ngx_readiness_client_conf_init(&rscf->client);

    return rscf;
}


char *
ngx_readiness_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_readiness_srv_conf_t  *prev = parent;
    ngx_readiness_srv_conf_t  *conf = child;

    return ngx_readiness_client_conf_merge(cf, &prev->client, &conf->client);
}


void *
ngx_readiness_create_loc_conf(ngx_conf_t *cf)
{
    ngx_readiness_loc_conf_t  *conf;

    /*
     * set by ngx_pcalloc(): route, words, policy, applied, plan, all the
     * lists
     */

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->enable = NGX_CONF_UNSET_UINT;
    conf->limit_headers = NGX_CONF_UNSET_UINT;
    conf->limit_status = NGX_CONF_UNSET_UINT;
    conf->preset = NGX_CONF_UNSET_UINT;
    conf->problem = NGX_CONF_UNSET_UINT;

    ngx_readiness_location_words(cf, conf);

    return conf;
}


/*
 * A location's configuration is created while its line is still in cf->args:
 * its words are the route's default name.
 */

static void
ngx_readiness_location_words(ngx_conf_t *cf, ngx_readiness_loc_conf_t *conf)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (cf->args == NULL || cf->args->nelts < 2) {
        return;
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[0].data, "location") != 0) {
        return;
    }

    len = 0;

    for (i = 1; i < cf->args->nelts; i++) {
        len += value[i].len + 1;
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return;
    }

    conf->words.data = p;

    for (i = 1; i < cf->args->nelts; i++) {

        if (i > 1) {
            *p++ = ' ';
        }

        p = ngx_cpymem(p, value[i].data, value[i].len);
    }

    conf->words.len = p - conf->words.data;
}


char *
ngx_readiness_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    char                       *rv;
    ngx_readiness_srv_conf_t   *rscf;
    ngx_readiness_loc_conf_t    layer;
    ngx_readiness_loc_conf_t   *prev = parent;
    ngx_readiness_loc_conf_t   *conf = child;
    ngx_readiness_main_conf_t  *rmcf;

    if (conf->words.len == 0) {
        conf->words = prev->words;
    }

    if (conf->policy.len) {
        rv = ngx_readiness_merge_policy(cf, prev, conf, &layer);
        prev = &layer;

    } else {
        rv = NGX_CONF_OK;
        conf->applied = prev->applied;
    }

    if (rv != NGX_CONF_OK
        || ngx_readiness_merge_layer(cf, prev, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_uint_value(conf->enable, NGX_READINESS_OFF);

    if (conf->enable != NGX_READINESS_OFF) {
        rscf = ngx_http_conf_get_module_srv_conf(cf, ngx_readiness_module);
        rscf->active = 1;

        rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_readiness_module);
        rmcf->active = 1;
    }

    return ngx_readiness_respond_compile(cf, conf);
}


/* one layer over the next outer one; nothing gets its default here */

static char *
ngx_readiness_merge_layer(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner)
{
    ngx_conf_merge_uint_value(inner->enable, outer->enable,
                              NGX_CONF_UNSET_UINT);

    if (inner->route.len == 0) {
        inner->route = outer->route;
    }

    if (inner->plan == NULL) {
        inner->plan = outer->plan;
    }

    if (ngx_readiness_identity_merge(cf, outer, inner) != NGX_CONF_OK
        || ngx_readiness_limit_merge(cf, outer, inner) != NGX_CONF_OK
        || ngx_readiness_respond_merge(cf, outer, inner) != NGX_CONF_OK
        || ngx_readiness_observe_merge(cf, outer, inner) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_merge_policy(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner,
    ngx_readiness_loc_conf_t *layer)
{
    ngx_readiness_policy_t     *policy;
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_readiness_module);

    policy = ngx_readiness_find_policy(rmcf, &inner->policy);

    if (policy == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown policy \"%V\" in \"readiness_apply\": declare "
                      "it with \"readiness_policy %V { ... }\" in http in "
                      "%s:%ui", &inner->policy, &inner->policy,
                      inner->policy_file, inner->policy_line);
        return NGX_CONF_ERROR;
    }

    *layer = *policy->conf;
    inner->applied = policy->name;

    return ngx_readiness_merge_layer(cf, outer, layer);
}


static ngx_readiness_policy_t *
ngx_readiness_find_policy(ngx_readiness_main_conf_t *rmcf, ngx_str_t *name)
{
    ngx_uint_t               i;
    ngx_readiness_policy_t  *policy;

    policy = rmcf->policies.elts;

    for (i = 0; i < rmcf->policies.nelts; i++) {

        if (policy[i].name.len == name->len
            && ngx_strncmp(policy[i].name.data, name->data, name->len) == 0)
        {
            return &policy[i];
        }
    }

    return NULL;
}


char *
ngx_readiness_switch(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    /* in the order of NGX_READINESS_OFF, _ON, _MONITOR */

    static const ngx_str_t  words[] = {
        ngx_string("off"), ngx_string("on"), ngx_string("monitor")
    };

    if (rlcf->enable != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;

    i = ngx_readiness_word(&value[1], words, 3);

    if (i == 3) {
        return ngx_readiness_conf_error(cf, "invalid value \"%V\" in "
                                        "\"readiness\": use on, off or "
                                        "monitor", &value[1]);
    }

    rlcf->enable = i;

    return NGX_CONF_OK;
}


char *
ngx_readiness_policy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_main_conf_t *rmcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_conf_t                 saved;
    ngx_http_conf_ctx_t       *ctx, *outer;
    ngx_readiness_policy_t    *policy;
    ngx_readiness_loc_conf_t  *layer;

    value = cf->args->elts;

    if (!ngx_readiness_name_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                     "\"readiness_policy\": use 1 to 64 of A-Z a-z 0-9 _ . -",
                     &value[1]);
    }

    if (ngx_readiness_find_policy(rmcf, &value[1])) {
        return ngx_readiness_conf_error(cf, "policy \"%V\" in "
                                        "\"readiness_policy\" is declared "
                                        "twice: give one of them another "
                                        "name", &value[1]);
    }

    policy = ngx_array_push(&rmcf->policies);
    layer = ngx_readiness_create_loc_conf(cf);
    ctx = ngx_pcalloc(cf->pool, sizeof(ngx_http_conf_ctx_t));

    if (policy == NULL || layer == NULL || ctx == NULL) {
        return NGX_CONF_ERROR;
    }

    policy->name = value[1];
    policy->conf = layer;

    outer = cf->ctx;

    ctx->main_conf = outer->main_conf;
    ctx->srv_conf = outer->srv_conf;
    ctx->loc_conf = ngx_pcalloc(cf->pool, sizeof(void *) * ngx_http_max_module);
    if (ctx->loc_conf == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx->loc_conf[ngx_readiness_module.ctx_index] = layer;

    saved = *cf;
    cf->ctx = ctx;
    cf->cmd_type = NGX_READINESS_POLICY_CONF;

    rv = ngx_conf_parse(cf, NULL);

    *cf = saved;

    return rv;
}


char *
ngx_readiness_apply(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->cmd_type == NGX_READINESS_POLICY_CONF) {
        return ngx_readiness_conf_error(cf, "\"readiness_apply %V\" stands in "
                                        "a policy, and a policy applies no "
                                        "other: apply it in a server or "
                                        "location", &value[1]);
    }

    if (rlcf->policy.len) {
        return ngx_readiness_conf_error(cf, "\"readiness_apply %V\" is the "
                                        "second one in this block, after "
                                        "\"%V\": apply one policy per block",
                                        &value[1], &rlcf->policy);
    }

    if (!ngx_readiness_name_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                                        "\"readiness_apply\": write the name "
                                        "of a \"readiness_policy\"",
                                        &value[1]);
    }

    rlcf->policy = value[1];
    rlcf->policy_file = cf->conf_file->file.name.data;
    rlcf->policy_line = cf->conf_file->line;

    return NGX_CONF_OK;
}


char *
ngx_readiness_route(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (rlcf->route.len) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    if (!ngx_readiness_name_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                      "\"readiness_route\": use 1 to 64 of A-Z a-z 0-9 _ . -",
                      &value[1]);
    }

    rlcf->route = value[1];

    return NGX_CONF_OK;
}


char *
ngx_readiness_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_main_conf_t *rmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (rmcf->zone_size != NGX_CONF_UNSET) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || size < (ssize_t) (16 * ngx_pagesize)) {
        return ngx_readiness_conf_error(cf, "invalid size \"%V\" in "
                                        "\"readiness_zone\": use %uz bytes "
                                        "or more, such as 8m", &value[1],
                                        (size_t) (16 * ngx_pagesize));
    }

    rmcf->zone_size = size;

    return NGX_CONF_OK;
}


char *ngx_cdecl
ngx_readiness_conf_error(ngx_conf_t *cf, const char *fmt, ...)
{
    u_char   *p, text[NGX_MAX_CONF_ERRSTR];
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(text, text + sizeof(text), fmt, args);
    va_end(args);

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%*s",
                       (size_t) (p - text), text);

    return NGX_CONF_ERROR;
}


char *
ngx_readiness_conf_twice(ngx_conf_t *cf, ngx_command_t *cmd)
{
    return ngx_readiness_conf_error(cf, "\"%V\" is given twice in one block: "
                                    "keep one of them", &cmd->name);
}


char *
ngx_readiness_conf_second(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *param)
{
    return ngx_readiness_conf_error(cf, "second \"%V\" in \"%V\": keep one of "
                                    "them", param, &cmd->name);
}


ngx_uint_t
ngx_readiness_word(const ngx_str_t *word, const ngx_str_t *table, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (word->len == table[i].len
            && ngx_strncmp(word->data, table[i].data, word->len) == 0)
        {
            break;
        }
    }

    return i;
}


ngx_uint_t
ngx_readiness_name_valid(const ngx_str_t *name)
{
    u_char  c;
    size_t  i;

    if (name->len == 0 || name->len > 64) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9')
              || c == '_' || c == '.' || c == '-'))
        {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_readiness_list_merge(ngx_conf_t *cf, const ngx_readiness_list_t *outer,
    ngx_readiness_list_t *inner, size_t size,
    ngx_uint_t (*same)(const void *a, const void *b))
{
    u_char       *out, *own, *element;
    ngx_uint_t    i, k, n;
    ngx_array_t  *merged;

    if (inner->off || outer->own == NULL) {
        return NGX_OK;
    }

    if (inner->own == NULL) {
        inner->own = outer->own;
        return NGX_OK;
    }

    merged = ngx_array_create(cf->pool, outer->own->nelts + inner->own->nelts,
                              size);
    if (merged == NULL) {
        return NGX_ERROR;
    }

    out = outer->own->elts;
    own = inner->own->elts;
    n = inner->own->nelts;

    for (i = 0; i < outer->own->nelts; i++) {

        for (k = 0; k < n; k++) {
            if (same && same(out + i * size, own + k * size)) {
                break;
            }
        }

        if (k < n) {
            continue;
        }

        element = ngx_array_push(merged);
        ngx_memcpy(element, out + i * size, size);
    }

    for (k = 0; k < n; k++) {
        element = ngx_array_push(merged);
        ngx_memcpy(element, own + k * size, size);
    }

    inner->own = merged;

    return NGX_OK;
}


void
ngx_readiness_list_replace(const ngx_readiness_list_t *outer,
    ngx_readiness_list_t *inner)
{
    if (inner->own == NULL && !inner->off) {
        inner->own = outer->own;
    }
}


void *
ngx_readiness_list_push(ngx_conf_t *cf, ngx_readiness_list_t *list,
    size_t size)
{
    void  *element;

    if (list->own == NULL) {
        list->own = ngx_array_create(cf->pool, 4, size);
        if (list->own == NULL) {
            return NULL;
        }
    }

    element = ngx_array_push(list->own);
    if (element == NULL) {
        return NULL;
    }

    ngx_memzero(element, size);

    return element;
}


char *
ngx_readiness_list_off(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_readiness_list_t *list)
{
    ngx_str_t  *value;

    if (cf->args->nelts > 2) {
        value = cf->args->elts;

        return ngx_readiness_conf_error(cf, "\"%V\" after \"off\" in \"%V\": "
                                        "off goes with no other word, write "
                                        "it in a line of its own", &value[2],
                                        &cmd->name);
    }

    if (list->off) {
        return ngx_readiness_conf_error(cf, "\"%V off\" is given twice in "
                                        "one block: keep one of them",
                                        &cmd->name);
    }

    list->off = 1;

    return NGX_CONF_OK;
}
