
/*
 * Copyright (C) The readiness authors
 */


/*
 * Where a Redis is: the lines "server" and "topology".  Nothing here asks the
 * network: host names are resolved by the workers.
 */


#include "redis/ngx_readiness_redis_internal.h"


#define NGX_READINESS_REDIS_PORT  6379


static char *ngx_readiness_redis_host(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_readiness_redis_server_t *server,
    ngx_url_t *u);
static ngx_uint_t ngx_readiness_redis_is_local(
    ngx_readiness_redis_server_t *server);


char *
ngx_readiness_redis_server(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    ngx_url_t                      u;
    ngx_readiness_redis_server_t  *server;

    server = ngx_array_push(&redis->servers);
    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_readiness_redis_server_t));

    server->text = *value;
    server->line = cf->conf_file->line;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *value;
    u.default_port = NGX_READINESS_REDIS_PORT;
    u.no_resolve = 1;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        return ngx_readiness_conf_error(cf, "%s in \"server %V\" of "
                                        "\"readiness_redis %V\": use "
                                        "HOST[:PORT], [IPV6][:PORT] or "
                                        "unix:/PATH",
                                        u.err ? u.err : "no memory", value,
                                        &redis->name);
    }

    if (u.family == AF_UNIX && u.host.data[0] != '/') {
        return ngx_readiness_conf_error(cf, "the path in \"server %V\" of "
                                        "\"readiness_redis %V\" is not "
                                        "absolute: use unix:/PATH", value,
                                        &redis->name);
    }

    server->no_port = u.no_port;

    if (u.naddrs == 0) {
        return ngx_readiness_redis_host(cf, redis, server, &u);
    }

    server->addrs = u.addrs;
    server->naddrs = u.naddrs;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_redis_host(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_readiness_redis_server_t *server, ngx_url_t *u)
{
    u_char      ch;
    ngx_str_t   local = ngx_string("localhost");
    ngx_uint_t  i, letters;

    server->port = u->port;
    server->host.len = u->host.len;
    server->host.data = ngx_pnalloc(cf->pool, u->host.len);
    if (server->host.data == NULL) {
        return NGX_CONF_ERROR;
    }

    letters = 0;

    for (i = 0; i < u->host.len; i++) {
        ch = ngx_tolower(u->host.data[i]);

        server->host.data[i] = ch;

        if ((ch >= 'a' && ch <= 'z') || ch == '-' || ch == '_') {
            letters = 1;

        } else if (ch != '.' && (ch < '0' || ch > '9')) {
            letters = 0;
            break;
        }
    }

    if (!letters) {
        return ngx_readiness_conf_error(cf, "\"%V\" in \"server %V\" of "
                                        "\"readiness_redis %V\" is neither "
                                        "an address nor a host name: use "
                                        "HOST[:PORT], [IPV6][:PORT] or "
                                        "unix:/PATH", &u->host,
                                        &server->text, &redis->name);
    }

    if (server->host.len != local.len
        || ngx_strncmp(server->host.data, local.data, local.len) != 0)
    {
        return NGX_CONF_OK;
    }

    /* this one name stands in the hosts file */

    u->host = local;

    if (ngx_inet_resolve_host(cf->pool, u) != NGX_OK) {
        return ngx_readiness_conf_error(cf, "%s: \"server %V\" of "
                                        "\"readiness_redis %V\": use "
                                        "127.0.0.1 or [::1]",
                                        u->err ? u->err : "no memory",
                                        &server->text, &redis->name);
    }

    server->addrs = u->addrs;
    server->naddrs = u->naddrs;

    return NGX_CONF_OK;
}


char *
ngx_readiness_redis_topology(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    if (ngx_strcmp(value->data, "single") == 0 && cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "cluster") == 0 && cf->args->nelts == 2) {
        redis->topology = NGX_READINESS_REDIS_CLUSTER;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "sentinel") == 0) {
        return ngx_readiness_redis_sentinel_topology(cf, redis, value);
    }

    return ngx_readiness_conf_error(cf, "\"topology %V\" of "
                                    "\"readiness_redis %V\" is not supported: "
                                    "use \"topology single;\", \"topology "
                                    "sentinel NAME;\" or \"topology "
                                    "cluster;\"", value, &redis->name);
}


char *
ngx_readiness_redis_servers(ngx_conf_t *cf, ngx_readiness_redis_t *redis)
{
    ngx_readiness_redis_server_t  *server;

    server = redis->servers.elts;

    if (redis->servers.nelts == 0) {
        return ngx_readiness_conf_error(cf, "\"readiness_redis %V\" has no "
                                        "\"server\": add one, such as "
                                        "\"server 127.0.0.1:6379;\"",
                                        &redis->name);
    }

    if (redis->topology == NGX_READINESS_REDIS_CLUSTER) {

        if (redis->database) {
            return ngx_readiness_conf_error(cf, "\"database %i\" of "
                                            "\"readiness_redis %V\": a "
                                            "cluster has database 0 only; "
                                            "delete the line",
                                            redis->database, &redis->name);
        }

        return NGX_CONF_OK;
    }

    if (redis->topology == NGX_READINESS_REDIS_SENTINEL) {
        return ngx_readiness_redis_sentinel_ports(cf, redis);
    }

    if (redis->servers.nelts > 1) {
        cf->conf_file->line = server[1].line;

        return ngx_readiness_conf_error(cf, "second \"server\" of "
                                        "\"readiness_redis %V\", \"%V\": "
                                        "a single Redis has one; delete "
                                        "a line, or write \"topology "
                                        "cluster;\"", &redis->name,
                                        &server[1].text);
    }

    return NGX_CONF_OK;
}


ngx_readiness_redis_server_t *
ngx_readiness_redis_remote(ngx_readiness_redis_t *redis)
{
    ngx_uint_t                     i;
    ngx_readiness_redis_server_t  *server;

    server = redis->servers.elts;

    for (i = 0; i < redis->servers.nelts; i++) {
        if (!ngx_readiness_redis_is_local(&server[i])) {
            return &server[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_readiness_redis_is_local(ngx_readiness_redis_server_t *server)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    if (server->addrs == NULL) {
        return 0;
    }

    switch (server->addrs[0].sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) server->addrs[0].sockaddr;

        return ntohl(sin->sin_addr.s_addr) >> 24 == 127;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) server->addrs[0].sockaddr;

        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr)
               || (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)
                   && sin6->sin6_addr.s6_addr[12] == 127);
#endif

    default: /* AF_UNIX */
        return 1;
    }
}


char *
ngx_readiness_redis_check(ngx_conf_t *cf, ngx_readiness_main_conf_t *rmcf)
{
    ngx_uint_t                      i, k;
    ngx_readiness_redis_t         **redis;
    ngx_http_core_loc_conf_t       *clcf;
    ngx_readiness_redis_server_t   *server;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    redis = rmcf->redis.elts;

    for (i = 0; i < rmcf->redis.nelts; i++) {

        server = redis[i]->servers.elts;

        /* a cluster may name hosts, too */

        if (clcf->resolver && clcf->resolver->connections.nelts) {
            redis[i]->resolver = clcf->resolver;
            continue;
        }

        for (k = 0; k < redis[i]->servers.nelts; k++) {
            if (server[k].addrs == NULL) {
                break;
            }
        }

        if (k == redis[i]->servers.nelts) {
            continue;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"server %V\" of \"readiness_redis %V\" names a host: "
                      "add \"resolver\" to http{}, or write an address in "
                      "%s:%ui", &server[k].text, &redis[i]->name,
                      redis[i]->file, redis[i]->line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
