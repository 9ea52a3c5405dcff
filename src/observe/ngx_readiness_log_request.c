
/*
 * Copyright (C) The readiness authors
 */


/* the part of the decision line that the client had a hand in */


#include "observe/ngx_readiness_line.h"
#include "observe/ngx_readiness_log.h"


static u_char *ngx_readiness_log_method(u_char *p, const ngx_str_t *method);
static void ngx_readiness_log_sent_method(ngx_http_request_t *r,
    ngx_str_t *method);
static void ngx_readiness_log_sent_path(ngx_http_request_t *r,
    ngx_str_t *path);
static u_char *ngx_readiness_log_uri(u_char *p, ngx_http_request_t *r);
static u_char *ngx_readiness_log_version(u_char *p, ngx_uint_t version);


static const ngx_str_t  ngx_readiness_log_methods[] = {
    ngx_string("GET"),
    ngx_string("POST"),
    ngx_string("HEAD"),
    ngx_string("PUT"),
    ngx_string("DELETE"),
    ngx_string("OPTIONS"),
    ngx_string("PATCH"),
    ngx_string("CONNECT"),
    ngx_string("TRACE"),
    ngx_null_string
};


u_char *
ngx_readiness_log_request(u_char *p, ngx_http_request_t *r,
    const ngx_readiness_ctx_t *ctx, ngx_uint_t path)
{
    ngx_str_t  method;

    ngx_readiness_log_sent_method(r, &method);

    if (method.len) {
        p = ngx_readiness_log_method(p, &method);
    }

    if (ctx->client_done) {

        if (ctx->client.https) {
            p = ngx_readiness_put(p, ",\"url.scheme\":\"https\"");

        } else {
            p = ngx_readiness_put(p, ",\"url.scheme\":\"http\"");
        }
    }

    if (path == NGX_READINESS_PATH_FULL) {
        p = ngx_readiness_log_uri(p, r);
    }

    if (method.len) {
        p = ngx_readiness_log_version(p, r->http_version);
    }

    if (r->headers_in.user_agent) {
        p = ngx_readiness_put_text(p, ",\"user_agent.original\":\"",
                                   &r->headers_in.user_agent->value,
                                   NGX_READINESS_MAX_AGENT);
    }

    /* a peer on a UNIX-domain socket is named by a path of its choice */

    if (ctx->client.addr.family) {
        p = ngx_readiness_put_plain(p, ",\"client.address\":\"",
                                    &ctx->client.text);

    } else {
        p = ngx_readiness_put_text(p, ",\"client.address\":\"",
                                   &ctx->client.text, NGX_READINESS_MAX_ADDR);
    }

    p = ngx_readiness_put_text(p, ",\"network.peer.address\":\"",
                               &ctx->client.peer, NGX_READINESS_MAX_ADDR);

    return p;
}


/*
 * The method as the client sent it, empty when no request line was read.
 * error_page and X-Accel-Redirect make a GET of any request, and of none.
 */

static void
ngx_readiness_log_sent_method(ngx_http_request_t *r, ngx_str_t *method)
{
    u_char  *space;

    *method = r->method_name;

    if (method->data != ngx_http_core_get_method.data) {
        return;
    }

    if (r->unparsed_uri.data == NULL || r->request_line.len == 0) {
        method->len = 0;
        return;
    }

    space = memchr(r->request_line.data, ' ', r->request_line.len);

    method->data = r->request_line.data;
    method->len = space ? (size_t) (space - r->request_line.data) : 0;
}


static u_char *
ngx_readiness_log_method(u_char *p, const ngx_str_t *method)
{
    const ngx_str_t  *known;

    for (known = ngx_readiness_log_methods; known->len; known++) {

        if (known->len == method->len
            && ngx_strncmp(known->data, method->data, known->len) == 0)
        {
            p = ngx_readiness_put(p, ",\"http.request.method\":\"");
            p = ngx_cpymem(p, known->data, known->len);
            *p++ = '"';

            return p;
        }
    }

    p = ngx_readiness_put(p, ",\"http.request.method\":\"_OTHER\"");

    return ngx_readiness_put_text(p, ",\"http.request.method_original\":\"",
                                  method, NGX_READINESS_MAX_METHOD);
}


/*
 * The URI as it was sent, also one that nginx refused, as "/../" or "/%zz".
 * Of a request line that was not read to its end nginx 1.22 has no uri_end,
 * but may have moved it.
 */

static void
ngx_readiness_log_sent_path(ngx_http_request_t *r, ngx_str_t *path)
{
    *path = r->unparsed_uri;

    if (path->data || r->uri_start == NULL || r->uri_end < r->uri_start) {
        return;
    }

    if (r->http_version < NGX_HTTP_VERSION_20
        && (r->uri_start < r->request_line.data
            || r->uri_end > r->request_line.data + r->request_line.len))
    {
        return;
    }

    path->data = r->uri_start;
    path->len = r->uri_end - r->uri_start;
}


/* the path of it, for nginx may have decoded and merged the other */

static u_char *
ngx_readiness_log_uri(u_char *p, ngx_http_request_t *r)
{
    u_char     *end;
    ngx_str_t   path;

    ngx_readiness_log_sent_path(r, &path);

    if (path.data == NULL) {
        return p;
    }

    end = memchr(path.data, '?', path.len);

    if (end) {
        path.len = end - path.data;
    }

    end = memchr(path.data, '#', path.len);

    if (end) {
        path.len = end - path.data;
    }

    if (path.len == 0) {
        /* "GET http://host HTTP/1.1" */
        ngx_str_set(&path, "/");
    }

    return ngx_readiness_put_text(p, ",\"url.path\":\"", &path,
                                  NGX_READINESS_MAX_PATH);
}


static u_char *
ngx_readiness_log_version(u_char *p, ngx_uint_t version)
{
    ngx_uint_t  major, minor;

    if (version == NGX_HTTP_VERSION_11) {
        return ngx_readiness_put(p, ",\"network.protocol.version\":\"1.1\"");
    }

    major = version / 1000;
    minor = version % 1000;

    p = ngx_readiness_put(p, ",\"network.protocol.version\":\"");
    p = rdy_json_number(p, major);

    if (major < 2) {
        *p++ = '.';
        p = rdy_json_number(p, minor);
    }

    *p++ = '"';

    return p;
}
