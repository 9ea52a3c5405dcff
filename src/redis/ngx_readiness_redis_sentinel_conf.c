
/*
 * Copyright (C) The readiness authors
 */


/*
 * topology sentinel, as it is written: the servers of the block are sentinels,
 * with a user, a password and a port of their own.
 */


#include "redis/ngx_readiness_redis_internal.h"


#define NGX_READINESS_REDIS_SENTINEL_PORT  26379


char *
ngx_readiness_redis_sentinel_topology(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value)
{
    if (cf->args->nelts != 3) {
        return ngx_readiness_conf_error(cf, "\"topology sentinel\" of "
                                        "\"readiness_redis %V\" takes one "
                                        "name, not %ui: write what the "
                                        "sentinels call the master, such as "
                                        "\"topology sentinel mymaster;\"",
                                        &redis->name, cf->args->nelts - 2);
    }

    /* sentinels allow these names and no others */

    if (!ngx_readiness_name_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                                        "\"topology sentinel\" of "
                                        "\"readiness_redis %V\": use 1 to 64 "
                                        "of A-Z a-z 0-9 _ . -", &value[1],
                                        &redis->name);
    }

    redis->topology = NGX_READINESS_REDIS_SENTINEL;
    redis->master = value[1];

    return NGX_CONF_OK;
}


/* "topology" may stand behind the servers: what was left to us is known now */

char *
ngx_readiness_redis_sentinel_ports(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis)
{
    ngx_uint_t                     i, k;
    ngx_addr_t                    *addr;
    ngx_readiness_redis_server_t  *server;

    server = redis->servers.elts;

    for (i = 0; i < redis->servers.nelts; i++) {

        if (!server[i].no_port) {
            continue;
        }

        server[i].port = NGX_READINESS_REDIS_SENTINEL_PORT;

        for (k = 0; k < server[i].naddrs; k++) {
            addr = &server[i].addrs[k];

            ngx_inet_set_port(addr->sockaddr,
                              NGX_READINESS_REDIS_SENTINEL_PORT);

            addr->name.data = ngx_pnalloc(cf->pool, NGX_SOCKADDR_STRLEN);
            if (addr->name.data == NULL) {
                return NGX_CONF_ERROR;
            }

            addr->name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen,
                                           addr->name.data,
                                           NGX_SOCKADDR_STRLEN, 1);
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_readiness_redis_sentinel_user(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value)
{
    if (value->len == 0) {
        return ngx_readiness_conf_error(cf, "empty \"sentinel_user\" of "
                                        "\"readiness_redis %V\": write its "
                                        "name, or delete the line",
                                        &redis->name);
    }

    redis->sentinel_user = *value;

    return NGX_CONF_OK;
}


char *
ngx_readiness_redis_sentinel_password_file(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value)
{
    /* the next connection is made with what it holds then */

    redis->sentinel_password =
        ngx_readiness_file_add(cf, "sentinel_password_file", value,
                               ngx_readiness_redis_password_load, NULL, redis);

    return redis->sentinel_password ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_readiness_redis_sentinel_complete(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis)
{
    if (redis->sentinel_user.len && redis->sentinel_password == NULL) {
        return ngx_readiness_conf_error(cf, "\"sentinel_user %V\" of "
                                        "\"readiness_redis %V\" has no "
                                        "password: add "
                                        "\"sentinel_password_file\"",
                                        &redis->sentinel_user, &redis->name);
    }

    if (redis->sentinel_password
        && redis->topology != NGX_READINESS_REDIS_SENTINEL)
    {
        return ngx_readiness_conf_error(cf, "\"sentinel_password_file\" of "
                                        "\"readiness_redis %V\" does nothing: "
                                        "add \"topology sentinel NAME\", or "
                                        "delete the line", &redis->name);
    }

    return NGX_CONF_OK;
}
