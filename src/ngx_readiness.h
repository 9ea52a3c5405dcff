
/*
 * Copyright (C) The readiness authors
 */


/*
 * What every room shares: the configuration, the record of one request, and
 * the entrances of the rooms.  Below ngx_readiness_conf.c configuration is
 * const: no request ever writes it.
 */


#ifndef _NGX_READINESS_H_INCLUDED_
#define _NGX_READINESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_readiness_compat.h"
#include "rdy_base.h"
#include "client/rdy_addr.h"
#include "client/rdy_cidr.h"
#include "client/rdy_trace.h"
#include "limit/rdy_rate.h"


#define NGX_READINESS_VERSION        "0.1.0"

/*
 * The context bit of directives inside readiness_policy { }: outside of
 * NGX_ANY_CONF, so that nothing but our own directives is legal there.
 */

#define NGX_READINESS_POLICY_CONF    0x00200000

#define NGX_READINESS_HSLP                                                    \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF                   \
     |NGX_READINESS_POLICY_CONF)
#define NGX_READINESS_SLP                                                     \
    (NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_READINESS_POLICY_CONF)
#define NGX_READINESS_HSL                                                     \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)
#define NGX_READINESS_HS             (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF)


typedef struct ngx_readiness_ctx_s         ngx_readiness_ctx_t;
typedef struct ngx_readiness_loc_conf_s    ngx_readiness_loc_conf_t;
typedef struct ngx_readiness_redis_s       ngx_readiness_redis_t;
typedef struct ngx_readiness_sink_s        ngx_readiness_sink_t;
typedef struct ngx_readiness_zone_s        ngx_readiness_zone_t;
typedef struct ngx_readiness_ask_s         ngx_readiness_ask_t;
typedef struct ngx_readiness_hold_s        ngx_readiness_hold_t;
typedef struct ngx_readiness_headers_s     ngx_readiness_headers_t;
typedef struct ngx_readiness_file_s        ngx_readiness_file_t;
typedef struct ngx_readiness_plans_s       ngx_readiness_plans_t;
typedef struct ngx_readiness_tenant_s      ngx_readiness_tenant_t;


/* reasons: one enum, one table (ngx_readiness_reason.c) */

typedef enum {
    NGX_READINESS_OK = 0,
    NGX_READINESS_TENANT_MISSING,
    NGX_READINESS_TENANT_INVALID,
    NGX_READINESS_RATE_LIMITED,
    NGX_READINESS_LIMITER_UNAVAILABLE,
    NGX_READINESS_INTERNAL,
    NGX_READINESS_NOT_EVALUATED
} ngx_readiness_reason_e;


typedef struct {
    ngx_str_t                    name;
    ngx_uint_t                   status;
    ngx_str_t                    severity;
    ngx_str_t                    title;
    ngx_str_t                    terse;
} ngx_readiness_reason_t;


extern const ngx_readiness_reason_t  ngx_readiness_reasons[];


/* EXPR: ngx_readiness_expr.c */

#define NGX_READINESS_MAX_PARTS      32

typedef struct {
    ngx_str_t                    text;       /* or the variable's name */
    ngx_int_t                    index;      /* of the variable */
    ngx_uint_t                   capture;    /* its number, $1 .. $9 */
    unsigned                     variable:1;
} ngx_readiness_expr_part_t;


typedef struct {
    ngx_str_t                    text;       /* as it was written */
    ngx_readiness_expr_part_t   *parts;
    ngx_uint_t                   nparts;     /* 0: text has no variables */
} ngx_readiness_expr_t;


/* where one with variables stands */

typedef struct {
    ngx_str_t                    text;
    ngx_str_t                    directive;
    u_char                      *file;
    ngx_uint_t                   line;
} ngx_readiness_expr_place_t;


/* switch */

#define NGX_READINESS_OFF            0
#define NGX_READINESS_ON             1
#define NGX_READINESS_MONITOR        2


/* client: readiness_trusted_proxies and its companions (http, server) */

#define NGX_READINESS_HDR_XFF        0
#define NGX_READINESS_HDR_FORWARDED  1
#define NGX_READINESS_HDR_PROXY      2
#define NGX_READINESS_HDR_SINGLE     3

#define NGX_READINESS_ID_OFF         0
#define NGX_READINESS_ID_UUID7       1
#define NGX_READINESS_ID_UUID4       2
#define NGX_READINESS_ID_HEX         3

#define NGX_READINESS_ACCEPT_NEVER   0
#define NGX_READINESS_ACCEPT_TRUSTED 1
#define NGX_READINESS_ACCEPT_ANY     2

#define NGX_READINESS_TRACE_OFF      0
#define NGX_READINESS_TRACE_ACCEPT   1
#define NGX_READINESS_TRACE_GENERATE 2


/* the set is replaced whole when one of the files has changed */

typedef struct {
    ngx_array_t                  cidrs;    /* rdy_cidr_t, written inline */
    ngx_array_t                  files;    /* ngx_readiness_file_t *, data:
                                              ngx_array_t of rdy_cidr_t */
    rdy_cidr_set_t               set;      /* of all of them */
    ngx_pool_t                  *pool;     /* the set's, NULL: cf->pool */
    ngx_uint_t                   unix_peer;
} ngx_readiness_trust_t;


typedef struct {
    ngx_readiness_trust_t       *trust;

    ngx_uint_t                   header;
    ngx_str_t                    header_name;
    ngx_str_t                    header_lowcase;

    ngx_uint_t                   rewrite;
    ngx_uint_t                   host_trusted;

    ngx_uint_t                   prefix4;
    ngx_uint_t                   prefix6;

    ngx_uint_t                   id;
    ngx_uint_t                   id_accept;
    ngx_str_t                    id_header;
    ngx_str_t                    id_lowcase;
    ngx_uint_t                   id_hash;

    ngx_uint_t                   trace;
} ngx_readiness_client_conf_t;


/* limit */

#define NGX_READINESS_REDIS_LOCAL    0
#define NGX_READINESS_REDIS_ALLOW    1
#define NGX_READINESS_REDIS_DENY     2

#define NGX_READINESS_EMPTY_SKIP     0
#define NGX_READINESS_EMPTY_SHARE    1
#define NGX_READINESS_EMPTY_REFUSE   2

#define NGX_READINESS_MAX_LIMITS     16      /* of one request */
#define NGX_READINESS_MAX_KEYS       8       /* key= parts of one rate */


typedef struct {
    ngx_str_t                    name;
    ngx_readiness_expr_t         keys[NGX_READINESS_MAX_KEYS];
    unsigned                     secret[NGX_READINESS_MAX_KEYS];
    ngx_uint_t                   nkeys;
    rdy_rate_t                   rate;
    ngx_uint_t                   lease;      /* permits, 0: exact */
    ngx_uint_t                   on_error;
    ngx_uint_t                   empty;
    ngx_str_t                    redis_name;
    ngx_readiness_redis_t       *redis;      /* NULL: this nginx's zone */
    ngx_uint_t                   cell;       /* its number in the zone */
    ngx_uint_t                   number;     /* among the declared ones */
    ngx_str_t                    prefix;     /* of its keys in Redis */
    ngx_str_t                    policy;     /* member of RateLimit-Policy */
    u_char                      *file;
    ngx_uint_t                   line;
} ngx_readiness_rate_t;


typedef struct {
    ngx_str_t                    name;
    const ngx_readiness_rate_t  *rate;       /* resolved at the end of http */
    ngx_readiness_expr_t        *cost;
    ngx_readiness_expr_t        *if_set;
    ngx_readiness_expr_t        *unless;
    ngx_uint_t                   monitor;
    u_char                      *file;
    ngx_uint_t                   line;
} ngx_readiness_limit_t;


#define NGX_READINESS_LH_STANDARD    0x01
#define NGX_READINESS_LH_LEGACY      0x02
#define NGX_READINESS_LH_XRATELIMIT  0x04
#define NGX_READINESS_LH_OFF         0x08


/* respond */

#define NGX_READINESS_PRESET_OFF       0
#define NGX_READINESS_PRESET_BASELINE  1
#define NGX_READINESS_PRESET_STRICT    2
#define NGX_READINESS_PRESET_API       3

#define NGX_READINESS_PROBLEM_OFF      0
#define NGX_READINESS_PROBLEM_ON       1
#define NGX_READINESS_PROBLEM_TERSE    2

#define NGX_READINESS_MAX_NAME         64    /* bytes of a header's name + 1 */


/* a list that takes "off": what outer layers gave is dropped, ours stays */

typedef struct {
    ngx_array_t                 *own;        /* NULL when there is none */
    ngx_uint_t                   off;
} ngx_readiness_list_t;


struct ngx_readiness_loc_conf_s {
    ngx_uint_t                   enable;
    ngx_str_t                    route;      /* readiness_route */
    ngx_str_t                    words;      /* of the location line */
    ngx_str_t                    policy;     /* readiness_apply */
    ngx_uint_t                   policy_line;
    u_char                      *policy_file;
    ngx_str_t                    applied;    /* innermost policy in force */

    ngx_readiness_list_t         tenant;     /* ngx_readiness_tenant_t */

    ngx_readiness_expr_t        *plan;       /* NULL: readiness_plan unset */
    ngx_readiness_list_t         limits;     /* ngx_readiness_limit_t */
    ngx_uint_t                   limit_headers;
    ngx_uint_t                   limit_status;

    ngx_uint_t                   preset;
    ngx_readiness_list_t         headers;    /* ngx_readiness_header_t */
    ngx_readiness_list_t         hide;       /* ngx_str_t: "owasp" or names */
    ngx_readiness_list_t         cookies;    /* ngx_readiness_cookie_t */
    ngx_uint_t                   problem;
    ngx_readiness_headers_t     *compiled;   /* by the respond room */

    ngx_readiness_list_t         logs;       /* ngx_readiness_log_t */
    ngx_readiness_list_t         fields;     /* ngx_readiness_log_field_t */
};


typedef struct {
    ngx_str_t                    name;
    ngx_readiness_loc_conf_t    *conf;
    u_char                      *file;
    ngx_uint_t                   line;
} ngx_readiness_policy_t;


typedef struct {
    ngx_readiness_client_conf_t  client;
    ngx_uint_t                   active;     /* on or monitor somewhere */
} ngx_readiness_srv_conf_t;


typedef struct {
    ngx_array_t                  policies;   /* ngx_readiness_policy_t */
    ngx_array_t                  rates;      /* ngx_readiness_rate_t * */
    ngx_array_t                  redis;      /* ngx_readiness_redis_t * */
    ngx_array_t                  sinks;      /* ngx_readiness_sink_t * */
    ngx_array_t                  files;      /* ngx_readiness_file_t * */
    ngx_array_t                  exprs;      /* ngx_readiness_expr_place_t */
    ngx_readiness_plans_t       *plans;      /* NULL: there are none */
    ssize_t                      zone_size;
    ngx_shm_zone_t              *zone;       /* data: ngx_readiness_zone_t */
    ngx_uint_t                   active;     /* on or monitor somewhere */
} ngx_readiness_main_conf_t;


/* the record of one client request */

typedef enum {
    NGX_READINESS_SOURCE_LOCAL = 0,
    NGX_READINESS_SOURCE_REDIS,
    NGX_READINESS_SOURCE_LEASE,
    NGX_READINESS_SOURCE_CACHE,
    NGX_READINESS_SOURCE_FALLBACK,
    NGX_READINESS_SOURCE_UNAVAILABLE
} ngx_readiness_source_e;


extern const ngx_str_t  ngx_readiness_sources[];


/* where a limit was charged, for giving it back */

typedef enum {
    NGX_READINESS_CHARGED_NOT = 0,
    NGX_READINESS_CHARGED_ZONE,
    NGX_READINESS_CHARGED_LEASE,             /* a permit that was held */
    NGX_READINESS_CHARGED_REDIS
} ngx_readiness_charged_e;


typedef struct {
    const ngx_readiness_rate_t  *rate;
    rdy_rate_t                   numbers;    /* the rate's, or of a plan */
    ngx_str_t                    key;
    ngx_str_t                    name;       /* of the key in Redis */
    uint64_t                     hash[2];    /* of the key in the zone */
    uint64_t                     cost;
    uint64_t                     charged_at; /* monotonic us */
    ngx_readiness_charged_e      charged;
    ngx_readiness_hold_t        *room;       /* for hold */
    ngx_readiness_hold_t        *hold;       /* slots, NULL: none */
    ngx_uint_t                   generation; /* of Redis, when charged */
    rdy_rate_view_t              view;
    ngx_readiness_source_e       source;
    unsigned                     slot:16;    /* of a cluster */
    unsigned                     monitor:1;
    unsigned                     decided:1;  /* view holds numbers */
    unsigned                     refused:1;  /* this one is spent */
    unsigned                     asked:1;    /* is yet to be decided */
    unsigned                     counted:1;  /* takes part (if, unless, key) */
    unsigned                     hashed:1;
} ngx_readiness_state_t;


typedef struct {
    ngx_connection_t            *connection; /* what was set on it is put */
    struct sockaddr             *sockaddr;   /* back by the cleanup       */
    socklen_t                    socklen;
    ngx_str_t                    addr_text;

    rdy_addr_t                   addr;       /* family 0: not an IP peer */
    ngx_str_t                    text;       /* client address */
    ngx_str_t                    peer;       /* who is connected */
    ngx_str_t                    key;        /* made on first use */
    ngx_str_t                    host;       /* told to the application: */
    ngx_str_t                    port;       /* name[:port], and port    */
    ngx_str_t                    request_id;
    rdy_trace_t                  trace;

    /* what the texts above are written into, and c->sockaddr points to */

    union {
        struct sockaddr          sockaddr;
        struct sockaddr_in       sockaddr_in;
#if (NGX_HAVE_INET6)
        struct sockaddr_in6      sockaddr_in6;
#endif
    }                            own;
    u_char                       text_buf[RDY_ADDR_TEXT_LEN];
    u_char                       peer_buf[sizeof("255.255.255.255") - 1];
    u_char                       id_buf[36];
    u_char                       port_text[5];

    unsigned                     replaced:1; /* c->sockaddr is ours */
    unsigned                     trusted:1;  /* the peer is a trusted proxy */
    unsigned                     https:1;    /* verified scheme */
    unsigned                     told_scheme:1;  /* by the trusted peer */
    unsigned                     traced:1;   /* trace is set */
    unsigned                     stated:1;   /* tracestate stays */
} ngx_readiness_client_t;


struct ngx_readiness_ctx_s {
    ngx_http_request_t          *request;
    const ngx_readiness_loc_conf_t  *conf;   /* of the last checks */
    uint64_t                     start;      /* monotonic µs */
    uint64_t                     duration;   /* µs to the verdict */

    ngx_readiness_client_t       client;

    ngx_readiness_reason_e       reason;
    ngx_uint_t                   status;     /* of our refusal */

    ngx_readiness_reason_e       refusal;    /* of identity, kept */
    const ngx_readiness_tenant_t  *claim;    /* what was checked last, */
    ngx_readiness_reason_e       claimed;    /* and what came of it    */
    ngx_str_t                    tenant;     /* the first one verified */
    ngx_str_t                    plan;       /* empty: none */

    ngx_readiness_state_t       *limits;     /* met so far */
    ngx_uint_t                   nlimits;
    ngx_uint_t                   first;      /* of those met just now */
    ngx_uint_t                   max_limits; /* room in limits */
    ngx_readiness_ask_t         *ask;        /* under way at Redis */
    ngx_readiness_hold_t        *holds;      /* slots in use, until the end */

    ngx_http_handler_pt          content_handler;

    unsigned                     client_done:1;
    unsigned                     evaluated:1;
    unsigned                     waiting:1;  /* suspended in PREACCESS */
    unsigned                     ready:1;    /* the answer is there */
    unsigned                     denied:1;   /* something was refused */
    unsigned                     enforced:1; /* and it was ours to answer */
    unsigned                     told:1;     /* a decision line is out */
    unsigned                     told_denied:1;  /* and speaks of a refusal */
    unsigned                     revised:1;  /* refused after an allow line */
    unsigned                     planned:1;  /* plan was looked for */
    unsigned                     naming:1;   /* the tenant, or the plan, is */
    unsigned                     planning:1; /* being worked out            */
};


extern ngx_module_t  ngx_readiness_module;


/* spine: ngx_readiness_request.c */

/*
 * The record of r's main request, made on first use; it survives internal
 * redirects.  NULL: no memory.
 */
ngx_readiness_ctx_t *ngx_readiness_get_ctx(ngx_http_request_t *r);

/* the same, without making one */
ngx_readiness_ctx_t *ngx_readiness_find_ctx(ngx_http_request_t *r);

/*
 * Called by a room whose answer has come, from an event that is not the
 * request's own: runs the request on from where it was suspended.  Nothing
 * of the request may be touched afterwards.
 */
void ngx_readiness_resume(ngx_readiness_ctx_t *ctx);

/* monotonic time, µs, by the vDSO */
uint64_t ngx_readiness_now(void);

ngx_int_t ngx_readiness_init(ngx_conf_t *cf);


/* variables: ngx_readiness_variables.c */

ngx_int_t ngx_readiness_add_variables(ngx_conf_t *cf);


/* configuration: ngx_readiness_conf.c */

void *ngx_readiness_create_main_conf(ngx_conf_t *cf);
char *ngx_readiness_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_readiness_create_srv_conf(ngx_conf_t *cf);
char *ngx_readiness_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child);
void *ngx_readiness_create_loc_conf(ngx_conf_t *cf);
char *ngx_readiness_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);

char *ngx_readiness_switch(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_policy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_apply(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_route(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Logs an [emerg] line "<directive>: <message>" with file and line, and
 * returns NGX_CONF_ERROR, so that a directive can return what it returns.
 * The message must name the offending value and what to write instead.
 */
char *ngx_cdecl ngx_readiness_conf_error(ngx_conf_t *cf, const char *fmt, ...);

/* the complaint about a directive that stands twice in one block */
char *ngx_readiness_conf_twice(ngx_conf_t *cf, ngx_command_t *cmd);

/* and about a parameter that stands twice in one line */
char *ngx_readiness_conf_second(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *param);

/* the number of word among the n words of the table, n when there is none */
ngx_uint_t ngx_readiness_word(const ngx_str_t *word, const ngx_str_t *table,
    ngx_uint_t n);

/* 1 when name is [A-Za-z0-9_.-]{1,64} */
ngx_uint_t ngx_readiness_name_valid(const ngx_str_t *name);

/*
 * The list an inner layer sees: the outer one's elements, unless off, then
 * its own.  same(a, b) != 0: the inner element replaces the outer one; NULL:
 * elements only add.  size is that of an element.
 */
ngx_int_t ngx_readiness_list_merge(ngx_conf_t *cf,
    const ngx_readiness_list_t *outer, ngx_readiness_list_t *inner,
    size_t size, ngx_uint_t (*same)(const void *a, const void *b));

/* replaces: the inner list as a whole, where it has one or says off */
void ngx_readiness_list_replace(const ngx_readiness_list_t *outer,
    ngx_readiness_list_t *inner);

/* a new element of list->own (made on demand); NULL: no memory */
void *ngx_readiness_list_push(ngx_conf_t *cf, ngx_readiness_list_t *list,
    size_t size);


/* notes the "off" of a list, which stands alone and once in a block */
char *ngx_readiness_list_off(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_readiness_list_t *list);


/* expressions: ngx_readiness_expr.c */

/*
 * Compiles text as EXPR into *expr; numbered captures are warned of.
 * NGX_OK or NGX_ERROR (message logged).
 */
ngx_int_t ngx_readiness_expr(ngx_conf_t *cf, ngx_str_t *text,
    ngx_readiness_expr_t *expr);

/* evaluates expr for r; a constant costs nothing.  NGX_OK or NGX_ERROR */
ngx_int_t ngx_readiness_expr_value(ngx_http_request_t *r,
    const ngx_readiness_expr_t *expr, ngx_str_t *value);

/* 1 when the value of expr is neither empty nor "0", as nginx's if= has it */
ngx_int_t ngx_readiness_expr_true(ngx_http_request_t *r,
    const ngx_readiness_expr_t *expr);

/* at the end of http: all variables of all expressions have to be known */
ngx_int_t ngx_readiness_expr_check(ngx_conf_t *cf,
    ngx_readiness_main_conf_t *rmcf);


/* watched files: ngx_readiness_file.c */

/*
 * load() turns content into what the owner uses, in memory of pool; on a
 * mistake it writes what and where, NUL-terminated, into err and returns
 * NULL.  The content belongs to the caller and is gone afterwards.
 */
typedef void *(*ngx_readiness_file_load_pt)(void *owner, ngx_pool_t *pool,
    const ngx_str_t *content, u_char *err, size_t errlen);

/* called in a worker after file->data has been replaced */
typedef void (*ngx_readiness_file_swap_pt)(void *owner);

#define NGX_READINESS_FILE_MAX       (16 * 1024 * 1024)

typedef struct {
    dev_t                        device;
    ngx_file_uniq_t              uniq;
    off_t                        size;
    struct timespec              mtime;
    ngx_uint_t                   none;       /* there is no such file */
} ngx_readiness_look_t;

struct ngx_readiness_file_s {
    ngx_str_t                    name;       /* full path */
    ngx_readiness_file_load_pt   load;
    ngx_readiness_file_swap_pt   swap;
    void                        *owner;
    void                        *data;       /* last good, of load() */
    ngx_pool_t                  *pool;       /* data's own; NULL: cf->pool */
    ngx_readiness_look_t         loaded;     /* what data was read from */
    ngx_readiness_look_t         seen;       /* the last look */
    ngx_uint_t                   bad;        /* the last reading failed */
};

/*
 * Reads the file now, so that a bad one stops nginx -t, and has each worker
 * look at it once a second; swap(owner) is then told of new data.  swap may
 * be NULL.  Returns NULL with [emerg] logged, naming directive.
 */
ngx_readiness_file_t *ngx_readiness_file_add(ngx_conf_t *cf,
    const char *directive, ngx_str_t *name, ngx_readiness_file_load_pt load,
    ngx_readiness_file_swap_pt swap, void *owner);
ngx_int_t ngx_readiness_file_init_process(ngx_cycle_t *cycle);
void ngx_readiness_file_exit_process(ngx_cycle_t *cycle);


/* client */

/*
 * Works out who is calling, once per request: peer, client address, scheme,
 * request ID, trace; removes and rewrites forwarding headers.  NGX_OK, or
 * NGX_ERROR when out of memory.
 */
ngx_int_t ngx_readiness_client(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx);

/* puts back what the station had set on the connection */
void ngx_readiness_client_cleanup(ngx_readiness_ctx_t *ctx);

/* text of the client's network (readiness_client_prefix) */
ngx_int_t ngx_readiness_client_key(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, ngx_str_t *key);

/* fills buf with len bytes of the kernel's randomness, from a block that is
   fetched once in a while and never shared with another process */
ngx_int_t ngx_readiness_random(u_char *buf, size_t len);

void ngx_readiness_client_conf_init(ngx_readiness_client_conf_t *conf);
char *ngx_readiness_client_conf_merge(ngx_conf_t *cf,
    ngx_readiness_client_conf_t *prev, ngx_readiness_client_conf_t *conf);

char *ngx_readiness_trusted_proxies(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_readiness_client_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_readiness_forwarded(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_client_prefix(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_readiness_request_id(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_readiness_traceparent(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* identity */

/*
 * Step 4 of a decision.  NGX_OK, with a refusal kept in ctx->refusal, which
 * is NGX_READINESS_OK when there is none; NGX_ERROR: internal.
 */
ngx_int_t ngx_readiness_identity(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);

/*
 * The tenant of the request; empty when there is none.  Before step 4 it is
 * what step 4 would find in the location at hand.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_readiness_tenant_name(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, ngx_str_t *name);

char *ngx_readiness_identity_merge(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner);

char *ngx_readiness_tenant(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* limit */

/*
 * Step 5 of a decision: all limits of this location that the request has not
 * met yet.  NGX_OK: nothing refuses; NGX_BUSY: something does, and the first
 * refusal of all is in ctx->denied and ctx->reason; NGX_AGAIN: Redis is being
 * asked, ngx_readiness_resume() will be called; NGX_ERROR: internal.
 */
ngx_int_t ngx_readiness_limit_check(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);

/* the request is going away: its place at Redis is given up */
void ngx_readiness_limit_cleanup(ngx_readiness_ctx_t *ctx);

/* the limit the single-valued headers speak of; NULL: none was decided */
const ngx_readiness_state_t *ngx_readiness_limit_told(
    const ngx_readiness_ctx_t *ctx);

/* seconds for Retry-After, at least 1 */
uint64_t ngx_readiness_limit_retry(const ngx_readiness_ctx_t *ctx);

char *ngx_readiness_limit_merge(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner);
char *ngx_readiness_limit_resolve(ngx_conf_t *cf,
    ngx_readiness_main_conf_t *rmcf);
/* the shared memory that local limits are counted in */
ngx_int_t ngx_readiness_limit_init(ngx_conf_t *cf,
    ngx_readiness_main_conf_t *rmcf);
ngx_int_t ngx_readiness_limit_init_process(ngx_cycle_t *cycle);
void ngx_readiness_limit_exit_process(ngx_cycle_t *cycle);

/*
 * The name of the plan in force, empty when none is.  tenant is the request's,
 * which need not be in the record yet.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_readiness_plan_name(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_str_t *tenant, ngx_str_t *name);

/* at the end of http: the plans file is read, as all rates are known */
char *ngx_readiness_plans_resolve(ngx_conf_t *cf,
    ngx_readiness_main_conf_t *rmcf);

char *ngx_readiness_plans_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_readiness_plan(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_limit_headers(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_readiness_limit_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_readiness_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* redis: redis/ngx_readiness_redis.h is for the limit room */

char *ngx_readiness_redis_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_readiness_redis_init_process(ngx_cycle_t *cycle);
void ngx_readiness_redis_exit_process(ngx_cycle_t *cycle);


/* respond */

/*
 * The header filter's work for a main request: security headers, request ID,
 * limit headers, hidden headers, cookies.  conf is the location's.  NGX_OK,
 * or NGX_ERROR when out of memory.
 */
ngx_int_t ngx_readiness_respond(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);

/*
 * Answers a refused request: a problem body, or the bare status for
 * error_page and for those who prefer text/html.  Returns what a phase
 * handler is to return.
 */
ngx_int_t ngx_readiness_refuse(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);

char *ngx_readiness_respond_merge(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner);
/* after the last merge: what the header filter needs, made ready */
char *ngx_readiness_respond_compile(ngx_conf_t *cf,
    ngx_readiness_loc_conf_t *conf);

char *ngx_readiness_headers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_hide_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_readiness_cookies(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_problem(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* observe */

/*
 * Writes the decision line of the request to every sink of conf that takes
 * it.  with_status: the response's status is known (our refusal, or LOG).
 * Never fails: what cannot be written is counted.
 */
void ngx_readiness_tell(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf, ngx_uint_t with_status);

char *ngx_readiness_observe_merge(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner);
ngx_int_t ngx_readiness_observe_init_process(ngx_cycle_t *cycle);
void ngx_readiness_observe_exit_process(ngx_cycle_t *cycle);

char *ngx_readiness_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_readiness_log_field(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_READINESS_H_INCLUDED_ */
