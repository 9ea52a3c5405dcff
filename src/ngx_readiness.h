
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


#include "ngx_readiness_conf.h"


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
