
/*
 * Copyright (C) The readiness authors
 */


#include "client/rdy_host.h"


static rdy_uint_t rdy_host_port(const u_char *p, size_t len);


/* letters, digits and "._-", a bit per byte below 128 */

static const uint32_t  rdy_host_chars[] = {
    0x00000000, 0x03ff6000, 0x87fffffe, 0x07fffffe
};


rdy_int_t
rdy_host_split(const rdy_str_t *value, rdy_str_t *host, rdy_str_t *port)
{
    u_char      *p, *end;
    rdy_str_t   name;
    rdy_addr_t  addr;

    if (value->len == 0) {
        return RDY_ERROR;
    }

    p = value->data;
    end = p + value->len;

    name.data = p;

    if (*p == '[') {
        p = memchr(p, ']', value->len);

        if (p == NULL) {
            return RDY_ERROR;
        }

        p++;
        name.len = p - name.data;

        if (rdy_addr_parse(&name, &addr, NULL) != RDY_OK) {
            return RDY_ERROR;
        }

    } else {

        for ( /* void */ ; p < end && *p != ':'; p++) {

            if (*p >= 0x80 || !(rdy_host_chars[*p >> 5] & 1u << (*p & 0x1f)))
            {
                return RDY_ERROR;
            }
        }

        name.len = p - name.data;

        if (name.len == 0) {
            return RDY_ERROR;
        }
    }

    if (p < end && (*p != ':' || !rdy_host_port(p + 1, end - (p + 1)))) {
        return RDY_ERROR;
    }

    port->data = (p < end) ? p + 1 : end;
    port->len = end - port->data;
    *host = name;

    return RDY_OK;
}


static rdy_uint_t
rdy_host_port(const u_char *p, size_t len)
{
    size_t      i;
    rdy_uint_t  n;

    if (len == 0 || len > 5 || *p == '0') {
        return 0;
    }

    n = 0;

    for (i = 0; i < len; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }

        n = n * 10 + (p[i] - '0');
    }

    return n <= 65535;
}
