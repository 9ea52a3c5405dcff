
/*
 * Copyright (C) The readiness authors
 */


/*
 * Items of any bytes, and items made of any bytes: nothing is read past the
 * end, what was written is read back, and what a sentinel names is a host and
 * a port.
 */


#include <stdlib.h>

#include "redis/rdy_sentinel.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
judge(rdy_items_t items)
{
    u_char      *start;
    rdy_int_t    rc;
    rdy_str_t    host;
    rdy_uint_t   port;

    start = items.pos;

    rc = rdy_sentinel_master(items, &host, &port);
    check(rc == RDY_OK || rc == RDY_DECLINED || rc == RDY_ERROR);

    if (rc == RDY_OK) {
        check(port >= 1 && port <= 65535);
        check(host.len >= 1 && host.len <= RDY_SENTINEL_HOST_LEN);
        check(host.data >= start && host.data + host.len <= items.end);
        check(memchr(host.data, '\0', host.len) == NULL);
        check(memchr(host.data, '/', host.len) == NULL);
    }

    check(rdy_sentinel_role(items) <= RDY_ROLE_SENTINEL);
}


static void
walk(rdy_items_t items)
{
    u_char      *pos;
    rdy_item_t   item;
    rdy_items_t  all;

    all = items;

    do {
        pos = items.pos;
        check(pos <= items.end);

        if (rdy_items_next(&items, &item) != RDY_OK) {
            check(items.pos == pos);
            break;
        }

        check(items.pos == pos + RDY_ITEM_HEAD_LEN + item.string.len);

    } while (items.pos <= items.end);

    (void) rdy_items_skip(&all, 1);
    check(all.pos <= all.end);
}


/* the input as a list of what to write: a type, a length, its bytes */

static void
write_and_read(const uint8_t *data, size_t size)
{
    size_t       i, n;
    u_char       buf[512];
    rdy_int_t    rc;
    rdy_items_t  w, r;

    w.pos = buf;
    w.end = buf + sizeof(buf);
    rc = RDY_OK;

    for (i = 0; i + 2 <= size && rc == RDY_OK; i += 2) {

        n = data[i + 1];

        switch (data[i] % 4) {

        case 0:
            rc = rdy_items_array(&w, n);
            break;

        case 1:
            n = n < size - i - 2 ? n : size - i - 2;
            rc = rdy_items_string(&w, data + i + 2, n);
            i += n;
            break;

        case 2:
            rc = rdy_items_integer(&w, (int64_t) n - 128);
            break;

        default:
            rc = rdy_items_nil(&w);
        }
    }

    check(w.pos <= w.end);

    r.pos = buf;
    r.end = w.pos;

    walk(r);
    judge(r);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char       *copy;
    rdy_items_t   items;

    copy = malloc(size ? size : 1);
    check(copy != NULL);

    if (size) {
        memcpy(copy, data, size);
    }

    items.pos = copy;
    items.end = copy + size;

    walk(items);
    judge(items);

    free(copy);

    write_and_read(data, size);

    return 0;
}
