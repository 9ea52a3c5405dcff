
/*
 * Copyright (C) The readiness authors
 */


/*
 * What the files of the redis room share: the configuration of one Redis, one
 * worker's place at it, and a connection to one of its nodes with the calls
 * that it owes replies to.
 */


#ifndef _NGX_READINESS_REDIS_INTERNAL_H_INCLUDED_
#define _NGX_READINESS_REDIS_INTERNAL_H_INCLUDED_


#include "redis/ngx_readiness_redis.h"
#include "redis/rdy_breaker.h"
#include "redis/rdy_items.h"


#define NGX_READINESS_REDIS_MAX_CALLS    4096
#define NGX_READINESS_REDIS_MAX_UNSENT   (1024 * 1024)
#define NGX_READINESS_REDIS_MAX_REPLY    (64 * 1024)
#define NGX_READINESS_REDIS_MAX_MAP      (1024 * 1024)   /* CLUSTER NODES */
#define NGX_READINESS_REDIS_MAX_TEXT     256      /* of an error reply */
#define NGX_READINESS_REDIS_MAX_ADDRS    8
#define NGX_READINESS_REDIS_MAX_NAME     253      /* of a host */
#define NGX_READINESS_REDIS_MAX_SCRIPTS  4

#define NGX_READINESS_REDIS_NUMBER_LEN   8

#define NGX_READINESS_REDIS_OWED         10       /* x timeout */

/* a connection that lived as long may be replaced without waiting */
#define NGX_READINESS_REDIS_LIVED        1000

/* the same complaint about calls is logged once in so many seconds */
#define NGX_READINESS_REDIS_QUIET        10


typedef struct ngx_readiness_redis_peer_s    ngx_readiness_redis_peer_t;
typedef struct ngx_readiness_redis_worker_s  ngx_readiness_redis_worker_t;
typedef struct ngx_readiness_redis_cluster_s
                                             ngx_readiness_redis_cluster_t;
typedef struct ngx_readiness_redis_sentinel_s
                                             ngx_readiness_redis_sentinel_t;


typedef enum {
    NGX_READINESS_REDIS_SINGLE = 0,
    NGX_READINESS_REDIS_SENTINEL,
    NGX_READINESS_REDIS_CLUSTER
} ngx_readiness_redis_topology_e;


/* where a node is */

typedef struct {
    ngx_str_t                     text;      /* as it was written */
    ngx_addr_t                   *addrs;     /* NULL: host has to be asked */
    ngx_uint_t                    naddrs;
    ngx_str_t                     host;
    in_port_t                     port;
    ngx_uint_t                    no_port;   /* it was left to us */
    ngx_uint_t                    line;
} ngx_readiness_redis_server_t;


/* the lines "ssl" and "ssl_..." */

typedef struct {
    ngx_uint_t                    on;
    ngx_uint_t                    unverified;
    ngx_str_t                     name;
    ngx_str_t                     trusted;   /* files */
    ngx_str_t                     certificate;
    ngx_str_t                     key;
    ngx_str_t                     line;      /* the last "ssl_..." */
    ngx_ssl_t                    *ssl;       /* NULL: off */
} ngx_readiness_redis_tls_t;


struct ngx_readiness_redis_s {
    ngx_str_t                       name;
    ngx_readiness_redis_topology_e  topology;
    ngx_array_t                     servers; /* ..._server_t */
    ngx_resolver_t                 *resolver;  /* http's, set at its end */

    ngx_str_t                       user;
    ngx_readiness_file_t           *password;  /* data: ngx_str_t */
    ngx_readiness_redis_tls_t       tls;
    ngx_str_t                       master;  /* what sentinels call it */
    ngx_str_t                       sentinel_user;
    ngx_readiness_file_t           *sentinel_password;
    ngx_int_t                       database;
    ngx_msec_t                      timeout;
    ngx_msec_t                      connect_timeout;
    ngx_uint_t                      failures;  /* of the breaker; 0: off */
    ngx_msec_t                      retry;
    ngx_str_t                       prefix;

    ngx_uint_t                      given;   /* lines seen, a bit for each */
    u_char                         *file;
    ngx_uint_t                      line;

    ngx_readiness_redis_worker_t   *worker;  /* NULL outside of workers */
};


/* what a worker knows of a Redis, whichever of its nodes it talks to */

struct ngx_readiness_redis_worker_s {
    ngx_readiness_redis_t        *redis;
    ngx_queue_t                   peers;     /* all of them */
    ngx_readiness_redis_peer_t   *peer;      /* single: the one; sentinel:
                                                the master */
    ngx_readiness_redis_cluster_t
                                 *cluster;   /* NULL: another topology */
    ngx_readiness_redis_sentinel_t
                                 *sentinel;  /* NULL: another topology */
    ngx_readiness_redis_peer_t   *limbo;     /* cluster: never connected, calls
                                                wait there for the map */

    uint64_t                      number;    /* of the next call */
    ngx_uint_t                    generation;
    ngx_event_t                  *ready;     /* posted then; NULL: nobody's */

    ngx_readiness_script_t       *scripts[NGX_READINESS_REDIS_MAX_SCRIPTS];
    ngx_uint_t                    nscripts;

    /* counted since the worker began, for the observe room */

    ngx_uint_t                    ncalls;
    ngx_uint_t                    ndeclined;
    ngx_uint_t                    nok;
    ngx_uint_t                    ntimeouts;
    ngx_uint_t                    nrefused;
    ngx_uint_t                    nclosed;
    ngx_uint_t                    nprotocol;
    ngx_uint_t                    nconnects;
};


/*
 * One command and the reply that is owed for it.  Its bytes follow it in
 * memory.  Up to LOAD: what a new connection begins with.
 */

typedef enum {
    NGX_READINESS_REDIS_AUTH = 0,
    NGX_READINESS_REDIS_SELECT,
    NGX_READINESS_REDIS_ROLE,
    NGX_READINESS_REDIS_MASTER,      /* of a sentinel */
    NGX_READINESS_REDIS_LOAD,
    NGX_READINESS_REDIS_ASKING,
    NGX_READINESS_REDIS_NODES,
    NGX_READINESS_REDIS_EVALSHA,
    NGX_READINESS_REDIS_EVAL
} ngx_readiness_redis_kind_e;


typedef struct {
    ngx_queue_t                   queue;     /* in unsent or in sent */
    ngx_queue_t                   due;
    ngx_readiness_redis_kind_e    kind;
    ngx_readiness_redis_call_t   *call;      /* NULL: nobody waits */
    ngx_readiness_script_t       *script;
    ngx_readiness_redis_rc_e      rc;        /* told if the connection ends */
    ngx_msec_t                    start;
    u_char                        number[NGX_READINESS_REDIS_NUMBER_LEN];
    size_t                        nargs;
    u_char                       *args;      /* behind the script's name */
    u_char                       *pos;       /* not yet written */
    u_char                       *last;
    ngx_uint_t                    offered;   /* to TLS, which may have sent a
                                                part and wants it again */
    ngx_uint_t                    repeated;
    ngx_uint_t                    redirects;
    ngx_uint_t                    asking;    /* ASKING goes before it */
    ngx_uint_t                    probe;     /* of the breaker, not a call */
} ngx_readiness_redis_entry_t;


#define ngx_readiness_redis_bytes(e)  ((u_char *) ((e) + 1))
#define ngx_readiness_redis_begun(e)                                          \
    ((e)->pos != ngx_readiness_redis_bytes(e) || (e)->offered)


typedef enum {
    NGX_READINESS_REDIS_GONE = 0,   /* the process exits */
    NGX_READINESS_REDIS_WAIT,       /* until the next attempt is due */
    NGX_READINESS_REDIS_IDLE,       /* the next call connects */
    NGX_READINESS_REDIS_SEEKING,    /* sentinels, where the master is */
    NGX_READINESS_REDIS_RESOLVING,
    NGX_READINESS_REDIS_CONNECTING,
    NGX_READINESS_REDIS_SECURING,   /* the TLS handshake */
    NGX_READINESS_REDIS_PRELUDE,    /* calls are held back */
    NGX_READINESS_REDIS_UP
} ngx_readiness_redis_state_e;


struct ngx_readiness_redis_peer_s {

    /* debug logging of events looks for a descriptor behind three pointers */

    ngx_readiness_redis_t        *redis;
    ngx_connection_t             *connection;
    redisReader                  *reader;
    ngx_socket_t                  ident;

    ngx_readiness_redis_worker_t *worker;
    ngx_queue_t                   queue;     /* in the worker's peers */
    const ngx_readiness_redis_server_t
                                 *server;    /* the node */
    ngx_uint_t                    asked;     /* it is a sentinel, no node */

    ngx_readiness_redis_state_e   state;
    ngx_uint_t                    lazy;      /* connects only when asked */

    ngx_queue_t                   unsent;    /* the first may be in part */
    ngx_queue_t                   sent;      /* replies come in this order */
    size_t                        nunsent;   /* bytes */
    ngx_uint_t                    nentries;  /* in both */
    ngx_uint_t                    nwaiting;  /* entries with a call */
    ngx_uint_t                    nprelude;
    ngx_uint_t                    nevals;
    ngx_uint_t                    nprobes;

    rdy_breaker_t                 breaker;   /* open, since, times: for the
                                                observe room */
    ngx_readiness_redis_call_t    probe;
    ngx_event_t                   probe_at;  /* cancelable */
    ngx_uint_t                    loaded;    /* a script, by the prelude */

    ngx_event_t                   retry;     /* cancelable */
    ngx_event_t                   guard;     /* connect_timeout; cancelable */
    ngx_event_t                   deadline;  /* of the waiting calls */
    ngx_event_t                   owed;      /* cancelable */
    ngx_event_t                   broken;    /* posted */
    const char                   *why;       /* broken */

    ngx_peer_connection_t         pc;
    ngx_log_t                     silent;    /* for attempts after the first */
    ngx_resolver_ctx_t           *resolving;
    ngx_str_t                     host;      /* the resolver writes into it */
    ngx_addr_t                   *addrs;     /* configured or last resolved */
    ngx_uint_t                    naddrs;
    ngx_uint_t                    addr;      /* the one in use */
    ngx_uint_t                    tried;     /* since the last pause */
    ngx_addr_t                    resolved[NGX_READINESS_REDIS_MAX_ADDRS];
    ngx_sockaddr_t                sockaddrs[NGX_READINESS_REDIS_MAX_ADDRS];
    u_char                        names[NGX_READINESS_REDIS_MAX_ADDRS]
                                       [NGX_SOCKADDR_STRLEN];

    ngx_log_t                     ssl_log;   /* writes into ssl_text */
    ngx_str_t                     ssl_text;  /* what TLS complained of */
    u_char                        ssl_buf[2 * NGX_READINESS_REDIS_MAX_TEXT];

    ngx_msec_t                    started;   /* this attempt */
    ngx_msec_t                    since;     /* up */
    ngx_uint_t                    down;      /* and it was logged */
    time_t                        refused_at;
    time_t                        timeout_at;

    int                           type;      /* REDIS_REPLY_..., of reply */
    ngx_str_t                     reply;
    rdy_items_t                   items;     /* pos: the end of what came */
    u_char                       *buffer;    /* that both are in */
    ngx_uint_t                    large;     /* and that is no longer kept */
    ngx_str_t                     error;     /* an error reply, made safe */
    u_char                        text[NGX_READINESS_REDIS_MAX_TEXT];
};


/* configuration: ngx_readiness_redis_servers.c */

/* the lines "server" and "topology" */
char *ngx_readiness_redis_server(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value);
char *ngx_readiness_redis_topology(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);

/* at the end of the block: do the servers suit the topology */
char *ngx_readiness_redis_servers(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis);

/* what "topology sentinel" has of its own */
char *ngx_readiness_redis_sentinel_topology(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
char *ngx_readiness_redis_sentinel_ports(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis);
char *ngx_readiness_redis_sentinel_user(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
char *ngx_readiness_redis_sentinel_password_file(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
char *ngx_readiness_redis_sentinel_complete(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis);

/* of a file, its first line that is not blank: a ngx_str_t */
void *ngx_readiness_redis_password_load(void *owner, ngx_pool_t *pool,
    const ngx_str_t *content, u_char *err, size_t errlen);

/* the first server to which bytes leave this machine; NULL: none */
ngx_readiness_redis_server_t *ngx_readiness_redis_remote(
    ngx_readiness_redis_t *redis);


/* TLS: ngx_readiness_redis_ssl_conf.c, ngx_readiness_redis_ssl.c */

/* the lines of the block, and its end */
char *ngx_readiness_redis_ssl(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value);
char *ngx_readiness_redis_ssl_verify(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
char *ngx_readiness_redis_ssl_name(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
char *ngx_readiness_redis_ssl_trusted(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
char *ngx_readiness_redis_ssl_certificate(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
char *ngx_readiness_redis_ssl_key(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
char *ngx_readiness_redis_ssl_complete(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis);

/*
 * For a socket that has just been connected, whoever is at its other end.
 * NGX_OK: go on, it is secure or need not be.  NGX_AGAIN:
 * ngx_readiness_redis_begin() will be called.  NGX_ERROR: it was closed.
 */
ngx_int_t ngx_readiness_redis_secure(ngx_readiness_redis_peer_t *peer);

/* before it is closed; never waits */
void ngx_readiness_redis_unsecure(ngx_connection_t *c);


/* one node: ngx_readiness_redis_peer.c */

/*
 * A peer that is IDLE.  server is used until the peer is gone.  NULL: no
 * memory.
 */
ngx_readiness_redis_peer_t *ngx_readiness_redis_peer(
    ngx_readiness_redis_worker_t *worker,
    const ngx_readiness_redis_server_t *server);

/* closes the connection, tells the callers, and frees the peer: not from
   within one of its own events */
void ngx_readiness_redis_gone(ngx_readiness_redis_peer_t *peer);

/* whether it takes a call; connects from IDLE */
ngx_uint_t ngx_readiness_redis_usable(ngx_readiness_redis_peer_t *peer);

/* as ngx_readiness_redis_eval(), at this node */
ngx_int_t ngx_readiness_redis_ask(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call);

/* the same, whatever its breaker says, and untold to it when declined */
ngx_int_t ngx_readiness_redis_try(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call);


/* calls: ngx_readiness_redis_call.c */

/* queues a call; NGX_OK, or NGX_ERROR: no memory, or too much is unsent */
ngx_int_t ngx_readiness_redis_push(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call);

/*
 * Queues a command of our own behind the entry or sentinel that after links;
 * LOAD needs script alone.  NGX_OK, or NGX_ERROR: no memory.
 */
ngx_int_t ngx_readiness_redis_command(ngx_readiness_redis_peer_t *peer,
    ngx_queue_t *after, ngx_readiness_redis_kind_e kind,
    ngx_readiness_script_t *script, const ngx_str_t *args, ngx_uint_t nargs);

/*
 * Sends a call again that Redis did not know the script of; e is in no queue.
 * NGX_OK, or NGX_ERROR: no memory, e is the caller's still.
 */
ngx_int_t ngx_readiness_redis_repeat(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e);

/* ASKING, if e needs it to go before; NGX_OK, or NGX_ERROR: no memory */
ngx_int_t ngx_readiness_redis_asking(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e);

/*
 * Sends a call at another node, to, that one did not do; e is in no queue.  It
 * keeps its deadline.
 */
void ngx_readiness_redis_move(ngx_readiness_redis_peer_t *from,
    ngx_readiness_redis_peer_t *to, ngx_readiness_redis_entry_t *e);

/* takes e out of its queue; it is the caller's then */
void ngx_readiness_redis_take(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e);

/* frees e, which is in no queue, and tells who waits for it; payload may be
   NULL */
void ngx_readiness_redis_finish(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e, ngx_readiness_redis_rc_e rc,
    const ngx_str_t *payload);

/* calls the handler of call, which waits no longer */
void ngx_readiness_redis_answer(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_call_t *call, ngx_readiness_redis_rc_e rc,
    const ngx_str_t *payload);


/* a new password: ngx_readiness_redis_password.c */

/* of password_file, whose owner is the Redis */
void ngx_readiness_redis_password_changed(void *owner);

/* the reply to an AUTH that was no part of a prelude; peer->error: why not */
void ngx_readiness_redis_password_told(ngx_readiness_redis_peer_t *peer,
    ngx_uint_t accepted);


/* the breaker: ngx_readiness_redis_breaker.c */

/* the line "breaker", which may have two values */
char *ngx_readiness_redis_breaker(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);

void ngx_readiness_redis_breaker_init(ngx_readiness_redis_peer_t *peer);

/* how a call ended; rc OK with failed(): it could not be made */
void ngx_readiness_redis_succeeded(ngx_readiness_redis_peer_t *peer);
void ngx_readiness_redis_failed(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *text);

/* there is a connection, or there is none any more */
void ngx_readiness_redis_probe_up(ngx_readiness_redis_peer_t *peer);
void ngx_readiness_redis_probe_down(ngx_readiness_redis_peer_t *peer);


/* topology sentinel: ngx_readiness_redis_sentinel.c */

/* a peer for each sentinel, and worker->peer for the master; NGX_OK, or
   NGX_ERROR: no memory */
ngx_int_t ngx_readiness_redis_sentinels(ngx_readiness_redis_worker_t *worker,
    ngx_pool_t *pool);

/* no more questions */
void ngx_readiness_redis_sentinels_gone(ngx_readiness_redis_worker_t *worker);

/* has the sentinels asked, and the master connected to where they say */
void ngx_readiness_redis_discover(ngx_readiness_redis_peer_t *peer);

/*
 * The reply to ROLE or MASTER was read.  NGX_OK, or NGX_ERROR: it is not what
 * we need, and the connection was closed.
 */
ngx_int_t ngx_readiness_redis_told(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_kind_e kind);

/* a master or a sentinel is up, its prelude was answered */
void ngx_readiness_redis_found(ngx_readiness_redis_peer_t *peer);

/*
 * A connection to a master or a sentinel was closed, or never was one.
 * NGX_OK: it is to be tried again; NGX_DONE: it is not, until it is needed.
 */
ngx_int_t ngx_readiness_redis_parted(ngx_readiness_redis_peer_t *peer);

/* what to do about an error reply of a sentinel */
const char *ngx_readiness_redis_advice(ngx_readiness_redis_peer_t *peer);


/* connect: ngx_readiness_redis_connect.c */

/*
 * From IDLE.  NGX_OK: under way, or up.  NGX_ERROR: failed at once, the next
 * attempt is scheduled.  Calls no handler when there are no entries.
 */
ngx_int_t ngx_readiness_redis_connect(ngx_readiness_redis_peer_t *peer);

/* the same to where its server is, which is known */
ngx_int_t ngx_readiness_redis_reach(ngx_readiness_redis_peer_t *peer);

/* there is a connection that may be written to: the prelude */
ngx_int_t ngx_readiness_redis_begin(ngx_readiness_redis_peer_t *peer);

/* the password of a node or a sentinel, empty if it has none */
const ngx_str_t *ngx_readiness_redis_secret(ngx_readiness_redis_peer_t *peer);

/* asks a sentinel for the master; NGX_ERROR: no memory */
ngx_int_t ngx_readiness_redis_question(ngx_readiness_redis_peer_t *peer);

/* the prelude was answered */
void ngx_readiness_redis_ready(ngx_readiness_redis_peer_t *peer);

void ngx_readiness_redis_retry_handler(ngx_event_t *ev);
void ngx_readiness_redis_guard_handler(ngx_event_t *ev);


/* connection: ngx_readiness_redis_connection.c */

/* writes what may be written now; a failure is dealt with by a posted event,
   so that this may be called from anywhere */
void ngx_readiness_redis_send(ngx_readiness_redis_peer_t *peer);

/* has the connection closed by a posted event */
void ngx_readiness_redis_break(ngx_readiness_redis_peer_t *peer,
    const char *why);

/*
 * Logs what went wrong, as an error once until a call was answered again, and
 * closes.  text may be NULL.  From event handlers only, as close().
 */
void ngx_readiness_redis_fail(ngx_readiness_redis_peer_t *peer, ngx_err_t err,
    const char *what, const ngx_str_t *text);

/*
 * Closes, schedules the next attempt, and tells the callers of all entries,
 * each of which may make a new call from within its handler.
 */
void ngx_readiness_redis_close(ngx_readiness_redis_peer_t *peer);

/* stops a timer, set or not */
void ngx_readiness_redis_cancel(ngx_event_t *ev);

void ngx_readiness_redis_read_handler(ngx_event_t *ev);
void ngx_readiness_redis_write_handler(ngx_event_t *ev);
void ngx_readiness_redis_broken_handler(ngx_event_t *ev);


/* bytes to replies: ngx_readiness_redis_reader.c */

/* NULL: no memory */
redisReader *ngx_readiness_redis_reader(ngx_readiness_redis_peer_t *peer);

/* how long the reply may be that is owed next */
size_t ngx_readiness_redis_limit(ngx_readiness_redis_peer_t *peer);

/* is the next reply one that may be an array, or nil */
ngx_uint_t ngx_readiness_redis_listed(ngx_readiness_redis_peer_t *peer);


/* replies: ngx_readiness_redis_reply.c */

/*
 * Takes the bytes that were read.  NGX_OK; or NGX_ERROR: the connection was
 * closed.
 */
ngx_int_t ngx_readiness_redis_feed(ngx_readiness_redis_peer_t *peer,
    u_char *buf, size_t len);


/* a cluster: ngx_readiness_redis_cluster.c, ..._map.c */

ngx_int_t ngx_readiness_redis_cluster_init(
    ngx_readiness_redis_worker_t *worker, ngx_cycle_t *cycle);
void ngx_readiness_redis_cluster_exit(ngx_readiness_redis_cluster_t *cluster);

/* is it where calls wait for the map, which is no node */
ngx_uint_t ngx_readiness_redis_is_limbo(ngx_readiness_redis_peer_t *peer);

/* as ngx_readiness_redis_eval() */
ngx_int_t ngx_readiness_redis_cluster_eval(
    ngx_readiness_redis_cluster_t *cluster, ngx_readiness_script_t *script,
    ngx_readiness_redis_call_t *call);

/*
 * An error reply to e, which is in no queue.  NGX_OK: the call waits for
 * another node now, or for the map; NGX_DECLINED: e is the caller's still.
 */
ngx_int_t ngx_readiness_redis_redirect(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e);

/*
 * Does an error reply speak of a slot that is elsewhere, which says nothing
 * against the node?
 */
ngx_uint_t ngx_readiness_redis_elsewhere(const ngx_str_t *text);

/* the connection, or the attempt to have one, is over */
void ngx_readiness_redis_cluster_closed(ngx_readiness_redis_peer_t *peer);

/* the reply to CLUSTER NODES, in peer->reply or peer->error */
void ngx_readiness_redis_map_reply(ngx_readiness_redis_peer_t *peer);
void ngx_readiness_redis_map_refused(ngx_readiness_redis_peer_t *peer);


#endif /* _NGX_READINESS_REDIS_INTERNAL_H_INCLUDED_ */
