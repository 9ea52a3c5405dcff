
/*
 * Copyright (C) The readiness authors
 */


/* What may be the name of a tenant. */


#ifndef _RDY_TENANT_H_INCLUDED_
#define _RDY_TENANT_H_INCLUDED_


#include "rdy_base.h"


#define RDY_TENANT_MAX_OWN  255         /* bytes; with another pattern */


/*
 * 1 when the whole name is [A-Za-z0-9][A-Za-z0-9._-]{0,63} and no word that
 * programs write for "nobody".
 */
rdy_uint_t rdy_tenant_valid(const rdy_str_t *name);


/* 1 when name is null, nil, none or undefined, in any letter case */

rdy_uint_t rdy_tenant_nobody(const rdy_str_t *name);


#endif /* _RDY_TENANT_H_INCLUDED_ */
