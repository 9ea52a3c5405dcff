
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_field.h"


#define rdy_field_copy(p, s)                                                  \
    ((u_char *) memcpy(p, s, sizeof(s) - 1) + sizeof(s) - 1)


static size_t rdy_field_digits(uint64_t n);
static u_char *rdy_field_name(u_char *p, const rdy_str_t *name);


size_t
rdy_field_policy_len(const rdy_field_t *f, size_t n)
{
    size_t  i, len;

    len = 0;

    for (i = 0; i < n; i++) {
        len += (i ? sizeof(", ") - 1 : 0)
               + sizeof("\"\";q=;w=") - 1 + f[i].name.len
               + rdy_field_digits(f[i].rate->burst)
               + rdy_field_digits(rdy_rate_window(f[i].rate));
    }

    return len;
}


u_char *
rdy_field_policy(u_char *p, const rdy_field_t *f, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {

        if (i) {
            p = rdy_field_copy(p, ", ");
        }

        p = rdy_field_name(p, &f[i].name);
        p = rdy_field_copy(p, ";q=");
        p = rdy_field_number(p, f[i].rate->burst);
        p = rdy_field_copy(p, ";w=");
        p = rdy_field_number(p, rdy_rate_window(f[i].rate));
    }

    return p;
}


size_t
rdy_field_limit_len(const rdy_field_t *f, size_t n)
{
    size_t  i, len;

    len = 0;

    for (i = 0; i < n; i++) {
        len += (i ? sizeof(", ") - 1 : 0)
               + sizeof("\"\";r=;t=") - 1 + f[i].name.len
               + rdy_field_digits(f[i].remaining)
               + rdy_field_digits(f[i].seconds);
    }

    return len;
}


u_char *
rdy_field_limit(u_char *p, const rdy_field_t *f, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {

        if (i) {
            p = rdy_field_copy(p, ", ");
        }

        p = rdy_field_name(p, &f[i].name);
        p = rdy_field_copy(p, ";r=");
        p = rdy_field_number(p, f[i].remaining);
        p = rdy_field_copy(p, ";t=");
        p = rdy_field_number(p, f[i].seconds);
    }

    return p;
}


u_char *
rdy_field_number(u_char *p, uint64_t n)
{
    u_char  *end, *last;

    end = p + rdy_field_digits(n);
    last = end;

    do {
        *--last = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return end;
}


static size_t
rdy_field_digits(uint64_t n)
{
    size_t  len;

    for (len = 1; n >= 10; len++) {
        n /= 10;
    }

    return len;
}


static u_char *
rdy_field_name(u_char *p, const rdy_str_t *name)
{
    *p++ = '"';
    memcpy(p, name->data, name->len);
    p += name->len;
    *p++ = '"';

    return p;
}
