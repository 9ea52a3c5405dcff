
/*
 * Copyright (C) The readiness authors
 */


#include "identity/rdy_tenant.h"


#define RDY_TENANT_MAX  64


static rdy_uint_t rdy_tenant_is(const rdy_str_t *name, const char *word);


rdy_uint_t
rdy_tenant_valid(const rdy_str_t *name)
{
    u_char  c;
    size_t  i;

    if (name->len == 0 || name->len > RDY_TENANT_MAX) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
            || (c >= '0' && c <= '9'))
        {
            continue;
        }

        if (i == 0 || (c != '.' && c != '_' && c != '-')) {
            return 0;
        }
    }

    return !rdy_tenant_nobody(name);
}


rdy_uint_t
rdy_tenant_nobody(const rdy_str_t *name)
{
    switch (name->len) {

    case 3:
        return rdy_tenant_is(name, "nil");

    case 4:
        return rdy_tenant_is(name, "null") || rdy_tenant_is(name, "none");

    case 9:
        return rdy_tenant_is(name, "undefined");

    default:
        return 0;
    }
}


/* word is as long as name */

static rdy_uint_t
rdy_tenant_is(const rdy_str_t *name, const char *word)
{
    size_t  i;

    for (i = 0; i < name->len; i++) {
        if (rdy_lower(name->data[i]) != (u_char) word[i]) {
            return 0;
        }
    }

    return 1;
}
