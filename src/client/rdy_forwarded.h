
/*
 * Copyright (C) The readiness authors
 */


/*
 * What trusted proxies say of the client: reading X-Forwarded-For and Forwarded
 * (RFC 7239) from the nearest hop outwards, and writing Forwarded.
 *
 * The rule of the walk is the same for both.  Each hop vouches for the one
 * before it, so the list is read from the right, and only as long as the hop
 * that wrote an element is trusted.  What cannot be read ends the walk at the
 * last good hop; it is never skipped, as anything left of it may be forged.
 */


#ifndef _RDY_FORWARDED_H_INCLUDED_
#define _RDY_FORWARDED_H_INCLUDED_


#include "client/rdy_addr.h"
#include "client/rdy_cidr.h"
#include "client/rdy_host.h"


/* elements of a list that are looked at, from the right */

#define RDY_FORWARDED_MAX_HOPS    32

/* bytes of all Forwarded lines together, and parameters in one element */

#define RDY_FORWARDED_MAX_LEN     8192
#define RDY_FORWARDED_MAX_PARAMS  16


typedef struct {
    rdy_addr_t  client;
    uint16_t    port;    /* of the client, 0: not known */
    rdy_uint_t  hops;    /* elements between the peer and the client, incl. */
    rdy_str_t   proto;   /* "http", "https" or empty */
    rdy_str_t   host;    /* as sent, not checked, or empty */
} rdy_forwarded_t;


/*
 * Walks the n lines of X-Forwarded-For, in order of arrival, as one list.
 *
 * f->client is the peer, already known to be trusted, and f->port its port.
 * They become the first untrusted address from the right and the port it came
 * with, or 0; the leftmost one if all are trusted; the last good one where an
 * element is empty or no address (rdy_addr_parse(), SP and HTAB around it being
 * cut off), or where RDY_FORWARDED_MAX_HOPS elements have been read.  If not a
 * single element is good they stay as they are.  f->hops is set to the number
 * of elements taken; proto and host are left alone.
 *
 * The bytes left of where the walk ends are not looked at.
 */

void rdy_forwarded_xff(const rdy_str_t *lines, size_t n,
    const rdy_cidr_set_t *trusted, rdy_forwarded_t *f);


/*
 * The same for the n lines of Forwarded (RFC 7239, 4 and 6).  All of them are
 * checked against the grammar before anything is believed: names are tokens of
 * any letter case, values tokens or quoted strings, no parameter comes twice in
 * an element, nothing surrounds "=" and ";".  Empty list elements are skipped.
 * An element whose "for" is missing, "unknown", obfuscated or no address ends
 * the walk; an IPv6 address needs its brackets; an obfuscated port counts as
 * none.
 *
 * RDY_OK     f is as above; proto and host are those of the element that the
 *            client was taken from, empty if it has none or the client is still
 *            the peer.  proto is a constant.  host is a part of a line, or
 *            unescaped in buf, of len bytes; it is empty if it does not fit.
 * RDY_ERROR  a line breaks the grammar, there are more than
 *            RDY_FORWARDED_MAX_LEN bytes in all or RDY_FORWARDED_MAX_PARAMS
 *            parameters in an element: the header counts for nothing, f is
 *            untouched.
 */

rdy_int_t rdy_forwarded_rfc7239(const rdy_str_t *lines, size_t n,
    const rdy_cidr_set_t *trusted, rdy_forwarded_t *f, u_char *buf, size_t len);


/*
 * Finds the last element of a comma list, such as an X-Forwarded-Proto to which
 * each proxy appended its own.  *value is that part of line, SP and HTAB around
 * it being cut off.
 *
 * Returns its length: 0 if the last element is empty.
 */

size_t rdy_forwarded_last(const rdy_str_t *line, rdy_str_t *value);


/* what rdy_forwarded_write() may need for a host of hostlen bytes */

#define RDY_FORWARDED_WRITE_LEN(hostlen)                                      \
    (sizeof("for=\"[]\";host=\"\";proto=https") - 1                           \
     + RDY_ADDR_TEXT_LEN + 2 * (hostlen))


/*
 * Writes one element of Forwarded: for="[2001:db8::1]";host="a:81";proto=https
 *
 * addr_text is the address of the client as rdy_addr_text() writes it, v6 tells
 * its family; "unknown" is written if addr_known is 0, and for a text that is
 * empty or longer than RDY_ADDR_TEXT_LEN.  host is quoted, and escaped, if it
 * is no token; it is left out if it is empty or holds a control byte.  proto is
 * left out unless it is "http" or "https".
 *
 * Returns the length, at most RDY_FORWARDED_WRITE_LEN(host->len), which buf has
 * to hold.
 */

size_t rdy_forwarded_write(u_char *buf, const rdy_str_t *addr_text,
    rdy_uint_t v6, const rdy_str_t *proto, const rdy_str_t *host,
    rdy_uint_t addr_known);


#endif /* _RDY_FORWARDED_H_INCLUDED_ */
