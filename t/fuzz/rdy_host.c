
/*
 * Copyright (C) The readiness authors
 */


/* Name and port put together again are the value that was split. */


#include <stdlib.h>

#include "client/rdy_host.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t      i;
    rdy_str_t   value, host, port;
    rdy_addr_t  addr;

    value.data = (u_char *) data;
    value.len = size;

    if (rdy_host_split(&value, &host, &port) != RDY_OK) {
        return 0;
    }

    if (host.data != data || host.len == 0 || port.len > 5
        || host.len + (port.len ? 1 + port.len : 0) != size
        || (port.len && (data[host.len] != ':'
                         || port.data != data + host.len + 1)))
    {
        abort();
    }

    if (host.data[0] == '[') {

        if (rdy_addr_parse(&host, &addr, NULL) != RDY_OK) {
            abort();
        }

        return 0;
    }

    /* nothing that could end a header, a list or a quoted string */

    for (i = 0; i < host.len; i++) {

        if (host.data[i] <= ' ' || host.data[i] >= 0x7f
            || strchr("\"\\,;:/@[]", host.data[i]))
        {
            abort();
        }
    }

    return 0;
}
