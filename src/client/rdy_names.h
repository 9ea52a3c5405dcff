
/*
 * Copyright (C) The readiness authors
 */


/*
 * Names of header fields as applications see them.  CGI and its successors, and
 * many frameworks, turn "-", "_", "." and more into one character, so that
 * X_Forwarded_For passes for X-Forwarded-For.  Names are compared folded here:
 * each byte that is neither letter nor digit counts as "-", letters are equal
 * in either case.
 */


#ifndef _RDY_NAMES_H_INCLUDED_
#define _RDY_NAMES_H_INCLUDED_


#include "rdy_base.h"


/* Returns 1 if the two names are equal when folded, else 0. */

rdy_uint_t rdy_names_equal(const u_char *a, size_t alen, const u_char *b,
    size_t blen);


/*
 * Returns 1 if the name, folded, is one that applications take forwarding
 * information from: a row of the table in rdy_names.c, or anything that begins
 * with X-Original-; else 0.  Asked for each header of each request: most names
 * are turned away by their length and first letter.
 */

rdy_uint_t rdy_names_forwarding(const u_char *name, size_t len);


#endif /* _RDY_NAMES_H_INCLUDED_ */
