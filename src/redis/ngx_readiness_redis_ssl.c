
/*
 * Copyright (C) The readiness authors
 */


/*
 * TLS to Redis, carried by nginx's own: a handshake between connect() and
 * prelude, in which Redis proves its name.  What nginx would log of it goes
 * into our own line.
 */


#include "redis/ngx_readiness_redis_internal.h"

#include <ngx_event.h>


#if (NGX_SSL)

#pragma weak ngx_ssl_create_connection
#pragma weak ngx_ssl_handshake
#pragma weak ngx_ssl_shutdown
#pragma weak ngx_ssl_connection_index


typedef struct {
    int          code;
    const char  *advice;
} ngx_readiness_redis_advice_t;


static ngx_int_t ngx_readiness_redis_ssl_start(
    ngx_readiness_redis_peer_t *peer);
static ngx_int_t ngx_readiness_redis_ssl_identity(
    ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_ssl_expected(ngx_readiness_redis_peer_t *peer,
    ngx_str_t *name, ngx_str_t *address, u_char *buf);
static int ngx_readiness_redis_ssl_verified(int ok, X509_STORE_CTX *store);
static const char *ngx_readiness_redis_ssl_advice(int code);
static void ngx_readiness_redis_ssl_handler(ngx_connection_t *c);
static ngx_int_t ngx_readiness_redis_ssl_done(
    ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_ssl_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);


#define NGX_READINESS_REDIS_NO_ISSUER                                         \
    "set ssl_trusted_certificate to the authority that issued it"

static ngx_readiness_redis_advice_t  ngx_readiness_redis_advices[] = {
    { X509_V_ERR_CERT_HAS_EXPIRED, "renew it" },
    { X509_V_ERR_CERT_NOT_YET_VALID, "compare the clocks" },
    { X509_V_ERR_HOSTNAME_MISMATCH, "set ssl_name to a name that it has" },
    { X509_V_ERR_IP_ADDRESS_MISMATCH, "set ssl_name to a name that it has" },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, NGX_READINESS_REDIS_NO_ISSUER },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      NGX_READINESS_REDIS_NO_ISSUER },
    { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
      NGX_READINESS_REDIS_NO_ISSUER },
    { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, NGX_READINESS_REDIS_NO_ISSUER },
    { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, NGX_READINESS_REDIS_NO_ISSUER },
    { 0, NULL }
};


ngx_int_t
ngx_readiness_redis_secure(ngx_readiness_redis_peer_t *peer)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    if (peer->redis->tls.ssl == NULL) {
        return NGX_OK;
    }

    c = peer->connection;

    peer->state = NGX_READINESS_REDIS_SECURING;

    if (ngx_readiness_redis_ssl_start(peer) != NGX_OK) {
        ngx_readiness_redis_fail(peer, 0, "no memory for a connection", NULL);
        return NGX_ERROR;
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_readiness_redis_ssl_handler;
        return NGX_AGAIN;
    }

    return ngx_readiness_redis_ssl_done(peer);
}


static ngx_int_t
ngx_readiness_redis_ssl_start(ngx_readiness_redis_peer_t *peer)
{
    ngx_connection_t  *c;

    c = peer->connection;

    peer->ssl_text.len = 0;
    peer->ssl_text.data = peer->ssl_buf;

    peer->ssl_log = *ngx_cycle->log;
    peer->ssl_log.log_level = NGX_LOG_INFO;
    peer->ssl_log.writer = ngx_readiness_redis_ssl_writer;
    peer->ssl_log.wdata = peer;
    peer->ssl_log.next = NULL;

    c->log = &peer->ssl_log;
    c->read->log = c->log;
    c->write->log = c->log;

    c->pool = ngx_create_pool(512, ngx_cycle->log);
    if (c->pool == NULL) {
        return NGX_ERROR;
    }

    if (ngx_ssl_create_connection(peer->redis->tls.ssl, c, NGX_SSL_CLIENT)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

#ifdef SSL_OP_NO_RENEGOTIATION
    SSL_set_options(c->ssl->connection, SSL_OP_NO_RENEGOTIATION);
#endif

    return ngx_readiness_redis_ssl_identity(peer);
}


/* who it has to be, and what it is told for whom we take it */

static ngx_int_t
ngx_readiness_redis_ssl_identity(ngx_readiness_redis_peer_t *peer)
{
    SSL                *ssl;
    u_char              buf[NGX_READINESS_REDIS_MAX_NAME + 1];
    ngx_str_t           name, address;
    X509_VERIFY_PARAM  *param;

    ssl = peer->connection->ssl->connection;
    param = SSL_get0_param(ssl);

    ngx_readiness_redis_ssl_expected(peer, &name, &address, buf);

    if (name.len && SSL_set_tlsext_host_name(ssl, (char *) name.data) == 0) {
        return NGX_ERROR;
    }

    if (peer->redis->tls.unverified) {
        return NGX_OK;
    }

    SSL_set_verify(ssl, SSL_VERIFY_PEER, ngx_readiness_redis_ssl_verified);

    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);

    if (name.len) {
        return X509_VERIFY_PARAM_set1_host(param, (char *) name.data, name.len)
               ? NGX_OK : NGX_ERROR;
    }

    return X509_VERIFY_PARAM_set1_ip(param, address.data, address.len)
           ? NGX_OK : NGX_ERROR;
}


/*
 * A name with a NUL behind it, in buf, or the bytes of an address.  A socket's
 * path is neither; the configuration has a name then, or nothing to verify.
 */

static void
ngx_readiness_redis_ssl_expected(ngx_readiness_redis_peer_t *peer,
    ngx_str_t *name, ngx_str_t *address, u_char *buf)
{
    in_addr_t             addr;
    struct sockaddr      *sa;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    *name = peer->redis->tls.name.len ? peer->redis->tls.name
                                      : peer->server->host;
    ngx_str_null(address);

    if (name->len > NGX_READINESS_REDIS_MAX_NAME) {

        /* DNS has no such names */

        name->len = NGX_READINESS_REDIS_MAX_NAME;
    }

    if (name->len == 0) {
        sa = peer->addrs[peer->addr].sockaddr;

        if (sa->sa_family == AF_INET) {
            sin = (struct sockaddr_in *) sa;
            address->data = (u_char *) &sin->sin_addr;
            address->len = 4;
        }

#if (NGX_HAVE_INET6)
        if (sa->sa_family == AF_INET6) {
            sin6 = (struct sockaddr_in6 *) sa;
            address->data = (u_char *) &sin6->sin6_addr;
            address->len = 16;
        }
#endif

        return;
    }

    address->data = buf;
    addr = ngx_inet_addr(name->data, name->len);

    if (addr != INADDR_NONE) {
        ngx_memcpy(buf, &addr, 4);
        address->len = 4;
        ngx_str_null(name);
        return;
    }

#if (NGX_HAVE_INET6)
    if (ngx_inet6_addr(name->data, name->len, buf) == NGX_OK) {
        address->len = 16;
        ngx_str_null(name);
        return;
    }
#endif

    ngx_cpystrn(buf, name->data, name->len + 1);
    name->data = buf;
}


/* the first thing that is wrong ends the handshake, and is told */

static int
ngx_readiness_redis_ssl_verified(int ok, X509_STORE_CTX *store)
{
    int                          code;
    char                         subject[128];
    X509                        *cert;
    const char                  *advice;
    ngx_connection_t            *c;
    ngx_readiness_redis_peer_t  *peer;

    if (ok) {
        return ok;
    }

    c = ngx_ssl_get_connection((SSL *)
            X509_STORE_CTX_get_ex_data(store,
                                       SSL_get_ex_data_X509_STORE_CTX_idx()));
    peer = c->data;

    code = X509_STORE_CTX_get_error(store);
    cert = X509_STORE_CTX_get_current_cert(store);
    advice = ngx_readiness_redis_ssl_advice(code);
    subject[0] = '\0';

    if (cert) {
        (void) X509_NAME_oneline(X509_get_subject_name(cert), subject,
                                 sizeof(subject));
    }

    peer->ssl_text.len = ngx_snprintf(peer->ssl_buf, sizeof(peer->ssl_buf),
                            "its certificate is not accepted: %s (%d) at depth "
                            "%d, \"%s\"%s%s",
                            X509_verify_cert_error_string(code), code,
                            X509_STORE_CTX_get_error_depth(store), subject,
                            advice[0] ? "; " : "", advice)
                         - peer->ssl_buf;

    return 0;
}


static const char *
ngx_readiness_redis_ssl_advice(int code)
{
    ngx_readiness_redis_advice_t  *row;

    for (row = ngx_readiness_redis_advices; row->advice; row++) {
        if (row->code == code) {
            return row->advice;
        }
    }

    return "";
}


static void
ngx_readiness_redis_ssl_handler(ngx_connection_t *c)
{
    ngx_readiness_redis_peer_t *peer = c->data;

    if (ngx_readiness_redis_ssl_done(peer) == NGX_OK) {
        (void) ngx_readiness_redis_begin(peer);
    }
}


static ngx_int_t
ngx_readiness_redis_ssl_done(ngx_readiness_redis_peer_t *peer)
{
    if (peer->connection->ssl->handshaked) {
        return NGX_OK;
    }

    ngx_readiness_redis_fail(peer, 0, "no TLS handshake", &peer->ssl_text);

    return NGX_ERROR;
}


void
ngx_readiness_redis_unsecure(ngx_connection_t *c)
{
    if (c->ssl == NULL) {
        return;
    }

    /* nothing is written or waited for: Redis has no use for a farewell */

    c->ssl->no_wait_shutdown = 1;
    c->ssl->no_send_shutdown = 1;

    (void) ngx_ssl_shutdown(c);
}


/* keeps the first line, without its time and process */

static void
ngx_readiness_redis_ssl_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    u_char                      *p, *last;
    ngx_readiness_redis_peer_t  *peer;

    peer = log->wdata;

    if (peer->ssl_text.len) {
        return;
    }

    last = buf + len;

    while (last > buf && (last[-1] == LF || last[-1] == CR)) {
        last--;
    }

    p = ngx_strlchr(buf, last, '#');
    p = p ? ngx_strlchr(p, last, ' ') : NULL;
    p = p ? p + 1 : buf;

    len = ngx_min((size_t) (last - p), sizeof(peer->ssl_buf));

    ngx_memcpy(peer->ssl_buf, p, len);
    peer->ssl_text.len = len;
}

#else

ngx_int_t
ngx_readiness_redis_secure(ngx_readiness_redis_peer_t *peer)
{
    return NGX_OK;
}


void
ngx_readiness_redis_unsecure(ngx_connection_t *c)
{
}

#endif
