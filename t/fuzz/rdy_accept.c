
/*
 * Copyright (C) The readiness authors
 */


/*
 * The answer is 0 or 1, never 1 where html is not named, and the same with the
 * text in one line or, if no quote is open there, parted at a comma.
 */


#include <stdlib.h>

#include "respond/rdy_accept.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char      *comma;
    rdy_str_t    lines[2];
    rdy_uint_t   html;

    lines[0].data = (u_char *) data;
    lines[0].len = size;

    html = rdy_accept_html(lines, 1);

    if (html > 1) {
        abort();
    }

    if (html && memchr(data, '/', size) == NULL) {
        abort();
    }

    if (size == 0 || size > RDY_ACCEPT_MAX_LEN || memchr(data, '"', size)) {
        return 0;
    }

    comma = memchr(data, ',', size);

    if (comma) {
        lines[0].len = comma - data;
        lines[1].data = comma + 1;
        lines[1].len = data + size - comma - 1;

        if (rdy_accept_html(lines, 2) != html) {
            abort();
        }
    }

    return 0;
}
