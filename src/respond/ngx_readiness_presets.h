
/*
 * Copyright (C) The readiness authors
 */


/* The ready sets of response headers, as tables: one row each. */


#ifndef _NGX_READINESS_PRESETS_H_INCLUDED_
#define _NGX_READINESS_PRESETS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the presets a row is of: 1 << NGX_READINESS_PRESET_* */

typedef struct {
    ngx_str_t    name;
    ngx_str_t    value;
    ngx_uint_t   presets;
    unsigned     documents:1;
    unsigned     if_missing:1;
} ngx_readiness_preset_t;


/* both end at a row without a name */

extern const ngx_readiness_preset_t  ngx_readiness_presets[];

/* response headers that tell what runs behind: OWASP Secure Headers Project */

extern const ngx_str_t  ngx_readiness_telltales[];


#endif /* _NGX_READINESS_PRESETS_H_INCLUDED_ */
