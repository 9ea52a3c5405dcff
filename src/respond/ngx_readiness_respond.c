
/*
 * Copyright (C) The readiness authors
 */


/*
 * The headers of a response.  First it is settled which rows this response
 * gets, then one pass over the headers that are there removes what those
 * replace and what is hidden, then the rows are pushed.
 *
 * nginx runs the header filters twice for one request where a later filter
 * turns the response into an error (416): the second run meets the rows of the
 * first one as headers like any others.
 */


#include "ngx_readiness.h"
#include "respond/ngx_readiness_respond.h"
#include "respond/rdy_media.h"


typedef struct {
    uint64_t     send;       /* rows to push */
    uint64_t     replace;    /* rows whose copies go */
    uint64_t     if_missing; /* rows that give way to a copy */
    uint64_t     valued;     /* rows whose value is in values */
    ngx_uint_t   gone;       /* 1 << ngx_readiness_known_e */
    ngx_str_t    values[NGX_READINESS_MAX_ROWS];
} ngx_readiness_answer_t;


static ngx_int_t ngx_readiness_choose(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_headers_t *h,
    ngx_readiness_answer_t *a);
static ngx_int_t ngx_readiness_scan(ngx_http_request_t *r,
    const ngx_readiness_headers_t *h, ngx_readiness_answer_t *a);
static const ngx_readiness_name_t *ngx_readiness_find_name(
    const ngx_readiness_headers_t *h, const ngx_str_t *key);
static ngx_int_t ngx_readiness_copy(ngx_http_request_t *r,
    const ngx_readiness_headers_t *h, ngx_readiness_answer_t *a,
    const ngx_readiness_name_t *name, ngx_table_elt_t *header);
static ngx_int_t ngx_readiness_set_cookie(ngx_http_request_t *r,
    const ngx_readiness_headers_t *h, ngx_table_elt_t *header);
static ngx_uint_t ngx_readiness_cookie_rule(const ngx_readiness_headers_t *h,
    ngx_str_t *name);
static ngx_int_t ngx_readiness_forget(ngx_http_request_t *r,
    ngx_uint_t gone);
static ngx_int_t ngx_readiness_push(ngx_http_request_t *r,
    const ngx_readiness_headers_t *h, const ngx_readiness_answer_t *a);
static ngx_int_t ngx_readiness_point(ngx_http_request_t *r, ngx_uint_t known,
    ngx_table_elt_t *header);


ngx_int_t
ngx_readiness_respond(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    ngx_readiness_answer_t          a;
    const ngx_readiness_headers_t  *h;

    h = conf->compiled;

    if (h == NULL) {
        return NGX_OK;
    }

    if (ngx_readiness_choose(r, ctx, h, &a) != NGX_OK
        || ngx_readiness_scan(r, h, &a) != NGX_OK
        || ngx_readiness_forget(r, a.gone) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_readiness_push(r, h, &a);
}


/* which rows this response gets, unless a copy keeps one out */

static ngx_int_t
ngx_readiness_choose(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_headers_t *h, ngx_readiness_answer_t *a)
{
    uint64_t                    rows, bit;
    ngx_uint_t                  i;
    const ngx_readiness_row_t  *row;

    a->send = h->always;
    a->if_missing = h->if_missing;
    a->valued = 0;
    a->gone = h->hidden;

    rows = h->asked;

    if (ctx->nlimits) {
        rows |= h->limited;
    }

    if (ctx->denied && ctx->enforced) {

        if (r->headers_out.status == NGX_HTTP_TOO_MANY_REQUESTS
            || r->headers_out.status == NGX_HTTP_SERVICE_UNAVAILABLE)
        {
            rows |= h->refused;
        }

        bit = ngx_readiness_bit(h->nostore);

        rows &= ~bit;
        a->send |= bit;
        a->if_missing &= ~bit;
        a->valued |= bit;
        ngx_str_set(&a->values[h->nostore], "no-store");
    }

    a->replace = 0;

    if (!ctx->client.https) {
        /* a copy would be a promise over a channel that anyone can change */
        a->replace = h->https;
        rows &= ~h->https;
    }

    if ((rows & h->documents)
        && !rdy_media_document(&r->headers_out.content_type))
    {
        rows &= ~h->documents;
    }

    for ( /* void */ ; rows; rows &= rows - 1) {
        i = __builtin_ctzll(rows);
        bit = ngx_readiness_bit(i);
        row = &h->rows[i];

        if (row->known == NGX_READINESS_KNOWN_LAST_MODIFIED
            && row->if_missing && r->headers_out.last_modified_time != -1)
        {
            continue;
        }

        if (row->value) {

            if (row->value(r, ctx, row, &a->values[i]) != NGX_OK) {
                return NGX_ERROR;
            }

            if (a->values[i].len == 0) {
                continue;
            }

            a->valued |= bit;
        }

        a->send |= bit;
    }

    a->replace |= a->send;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_scan(ngx_http_request_t *r, const ngx_readiness_headers_t *h,
    ngx_readiness_answer_t *a)
{
    ngx_uint_t                   i;
    ngx_list_part_t             *part;
    ngx_table_elt_t             *header;
    const ngx_readiness_name_t  *name;

    part = &r->headers_out.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].hash == 0
            || header[i].key.len - 1 >= NGX_READINESS_MAX_NAME - 1
            || !(h->initials[header[i].key.len]
                 & ngx_readiness_initial(header[i].key.data[0])))
        {
            continue;
        }

        name = ngx_readiness_find_name(h, &header[i].key);

        if (name && ngx_readiness_copy(r, h, a, name, &header[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static const ngx_readiness_name_t *
ngx_readiness_find_name(const ngx_readiness_headers_t *h, const ngx_str_t *key)
{
    size_t                       k;
    const ngx_readiness_name_t  *name, *last;

    name = &h->names[h->first[key->len]];
    last = &h->names[h->first[key->len + 1]];

    for ( /* void */ ; name < last; name++) {

        for (k = 0; k < key->len; k++) {
            if (ngx_tolower(key->data[k]) != name->lowcase.data[k]) {
                break;
            }
        }

        if (k == key->len) {
            return name;
        }
    }

    return NULL;
}


/* what becomes of a header that is there */

static ngx_int_t
ngx_readiness_copy(ngx_http_request_t *r, const ngx_readiness_headers_t *h,
    ngx_readiness_answer_t *a, const ngx_readiness_name_t *name,
    ngx_table_elt_t *header)
{
    uint64_t  bit;

    if (name->cookie) {
        return ngx_readiness_set_cookie(r, h, header);
    }

    if (!name->hide) {
        bit = ngx_readiness_bit(name->row);

        if (!(a->replace & bit)) {
            return NGX_OK;
        }

        if ((a->send & a->if_missing & bit) && header->value.len) {
            a->send &= ~bit;
            a->replace &= ~bit;
            return NGX_OK;
        }
    }

    header->hash = 0;
    a->gone |= (ngx_uint_t) 1 << name->known;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_set_cookie(ngx_http_request_t *r,
    const ngx_readiness_headers_t *h, ngx_table_elt_t *header)
{
    u_char        *p;
    ngx_uint_t     flags;
    rdy_cookie_t   cookie;

    if (header->value.len == 0) {
        return NGX_OK;
    }

    rdy_cookie_scan(&header->value, &cookie);

    flags = rdy_cookie_missing(&cookie,
                               ngx_readiness_cookie_rule(h, &cookie.name));
    if (flags == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, header->value.len + RDY_COOKIE_WRITE_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    header->value.len = rdy_cookie_write(p, &header->value, flags) - p;
    header->value.data = p;

    return NGX_OK;
}


/* the flags that a cookie of this name is to have */

static ngx_uint_t
ngx_readiness_cookie_rule(const ngx_readiness_headers_t *h, ngx_str_t *name)
{
    ngx_uint_t                          i;
    const ngx_readiness_cookie_rule_t  *rule;

    for (i = 0; i < h->ncookies; i++) {
        rule = &h->cookies[i];

        if (rule->regex) {
            if (ngx_regex_exec(rule->regex, name, NULL, 0) >= 0) {
                return rule->flags;
            }

        } else if (rule->name.len == 0
                   || (rule->name.len == name->len
                       && ngx_memcmp(rule->name.data, name->data, name->len)
                          == 0))
        {
            return rule->flags;
        }
    }

    return 0;
}


/*
 * nginx's own pointers to headers that are gone: Last-Modified and Server it
 * would write itself without one.
 */

static ngx_int_t
ngx_readiness_forget(ngx_http_request_t *r, ngx_uint_t gone)
{
    ngx_uint_t        known;
    ngx_table_elt_t  *header;

    gone &= ~((ngx_uint_t) 1 << NGX_READINESS_KNOWN_NONE);

    for ( /* void */ ; gone; gone &= gone - 1) {
        known = __builtin_ctzl(gone);
        header = NULL;

        if (known == NGX_READINESS_KNOWN_SERVER) {

            /* a removed one, so that there is something to point to */

            header = ngx_list_push(&r->headers_out.headers);
            if (header == NULL) {
                return NGX_ERROR;
            }

            ngx_memzero(header, sizeof(ngx_table_elt_t));
            ngx_str_set(&header->key, "Server");
        }

        if (ngx_readiness_point(r, known, header) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_push(ngx_http_request_t *r, const ngx_readiness_headers_t *h,
    const ngx_readiness_answer_t *a)
{
    uint64_t                    rows;
    ngx_uint_t                  i;
    ngx_table_elt_t            *header;
    const ngx_readiness_row_t  *row;

    for (rows = a->send; rows; rows &= rows - 1) {
        i = __builtin_ctzll(rows);
        row = &h->rows[i];

        header = ngx_list_push(&r->headers_out.headers);
        if (header == NULL) {
            return NGX_ERROR;
        }

        *header = row->elt;

        if (a->valued & ngx_readiness_bit(i)) {
            header->value = a->values[i];
        }

        if (row->known
            && ngx_readiness_point(r, row->known, header) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_point(ngx_http_request_t *r, ngx_uint_t known,
    ngx_table_elt_t *header)
{
    u_char                       *field;
    const ngx_readiness_known_t  *k;

    k = &ngx_readiness_known[known];
    field = (u_char *) &r->headers_out + k->offset;

    if (known == NGX_READINESS_KNOWN_LAST_MODIFIED) {
        r->headers_out.last_modified_time = -1;
    }

    if (k->multi) {
        return ngx_readiness_set_multi(r, field, header);
    }

    *(ngx_table_elt_t **) field = header;

    return NGX_OK;
}
