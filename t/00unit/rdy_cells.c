
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_cells.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>


#define SIZE  (sizeof(rdy_cells_t) + 64 * sizeof(rdy_cell_t)                 \
               + 64 * sizeof(uint32_t))


typedef void (*change_pt)(rdy_cells_t *t);


static uint64_t  seed = 1;


static uint64_t
any(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % n;
}


/* a block of that size; what a table finds in it must not matter */

static rdy_cells_t *
table(size_t size)
{
    void  *mem;

    mem = malloc(size);
    memset(mem, 0xa5, size);

    assert_int_equal(rdy_cells_init(mem, size), RDY_OK);

    return mem;
}


static rdy_uint_t
rate(rdy_cells_t *t, const char *name)
{
    rdy_str_t  s = { strlen(name), (u_char *) name };

    return rdy_cells_rate(t, &s);
}


/* keys by number; few chains, so that they are long */

static const uint64_t *
key(uint64_t n)
{
    static uint64_t  hash[2];

    hash[0] = n * 0x9e3779b97f4a7c15 & ~(uint64_t) 0x38;
    hash[1] = n;

    return hash;
}


static rdy_cell_t *
get(rdy_cells_t *t, rdy_uint_t r, uint64_t n, uint64_t now)
{
    rdy_uint_t   evicted;
    rdy_cell_t  *cell;

    cell = rdy_cells_get(t, r, key(n), now, &evicted);
    assert_non_null(cell);

    return cell;
}


/* a cell of a bucket that is not full before full_at */

static void
fill(rdy_cells_t *t, rdy_uint_t r, uint64_t n, uint64_t full_at)
{
    rdy_cell_t  *cell;

    rdy_cells_begin(t);
    cell = get(t, r, n, 0);
    cell->bucket.spent = n;
    cell->full_at = full_at;
}


static rdy_uint_t
has(rdy_cells_t *t, rdy_uint_t r, uint64_t n)
{
    return rdy_cells_find(t, r, key(n)) != NULL;
}


static rdy_cell_t *
cell_at(rdy_cells_t *t, uint32_t i)
{
    assert_in_range(i, 1, t->total);

    return (rdy_cell_t *) ((uint32_t *) (t + 1) + t->heads) + (i - 1);
}


/*
 * Every cell in use hangs in its chain and in the list of its rate, once and
 * both ways round, and all counts are right.  Returns the number of cells that
 * are neither in use nor free.
 */

static uint32_t
consistent(rdy_cells_t *t)
{
    uint32_t     i, r, n, used, unused, before, *heads;
    rdy_cell_t  *cell;

    assert_int_equal(t->busy, 0);

    heads = (uint32_t *) (t + 1);
    used = 0;

    for (r = 0; r < t->heads; r++) {
        for (i = heads[r]; i; i = cell->chain) {
            cell = cell_at(t, i);
            assert_int_not_equal(cell->rate, 0);
            assert_int_equal(cell->hash[0] & (t->heads - 1), r);
            assert_in_range(++used, 1, t->total);
        }
    }

    assert_int_equal(used, t->used);

    for (r = 0, used = 0; r < RDY_CELLS_RATES; r++) {
        before = 0;
        n = 0;

        for (i = t->rates[r].newest; i; i = cell->older) {
            cell = cell_at(t, i);
            assert_int_equal(cell->rate, r + 1);
            assert_int_equal(cell->newer, before);
            assert_in_range(++n, 1, t->total);
            before = i;
        }

        assert_int_equal(t->rates[r].oldest, before);
        assert_int_equal(t->rates[r].used, n);
        used += n;
    }

    assert_int_equal(used, t->used);

    unused = t->total - t->fresh;

    for (i = t->free; i; i = cell->chain) {
        cell = cell_at(t, i);
        assert_int_equal(cell->rate, 0);
        assert_in_range(++unused, 1, t->total);
    }

    assert_true(used + unused <= t->total);

    return t->total - used - unused;
}


static void
cell_is_one_cache_line(void **state)
{
    assert_int_equal(sizeof(rdy_cell_t), 64);
}


static void
million_cells_fit_in_128_mb(void **state)
{
    rdy_cells_t  *t;

    t = mmap(NULL, 128 << 20, PROT_READ|PROT_WRITE,
             MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(t, MAP_FAILED);

    assert_int_equal(rdy_cells_init(t, 128 << 20), RDY_OK);
    assert_true(t->total >= 1000000);
    assert_true(t->heads >= t->total / 2);

    (void) munmap(t, 128 << 20);
}


static void
too_small_a_block_is_refused(void **state)
{
    size_t  size;
    void   *mem;

    mem = malloc(SIZE);

    assert_int_equal(rdy_cells_init(mem, 0), RDY_ERROR);
    assert_int_equal(rdy_cells_init(mem, sizeof(rdy_cells_t)), RDY_ERROR);
    assert_int_equal(rdy_cells_init(mem, SIZE - 1), RDY_ERROR);
    assert_int_equal(rdy_cells_init(mem, SIZE), RDY_OK);

    free(mem);

    /* whatever the size, all cells lie within it */

    for (size = SIZE; size < SIZE + 20000; size += 8) {
        rdy_cells_t  *t = table(size);

        assert_true((u_char *) (cell_at(t, t->total) + 1)
                    <= (u_char *) t + size);
        assert_true(t->total >= 64);
        free(t);
    }
}


static void
H03_only_a_table_of_this_layout_and_size_is_one(void **state)
{
    size_t        i;
    u_char       *mem;
    rdy_cells_t  *t;

    t = table(SIZE);
    mem = (u_char *) t;

    assert_int_equal(rdy_cells_check(t, SIZE), RDY_OK);
    assert_int_equal(rdy_cells_check(t, SIZE + 64), RDY_ERROR);
    assert_int_equal(rdy_cells_check(t, SIZE - 64), RDY_ERROR);
    assert_int_equal(rdy_cells_check(t, 0), RDY_ERROR);

    for (i = 0; i < offsetof(rdy_cells_t, busy); i++) {
        mem[i] ^= 1;
        assert_int_equal(rdy_cells_check(t, SIZE), RDY_ERROR);
        mem[i] ^= 1;
    }

    assert_int_equal(rdy_cells_check(t, SIZE), RDY_OK);

    memset(t, 0, SIZE);
    assert_int_equal(rdy_cells_check(t, SIZE), RDY_ERROR);

    free(t);
}


static void
rate_keeps_its_number(void **state)
{
    rdy_cells_t  *t;

    t = table(SIZE);

    assert_int_equal(rate(t, "api"), 0);
    assert_int_equal(rate(t, "login"), 1);
    assert_int_equal(rate(t, "ap"), 2);
    assert_int_equal(rate(t, "api"), 0);
    assert_int_equal(rate(t, "login"), 1);

    assert_int_equal(rate(t, ""), RDY_ERROR);
    assert_int_equal(rate(t, "0123456789abcdef0123456789abcdef"
                             "0123456789abcdef0123456789abcdef"), 3);
    assert_int_equal(rate(t, "0123456789abcdef0123456789abcdef"
                             "0123456789abcdef0123456789abcdefx"), RDY_ERROR);
    free(t);
}


static void
full_directory_gives_the_place_of_a_rate_without_cells(void **state)
{
    int           i;
    char          name[16];
    rdy_cells_t  *t;

    t = table(sizeof(rdy_cells_t) + 1000 * 72);

    for (i = 0; i < RDY_CELLS_RATES; i++) {
        sprintf(name, "rate%d", i);
        assert_int_equal(rate(t, name), i);
        fill(t, i, 1000 + i, 9);
    }

    assert_int_equal(rate(t, "new"), RDY_ERROR);

    rdy_cells_drop(t, get(t, 77, 1077, 0));

    assert_int_equal(rate(t, "new"), 77);
    assert_int_equal(rate(t, "rate76"), 76);
    assert_int_equal(rate(t, "rate78"), 78);
    fill(t, 77, 5, 9);
    assert_int_equal(rate(t, "rate77"), RDY_ERROR);

    assert_int_equal(consistent(t), 0);
    free(t);
}


static void
cell_is_found_again(void **state)
{
    uint64_t      i;
    rdy_cell_t   *cell;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "api");

    assert_null(rdy_cells_find(t, 0, key(1)));

    cell = get(t, 0, 1, 0);
    assert_int_equal(cell->bucket.spent, 0);
    assert_int_equal(cell->bucket.at, 0);
    assert_int_equal(cell->full_at, 0);

    cell->bucket.spent = 42;

    for (i = 2; i < 60; i++) {
        fill(t, 0, i, 9);
    }

    assert_ptr_equal(get(t, 0, 1, 0), cell);
    assert_ptr_equal(rdy_cells_find(t, 0, key(1)), cell);
    assert_int_equal(cell->bucket.spent, 42);

    assert_int_equal(t->used, 59);
    assert_int_equal(t->rates[0].used, 59);
    assert_int_equal(consistent(t), 0);
    free(t);
}


static void
C06_same_key_under_two_rates_is_two_cells(void **state)
{
    rdy_cell_t   *cell;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "api");
    (void) rate(t, "login");

    cell = get(t, 0, 1, 0);
    cell->bucket.spent = 42;

    assert_null(rdy_cells_find(t, 1, key(1)));
    assert_ptr_not_equal(get(t, 1, 1, 0), cell);
    assert_int_equal(get(t, 1, 1, 0)->bucket.spent, 0);
    assert_int_equal(get(t, 0, 1, 0)->bucket.spent, 42);

    free(t);
}


static void
both_halves_of_the_hash_tell_keys_apart(void **state)
{
    uint64_t      a[2] = { 64, 1 }, b[2] = { 64, 2 }, c[2] = { 128, 1 };
    rdy_uint_t    evicted;
    rdy_cell_t   *one, *two, *three;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "api");

    one = rdy_cells_get(t, 0, a, 0, &evicted);
    two = rdy_cells_get(t, 0, b, 0, &evicted);
    three = rdy_cells_get(t, 0, c, 0, &evicted);

    assert_true(one != two && two != three && one != three);
    assert_ptr_equal(rdy_cells_find(t, 0, a), one);
    assert_ptr_equal(rdy_cells_find(t, 0, b), two);
    assert_ptr_equal(rdy_cells_find(t, 0, c), three);

    free(t);
}


static void
dropped_cell_is_forgotten_and_used_again(void **state)
{
    uint64_t      i;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "api");

    for (i = 0; i < 64; i++) {
        fill(t, 0, i, 9);
    }

    assert_int_equal(t->used, 64);

    for (i = 0; i < 64; i += 2) {
        rdy_cells_drop(t, get(t, 0, i, 0));
    }

    assert_int_equal(t->used, 32);
    assert_int_equal(consistent(t), 0);

    for (i = 0; i < 64; i++) {
        assert_int_equal(has(t, 0, i), i % 2);
    }

    for (i = 0; i < 64; i += 2) {
        fill(t, 0, i, 9);
    }

    assert_int_equal(t->used, 64);
    assert_int_equal(t->rates[0].evictions, 0);
    assert_int_equal(consistent(t), 0);

    rdy_cells_drop(t, get(t, 0, 1, 0));
    rdy_cells_drop(t, cell_at(t, t->free));
    assert_int_equal(t->used, 63);
    assert_int_equal(consistent(t), 0);

    free(t);
}


static void
H06_full_bucket_is_used_again_first(void **state)
{
    uint64_t      i;
    rdy_uint_t    evicted;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "many");
    (void) rate(t, "few");

    for (i = 0; i < 60; i++) {
        fill(t, 0, i, 1000);
    }

    fill(t, 1, 100, 50);
    fill(t, 1, 101, 1000);
    fill(t, 1, 102, 1000);
    fill(t, 1, 103, 1000);

    rdy_cells_begin(t);
    (void) rdy_cells_get(t, 0, key(200), 50, &evicted);

    assert_int_equal(evicted, 0);
    assert_int_equal(has(t, 1, 100), 0);
    assert_int_equal(t->rates[0].used, 61);
    assert_int_equal(t->rates[1].used, 3);
    assert_int_equal(t->rates[0].evictions + t->rates[1].evictions, 0);

    assert_int_equal(consistent(t), 0);
    free(t);
}


static void
H06_full_bucket_behind_the_oldest_is_found_in_time(void **state)
{
    uint64_t      i;
    rdy_uint_t    evicted, tries;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "api");

    for (i = 0; i < 64; i++) {
        fill(t, 0, i, i == 40 ? 50 : 1000);
    }

    for (tries = 0; tries < 4; tries++) {
        rdy_cells_begin(t);
        (void) rdy_cells_get(t, 0, key(200 + tries), 50, &evicted);

        if (!evicted) {
            break;
        }

        fill(t, 0, 200 + tries, 1000);
    }

    assert_in_range(tries, 0, 3);
    assert_int_equal(has(t, 0, 40), 0);
    free(t);
}


static void
H06_rate_that_holds_most_loses_its_oldest(void **state)
{
    uint64_t      i;
    rdy_uint_t    evicted;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "few");
    (void) rate(t, "many");

    for (i = 0; i < 10; i++) {
        fill(t, 0, i, 1000);
    }

    for (i = 10; i < 64; i++) {
        fill(t, 1, i, 1000);
    }

    rdy_cells_begin(t);
    (void) get(t, 1, 10, 0);            /* no longer the oldest: 11 is */

    rdy_cells_begin(t);
    (void) rdy_cells_get(t, 0, key(200), 0, &evicted);

    assert_int_equal(evicted, 2);
    assert_int_equal(t->rates[0].evictions, 0);
    assert_int_equal(t->rates[1].evictions, 1);
    assert_int_equal(has(t, 1, 11), 0);
    assert_int_equal(has(t, 1, 10), 1);
    assert_int_equal(t->rates[0].used, 11);
    assert_int_equal(t->rates[1].used, 53);

    assert_int_equal(consistent(t), 0);
    free(t);
}


/* a flood of keys of one rate costs the others nothing */

static void
C02_flood_of_keys_evicts_only_its_own(void **state)
{
    uint64_t      i;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "victim");
    (void) rate(t, "flood");

    for (i = 0; i < 20; i++) {
        fill(t, 0, i, 1000);
    }

    for (i = 1000; i < 101000; i++) {
        fill(t, 1, i, 1000);
    }

    for (i = 0; i < 20; i++) {
        assert_int_equal(has(t, 0, i), 1);
    }

    assert_int_equal(t->used, 64);
    assert_int_equal(t->rates[1].evictions, 100000 - 44);
    assert_int_equal(t->resets, 0);
    assert_int_equal(consistent(t), 0);
    free(t);
}


static void
cells_of_one_request_never_evict_each_other(void **state)
{
    uint64_t     i, j, n;
    rdy_cell_t   *cell[63];
    rdy_cells_t  *t;

    t = table(SIZE);

    for (i = 0; i < 3; i++) {
        (void) rate(t, (const char *[]) { "a", "b", "c" }[i]);
    }

    for (i = 0; i < 64; i++) {
        fill(t, i % 3, i, any(2) * 1000);
    }

    for (n = 0; n < 500; n++) {
        rdy_cells_begin(t);

        for (i = 0; i < 63; i++) {
            cell[i] = get(t, any(3), 1000 + n * 63 + i, 50);
            cell[i]->full_at = any(2) * 1000;

            for (j = 0; j < i; j++) {
                assert_ptr_not_equal(cell[i], cell[j]);
            }
        }
    }

    assert_int_equal(consistent(t), 0);

    /* and more than that are no crash */

    rdy_cells_begin(t);

    for (i = 0; i < 200; i++) {
        (void) get(t, any(3), 1000000 + i, 50);
    }

    assert_int_equal(t->resets, 0);
    assert_int_equal(consistent(t), 0);
    free(t);
}


static void
found_cell_is_in_use_too(void **state)
{
    uint64_t      i;
    rdy_cell_t   *cell;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "api");

    for (i = 0; i < 64; i++) {
        fill(t, 0, i, 0);
    }

    rdy_cells_begin(t);
    cell = rdy_cells_find(t, 0, key(0));

    for (i = 0; i < 62; i++) {
        assert_ptr_not_equal(get(t, 0, 1000 + i, 50), cell);
    }

    assert_ptr_equal(rdy_cells_find(t, 0, key(0)), cell);
    free(t);
}


/* the table is used where it was not made */

static void
table_may_move(void **state)
{
    uint64_t      i;
    rdy_cells_t  *t, *moved;

    t = table(SIZE);
    (void) rate(t, "api");

    for (i = 0; i < 50; i++) {
        fill(t, 0, i, 9);
    }

    moved = malloc(SIZE);
    memcpy(moved, t, SIZE);
    memset(t, 0xa5, SIZE);
    free(t);

    assert_int_equal(rdy_cells_check(moved, SIZE), RDY_OK);

    for (i = 0; i < 50; i++) {
        assert_int_equal(get(moved, 0, i, 0)->bucket.spent, i);
    }

    assert_int_equal(consistent(moved), 0);
    free(moved);
}


/* against a model that knows which keys may be there */

static void
random_steps_stay_consistent(void **state)
{
    uint64_t      i, n;
    rdy_uint_t    r;
    rdy_cell_t   *cell;
    rdy_cells_t  *t;

    t = table(sizeof(rdy_cells_t) + 1000 * 72);

    for (i = 0; i < 3; i++) {
        (void) rate(t, (const char *[]) { "a", "b", "c" }[i]);
    }

    for (i = 0; i < 200000; i++) {

        if (any(3) == 0) {
            rdy_cells_begin(t);
        }

        r = any(3);
        n = any(any(2) ? 100 : 5000);

        switch (any(8)) {

        case 0:
            cell = rdy_cells_find(t, r, key(n));

            if (cell) {
                assert_int_equal(cell->bucket.spent, n * 3 + r);
                rdy_cells_drop(t, cell);
            }

            assert_int_equal(has(t, r, n), 0);
            break;

        default:
            rdy_cells_begin(t);
            cell = get(t, r, n, i);

            assert_true(cell->bucket.spent == 0
                        || cell->bucket.spent == n * 3 + r);

            cell->bucket.spent = n * 3 + r;
            cell->full_at = i + any(10000);
        }

        if (i % 10000 == 0) {
            assert_int_equal(consistent(t), 0);
        }
    }

    assert_int_equal(t->resets, 0);
    free(t);
}


static void
torn_look(rdy_cells_t *t)
{
    (void) get(t, 1, 5, 0);
}


static void
torn_insert(rdy_cells_t *t)
{
    (void) get(t, 0, 500, 0);
}


static void
torn_drop(rdy_cells_t *t)
{
    rdy_cells_drop(t, rdy_cells_find(t, 1, key(5)));
}


static void
torn_rate(rdy_cells_t *t)
{
    (void) rate(t, "third");
}


/*
 * What the next process makes of a table that was left like this: all buckets
 * are there but those the change was about, at most one cell is lost for good,
 * and every operation works.
 */

static void
recovers(const rdy_cells_t *left, uint64_t cells)
{
    uint64_t      i;
    rdy_cell_t   *cell;
    rdy_cells_t  *t;

    t = malloc(SIZE);
    memcpy(t, left, SIZE);

    for (i = 0; i < cells; i++) {
        cell = rdy_cells_find(t, i % 2, key(i));

        if (cell) {
            assert_int_equal(cell->bucket.spent, i);
        }

        assert_true(cell || i == 5 || (i == 0 && cells == 64));
    }

    if (t->busy) {
        assert_null(rdy_cells_find(t, 0, key(9999)));
    }

    assert_true(consistent(t) <= 1);
    assert_true(t->resets <= 1);

    for (i = 0; i < 200; i++) {
        fill(t, i % 2, 2000 + i, 9);
    }

    assert_int_equal(rate(t, "third"), 2);
    assert_true(consistent(t) <= 1);

    free(t);
}


/*
 * Single-steps a process through the change, and looks at the table after
 * each instruction that changed it.
 */

static void
tear(change_pt change, uint64_t cells)
{
    int           status, states;
    pid_t         pid;
    uint64_t      i;
    rdy_cells_t  *t, *before;

    t = mmap(NULL, SIZE, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1,
             0);
    assert_ptr_not_equal(t, MAP_FAILED);
    assert_int_equal(rdy_cells_init(t, SIZE), RDY_OK);

    (void) rate(t, "first");
    (void) rate(t, "second");

    for (i = 0; i < cells; i++) {
        fill(t, i % 2, i, 1000);
    }

    rdy_cells_begin(t);

    pid = fork();

    if (pid == 0) {

        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1) {
            _exit(77);
        }

        (void) raise(SIGSTOP);
        change(t);
        _exit(0);
    }

    before = malloc(SIZE);
    memset(before, 0, SIZE);
    states = 0;

    for ( ;; ) {
        assert_int_equal(waitpid(pid, &status, 0), pid);

        if (!WIFSTOPPED(status)) {
            break;
        }

        if (memcmp(before, t, SIZE) != 0) {
            memcpy(before, t, SIZE);
            recovers(t, cells);
            states++;
        }

        assert_int_not_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), -1);
    }

    free(before);
    (void) munmap(t, SIZE);

    assert_true(WIFEXITED(status));

    if (WEXITSTATUS(status) == 77) {
        skip();
    }

    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(states > 3);
}


static void
H04_killed_at_any_instruction_of_a_look_up(void **state)
{
    tear(torn_look, 40);
}


static void
H04_killed_at_any_instruction_of_an_insertion(void **state)
{
    tear(torn_insert, 40);
}


static void
H04_killed_at_any_instruction_of_an_eviction(void **state)
{
    tear(torn_insert, 64);
}


static void
H04_killed_at_any_instruction_of_a_drop(void **state)
{
    tear(torn_drop, 40);
}


static void
H04_killed_at_any_instruction_of_a_new_rate(void **state)
{
    tear(torn_rate, 40);
}


/* any byte the table may trust but for its own size */

static void
corrupt(rdy_cells_t *t)
{
    size_t   n;
    u_char  *p;

    switch (any(4)) {

    case 0:
        p = (u_char *) &t->used;
        n = (u_char *) &t->resets - p;
        break;

    case 1:
        p = (u_char *) &t->rates[any(4)].len;
        n = sizeof(uint32_t) * 4;
        break;

    case 2:
        p = (u_char *) (t + 1);
        n = t->heads * sizeof(uint32_t);
        break;

    default:
        p = (u_char *) cell_at(t, 1);
        n = t->total * sizeof(rdy_cell_t);
    }

    p[any(n)] = any(3) ? any(65) : any(256);
}


static void
H04_corrupt_links_neither_crash_nor_hang(void **state)
{
    uint64_t      i, n;
    rdy_uint_t    evicted;
    rdy_cell_t   *cell;
    rdy_cells_t  *t;

    t = table(SIZE);

    for (i = 0; i < 100000; i++) {

        if (any(4) == 0) {
            corrupt(t);
        }

        if (i % 20000 == 0) {
            assert_int_equal(rdy_cells_init(t, SIZE), RDY_OK);
        }

        (void) rate(t, "a");
        (void) rate(t, "b");

        rdy_cells_begin(t);
        n = any(100);
        cell = rdy_cells_get(t, any(2), key(n), any(50), &evicted);
        assert_in_range(cell - cell_at(t, 1), 0, t->total - 1);
        cell->full_at = any(100);

        cell = rdy_cells_find(t, any(2), key(any(100)));

        if (cell) {
            assert_in_range(cell - cell_at(t, 1), 0, t->total - 1);
            rdy_cells_drop(t, cell);
        }
    }

    assert_true(t->resets > 10);
    free(t);
}


static void
H04_found_inconsistency_is_counted_and_loses_no_bucket(void **state)
{
    uint64_t      i;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "api");

    for (i = 0; i < 40; i++) {
        fill(t, 0, i, 9);
    }

    cell_at(t, 7)->chain = 7;           /* a ring */
    ((uint32_t *) (t + 1))[3] = 999;    /* out of the table */

    for (i = 0; i < 100; i++) {
        (void) has(t, 0, i);
    }

    for (i = 0; i < 40; i++) {
        assert_int_equal(get(t, 0, i, 0)->bucket.spent, i);
    }

    assert_in_range(t->resets, 1, 2);
    assert_int_equal(consistent(t), 0);
    free(t);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(cell_is_one_cache_line),
        cmocka_unit_test(million_cells_fit_in_128_mb),
        cmocka_unit_test(too_small_a_block_is_refused),
        cmocka_unit_test(H03_only_a_table_of_this_layout_and_size_is_one),
        cmocka_unit_test(rate_keeps_its_number),
        cmocka_unit_test(
            full_directory_gives_the_place_of_a_rate_without_cells),
        cmocka_unit_test(cell_is_found_again),
        cmocka_unit_test(C06_same_key_under_two_rates_is_two_cells),
        cmocka_unit_test(both_halves_of_the_hash_tell_keys_apart),
        cmocka_unit_test(dropped_cell_is_forgotten_and_used_again),
        cmocka_unit_test(H06_full_bucket_is_used_again_first),
        cmocka_unit_test(H06_full_bucket_behind_the_oldest_is_found_in_time),
        cmocka_unit_test(H06_rate_that_holds_most_loses_its_oldest),
        cmocka_unit_test(C02_flood_of_keys_evicts_only_its_own),
        cmocka_unit_test(cells_of_one_request_never_evict_each_other),
        cmocka_unit_test(found_cell_is_in_use_too),
        cmocka_unit_test(table_may_move),
        cmocka_unit_test(random_steps_stay_consistent),
        cmocka_unit_test(H04_killed_at_any_instruction_of_a_look_up),
        cmocka_unit_test(H04_killed_at_any_instruction_of_an_insertion),
        cmocka_unit_test(H04_killed_at_any_instruction_of_an_eviction),
        cmocka_unit_test(H04_killed_at_any_instruction_of_a_drop),
        cmocka_unit_test(H04_killed_at_any_instruction_of_a_new_rate),
        cmocka_unit_test(H04_corrupt_links_neither_crash_nor_hang),
        cmocka_unit_test(
            H04_found_inconsistency_is_counted_and_loses_no_bucket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
