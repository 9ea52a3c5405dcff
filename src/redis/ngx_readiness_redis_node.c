
/*
 * Copyright (C) The readiness authors
 */


/*
 * The nodes of a cluster, each with its one connection.  A node is known by
 * its address as text; it leaves when a map has no place for it.
 */


#include "redis/ngx_readiness_redis_cluster.h"

#include <ngx_event.h>


static ngx_int_t ngx_readiness_redis_node_address(
    ngx_readiness_redis_node_t *node, ngx_readiness_redis_peer_t *peer,
    const ngx_str_t *host, in_port_t port);
static ngx_int_t ngx_readiness_redis_node_ip(ngx_readiness_redis_node_t *node,
    const ngx_str_t *text);
static uint16_t ngx_readiness_redis_node_find(
    ngx_readiness_redis_cluster_t *cluster, ngx_readiness_redis_node_t *node);
static uint16_t ngx_readiness_redis_node_add(
    ngx_readiness_redis_cluster_t *cluster, ngx_readiness_redis_node_t *node);


uint16_t
ngx_readiness_redis_node(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_peer_t *peer, const ngx_str_t *host, in_port_t port)
{
    uint16_t                     number;
    ngx_readiness_redis_node_t   node;

    ngx_memzero(&node, sizeof(ngx_readiness_redis_node_t));

    if (ngx_readiness_redis_node_address(&node, peer, host, port) != NGX_OK) {
        return RDY_CLUSTER_NONE;
    }

    number = ngx_readiness_redis_node_find(cluster, &node);

    if (number == RDY_CLUSTER_NONE
        && (node.server.addrs || cluster->worker->redis->resolver))
    {
        number = ngx_readiness_redis_node_add(cluster, &node);
    }

    if (number != RDY_CLUSTER_NONE) {
        cluster->nodes[number]->told = cluster->map_number;
    }

    return number;
}


/* sets the text, and the address or the host that has to be resolved */

static ngx_int_t
ngx_readiness_redis_node_address(ngx_readiness_redis_node_t *node,
    ngx_readiness_redis_peer_t *peer, const ngx_str_t *host, in_port_t port)
{
    ngx_addr_t                    *addr;
    ngx_readiness_redis_server_t  *server;

    server = &node->server;
    server->text.data = node->text;
    server->port = port;

    if (host->len == 0) {

        /* the one that was asked; by a socket's path there is no other port */

        if (peer->naddrs == 0) {
            return NGX_ERROR;
        }

        addr = &peer->addrs[peer->addr % peer->naddrs];

        ngx_memcpy(&node->sockaddr, addr->sockaddr,
                   ngx_min(addr->socklen, sizeof(ngx_sockaddr_t)));
        node->addr.socklen = addr->socklen;

    } else if (ngx_readiness_redis_node_ip(node, host) != NGX_OK) {
        server->text.len = ngx_sprintf(node->text, "%V:%ui", host,
                                       (ngx_uint_t) port)
                           - node->text;
        server->host.data = node->text;
        server->host.len = host->len;

        return NGX_OK;
    }

    if (node->sockaddr.sockaddr.sa_family != AF_UNIX) {
        ngx_inet_set_port(&node->sockaddr.sockaddr, port);
    }

    node->addr.sockaddr = &node->sockaddr.sockaddr;
    server->text.len = ngx_sock_ntop(node->addr.sockaddr, node->addr.socklen,
                                     node->text, sizeof(node->text), 1);
    server->addrs = &node->addr;
    server->naddrs = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_redis_node_ip(ngx_readiness_redis_node_t *node,
    const ngx_str_t *text)
{
    in_addr_t             inaddr;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;

    sin6 = &node->sockaddr.sockaddr_in6;

    if (ngx_inet6_addr(text->data, text->len, sin6->sin6_addr.s6_addr)
        == NGX_OK)
    {
        sin6->sin6_family = AF_INET6;
        node->addr.socklen = sizeof(struct sockaddr_in6);

        return NGX_OK;
    }

    ngx_memzero(sin6, sizeof(struct sockaddr_in6));

#endif

    inaddr = ngx_inet_addr(text->data, text->len);
    if (inaddr == INADDR_NONE) {
        return NGX_DECLINED;
    }

    sin = &node->sockaddr.sockaddr_in;
    sin->sin_family = AF_INET;
    sin->sin_addr.s_addr = inaddr;
    node->addr.socklen = sizeof(struct sockaddr_in);

    return NGX_OK;
}


/* by its address, or by the host name that a map gave it */

static uint16_t
ngx_readiness_redis_node_find(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_node_t *node)
{
    ngx_str_t                    *text, *host;
    ngx_uint_t                    i;
    ngx_readiness_redis_node_t   *known;

    text = &node->server.text;
    host = &node->server.host;

    for (i = 0; i < cluster->nnodes; i++) {

        known = cluster->nodes[i];
        if (known == NULL) {
            continue;
        }

        if ((known->server.text.len == text->len
             && ngx_memcmp(known->text, text->data, text->len) == 0)
            || (host->len && known->namelen == host->len
                && known->server.port == node->server.port
                && ngx_memcmp(known->name, host->data, host->len) == 0))
        {
            return (uint16_t) i;
        }
    }

    return RDY_CLUSTER_NONE;
}


static uint16_t
ngx_readiness_redis_node_add(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_node_t *node)
{
    ngx_uint_t                   i;
    ngx_readiness_redis_node_t  *n;

    for (i = 0; i < cluster->nnodes; i++) {
        if (cluster->nodes[i] == NULL) {
            break;
        }
    }

    if (i == NGX_READINESS_REDIS_MAX_NODES) {
        return RDY_CLUSTER_NONE;
    }

    n = ngx_alloc(sizeof(ngx_readiness_redis_node_t), ngx_cycle->log);
    if (n == NULL) {
        return RDY_CLUSTER_NONE;
    }

    *n = *node;

    n->server.text.data = n->text;
    n->addr.name = n->server.text;

    if (n->server.addrs) {
        n->addr.sockaddr = &n->sockaddr.sockaddr;
        n->server.addrs = &n->addr;

    } else {
        n->server.host.data = n->text;
    }

    cluster->nodes[i] = n;
    cluster->nnodes = ngx_max(cluster->nnodes, i + 1);

    return (uint16_t) i;
}


ngx_readiness_redis_peer_t *
ngx_readiness_redis_node_peer(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_node_t *node)
{
    if (node->peer == NULL) {
        node->peer = ngx_readiness_redis_peer(cluster->worker, &node->server);

        if (node->peer) {
            node->peer->lazy = (node->nslots == 0);
        }
    }

    return node->peer;
}


void
ngx_readiness_redis_node_adopt(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_node_t *node, ngx_readiness_redis_peer_t *peer)
{
    ngx_uint_t  i;

    if (node->peer || node->server.addrs == NULL) {
        return;
    }

    for (i = 0; i < cluster->nseeds; i++) {

        if (cluster->seeds[i].peer != peer) {
            continue;
        }

        cluster->seeds[i].peer = NULL;

        node->peer = peer;

        peer->server = &node->server;
        peer->addrs = node->server.addrs;
        peer->naddrs = 1;
        peer->addr = 0;

        return;
    }
}


void
ngx_readiness_redis_reap_handler(ngx_event_t *ev)
{
    ngx_uint_t                      i, wait;
    ngx_readiness_redis_node_t     *node;
    ngx_readiness_redis_peer_t     *peer;
    ngx_readiness_redis_cluster_t  *cluster;

    cluster = ev->data;
    wait = 0;

    for (i = 0; i < cluster->nseeds; i++) {
        peer = cluster->seeds[i].peer;

        if (peer && peer->connection && peer != cluster->asked) {
            ngx_readiness_redis_close(peer);
        }
    }

    for (i = 0; i < cluster->nnodes; i++) {
        node = cluster->nodes[i];

        if (node == NULL || node->told == cluster->map_number) {
            continue;
        }

        if (node->peer && (node->peer->nwaiting
                           || node->peer == cluster->asked))
        {
            /* they are answered, by their deadline at the latest */

            wait = 1;
            continue;
        }

        if (node->peer) {
            ngx_readiness_redis_gone(node->peer);
        }

        if (cluster->prefer == node) {
            cluster->prefer = NULL;
        }

        ngx_free(node);
        cluster->nodes[i] = NULL;
    }

    if (wait) {
        ngx_add_timer(&cluster->reap, cluster->worker->redis->timeout);
    }
}
