
/*
 * Copyright (C) The readiness authors
 */


/*
 * What a node says of its cluster, as a map, as an error and as a key: every
 * slot is on a node of the map or on none, every string is part of the text.
 */


#include <stdlib.h>

#include "redis/rdy_cluster.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
check_host(const rdy_str_t *host, const rdy_str_t *text)
{
    size_t  i;

    if (host->len == 0) {
        return;
    }

    check(host->len <= RDY_CLUSTER_HOST_LEN);
    check(host->data >= text->data
          && host->data + host->len <= text->data + text->len);

    for (i = 0; i < host->len; i++) {
        check(host->data[i] > ' ' && host->data[i] < 0x7f);
    }
}


static void
check_map(const rdy_str_t *text)
{
    const char                *why;
    rdy_uint_t                 i, n;
    static rdy_cluster_map_t   map;

    if (rdy_cluster_nodes(text, &map, &why) != RDY_OK) {
        check(why != NULL);
        return;
    }

    check(map.nnodes <= RDY_CLUSTER_NODES);

    for (i = 0; i < map.nnodes; i++) {
        check_host(&map.nodes[i].host, text);
        check(map.nodes[i].port != 0);
        check(map.nodes[i].name.len <= RDY_CLUSTER_HOST_LEN);
    }

    for (i = 0, n = 0; i < RDY_CLUSTER_SLOTS; i++) {
        if (map.slots[i] != RDY_CLUSTER_NONE) {
            check(map.slots[i] < map.nnodes);
            n++;
        }
    }

    check(n == map.nslots);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rdy_str_t              text;
    rdy_cluster_error_e    what;
    rdy_cluster_target_t   target;

    text.data = (u_char *) data;
    text.len = size;

    check(rdy_cluster_slot(&text) < RDY_CLUSTER_SLOTS);

    what = rdy_cluster_error(&text, &target);

    if (what == RDY_CLUSTER_MOVED || what == RDY_CLUSTER_ASK) {
        check(target.slot < RDY_CLUSTER_SLOTS && target.port != 0);
        check_host(&target.host, &text);
    }

    check_map(&text);

    return 0;
}
