
/*
 * Copyright (C) The readiness authors
 */


/*
 * What a location's response headers are compiled into.  A header that we may
 * send is a row, ready to be pushed; each name that we care about, be it a
 * row's, a hidden one's or Set-Cookie, is in one table.  A response takes one
 * pass over its headers: most are turned away by the length and the first
 * letter of their name.
 */


#ifndef _NGX_READINESS_RESPOND_H_INCLUDED_
#define _NGX_READINESS_RESPOND_H_INCLUDED_


#include "ngx_readiness.h"
#include "respond/rdy_cookie.h"


/* elements of conf->headers */

typedef struct {
    ngx_str_t                     name;
    ngx_readiness_expr_t          expr;
    u_char                       *file;
    ngx_uint_t                    line;
    unsigned                      off:1;
    unsigned                      if_missing:1;
    unsigned                      documents:1;
} ngx_readiness_header_t;


/* elements of conf->cookies */

typedef struct {
    ngx_str_t                     name;      /* NAME, ~REGEX, or empty */
    ngx_regex_t                  *regex;
    ngx_uint_t                    flags;     /* RDY_COOKIE_* to add */
    ngx_uint_t                    said;      /* those the line speaks of */
    ngx_uint_t                    depth;     /* layers between it and us */
} ngx_readiness_cookie_t;


#define NGX_READINESS_MAX_ROWS    64         /* as bits of a uint64_t */
#define NGX_READINESS_NO_ROW      NGX_READINESS_MAX_ROWS


/* headers that nginx keeps a pointer to, or makes itself */

typedef enum {
    NGX_READINESS_KNOWN_NONE = 0,
    NGX_READINESS_KNOWN_SERVER,
    NGX_READINESS_KNOWN_LAST_MODIFIED,
    NGX_READINESS_KNOWN_ETAG,
    NGX_READINESS_KNOWN_EXPIRES,
    NGX_READINESS_KNOWN_REFRESH,
    NGX_READINESS_KNOWN_WWW_AUTHENTICATE,
    NGX_READINESS_KNOWN_CACHE_CONTROL,
    NGX_READINESS_KNOWN_LINK
} ngx_readiness_known_e;


typedef struct {
    ngx_str_t                     name;
    size_t                        offset;    /* in ngx_http_headers_out_t */
    unsigned                      multi:1;
} ngx_readiness_known_t;


/* in the order of ngx_readiness_known_e, ends at a second row without a name */

extern const ngx_readiness_known_t  ngx_readiness_known[];


typedef struct ngx_readiness_row_s  ngx_readiness_row_t;

/*
 * Finds the value for this response; an empty one is not sent.  NGX_OK, or
 * NGX_ERROR when out of memory.
 */
typedef ngx_int_t (*ngx_readiness_row_pt)(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);

struct ngx_readiness_row_s {
    ngx_table_elt_t               elt;       /* ready to be pushed */
    ngx_readiness_row_pt          value;     /* NULL: that of elt */
    const ngx_readiness_expr_t   *expr;
    ngx_uint_t                    known;
    unsigned                      if_missing:1;
    unsigned                      documents:1;
    unsigned                      https:1;
};


typedef struct {
    ngx_str_t                     lowcase;
    ngx_uint_t                    row;       /* or NGX_READINESS_NO_ROW */
    ngx_uint_t                    known;
    unsigned                      hide:1;
    unsigned                      cookie:1;
} ngx_readiness_name_t;


typedef struct {
    ngx_str_t                     name;      /* empty: all cookies */
    ngx_regex_t                  *regex;
    ngx_uint_t                    flags;     /* RDY_COOKIE_* to add */
} ngx_readiness_cookie_rule_t;


struct ngx_readiness_headers_s {
    ngx_readiness_row_t          *rows;

    /* which rows to look at, by what there is to say: sets of bits */

    uint64_t                      always;    /* sent as they are */
    uint64_t                      asked;     /* it depends */
    uint64_t                      limited;   /* when there are limits */
    uint64_t                      refused;   /* 429 and 503 of our own */

    uint64_t                      https;
    uint64_t                      documents;
    uint64_t                      if_missing;
    ngx_uint_t                    nostore;   /* the row of Cache-Control */

    /* names[first[len]] .. names[first[len + 1] - 1] are len bytes long */

    uint32_t                      initials[NGX_READINESS_MAX_NAME];
    uint16_t                      first[NGX_READINESS_MAX_NAME + 1];
    ngx_readiness_name_t         *names;
    ngx_uint_t                    hidden;    /* 1 << ngx_readiness_known_e */

    ngx_readiness_cookie_rule_t  *cookies;   /* in the order they are tried */
    ngx_uint_t                    ncookies;
};


#define ngx_readiness_bit(n)          ((uint64_t) 1 << (n))

/* letters of either case come to one bit; the compare settles the rest */

#define ngx_readiness_initial(c)      ((uint32_t) 1 << ((c) & 0x1f))


/* what directives of this room share: ngx_readiness_respond_conf.c */

#define ngx_readiness_is(v, w)                                                \
    ((v)->len == sizeof(w) - 1                                                \
     && ngx_strncmp((v)->data, w, sizeof(w) - 1) == 0)

/* the line "off" of a list */

/* 1 when the two are equal in either letter case */
ngx_uint_t ngx_readiness_same_name(const ngx_str_t *a, const ngx_str_t *b);

ngx_int_t ngx_readiness_merge_cookies(ngx_conf_t *cf,
    const ngx_readiness_list_t *outer, ngx_readiness_list_t *inner);


/* what rows send: ngx_readiness_rows.c */

ngx_int_t ngx_readiness_row_expr(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);
ngx_int_t ngx_readiness_row_request_id(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);
ngx_int_t ngx_readiness_row_retry_after(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);


/* the rate limit fields as rows, by the form that asks for them */

typedef struct {
    ngx_str_t                     name;
    ngx_uint_t                    form;      /* NGX_READINESS_LH_* */
    ngx_readiness_row_pt          value;
} ngx_readiness_limit_row_t;


/* ends at a row without a name */

extern const ngx_readiness_limit_row_t  ngx_readiness_limit_rows[];


#endif /* _NGX_READINESS_RESPOND_H_INCLUDED_ */
