
/*
 * Copyright (C) The readiness authors
 */


/*
 * Runs a fuzzer's entry point over the files named on the command line: the
 * checked-in corpus is replayed by any compiler, with no fuzzing engine.
 * The input is copied into a block of its exact size, so that the sanitizer
 * sees the first byte read past it.
 */


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
main(int argc, char **argv)
{
    int       i;
    FILE     *f;
    size_t    n;
    uint8_t  *data;
    static uint8_t  buf[1 << 20];

    printf("1..%d\n", argc - 1);

    for (i = 1; i < argc; i++) {

        f = fopen(argv[i], "rb");
        if (f == NULL) {
            printf("not ok %d - cannot open %s\n", i, argv[i]);
            continue;
        }

        n = fread(buf, 1, sizeof(buf), f);
        (void) fclose(f);

        data = malloc(n ? n : 1);
        if (data == NULL) {
            return 1;
        }

        memcpy(data, buf, n);
        (void) LLVMFuzzerTestOneInput(data, n);
        free(data);

        printf("ok %d - %s\n", i, argv[i]);
    }

    return 0;
}
