
/*
 * Copyright (C) The readiness authors
 */


/* how the files that write the decision line write a value */


#ifndef _NGX_READINESS_LINE_H_INCLUDED_
#define _NGX_READINESS_LINE_H_INCLUDED_


#include "ngx_readiness.h"
#include "observe/rdy_json.h"


/* bytes of output that a value is cut after */

#define NGX_READINESS_MAX_PATH      2048
#define NGX_READINESS_MAX_AGENT     512
#define NGX_READINESS_MAX_HOST      255
#define NGX_READINESS_MAX_ROUTE     255
#define NGX_READINESS_MAX_METHOD    32
#define NGX_READINESS_MAX_ID        128
#define NGX_READINESS_MAX_ADDR      128
#define NGX_READINESS_MAX_NAME      64
#define NGX_READINESS_MAX_TENANT    255
#define NGX_READINESS_MAX_FIELD     1024

#define NGX_READINESS_TRACE_ID_LEN  32


#define ngx_readiness_put(p, text)                                            \
    ngx_cpymem(p, text, sizeof(text) - 1)

/* key is a literal, with all that stands before the value */

#define ngx_readiness_put_text(p, key, value, max)                            \
    ngx_readiness_log_text(p, key, sizeof(key) - 1, value, max)

#define ngx_readiness_put_plain(p, key, value)                                \
    ngx_readiness_log_plain(p, key, sizeof(key) - 1, value)


static ngx_inline u_char *
ngx_readiness_log_text(u_char *p, const char *key, size_t len,
    const ngx_str_t *value, size_t max)
{
    if (value->len == 0) {
        return p;
    }

    p = ngx_cpymem(p, key, len);
    p = rdy_json_string(p, value->data, value->len, max);
    *p++ = '"';

    return p;
}


/* the same for a value whose alphabet needs no escape, cut by its maker */

static ngx_inline u_char *
ngx_readiness_log_plain(u_char *p, const char *key, size_t len,
    const ngx_str_t *value)
{
    if (value->len == 0) {
        return p;
    }

    p = ngx_cpymem(p, key, len);
    p = ngx_cpymem(p, value->data, value->len);
    *p++ = '"';

    return p;
}


/*
 * Writes what the request says of itself and its client, at p.  path is
 * NGX_READINESS_PATH_FULL, or NGX_READINESS_PATH_ROUTE to leave url.path out.
 * Returns the end of what was written.
 */
u_char *ngx_readiness_log_request(u_char *p, ngx_http_request_t *r,
    const ngx_readiness_ctx_t *ctx, ngx_uint_t path);


#endif /* _NGX_READINESS_LINE_H_INCLUDED_ */
