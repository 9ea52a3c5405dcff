
/*
 * Copyright (C) The readiness authors
 */


/*
 * EXPR: text with nginx variables, compiled once, worked out per request.
 *
 * Not nginx's complex values: these look at each variable twice, once for the
 * length and once for the copy, and a regular expression that runs in between,
 * in a map, changes captures.  Here each part is looked at once.
 */


#include "ngx_readiness.h"


static ngx_int_t ngx_readiness_expr_compile(ngx_conf_t *cf,
    ngx_readiness_expr_t *expr);
static ngx_int_t ngx_readiness_expr_next(const ngx_str_t *text, size_t *pos,
    ngx_readiness_expr_part_t *part);
static ngx_int_t ngx_readiness_expr_name(const ngx_str_t *text, size_t *pos,
    ngx_str_t *name);
static void ngx_readiness_expr_part(ngx_http_request_t *r,
    const ngx_readiness_expr_part_t *part, ngx_str_t *value);
static ngx_uint_t ngx_readiness_expr_known(ngx_http_core_main_conf_t *cmcf,
    const ngx_str_t *name);


ngx_int_t
ngx_readiness_expr(ngx_conf_t *cf, ngx_str_t *text, ngx_readiness_expr_t *expr)
{
    ngx_uint_t                   i;
    ngx_str_t                   *value;
    ngx_readiness_main_conf_t   *rmcf;
    ngx_readiness_expr_place_t  *place;

    value = cf->args->elts;

    expr->text = *text;
    expr->parts = NULL;
    expr->nparts = 0;

    if (ngx_strlchr(text->data, text->data + text->len, '$') == NULL) {
        return NGX_OK;
    }

    if (ngx_readiness_expr_compile(cf, expr) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < expr->nparts; i++) {

        if (expr->parts[i].capture) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"%V\" holds a numbered capture, "
                               "which any regular expression in a map "
                               "overwrites: use a named one, (?<name>...)",
                               text, &value[0]);
            break;
        }
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


static ngx_int_t
ngx_readiness_expr_compile(ngx_conf_t *cf, ngx_readiness_expr_t *expr)
{
    size_t                      pos;
    ngx_int_t                   rc;
    ngx_str_t                  *value;
    ngx_readiness_expr_part_t   part, *parts;

    value = cf->args->elts;
    pos = 0;

    parts = ngx_palloc(cf->pool, NGX_READINESS_MAX_PARTS
                                 * sizeof(ngx_readiness_expr_part_t));
    if (parts == NULL) {
        return NGX_ERROR;
    }

    while ((rc = ngx_readiness_expr_next(&expr->text, &pos, &part)) == NGX_OK)
    {
        if (expr->nparts == NGX_READINESS_MAX_PARTS) {
            (void) ngx_readiness_conf_error(cf, "\"%V\" in \"%V\" has more "
                             "than %d parts: make some of it a variable, with "
                             "\"map\"", &expr->text, &value[0],
                             NGX_READINESS_MAX_PARTS);
            return NGX_ERROR;
        }

        if (part.variable && part.capture == 0) {
            part.index = ngx_http_get_variable_index(cf, &part.text);
            if (part.index == NGX_ERROR) {
                return NGX_ERROR;
            }
        }

        parts[expr->nparts++] = part;
    }

    if (rc == NGX_ERROR) {
        (void) ngx_readiness_conf_error(cf, "invalid \"%V\" in \"%V\": write "
                             "a variable as $name or ${name}", &expr->text,
                             &value[0]);
        return NGX_ERROR;
    }

    expr->parts = parts;

    return NGX_OK;
}


/*
 * The part of text at *pos, which is moved behind it.  NGX_DONE: there is no
 * more; NGX_ERROR: a "$" without a name, or "${" without "}".
 */

static ngx_int_t
ngx_readiness_expr_next(const ngx_str_t *text, size_t *pos,
    ngx_readiness_expr_part_t *part)
{
    size_t  i;

    i = *pos;

    if (i == text->len) {
        return NGX_DONE;
    }

    ngx_memzero(part, sizeof(ngx_readiness_expr_part_t));

    if (text->data[i] == '$') {
        part->variable = 1;

        if (ngx_readiness_expr_name(text, pos, &part->text) != NGX_OK) {
            return NGX_ERROR;
        }

        if (part->text.data[0] >= '1' && part->text.data[0] <= '9') {
            part->capture = part->text.data[0] - '0';
        }

        return NGX_OK;
    }

    while (i < text->len && text->data[i] != '$') {
        i++;
    }

    part->text.data = text->data + *pos;
    part->text.len = i - *pos;
    *pos = i;

    return NGX_OK;
}


/* the name of the variable whose "$" is at *pos */

static ngx_int_t
ngx_readiness_expr_name(const ngx_str_t *text, size_t *pos, ngx_str_t *name)
{
    u_char      c;
    size_t      i;
    ngx_uint_t  brace;

    i = *pos + 1;

    brace = (i < text->len && text->data[i] == '{');
    i += brace;

    name->data = text->data + i;

    for (name->len = 0; i < text->len; i++, name->len++) {
        c = text->data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9') || c == '_'))
        {
            break;
        }

        if (name->len == 0 && c >= '1' && c <= '9') {
            /* a capture: one digit, as nginx has it */
            i++;
            name->len = 1;
            break;
        }
    }

    if (name->len == 0) {
        return NGX_ERROR;
    }

    if (brace) {
        if (i == text->len || text->data[i] != '}') {
            return NGX_ERROR;
        }

        i++;
    }

    *pos = i;

    return NGX_OK;
}


/* nginx itself would name the variable, but neither directive nor line */

ngx_int_t
ngx_readiness_expr_check(ngx_conf_t *cf, ngx_readiness_main_conf_t *rmcf)
{
    size_t                       pos;
    ngx_uint_t                   n;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_readiness_expr_part_t    part;
    ngx_readiness_expr_place_t  *place;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    place = rmcf->exprs.elts;

    for (n = 0; n < rmcf->exprs.nelts; n++) {

        pos = 0;

        while (ngx_readiness_expr_next(&place[n].text, &pos, &part) == NGX_OK)
        {
            if (!part.variable || part.capture
                || ngx_readiness_expr_known(cmcf, &part.text))
            {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown variable \"$%V\" in \"%V\": write one that "
                          "nginx has, or make it with \"map\" or \"set\" "
                          "in %s:%ui", &part.text, &place[n].directive,
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
    u_char      *p;
    size_t       len;
    ngx_str_t    values[NGX_READINESS_MAX_PARTS];
    ngx_uint_t   i;

    if (expr->nparts == 0) {
        *value = expr->text;
        return NGX_OK;
    }

    if (expr->nparts == 1) {
        ngx_readiness_expr_part(r, expr->parts, value);
        return NGX_OK;
    }

    len = 0;

    for (i = 0; i < expr->nparts; i++) {
        ngx_readiness_expr_part(r, &expr->parts[i], &values[i]);
        len += values[i].len;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->len = len;
    value->data = p;

    for (i = 0; i < expr->nparts; i++) {
        p = ngx_cpymem(p, values[i].data, values[i].len);
    }

    return NGX_OK;
}


/* a variable that cannot be had is empty, as it is for nginx */

static void
ngx_readiness_expr_part(ngx_http_request_t *r,
    const ngx_readiness_expr_part_t *part, ngx_str_t *value)
{
    int                        *cap;
    ngx_http_variable_value_t  *vv;

    if (!part->variable) {
        *value = part->text;
        return;
    }

    ngx_str_null(value);

    if (part->capture) {
        cap = r->captures;

        if (part->capture * 2 < r->ncaptures && cap[part->capture * 2] >= 0) {
            value->data = r->captures_data + cap[part->capture * 2];
            value->len = cap[part->capture * 2 + 1] - cap[part->capture * 2];
        }

        return;
    }

    vv = ngx_http_get_flushed_variable(r, part->index);

    if (vv && !vv->not_found) {
        value->data = vv->data;
        value->len = vv->len;
    }
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
