
/*
 * Copyright (C) The readiness authors
 */


/*
 * The flags of one Set-Cookie value: which it has, and those it lacks written
 * behind it.  What is there already is never changed.
 */


#ifndef _RDY_COOKIE_H_INCLUDED_
#define _RDY_COOKIE_H_INCLUDED_


#include "rdy_base.h"


#define RDY_COOKIE_SECURE    0x01
#define RDY_COOKIE_HTTPONLY  0x02
#define RDY_COOKIE_LAX       0x04
#define RDY_COOKIE_STRICT    0x08
#define RDY_COOKIE_NONE      0x10

/* one of the three, whichever */

#define RDY_COOKIE_SAMESITE  0x1c


/* what rdy_cookie_write() adds at most */

#define RDY_COOKIE_WRITE_LEN                                                  \
    (sizeof("; Secure; HttpOnly; SameSite=Strict") - 1)


typedef struct {
    rdy_str_t   name;    /* a part of the value; empty: there is no "=" */
    rdy_uint_t  flags;   /* RDY_COOKIE_SAMESITE as a whole for any SameSite */
} rdy_cookie_t;


/*
 * Reads a Set-Cookie value (RFC 6265, 5.2).  Names of attributes are of either
 * letter case, blanks surround anything, an attribute counts whatever its value
 * is.  Nothing within the cookie's own value counts, and where a value is one
 * whole quoted string, a ";" within it ends nothing: agents differ there, and a
 * flag that stands twice does no harm where one that is missed does.
 */

void rdy_cookie_scan(const rdy_str_t *value, rdy_cookie_t *c);


/*
 * Returns those of the wanted flags that the cookie lacks.  Secure comes along
 * with SameSite=None, which agents refuse without it.
 */

rdy_uint_t rdy_cookie_missing(const rdy_cookie_t *c, rdy_uint_t want);


/*
 * Writes the value without the blanks and ";" at its end, and the flags behind
 * it.  Returns the end, at most value->len + RDY_COOKIE_WRITE_LEN bytes on.
 */

u_char *rdy_cookie_write(u_char *p, const rdy_str_t *value, rdy_uint_t flags);


#endif /* _RDY_COOKIE_H_INCLUDED_ */
