
/*
 * Copyright (C) The readiness authors
 */


/*
 * What is passed on for a traceparent is one itself, of version 00 and about
 * the same trace; lines of tracestate are valid if they are so as one list.
 */


#include <stdlib.h>

#include "client/rdy_trace.h"


#define MAX_LINES  32


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check_parent(const uint8_t *data, size_t size)
{
    rdy_str_t    value;
    rdy_trace_t  t, again;

    value.data = (u_char *) data;
    value.len = size;

    if (rdy_trace_parse(&value, &t) == RDY_OK) {
        value.data = t.text;
        value.len = sizeof(t.text);

        if (rdy_trace_parse(&value, &again) != RDY_OK
            || memcmp(t.text, again.text, sizeof(t.text)) != 0
            || memcmp(t.text, "00-", 3) != 0
            || memcmp(t.text + 3, data + 3, 50) != 0)
        {
            abort();
        }
    }

    if (size < 24) {
        return;
    }

    rdy_trace_make(&t, data);
    value.data = t.text;
    value.len = sizeof(t.text);

    if (rdy_trace_parse(&value, &again) != RDY_OK
        || memcmp(t.text, again.text, sizeof(t.text)) != 0)
    {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char     *p, *mem;
    size_t      i, n, len;
    rdy_str_t   lines[MAX_LINES], joined;

    check_parent(data, size);

    mem = malloc(size ? size : 1);

    if (mem == NULL) {
        return 0;
    }

    if (size) {
        memcpy(mem, data, size);
    }

    p = mem;
    n = 0;

    for (i = 0, len = 0; i < size && n < MAX_LINES - 1; i++) {

        if (mem[i] != '\n') {
            len++;
            continue;
        }

        lines[n].data = p;
        lines[n++].len = len;
        mem[i] = ',';
        p = mem + i + 1;
        len = 0;
    }

    lines[n].data = p;
    lines[n++].len = mem + size - p;

    joined.data = mem;
    joined.len = size;

    if (rdy_trace_state_valid(lines, n) != rdy_trace_state_valid(&joined, 1)) {
        abort();
    }

    free(mem);

    return 0;
}
