
/*
 * Copyright (C) The readiness authors
 */


/*
 * A process that held the lock was killed in the middle of something, or the
 * memory was written to by accident: what the next one makes of it.
 */


#include "cells.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>


typedef void (*change_pt)(rdy_cells_t *t);


static rdy_uint_t  full_directory;


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
    uint64_t           i;
    rdy_cell_t        *cell;
    rdy_cells_t       *t;
    rdy_cells_rate_t  *r;

    t = malloc(SIZE);
    memcpy(t, left, SIZE);

    r = &t->rates[2];
    assert_true(r->len == 0
                || (r->len == 5 && memcmp(r->name, "third", 5) == 0)
                || (r->len == 6 && memcmp(r->name, "rate 2", 6) == 0));

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
    char          name[16];
    pid_t         pid;
    uint64_t      i;
    rdy_cells_t  *t, *before;

    t = mmap(NULL, SIZE, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1,
             0);
    assert_ptr_not_equal(t, MAP_FAILED);
    assert_int_equal(rdy_cells_init(t, SIZE), RDY_OK);

    (void) rate(t, "first");
    (void) rate(t, "second");

    for (i = 2; full_directory && i < RDY_CELLS_RATES; i++) {
        sprintf(name, "rate %d", (int) i);
        (void) rate(t, name);
    }

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

    full_directory = 1;
    tear(torn_rate, 40);
    full_directory = 0;
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
wrong_chain(rdy_cells_t *t)
{
    cell_at(t, 7)->chain = 7;
}


static void
wrong_head(rdy_cells_t *t)
{
    uint32_t  i;

    for (i = 0; i < t->heads; i++) {
        ((uint32_t *) (t + 1))[i] = 999;
    }
}


static void
wrong_newer(rdy_cells_t *t)
{
    cell_at(t, 7)->newer = 9;
}


static void
wrong_older(rdy_cells_t *t)
{
    cell_at(t, 7)->older = 9;
}


static void
wrong_newest(rdy_cells_t *t)
{
    t->rates[0].newest = 0;
}


static void
wrong_name(rdy_cells_t *t)
{
    t->rates[9].len = 200;
    t->busy = 1;
}


/* each is found as soon as somebody comes by, and costs no bucket */

static void
H04_wrong_link_is_found_and_loses_no_bucket(void **state)
{
    size_t        n;
    uint64_t      i;
    rdy_cells_t  *t;

    static const change_pt  wrong[] = {
        wrong_chain, wrong_head, wrong_newer, wrong_older, wrong_newest,
        wrong_name
    };

    for (n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
        t = table(SIZE);
        (void) rate(t, "api");

        for (i = 0; i < 40; i++) {
            fill(t, 0, i, 9);
        }

        wrong[n](t);

        for (i = 0; i < 100; i++) {
            assert_int_equal(has(t, 0, i), i < 40);
        }

        for (i = 0; i < 40; i++) {
            assert_int_equal(get(t, 0, i, 0)->bucket.spent, i);
        }

        assert_int_equal(t->resets, 1);
        assert_int_equal(t->rates[9].len, 0);
        assert_int_equal(consistent(t), 0);
        free(t);
    }
}


/* a cell nobody says anything sensible about is free again */

static void
H04_cell_of_no_rate_is_freed(void **state)
{
    uint32_t      i, wrong;
    rdy_cells_t  *t;

    static const uint32_t  no_rate[] = { 0, 2, 200, 257, UINT32_MAX };

    for (wrong = 0; wrong < 5; wrong++) {
        t = table(SIZE);
        (void) rate(t, "api");

        for (i = 0; i < 40; i++) {
            fill(t, 0, i, 9);
        }

        cell_at(t, 7)->rate = no_rate[wrong];
        t->busy = (wrong > 0);          /* a free cell is seen in a chain */

        for (i = 0; i < 40; i++) {
            assert_int_equal(has(t, 0, i), i != 6);
        }

        assert_int_equal(t->resets, 1);
        assert_int_equal(t->used, 39);
        assert_int_equal(consistent(t), 0);
        free(t);
    }
}


static void
H04_cell_in_use_is_not_given_as_a_free_one(void **state)
{
    uint64_t      i;
    rdy_cells_t  *t;

    t = table(SIZE);
    (void) rate(t, "api");

    for (i = 0; i < 40; i++) {
        fill(t, 0, i, 9);
    }

    t->free = 7;
    fill(t, 0, 40, 9);

    for (i = 0; i < 41; i++) {
        assert_int_equal(get(t, 0, i, 0)->bucket.spent, i);
    }

    assert_int_equal(t->resets, 1);
    assert_int_equal(consistent(t), 0);
    free(t);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(H04_killed_at_any_instruction_of_a_look_up),
        cmocka_unit_test(H04_killed_at_any_instruction_of_an_insertion),
        cmocka_unit_test(H04_killed_at_any_instruction_of_an_eviction),
        cmocka_unit_test(H04_killed_at_any_instruction_of_a_drop),
        cmocka_unit_test(H04_killed_at_any_instruction_of_a_new_rate),
        cmocka_unit_test(H04_corrupt_links_neither_crash_nor_hang),
        cmocka_unit_test(H04_wrong_link_is_found_and_loses_no_bucket),
        cmocka_unit_test(H04_cell_of_no_rate_is_freed),
        cmocka_unit_test(H04_cell_in_use_is_not_given_as_a_free_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
