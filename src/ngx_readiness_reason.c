
/*
 * Copyright (C) The readiness authors
 */


#include "ngx_readiness.h"


/* one row a reason, in the order of ngx_readiness_reason_e */

const ngx_readiness_reason_t  ngx_readiness_reasons[] = {

    { ngx_string("ok"), 0,
      ngx_string("INFO"), ngx_string(""), ngx_string("") },

    { ngx_string("tenant_missing"), NGX_HTTP_FORBIDDEN,
      ngx_string("WARN"), ngx_string("Forbidden"), ngx_string("forbidden") },

    { ngx_string("tenant_invalid"), NGX_HTTP_FORBIDDEN,
      ngx_string("WARN"), ngx_string("Forbidden"), ngx_string("forbidden") },

    { ngx_string("rate_limited"), NGX_HTTP_TOO_MANY_REQUESTS,
      ngx_string("WARN"), ngx_string("Too Many Requests"),
      ngx_string("rate_limited") },

    { ngx_string("limiter_unavailable"), NGX_HTTP_SERVICE_UNAVAILABLE,
      ngx_string("ERROR"), ngx_string("Service Unavailable"),
      ngx_string("unavailable") },

    { ngx_string("internal"), NGX_HTTP_INTERNAL_SERVER_ERROR,
      ngx_string("ERROR"), ngx_string("Internal Server Error"),
      ngx_string("internal") },

    { ngx_string("not_evaluated"), 0,
      ngx_string("INFO"), ngx_string(""), ngx_string("") }
};


/* in the order of ngx_readiness_source_e */

const ngx_str_t  ngx_readiness_sources[] = {
    ngx_string("local"),
    ngx_string("redis"),
    ngx_string("lease"),
    ngx_string("refusal_cache"),
    ngx_string("fallback"),
    ngx_string("unavailable")
};
