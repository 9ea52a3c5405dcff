
/*
 * Copyright (C) The readiness authors
 */


/*
 * Redis's wire format as far as we write it, and what its error replies mean
 * for the connection they came on.
 */


#ifndef _RDY_RESP_H_INCLUDED_
#define _RDY_RESP_H_INCLUDED_


#include "rdy_base.h"


/* the longest "$<length>CRLF", and room for one argument of len bytes */

#define RDY_RESP_HEAD_LEN      (sizeof("$18446744073709551615\r\n") - 1)
#define RDY_RESP_ARG_LEN(len)  (RDY_RESP_HEAD_LEN + (len) + 2)


typedef enum {
    RDY_RESP_KEEP = 0,        /* this call failed, the connection is good */
    RDY_RESP_CLOSE,           /* nothing will work on this connection */
    RDY_RESP_NOSCRIPT         /* the script has to be sent with its text */
} rdy_resp_error_e;


/*
 * Opens a command of n arguments: RDY_RESP_HEAD_LEN bytes at most.  Returns
 * the end of what was written, as the others do.
 */
u_char *rdy_resp_command(u_char *p, size_t n);

/* one argument: RDY_RESP_ARG_LEN(len) bytes at most; data may be NULL when
   len is 0 */
u_char *rdy_resp_arg(u_char *p, const u_char *data, size_t len);

/* a number as an argument: RDY_RESP_ARG_LEN(20) bytes at most */
u_char *rdy_resp_number(u_char *p, uint64_t n);


/* text: an error reply without its "-" and CRLF */
rdy_resp_error_e rdy_resp_error(const rdy_str_t *text);

/* 1 if an error reply shows that Redis runs scripts: of the script itself, not
   of what keeps Redis from running any */
rdy_uint_t rdy_resp_alive(const rdy_str_t *text);


/*
 * Writes up to size bytes of an error reply as people and logs may see it:
 * printable ASCII, other bytes as "?".  It ends before the arguments that
 * Redis quotes of a command it does not know, and before secret wherever
 * that stands in it.  An empty secret is none.  Returns the length.
 */
size_t rdy_resp_text(u_char *dst, size_t size, const rdy_str_t *text,
    const rdy_str_t *secret);


#endif /* _RDY_RESP_H_INCLUDED_ */
