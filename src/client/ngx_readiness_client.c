
/*
 * Copyright (C) The readiness authors
 */


/*
 * The client station: who is connected, who is calling through it, by which
 * scheme and host.  What it finds is set on the connection as the stock realip
 * module does, so that everything after it sees the same client.
 */


#include "ngx_readiness.h"
#include "client/ngx_readiness_client.h"
#include "client/rdy_host.h"


/* in either letter case, though nearly always as it is written here */

#define ngx_readiness_client_is(text, word)                                   \
    ((text)->len == sizeof(word) - 1                                          \
     && (ngx_memcmp((text)->data, word, sizeof(word) - 1) == 0                \
         || ngx_strncasecmp((text)->data, (u_char *) word, sizeof(word) - 1)  \
            == 0))


static void ngx_readiness_client_peer(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_client_t *client);
static ngx_uint_t ngx_readiness_client_walk(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_inbound_t *in,
    rdy_forwarded_t *f);
static ngx_uint_t ngx_readiness_client_proxy_protocol(ngx_http_request_t *r,
    rdy_forwarded_t *f);
static void ngx_readiness_client_set(ngx_readiness_client_t *client,
    rdy_addr_t *addr, uint16_t port);
static void ngx_readiness_client_scheme(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_client_t *client,
    const ngx_readiness_inbound_t *in, const rdy_forwarded_t *f);
static ngx_int_t ngx_readiness_client_host(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_client_t *client,
    const ngx_readiness_inbound_t *in, const rdy_forwarded_t *f);
static ngx_int_t ngx_readiness_client_own_host(ngx_http_request_t *r,
    ngx_readiness_client_t *client);
static void ngx_readiness_client_port(ngx_http_request_t *r,
    ngx_readiness_client_t *client);


ngx_int_t
ngx_readiness_client(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t                          found;
    rdy_forwarded_t                     f;
    ngx_readiness_client_t             *client;
    ngx_readiness_inbound_t             in;
    ngx_readiness_srv_conf_t           *rscf;
    const ngx_readiness_client_conf_t  *conf;

    if (ctx->client_done) {
        return NGX_OK;
    }

    ctx->client_done = 1;

    rscf = ngx_http_get_module_srv_conf(r, ngx_readiness_module);
    conf = &rscf->client;
    client = &ctx->client;

    ngx_readiness_client_peer(r, conf, client);

    if (ngx_readiness_inbound(r, conf, &in) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&f, sizeof(rdy_forwarded_t));
    f.client = client->addr;

    found = client->trusted ? ngx_readiness_client_walk(r, conf, &in, &f) : 0;

    ngx_readiness_client_set(client, found ? &f.client : NULL, f.port);

    ngx_readiness_client_scheme(r, conf, client, &in, &f);

    if (conf->rewrite
        && ngx_readiness_client_host(r, conf, client, &in, &f) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_readiness_identify(conf, client, &in) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_readiness_outbound(r, conf, client, &in);
}


static void
ngx_readiness_client_peer(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_client_t *client)
{
    ngx_connection_t      *c;
    struct sockaddr_in    *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6   *sin6;
#endif

    c = r->connection;

    client->connection = c;
    client->peer = c->addr_text;
    client->text = c->addr_text;

    switch (c->sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) c->sockaddr;
        (void) rdy_addr_bytes((u_char *) &sin->sin_addr, 4, &client->addr);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) c->sockaddr;
        (void) rdy_addr_bytes((u_char *) &sin6->sin6_addr, 16, &client->addr);
        break;
#endif

    default:
        client->trusted = conf->trust && conf->trust->unix_peer;
        return;
    }

    client->trusted = conf->trust
                      && rdy_cidr_set_match(&conf->trust->set, &client->addr);
}


/* 1 when f->client is an address that the trusted peer vouches for */

static ngx_uint_t
ngx_readiness_client_walk(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_inbound_t *in,
    rdy_forwarded_t *f)
{
    ngx_uint_t  n;
    u_char      host[256];
    rdy_str_t   lines[RDY_FORWARDED_MAX_HOPS];

    if (conf->header == NGX_READINESS_HDR_PROXY) {
        return ngx_readiness_client_proxy_protocol(r, f);
    }

    if (in->nlines == 0) {
        return 0;
    }

    if (conf->header == NGX_READINESS_HDR_SINGLE) {
        return in->nlines == 1
               && rdy_addr_parse(&in->lines[0], &f->client, &f->port)
                  == RDY_OK;
    }

    if (conf->header == NGX_READINESS_HDR_FORWARDED) {

        if (in->nlines > RDY_FORWARDED_MAX_HOPS
            || rdy_forwarded_rfc7239(in->lines, in->nlines, &conf->trust->set,
                                     f, host, sizeof(host))
               != RDY_OK)
        {
            return 0;
        }

        if (f->host.data == host) {
            /* unescaped: a quoted pair is no part of a host name */
            f->host.len = 0;
        }

        return f->hops > 0;
    }

    /* X-Forwarded-For: the last lines, put back into order of arrival */

    if (in->nlines <= RDY_FORWARDED_MAX_HOPS) {
        rdy_forwarded_xff(in->lines, in->nlines, &conf->trust->set, f);
        return f->hops > 0;
    }

    for (n = 0; n < RDY_FORWARDED_MAX_HOPS; n++) {
        lines[n] = in->lines[(in->nlines + n) % RDY_FORWARDED_MAX_HOPS];
    }

    rdy_forwarded_xff(lines, n, &conf->trust->set, f);

    return f->hops > 0;
}


/* UNKNOWN, LOCAL and non-IP senders leave no address: the peer counts */

static ngx_uint_t
ngx_readiness_client_proxy_protocol(ngx_http_request_t *r, rdy_forwarded_t *f)
{
    ngx_proxy_protocol_t  *pp;

    pp = r->connection->proxy_protocol;

    if (pp == NULL || pp->src_addr.len == 0
        || rdy_addr_parse(&pp->src_addr, &f->client, NULL) != RDY_OK)
    {
        return 0;
    }

    f->port = pp->src_port;

    return 1;
}


/*
 * addr: the client behind the peer, NULL when it is the peer itself.  A peer
 * of an IPv4-mapped address becomes the IPv4 one, as in every other notation.
 */

static void
ngx_readiness_client_set(ngx_readiness_client_t *client, rdy_addr_t *addr,
    uint16_t port)
{
    ngx_uint_t             mapped;
    ngx_connection_t      *c;
    struct sockaddr_in    *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6   *sin6;
#endif

    c = client->connection;

    mapped = client->addr.family == 4 && c->sockaddr->sa_family != AF_INET;

    if (addr == NULL && !mapped) {
        return;
    }

    if (mapped) {
        client->peer.len = rdy_addr_text(&client->addr, client->peer_buf);
        client->peer.data = client->peer_buf;
        client->text = client->peer;
    }

    if (addr) {
        client->addr = *addr;
        client->text.len = rdy_addr_text(addr, client->text_buf);
        client->text.data = client->text_buf;

    } else {
        port = ngx_inet_get_port(c->sockaddr);
    }

    client->sockaddr = c->sockaddr;
    client->socklen = c->socklen;
    client->addr_text = c->addr_text;
    client->replaced = 1;

    c->sockaddr = &client->own.sockaddr;
    c->addr_text = client->text;

#if (NGX_HAVE_INET6)
    if (client->addr.family == 6) {
        sin6 = &client->own.sockaddr_in6;
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(port);
        ngx_memcpy(&sin6->sin6_addr, client->addr.a, 16);
        c->socklen = sizeof(struct sockaddr_in6);
        return;
    }
#endif

    sin = &client->own.sockaddr_in;
    sin->sin_family = AF_INET;
    sin->sin_port = htons(port);
    ngx_memcpy(&sin->sin_addr, client->addr.a, 4);
    c->socklen = sizeof(struct sockaddr_in);
}


void
ngx_readiness_client_cleanup(ngx_readiness_ctx_t *ctx)
{
    ngx_connection_t        *c;
    ngx_readiness_client_t  *client;

    client = &ctx->client;

    if (!client->replaced) {
        return;
    }

    c = client->connection;

    c->sockaddr = client->sockaddr;
    c->socklen = client->socklen;
    c->addr_text = client->addr_text;

    client->replaced = 0;
}


static void
ngx_readiness_client_scheme(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_client_t *client,
    const ngx_readiness_inbound_t *in, const rdy_forwarded_t *f)
{
    ngx_str_t  proto;

#if (NGX_HTTP_SSL)
    client->https = (r->connection->ssl != NULL);
#endif

    if (!client->trusted || conf->header == NGX_READINESS_HDR_PROXY) {
        return;
    }

    if (conf->header == NGX_READINESS_HDR_FORWARDED) {
        proto = f->proto;

    } else {
        (void) rdy_forwarded_last(&in->proto, &proto);
    }

    if (ngx_readiness_client_is(&proto, "https")) {
        client->https = 1;
        client->told_scheme = 1;

    } else if (ngx_readiness_client_is(&proto, "http")) {
        client->https = 0;
        client->told_scheme = 1;
    }
}


static ngx_int_t
ngx_readiness_client_host(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_client_t *client,
    const ngx_readiness_inbound_t *in, const rdy_forwarded_t *f)
{
    ngx_int_t  n;
    rdy_str_t  value, host, port;

    if (!conf->host_trusted || !client->trusted) {
        goto own;
    }

    if (conf->header == NGX_READINESS_HDR_FORWARDED) {
        value = f->host;

    } else {
        (void) rdy_forwarded_last(&in->host, &value);
    }

    if (rdy_host_split(&value, &host, &port) != RDY_OK) {
        goto own;
    }

    client->host = value;
    client->port = port;

    if (port.len == 0 && in->port.len) {

        (void) rdy_forwarded_last(&in->port, &port);

        n = ngx_atoi(port.data, port.len);

        if (n >= 1 && n <= 65535 && port.data[0] != '0') {
            client->port = port;
        }
    }

    if (client->port.len == 0) {
        client->told_scheme = 1;
        ngx_readiness_client_port(r, client);
    }

    return NGX_OK;

own:

    return ngx_readiness_client_own_host(r, client);
}


/* the name nginx routed by, with the port of the Host header */

static ngx_int_t
ngx_readiness_client_own_host(ngx_http_request_t *r,
    ngx_readiness_client_t *client)
{
    u_char     *p;
    ngx_str_t  *host, *server;
    rdy_str_t   name, port;

    server = &r->headers_in.server;
    host = r->headers_in.host ? &r->headers_in.host->value : NULL;

    if (host == NULL || rdy_host_split(host, &name, &port) != RDY_OK
        || name.len != server->len
        || (ngx_memcmp(name.data, server->data, name.len) != 0
            && ngx_strncasecmp(name.data, server->data, name.len) != 0))
    {
        /*
         * nginx routes by names that are none: a list such as "evil, www.a"
         * would pass for "*.a", and is read as two hosts by those who trust us
         */

        if (rdy_host_split(server, &name, &port) == RDY_OK) {
            client->host = *server;
        }

        ngx_readiness_client_port(r, client);
        return NGX_OK;
    }

    if (port.len == 0) {
        client->host = *server;
        ngx_readiness_client_port(r, client);
        return NGX_OK;
    }

    client->port = port;

    if (ngx_memcmp(name.data, server->data, name.len) == 0) {
        client->host = *host;
        return NGX_OK;
    }

    /* nginx's name is in lower case */

    p = ngx_pnalloc(r->pool, host->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    client->host.data = p;
    client->host.len = host->len;

    p = ngx_cpymem(p, server->data, server->len);
    ngx_memcpy(p, host->data + server->len, host->len - server->len);

    return NGX_OK;
}


/*
 * Without a port in the host the client used its scheme's; only where nobody
 * told us the scheme our own listener knows better.
 */

static void
ngx_readiness_client_port(ngx_http_request_t *r,
    ngx_readiness_client_t *client)
{
    u_char      *p;
    in_port_t    port;

    port = 0;

    if (!client->told_scheme) {
        port = ngx_inet_get_port(r->connection->listening->sockaddr);
    }

    if (port == 0) {
        if (client->https) {
            ngx_str_set(&client->port, "443");

        } else {
            ngx_str_set(&client->port, "80");
        }

        return;
    }

    /* written from the end, into memory of the record */

    p = client->port_text + sizeof(client->port_text);

    do {
        *--p = (u_char) ('0' + port % 10);
        port /= 10;
    } while (port);

    client->port.data = p;
    client->port.len = client->port_text + sizeof(client->port_text) - p;
}


ngx_int_t
ngx_readiness_client_key(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_str_t *key)
{
    u_char                             *text;
    rdy_addr_t                          addr;
    ngx_readiness_client_t             *client;
    ngx_readiness_srv_conf_t           *rscf;
    const ngx_readiness_client_conf_t  *conf;

    client = &ctx->client;

    if (client->key.len == 0) {

        rscf = ngx_http_get_module_srv_conf(r, ngx_readiness_module);
        conf = &rscf->client;

        if (client->addr.family == 0
            || (client->addr.family == 4 && conf->prefix4 == 32)
            || (client->addr.family == 6 && conf->prefix6 == 128))
        {
            client->key = client->text;

        } else {
            text = ngx_pnalloc(r->pool, RDY_ADDR_TEXT_LEN);
            if (text == NULL) {
                return NGX_ERROR;
            }

            addr = client->addr;
            rdy_addr_mask(&addr, conf->prefix4, conf->prefix6);

            client->key.len = rdy_addr_text(&addr, text);
            client->key.data = text;
        }
    }

    *key = client->key;

    return NGX_OK;
}
