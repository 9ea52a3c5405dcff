
/*
 * Copyright (C) The readiness authors
 */


/*
 * What clients send, written as JSON that every reader takes: whatever bytes
 * come in, valid UTF-8 comes out, in one line, and nothing in it moves the
 * cursor or turns the direction of a terminal that shows it.
 */


#ifndef _RDY_JSON_H_INCLUDED_
#define _RDY_JSON_H_INCLUDED_


#include "rdy_base.h"


/* what rdy_json_string() may write: max, and U+2026 where it cut */

#define RDY_JSON_CUT_LEN          3
#define RDY_JSON_STRING_LEN(max)  ((max) + RDY_JSON_CUT_LEN)

/* the longest output of one input byte, a control character as \u001b */

#define RDY_JSON_ESCAPED_LEN      6

/* 2^64 - 1 in quotes */

#define RDY_JSON_NUMBER_LEN       (sizeof("\"18446744073709551615\"") - 1)


/*
 * Writes the content of a JSON string, without its quotes, and returns where
 * it ended.
 *
 * Escaped are the quote and the backslash, control characters (U+0000-001F,
 * U+007F-009F), line and paragraph separators (U+2028, U+2029) and all that
 * change the direction of text (U+061C, U+200E, U+200F, U+202A-202E,
 * U+2066-2069): a parser gives back what was put in.  Bytes that are not UTF-8
 * become U+FFFD, one for each maximal subpart of a sequence (Unicode 3.9);
 * surrogates, overlong forms and what is beyond U+10FFFF are not UTF-8.
 *
 * max counts bytes of output.  A text that needs more is cut before the first
 * character that does not fit, and U+2026 follows.  The caller has room for
 * RDY_JSON_STRING_LEN(max) bytes at p; RDY_JSON_ESCAPED_LEN * len as max
 * never cuts.  Not more than max bytes of s are looked at, and one character.
 */
u_char *rdy_json_string(u_char *p, const u_char *s, size_t len, size_t max);


/*
 * Writes n in decimal, in quotes beyond 2^53: many readers keep numbers as
 * doubles, and would round it.  At most RDY_JSON_NUMBER_LEN bytes.
 */
u_char *rdy_json_number(u_char *p, uint64_t n);


#endif /* _RDY_JSON_H_INCLUDED_ */
