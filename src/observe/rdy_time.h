
/*
 * Copyright (C) The readiness authors
 */


/* time as text: RFC 3339, UTC, milliseconds */


#ifndef _RDY_TIME_H_INCLUDED_
#define _RDY_TIME_H_INCLUDED_


#include "rdy_base.h"


#define RDY_TIME_LEN  (sizeof("2026-11-20T09:30:00.123Z") - 1)

/* 9999-12-31T23:59:59Z, the last second that has four digits of a year */

#define RDY_TIME_MAX  UINT64_C(253402300799)


/* the text written last; zeroed by the caller */

typedef struct {
    uint64_t  sec;
    u_char    text[RDY_TIME_LEN];
} rdy_time_t;


/*
 * Writes sec seconds after 1970 and msec milliseconds, RDY_TIME_LEN bytes, no
 * NUL.  Later than RDY_TIME_MAX is written as that; more than 999 milliseconds
 * are 999.
 */
void rdy_time_rfc3339(u_char *out, uint64_t sec, rdy_uint_t msec);


/*
 * The same into t->text, for a caller that asks again and again: within one
 * second only the milliseconds are written.
 */
void rdy_time_update(rdy_time_t *t, uint64_t sec, rdy_uint_t msec);


#endif /* _RDY_TIME_H_INCLUDED_ */
