
/*
 * Copyright (C) The readiness authors
 */


/*
 * The configuration: what the directives of each room are kept in, and how
 * layers, lists, expressions and watched files are made.
 */


#ifndef _NGX_READINESS_CONF_H_INCLUDED_
#define _NGX_READINESS_CONF_H_INCLUDED_


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


#endif /* _NGX_READINESS_CONF_H_INCLUDED_ */
