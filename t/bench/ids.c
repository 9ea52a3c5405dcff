
/*
 * Copyright (C) The readiness authors
 */


/*
 * Ten million request IDs of forked processes, as workers make them: a clock
 * of each one's own, blocks of the kernel's randomness.  Exits 0 when none
 * comes twice and those of each process rise, else 1.
 *
 *     make build/bench/ids && build/bench/ids
 */


#include "client/rdy_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>


#define WORKERS    4        /* at a time */
#define RELOADS    50
#define EACH       50000
#define ALL        ((size_t) WORKERS * RELOADS * EACH)


typedef struct {
    uint64_t  high;
    uint64_t  low;
} id_t128;


static rdy_id_clock_t  id_clock;     /* a child of fork() inherits it */


static int
entropy(u_char *rnd, size_t len)
{
    static u_char  block[4096];
    static size_t  left;
    static pid_t   pid;

    if (left < len || pid != getpid()) {

        if (getrandom(block, sizeof(block), 0) != sizeof(block)) {
            return -1;
        }

        left = sizeof(block);
        pid = getpid();
    }

    memcpy(rnd, block + sizeof(block) - left, len);
    left -= len;

    return 0;
}


static uint64_t
number(const u_char *text, int digits)
{
    uint64_t  n;

    for (n = 0; digits; text++) {

        if (*text == '-') {
            continue;
        }

        n = n << 4 | (*text <= '9' ? *text - '0' : *text - 'a' + 10);
        digits--;
    }

    return n;
}


static int
make(id_t128 *ids)
{
    int              i;
    u_char           rnd[16], text[RDY_ID_UUID_LEN], last[RDY_ID_UUID_LEN];
    struct timespec  ts;

    memset(last, 0, sizeof(last));

    for (i = 0; i < EACH; i++) {
        (void) clock_gettime(CLOCK_REALTIME, &ts);

        if (entropy(rnd, sizeof(rnd)) != 0) {
            return 1;
        }

        rdy_id_uuid7(&id_clock,
                     (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000, rnd,
                     text);

        if (memcmp(text, last, sizeof(text)) <= 0) {
            return 1;
        }

        memcpy(last, text, sizeof(text));

        ids[i].high = number(text, 16);
        ids[i].low = number(text + 19, 16);
    }

    return 0;
}


static int
compare(const void *a, const void *b)
{
    const id_t128  *x = a, *y = b;

    if (x->high != y->high) {
        return x->high < y->high ? -1 : 1;
    }

    return (x->low > y->low) - (x->low < y->low);
}


int
main(void)
{
    int       i, n, status, bad;
    size_t    k, twice, near;
    id_t128  *ids;

    ids = mmap(NULL, ALL * sizeof(id_t128), PROT_READ|PROT_WRITE,
               MAP_SHARED|MAP_ANONYMOUS, -1, 0);
    if (ids == MAP_FAILED) {
        return 1;
    }

    bad = 0;

    for (n = 0; n < RELOADS; n++) {

        for (i = 0; i < WORKERS; i++) {

            if (fork() == 0) {
                _exit(make(ids + ((size_t) n * WORKERS + i) * EACH));
            }
        }

        for (i = 0; i < WORKERS; i++) {
            bad |= (wait(&status) == -1 || status != 0);
        }
    }

    qsort(ids, ALL, sizeof(id_t128), compare);

    twice = 0;
    near = 0;

    for (k = 1; k < ALL; k++) {
        near += ids[k].high == ids[k - 1].high;
        twice += compare(&ids[k], &ids[k - 1]) == 0;
    }

    printf("%zu IDs of %d processes: %zu twice, %zu told apart by their "
           "random half only%s\n", ALL, WORKERS * RELOADS, twice, near,
           bad ? ", not rising" : "");

    return twice || bad;
}
