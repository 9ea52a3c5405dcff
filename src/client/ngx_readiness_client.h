
/*
 * Copyright (C) The readiness authors
 */


/* what the files of the client room share */


#ifndef _NGX_READINESS_CLIENT_H_INCLUDED_
#define _NGX_READINESS_CLIENT_H_INCLUDED_


#include "ngx_readiness.h"
#include "client/rdy_forwarded.h"


/* a network shorter than this trusts a share of the whole internet */

#define NGX_READINESS_TRUST_MIN     3


/*
 * What one pass over the request's headers found.  Of the client header only
 * the last lines are kept: a walk from the right needs no more of them.
 */

typedef struct {
    rdy_str_t                    lines[RDY_FORWARDED_MAX_HOPS];
    ngx_uint_t                   nlines;     /* all of them */
    ngx_str_t                    proto;      /* X-Forwarded-Proto, last line */
    ngx_str_t                    host;       /* X-Forwarded-Host */
    ngx_str_t                    port;       /* X-Forwarded-Port */
    ngx_str_t                    id;
    ngx_uint_t                   nids;
    ngx_str_t                    parent;     /* traceparent */
    ngx_uint_t                   nparents;
    rdy_str_t                    states[RDY_FORWARDED_MAX_HOPS];
    ngx_uint_t                   nstates;    /* tracestate */

    ngx_list_part_t              kept;       /* runs of headers that stay */
    ngx_list_part_t             *last;
    ngx_uint_t                   dropped;
} ngx_readiness_inbound_t;


/*
 * Reads the request's headers once, sorting out those that are about to be
 * removed.  Nothing is changed yet.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_readiness_inbound(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf, ngx_readiness_inbound_t *in);

/*
 * Puts into the request's header list what the application is to see: the
 * runs that stay, and our own truthful ones.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_readiness_outbound(ngx_http_request_t *r,
    const ngx_readiness_client_conf_t *conf,
    const ngx_readiness_client_t *client, const ngx_readiness_inbound_t *in);

/* computes the hashes of the names we write; at configuration */
void ngx_readiness_outbound_init(void);

/* request ID and trace context of the request: taken over, or made */
ngx_int_t ngx_readiness_identify(const ngx_readiness_client_conf_t *conf,
    ngx_readiness_client_t *client, const ngx_readiness_inbound_t *in);


#endif /* _NGX_READINESS_CLIENT_H_INCLUDED_ */
