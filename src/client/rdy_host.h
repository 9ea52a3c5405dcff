
/*
 * Copyright (C) The readiness authors
 */


#ifndef _RDY_HOST_H_INCLUDED_
#define _RDY_HOST_H_INCLUDED_


#include "client/rdy_addr.h"


/*
 * Splits the value of a Host header (RFC 9110, 7.2): "name", "name:81",
 * "[::1]:81".
 *
 * RDY_OK     *host is the name, or the IPv6 literal with its brackets; *port is
 *            the text of the port, empty if there is none.  Both are parts of
 *            value.
 * RDY_ERROR  the name is empty or has bytes other than letters, digits, ".",
 *            "_", "-", the literal is no IPv6 address, or the port is not
 *            1..65535 in decimal without leading zeros; *host and *port are
 *            untouched.
 */

rdy_int_t rdy_host_split(const rdy_str_t *value, rdy_str_t *host,
    rdy_str_t *port);


#endif /* _RDY_HOST_H_INCLUDED_ */
