
/*
 * Copyright (C) The readiness authors
 */


/*
 * The first byte says whether the part is secret and where the input is cut
 * in two.  A part is at most as long as promised, of the plain alphabet or a
 * digest, and two lists of parts that differ give keys that differ.
 */


#include <stdlib.h>

#include "limit/rdy_key.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static size_t
part(u_char *out, const uint8_t *data, size_t len, rdy_uint_t secret)
{
    size_t     i, n;
    u_char     c, *dst;
    rdy_str_t  s;

    s.len = len;
    s.data = malloc(len ? len : 1);
    memcpy(s.data, data, len);
    dst = malloc(RDY_KEY_PART_MAX);

    n = rdy_key_part(dst, &s, secret);

    check(n <= RDY_KEY_PART_MAX);
    check((n == 0) == (len == 0));
    memcpy(out, dst, n);

    for (i = 0; i < n; i++) {
        c = out[i];

        check((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == ':'
              || c == '@' || c == '-' || (c == '#' && i == 0));
    }

    if (n && out[0] == '#') {
        check(n == 33);

    } else {
        check(n == len && memcmp(out, data, n) == 0);
        check(n == 0 || !secret);
    }

    free(dst);
    free(s.data);

    return n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t   cut, whole, two;
    u_char   a[RDY_KEY_PART_MAX], b[2 * RDY_KEY_PART_MAX + 1];

    if (size == 0) {
        return 0;
    }

    cut = size > 1 ? (data[0] >> 1) % size : 0;
    whole = part(a, data + 1, size - 1, data[0] & 1);

    two = part(b, data + 1, cut, 0);
    b[two++] = RDY_KEY_SEPARATOR;
    two += part(b + two, data + 1 + cut, size - 1 - cut, 0);

    check(whole != two || memcmp(a, b, two) != 0);

    return 0;
}
