
/*
 * Copyright (C) The readiness authors
 */


/*
 * A worker's view of a Redis Cluster: its nodes, which of them has which
 * slot, and how it comes to know.
 */


#ifndef _NGX_READINESS_REDIS_CLUSTER_H_INCLUDED_
#define _NGX_READINESS_REDIS_CLUSTER_H_INCLUDED_


#include "redis/ngx_readiness_redis_internal.h"
#include "redis/rdy_cluster.h"


/* nodes of the map, those that leave, and those that MOVED and ASK named */
#define NGX_READINESS_REDIS_MAX_NODES  (2 * RDY_CLUSTER_NODES)

#define NGX_READINESS_REDIS_REDIRECTS  3        /* of one call */


typedef struct {
    ngx_readiness_redis_server_t   server;
    ngx_readiness_redis_peer_t    *peer;     /* NULL: not needed so far */

    ngx_uint_t                     round;    /* that it was asked in */
    ngx_uint_t                     told;     /* the last map that had it */
    ngx_uint_t                     nslots;
    ngx_uint_t                     failed;

    ngx_addr_t                     addr;
    ngx_sockaddr_t                 sockaddr;
    size_t                         namelen;  /* its host name, or 0 */
    u_char                         name[RDY_CLUSTER_HOST_LEN];
    u_char                         text[RDY_CLUSTER_HOST_LEN
                                        + sizeof("[]:65535") - 1];
} ngx_readiness_redis_node_t;


/* a "server" line: asked when no node of the map answers */

typedef struct {
    ngx_readiness_redis_server_t  *server;
    ngx_readiness_redis_peer_t    *peer;
    ngx_uint_t                     round;
} ngx_readiness_redis_seed_t;


struct ngx_readiness_redis_cluster_s {

    /* debug logging of events looks for a descriptor behind three pointers */

    ngx_readiness_redis_worker_t  *worker;
    ngx_readiness_redis_peer_t    *asked;    /* for the map */
    ngx_readiness_redis_node_t    *prefer;   /* that knows of a change */
    ngx_socket_t                   ident;

    ngx_uint_t                     map_number;  /* 0: none was taken yet */
    ngx_uint_t                     round;
    ngx_uint_t                     busy;     /* a round is under way */
    ngx_uint_t                     again;    /* it may come too early */
    ngx_uint_t                     tries;    /* of nodes not connected */
    ngx_uint_t                     failures; /* rounds in a row */
    ngx_uint_t                     same;     /* maps in a row */
    ngx_uint_t                     down;     /* and it was logged */
    ngx_msec_t                     last;     /* start of a round */

    ngx_event_t                    fetch;    /* a round, or its next try */
    ngx_event_t                    guard;    /* of what is asked */
    ngx_event_t                    reap;     /* those that leave */

    ngx_readiness_redis_seed_t    *seeds;
    ngx_uint_t                     nseeds;
    ngx_uint_t                     nnodes;   /* places in use, some empty */
    ngx_readiness_redis_node_t    *nodes[NGX_READINESS_REDIS_MAX_NODES];
    uint16_t                       slots[RDY_CLUSTER_SLOTS];
    rdy_cluster_map_t              map;      /* while it is taken */
};


/* nodes: ngx_readiness_redis_node.c */

/*
 * The number of the node at host and port as peer told them, a new one where
 * it was not known.  RDY_CLUSTER_NONE: no way to it is known.
 */
uint16_t ngx_readiness_redis_node(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_peer_t *peer, const ngx_str_t *host, in_port_t port);

/* its connection, a new one where it had none; NULL: no memory */
ngx_readiness_redis_peer_t *ngx_readiness_redis_node_peer(
    ngx_readiness_redis_cluster_t *cluster, ngx_readiness_redis_node_t *node);

/* peer, of a "server" line, has turned out to be connected to this node */
void ngx_readiness_redis_node_adopt(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_node_t *node, ngx_readiness_redis_peer_t *peer);

/* closes what the last map had no use for */
void ngx_readiness_redis_reap_handler(ngx_event_t *ev);


/* the map: ngx_readiness_redis_map.c */

/* the map may have changed: asks for it soon */
void ngx_readiness_redis_refresh(ngx_readiness_redis_cluster_t *cluster);

void ngx_readiness_redis_fetch_handler(ngx_event_t *ev);
void ngx_readiness_redis_map_guard_handler(ngx_event_t *ev);


/* calls: ngx_readiness_redis_cluster.c */

/* the map is known now, or no node has told it: on with the calls */
void ngx_readiness_redis_limbo(ngx_readiness_redis_cluster_t *cluster);


#endif /* _NGX_READINESS_REDIS_CLUSTER_H_INCLUDED_ */
