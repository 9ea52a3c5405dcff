
/*
 * Copyright (C) The readiness authors
 */


/*
 * The text of RateLimit-Policy and RateLimit: lists of strings with
 * parameters (RFC 9651), one member for each limit.
 *
 * Each field has a pass that counts and one that writes; both see the same
 * numbers, so the length is exact and the caller allocates once.
 */


#ifndef _RDY_FIELD_H_INCLUDED_
#define _RDY_FIELD_H_INCLUDED_


#include "limit/rdy_rate.h"


#define RDY_FIELD_NUMBER_LEN  20        /* digits of 2^64 - 1 */

/* a member of either list is never longer, its name and a ", " included */

#define RDY_FIELD_MAX_LEN(name_len)                                           \
    ((name_len) + sizeof("\"\";q=;qu=\"concurrent-requests\", ") - 1          \
     + 2 * RDY_FIELD_NUMBER_LEN)


typedef struct {
    rdy_str_t          name;            /* a NAME: needs no escape */
    const rdy_rate_t  *rate;
    uint64_t           remaining;       /* r= */
    uint64_t           seconds;         /* t=; of slots 0: it is left out */
} rdy_field_t;


/*
 * `"api";q=100;w=60, "day";q=1000;w=86400, "calls";q=9;qu="concurrent-requests"`
 *
 * The first gives the length, the second writes that many bytes at p, with no
 * NUL behind, and returns their end.  n == 0 writes nothing.
 */
size_t rdy_field_policy_len(const rdy_field_t *f, size_t n);
u_char *rdy_field_policy(u_char *p, const rdy_field_t *f, size_t n);


/* `"api";r=37;t=12, "day";r=900;t=40000, "calls";r=4`: the same contract */

size_t rdy_field_limit_len(const rdy_field_t *f, size_t n);
u_char *rdy_field_limit(u_char *p, const rdy_field_t *f, size_t n);


/*
 * Writes n in decimal digits, at most RDY_FIELD_NUMBER_LEN of them, and
 * returns their end.
 */
u_char *rdy_field_number(u_char *p, uint64_t n);


#endif /* _RDY_FIELD_H_INCLUDED_ */
