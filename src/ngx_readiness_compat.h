
/*
 * Copyright (C) The readiness authors
 */


/*
 * Every difference between the nginx and hiredis versions we build with.
 */


#ifndef _NGX_READINESS_COMPAT_H_INCLUDED_
#define _NGX_READINESS_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <hiredis/read.h>


/*
 * 1.23.0: known headers that may come several times are linked lists; before,
 * arrays of pointers.
 */

#if (nginx_version >= 1023000)
#define ngx_readiness_link_none(h)  (h)->next = NULL
#else
#define ngx_readiness_link_none(h)
#endif


/* headers_in has it only where a module that asks for it is built */

#if !(NGX_HTTP_X_FORWARDED_FOR)
#define ngx_readiness_clear_xff(r)
#elif (nginx_version >= 1023000)
#define ngx_readiness_clear_xff(r)  (r)->headers_in.x_forwarded_for = NULL
#else
#define ngx_readiness_clear_xff(r)                                            \
    (r)->headers_in.x_forwarded_for.nelts = 0
#endif

#if (NGX_HTTP_REALIP)
#define ngx_readiness_clear_x_real_ip(r)  (r)->headers_in.x_real_ip = NULL
#else
#define ngx_readiness_clear_x_real_ip(r)
#endif


/*
 * Makes h the only one that headers_out's cache_control or link, at field,
 * speaks of; NULL: none.
 */

#if (nginx_version >= 1023000)

static ngx_inline ngx_int_t
ngx_readiness_set_multi(ngx_http_request_t *r, void *field,
    ngx_table_elt_t *h)
{
    *(ngx_table_elt_t **) field = h;

    return NGX_OK;
}

#else

static ngx_inline ngx_int_t
ngx_readiness_set_multi(ngx_http_request_t *r, void *field,
    ngx_table_elt_t *h)
{
    ngx_array_t       *a = field;
    ngx_table_elt_t  **hp;

    a->elts = NULL;
    a->nelts = 0;

    if (h == NULL) {
        return NGX_OK;
    }

    if (ngx_array_init(a, r->pool, 1, sizeof(ngx_table_elt_t *)) != NGX_OK) {
        return NGX_ERROR;
    }

    hp = ngx_array_push(a);
    *hp = h;

    return NGX_OK;
}

#endif


/* 1.0.0 of hiredis reads RESP3, and counts elements in another type */

#ifdef REDIS_REPLY_DOUBLE
typedef size_t  ngx_readiness_elements_t;
#else
typedef int     ngx_readiness_elements_t;
#endif


#endif /* _NGX_READINESS_COMPAT_H_INCLUDED_ */
