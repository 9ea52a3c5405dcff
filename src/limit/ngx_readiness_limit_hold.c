
/*
 * Copyright (C) The readiness authors
 */


/*
 * Slots of concurrent limits that requests of this worker are using.  They are
 * leases: the worker renews all of them every 20 seconds, and what is not
 * renewed for 60 is free again.
 *
 * In Redis a key lists its holders, and a worker tells how many slots it holds
 * rather than what has changed: whatever call was lost, the next one puts it
 * right.  A call that was sent and not answered yet counts as granted until it
 * is, for it will be executed before what is told after it.
 *
 * The slots of Redis' keys are counted in the zone too, for an outage.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_ask.h"


struct ngx_readiness_hold_s {
    ngx_queue_t                  queue;      /* of the worker */
    ngx_readiness_hold_t        *next;       /* of the request */
    const ngx_readiness_rate_t  *rate;
    uint64_t                     hash[2];
    uint64_t                     cost;       /* 0: released */
    uint64_t                     epoch;
    ngx_readiness_slots_t       *slots;      /* NULL: the zone's own */
};


static void ngx_readiness_hold_soon(void);
static void ngx_readiness_hold_renew_handler(ngx_event_t *ev);
static void ngx_readiness_slots_drop(ngx_readiness_slots_t *slots);


static ngx_queue_t       ngx_readiness_holds;
static ngx_event_t       ngx_readiness_hold_renew;
static ngx_connection_t  ngx_readiness_hold_dummy;


ngx_int_t
ngx_readiness_hold_init_process(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_readiness_holds);

    ngx_readiness_hold_dummy.fd = (ngx_socket_t) -1;

    ngx_readiness_hold_renew.handler = ngx_readiness_hold_renew_handler;
    ngx_readiness_hold_renew.data = &ngx_readiness_hold_dummy;
    ngx_readiness_hold_renew.log = cycle->log;
    ngx_readiness_hold_renew.cancelable = 1;

    return NGX_OK;
}


ngx_readiness_hold_t *
ngx_readiness_hold_room(ngx_pool_t *pool)
{
    return ngx_palloc(pool, sizeof(ngx_readiness_hold_t));
}


void
ngx_readiness_hold(ngx_readiness_ctx_t *ctx, ngx_readiness_state_t *state,
    uint64_t epoch, ngx_readiness_slots_t *slots)
{
    ngx_readiness_hold_t  *hold;

    ngx_readiness_state_hash(state);

    hold = state->room;

    hold->rate = state->rate;
    hold->hash[0] = state->hash[0];
    hold->hash[1] = state->hash[1];
    hold->cost = state->cost;
    hold->epoch = epoch;
    hold->slots = slots;

    if (slots) {
        slots->count += state->cost;
    }

    if (epoch == NGX_READINESS_SLOTS_ELSEWHERE) {
        hold->epoch = ngx_readiness_local_slots(state->rate, state->hash,
                                                NGX_READINESS_SLOTS_TAKE,
                                                state->cost, 0);
    }

    ngx_queue_insert_tail(&ngx_readiness_holds, &hold->queue);

    hold->next = ctx->holds;
    ctx->holds = hold;
    state->hold = hold;

    ngx_readiness_hold_soon();
}


/* whatever is held, or is still to be told, is looked at again */

static void
ngx_readiness_hold_soon(void)
{
    if (!ngx_readiness_hold_renew.timer_set) {
        ngx_add_timer(&ngx_readiness_hold_renew, NGX_READINESS_SLOT_RENEW);
    }
}


void
ngx_readiness_hold_release(ngx_readiness_hold_t *hold)
{
    if (hold->cost == 0) {
        return;
    }

    (void) ngx_readiness_local_slots(hold->rate, hold->hash,
                                     NGX_READINESS_SLOTS_RELEASE, hold->cost,
                                     hold->epoch);

    if (hold->slots) {
        hold->slots->count -= hold->cost;
        ngx_readiness_slots_tell(hold->slots, 0);
    }

    hold->cost = 0;

    ngx_queue_remove(&hold->queue);
}


void
ngx_readiness_hold_cleanup(ngx_readiness_ctx_t *ctx)
{
    while (ctx->holds) {
        ngx_readiness_hold_release(ctx->holds);
        ctx->holds = ctx->holds->next;
    }
}


void
ngx_readiness_hold_exit_process(void)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&ngx_readiness_holds)) {
        q = ngx_queue_head(&ngx_readiness_holds);

        ngx_readiness_hold_release(ngx_queue_data(q, ngx_readiness_hold_t,
                                                  queue));
    }
}


static void
ngx_readiness_hold_renew_handler(ngx_event_t *ev)
{
    ngx_queue_t           *q;
    ngx_uint_t             n;
    ngx_readiness_hold_t  *hold;

    n = ngx_readiness_slots_renew();

    for (q = ngx_queue_head(&ngx_readiness_holds);
         q != ngx_queue_sentinel(&ngx_readiness_holds);
         q = ngx_queue_next(q))
    {
        hold = ngx_queue_data(q, ngx_readiness_hold_t, queue);

        hold->epoch = ngx_readiness_local_slots(hold->rate, hold->hash,
                                                NGX_READINESS_SLOTS_RENEW,
                                                hold->cost, hold->epoch);
        n++;
    }

    if (n) {
        ngx_add_timer(ev, NGX_READINESS_SLOT_RENEW);
    }
}


ngx_readiness_slots_t *
ngx_readiness_slots_get(ngx_readiness_asker_t *asker,
    const ngx_readiness_state_t *state)
{
    u_char                 *name;
    uint32_t                hash;
    ngx_readiness_slots_t  *slots;

    hash = ngx_crc32_short(state->name.data, state->name.len);

    slots = (ngx_readiness_slots_t *)
                ngx_str_rbtree_lookup(&asker->slots,
                                      (ngx_str_t *) &state->name, hash);
    if (slots) {
        return slots;
    }

    slots = ngx_calloc(sizeof(ngx_readiness_slots_t) + state->name.len,
                       ngx_cycle->log);
    if (slots == NULL) {
        return NULL;
    }

    name = (u_char *) (slots + 1);
    ngx_memcpy(name, state->name.data, state->name.len);

    slots->node.node.key = hash;
    slots->node.str.data = name;
    slots->node.str.len = state->name.len;
    slots->item.type = NGX_READINESS_ITEM_SLOTS;
    slots->item.slot = state->slot;
    slots->item.nkeys = 1;
    slots->asker = asker;

    ngx_rbtree_insert(&asker->slots, &slots->node.node);

    return slots;
}


void
ngx_readiness_slots_tell(ngx_readiness_slots_t *slots, ngx_uint_t first)
{
    ngx_readiness_ask_gather(slots->asker, &slots->item, first);

    /* once more, for one that could not be told now */

    ngx_readiness_hold_soon();
}


ngx_uint_t
ngx_readiness_slots_tell_all(ngx_readiness_asker_t *asker, ngx_uint_t first)
{
    ngx_uint_t              n;
    ngx_rbtree_t           *tree;
    ngx_rbtree_node_t      *node, *next;
    ngx_readiness_slots_t  *slots;

    n = 0;
    tree = &asker->slots;

    if (tree->root == tree->sentinel) {
        return 0;
    }

    for (node = ngx_rbtree_min(tree->root, tree->sentinel);
         node;
         node = next)
    {
        next = ngx_rbtree_next(tree, node);
        slots = (ngx_readiness_slots_t *) node;

        if (slots->count || slots->pending) {
            slots->left = 0;

        } else if (!first && slots->left++ >= NGX_READINESS_SLOT_ROUNDS) {

            /* whatever Redis knew of them has expired */

            ngx_readiness_slots_drop(slots);
            continue;
        }

        ngx_readiness_slots_tell(slots, first);
        n++;
    }

    return n;
}


void
ngx_readiness_slots_told(ngx_readiness_slots_t *slots)
{
    slots->over = (slots->pending != 0);
    slots->telling++;
}


void
ngx_readiness_slots_heard(ngx_readiness_slots_t *slots, ngx_uint_t known)
{
    slots->telling--;

    if (!known) {

        /* kept, for the next connection or renewal */

        ngx_readiness_hold_soon();
        return;
    }

    ngx_readiness_slots_drop(slots);
}


void
ngx_readiness_slots_answer(ngx_readiness_slots_t *slots, ngx_uint_t cost,
    ngx_uint_t known)
{
    slots->pending -= cost;

    if (slots->over || !known) {
        slots->over = 0;
        ngx_readiness_slots_tell(slots, 0);
        return;
    }

    ngx_readiness_slots_drop(slots);
}


/* what holds nothing, and of which nothing is to be told, is forgotten */

static void
ngx_readiness_slots_drop(ngx_readiness_slots_t *slots)
{
    if (slots->count || slots->pending || slots->telling
        || slots->item.gathered)
    {
        return;
    }

    ngx_rbtree_delete(&slots->asker->slots, &slots->node.node);
    ngx_free(slots);
}
