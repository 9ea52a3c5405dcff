
/*
 * Copyright (C) The readiness authors
 */


/*
 * What was admitted here while Redis was away, and is to be charged there: once
 * for each key, what has not drained since, before anything else is asked of
 * it.  The zone knows how much that is; each worker has a list of the keys it
 * has admitted for, and whoever comes first charges, be it for the answer to a
 * question about the key.  A worker that has such a list asks every second
 * whether Redis is back.
 *
 * A charge may have been made though its call was not answered, so it is never
 * made again: with the call of up to 128 keys their charges may be lost.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_ask.h"


/* a key that Redis is to be charged for, in each worker that admitted */

typedef struct {
    ngx_str_node_t               node;       /* by slot and name */
    const ngx_readiness_rate_t  *rate;       /* NULL: slots, to be told */
    rdy_rate_t                   numbers;
    uint64_t                     hash[2];
} ngx_readiness_owed_t;


/* those of one slot follow each other; nothing says more than 2^14 slots */

#define NGX_READINESS_OWED_HASH  18

#define ngx_readiness_owed_slot(node)                                         \
    ((ngx_uint_t) (node)->key >> NGX_READINESS_OWED_HASH)


static ngx_readiness_owed_t *ngx_readiness_owed_add(
    ngx_readiness_asker_t *asker, const ngx_str_t *name, ngx_uint_t slot);
static ngx_readiness_owed_t *ngx_readiness_owed_first(
    const ngx_readiness_asker_t *asker, ngx_uint_t slot);
static void ngx_readiness_owed_handler(ngx_event_t *ev);
static void ngx_readiness_owed_probe(ngx_readiness_asker_t *asker);
static void ngx_readiness_owed_pay(ngx_readiness_asker_t *asker,
    const ngx_readiness_owed_t *owed);


void
ngx_readiness_owed_init(ngx_readiness_asker_t *asker)
{
    ngx_rbtree_init(&asker->owed, &asker->owed_nil,
                    ngx_str_rbtree_insert_value);

    asker->probe.handler = ngx_readiness_owed_handler;
    asker->probe.cancelable = 1;
}


void
ngx_readiness_owed(ngx_readiness_asker_t *asker,
    const ngx_readiness_state_t *state)
{
    ngx_readiness_owed_t  *owed;

    owed = ngx_readiness_owed_add(asker, &state->name, state->slot);

    if (owed) {
        owed->rate = state->rate;
        owed->numbers = state->numbers;
        owed->hash[0] = state->hash[0];
        owed->hash[1] = state->hash[1];
    }
}


/* the one of this name, maybe an old one; NULL: there is no place for it */

static ngx_readiness_owed_t *
ngx_readiness_owed_add(ngx_readiness_asker_t *asker, const ngx_str_t *name,
    ngx_uint_t slot)
{
    uint32_t               hash;
    ngx_readiness_owed_t  *owed;

    hash = ngx_crc32_short(name->data, name->len)
           >> (32 - NGX_READINESS_OWED_HASH);
    hash |= (uint32_t) slot << NGX_READINESS_OWED_HASH;

    owed = (ngx_readiness_owed_t *)
               ngx_str_rbtree_lookup(&asker->owed, (ngx_str_t *) name, hash);
    if (owed) {
        return owed;
    }

    if (asker->nowed < NGX_READINESS_OWED) {
        owed = ngx_calloc(sizeof(ngx_readiness_owed_t) + name->len,
                          ngx_cycle->log);
    }

    if (owed == NULL) {
        asker->nlost++;
        return NULL;
    }

    owed->node.node.key = hash;
    owed->node.str.data = (u_char *) (owed + 1);
    owed->node.str.len = name->len;
    ngx_memcpy(owed->node.str.data, name->data, name->len);

    ngx_rbtree_insert(&asker->owed, &owed->node.node);
    asker->nowed++;

    if (!asker->probe.timer_set) {
        ngx_add_timer(&asker->probe, NGX_READINESS_OWED_PROBE);
    }

    return owed;
}


/* the first one of this slot, or of those behind it; NULL: there is none */

static ngx_readiness_owed_t *
ngx_readiness_owed_first(const ngx_readiness_asker_t *asker, ngx_uint_t slot)
{
    ngx_rbtree_node_t  *node, *found;

    found = NULL;
    node = asker->owed.root;

    while (node != asker->owed.sentinel) {

        if (ngx_readiness_owed_slot(node) >= slot) {
            found = node;
            node = node->left;

        } else {
            node = node->right;
        }
    }

    return (ngx_readiness_owed_t *) found;
}


void
ngx_readiness_owed_slots(ngx_readiness_slots_t *slots)
{
    ngx_readiness_owed_t  *owed;

    owed = ngx_readiness_owed_add(slots->asker, &slots->node.str,
                                  slots->item.slot);

    if (owed) {
        owed->numbers.kind = RDY_RATE_CONCURRENT;
    }
}


void
ngx_readiness_owed_lost(ngx_readiness_asker_t *asker)
{
    asker->nlost++;
}


/*
 * Of a cluster only the slot that has answered: others may be away still.  What
 * is owed goes out before anything that is asked from now on.
 */

void
ngx_readiness_owed_over(ngx_readiness_asker_t *asker, ngx_uint_t slot)
{
    ngx_uint_t             n;
    ngx_readiness_owed_t  *owed;

    for (n = 0; asker->nowed; n++) {

        owed = ngx_readiness_owed_first(asker, slot);

        if (owed == NULL || ngx_readiness_owed_slot(&owed->node.node) != slot)
        {
            break;
        }

        ngx_rbtree_delete(&asker->owed, &owed->node.node);
        asker->nowed--;

        ngx_readiness_owed_pay(asker, owed);
        ngx_free(owed);
    }

    if (n && asker->nowed) {
        ngx_readiness_owed_probe(asker);
    }

    if (asker->nlost) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "readiness_redis \"%V\" is back; of the charges for "
                      "what was admitted meanwhile %ui may be missing: %d "
                      "keys are kept, and a call that was not answered is "
                      "not made again",
                      ngx_readiness_redis_name(asker->redis), asker->nlost,
                      NGX_READINESS_OWED);
        asker->nlost = 0;
    }
}


/* the return of Redis is found out, though nobody may ask for these keys */

static void
ngx_readiness_owed_handler(ngx_event_t *ev)
{
    ngx_readiness_asker_t  *asker;

    asker = (ngx_readiness_asker_t *)
                ((u_char *) ev - offsetof(ngx_readiness_asker_t, probe));

    if (asker->nowed) {
        ngx_readiness_owed_probe(asker);
        ngx_add_timer(ev, NGX_READINESS_OWED_PROBE);
    }
}


/* a charge of nothing, to one slot after the other */

static void
ngx_readiness_owed_probe(ngx_readiness_asker_t *asker)
{
    ngx_readiness_owed_t  *owed;

    owed = ngx_readiness_owed_first(asker, asker->probed + 1);

    if (owed == NULL) {
        owed = ngx_readiness_owed_first(asker, 0);
    }

    asker->probed = ngx_readiness_owed_slot(&owed->node.node);

    ngx_readiness_ask_probe(asker, &owed->numbers, &owed->node.str,
                            asker->probed);
}


static void
ngx_readiness_owed_pay(ngx_readiness_asker_t *asker,
    const ngx_readiness_owed_t *owed)
{
    uint32_t                hash;
    uint64_t                now, amount;
    rdy_cell_t             *cell;
    rdy_lease_t            *lease;
    ngx_readiness_slots_t  *slots;

    if (owed->rate == NULL) {
        hash = ngx_crc32_short(owed->node.str.data, owed->node.str.len);

        slots = (ngx_readiness_slots_t *)
                    ngx_str_rbtree_lookup(&asker->slots,
                                          (ngx_str_t *) &owed->node.str, hash);
        if (slots) {
            ngx_readiness_slots_tell(slots, 1);
        }

        return;
    }

    amount = 0;

    ngx_readiness_zone_lock();

    now = ngx_readiness_now();
    rdy_cells_begin(ngx_readiness_zone_own->cells);

    cell = rdy_cells_find(ngx_readiness_zone_own->cells, owed->rate->cell,
                          owed->hash);

    lease = cell ? ngx_readiness_cell_lease(cell) : NULL;

    /* it is not where another worker was here before */

    if (lease && lease->outage) {
        amount = ngx_readiness_owed_settle(owed->rate, &owed->numbers,
                                             owed->hash, lease, now);
    }

    ngx_readiness_zone_unlock();

    ngx_readiness_ask_charge(asker, &owed->numbers, &owed->node.str,
                             ngx_readiness_owed_slot(&owed->node.node),
                             amount, 0);
}


uint64_t
ngx_readiness_owed_settle(const ngx_readiness_rate_t *rate,
    const rdy_rate_t *numbers, const uint64_t hash[2], rdy_lease_t *lease,
    uint64_t now)
{
    uint64_t                 amount;
    ngx_readiness_counter_t  counter;

    if (numbers->kind == RDY_RATE_BUCKET) {
        return rdy_lease_owed(lease, numbers,
                              ngx_readiness_outage_instances(
                                  ngx_readiness_asker(rate->redis)),
                              now);
    }

    ngx_readiness_counter_open(&counter, rate, hash, numbers, now);

    amount = counter.quota.spent;

    /* Redis counts what the quota began with, until it has left the window */

    if (now < lease->known.at + numbers->period * 1000000) {
        amount -= ngx_min(amount, lease->base);
    }

    ngx_memzero(&counter.quota, sizeof(rdy_quota_t));
    counter.all = 1;
    ngx_readiness_quota_store(&counter, now);

    lease->outage = 0;
    lease->base = 0;

    return amount;
}
