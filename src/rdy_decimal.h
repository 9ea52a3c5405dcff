
/*
 * Copyright (C) The readiness authors
 */


/* Numbers as decimal digits, for the leaves that write texts. */


#ifndef _RDY_DECIMAL_H_INCLUDED_
#define _RDY_DECIMAL_H_INCLUDED_


#include "rdy_base.h"


#define RDY_DECIMAL_LEN  20             /* digits of 2^64 - 1 */


/* how many digits n has */

static inline size_t
rdy_decimal_len(uint64_t n)
{
    size_t    len;
    uint64_t  bound;

    bound = 10;

    for (len = 1; n >= bound && len < RDY_DECIMAL_LEN; len++) {
        bound *= 10;
    }

    return len;
}


/*
 * Writes n so that its last digit stands before `end`, and returns its first
 * digit.  Most numbers are small: their digits are had two at a time.
 */

static inline u_char *
rdy_decimal(u_char *end, uint64_t n)
{
    uint32_t           low;
    static const char  pairs[] =
        "00010203040506070809101112131415161718192021222324"
        "25262728293031323334353637383940414243444546474849"
        "50515253545556575859606162636465666768697071727374"
        "75767778798081828384858687888990919293949596979899";

    while (n > UINT32_MAX) {
        *--end = (u_char) ('0' + n % 10);
        n /= 10;
    }

    for (low = (uint32_t) n; low >= 100; low /= 100) {
        end -= 2;
        memcpy(end, pairs + low % 100 * 2, 2);
    }

    if (low < 10) {
        *--end = (u_char) ('0' + low);
        return end;
    }

    end -= 2;
    memcpy(end, pairs + low * 2, 2);

    return end;
}


#endif /* _RDY_DECIMAL_H_INCLUDED_ */
