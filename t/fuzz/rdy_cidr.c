
/*
 * Copyright (C) The readiness authors
 */


/*
 * The input is an address list file.  Its lines add up to its length, and the
 * set of its CIDRs holds an address exactly if one of them does.
 */


#include <stdlib.h>

#include "client/rdy_cidr.h"


#define MAX_CIDRS  64


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static rdy_uint_t
in_list(const rdy_cidr_t *cidrs, size_t n, const rdy_addr_t *addr)
{
    size_t      i;
    rdy_addr_t  net;

    for (i = 0; i < n; i++) {
        net = *addr;
        rdy_addr_mask(&net, cidrs[i].bits, cidrs[i].bits);

        if (memcmp(&net, &cidrs[i].addr, sizeof(rdy_addr_t)) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
check(const rdy_cidr_set_t *set, const rdy_cidr_t *cidrs, size_t n,
    const rdy_addr_t *addr)
{
    if (rdy_cidr_set_match(set, addr) != in_list(cidrs, n, addr)) {
        abort();
    }
}


static void
check_around(const rdy_cidr_set_t *set, const rdy_cidr_t *cidrs, size_t n,
    const rdy_cidr_t *cidr)
{
    rdy_int_t    i, len;
    rdy_addr_t   before, after;

    before = cidr->addr;
    after = cidr->addr;
    len = (after.family == 4) ? 4 : 16;

    check(set, cidrs, n, &cidr->addr);

    for (i = cidr->bits; i < len * 8; i++) {
        after.a[i / 8] |= (u_char) (0x80 >> i % 8);
    }

    check(set, cidrs, n, &after);

    for (i = len - 1; i >= 0 && ++after.a[i] == 0; i--) {
        /* void */
    }

    for (i = len - 1; i >= 0 && --before.a[i] == 0xff; i--) {
        /* void */
    }

    check(set, cidrs, n, &after);
    check(set, cidrs, n, &before);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t           i, n, left;
    rdy_int_t        rc;
    rdy_str_t        rest, line;
    rdy_cidr_t       cidrs[MAX_CIDRS], clean;
    rdy_cidr_v6_t    mem[MAX_CIDRS];
    rdy_cidr_set_t   set;

    rest.data = (u_char *) data;
    rest.len = size;
    n = 0;

    for ( ;; ) {
        left = rest.len;
        rc = rdy_cidr_line(&rest, &line);

        if (rc == RDY_ERROR) {
            break;
        }

        if (rest.len >= left || rest.data + rest.len != data + size
            || (line.len == 0) != (rc == RDY_DECLINED)
            || (rc == RDY_OK && memchr(line.data, '\n', line.len)))
        {
            abort();
        }

        if (rc != RDY_OK || n == MAX_CIDRS
            || rdy_cidr_parse(&line, &cidrs[n]) == RDY_ERROR)
        {
            continue;
        }

        clean = cidrs[n++];
        rdy_addr_mask(&clean.addr, clean.bits, clean.bits);

        if (clean.bits > (clean.addr.family == 4 ? 32 : 128)
            || memcmp(&clean.addr, &cidrs[n - 1].addr, sizeof(rdy_addr_t)))
        {
            abort();
        }
    }

    if (left || rdy_cidr_set_size(n) > sizeof(mem)) {
        abort();
    }

    rdy_cidr_set_init(&set, mem, cidrs, n);

    for (i = 0; i < n; i++) {
        check_around(&set, cidrs, n, &cidrs[i]);
    }

    return 0;
}
