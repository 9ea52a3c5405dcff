
/*
 * Copyright (C) The readiness authors
 */


/* what the files of the identity room share */


#ifndef _NGX_READINESS_IDENTITY_H_INCLUDED_
#define _NGX_READINESS_IDENTITY_H_INCLUDED_


#include "ngx_readiness.h"


/* readiness_tenant */

struct ngx_readiness_tenant_s {
    ngx_readiness_expr_t         value;
    ngx_array_t                  headers;    /* ngx_str_t: their names in
                                                value, as headers write them */
#if (NGX_PCRE)
    ngx_regex_t                 *pattern;    /* NULL: rdy_tenant_valid() */
#endif
    ngx_uint_t                   optional;
};


/*
 * Whose request this is: *name, empty when the rule is optional and finds
 * nobody, or else *reason is a refusal.  What is named lives as long as the
 * values of variables do.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_readiness_tenant_find(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_tenant_t *rule,
    ngx_str_t *name, ngx_readiness_reason_e *reason);


#endif /* _NGX_READINESS_IDENTITY_H_INCLUDED_ */
