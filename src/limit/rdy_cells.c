
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_cells.h"


#define RDY_CELLS_MAGIC    0x736c6c6563796472   /* "rdycells" */
#define RDY_CELLS_VERSION  2
#define RDY_CELLS_HAND     16                   /* cells tried in turn */

/* another layout has another number, even if its version was forgotten */

#define RDY_CELLS_LAYOUT                                                      \
    (uint32_t) (RDY_CELLS_VERSION << 24 | sizeof(rdy_cells_t) << 8            \
                | sizeof(rdy_cell_t))

#define rdy_cells_heads(t)  ((uint32_t *) ((t) + 1))
#define rdy_cells_base(t)   ((rdy_cell_t *) (rdy_cells_heads(t) + (t)->heads))
#define rdy_cells_head(t, hash)                                               \
    (&rdy_cells_heads(t)[(hash)[0] & ((t)->heads - 1)])
#define rdy_cells_index(t, cell)                                              \
    ((uint32_t) ((cell) - rdy_cells_base(t)) + 1)

/*
 * Whoever finds the table busy comes after a process that was killed, so only
 * the compiler could show it the writes in another order.
 */

#define rdy_cells_fence()     __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define rdy_cells_change(t)   ((t)->busy = 1, rdy_cells_fence())
#define rdy_cells_changed(t)  (rdy_cells_fence(), (t)->busy = 0)


static rdy_int_t rdy_cells_layout(size_t size, uint32_t *heads,
    uint32_t *total);
static void rdy_cells_clear(rdy_cells_t *t);
static void rdy_cells_rebuild(rdy_cells_t *t);
static rdy_cell_t *rdy_cells_at(rdy_cells_t *t, uint32_t i);
static rdy_int_t rdy_cells_lookup(rdy_cells_t *t, rdy_uint_t rate,
    const uint64_t hash[2], rdy_cell_t **found);
static rdy_int_t rdy_cells_take(rdy_cells_t *t, rdy_cell_t **taken);
static rdy_int_t rdy_cells_reclaim(rdy_cells_t *t, uint64_t now,
    rdy_uint_t *evicted);
static rdy_int_t rdy_cells_oldest(rdy_cells_t *t, uint64_t now,
    rdy_cell_t **full, rdy_cell_t **most);
static rdy_cell_t *rdy_cells_hand(rdy_cells_t *t, uint64_t now);
static void rdy_cells_touch(rdy_cells_t *t, rdy_cell_t *cell);
static void rdy_cells_link(rdy_cells_t *t, rdy_cell_t *cell);
static rdy_int_t rdy_cells_unlink(rdy_cells_t *t, rdy_cell_t *cell);
static void rdy_cells_push(rdy_cells_t *t, rdy_cell_t *cell);
static rdy_int_t rdy_cells_pull(rdy_cells_t *t, rdy_cell_t *cell);


rdy_int_t
rdy_cells_init(void *mem, size_t size)
{
    uint32_t      heads, total;
    rdy_cells_t  *t;

    if (rdy_cells_layout(size, &heads, &total) != RDY_OK) {
        return RDY_ERROR;
    }

    /* the magic comes last: half a table is none */

    t = mem;
    memset(t, 0, sizeof(rdy_cells_t));
    rdy_cells_fence();

    t->version = RDY_CELLS_LAYOUT;
    t->size = size;
    t->heads = heads;
    t->total = total;
    t->epoch = 1;

    rdy_cells_clear(t);

    t->magic = RDY_CELLS_MAGIC;

    return RDY_OK;
}


rdy_int_t
rdy_cells_check(const void *mem, size_t size)
{
    uint32_t            heads, total;
    const rdy_cells_t  *t;

    t = mem;

    if (rdy_cells_layout(size, &heads, &total) != RDY_OK
        || t->magic != RDY_CELLS_MAGIC || t->version != RDY_CELLS_LAYOUT
        || t->size != size || t->heads != heads || t->total != total)
    {
        return RDY_ERROR;
    }

    return RDY_OK;
}


rdy_int_t
rdy_cells_rate(rdy_cells_t *t, const rdy_str_t *name)
{
    rdy_int_t          i, place;
    rdy_cells_rate_t  *rate;

    if (name->len == 0 || name->len > RDY_CELLS_NAME_MAX) {
        return RDY_ERROR;
    }

    if (t->busy) {
        rdy_cells_rebuild(t);
    }

    place = RDY_ERROR;

    for (i = 0; i < RDY_CELLS_RATES; i++) {
        rate = &t->rates[i];

        if (rate->len == name->len
            && memcmp(rate->name, name->data, name->len) == 0)
        {
            return i;
        }

        if (rate->used == 0
            && (place == RDY_ERROR
                || (rate->len == 0 && t->rates[place].len)))
        {
            place = i;
        }
    }

    if (place == RDY_ERROR) {
        return RDY_ERROR;
    }

    rate = &t->rates[place];

    if (t->taken <= (uint32_t) place) {
        t->taken = place + 1;
    }

    rate->len = 0;
    rdy_cells_fence();

    rate->evictions = 0;
    memcpy(rate->name, name->data, name->len);
    rdy_cells_fence();

    rate->len = name->len;

    return place;
}


void
rdy_cells_begin(rdy_cells_t *t)
{
    t->epoch++;
}


rdy_cell_t *
rdy_cells_find(rdy_cells_t *t, rdy_uint_t rate, const uint64_t hash[2])
{
    rdy_int_t    rc;
    rdy_cell_t  *cell;

    rc = t->busy ? RDY_ERROR : rdy_cells_lookup(t, rate, hash, &cell);

    if (rc == RDY_ERROR) {
        rdy_cells_rebuild(t);
        rc = rdy_cells_lookup(t, rate, hash, &cell);
    }

    if (rc != RDY_OK) {
        return NULL;
    }

    rdy_cells_touch(t, cell);

    return cell;
}


rdy_cell_t *
rdy_cells_get(rdy_cells_t *t, rdy_uint_t rate, const uint64_t hash[2],
    uint64_t now, rdy_uint_t *evicted)
{
    rdy_int_t    rc;
    rdy_uint_t   tries;
    rdy_cell_t  *cell;

    *evicted = 0;

    cell = rdy_cells_find(t, rate, hash);
    if (cell) {
        return cell;
    }

    /* one try to find the table broken, one to find it full, one to succeed */

    for (tries = 0; tries < 3; tries++) {

        rc = rdy_cells_take(t, &cell);
        if (rc == RDY_OK) {
            break;
        }

        if (rc == RDY_DECLINED) {
            rc = rdy_cells_reclaim(t, now, evicted);
        }

        if (rc == RDY_ERROR) {
            rdy_cells_rebuild(t);
        }
    }

    if (tries == 3) {
        rdy_cells_clear(t);
        (void) rdy_cells_take(t, &cell);
    }

    rdy_cells_change(t);

    memset(cell, 0, sizeof(rdy_cell_t));
    cell->hash[0] = hash[0];
    cell->hash[1] = hash[1];
    cell->epoch = t->epoch;
    rdy_cells_fence();

    /* from here on it is in use, even if the links are made anew */

    cell->rate = rate + 1;
    rdy_cells_link(t, cell);
    rdy_cells_changed(t);

    return cell;
}


void
rdy_cells_drop(rdy_cells_t *t, rdy_cell_t *cell)
{
    if (cell->rate == 0) {
        return;
    }

    rdy_cells_change(t);

    if (rdy_cells_unlink(t, cell) != RDY_OK) {
        cell->rate = 0;
        rdy_cells_rebuild(t);
        return;
    }

    cell->rate = 0;
    cell->chain = t->free;
    t->free = rdy_cells_index(t, cell);

    rdy_cells_changed(t);
}


/*
 * As many cells as fit, and heads for them: a chain of a full table has between
 * one and two cells on average.
 */

static rdy_int_t
rdy_cells_layout(size_t size, uint32_t *heads, uint32_t *total)
{
    size_t    room;
    uint64_t  cells, n;

    if (size < sizeof(rdy_cells_t)) {
        return RDY_ERROR;
    }

    room = size - sizeof(rdy_cells_t);
    cells = room / (sizeof(rdy_cell_t) + sizeof(uint32_t));

    if (cells < RDY_CELLS_MIN || cells > 1u << 31) {
        return RDY_ERROR;
    }

    for (n = RDY_CELLS_MIN; n * 2 <= cells; n *= 2) { /* void */ }

    *heads = n;
    *total = (room - n * sizeof(uint32_t)) / sizeof(rdy_cell_t);

    return RDY_OK;
}


/* no cell is in use any more; the directory stays */

static void
rdy_cells_clear(rdy_cells_t *t)
{
    rdy_uint_t         i;
    rdy_cells_rate_t  *rate;

    rdy_cells_change(t);

    memset(rdy_cells_heads(t), 0, t->heads * sizeof(uint32_t));

    for (i = 0; i < RDY_CELLS_RATES; i++) {
        rate = &t->rates[i];

        rate->used = 0;
        rate->newest = 0;
        rate->oldest = 0;

        if (rate->len > RDY_CELLS_NAME_MAX) {
            rate->len = 0;
        }
    }

    t->taken = RDY_CELLS_RATES;

    while (t->taken && t->rates[t->taken - 1].len == 0) {
        t->taken--;
    }

    t->used = 0;
    t->fresh = 0;
    t->free = 0;
    t->hand = 0;

    rdy_cells_changed(t);
}


/* links every cell that says whose it is; all others become free */

static void
rdy_cells_rebuild(rdy_cells_t *t)
{
    uint32_t     i, fresh;
    rdy_cell_t  *cell;

    fresh = t->fresh < t->total ? t->fresh : t->total;

    rdy_cells_clear(t);
    rdy_cells_change(t);

    t->fresh = fresh;
    t->resets++;

    for (i = fresh; i; i--) {
        cell = rdy_cells_at(t, i);

        if (cell->rate && cell->rate <= t->taken
            && t->rates[cell->rate - 1].len)
        {
            rdy_cells_link(t, cell);
            continue;
        }

        cell->rate = 0;
        cell->chain = t->free;
        t->free = i;
    }

    rdy_cells_changed(t);
}


static rdy_cell_t *
rdy_cells_at(rdy_cells_t *t, uint32_t i)
{
    if (i == 0 || i > t->total) {
        return NULL;
    }

    return rdy_cells_base(t) + (i - 1);
}


/*
 * RDY_OK: *found is the cell; RDY_DECLINED: there is none; RDY_ERROR: the
 * chain leads to a cell that does not belong to it, or nowhere.
 */

static rdy_int_t
rdy_cells_lookup(rdy_cells_t *t, rdy_uint_t rate, const uint64_t hash[2],
    rdy_cell_t **found)
{
    uint32_t     i, n, *head;
    rdy_cell_t  *cell;

    head = rdy_cells_head(t, hash);
    i = *head;

    for (n = 0; i; n++) {
        cell = rdy_cells_at(t, i);

        if (cell == NULL || n == t->total || cell->rate == 0
            || rdy_cells_head(t, cell->hash) != head)
        {
            return RDY_ERROR;
        }

        if (cell->hash[0] == hash[0] && cell->hash[1] == hash[1]
            && cell->rate == rate + 1)
        {
            *found = cell;
            return RDY_OK;
        }

        i = cell->chain;
    }

    return RDY_DECLINED;
}


/* RDY_DECLINED: no cell is free */

static rdy_int_t
rdy_cells_take(rdy_cells_t *t, rdy_cell_t **taken)
{
    rdy_cell_t  *cell;

    if (t->free == 0 && t->fresh == t->total) {
        return RDY_DECLINED;
    }

    cell = rdy_cells_at(t, t->free ? t->free : t->fresh + 1);

    if (cell == NULL || (t->free && cell->rate)) {
        return RDY_ERROR;
    }

    if (t->free) {
        t->free = cell->chain;

    } else {
        t->fresh++;
    }

    *taken = cell;

    return RDY_OK;
}


/* frees one cell of a full table */

static rdy_int_t
rdy_cells_reclaim(rdy_cells_t *t, uint64_t now, rdy_uint_t *evicted)
{
    rdy_cell_t  *cell, *most;

    if (rdy_cells_oldest(t, now, &cell, &most) != RDY_OK) {
        return RDY_ERROR;
    }

    if (cell == NULL) {
        cell = rdy_cells_hand(t, now);
    }

    if (cell == NULL) {
        cell = most;
        *evicted = cell->rate;
        t->rates[cell->rate - 1].evictions++;
    }

    rdy_cells_drop(t, cell);

    return RDY_OK;
}


/*
 * Looks at the least recently used cell of each rate.  *full: one whose bucket
 * is full, or NULL; *most: that of the rate with the most cells.
 *
 * If the oldest cell of a rate is in use by this request, so are all others of
 * it; only if that is so everywhere, *most is such a cell.
 */

static rdy_int_t
rdy_cells_oldest(rdy_cells_t *t, uint64_t now, rdy_cell_t **full,
    rdy_cell_t **most)
{
    uint32_t           i, used, pinned;
    rdy_cell_t        *cell;
    rdy_cells_rate_t  *rate;

    used = 0;
    pinned = 0;
    *full = NULL;
    *most = NULL;

    for (i = 0; i < t->taken && i < RDY_CELLS_RATES; i++) {
        rate = &t->rates[i];

        if (rate->used == 0) {
            continue;
        }

        cell = rdy_cells_at(t, rate->oldest);

        if (cell == NULL || cell->rate != i + 1) {
            return RDY_ERROR;
        }

        if (cell->epoch == t->epoch) {

            if (used == 0 && rate->used > pinned) {
                pinned = rate->used;
                *most = cell;
            }

            continue;
        }

        if (cell->full_at <= now) {
            *full = cell;
            return RDY_OK;
        }

        if (rate->used > used) {
            used = rate->used;
            *most = cell;
        }
    }

    return *most ? RDY_OK : RDY_ERROR;
}


/*
 * Full buckets gather behind the oldest cell when rates or costs differ: a few
 * cells in turn at each reclaim come by all of them in time.
 */

static rdy_cell_t *
rdy_cells_hand(rdy_cells_t *t, uint64_t now)
{
    rdy_uint_t   n;
    rdy_cell_t  *cell;

    for (n = 0; n < RDY_CELLS_HAND; n++) {

        t->hand = t->hand < t->total ? t->hand + 1 : 1;
        cell = rdy_cells_at(t, t->hand);

        if (cell->rate && cell->rate <= RDY_CELLS_RATES
            && cell->epoch != t->epoch && cell->full_at <= now)
        {
            return cell;
        }
    }

    return NULL;
}


/* the cell is in use by this request, and the newest of its rate */

static void
rdy_cells_touch(rdy_cells_t *t, rdy_cell_t *cell)
{
    cell->epoch = t->epoch;

    if (t->rates[cell->rate - 1].newest == rdy_cells_index(t, cell)) {
        return;
    }

    rdy_cells_change(t);

    if (rdy_cells_pull(t, cell) != RDY_OK) {
        rdy_cells_rebuild(t);
        return;
    }

    rdy_cells_push(t, cell);
    rdy_cells_changed(t);
}


static void
rdy_cells_link(rdy_cells_t *t, rdy_cell_t *cell)
{
    uint32_t  *head;

    head = rdy_cells_head(t, cell->hash);

    cell->chain = *head;
    *head = rdy_cells_index(t, cell);
    t->used++;

    rdy_cells_push(t, cell);
}


/* RDY_ERROR: it hung wrongly in its chain or its list */

static rdy_int_t
rdy_cells_unlink(rdy_cells_t *t, rdy_cell_t *cell)
{
    uint32_t     n, *link;
    rdy_cell_t  *other;

    link = rdy_cells_head(t, cell->hash);

    for (n = 0; *link != rdy_cells_index(t, cell); n++) {
        other = rdy_cells_at(t, *link);

        if (other == NULL || n == t->total) {
            return RDY_ERROR;
        }

        link = &other->chain;
    }

    *link = cell->chain;
    t->used--;

    return rdy_cells_pull(t, cell);
}


static void
rdy_cells_push(rdy_cells_t *t, rdy_cell_t *cell)
{
    uint32_t           i;
    rdy_cell_t        *next;
    rdy_cells_rate_t  *rate;

    rate = &t->rates[cell->rate - 1];
    i = rdy_cells_index(t, cell);
    next = rdy_cells_at(t, rate->newest);

    cell->newer = 0;
    cell->older = rate->newest;

    if (next) {
        next->newer = i;

    } else {
        rate->oldest = i;
    }

    rate->newest = i;
    rate->used++;
}


/* takes the cell out of its list if both neighbours agree, else RDY_ERROR */

static rdy_int_t
rdy_cells_pull(rdy_cells_t *t, rdy_cell_t *cell)
{
    uint32_t           i, *newer, *older;
    rdy_cell_t        *next;
    rdy_cells_rate_t  *rate;

    i = rdy_cells_index(t, cell);
    rate = &t->rates[cell->rate - 1];
    older = &rate->newest;              /* what points to it from each side */
    newer = &rate->oldest;

    if (cell->newer) {
        next = rdy_cells_at(t, cell->newer);
        older = next ? &next->older : NULL;
    }

    if (cell->older) {
        next = rdy_cells_at(t, cell->older);
        newer = next ? &next->newer : NULL;
    }

    if (older == NULL || newer == NULL || *older != i || *newer != i) {
        return RDY_ERROR;
    }

    *older = cell->older;
    *newer = cell->newer;
    rate->used--;

    return RDY_OK;
}
