
/*
 * Copyright (C) The readiness authors
 */


/* the decision log: what its directives leave behind */


#ifndef _NGX_READINESS_LOG_H_INCLUDED_
#define _NGX_READINESS_LOG_H_INCLUDED_


#include "ngx_readiness.h"


/* sample= counts in 2^31: the range of ngx_random() */

#define NGX_READINESS_LOG_ALL     0x80000000

/* lines of one block: a bit for each */

#define NGX_READINESS_LOG_MAX     32

#define NGX_READINESS_PATH_FULL   0
#define NGX_READINESS_PATH_ROUTE  1


/* one line of readiness_log */

typedef struct {
    ngx_readiness_sink_t     *sink;
    ngx_readiness_expr_t     *filter;      /* if=, or NULL */
    ngx_uint_t                sample;      /* of NGX_READINESS_LOG_ALL */
    ngx_uint_t                path;
    ngx_uint_t                only_refused;
} ngx_readiness_log_t;


typedef struct {
    ngx_str_t                 name;
    ngx_str_t                 key;         /* ,"name":" */
    ngx_readiness_expr_t      value;
} ngx_readiness_log_field_t;


#endif /* _NGX_READINESS_LOG_H_INCLUDED_ */
