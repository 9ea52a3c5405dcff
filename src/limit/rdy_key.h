
/*
 * Copyright (C) The readiness authors
 */


/*
 * Keys made of parts.  A key is its parts, each written by rdy_key_part(),
 * with RDY_KEY_SEPARATOR between every two of them, empty ones too:
 *
 *     ("10.0.0.1", "acme")  10.0.0.1|acme
 *     ("", "acme")          |acme
 *     ("a|b")               #0eab8a0a...
 *
 * Neither the separator nor the mark of a digest is in the alphabet of plain
 * parts, so two different lists of parts never give the same key.  Braces are
 * not in it either: in Redis a key is <prefix><rate>:{<key>}, and no client
 * can move it to another slot.
 */


#ifndef _RDY_KEY_H_INCLUDED_
#define _RDY_KEY_H_INCLUDED_


#include "rdy_base.h"


#define RDY_KEY_PART_MAX   64
#define RDY_KEY_SEPARATOR  '|'


/*
 * Writes one part at dst, which has room for RDY_KEY_PART_MAX bytes, and
 * returns how many were written: the part as it is when it has at most that
 * many bytes, all of them of [A-Za-z0-9._:@-], and is no secret; otherwise
 * "#" and 32 lower-case hex digits, the first 128 bits of its SHA-256.
 * An empty part writes nothing, secret or not.
 */
size_t rdy_key_part(u_char *dst, const rdy_str_t *part, rdy_uint_t secret);


#endif /* _RDY_KEY_H_INCLUDED_ */
