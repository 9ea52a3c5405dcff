
/*
 * Copyright (C) The readiness authors
 */


/*
 * An ID that is accepted can stand in a header, a log line and a URL's path as
 * it is; one that is made is accepted, and UUIDv7s rise whatever the clock and
 * the random bytes are.
 */


#include <ctype.h>
#include <stdlib.h>

#include "client/rdy_id.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check_made(const uint8_t *data, size_t size)
{
    u_char          out[RDY_ID_UUID_LEN], last[RDY_ID_UUID_LEN];
    uint64_t        now;
    rdy_str_t       id;
    rdy_id_clock_t  clock;

    memset(&clock, 0, sizeof(clock));
    memset(last, 0, sizeof(last));

    id.data = out;
    id.len = sizeof(out);

    for ( /* void */ ; size >= 12; size--, data++) {
        now = UINT64_C(1700000000000) + data[10] - data[11];
        rdy_id_uuid7(&clock, now, data, out);

        if (memcmp(last, out, sizeof(out)) >= 0 || !rdy_id_valid(&id)) {
            abort();
        }

        memcpy(last, out, sizeof(out));
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t      i;
    rdy_str_t   id;
    rdy_uint_t  ok;

    check_made(data, size);

    id.data = (u_char *) data;
    id.len = size;
    ok = (size >= 8 && size <= 128);

    for (i = 0; i < size && ok; i++) {
        ok = data[i] && data[i] < 0x80
             && (isalnum(data[i]) || strchr("._+/=-", data[i]) != NULL);
    }

    if (rdy_id_valid(&id) != ok) {
        abort();
    }

    return 0;
}
