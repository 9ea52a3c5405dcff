
/*
 * Copyright (C) The readiness authors
 */


/*
 * Redis Cluster as its nodes describe it: which slot a key is in, which node
 * a slot is on (CLUSTER NODES), and where a call has to go instead (MOVED,
 * ASK).
 */


#ifndef _RDY_CLUSTER_H_INCLUDED_
#define _RDY_CLUSTER_H_INCLUDED_


#include "rdy_base.h"


#define RDY_CLUSTER_SLOTS     16384
#define RDY_CLUSTER_NODES     1024      /* as many as Redis is made for */
#define RDY_CLUSTER_HOST_LEN  255

#define RDY_CLUSTER_NONE      0xffff    /* instead of a node's number */


typedef struct {
    rdy_str_t             host;      /* empty: the one that was asked */
    rdy_str_t             name;      /* its host name; empty: none is known */
    uint16_t              port;
    u_char                myself;    /* the node that was asked */
    u_char                replica;
    u_char                failed;
} rdy_cluster_node_t;


typedef struct {
    uint16_t              slots[RDY_CLUSTER_SLOTS];
    rdy_uint_t            nslots;    /* those that have a node */
    rdy_uint_t            nnodes;
    rdy_cluster_node_t    nodes[RDY_CLUSTER_NODES];
} rdy_cluster_map_t;


typedef enum {
    RDY_CLUSTER_OTHER = 0,
    RDY_CLUSTER_DOWN,                /* the map may have changed */
    RDY_CLUSTER_TRYAGAIN,            /* the slot is on its way elsewhere */
    RDY_CLUSTER_MOVED,
    RDY_CLUSTER_ASK,
    RDY_CLUSTER_GARBAGE              /* MOVED or ASK, but where to? */
} rdy_cluster_error_e;


typedef struct {
    rdy_uint_t            slot;
    rdy_str_t             host;      /* in the text; empty: the one that was
                                        asked */
    uint16_t              port;
} rdy_cluster_target_t;


/*
 * The slot of a key: of what stands between its first "{" and the next "}",
 * where that is not empty; else of the whole.
 */
rdy_uint_t rdy_cluster_slot(const rdy_str_t *key);


/*
 * Reads the reply to CLUSTER NODES.  The strings of map are in text.  Nodes
 * without an address, and those that are not yet part of the cluster, are
 * left out, and their slots have no node.  RDY_ERROR: this is no such reply,
 * a slot is on two nodes, or there are more than RDY_CLUSTER_NODES; *why says
 * which, and map is not to be used.
 */
rdy_int_t rdy_cluster_nodes(const rdy_str_t *text, rdy_cluster_map_t *map,
    const char **why);


/*
 * What an error reply (without its "-" and CRLF) says about the cluster;
 * target is set with MOVED and ASK.
 */
rdy_cluster_error_e rdy_cluster_error(const rdy_str_t *text,
    rdy_cluster_target_t *target);


#endif /* _RDY_CLUSTER_H_INCLUDED_ */
