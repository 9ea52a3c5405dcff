
/*
 * Copyright (C) The readiness authors
 */


#ifndef _RDY_HASH_H_INCLUDED_
#define _RDY_HASH_H_INCLUDED_


#include "rdy_base.h"


/*
 * SipHash-2-4 with 128 bits of output: out[0] is the first half, both read as
 * little-endian numbers.  With a secret key nobody outside can choose texts
 * that meet, so the hash may stand for the text it was made of.
 */
void rdy_hash128(const u_char key[16], const u_char *data, size_t len,
    uint64_t out[2]);


#endif /* _RDY_HASH_H_INCLUDED_ */
