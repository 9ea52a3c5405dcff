
/*
 * Copyright (C) The readiness authors
 */


/*
 * The lines "ssl" and "ssl_..." of readiness_redis.  Certificates and keys are
 * read by the master, and again when nginx is reloaded.
 */


#include "redis/ngx_readiness_redis_internal.h"


/* of certificates between Redis' own and the trusted one */
#define NGX_READINESS_REDIS_DEPTH  9


static char *ngx_readiness_redis_flag(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value, ngx_uint_t *flag);
static char *ngx_readiness_redis_ssl_file(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value, ngx_str_t *file);
static char *ngx_readiness_redis_ssl_check(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis);
#if (NGX_SSL)
static char *ngx_readiness_redis_ssl_create(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis);
#endif
static char *ngx_readiness_redis_ssl_none(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis);


#if (NGX_SSL)

/* a module that is built apart may meet an nginx that has no SSL */

#pragma weak ngx_ssl_create
#pragma weak ngx_ssl_trusted_certificate
#pragma weak ngx_ssl_certificate
#pragma weak ngx_ssl_cleanup_ctx

#endif


char *
ngx_readiness_redis_ssl(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    return ngx_readiness_redis_flag(cf, redis, value, &redis->tls.on);
}


char *
ngx_readiness_redis_ssl_verify(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    ngx_uint_t  verify;

    redis->tls.line = value[-1];

    if (ngx_readiness_redis_flag(cf, redis, value, &verify) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    redis->tls.unverified = !verify;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_redis_flag(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value, ngx_uint_t *flag)
{
    *flag = (ngx_strcmp(value->data, "on") == 0);

    if (*flag || ngx_strcmp(value->data, "off") == 0) {
        return NGX_CONF_OK;
    }

    return ngx_readiness_conf_error(cf, "invalid \"%V %V\" of "
                                    "\"readiness_redis %V\": use on or off",
                                    &value[-1], value, &redis->name);
}


char *
ngx_readiness_redis_ssl_name(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    u_char      ch;
    ngx_uint_t  i;

    redis->tls.line = value[-1];
    redis->tls.name = *value;

    for (i = 0; i < value->len; i++) {
        ch = ngx_tolower(value->data[i]);

        if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9')
            && ngx_strchr("._:-", ch) == NULL)
        {
            break;
        }
    }

    if (i == 0 || i < value->len || i > NGX_READINESS_REDIS_MAX_NAME) {
        return ngx_readiness_conf_error(cf, "invalid \"ssl_name %V\" of "
                                        "\"readiness_redis %V\": use the host "
                                        "name or the address that its "
                                        "certificate is for", value,
                                        &redis->name);
    }

    return NGX_CONF_OK;
}


char *
ngx_readiness_redis_ssl_trusted(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    return ngx_readiness_redis_ssl_file(cf, redis, value,
                                        &redis->tls.trusted);
}


char *
ngx_readiness_redis_ssl_certificate(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value)
{
    return ngx_readiness_redis_ssl_file(cf, redis, value,
                                        &redis->tls.certificate);
}


char *
ngx_readiness_redis_ssl_key(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    return ngx_readiness_redis_ssl_file(cf, redis, value, &redis->tls.key);
}


/* looked at here, where the line is known that names it */

static char *
ngx_readiness_redis_ssl_file(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value, ngx_str_t *file)
{
    int               fd;
    const char       *why;
    ngx_file_info_t   fi;

    redis->tls.line = value[-1];
    *file = *value;

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* a FIFO without a writer would hang an ordinary open() */

    fd = open((const char *) file->data, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (fd == -1) {
        why = strerror(ngx_errno);

    } else {
        why = (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi))
              ? "not a regular file" : NULL;

        (void) close(fd);
    }

    if (why == NULL) {
        return NGX_CONF_OK;
    }

    return ngx_readiness_conf_error(cf, "cannot read file \"%V\" of \"%V\" in "
                                    "\"readiness_redis %V\": %s", file,
                                    &value[-1], &redis->name, why);
}


char *
ngx_readiness_redis_ssl_complete(ngx_conf_t *cf, ngx_readiness_redis_t *redis)
{
    char  *rv;

    if (!redis->tls.on) {

        if (redis->tls.line.len == 0) {
            return NGX_CONF_OK;
        }

        return ngx_readiness_conf_error(cf, "\"%V\" of \"readiness_redis %V\" "
                                        "does nothing without \"ssl on\": add "
                                        "that, or delete the line",
                                        &redis->tls.line, &redis->name);
    }

    rv = ngx_readiness_redis_ssl_check(cf, redis);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

#if (NGX_SSL)

    if (ngx_ssl_create == NULL) {
        return ngx_readiness_redis_ssl_none(cf, redis);
    }

    return ngx_readiness_redis_ssl_create(cf, redis);

#else

    return ngx_readiness_redis_ssl_none(cf, redis);

#endif
}


static char *
ngx_readiness_redis_ssl_check(ngx_conf_t *cf, ngx_readiness_redis_t *redis)
{
    ngx_uint_t                     i;
    ngx_readiness_redis_tls_t     *tls;
    ngx_readiness_redis_server_t  *server;

    tls = &redis->tls;

    if (!tls->certificate.len != !tls->key.len) {
        return ngx_readiness_conf_error(cf, "\"readiness_redis %V\" has "
                                        "\"%s\" but no \"%s\": add it",
                                        &redis->name,
                                        tls->key.len ? "ssl_certificate_key"
                                                     : "ssl_certificate",
                                        tls->key.len ? "ssl_certificate"
                                                     : "ssl_certificate_key");
    }

    if (tls->unverified) {
        return NGX_CONF_OK;
    }

    if (tls->trusted.len == 0) {
        return ngx_readiness_conf_error(cf, "\"readiness_redis %V\" has no "
                                        "\"ssl_trusted_certificate\" to "
                                        "verify by: add one, with the "
                                        "authority that issued Redis' "
                                        "certificate (/etc/ssl/certs/"
                                        "ca-certificates.crt for public "
                                        "ones), or write \"ssl_verify off\"",
                                        &redis->name);
    }

    server = redis->servers.elts;

    for (i = 0; tls->name.len == 0 && i < redis->servers.nelts; i++) {

        if (server[i].addrs
            && server[i].addrs[0].sockaddr->sa_family == AF_UNIX)
        {
            return ngx_readiness_conf_error(cf, "\"server %V\" of "
                                            "\"readiness_redis %V\" has no "
                                            "name that a certificate could be "
                                            "for: add \"ssl_name\"",
                                            &server[i].text, &redis->name);
        }
    }

    return NGX_CONF_OK;
}


#if (NGX_SSL)

static char *
ngx_readiness_redis_ssl_create(ngx_conf_t *cf, ngx_readiness_redis_t *redis)
{
    ngx_str_t                  *file;
    const char                 *line;
    ngx_ssl_t                  *ssl;
    ngx_pool_cleanup_t         *cln;
    ngx_readiness_redis_tls_t  *tls;

    tls = &redis->tls;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (ssl == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    /* nginx says what is wrong with a file, but not where it is named */

    if (!tls->unverified
        && ngx_ssl_trusted_certificate(cf, ssl, &tls->trusted,
                                       NGX_READINESS_REDIS_DEPTH)
           != NGX_OK)
    {
        line = "ssl_trusted_certificate";
        file = &tls->trusted;
        goto failed;
    }

    if (tls->certificate.len
        && ngx_ssl_certificate(cf, ssl, &tls->certificate, &tls->key, NULL)
           != NGX_OK)
    {
        line = "ssl_certificate";
        file = &tls->certificate;
        goto failed;
    }

    tls->ssl = ssl;

    return NGX_CONF_OK;

failed:

    return ngx_readiness_conf_error(cf, "cannot use file \"%V\" of \"%s\"%s "
                                    "in \"readiness_redis %V\": see above",
                                    file, line,
                                    file == &tls->trusted ? ""
                                    : " with \"ssl_certificate_key\"",
                                    &redis->name);
}

#endif


static char *
ngx_readiness_redis_ssl_none(ngx_conf_t *cf, ngx_readiness_redis_t *redis)
{
    return ngx_readiness_conf_error(cf, "\"ssl on\" of \"readiness_redis %V\" "
                                    "needs an nginx that was built with "
                                    "--with-http_ssl_module: use one, or "
                                    "delete the line", &redis->name);
}
