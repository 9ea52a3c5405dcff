
/*
 * Copyright (C) The readiness authors
 */


#include "redis/rdy_items.h"


static rdy_int_t rdy_items_head(rdy_items_t *items, rdy_item_e type,
    uint64_t n, size_t len);


rdy_int_t
rdy_items_array(rdy_items_t *items, uint64_t n)
{
    return rdy_items_head(items, RDY_ITEM_ARRAY, n, 0);
}


rdy_int_t
rdy_items_string(rdy_items_t *items, const u_char *data, size_t len)
{
    if (rdy_items_head(items, RDY_ITEM_STRING, len, len) != RDY_OK) {
        return RDY_ERROR;
    }

    if (len) {
        memcpy(items->pos, data, len);
        items->pos += len;
    }

    return RDY_OK;
}


rdy_int_t
rdy_items_integer(rdy_items_t *items, int64_t integer)
{
    return rdy_items_head(items, RDY_ITEM_INTEGER, (uint64_t) integer, 0);
}


rdy_int_t
rdy_items_nil(rdy_items_t *items)
{
    return rdy_items_head(items, RDY_ITEM_NIL, 0, 0);
}


/* len: of the bytes that are going to follow */

static rdy_int_t
rdy_items_head(rdy_items_t *items, rdy_item_e type, uint64_t n, size_t len)
{
    size_t  room;

    room = items->end - items->pos;

    if (room < RDY_ITEM_HEAD_LEN || room - RDY_ITEM_HEAD_LEN < len) {
        return RDY_ERROR;
    }

    *items->pos++ = (u_char) type;
    memcpy(items->pos, &n, sizeof(uint64_t));
    items->pos += sizeof(uint64_t);

    return RDY_OK;
}


rdy_int_t
rdy_items_next(rdy_items_t *items, rdy_item_t *item)
{
    size_t    left;
    uint64_t  n;

    left = items->end - items->pos;

    if (left < RDY_ITEM_HEAD_LEN) {
        return RDY_ERROR;
    }

    left -= RDY_ITEM_HEAD_LEN;

    memcpy(&n, items->pos + 1, sizeof(uint64_t));

    item->type = items->pos[0];
    item->n = 0;
    item->integer = 0;
    item->string.len = 0;
    item->string.data = items->pos + RDY_ITEM_HEAD_LEN;

    switch (item->type) {

    case RDY_ITEM_ARRAY:
        item->n = n;
        break;

    case RDY_ITEM_STRING:

        if (n > left) {
            return RDY_ERROR;
        }

        item->string.len = (size_t) n;
        break;

    case RDY_ITEM_INTEGER:
        item->integer = (int64_t) n;
        break;

    case RDY_ITEM_NIL:
        break;

    default:
        return RDY_ERROR;
    }

    items->pos += RDY_ITEM_HEAD_LEN + item->string.len;

    return RDY_OK;
}


rdy_int_t
rdy_items_expect(rdy_items_t *items, rdy_item_e type, rdy_item_t *item)
{
    rdy_items_t  next;

    next = *items;

    if (rdy_items_next(&next, item) != RDY_OK || item->type != type) {
        return RDY_ERROR;
    }

    *items = next;

    return RDY_OK;
}


rdy_int_t
rdy_items_skip(rdy_items_t *items, uint64_t n)
{
    rdy_item_t  item;

    while (n) {

        if (rdy_items_next(items, &item) != RDY_OK) {
            return RDY_ERROR;
        }

        n--;

        /* each element takes at least a head */

        if (item.n > (uint64_t) (items->end - items->pos)
            || n > (uint64_t) (items->end - items->pos))
        {
            return RDY_ERROR;
        }

        n += item.n;
    }

    return RDY_OK;
}
