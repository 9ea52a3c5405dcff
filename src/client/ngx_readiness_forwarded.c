
/*
 * Copyright (C) The readiness authors
 */


/*
 * The request's header list, as it came and as the application is to see it.
 *
 * proxy, fastcgi, uwsgi, scgi and grpc copy every element of the list, hash
 * or not, and headers_in points at elements: so an element can neither be
 * marked as removed nor moved.  The list is put together anew from the runs of
 * elements that stay, each a part of its own, and a part of our own elements.
 */


#include "ngx_readiness.h"
#include "client/ngx_readiness_client.h"
#include "client/rdy_names.h"


typedef struct {
    ngx_str_t                    key;
    ngx_str_t                    lowcase;
    ngx_uint_t                   hash;
} ngx_readiness_name_t;


#define NGX_READINESS_OUT_XFF        0
#define NGX_READINESS_OUT_REAL_IP    1
#define NGX_READINESS_OUT_PROTO      2
#define NGX_READINESS_OUT_HOST       3
#define NGX_READINESS_OUT_PORT       4
#define NGX_READINESS_OUT_FORWARDED  5
#define NGX_READINESS_OUT_PARENT     6
#define NGX_READINESS_OUT_STATE      7
#define NGX_READINESS_OUT_NAMES      8


#define ngx_readiness_out_name(key, lowcase)                                  \
    { ngx_string(key), ngx_string(lowcase), 0 }


static ngx_uint_t ngx_readiness_inbound_header(
    const ngx_readiness_client_conf_t *conf, ngx_table_elt_t *h,
    ngx_readiness_inbound_t *in);
static ngx_uint_t ngx_readiness_inbound_forwarding(
    const ngx_readiness_client_conf_t *conf, ngx_table_elt_t *h,
    ngx_readiness_inbound_t *in);
static ngx_int_t ngx_readiness_inbound_keep(ngx_http_request_t *r,
    ngx_readiness_inbound_t *in, ngx_table_elt_t *from, ngx_uint_t n);
static void ngx_readiness_outbound_client(
    const ngx_readiness_client_t *client, ngx_list_part_t *part, u_char *p);
static void ngx_readiness_outbound_push(ngx_list_part_t *part,
    const ngx_readiness_name_t *name, const ngx_str_t *value);
static void ngx_readiness_outbound_link(ngx_http_request_t *r,
    const ngx_readiness_inbound_t *in, ngx_list_part_t *own,
    ngx_uint_t nalloc);


static ngx_readiness_name_t  ngx_readiness_out[] = {
    ngx_readiness_out_name("X-Forwarded-For", "x-forwarded-for"),
    ngx_readiness_out_name("X-Real-IP", "x-real-ip"),
    ngx_readiness_out_name("X-Forwarded-Proto", "x-forwarded-proto"),
    ngx_readiness_out_name("X-Forwarded-Host", "x-forwarded-host"),
    ngx_readiness_out_name("X-Forwarded-Port", "x-forwarded-port"),
    ngx_readiness_out_name("Forwarded", "forwarded"),
    ngx_readiness_out_name("traceparent", "traceparent"),
    ngx_readiness_out_name("tracestate", "tracestate")
};


void
ngx_readiness_outbound_init(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_READINESS_OUT_NAMES; i++) {
        ngx_readiness_out[i].hash =
                                ngx_hash_key(ngx_readiness_out[i].lowcase.data,
                                             ngx_readiness_out[i].lowcase.len);
    }
}


ngx_int_t
ngx_readiness_inbound(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_inbound_t *in)
{
    ngx_uint_t        i, from;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    in->nlines = 0;
    in->nids = 0;
    in->nparents = 0;
    in->nstates = 0;
    in->proto.len = 0;
    in->host.len = 0;
    in->port.len = 0;
    in->last = NULL;
    in->dropped = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;
        from = 0;

        for (i = 0; i < part->nelts; i++) {

            if (!ngx_readiness_inbound_header(conf, &h[i], in)) {
                continue;
            }

            in->dropped++;

            if (ngx_readiness_inbound_keep(r, in, &h[from], i - from)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            from = i + 1;
        }

        if (ngx_readiness_inbound_keep(r, in, &h[from], part->nelts - from)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* 1 when the header does not stay in the list */

static ngx_uint_t
ngx_readiness_inbound_header(const ngx_readiness_client_conf_t *conf,
    ngx_table_elt_t *h, ngx_readiness_inbound_t *in)
{
    size_t  len;

    len = h->key.len;

    if (rdy_names_forwarding(h->lowcase_key, len)) {
        return ngx_readiness_inbound_forwarding(conf, h, in);
    }

    if (len == conf->id_lowcase.len && conf->id != NGX_READINESS_ID_OFF
        && rdy_names_equal(h->lowcase_key, len, conf->id_lowcase.data, len))
    {
        if (ngx_memcmp(h->lowcase_key, conf->id_lowcase.data, len) == 0) {
            in->id = h->value;
            in->nids++;
        }

        return 1;
    }

    if (conf->header == NGX_READINESS_HDR_SINGLE
        && len == conf->header_lowcase.len
        && rdy_names_equal(h->lowcase_key, len, conf->header_lowcase.data, len))
    {
        return ngx_readiness_inbound_forwarding(conf, h, in);
    }

    if (conf->trace == NGX_READINESS_TRACE_OFF) {
        return 0;
    }

    if (len == sizeof("traceparent") - 1
        && ngx_memcmp(h->lowcase_key, "traceparent", len) == 0)
    {
        in->parent = h->value;
        in->nparents++;
        return 1;
    }

    if (len == sizeof("tracestate") - 1
        && ngx_memcmp(h->lowcase_key, "tracestate", len) == 0)
    {
        if (in->nstates < RDY_FORWARDED_MAX_HOPS) {
            in->states[in->nstates] = h->value;
        }

        in->nstates++;
        return 1;
    }

    return 0;
}


/* the hyphen form only is believed; its twins (X_Real_IP) are just removed */

static ngx_uint_t
ngx_readiness_inbound_forwarding(const ngx_readiness_client_conf_t *conf,
    ngx_table_elt_t *h, ngx_readiness_inbound_t *in)
{
    ngx_str_t  name;

    static const ngx_str_t  xff = ngx_string("x-forwarded-for");
    static const ngx_str_t  forwarded = ngx_string("forwarded");
    static const ngx_str_t  proto = ngx_string("x-forwarded-proto");
    static const ngx_str_t  host = ngx_string("x-forwarded-host");
    static const ngx_str_t  port = ngx_string("x-forwarded-port");

    switch (conf->header) {

    case NGX_READINESS_HDR_XFF:
        name = xff;
        break;

    case NGX_READINESS_HDR_FORWARDED:
        name = forwarded;
        break;

    default: /* NGX_READINESS_HDR_SINGLE; empty with proxy_protocol */
        name = conf->header_lowcase;
    }

#define ngx_readiness_is(n)                                                   \
    (h->key.len == (n).len                                                    \
     && ngx_memcmp(h->lowcase_key, (n).data, (n).len) == 0)

    if (ngx_readiness_is(name)) {
        in->lines[in->nlines++ % RDY_FORWARDED_MAX_HOPS] = h->value;

    } else if (ngx_readiness_is(proto)) {
        in->proto = h->value;

    } else if (ngx_readiness_is(host)) {
        in->host = h->value;

    } else if (ngx_readiness_is(port)) {
        in->port = h->value;
    }

    return conf->rewrite;
}


static ngx_int_t
ngx_readiness_inbound_keep(ngx_http_request_t *r, ngx_readiness_inbound_t *in,
    ngx_table_elt_t *from, ngx_uint_t n)
{
    ngx_list_part_t  *part;

    if (n == 0) {
        /* no part but the first may be empty */
        return NGX_OK;
    }

    if (in->last == NULL) {
        part = &in->kept;

    } else {
        part = ngx_palloc(r->pool, sizeof(ngx_list_part_t));
        if (part == NULL) {
            return NGX_ERROR;
        }

        in->last->next = part;
    }

    part->elts = from;
    part->nelts = n;
    part->next = NULL;

    in->last = part;

    return NGX_OK;
}


ngx_int_t
ngx_readiness_outbound(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf,
    const ngx_readiness_client_t *client, const ngx_readiness_inbound_t *in)
{
    size_t                size;
    u_char               *p;
    ngx_str_t             value;
    ngx_uint_t            i, nalloc;
    ngx_list_part_t      *part;
    ngx_readiness_name_t  id;

    if (!conf->rewrite && client->request_id.len == 0 && !client->traced
        && in->dropped == 0)
    {
        return NGX_OK;
    }

    /* six of forwarding, the ID, traceparent, and room for a few more */

    nalloc = 10 + ngx_min(in->nstates, RDY_FORWARDED_MAX_HOPS);

    size = sizeof(ngx_list_part_t) + nalloc * sizeof(ngx_table_elt_t);

    part = ngx_palloc(r->pool,
                      size + RDY_FORWARDED_WRITE_LEN(client->host.len));
    if (part == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) part;

    part->elts = p + sizeof(ngx_list_part_t);
    part->nelts = 0;
    part->next = NULL;

    if (conf->rewrite) {
        ngx_readiness_outbound_client(client, part, p + size);
    }

    if (client->request_id.len) {
        id.key = conf->id_header;
        id.lowcase = conf->id_lowcase;
        id.hash = conf->id_hash;

        ngx_readiness_outbound_push(part, &id, &client->request_id);
    }

    if (client->traced) {
        value.data = (u_char *) client->trace.text;
        value.len = RDY_TRACE_LEN;

        ngx_readiness_outbound_push(part,
                                 &ngx_readiness_out[NGX_READINESS_OUT_PARENT],
                                 &value);

        for (i = 0; client->stated && i < in->nstates; i++) {
            ngx_readiness_outbound_push(part,
                                  &ngx_readiness_out[NGX_READINESS_OUT_STATE],
                                  &in->states[i]);
        }
    }

    ngx_readiness_outbound_link(r, in, part, nalloc);

    if (conf->rewrite) {
        ngx_readiness_clear_xff(r);
        ngx_readiness_clear_x_real_ip(r);
    }

    return NGX_OK;
}


/* p: room for the value of Forwarded */

static void
ngx_readiness_outbound_client(const ngx_readiness_client_t *client,
    ngx_list_part_t *part, u_char *p)
{
    ngx_str_t  proto, value;

    const ngx_readiness_name_t  *out = ngx_readiness_out;

    if (client->https) {
        ngx_str_set(&proto, "https");

    } else {
        ngx_str_set(&proto, "http");
    }

    if (client->addr.family) {
        ngx_readiness_outbound_push(part, &out[NGX_READINESS_OUT_XFF],
                                    &client->text);
        ngx_readiness_outbound_push(part, &out[NGX_READINESS_OUT_REAL_IP],
                                    &client->text);
    }

    ngx_readiness_outbound_push(part, &out[NGX_READINESS_OUT_PROTO], &proto);

    if (client->host.len) {
        ngx_readiness_outbound_push(part, &out[NGX_READINESS_OUT_HOST],
                                    &client->host);
    }

    ngx_readiness_outbound_push(part, &out[NGX_READINESS_OUT_PORT],
                                &client->port);

    value.data = p;
    value.len = rdy_forwarded_write(p, &client->text, client->addr.family == 6,
                                    &proto, &client->host,
                                    client->addr.family != 0);

    ngx_readiness_outbound_push(part, &out[NGX_READINESS_OUT_FORWARDED],
                                &value);
}


static void
ngx_readiness_outbound_push(ngx_list_part_t *part,
    const ngx_readiness_name_t *name, const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = (ngx_table_elt_t *) part->elts + part->nelts++;

    h->hash = name->hash;
    h->key = name->key;
    h->value = *value;
    h->lowcase_key = name->lowcase.data;
    ngx_readiness_link_none(h);
}


/*
 * Our part comes last and is the one that ngx_list_push() goes on with; where
 * it is empty the last run counts as full, so that a push makes a new part.
 */

static void
ngx_readiness_outbound_link(ngx_http_request_t *r,
    const ngx_readiness_inbound_t *in, ngx_list_part_t *own,
    ngx_uint_t nalloc)
{
    ngx_list_t       *list;
    ngx_list_part_t  *last;

    list = &r->headers_in.headers;

    if (list->last == NULL) {

        /* HTTP/0.9, or an error in the request line: no list was made */

        list->size = sizeof(ngx_table_elt_t);
        list->pool = r->pool;
    }

    if (in->last == NULL) {
        list->part = *own;
        list->last = &list->part;
        list->nalloc = nalloc;
        return;
    }

    list->part = in->kept;
    last = (in->last == &in->kept) ? &list->part : in->last;

    if (own->nelts == 0) {
        list->last = last;
        list->nalloc = last->nelts;
        return;
    }

    last->next = own;
    list->last = own;
    list->nalloc = nalloc;
}
