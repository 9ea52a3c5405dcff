
/*
 * Copyright (C) The readiness authors
 */


/*
 * An error reply from anywhere: what is shown of it is printable, begins it,
 * fits, and holds no secret.  The first byte of the input is how much room
 * there is, the second the length of the secret that follows.
 */


#include <stdlib.h>

#include "redis/rdy_resp.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void
check_shown(const u_char *out, size_t n, const rdy_str_t *text,
    const rdy_str_t *secret)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        check(out[i] >= 0x20 && out[i] <= 0x7e);
        check(out[i] == text->data[i] || out[i] == '?');
    }

    if (secret->len == 0) {
        return;
    }

    for (i = 0; i + secret->len <= n; i++) {
        check(memcmp(text->data + i, secret->data, secret->len) != 0);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t      n, room;
    u_char     *out;
    rdy_str_t   text, secret;

    if (size < 2 || size - 2 < data[1]) {
        return 0;
    }

    room = data[0];

    secret.len = data[1];
    secret.data = (u_char *) data + 2;

    text.len = size - 2 - secret.len;
    text.data = secret.data + secret.len;

    check(rdy_resp_error(&text) <= RDY_RESP_NOSCRIPT);

    out = malloc(room ? room : 1);
    check(out != NULL);

    n = rdy_resp_text(out, room, &text, &secret);

    check(n <= room && n <= text.len);
    check_shown(out, n, &text, &secret);

    free(out);

    return 0;
}
