
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_hash.h"


#define rdy_hash_rotl(x, n)  ((x) << (n) | (x) >> (64 - (n)))


static uint64_t rdy_hash_word(const u_char *p);
static uint64_t rdy_hash_tail(const u_char *p, size_t len);
static void rdy_hash_rounds(uint64_t v[4], rdy_uint_t n);


void
rdy_hash128(const u_char key[16], const u_char *data, size_t len,
    uint64_t out[2])
{
    size_t    left;
    uint64_t  k0, k1, m, v[4];

    k0 = rdy_hash_word(key);
    k1 = rdy_hash_word(key + 8);

    /* "somepseudorandomlygeneratedbytes", and 0xee for the long output */

    v[0] = k0 ^ 0x736f6d6570736575;
    v[1] = k1 ^ 0x646f72616e646f6d ^ 0xee;
    v[2] = k0 ^ 0x6c7967656e657261;
    v[3] = k1 ^ 0x7465646279746573;

    for (left = len; left >= 8; left -= 8, data += 8) {
        m = rdy_hash_word(data);
        v[3] ^= m;
        rdy_hash_rounds(v, 2);
        v[0] ^= m;
    }

    m = (uint64_t) len << 56 | rdy_hash_tail(data, left);
    v[3] ^= m;
    rdy_hash_rounds(v, 2);
    v[0] ^= m;

    v[2] ^= 0xee;
    rdy_hash_rounds(v, 4);
    out[0] = v[0] ^ v[1] ^ v[2] ^ v[3];

    v[1] ^= 0xdd;
    rdy_hash_rounds(v, 4);
    out[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}


/* 8 bytes as a little-endian number; compilers know this form as one load */

static uint64_t
rdy_hash_word(const u_char *p)
{
    return (uint64_t) p[0] | (uint64_t) p[1] << 8
           | (uint64_t) p[2] << 16 | (uint64_t) p[3] << 24
           | (uint64_t) p[4] << 32 | (uint64_t) p[5] << 40
           | (uint64_t) p[6] << 48 | (uint64_t) p[7] << 56;
}


/* what is left, fewer than 8 */

static uint64_t
rdy_hash_tail(const u_char *p, size_t len)
{
    size_t    i;
    uint64_t  word;

    word = 0;

    for (i = 0; i < len; i++) {
        word |= (uint64_t) p[i] << (8 * i);
    }

    return word;
}


static void
rdy_hash_rounds(uint64_t v[4], rdy_uint_t n)
{
    while (n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rdy_hash_rotl(v[1], 13) ^ v[0];
        v[3] = rdy_hash_rotl(v[3], 16) ^ v[2];
        v[0] = rdy_hash_rotl(v[0], 32);

        v[2] += v[1];
        v[0] += v[3];
        v[1] = rdy_hash_rotl(v[1], 17) ^ v[2];
        v[3] = rdy_hash_rotl(v[3], 21) ^ v[0];
        v[2] = rdy_hash_rotl(v[2], 32);
    }
}
