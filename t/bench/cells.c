
/*
 * Copyright (C) The readiness authors
 */


/*
 * What it costs to find a key in the zone's table, of 1 000 to 1 000 000 live
 * keys in a zone of 128 MB: time by the medians of many short runs of random
 * keys, and the zone that so many keys need.
 *
 *     make build/bench/cells && build/bench/cells [KEYS]
 *
 * Instructions, which are the same on every machine, of KEYS keys only:
 *
 *     valgrind --tool=callgrind --toggle-collect=lookups build/bench/cells KEYS
 *
 * divided by the number of look-ups it prints.
 */


#include "limit/rdy_cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>


#define ZONE     (128 * 1024 * 1024)
#define RUNS     2001
#define EACH     500        /* look-ups of one run */
#define FOREVER  UINT64_MAX


static uint64_t    seed = 88172645463325252;
static rdy_uint_t  rate;


static uint64_t
draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed;
}


static double
nanoseconds(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * 1e9 + ts.tv_nsec;
}


/* stands for a keyed hash of the key of this number */

static void
hash(uint64_t n, uint64_t out[2])
{
    int       i;
    uint64_t  z;

    for (i = 0; i < 2; i++) {
        z = (n * 2 + i + 1) * 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        out[i] = z ^ (z >> 31);
    }
}


static int
compare(const void *a, const void *b)
{
    const double  *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}


/* what a request does with the table: returns how many keys were there */

__attribute__((noinline)) long
lookups(rdy_cells_t *t, uint64_t keys, int n)
{
    long        found;
    uint64_t    h[2];
    rdy_uint_t  evicted;

    for (found = 0; n; n--) {
        hash(draw() % keys, h);
        rdy_cells_begin(t);
        found += rdy_cells_get(t, rate, h, 0, &evicted)->full_at == FOREVER;
    }

    return found;
}


static void
fill(rdy_cells_t *t, uint64_t keys)
{
    uint64_t    i, h[2];
    rdy_uint_t  evicted, lost;

    static const rdy_str_t  name = rdy_string("bench");

    if (rdy_cells_init(t, ZONE) != RDY_OK) {
        fprintf(stderr, "no table in %d bytes\n", ZONE);
        exit(1);
    }

    rate = rdy_cells_rate(t, &name);
    lost = 0;

    for (i = 0; i < keys; i++) {
        hash(i, h);
        rdy_cells_begin(t);
        rdy_cells_get(t, rate, h, 0, &evicted)->full_at = FOREVER;
        lost += evicted != 0;
    }

    if (lost) {
        fprintf(stderr, "%lu of %lu keys do not fit\n", (unsigned long) lost,
                (unsigned long) keys);
        exit(1);
    }
}


/* MB of the smallest zone of so many keys, without what the slab needs */

static double
smallest(rdy_cells_t *t, uint64_t keys)
{
    size_t  low, high, size;

    low = 0;
    high = ZONE;

    while (high - low > 4096) {
        size = (low + (high - low) / 2) & ~(size_t) 4095;

        if (rdy_cells_init(t, size) == RDY_OK && t->total >= keys) {
            high = size;

        } else {
            low = size;
        }
    }

    return high / 1048576.0;
}


static int
measure(rdy_cells_t *t, uint64_t keys)
{
    int            i;
    long           found;
    double         start, mb;
    static double  took[RUNS];

    mb = smallest(t, keys);

    fill(t, keys);

    found = lookups(t, keys, EACH);

    for (i = 0; i < RUNS; i++) {
        start = nanoseconds();
        found += lookups(t, keys, EACH);
        took[i] = (nanoseconds() - start) / EACH;
    }

    if (found != (long) (RUNS + 1) * EACH) {
        fprintf(stderr, "keys were lost\n");
        return 1;
    }

    qsort(took, RUNS, sizeof(double), compare);

    printf("| %lu | %.0f | %.0f | %.2f |\n", (unsigned long) keys,
           took[RUNS / 2], took[RUNS * 9 / 10], mb);

    return 0;
}


int
main(int argc, char *argv[])
{
    int          failed;
    uint64_t     keys;
    rdy_cells_t  *t;

    t = mmap(NULL, ZONE, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (t == MAP_FAILED) {
        perror("mmap");
        return 1;
    }

    if (argc > 1) {
        keys = strtoul(argv[1], NULL, 10);

        if (keys == 0) {
            fprintf(stderr, "usage: cells [KEYS]\n");
            return 2;
        }

        fill(t, keys);
        (void) lookups(t, keys, 20 * EACH);
        printf("%d\n", 20 * EACH);

        return 0;
    }

    printf("A look-up in a zone of %d MB:\n\n"
           "| live keys | ns, median | ns, 90 %% | smallest zone, MB |\n"
           "|---|---|---|---|\n", ZONE / 1048576);

    failed = 0;

    for (keys = 1000; keys <= 1000000; keys *= 10) {
        failed |= measure(t, keys);
    }

    return failed;
}
