
/*
 * Copyright (C) The readiness authors
 */


/* The body of a refusal: application/problem+json (RFC 9457). */


#ifndef _RDY_PROBLEM_H_INCLUDED_
#define _RDY_PROBLEM_H_INCLUDED_


#include "rdy_base.h"


typedef struct {
    rdy_uint_t        status;      /* 100..999 */
    rdy_str_t         title;
    rdy_str_t         reason;
    rdy_str_t         request_id;  /* empty: left out */
    const rdy_str_t  *policies;    /* names of the limits that refused */
    size_t            npolicies;   /* 0: left out */
} rdy_problem_t;


/* Returns no less than rdy_problem_write() needs. */

size_t rdy_problem_len(const rdy_problem_t *problem);


/*
 * Writes the JSON object at p, without a NUL, and returns its end.  It is ASCII
 * whatever the strings hold: bytes outside of it are escaped as if they were
 * Latin-1.
 */

u_char *rdy_problem_write(u_char *p, const rdy_problem_t *problem);


/*
 * The phrase of a status, as the title of a problem without a type of its own
 * has to be; empty if it has none here.
 */

rdy_str_t rdy_problem_title(rdy_uint_t status);


#endif /* _RDY_PROBLEM_H_INCLUDED_ */
