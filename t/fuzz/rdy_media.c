
/*
 * Copyright (C) The readiness authors
 */


/* A type stays one of ours with blanks before it and parameters behind it. */


#include <stdlib.h>

#include "respond/rdy_media.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char      *p;
    rdy_str_t    type;
    rdy_uint_t   document;

    type.data = (u_char *) data;
    type.len = size;

    document = rdy_media_document(&type);

    p = malloc(size + 3);
    if (p == NULL) {
        return 0;
    }

    p[0] = ' ';
    memcpy(p + 1, data, size);
    p[size + 1] = ';';
    p[size + 2] = 'x';

    type.data = p;
    type.len = size + 3;

    if (document > 1 || rdy_media_document(&type) != document) {
        abort();
    }

    free(p);

    return 0;
}
