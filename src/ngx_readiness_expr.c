
/*
 * Copyright (C) The readiness authors
 */


/* EXPR: text with nginx variables, compiled once, worked out per request */


#include "ngx_readiness.h"


static size_t ngx_readiness_expr_name(const ngx_str_t *text, size_t i,
    ngx_str_t *name);
static ngx_uint_t ngx_readiness_expr_known(ngx_http_core_main_conf_t *cmcf,
    const ngx_str_t *name);


ngx_int_t
ngx_readiness_expr(ngx_conf_t *cf, ngx_str_t *text, ngx_readiness_expr_t *expr)
{
    size_t                             i;
    ngx_str_t                         *value, name;
    ngx_readiness_main_conf_t         *rmcf;
    ngx_readiness_expr_place_t        *place;
    ngx_http_compile_complex_value_t   ccv;

    value = cf->args->elts;

    for (i = 0; (i = ngx_readiness_expr_name(text, i, &name)) != 0; ) {

        if (name.len && name.data[0] >= '1' && name.data[0] <= '9') {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"%V\" holds a numbered capture, "
                               "which any regular expression in a map "
                               "overwrites: use a named one, (?<name>...)",
                               text, &value[0]);
            break;
        }
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    expr->text = *text;

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = &expr->cv;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {

        /* nginx has said what is wrong, but not of what */

        (void) ngx_readiness_conf_error(cf, "invalid \"%V\" in \"%V\": write "
                                        "a variable as $name or ${name}",
                                        text, &value[0]);
        return NGX_ERROR;
    }

    if (expr->cv.lengths == NULL) {
        return NGX_OK;
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_readiness_module);

    place = ngx_array_push(&rmcf->exprs);
    if (place == NULL) {
        return NGX_ERROR;
    }

    place->text = *text;
    place->directive = value[0];
    place->file = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;

    return NGX_OK;
}


/*
 * The name of the next variable in text from i on, which may be empty; returns
 * where it ends, or 0 when there is none.
 */

static size_t
ngx_readiness_expr_name(const ngx_str_t *text, size_t i, ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  brace;

    while (i < text->len && text->data[i] != '$') {
        i++;
    }

    if (i == text->len) {
        return 0;
    }

    i++;

    brace = (i < text->len && text->data[i] == '{');
    i += brace;

    name->data = text->data + i;

    if (!brace && i < text->len && text->data[i] >= '1'
        && text->data[i] <= '9')
    {
        name->len = 1;
        return i + 1;
    }

    for (name->len = 0; i < text->len; i++, name->len++) {
        c = text->data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9') || c == '_'))
        {
            break;
        }
    }

    return i;
}


/* nginx itself would name the variable, but neither directive nor line */

ngx_int_t
ngx_readiness_expr_check(ngx_conf_t *cf, ngx_readiness_main_conf_t *rmcf)
{
    size_t                       i;
    ngx_str_t                    name;
    ngx_uint_t                   n;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_readiness_expr_place_t  *place;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    place = rmcf->exprs.elts;

    for (n = 0; n < rmcf->exprs.nelts; n++) {

        for (i = 0;
             (i = ngx_readiness_expr_name(&place[n].text, i, &name)) != 0;
             /* void */ )
        {
            if (ngx_readiness_expr_known(cmcf, &name)) {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown variable \"$%V\" in \"%V\": write one that "
                          "nginx has, or make it with \"map\" or \"set\" "
                          "in %s:%ui", &name, &place[n].directive,
                          place[n].file, place[n].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_readiness_expr_known(ngx_http_core_main_conf_t *cmcf,
    const ngx_str_t *name)
{
    ngx_uint_t            i;
    ngx_hash_key_t       *key;
    ngx_http_variable_t  *prefix;

    if (name->data[0] >= '1' && name->data[0] <= '9') {
        return 1;
    }

    key = cmcf->variables_keys->keys.elts;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {
        if (key[i].key.len == name->len
            && ngx_strncasecmp(key[i].key.data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    prefix = cmcf->prefix_variables.elts;

    for (i = 0; i < cmcf->prefix_variables.nelts; i++) {
        if (prefix[i].name.len <= name->len
            && ngx_strncasecmp(prefix[i].name.data, name->data,
                               prefix[i].name.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_readiness_expr_value(ngx_http_request_t *r,
    const ngx_readiness_expr_t *expr, ngx_str_t *value)
{
    if (expr->cv.lengths == NULL) {
        *value = expr->cv.value;
        return NGX_OK;
    }

    return ngx_http_complex_value(r, (ngx_http_complex_value_t *) &expr->cv,
                                  value);
}


ngx_int_t
ngx_readiness_expr_true(ngx_http_request_t *r,
    const ngx_readiness_expr_t *expr)
{
    ngx_str_t  value;

    if (ngx_readiness_expr_value(r, expr, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    return !(value.len == 0 || (value.len == 1 && value.data[0] == '0'));
}
