
/*
 * Copyright (C) The readiness authors
 */


/*
 * Whatever comes in, a JSON string goes out: parsed and checked by another
 * library, never longer than promised, and of text that is valid UTF-8 and
 * not cut, the parser gives back the same bytes.  The first byte of the input
 * says how much room there is.
 */


#include <jansson.h>
#include <stdlib.h>

#include "observe/rdy_json.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static json_t *
parse(const u_char *s, size_t len, size_t max, size_t *written)
{
    size_t   i;
    u_char  *out, *p;
    json_t  *j;

    out = malloc(RDY_JSON_STRING_LEN(max) + 2);
    check(out != NULL);

    out[0] = '"';
    p = rdy_json_string(out + 1, s, len, max);
    *written = p - out - 1;

    check(*written <= RDY_JSON_STRING_LEN(max));

    *p++ = '"';

    for (i = 0; i < (size_t) (p - out); i++) {
        check(out[i] >= 0x20 && out[i] != 0x7f);
    }

    j = json_loadb((char *) out, p - out, JSON_DECODE_ANY|JSON_ALLOW_NUL,
                   NULL);
    check(j != NULL && json_is_string(j));

    free(out);

    return j;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t   max, written, n;
    json_t  *in, *out;

    if (size == 0) {
        return 0;
    }

    max = data[0];
    data++;
    size--;

    out = parse(data, size, max, &written);
    n = json_string_length(out);

    if (written > max) {
        check(n >= 3);
        check(memcmp(json_string_value(out) + n - 3, "\xe2\x80\xa6", 3) == 0);
    }

    json_decref(out);

    out = parse(data, size, RDY_JSON_ESCAPED_LEN * size, &written);
    check(written <= RDY_JSON_ESCAPED_LEN * size);

    in = json_stringn((const char *) data, size);

    if (in) {
        check(json_equal(in, out));
        json_decref(in);
    }

    json_decref(out);

    return 0;
}
