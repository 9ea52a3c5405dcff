
/*
 * Copyright (C) The readiness authors
 */


#include "redis/rdy_sentinel.h"


typedef struct {
    rdy_str_t   name;
    rdy_role_e  role;
} rdy_role_row_t;


static rdy_uint_t rdy_sentinel_is_host(const rdy_str_t *host);
static rdy_uint_t rdy_sentinel_port(const rdy_str_t *text);


static const rdy_role_row_t  rdy_roles[] = {
    { rdy_string("master"), RDY_ROLE_MASTER },
    { rdy_string("slave"), RDY_ROLE_REPLICA },
    { rdy_string("replica"), RDY_ROLE_REPLICA },
    { rdy_string("sentinel"), RDY_ROLE_SENTINEL }
};


rdy_int_t
rdy_sentinel_master(rdy_items_t items, rdy_str_t *host, rdy_uint_t *port)
{
    rdy_item_t  item, name, number;
    rdy_uint_t  n;

    if (rdy_items_next(&items, &item) != RDY_OK) {
        return RDY_ERROR;
    }

    if (item.type == RDY_ITEM_NIL) {
        return RDY_DECLINED;
    }

    if (item.type != RDY_ITEM_ARRAY || item.n != 2
        || rdy_items_expect(&items, RDY_ITEM_STRING, &name) != RDY_OK
        || rdy_items_expect(&items, RDY_ITEM_STRING, &number) != RDY_OK
        || !rdy_sentinel_is_host(&name.string))
    {
        return RDY_ERROR;
    }

    n = rdy_sentinel_port(&number.string);
    if (n == 0) {
        return RDY_ERROR;
    }

    *host = name.string;
    *port = n;

    return RDY_OK;
}


static rdy_uint_t
rdy_sentinel_is_host(const rdy_str_t *host)
{
    u_char  c;
    size_t  i;

    if (host->len == 0 || host->len > RDY_SENTINEL_HOST_LEN) {
        return 0;
    }

    for (i = 0; i < host->len; i++) {
        c = rdy_lower(host->data[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.'
            && c != ':' && c != '-' && c != '_')
        {
            return 0;
        }
    }

    return 1;
}


/* 0: it is none */

static rdy_uint_t
rdy_sentinel_port(const rdy_str_t *text)
{
    size_t      i;
    rdy_uint_t  port;

    if (text->len > 5) {
        return 0;
    }

    port = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            return 0;
        }

        port = port * 10 + (text->data[i] - '0');
    }

    return port <= 65535 ? port : 0;
}


rdy_role_e
rdy_sentinel_role(rdy_items_t items)
{
    size_t                 i;
    rdy_item_t             item;
    const rdy_role_row_t  *row;

    if (rdy_items_expect(&items, RDY_ITEM_ARRAY, &item) != RDY_OK
        || item.n == 0
        || rdy_items_expect(&items, RDY_ITEM_STRING, &item) != RDY_OK)
    {
        return RDY_ROLE_UNKNOWN;
    }

    for (i = 0; i < sizeof(rdy_roles) / sizeof(rdy_roles[0]); i++) {
        row = &rdy_roles[i];

        if (item.string.len == row->name.len
            && memcmp(item.string.data, row->name.data, row->name.len) == 0)
        {
            return row->role;
        }
    }

    return RDY_ROLE_UNKNOWN;
}
