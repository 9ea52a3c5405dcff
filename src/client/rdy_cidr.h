
/*
 * Copyright (C) The readiness authors
 */


/*
 * Address lists: CIDR text, files of it, and sets that are asked on each
 * request.  IPv4 and IPv6 are apart: "::/0" holds no IPv4 address, and a
 * mapped address is an IPv4 one (see rdy_addr.h).
 */


#ifndef _RDY_CIDR_H_INCLUDED_
#define _RDY_CIDR_H_INCLUDED_


#include "client/rdy_addr.h"


typedef struct {
    rdy_addr_t  addr;  /* host bits are zero */
    uint8_t     bits;  /* 0..32 or 0..128, by addr.family */
} rdy_cidr_t;


/*
 * Ranges in host order, both ends included; those of one set are sorted and
 * there is at least one address between any two of them.
 */

typedef struct {
    uint32_t  first;
    uint32_t  last;
} rdy_cidr_v4_t;


typedef struct {
    uint64_t  high;
    uint64_t  low;
} rdy_cidr_u128_t;


typedef struct {
    rdy_cidr_u128_t  first;
    rdy_cidr_u128_t  last;
} rdy_cidr_v6_t;


/* an all-zero set is an empty one */

typedef struct {
    rdy_cidr_v4_t  *v4;
    size_t          nv4;
    rdy_cidr_v6_t  *v6;
    size_t          nv6;
} rdy_cidr_set_t;


/*
 * Reads ADDRESS or ADDRESS/BITS from the whole of text; the address is as in
 * rdy_addr_parse(), with neither brackets nor a port; BITS is decimal without
 * leading zeros.  A bare address is a /32 or a /128.  The bits of a mapped
 * address count from its 128: "::ffff:10.0.0.0/104" is 10.0.0.0/8.
 *
 * RDY_OK        *cidr is set.
 * RDY_DECLINED  *cidr is set, host bits of the text were not zero and have been
 *               cleared: worth a warning.
 * RDY_ERROR     malformed, or a mapped address with less than 96 bits; *cidr is
 *               untouched.
 */

rdy_int_t rdy_cidr_parse(const rdy_str_t *text, rdy_cidr_t *cidr);


/* Returns how many bytes of memory a set of n CIDRs needs; 0 for none. */

size_t rdy_cidr_set_size(size_t n);


/*
 * Makes a set of n CIDRs in any order, which may repeat and overlap; n may be
 * 0, cidrs and mem NULL then.  mem is rdy_cidr_set_size(n) bytes aligned for
 * uint64_t; it stays the caller's and has to live as long as the set.  cidrs
 * is not needed afterwards.  An element of family 0 adds nothing.  The time is
 * O(n log n).
 */

void rdy_cidr_set_init(rdy_cidr_set_t *set, void *mem, const rdy_cidr_t *cidrs,
    size_t n);


/*
 * Returns 1 if one of the set's CIDRs holds addr, else 0; family 0 is in no
 * set.  O(log n).
 */

rdy_uint_t rdy_cidr_set_match(const rdy_cidr_set_t *set,
    const rdy_addr_t *addr);


/*
 * Takes the next line off *rest, an address list file: one entry a line, LF or
 * CR LF, the last one with or without; "#" begins a comment anywhere in a line.
 *
 * RDY_OK        *line is the entry without blanks around it, a part of *rest.
 * RDY_DECLINED  the line holds nothing but blanks or a comment; *line is empty.
 * RDY_ERROR     *rest was empty: the end.
 *
 * *rest begins at the following line afterwards, so that a caller counts lines
 * by counting calls.
 */

rdy_int_t rdy_cidr_line(rdy_str_t *rest, rdy_str_t *line);


#endif /* _RDY_CIDR_H_INCLUDED_ */
