
/*
 * Copyright (C) The readiness authors
 */


/*
 * Request IDs: made of random bytes that the caller draws, and the check of
 * those that others made.
 */


#ifndef _RDY_ID_H_INCLUDED_
#define _RDY_ID_H_INCLUDED_


#include "rdy_base.h"


#define RDY_ID_UUID_LEN  36
#define RDY_ID_HEX_LEN   32

/* lengths of an inbound ID that is accepted */

#define RDY_ID_MIN       8
#define RDY_ID_MAX       128


/* what the last UUIDv7 was made of; zeroed by the caller, one per worker */

typedef struct {
    uint64_t  ms;
    uint32_t  seq;
} rdy_id_clock_t;


/*
 * Writes a UUIDv7 (RFC 9562, 5.7), RDY_ID_UUID_LEN bytes in lower case, no NUL.
 * now_ms is the Unix time in milliseconds, rnd are fresh random bytes.
 *
 * The texts made with one clock rise strictly (6.2, method 1): rand_a counts
 * within a millisecond, from a random start below one half of its range; when
 * it overflows, the time of the text runs ahead of now_ms by one.  While now_ms
 * is behind the last time used, that one stays.
 */

void rdy_id_uuid7(rdy_id_clock_t *clock, uint64_t now_ms, const u_char rnd[10],
    u_char *out);


/*
 * Writes a UUIDv4 (RFC 9562, 5.4) of 16 fresh random bytes, RDY_ID_UUID_LEN
 * bytes in lower case, no NUL.
 */

void rdy_id_uuid4(const u_char rnd[16], u_char *out);


/* Writes 16 bytes as RDY_ID_HEX_LEN lower-case hex digits, no NUL. */

void rdy_id_hex(const u_char rnd[16], u_char *out);


/*
 * Returns 1 if id may be taken over from a peer: RDY_ID_MIN to RDY_ID_MAX bytes
 * of letters, digits and "._+/=-"; else 0.
 */

rdy_uint_t rdy_id_valid(const rdy_str_t *id);


#endif /* _RDY_ID_H_INCLUDED_ */
