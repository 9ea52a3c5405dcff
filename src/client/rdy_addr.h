
/*
 * Copyright (C) The readiness authors
 */


/*
 * One address, one notation.  Whatever way an address is written or arrives,
 * there is a single value for it here: an IPv4-mapped IPv6 address is the IPv4
 * address, so that trust, limits and logs never depend on the notation.
 */


#ifndef _RDY_ADDR_H_INCLUDED_
#define _RDY_ADDR_H_INCLUDED_


#include "rdy_base.h"


/*
 * the longest canonical text, eight groups of four hex digits; a mapped
 * address never needs the longer mixed notation
 */

#define RDY_ADDR_TEXT_LEN  39


/* the longest text that parses: "[", v6 with a dotted tail, "]:65535" */

#define RDY_ADDR_PARSE_LEN  (sizeof("[]:65535") - 1 + 45)


typedef struct {
    u_char   a[16];    /* network order; IPv4 in the first 4, the rest zero */
    uint8_t  family;   /* 4, 6, or 0: none */
} rdy_addr_t;


/*
 * Reads an address, and a port if there is one, from the whole of text:
 * "1.2.3.4", "1.2.3.4:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80".
 * Without brackets every colon belongs to the IPv6 address.  Octets are decimal
 * without leading zeros, and there are four of them; no octal, hex or short
 * forms, no zone IDs, no blanks.  The IPv6 text is that of RFC 4291, 2.2, of
 * either letter case; with a dotted tail too.  A port is 1 to 5 digits.
 *
 * RDY_OK     *addr is set, family 4 for an IPv4-mapped address; *port is
 *            1..65535, or 0 if text has none.  port may be NULL, a port in the
 *            text has to be valid all the same.
 * RDY_ERROR  text is none of the above; *addr and *port are untouched.
 *
 * No more than RDY_ADDR_PARSE_LEN bytes are ever looked at.
 */

rdy_int_t rdy_addr_parse(const rdy_str_t *text, rdy_addr_t *addr,
    uint16_t *port);


/*
 * Makes an address of len raw bytes in network order, as in a sockaddr.
 *
 * RDY_OK     len is 4 or 16; an IPv4-mapped address becomes family 4.
 * RDY_ERROR  any other len; *addr is untouched.
 */

rdy_int_t rdy_addr_bytes(const u_char *bytes, size_t len, rdy_addr_t *addr);


/*
 * Clears all but the leading v4 bits (0..32) of an IPv4 address, or the leading
 * v6 bits (0..128) of an IPv6 one.  A number beyond the address's length keeps
 * it whole.  An address of family 0 stays as it is.
 */

void rdy_addr_mask(rdy_addr_t *addr, rdy_uint_t v4, rdy_uint_t v6);


/*
 * Writes the canonical text of RFC 5952, 4: lower case, no leading zeros, the
 * first longest run of two or more zero groups as "::".  There is no NUL.
 *
 * Returns the length, at most RDY_ADDR_TEXT_LEN, which buf has to hold; 0 for
 * family 0.
 */

size_t rdy_addr_text(const rdy_addr_t *addr, u_char *buf);


#endif /* _RDY_ADDR_H_INCLUDED_ */
