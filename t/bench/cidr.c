
/*
 * Copyright (C) The readiness authors
 */


/*
 * How long one look-up in a list of 10 000 networks takes, half of them IPv6,
 * by random addresses of which half are in the list.
 *
 *     make build/bench/cidr && build/bench/cidr
 */


#include "client/rdy_cidr.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>


#define NETWORKS   10000
#define ADDRESSES  65536
#define LOOKUPS    20000000


static uint64_t  seed = 88172645463325252;


static uint64_t
draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed;
}


static void
draw_addr(rdy_addr_t *addr, int v6)
{
    size_t    i;
    uint64_t  high, low;
    u_char    bytes[16];

    high = draw();
    low = draw();

    for (i = 0; i < 8; i++) {
        bytes[i] = (u_char) (high >> 8 * i);
        bytes[8 + i] = (u_char) (low >> 8 * i);
    }

    (void) rdy_addr_bytes(bytes, v6 ? 16 : 4, addr);
}


static double
seconds(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


int
main(void)
{
    int                i;
    double             start, took;
    uint64_t           hits;
    rdy_cidr_t        *cidrs;
    rdy_addr_t        *addrs;
    rdy_cidr_set_t     set;

    cidrs = calloc(NETWORKS, sizeof(rdy_cidr_t));
    addrs = calloc(ADDRESSES, sizeof(rdy_addr_t));

    if (cidrs == NULL || addrs == NULL) {
        return 1;
    }

    for (i = 0; i < NETWORKS; i++) {
        draw_addr(&cidrs[i].addr, i & 1);
        cidrs[i].bits = (cidrs[i].addr.family == 6) ? 48 : 24;
        rdy_addr_mask(&cidrs[i].addr, 24, 48);
    }

    for (i = 0; i < ADDRESSES; i++) {

        if (draw() & 1) {
            addrs[i] = cidrs[draw() % NETWORKS].addr;

        } else {
            draw_addr(&addrs[i], i & 1);
        }
    }

    start = seconds();
    rdy_cidr_set_init(&set, malloc(rdy_cidr_set_size(NETWORKS)), cidrs,
                      NETWORKS);
    took = seconds() - start;

    printf("%d networks: made in %.2f ms, %zu + %zu ranges\n", NETWORKS,
           took * 1e3, set.nv4, set.nv6);

    hits = 0;
    start = seconds();

    for (i = 0; i < LOOKUPS; i++) {
        hits += rdy_cidr_set_match(&set, &addrs[i % ADDRESSES]);
    }

    took = seconds() - start;

    printf("%d look-ups: %.1f ns each, %.1f %% found\n", LOOKUPS,
           took / LOOKUPS * 1e9, hits * 100.0 / LOOKUPS);

    return 0;
}
