
/*
 * Copyright (C) The readiness authors
 */


/*
 * Flags are only ever added: what is written begins with the value, has all the
 * flags that were asked for, and asks for nothing more; SameSite=None is never
 * written without Secure.
 */


#include <stdlib.h>

#include "respond/rdy_cookie.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
flag(const rdy_str_t *value, rdy_uint_t want)
{
    u_char        *p;
    rdy_str_t      out;
    rdy_uint_t     missing;
    rdy_cookie_t   before, after;

    rdy_cookie_scan(value, &before);

    if (before.name.len
        && (before.name.data < value->data
            || before.name.data + before.name.len
               > value->data + value->len))
    {
        abort();
    }

    missing = rdy_cookie_missing(&before, want);

    p = malloc(value->len + RDY_COOKIE_WRITE_LEN);
    if (p == NULL) {
        return;
    }

    out.data = p;
    out.len = rdy_cookie_write(p, value, missing) - p;

    if (out.len > value->len + RDY_COOKIE_WRITE_LEN) {
        abort();
    }

    rdy_cookie_scan(&out, &after);

    if ((before.flags & ~after.flags)
        || rdy_cookie_missing(&after, want)
        || after.name.len != before.name.len)
    {
        abort();
    }

    if ((missing & RDY_COOKIE_NONE) && !(after.flags & RDY_COOKIE_SECURE)) {
        abort();
    }

    free(p);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rdy_str_t  value;

    value.data = (u_char *) data;
    value.len = size;

    flag(&value, RDY_COOKIE_SECURE|RDY_COOKIE_HTTPONLY|RDY_COOKIE_STRICT);
    flag(&value, RDY_COOKIE_NONE);
    flag(&value, RDY_COOKIE_LAX);
    flag(&value, 0);

    return 0;
}
