
/*
 * Copyright (C) The readiness authors
 */


/* W3C Trace Context: traceparent read and made, tracestate checked. */


#ifndef _RDY_TRACE_H_INCLUDED_
#define _RDY_TRACE_H_INCLUDED_


#include "rdy_base.h"


/* 00-<32 hex digits>-<16 hex digits>-<2 hex digits> */

#define RDY_TRACE_LEN          55

#define RDY_TRACE_MAX_MEMBERS  32


/* trace_id points into the struct itself: do not copy it */

typedef struct {
    u_char     text[RDY_TRACE_LEN];  /* a traceparent of version 00 */
    rdy_str_t  trace_id;             /* 32 hex digits of text */
} rdy_trace_t;


/*
 * Reads the value of the only traceparent line.
 *
 * RDY_OK     t->text is the same trace and parent in version 00, with the flags
 *            that are defined (sampled, random) and no others.  A higher
 *            version may go on after the 55 bytes with "-" and anything.
 * RDY_ERROR  not a traceparent: version ff, upper-case digits, a trace or
 *            parent ID of zeros, version 00 of another length; *t is untouched.
 */

rdy_int_t rdy_trace_parse(const rdy_str_t *value, rdy_trace_t *t);


/*
 * Begins a trace from 24 fresh random bytes: 16 for the trace ID, 8 for the
 * parent ID, flags 02 (the ID is random).  An ID of zeros is never made.
 */

void rdy_trace_make(rdy_trace_t *t, const u_char rnd[24]);


/*
 * Checks the n lines of tracestate, in order of arrival, as one list.
 *
 * Returns 1 if it may be passed on: key=value members with blanks only around
 * them, keys of 1..256 bytes that begin with a lower-case letter or a digit, no
 * key twice, values of 1..256 printable bytes other than "," and "=", no more
 * than RDY_TRACE_MAX_MEMBERS members; empty members do not count.  0 if the
 * whole tracestate is to be dropped.  No lines, or nothing in them, is 1.
 */

rdy_uint_t rdy_trace_state_valid(const rdy_str_t *lines, size_t n);


#endif /* _RDY_TRACE_H_INCLUDED_ */
