
/*
 * Copyright (C) The readiness authors
 */


#include "respond/rdy_media.h"


static const rdy_str_t  rdy_media_documents[] = {
    rdy_string("text/html"),
    rdy_string("image/svg+xml"),
    rdy_string("application/xhtml+xml")
};


rdy_uint_t
rdy_media_document(const rdy_str_t *type)
{
    u_char           *p, *end;
    size_t            k, len;
    rdy_uint_t        i;
    const rdy_str_t  *d;

    p = type->data;
    end = p + type->len;

    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }

    len = end - p;

    for (i = 0; i < 3; i++) {
        d = &rdy_media_documents[i];

        if (len < d->len) {
            continue;
        }

        for (k = 0; k < d->len && rdy_lower(p[k]) == d->data[k]; k++) {
            /* void */
        }

        if (k == d->len) {
            return k == len || p[k] == ';' || p[k] == ','
                   || p[k] == ' ' || p[k] == '\t';
        }
    }

    return 0;
}
