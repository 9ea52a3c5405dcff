
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_field.h"
#include "rdy_decimal.h"


#define RDY_FIELD_SLOTS  ";qu=\"concurrent-requests\""

#define rdy_field_copy(p, s)                                                  \
    ((u_char *) memcpy(p, s, sizeof(s) - 1) + sizeof(s) - 1)


#define rdy_field_of_slots(f)  ((f)->rate->kind == RDY_RATE_CONCURRENT)


static u_char *rdy_field_name(u_char *p, const rdy_str_t *name);


size_t
rdy_field_policy_len(const rdy_field_t *f, size_t n)
{
    size_t  i, len;

    len = 0;

    for (i = 0; i < n; i++) {
        len += (i ? sizeof(", ") - 1 : 0)
               + sizeof("\"\";q=") - 1 + f[i].name.len
               + rdy_decimal_len(f[i].rate->burst);

        len += rdy_field_of_slots(&f[i])
               ? sizeof(RDY_FIELD_SLOTS) - 1
               : sizeof(";w=") - 1
                 + rdy_decimal_len(rdy_rate_window(f[i].rate));
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

        if (rdy_field_of_slots(&f[i])) {
            p = rdy_field_copy(p, RDY_FIELD_SLOTS);
            continue;
        }

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
               + sizeof("\"\";r=") - 1 + f[i].name.len
               + rdy_decimal_len(f[i].remaining);

        if (f[i].seconds || !rdy_field_of_slots(&f[i])) {
            len += sizeof(";t=") - 1 + rdy_decimal_len(f[i].seconds);
        }
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

        if (f[i].seconds || !rdy_field_of_slots(&f[i])) {
            p = rdy_field_copy(p, ";t=");
            p = rdy_field_number(p, f[i].seconds);
        }
    }

    return p;
}


u_char *
rdy_field_number(u_char *p, uint64_t n)
{
    u_char  *end;

    end = p + rdy_decimal_len(n);

    (void) rdy_decimal(end, n);

    return end;
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
