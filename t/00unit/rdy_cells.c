
/*
 * Copyright (C) The readiness authors
 */


#include "cells.h"

#include <sys/mman.h>


static void
cell_is_one_cache_line(void **state)
{
    assert_int_equal(sizeof(rdy_cell_t), 128);
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
        assert_true(t->total >= RDY_CELLS_MIN);
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
    assert_int_equal(rdy_cells_check(t, SIZE + 8), RDY_ERROR);
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

    t = table(sizeof(rdy_cells_t) + 1000 * 136);

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
    assert_int_equal(t->resets, 0);
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
    (void) rate(t, "one");
    (void) rate(t, "many");

    fill(t, 0, 0, 0);

    for (i = 1; i < 64; i++) {
        fill(t, 1, i, 0);
    }

    rdy_cells_begin(t);
    cell = rdy_cells_find(t, 0, key(0));

    for (i = 0; i < 62; i++) {
        assert_ptr_not_equal(get(t, 1, 1000 + i, 50), cell);
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

    t = table(sizeof(rdy_cells_t) + 1000 * 136);

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
