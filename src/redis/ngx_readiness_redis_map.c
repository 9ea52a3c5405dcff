
/*
 * Copyright (C) The readiness authors
 */


/*
 * How a worker comes to know which node has which slot.  A round asks one
 * node after the other until one tells: first those we are connected to, then
 * a few of the others, then the "server" lines.  There is one round at a
 * time, and never one sooner than 100 ms after the last; the longer nothing
 * changes, the longer the pause between rounds that were asked for, up to 1 s;
 * without being asked for there is one every 8 to 10 s.
 */


#include "redis/ngx_readiness_redis_cluster.h"

#include <ngx_event.h>


#define NGX_READINESS_REDIS_PERIOD     10000    /* ms */
#define NGX_READINESS_REDIS_INTERVAL   100
#define NGX_READINESS_REDIS_TRIES      4
#define NGX_READINESS_REDIS_PAUSE      50
#define NGX_READINESS_REDIS_PAUSE_MAX  1000


static void ngx_readiness_redis_round(ngx_readiness_redis_cluster_t *cluster);
static ngx_readiness_redis_peer_t *ngx_readiness_redis_pick(
    ngx_readiness_redis_cluster_t *cluster);
static ngx_readiness_redis_peer_t *ngx_readiness_redis_pick_node(
    ngx_readiness_redis_cluster_t *cluster, ngx_uint_t connected);
static ngx_readiness_redis_peer_t *ngx_readiness_redis_pick_seed(
    ngx_readiness_redis_cluster_t *cluster);
static void ngx_readiness_redis_next(ngx_readiness_redis_cluster_t *cluster);
static void ngx_readiness_redis_unknown(
    ngx_readiness_redis_cluster_t *cluster);
static void ngx_readiness_redis_map_wrong(
    ngx_readiness_redis_cluster_t *cluster, ngx_readiness_redis_peer_t *peer,
    const char *what, const char *why);
static ngx_uint_t ngx_readiness_redis_take_map(
    ngx_readiness_redis_cluster_t *cluster, ngx_readiness_redis_peer_t *peer);
static void ngx_readiness_redis_known(ngx_readiness_redis_cluster_t *cluster,
    ngx_uint_t changed);
static void ngx_readiness_redis_timer(ngx_event_t *ev, ngx_msec_t wait);


void
ngx_readiness_redis_refresh(ngx_readiness_redis_cluster_t *cluster)
{
    ngx_msec_t      wait;
    ngx_msec_int_t  left;

    if (cluster->busy) {
        cluster->again = 1;
        return;
    }

    if (cluster->failures) {
        return;                       /* the next round is due anyway */
    }

    wait = NGX_READINESS_REDIS_INTERVAL << ngx_min(cluster->same, 4);
    wait = ngx_min(wait, NGX_READINESS_REDIS_PAUSE_MAX);

    left = (ngx_msec_int_t) (cluster->last + wait - ngx_current_msec);
    left = ngx_max(left, 0);

    if (cluster->fetch.timer_set
        && (ngx_msec_int_t) (cluster->fetch.timer.key - ngx_current_msec)
           <= left)
    {
        return;
    }

    ngx_readiness_redis_timer(&cluster->fetch, (ngx_msec_t) left);
}


void
ngx_readiness_redis_fetch_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_cluster_t *cluster = ev->data;

    if (cluster->busy) {
        ngx_readiness_redis_round(cluster);
        return;
    }

    if (ngx_exiting && cluster->map_number
        && cluster->worker->limbo->nwaiting == 0)
    {
        return;
    }

    cluster->busy = 1;
    cluster->again = 0;
    cluster->tries = 0;
    cluster->round++;
    cluster->last = ngx_current_msec;

    ngx_readiness_redis_round(cluster);
}


/* asks the next node of this round */

static void
ngx_readiness_redis_round(ngx_readiness_redis_cluster_t *cluster)
{
    ngx_msec_t                   wait;
    ngx_str_t                    args[2];
    ngx_readiness_redis_t       *redis;
    ngx_readiness_redis_peer_t  *peer;

    redis = cluster->worker->redis;

    ngx_str_set(&args[0], "CLUSTER");
    ngx_str_set(&args[1], "NODES");

    for ( ;; ) {

        peer = ngx_readiness_redis_pick(cluster);

        if (peer == NULL) {
            ngx_readiness_redis_unknown(cluster);
            return;
        }

        if (ngx_readiness_redis_usable(peer)
            && ngx_readiness_redis_command(peer, ngx_queue_last(&peer->unsent),
                                           NGX_READINESS_REDIS_NODES, NULL,
                                           args, 2)
               == NGX_OK)
        {
            break;
        }
    }

    wait = ngx_max(redis->timeout, NGX_READINESS_REDIS_INTERVAL);

    if (peer->state != NGX_READINESS_REDIS_UP) {
        wait += redis->connect_timeout;
    }

    cluster->asked = peer;

    ngx_readiness_redis_timer(&cluster->guard, wait);
    ngx_readiness_redis_send(peer);
}


static ngx_readiness_redis_peer_t *
ngx_readiness_redis_pick(ngx_readiness_redis_cluster_t *cluster)
{
    ngx_readiness_redis_node_t  *node;
    ngx_readiness_redis_peer_t  *peer;

    node = cluster->prefer;

    if (node) {
        cluster->prefer = NULL;
        node->round = cluster->round;

        peer = ngx_readiness_redis_node_peer(cluster, node);
        if (peer) {
            return peer;
        }
    }

    peer = ngx_readiness_redis_pick_node(cluster, 1);

    if (peer == NULL && cluster->tries < NGX_READINESS_REDIS_TRIES) {
        cluster->tries++;
        peer = ngx_readiness_redis_pick_node(cluster, 0);
    }

    return peer ? peer : ngx_readiness_redis_pick_seed(cluster);
}


/* beginning anywhere, so that all nodes are asked in turn */

static ngx_readiness_redis_peer_t *
ngx_readiness_redis_pick_node(ngx_readiness_redis_cluster_t *cluster,
    ngx_uint_t connected)
{
    ngx_uint_t                   i, k;
    ngx_readiness_redis_node_t  *node;

    k = cluster->nnodes ? (ngx_uint_t) ngx_random() % cluster->nnodes : 0;

    for (i = 0; i < cluster->nnodes; i++, k++) {
        node = cluster->nodes[k % cluster->nnodes];

        if (node == NULL || node->round == cluster->round || node->failed
            || node->told != cluster->map_number)
        {
            continue;
        }

        if (connected
            && (node->peer == NULL
                || node->peer->state != NGX_READINESS_REDIS_UP))
        {
            continue;
        }

        node->round = cluster->round;

        return ngx_readiness_redis_node_peer(cluster, node);
    }

    return NULL;
}


static ngx_readiness_redis_peer_t *
ngx_readiness_redis_pick_seed(ngx_readiness_redis_cluster_t *cluster)
{
    ngx_uint_t                   i;
    ngx_readiness_redis_peer_t  *peer;
    ngx_readiness_redis_seed_t  *seed;

    for (i = 0; i < cluster->nseeds; i++) {
        seed = &cluster->seeds[i];

        if (seed->round == cluster->round) {
            continue;
        }

        if (seed->peer == NULL) {
            seed->peer = ngx_readiness_redis_peer(cluster->worker,
                                                  seed->server);
            if (seed->peer == NULL) {
                return NULL;
            }

            seed->peer->lazy = 1;
        }

        peer = seed->peer;

        /* rounds have pauses of their own */

        if (peer->state == NGX_READINESS_REDIS_WAIT) {
            ngx_readiness_redis_cancel(&peer->retry);
            peer->state = NGX_READINESS_REDIS_IDLE;
        }

        /* a host name may have more addresses, the others are for later */

        if (peer->tried == 0) {
            seed->round = cluster->round;
        }

        return peer;
    }

    return NULL;
}


/* no map from the one that was asked */

static void
ngx_readiness_redis_next(ngx_readiness_redis_cluster_t *cluster)
{
    cluster->asked = NULL;

    ngx_readiness_redis_cancel(&cluster->guard);
    ngx_readiness_redis_timer(&cluster->fetch, 0);
}


/* nor from any other */

static void
ngx_readiness_redis_unknown(ngx_readiness_redis_cluster_t *cluster)
{
    ngx_uint_t  level;
    ngx_msec_t  delay;

    level = cluster->down ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, ngx_cycle->log, 0,
                  "readiness_redis \"%V\": no node told of the cluster, "
                  "%ui calls were waiting", &cluster->worker->redis->name,
                  cluster->worker->limbo->nwaiting);

    cluster->down = 1;
    cluster->busy = 0;

    delay = NGX_READINESS_REDIS_PAUSE << ngx_min(cluster->failures, 10);
    delay = ngx_min(delay, NGX_READINESS_REDIS_PAUSE_MAX);
    delay -= delay * (ngx_random() % 21) / 100;

    cluster->failures++;

    ngx_readiness_redis_timer(&cluster->fetch, delay);
    ngx_readiness_redis_limbo(cluster);
}


void
ngx_readiness_redis_map_guard_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_cluster_t *cluster = ev->data;

    ngx_readiness_redis_peer_t  *peer;

    peer = cluster->asked;

    ngx_readiness_redis_map_wrong(cluster, peer, "was not answered", NULL);
    ngx_readiness_redis_next(cluster);

    /* a connection for this alone is of no more use */

    if (peer->lazy && peer->nwaiting == 0) {
        ngx_readiness_redis_close(peer);
    }
}


void
ngx_readiness_redis_cluster_closed(ngx_readiness_redis_peer_t *peer)
{
    ngx_readiness_redis_cluster_t  *cluster;

    cluster = peer->worker->cluster;

    if (peer->redis->worker == NULL) {
        return;                       /* the process exits */
    }

    if (cluster->asked == peer) {
        ngx_readiness_redis_next(cluster);

    } else if (!peer->lazy && !ngx_exiting) {
        ngx_readiness_redis_refresh(cluster);
    }
}


void
ngx_readiness_redis_map_refused(ngx_readiness_redis_peer_t *peer)
{
    u_char                          text[NGX_READINESS_REDIS_MAX_TEXT + 1];
    ngx_readiness_redis_cluster_t  *cluster;

    cluster = peer->worker->cluster;

    if (cluster->asked != peer) {
        return;
    }

    *ngx_cpymem(text, peer->error.data, peer->error.len) = '\0';

    ngx_readiness_redis_map_wrong(cluster, peer, "was refused", (char *) text);
    ngx_readiness_redis_next(cluster);
}


static void
ngx_readiness_redis_map_wrong(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_peer_t *peer, const char *what, const char *why)
{
    ngx_uint_t  level;

    level = cluster->down ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, ngx_cycle->log, 0,
                  "readiness_redis \"%V\" at %V: \"CLUSTER NODES\" %s%s%s",
                  &cluster->worker->redis->name, &peer->server->text, what,
                  why ? ": " : "", why ? why : "");
}


void
ngx_readiness_redis_map_reply(ngx_readiness_redis_peer_t *peer)
{
    ngx_uint_t                      changed;
    const char                     *why;
    ngx_readiness_redis_cluster_t  *cluster;

    cluster = peer->worker->cluster;

    if (cluster->asked != peer) {
        return;                       /* too late */
    }

    if (rdy_cluster_nodes(&peer->reply, &cluster->map, &why) != RDY_OK
        || cluster->map.nslots == 0)
    {
        ngx_readiness_redis_map_wrong(cluster, peer, "has a reply that",
                                      why ? why : "knows of no slots");
        ngx_readiness_redis_next(cluster);
        return;
    }

    changed = ngx_readiness_redis_take_map(cluster, peer);

    ngx_readiness_redis_known(cluster, changed);
}


/* returns how many slots have another node than before */

static ngx_uint_t
ngx_readiness_redis_take_map(ngx_readiness_redis_cluster_t *cluster,
    ngx_readiness_redis_peer_t *peer)
{
    uint16_t                     number, numbers[RDY_CLUSTER_NODES];
    ngx_uint_t                   i, changed;
    rdy_cluster_map_t           *map;
    rdy_cluster_node_t          *told;
    ngx_readiness_redis_node_t  *node;

    map = &cluster->map;
    cluster->map_number++;

    for (i = 0; i < map->nnodes; i++) {

        told = &map->nodes[i];
        number = ngx_readiness_redis_node(cluster, peer, &told->host,
                                          told->port);
        numbers[i] = number;

        if (number == RDY_CLUSTER_NONE) {
            continue;
        }

        node = cluster->nodes[number];

        node->failed = told->failed;
        node->nslots = 0;
        node->namelen = told->name.len;
        ngx_memcpy(node->name, told->name.data, told->name.len);

        if (node->server.addrs) {

            /* not to be resolved, but what its certificate may be for */

            node->server.host.data = node->name;
            node->server.host.len = node->namelen;
        }

        if (told->myself) {
            ngx_readiness_redis_node_adopt(cluster, node, peer);
        }
    }

    changed = 0;

    for (i = 0; i < RDY_CLUSTER_SLOTS; i++) {

        number = map->slots[i];

        if (number != RDY_CLUSTER_NONE) {
            number = numbers[number];
        }

        if (number != RDY_CLUSTER_NONE) {
            cluster->nodes[number]->nslots++;
        }

        changed += (cluster->slots[i] != number);
        cluster->slots[i] = number;
    }

    for (i = 0; i < map->nnodes; i++) {

        if (numbers[i] == RDY_CLUSTER_NONE) {
            continue;
        }

        node = cluster->nodes[numbers[i]];

        if (node->peer) {
            node->peer->lazy = (node->nslots == 0);
        }
    }

    return changed;
}


static void
ngx_readiness_redis_known(ngx_readiness_redis_cluster_t *cluster,
    ngx_uint_t changed)
{
    ngx_str_t   *name;
    ngx_msec_t   wait;

    name = &cluster->worker->redis->name;

    if (changed) {
        cluster->worker->generation++;
        cluster->same = 0;

        if (cluster->map_number > 1) {
            ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                          "readiness_redis \"%V\": %ui slots of the cluster "
                          "have another master", name, changed);
        }

    } else {
        cluster->same++;
    }

    if (cluster->down) {
        cluster->down = 0;

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "readiness_redis \"%V\": the cluster is known again",
                      name);
    }

    cluster->asked = NULL;
    cluster->busy = 0;
    cluster->failures = 0;

    ngx_readiness_redis_cancel(&cluster->guard);

    wait = NGX_READINESS_REDIS_PERIOD;
    wait -= wait * (ngx_random() % 21) / 100;

    ngx_readiness_redis_timer(&cluster->fetch, wait);

    if (cluster->again) {
        ngx_readiness_redis_refresh(cluster);
    }

    /* connections are not closed here: this is the event of one of them */

    ngx_readiness_redis_timer(&cluster->reap, 0);

    ngx_readiness_redis_limbo(cluster);
}


static void
ngx_readiness_redis_timer(ngx_event_t *ev, ngx_msec_t wait)
{
    ngx_readiness_redis_cancel(ev);
    ngx_add_timer(ev, wait);
}
