
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_key.h"

#include <openssl/sha.h>


#define RDY_KEY_DIGEST  16      /* bytes kept of it: 128 bits */


static rdy_uint_t rdy_key_plain(const rdy_str_t *part);


size_t
rdy_key_part(u_char *dst, const rdy_str_t *part, rdy_uint_t secret)
{
    size_t               i;
    u_char              *p, digest[SHA256_DIGEST_LENGTH];
    static const u_char  hex[] = "0123456789abcdef";

    if (part->len == 0) {
        return 0;
    }

    if (!secret && rdy_key_plain(part)) {
        memcpy(dst, part->data, part->len);
        return part->len;
    }

    (void) SHA256(part->data, part->len, digest);

    p = dst;
    *p++ = '#';

    for (i = 0; i < RDY_KEY_DIGEST; i++) {
        *p++ = hex[digest[i] >> 4];
        *p++ = hex[digest[i] & 0xf];
    }

    return p - dst;
}


static rdy_uint_t
rdy_key_plain(const rdy_str_t *part)
{
    u_char  c, lower;
    size_t  i;

    if (part->len > RDY_KEY_PART_MAX) {
        return 0;
    }

    for (i = 0; i < part->len; i++) {
        c = part->data[i];
        lower = rdy_lower(c);

        if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9')) {
            continue;
        }

        switch (c) {

        case '.':
        case '_':
        case ':':
        case '@':
        case '-':
            break;

        default:
            return 0;
        }
    }

    return 1;
}
