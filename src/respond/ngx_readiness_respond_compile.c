
/*
 * Copyright (C) The readiness authors
 */


/*
 * From a location's merged lines to what its responses need: see
 * ngx_readiness_respond.h.  Who comes first has the name: a line of
 * readiness_header, then the preset, then the headers of our own making.
 */


#include "ngx_readiness.h"
#include "respond/ngx_readiness_presets.h"
#include "respond/ngx_readiness_respond.h"


typedef struct {
    ngx_conf_t                *cf;
    ngx_array_t                rows;      /* ngx_readiness_row_t */
    ngx_array_t                names;     /* ngx_readiness_draft_t */
    ngx_readiness_header_t    *last;      /* line seen */
    ngx_readiness_headers_t   *headers;
} ngx_readiness_compile_t;


/* a name on its way into the table */

typedef struct {
    ngx_str_t                  name;
    ngx_uint_t                 row;
    unsigned                   off:1;
    unsigned                   hide:1;
    unsigned                   cookie:1;
} ngx_readiness_draft_t;


static ngx_int_t ngx_readiness_compile_lines(ngx_readiness_compile_t *c,
    const ngx_readiness_list_t *list);
static ngx_int_t ngx_readiness_compile_preset(ngx_readiness_compile_t *c,
    ngx_uint_t preset);
static ngx_int_t ngx_readiness_compile_own(ngx_readiness_compile_t *c,
    ngx_uint_t limit_headers);
static ngx_int_t ngx_readiness_compile_refusals(ngx_readiness_compile_t *c);
static ngx_int_t ngx_readiness_compile_hidden(ngx_readiness_compile_t *c,
    const ngx_readiness_list_t *list);
static ngx_int_t ngx_readiness_compile_cookies(ngx_readiness_compile_t *c,
    const ngx_readiness_list_t *list);
static void ngx_readiness_compile_rule(ngx_readiness_cookie_rule_t *rule,
    const ngx_readiness_cookie_t *line, ngx_uint_t all);
static ngx_int_t ngx_readiness_compile_sets(ngx_readiness_compile_t *c);
static ngx_int_t ngx_readiness_compile_names(ngx_readiness_compile_t *c);
static ngx_readiness_draft_t *ngx_readiness_draft(ngx_readiness_compile_t *c,
    const ngx_str_t *name);
static ngx_readiness_row_t *ngx_readiness_add_row(ngx_readiness_compile_t *c,
    const ngx_str_t *name, const ngx_str_t *value);
static ngx_uint_t ngx_readiness_find_known(const ngx_str_t *name);
static ngx_int_t ngx_readiness_compare_names(const void *a, const void *b);


const ngx_readiness_known_t  ngx_readiness_known[] = {
    { ngx_null_string, 0, 0 },
    { ngx_string("Server"), offsetof(ngx_http_headers_out_t, server), 0 },
    { ngx_string("Last-Modified"),
      offsetof(ngx_http_headers_out_t, last_modified), 0 },
    { ngx_string("ETag"), offsetof(ngx_http_headers_out_t, etag), 0 },
    { ngx_string("Expires"), offsetof(ngx_http_headers_out_t, expires), 0 },
    { ngx_string("Refresh"), offsetof(ngx_http_headers_out_t, refresh), 0 },
    { ngx_string("WWW-Authenticate"),
      offsetof(ngx_http_headers_out_t, www_authenticate), 0 },
    { ngx_string("Cache-Control"),
      offsetof(ngx_http_headers_out_t, cache_control), 1 },
    { ngx_string("Link"), offsetof(ngx_http_headers_out_t, link), 1 },
    { ngx_null_string, 0, 0 }
};


static const ngx_str_t  ngx_readiness_hsts =
    ngx_string("Strict-Transport-Security");
static const ngx_str_t  ngx_readiness_cache_control =
    ngx_string("Cache-Control");
static const ngx_str_t  ngx_readiness_retry_after = ngx_string("Retry-After");
static const ngx_str_t  ngx_readiness_set_cookie = ngx_string("Set-Cookie");
static const ngx_str_t  ngx_readiness_empty = ngx_null_string;


char *
ngx_readiness_respond_compile(ngx_conf_t *cf, ngx_readiness_loc_conf_t *conf)
{
    ngx_readiness_compile_t  c;

    ngx_conf_init_uint_value(conf->preset, NGX_READINESS_PRESET_BASELINE);
    ngx_conf_init_uint_value(conf->problem, NGX_READINESS_PROBLEM_ON);
    ngx_conf_init_uint_value(conf->limit_headers, NGX_READINESS_LH_STANDARD);
    ngx_conf_init_uint_value(conf->limit_status, NGX_HTTP_TOO_MANY_REQUESTS);

    if (conf->enable == NGX_READINESS_OFF) {
        return NGX_CONF_OK;
    }

    c.cf = cf;
    c.headers = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_headers_t));
    if (c.headers == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_array_init(&c.rows, cf->temp_pool, 32, sizeof(ngx_readiness_row_t))
        != NGX_OK
        || ngx_array_init(&c.names, cf->temp_pool, 128,
                          sizeof(ngx_readiness_draft_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_readiness_compile_lines(&c, &conf->headers) != NGX_OK
        || ngx_readiness_compile_preset(&c, conf->preset) != NGX_OK
        || ngx_readiness_compile_own(&c, conf->limit_headers) != NGX_OK
        || ngx_readiness_compile_refusals(&c) != NGX_OK
        || ngx_readiness_compile_hidden(&c, &conf->hide) != NGX_OK
        || ngx_readiness_compile_cookies(&c, &conf->cookies) != NGX_OK
        || ngx_readiness_compile_sets(&c) != NGX_OK
        || ngx_readiness_compile_names(&c) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    conf->compiled = c.headers;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_readiness_compile_lines(ngx_readiness_compile_t *c,
    const ngx_readiness_list_t *list)
{
    ngx_uint_t               i;
    const ngx_str_t         *value;
    ngx_readiness_row_t     *row;
    ngx_readiness_draft_t   *draft;
    ngx_readiness_header_t  *h;

    if (list->own == NULL) {
        return NGX_OK;
    }

    h = list->own->elts;

    for (i = 0; i < list->own->nelts; i++) {

        c->last = &h[i];

        if (h[i].off) {
            draft = ngx_readiness_draft(c, &h[i].name);
            if (draft == NULL) {
                return NGX_ERROR;
            }

            draft->off = 1;
            continue;
        }

        value = h[i].expr.nparts ? &ngx_readiness_empty : &h[i].expr.text;

        row = ngx_readiness_add_row(c, &h[i].name, value);
        if (row == NULL) {
            return NGX_ERROR;
        }

        row->if_missing = h[i].if_missing;
        row->documents = h[i].documents;

        if (h[i].expr.nparts) {
            row->value = ngx_readiness_row_expr;
            row->expr = &h[i].expr;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_compile_preset(ngx_readiness_compile_t *c, ngx_uint_t preset)
{
    ngx_readiness_row_t           *row;
    ngx_readiness_draft_t         *draft;
    const ngx_readiness_preset_t  *p;

    for (p = ngx_readiness_presets; p->name.len; p++) {

        if (preset == NGX_READINESS_PRESET_OFF
            || !(p->presets & ((ngx_uint_t) 1 << preset)))
        {
            continue;
        }

        draft = ngx_readiness_draft(c, &p->name);
        if (draft == NULL) {
            return NGX_ERROR;
        }

        if (draft->off || draft->row != NGX_READINESS_NO_ROW) {
            continue;
        }

        row = ngx_readiness_add_row(c, &p->name, &p->value);
        if (row == NULL) {
            return NGX_ERROR;
        }

        row->documents = p->documents;
        row->if_missing = p->if_missing;
    }

    return NGX_OK;
}


/* the request ID and the fields of limits */

static ngx_int_t
ngx_readiness_compile_own(ngx_readiness_compile_t *c, ngx_uint_t limit_headers)
{
    ngx_readiness_row_t              *row;
    ngx_readiness_draft_t            *draft;
    ngx_readiness_srv_conf_t         *rscf;
    const ngx_readiness_limit_row_t  *l;

    /* servers are merged before their locations */

    rscf = ngx_http_conf_get_module_srv_conf(c->cf, ngx_readiness_module);

    if (rscf->client.id != NGX_READINESS_ID_OFF) {

        draft = ngx_readiness_draft(c, &rscf->client.id_header);
        if (draft == NULL) {
            return NGX_ERROR;
        }

        if (!draft->off && draft->row == NGX_READINESS_NO_ROW) {
            row = ngx_readiness_add_row(c, &rscf->client.id_header,
                                        &ngx_readiness_empty);
            if (row == NULL) {
                return NGX_ERROR;
            }

            row->value = ngx_readiness_row_request_id;
        }
    }

    for (l = ngx_readiness_limit_rows; l->name.len; l++) {

        if (!(limit_headers & l->form)) {
            continue;
        }

        draft = ngx_readiness_draft(c, &l->name);
        if (draft == NULL) {
            return NGX_ERROR;
        }

        if (draft->off || draft->row != NGX_READINESS_NO_ROW) {
            continue;
        }

        row = ngx_readiness_add_row(c, &l->name, &ngx_readiness_empty);
        if (row == NULL) {
            return NGX_ERROR;
        }

        row->value = l->value;
        c->headers->limited |= ngx_readiness_bit(c->rows.nelts - 1);
    }

    return NGX_OK;
}


/* Retry-After and Cache-Control, which every refusal has */

static ngx_int_t
ngx_readiness_compile_refusals(ngx_readiness_compile_t *c)
{
    ngx_readiness_row_t    *row;
    ngx_readiness_draft_t  *draft;

    draft = ngx_readiness_draft(c, &ngx_readiness_retry_after);
    if (draft == NULL) {
        return NGX_ERROR;
    }

    if (!draft->off && draft->row == NGX_READINESS_NO_ROW) {
        row = ngx_readiness_add_row(c, &ngx_readiness_retry_after,
                                    &ngx_readiness_empty);
        if (row == NULL) {
            return NGX_ERROR;
        }

        row->value = ngx_readiness_row_retry_after;
        c->headers->refused |= ngx_readiness_bit(c->rows.nelts - 1);
    }

    draft = ngx_readiness_draft(c, &ngx_readiness_cache_control);
    if (draft == NULL) {
        return NGX_ERROR;
    }

    if (draft->row != NGX_READINESS_NO_ROW) {
        c->headers->nostore = draft->row;
        return NGX_OK;
    }

    /* in none of the sets: a row for refusals alone */

    row = ngx_readiness_add_row(c, &ngx_readiness_cache_control,
                                &ngx_readiness_empty);
    if (row == NULL) {
        return NGX_ERROR;
    }

    c->headers->nostore = c->rows.nelts - 1;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_compile_hidden(ngx_readiness_compile_t *c,
    const ngx_readiness_list_t *list)
{
    ngx_str_t              *hide;
    ngx_uint_t              i;
    const ngx_str_t        *name;
    ngx_readiness_draft_t  *draft;

    if (list->own == NULL) {
        return NGX_OK;
    }

    hide = list->own->elts;

    for (i = 0; i < list->own->nelts; i++) {

        name = ngx_readiness_is(&hide[i], "owasp") ? ngx_readiness_telltales
                                                     : &hide[i];

        do {
            draft = ngx_readiness_draft(c, name);
            if (draft == NULL) {
                return NGX_ERROR;
            }

            draft->hide = 1;
            c->headers->hidden |= 1 << ngx_readiness_find_known(name);

        } while (name != &hide[i] && (++name)->len);
    }

    c->headers->hidden &= ~(ngx_uint_t) (1 << NGX_READINESS_KNOWN_NONE);

    return NGX_OK;
}


/*
 * The rules in the order they are tried: exact names, regular expressions from
 * the inner layer outwards, the line for all.  What a named line does not speak
 * of it has from the line for all.
 */

static ngx_int_t
ngx_readiness_compile_cookies(ngx_readiness_compile_t *c,
    const ngx_readiness_list_t *list)
{
    ngx_uint_t                    i, n, all, depth, deepest;
    ngx_readiness_draft_t        *draft;
    ngx_readiness_cookie_t       *line;
    ngx_readiness_cookie_rule_t  *rule;

    n = list->own ? list->own->nelts : 0;

    if (n == 0) {
        return NGX_OK;
    }

    draft = ngx_readiness_draft(c, &ngx_readiness_set_cookie);
    rule = ngx_pcalloc(c->cf->pool, n * sizeof(ngx_readiness_cookie_rule_t));

    if (draft == NULL || rule == NULL) {
        return NGX_ERROR;
    }

    draft->cookie = 1;
    c->headers->cookies = rule;
    c->headers->ncookies = n;

    line = list->own->elts;
    all = 0;
    deepest = 0;

    for (i = 0; i < n; i++) {
        deepest = ngx_max(deepest, line[i].depth);

        if (line[i].name.len == 0) {
            all = line[i].flags;
        }
    }

    for (i = 0; i < n; i++) {
        if (line[i].name.len && line[i].regex == NULL) {
            ngx_readiness_compile_rule(rule++, &line[i], all);
        }
    }

    for (depth = 0; depth <= deepest; depth++) {
        for (i = 0; i < n; i++) {
            if (line[i].regex && line[i].depth == depth) {
                ngx_readiness_compile_rule(rule++, &line[i], all);
            }
        }
    }

    if (rule < c->headers->cookies + n) {
        rule->flags = all;
    }

    return NGX_OK;
}


static void
ngx_readiness_compile_rule(ngx_readiness_cookie_rule_t *rule,
    const ngx_readiness_cookie_t *line, ngx_uint_t all)
{
    rule->name = line->name;
    rule->regex = line->regex;
    rule->flags = line->flags | (all & ~line->said);
}


static ngx_int_t
ngx_readiness_compile_sets(ngx_readiness_compile_t *c)
{
    uint64_t                  bit, special;
    ngx_uint_t                i;
    ngx_readiness_row_t      *row;
    ngx_readiness_headers_t  *h;

    h = c->headers;
    row = c->rows.elts;

    h->rows = ngx_palloc(c->cf->pool,
                         c->rows.nelts * sizeof(ngx_readiness_row_t));
    if (h->rows == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < c->rows.nelts; i++) {

        bit = ngx_readiness_bit(i);

        if (row[i].documents) {
            h->documents |= bit;
        }

        if (row[i].https) {
            h->https |= bit;
        }

        if (row[i].if_missing) {
            h->if_missing |= bit;
        }

        special = h->limited | h->refused;

        if (i == h->nostore && row[i].value == NULL
            && row[i].elt.value.len == 0)
        {
            special |= bit;
        }

        if (special & bit) {
            continue;
        }

        if (row[i].value || row[i].documents || row[i].https
            || (row[i].if_missing
                && row[i].known == NGX_READINESS_KNOWN_LAST_MODIFIED))
        {
            h->asked |= bit;

        } else {
            h->always |= bit;
        }
    }

    ngx_memcpy(h->rows, row, c->rows.nelts * sizeof(ngx_readiness_row_t));

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_compile_names(ngx_readiness_compile_t *c)
{
    ngx_uint_t                i, n;
    ngx_readiness_name_t     *name;
    ngx_readiness_draft_t    *draft;
    ngx_readiness_headers_t  *h;

    h = c->headers;
    n = c->names.nelts;
    draft = c->names.elts;

    ngx_sort(draft, n, sizeof(ngx_readiness_draft_t),
             ngx_readiness_compare_names);

    h->names = ngx_pcalloc(c->cf->pool, n * sizeof(ngx_readiness_name_t));
    if (h->names == NULL) {
        return NGX_ERROR;
    }

    name = h->names;

    for (i = 0; i < n; i++) {

        if (draft[i].row == NGX_READINESS_NO_ROW
            && !draft[i].hide && !draft[i].cookie)
        {
            continue;
        }

        name->lowcase.len = draft[i].name.len;
        name->lowcase.data = ngx_pnalloc(c->cf->pool, draft[i].name.len);
        if (name->lowcase.data == NULL) {
            return NGX_ERROR;
        }

        ngx_strlow(name->lowcase.data, draft[i].name.data, draft[i].name.len);

        name->row = draft[i].row;
        name->known = ngx_readiness_find_known(&draft[i].name);
        name->hide = draft[i].hide;
        name->cookie = draft[i].cookie;

        h->initials[name->lowcase.len] |=
                              ngx_readiness_initial(name->lowcase.data[0]);
        h->first[name->lowcase.len + 1]++;

        name++;
    }

    for (i = 1; i <= NGX_READINESS_MAX_NAME; i++) {
        h->first[i] += h->first[i - 1];
    }

    return NGX_OK;
}


/* finds or makes the entry of a name */

static ngx_readiness_draft_t *
ngx_readiness_draft(ngx_readiness_compile_t *c, const ngx_str_t *name)
{
    ngx_uint_t              i;
    ngx_readiness_draft_t  *draft;

    draft = c->names.elts;

    for (i = 0; i < c->names.nelts; i++) {
        if (ngx_readiness_same_name(&draft[i].name, name)) {
            return &draft[i];
        }
    }

    draft = ngx_array_push(&c->names);
    if (draft == NULL) {
        return NULL;
    }

    ngx_memzero(draft, sizeof(ngx_readiness_draft_t));

    draft->name = *name;
    draft->row = NGX_READINESS_NO_ROW;

    return draft;
}


static ngx_readiness_row_t *
ngx_readiness_add_row(ngx_readiness_compile_t *c, const ngx_str_t *name,
    const ngx_str_t *value)
{
    ngx_readiness_row_t    *row;
    ngx_readiness_draft_t  *draft;

    if (c->rows.nelts == NGX_READINESS_MAX_ROWS) {
        ngx_log_error(NGX_LOG_EMERG, c->cf->log, 0,
                      "more than %d response headers with \"readiness_header "
                      "%V\" and what is given to its location besides: drop "
                      "some of them in %s:%ui", NGX_READINESS_MAX_ROWS,
                      &c->last->name, c->last->file, c->last->line);
        return NULL;
    }

    draft = ngx_readiness_draft(c, name);
    row = ngx_array_push(&c->rows);

    if (draft == NULL || row == NULL) {
        return NULL;
    }

    ngx_memzero(row, sizeof(ngx_readiness_row_t));

    draft->row = c->rows.nelts - 1;

    row->elt.key = *name;
    row->elt.value = *value;
    row->elt.lowcase_key = ngx_pnalloc(c->cf->pool, name->len);
    if (row->elt.lowcase_key == NULL) {
        return NULL;
    }

    row->elt.hash = ngx_hash_strlow(row->elt.lowcase_key, name->data,
                                    name->len);

    if (row->elt.hash == 0) {
        /* means: removed */
        row->elt.hash = 1;
    }

    row->known = ngx_readiness_find_known(name);
    row->https = ngx_readiness_same_name(name, &ngx_readiness_hsts);

    return row;
}


static ngx_uint_t
ngx_readiness_find_known(const ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 1; ngx_readiness_known[i].name.len; i++) {
        if (ngx_readiness_same_name(&ngx_readiness_known[i].name, name)) {
            return i;
        }
    }

    return NGX_READINESS_KNOWN_NONE;
}


/* by length; within it the order does not matter */

static ngx_int_t
ngx_readiness_compare_names(const void *a, const void *b)
{
    const ngx_readiness_draft_t *one = a;
    const ngx_readiness_draft_t *two = b;

    return (ngx_int_t) one->name.len - (ngx_int_t) two->name.len;
}
