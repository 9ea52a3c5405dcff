
/*
 * Copyright (C) The readiness authors
 */


/* what the tests of the table of buckets have in common */


#ifndef _CELLS_H_INCLUDED_
#define _CELLS_H_INCLUDED_


#include "unit.h"
#include "limit/rdy_cells.h"


#define SIZE  (sizeof(rdy_cells_t) + 64 * sizeof(rdy_cell_t)                 \
               + 64 * sizeof(uint32_t))


static uint64_t  cells_seed = 1;


static inline uint64_t
any(uint64_t n)
{
    cells_seed ^= cells_seed << 13;
    cells_seed ^= cells_seed >> 7;
    cells_seed ^= cells_seed << 17;

    return cells_seed % n;
}


/* a block of that size; what a table finds in it must not matter */

static inline rdy_cells_t *
table(size_t size)
{
    void  *mem;

    mem = malloc(size);
    memset(mem, 0xa5, size);

    assert_int_equal(rdy_cells_init(mem, size), RDY_OK);

    return mem;
}


static inline rdy_uint_t
rate(rdy_cells_t *t, const char *name)
{
    rdy_str_t  s = { strlen(name), (u_char *) name };

    return rdy_cells_rate(t, &s);
}


/* keys by number; few chains, so that they are long */

static inline const uint64_t *
key(uint64_t n)
{
    static uint64_t  hash[2];

    hash[0] = n * 0x9e3779b97f4a7c15 & ~(uint64_t) 0x38;
    hash[1] = n;

    return hash;
}


static inline rdy_cell_t *
get(rdy_cells_t *t, rdy_uint_t r, uint64_t n, uint64_t now)
{
    rdy_uint_t   evicted;
    rdy_cell_t  *cell;

    cell = rdy_cells_get(t, r, key(n), now, &evicted);
    assert_non_null(cell);

    return cell;
}


/* a cell of a bucket that is not full before full_at */

static inline void
fill(rdy_cells_t *t, rdy_uint_t r, uint64_t n, uint64_t full_at)
{
    rdy_cell_t  *cell;

    rdy_cells_begin(t);
    cell = get(t, r, n, 0);
    cell->bucket.spent = n;
    cell->full_at = full_at;
}


static inline rdy_uint_t
has(rdy_cells_t *t, rdy_uint_t r, uint64_t n)
{
    return rdy_cells_find(t, r, key(n)) != NULL;
}


static inline rdy_cell_t *
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

static inline uint32_t
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


#endif /* _CELLS_H_INCLUDED_ */
