
/*
 * Copyright (C) The readiness authors
 */


/*
 * The table of buckets: one block of memory, given by the caller and perhaps
 * shared between processes that map it at different addresses, so everything
 * in it points by number.  The caller holds one lock around every call and for
 * as long as it uses a cell.
 *
 * A cell is found by the number of its rate and a 128-bit keyed hash of its
 * key; the hash stands for the key.  Look-ups, insertions and evictions take
 * constant time, whatever the size of the table.
 *
 * A process may be killed anywhere between taking the lock and giving it back.
 * Each change of links is announced in `busy` beforehand; whoever finds it
 * still set, or meets a link that cannot be, links the whole table anew from
 * the cells themselves, and counts that in `resets`.  Cells keep their place
 * and their bucket then, only their order of use is forgotten.
 */


#ifndef _RDY_CELLS_H_INCLUDED_
#define _RDY_CELLS_H_INCLUDED_


#include "limit/rdy_rate.h"


#define RDY_CELLS_RATES     256
#define RDY_CELLS_NAME_MAX  64
#define RDY_CELLS_MIN       64
#define RDY_CELLS_STATE     80      /* bytes in a cell for the caller */


typedef struct {
    uint64_t              hash[2];
    uint64_t              full_at;      /* the caller's: us, the bucket is
                                           full from then on */

    /* the table's own: cells by number from 1, 0 is none */

    uint32_t              chain;        /* next with this hash, or free */
    uint32_t              newer;
    uint32_t              older;
    uint32_t              rate;         /* number of the rate + 1, 0: free */
    uint32_t              epoch;

    union {                             /* the caller's */
        rdy_bucket_t      bucket;
        uint64_t          state[RDY_CELLS_STATE / 8];
    };
} rdy_cell_t;


typedef struct {
    u_char                name[RDY_CELLS_NAME_MAX];
    uint32_t              len;          /* of the name, 0: not taken */
    uint32_t              used;         /* cells */
    uint32_t              newest;
    uint32_t              oldest;
    uint64_t              evictions;    /* buckets lost before they were full */
} rdy_cells_rate_t;


typedef struct {
    uint64_t              magic;
    uint32_t              version;
    uint32_t              busy;
    uint64_t              size;         /* of the block, in bytes */
    uint32_t              total;        /* cells */
    uint32_t              heads;        /* hash chains, a power of two */
    uint32_t              used;         /* cells */
    uint32_t              fresh;        /* cells ever used */
    uint32_t              free;
    uint32_t              hand;
    uint32_t              epoch;
    uint32_t              taken;        /* places of the directory */
    uint32_t              resets;
    rdy_cells_rate_t      rates[RDY_CELLS_RATES];
} rdy_cells_t;


/*
 * Makes an empty table of the block, which is aligned to 8 bytes and whose
 * content does not matter.  RDY_ERROR: it has no room for RDY_CELLS_MIN cells.
 */
rdy_int_t rdy_cells_init(void *mem, size_t size);


/*
 * RDY_OK when the block holds a table made by rdy_cells_init() of this very
 * layout for this size; otherwise RDY_ERROR, and it has to be made anew.
 */
rdy_int_t rdy_cells_check(const void *mem, size_t size);


/*
 * The number of the rate of this name, entering it when it is new.  If the
 * directory is full, the place of a rate without cells is taken.  A number
 * stays valid as long as its rate has cells, so let the hash of a key include
 * the name of its rate: then a stale number finds no other rate's buckets.
 *
 * RDY_ERROR: the name is empty or longer than RDY_CELLS_NAME_MAX, or every
 * place is taken by a rate with cells.
 */
rdy_int_t rdy_cells_rate(rdy_cells_t *t, const rdy_str_t *name);


/* In the calls below, rate is a number that rdy_cells_rate() gave. */


/*
 * Starts a new request.  Cells found or made since then are in use by it, and
 * are neither evicted nor used again before the next call.
 */
void rdy_cells_begin(rdy_cells_t *t);


/*
 * The cell of this key, now the one most recently used of its rate; NULL if
 * there is none.
 */
rdy_cell_t *rdy_cells_find(rdy_cells_t *t, rdy_uint_t rate,
    const uint64_t hash[2]);


/*
 * The same, but makes the cell when there is none: an empty bucket, with
 * everything the caller may write zeroed.
 *
 * When no cell is free, one whose bucket is full again (full_at <= now) is
 * taken, among the least recently used ones of each rate and a few more in
 * turn; such a bucket says nothing a new one would not say.  If there is none,
 * the rate that holds most loses its least recently used cell: *evicted is
 * then the number of that rate + 1, otherwise 0.
 *
 * Never fails as long as one request uses fewer than RDY_CELLS_MIN cells; with
 * more, a cell of the same request may be given again.
 */
rdy_cell_t *rdy_cells_get(rdy_cells_t *t, rdy_uint_t rate,
    const uint64_t hash[2], uint64_t now, rdy_uint_t *evicted);


/* forgets the bucket of a cell just found; the cell is free afterwards */

void rdy_cells_drop(rdy_cells_t *t, rdy_cell_t *cell);


#endif /* _RDY_CELLS_H_INCLUDED_ */
