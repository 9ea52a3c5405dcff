
/*
 * Copyright (C) The readiness authors
 */


/*
 * A text is an address for us exactly if it is one for libc, brackets and port
 * aside; and whatever parses is the same address after being written.
 */


#include <arpa/inet.h>
#include <stdlib.h>

#include "client/rdy_addr.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
compare(const uint8_t *data, size_t size, const rdy_addr_t *addr)
{
    char        text[RDY_ADDR_PARSE_LEN + 1];
    u_char      bytes[16];
    rdy_addr_t  other;

    if (size >= sizeof(text)
        || memchr(data, '\0', size) || memchr(data, '[', size))
    {
        return;
    }

    memcpy(text, data, size);
    text[size] = '\0';
    other.family = 0;

    if (inet_pton(AF_INET, text, bytes) == 1) {
        (void) rdy_addr_bytes(bytes, 4, &other);

    } else if (inet_pton(AF_INET6, text, bytes) == 1) {
        (void) rdy_addr_bytes(bytes, 16, &other);
    }

    if (addr == NULL) {

        if (other.family) {
            abort();
        }

    } else if (memcmp(addr, &other, sizeof(rdy_addr_t)) != 0) {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char      buf[RDY_ADDR_TEXT_LEN];
    uint16_t    port, none;
    rdy_str_t   text;
    rdy_addr_t  addr, again;

    text.data = (u_char *) data;
    text.len = size;

    if (rdy_addr_parse(&text, &addr, &port) != RDY_OK) {
        compare(data, size, NULL);
        return 0;
    }

    if (port == 0) {
        compare(data, size, &addr);
    }

    text.data = buf;
    text.len = rdy_addr_text(&addr, buf);

    if (text.len > sizeof(buf)
        || rdy_addr_parse(&text, &again, &none) != RDY_OK
        || none != 0
        || memcmp(&addr, &again, sizeof(rdy_addr_t)) != 0)
    {
        abort();
    }

    return 0;
}
