
/*
 * Copyright (C) The readiness authors
 */


/* what the files of the limit room share */


#ifndef _NGX_READINESS_LIMIT_H_INCLUDED_
#define _NGX_READINESS_LIMIT_H_INCLUDED_


#include "ngx_readiness.h"
#include "redis/ngx_readiness_redis.h"
#include "limit/rdy_cells.h"
#include "limit/rdy_lease.h"
#include "limit/rdy_quota.h"
#include "limit/rdy_slots.h"


#define NGX_READINESS_MAX_REDIS   16      /* whose nginx are counted */
#define NGX_READINESS_SLOT_LIFE   60000   /* ms */
#define NGX_READINESS_SLOT_RENEW  20000
#define NGX_READINESS_SLOT_ROUNDS 4       /* that last longer than a life */


/* true when text begins with the literal s; rest is what follows */

#define ngx_readiness_begins(text, s, rest)                                   \
    ((text)->len >= sizeof(s) - 1                                             \
     && ngx_strncmp((text)->data, s, sizeof(s) - 1) == 0                      \
     && ((rest)->len = (text)->len - (sizeof(s) - 1),                         \
         (rest)->data = (text)->data + (sizeof(s) - 1), 1))


/*
 * The zone, found through shpool->data after a reload or an upgrade.  One
 * mutex, shpool's own: it is the only one that nginx unlocks when a worker
 * dies with it.
 */

typedef struct {
    uint64_t                     magic;
    u_char                       secret[16];  /* of the hash of keys */
    size_t                       size;        /* of cells */
    size_t                       cells;       /* offset from this struct */

    /* written and read without the lock: an old value costs a look-up */

    uint64_t                     spent_until; /* us: no key is known to be
                                                 spent from then on */
    uint64_t                     owed_until;  /* us: no key is owed a charge */
    uint32_t                     instances[NGX_READINESS_MAX_REDIS];
    u_char                       id[8];       /* of this nginx */
} ngx_readiness_shared_t;


struct ngx_readiness_zone_s {
    ngx_slab_pool_t             *shpool;
    ngx_readiness_shared_t      *shared;
    rdy_cells_t                 *cells;
    ngx_array_t                 *rates;       /* ngx_readiness_rate_t * */
};


/* the zone of the running configuration; the worker's own from init on */
extern ngx_readiness_zone_t  *ngx_readiness_zone_own;

#define ngx_readiness_zone_lock()                                             \
    ngx_shmtx_lock(&ngx_readiness_zone_own->shpool->mutex)
#define ngx_readiness_zone_unlock()                                           \
    ngx_shmtx_unlock(&ngx_readiness_zone_own->shpool->mutex)


/* fills hash, which stands for the rate's key in the zone */
void ngx_readiness_zone_hash(const ngx_readiness_rate_t *rate,
    const ngx_str_t *key, uint64_t hash[2]);

/* the same for a state, once */
void ngx_readiness_state_hash(ngx_readiness_state_t *state);


/*
 * A key's cell in the table may have companions under hashes of their own:
 * the counts of a quota, the slots in use.
 */
#define NGX_READINESS_CELL_QUOTA  1          /* and the four after it */
#define NGX_READINESS_CELL_SLOTS  6

#define ngx_readiness_companion(own, n, hash)                                 \
    ((hash)[0] = (own)[0] + (uint64_t) (n) * 0x9e3779b97f4a7c15ULL,           \
     (hash)[1] = (own)[1] ^ (uint64_t) (n))

#define ngx_readiness_cell_slots(cell)  ((rdy_slots_t *) (cell)->state)
#define ngx_readiness_cell_lease(cell)  ((rdy_lease_t *) (cell)->state)


/* the algorithms in the zone: ngx_readiness_limit_local.c */

/*
 * Decides in the zone the states marked asked that are its own: all of them
 * are charged, or none.  Clears the marks.  NGX_OK; NGX_ERROR: there are more
 * of them than NGX_READINESS_MAX_LIMITS.
 */
ngx_int_t ngx_readiness_local_decide(ngx_readiness_ctx_t *ctx);

/*
 * Gives back what the zone was charged, less what has drained since: it may
 * refuse early for a moment, never admit one too many.
 */
void ngx_readiness_local_give_back(ngx_readiness_state_t *state);


/*
 * One counter, by the numbers given.  The lock is held, and was followed by
 * rdy_cells_begin(); a counter is of use until it is given up.  charge()
 * returns the time of the charge, or of slots their epoch.
 */

typedef struct {
    rdy_cell_t                  *cell;        /* of a bucket, of slots */

    const ngx_readiness_rate_t  *rate;        /* of a quota: */
    uint64_t                     hash[2];
    rdy_cell_t                  *chunk[RDY_QUOTA_CHUNKS];
    rdy_quota_t                  quota;
    ngx_uint_t                   all;         /* chunks are to be stored */
} ngx_readiness_counter_t;

void ngx_readiness_counter_open(ngx_readiness_counter_t *counter,
    const ngx_readiness_rate_t *rate, const uint64_t hash[2],
    const rdy_rate_t *numbers, uint64_t now);
ngx_uint_t ngx_readiness_counter_fits(const ngx_readiness_counter_t *counter,
    const rdy_rate_t *numbers, uint64_t cost);
uint64_t ngx_readiness_counter_charge(ngx_readiness_counter_t *counter,
    const rdy_rate_t *numbers, uint64_t cost, uint64_t now);
void ngx_readiness_counter_view(ngx_readiness_counter_t *counter,
    const rdy_rate_t *numbers, uint64_t cost, uint64_t now,
    rdy_rate_view_t *view);
void ngx_readiness_quota_store(ngx_readiness_counter_t *counter,
    uint64_t now);


typedef enum {
    NGX_READINESS_SLOTS_TAKE = 0,
    NGX_READINESS_SLOTS_RENEW,
    NGX_READINESS_SLOTS_RELEASE
} ngx_readiness_slots_do_e;

/* one key's slots in the zone, by itself; returns their epoch */
uint64_t ngx_readiness_local_slots(const ngx_readiness_rate_t *rate,
    const uint64_t hash[2], ngx_readiness_slots_do_e what, uint64_t cost,
    uint64_t epoch);


/* what is known of Redis' keys: ngx_readiness_limit_known.c */

/* how long a refusal is told to last: its end may be spread */
#define ngx_readiness_known_retry(us)                                         \
    ((us) > RDY_LEASE_FAR ? (us) + RDY_LEASE_SPREAD : (us))

/*
 * Refuses from memory what is known to be spent, and admits by permits that
 * are held: such states are no longer marked asked.
 */
void ngx_readiness_known_check(ngx_readiness_ctx_t *ctx);

/* a permit that was taken is put back */
void ngx_readiness_known_put_back(ngx_readiness_state_t *state);

/* permits to ask for beyond what waits, when a call for the key is made */
uint64_t ngx_readiness_known_size(const ngx_readiness_rate_t *rate,
    const uint64_t hash[2]);

/*
 * An answer is remembered as far as it matters, and hash made of the key then
 * unless *hashed.  Sets what the answer lacks: its time, a random number, the
 * total of a quota.  Returns what the key is to be charged at once, as
 * ngx_readiness_owed_settle() does.
 */
uint64_t ngx_readiness_known_answer(const ngx_readiness_rate_t *rate,
    const rdy_rate_t *numbers, const ngx_str_t *key, uint64_t hash[2],
    ngx_uint_t *hashed, rdy_lease_answer_t *answer);

/* the same for one state of these; 1: it is decided */
ngx_uint_t ngx_readiness_known_one(ngx_readiness_state_t *state);

/*
 * Takes the permits out that are too old, and returns how many are to be given
 * back, of those since then; *end: us until the next will be, 0: none are left.
 */
uint64_t ngx_readiness_known_old(const ngx_readiness_rate_t *rate,
    const rdy_rate_t *numbers, const uint64_t hash[2], uint64_t since,
    uint64_t *end);


/* slots: ngx_readiness_limit_hold.c */

/* what the worker holds of one key in Redis */
typedef struct ngx_readiness_slots_s  ngx_readiness_slots_t;

/*
 * The request was given the slots of state, which are released when it ends:
 * in the zone, where they were taken in this epoch or are to be counted too
 * (ELSEWHERE), and in Redis, unless slots is NULL.  state->room is from
 * ngx_readiness_hold_room(), before they were asked for: who has no memory for
 * a slot gets none.
 */
#define NGX_READINESS_SLOTS_ELSEWHERE  (uint64_t) -1

ngx_readiness_hold_t *ngx_readiness_hold_room(ngx_pool_t *pool);

void ngx_readiness_hold(ngx_readiness_ctx_t *ctx,
    ngx_readiness_state_t *state, uint64_t epoch,
    ngx_readiness_slots_t *slots);

/* they are given back before the request ends, or now that it does */
void ngx_readiness_hold_release(ngx_readiness_hold_t *hold);
void ngx_readiness_hold_cleanup(ngx_readiness_ctx_t *ctx);

ngx_int_t ngx_readiness_hold_init_process(ngx_cycle_t *cycle);

/* what requests hold that end with the worker */
void ngx_readiness_hold_exit_process(void);


/* Redis: ngx_readiness_ask.c */

/*
 * Has Redis decide the first states marked asked that can be decided by one
 * call.  NGX_AGAIN: ngx_readiness_resume() will be called; NGX_OK: there are
 * none; NGX_ERROR: no memory.
 */
ngx_int_t ngx_readiness_ask(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx);

/*
 * The numbers that count for this request.  NGX_OK: *numbers, the tenant's
 * own, its plan's or the declared ones; NGX_DECLINED: unlimited; NGX_ERROR.
 */
ngx_int_t ngx_readiness_plan_numbers(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_rate_t *rate,
    rdy_rate_t *numbers);

/* what Redis was charged for state is given back, once, and not waited for */
void ngx_readiness_ask_give_back(ngx_readiness_state_t *state);


/* outage: ngx_readiness_limit_outage.c */

/* gives back what was charged in Redis' stead */
void ngx_readiness_outage_give_back(ngx_readiness_state_t *state);

/* what Redis is owed: ngx_readiness_limit_owed.c */

/*
 * Ends the outage of a key that may be in one, and returns what Redis is to be
 * charged for it, as rdy_batch_charge() takes it: what was admitted here and
 * has not drained since.  The lock is held, and rdy_cells_begin() was called.
 */
uint64_t ngx_readiness_owed_settle(const ngx_readiness_rate_t *rate,
    const rdy_rate_t *numbers, const uint64_t hash[2], rdy_lease_t *lease,
    uint64_t now);


#endif /* _NGX_READINESS_LIMIT_H_INCLUDED_ */
