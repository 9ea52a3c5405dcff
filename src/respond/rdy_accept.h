
/*
 * Copyright (C) The readiness authors
 */


/* Who wants a page rather than a machine-readable answer: Accept. */


#ifndef _RDY_ACCEPT_H_INCLUDED_
#define _RDY_ACCEPT_H_INCLUDED_


#include "rdy_base.h"


/* bytes of all lines together that are looked at */

#define RDY_ACCEPT_MAX_LEN  4096


/*
 * Weighs the n lines of Accept (RFC 9110, 12.5.1), in order of arrival.
 *
 * Returns 1 if text/html is preferred to application/problem+json and
 * application/json: by its quality, each type having that of the most specific
 * range which covers it; where the qualities are equal, if html was named more
 * closely.  So "text/html, application/json" is 0 and the "text/html, x, y"
 * with a wildcard that browsers send is 1.  No lines, or a wildcard alone, is
 * 0.  An element that cannot be read counts for nothing; of one that is named
 * twice the higher quality counts.
 */

rdy_uint_t rdy_accept_html(const rdy_str_t *lines, size_t n);


#endif /* _RDY_ACCEPT_H_INCLUDED_ */
