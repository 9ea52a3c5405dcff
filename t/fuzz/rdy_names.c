
/*
 * Copyright (C) The readiness authors
 */


/*
 * The verdict on a name is that on any other spelling of it, and equal names
 * are those that fold to the same bytes.
 */


#include <ctype.h>
#include <stdlib.h>

#include "client/rdy_names.h"


#define MAX_SIZE  256


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t      i, half;
    u_char      fold[MAX_SIZE], other[MAX_SIZE];
    rdy_uint_t  equal;

    if (size == 0 || size > MAX_SIZE) {
        return 0;
    }

    for (i = 0; i < size; i++) {
        fold[i] = '-';
        other[i] = (u_char) ('!' + i % 15);

        if (data[i] < 0x80 && isalnum(data[i])) {
            fold[i] = (u_char) tolower(data[i]);
            other[i] = (u_char) toupper(data[i]);
        }
    }

    if (rdy_names_forwarding(data, size) != rdy_names_forwarding(fold, size)
        || rdy_names_forwarding(data, size)
           != rdy_names_forwarding(other, size)
        || !rdy_names_equal(data, size, other, size))
    {
        abort();
    }

    half = size / 2;
    equal = rdy_names_equal(data, half, data + half, half);

    if (equal != (memcmp(fold, fold + half, half) == 0)
        || rdy_names_equal(data, size, data, half) != (size == half))
    {
        abort();
    }

    return 0;
}
