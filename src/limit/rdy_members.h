
/*
 * Copyright (C) The readiness authors
 */


/*
 * Reads JSON (RFC 8259) whose form is known beforehand, member by member,
 * straight from its text: objects, strings, whole numbers and null, in
 * printable ASCII.  Whatever else stands where one of these is asked for is
 * an error with its place, so what was read to the end is JSON.
 */


#ifndef _RDY_MEMBERS_H_INCLUDED_
#define _RDY_MEMBERS_H_INCLUDED_


#include "rdy_base.h"


#define RDY_MEMBERS_TEXT   255          /* bytes of a string, unescaped */
#define RDY_MEMBERS_ERROR  512


typedef struct {
    size_t                line;         /* both from 1 */
    size_t                column;       /* in bytes */
    u_char                text[RDY_MEMBERS_ERROR];    /* ends with NUL */
} rdy_members_error_t;


typedef struct {
    const u_char         *start;
    const u_char         *pos;
    const u_char         *end;
    rdy_members_error_t  *error;

    /* the last string, without its escapes, and where it began */

    rdy_str_t             text;
    const u_char         *at;
    u_char                buf[RDY_MEMBERS_TEXT];
} rdy_members_t;


/* In the calls below form says in an error what to write instead. */


/* enters the object that begins here; RDY_OK or RDY_ERROR */

rdy_int_t rdy_members_open(rdy_members_t *p, const char *form);


/*
 * Goes to the value of the next member, whose name is then the last string;
 * *n, at first 0, counts them.  RDY_DECLINED: the object ends here, and was
 * left; RDY_ERROR.
 */
rdy_int_t rdy_members_next(rdy_members_t *p, rdy_uint_t *n);


/* reads the string that begins here; RDY_OK or RDY_ERROR */

rdy_int_t rdy_members_string(rdy_members_t *p, const char *form);


/*
 * Reads a whole number, 1 or larger, of any length: its digits are then the
 * last string.  RDY_OK or RDY_ERROR.
 */
rdy_int_t rdy_members_digits(rdy_members_t *p, const char *form);


/* 1: null stood here, and was read */

rdy_uint_t rdy_members_null(rdy_members_t *p);


/* nothing but blanks is left; RDY_OK or RDY_ERROR */

rdy_int_t rdy_members_end(rdy_members_t *p);


/*
 * Notes an error at that place of the text and returns RDY_ERROR.  It is
 * printable as long as the arguments are, as strings that were read are.
 */
rdy_int_t rdy_members_fail(rdy_members_t *p, const u_char *at,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));


#endif /* _RDY_MEMBERS_H_INCLUDED_ */
