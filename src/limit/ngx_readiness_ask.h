
/*
 * Copyright (C) The readiness authors
 */


/*
 * What is on its way to one Redis from one worker.  Items gather until they
 * are sent in one call: a request with its limits, requests that wait for the
 * same key, and what nobody waits for (charges, slots, the heartbeat).
 */


#ifndef _NGX_READINESS_ASK_H_INCLUDED_
#define _NGX_READINESS_ASK_H_INCLUDED_


#include "limit/ngx_readiness_limit.h"
#include "limit/rdy_batch.h"


#define NGX_READINESS_CALLS       2      /* under way, unless a cluster */
#define NGX_READINESS_TAKES       1024   /* heads of their hash table */
#define NGX_READINESS_TAKES_IDLE  4096   /* kept for what they remember */
#define NGX_READINESS_BEAT        10000  /* ms */
#define NGX_READINESS_BEAT_FIRST  1000
#define NGX_READINESS_BEAT_LIFE   30000
#define NGX_READINESS_OWED_LIFE   300    /* s, in the zone */
#define NGX_READINESS_OWED        16384  /* keys of which a charge is owed */
#define NGX_READINESS_OWED_PROBE  1000   /* ms */


typedef struct ngx_readiness_asker_s  ngx_readiness_asker_t;
typedef struct ngx_readiness_batch_s  ngx_readiness_batch_t;
typedef struct ngx_readiness_take_s   ngx_readiness_take_t;


typedef enum {
    NGX_READINESS_ITEM_ASK = 0,
    NGX_READINESS_ITEM_TAKE,
    NGX_READINESS_ITEM_CHARGE,           /* freed when it is sent */
    NGX_READINESS_ITEM_SLOTS,
    NGX_READINESS_ITEM_BEAT
} ngx_readiness_item_e;


typedef struct {
    ngx_queue_t                  queue;
    ngx_readiness_item_e         type;
    ngx_uint_t                   slot;   /* of a cluster, else 0 */
    ngx_uint_t                   nkeys;
    ngx_uint_t                   gathered;
} ngx_readiness_item_t;


/* one request that waits; lives in its pool */

struct ngx_readiness_ask_s {
    ngx_readiness_item_t         item;
    ngx_queue_t                  order;  /* by deadline */
    ngx_queue_t                  wait;   /* for a take */
    ngx_readiness_ctx_t         *ctx;
    ngx_readiness_asker_t       *asker;
    ngx_readiness_batch_t       *batch;  /* NULL: not sent, or a take's */
    ngx_readiness_take_t        *take;   /* NULL: an item of its own */
    ngx_uint_t                   place;  /* in the batch */
    ngx_msec_t                   deadline;
};


/* requests of cost 1 that wait for the same key, which is their only limit */

struct ngx_readiness_take_s {
    ngx_readiness_item_t         item;
    ngx_readiness_asker_t       *asker;
    ngx_queue_t                  idle;   /* or free */
    ngx_readiness_take_t        *next;   /* with this hash */
    ngx_queue_t                  asks;   /* of this call */
    ngx_queue_t                  later;  /* of the next */
    const ngx_readiness_rate_t  *rate;
    rdy_rate_t                   numbers;
    ngx_str_t                    name;
    ngx_str_t                    key;    /* within name */
    uint64_t                     hash[2];
    uint64_t                     sent_at;
    ngx_uint_t                   sent_in;    /* generation of Redis */
    ngx_uint_t                   hashed;
    ngx_uint_t                   need;
    ngx_uint_t                   extra;
    ngx_rbtree_node_t            lease;  /* by the end of permits, ms */
    size_t                       size;   /* of the name's memory */
    uint32_t                     hash32; /* of the name */
    unsigned                     sent:1; /* a call is under way, or over and
                                            those who waited not told yet */
    unsigned                     spent:1;    /* so said the last answer */
    unsigned                     resting:1;  /* is idle */
    unsigned                     leased:1;   /* permits will have an end */
};


typedef struct {
    ngx_readiness_item_e         type;
    void                        *item;   /* NULL: nobody waits any more */
    ngx_uint_t                   n;      /* keys, from the first one on */
    ngx_uint_t                   first;
    ngx_uint_t                   run;    /* a take among others of its kind */
    ngx_uint_t                   owed;   /* a charge that is none back */
} ngx_readiness_place_t;


typedef struct {
    ngx_readiness_slots_t       *slots;  /* NULL: no slots were asked for */
    ngx_uint_t                   cost;
    rdy_rate_kind_e              kind;
    ngx_uint_t                   refused;
} ngx_readiness_place_key_t;


struct ngx_readiness_batch_s {
    ngx_readiness_redis_call_t   call;
    ngx_readiness_asker_t       *asker;
    ngx_queue_t                  queue;  /* when it is free */
    ngx_uint_t                   n;
    ngx_uint_t                   nkeys;
    ngx_uint_t                   slot;
    uint64_t                     sent_at;    /* monotonic us */
    ngx_uint_t                   generation; /* of Redis, then */
    ngx_readiness_place_t        places[RDY_BATCH_KEYS];
    ngx_readiness_place_key_t    keys[RDY_BATCH_KEYS];
};


/* one per Redis, in each worker */

struct ngx_readiness_asker_s {
    ngx_readiness_redis_t       *redis;
    ngx_uint_t                   index;
    ngx_uint_t                   cluster;
    ngx_queue_t                  order;      /* all that wait, by deadline */
    ngx_queue_t                  gather;     /* items not sent yet */
    ngx_queue_t                  batches;    /* that are free */
    ngx_uint_t                   under_way;
    ngx_event_t                  flush;
    ngx_event_t                  timer;
    ngx_event_t                  ready;
    ngx_uint_t                   told_in;    /* generation: of all slots */

    ngx_readiness_take_t        *takes[NGX_READINESS_TAKES];
    ngx_queue_t                  free;       /* takes */
    ngx_queue_t                  idle;       /* takes, the oldest first */
    ngx_uint_t                   nidle;
    ngx_rbtree_t                 leases;     /* takes */
    ngx_rbtree_node_t            leases_nil;
    ngx_event_t                  lease;
    uint64_t                     since;      /* us: permits are given back */
    ngx_uint_t                   generation; /* that came since it is this */

    ngx_rbtree_t                 slots;      /* ngx_readiness_slots_t */
    ngx_rbtree_node_t            slots_nil;

    ngx_rbtree_t                 owed;       /* keys decided here meanwhile */
    ngx_rbtree_node_t            owed_nil;
    ngx_uint_t                   nowed;
    ngx_event_t                  probe;
    ngx_uint_t                   probed;     /* a slot */
    ngx_uint_t                   nlost;      /* charges, for want of a place
                                                there or of an answer */

    ngx_readiness_item_t         beat;
    ngx_str_t                    beat_name;
    ngx_uint_t                   fewer;      /* beats that told so */
    ngx_event_t                  heart;
    ngx_msec_t                   beats;      /* until the next but one */
    u_char                       holder[RDY_BATCH_HOLDER_LEN];
};


/* a charge that nobody waits for; its memory is of its own */

typedef struct {
    ngx_readiness_item_t         item;
    rdy_rate_t                   numbers;
    uint64_t                     amount;
    ngx_uint_t                   back;
    uint64_t                     since;      /* given back: what is left of a
                                                charge of then; 0: as it is */
    ngx_uint_t                   generation;
    ngx_str_t                    name;       /* behind it */
} ngx_readiness_charge_t;


/* what the worker holds of one key */

struct ngx_readiness_slots_s {
    ngx_str_node_t               node;       /* by name */
    ngx_readiness_item_t         item;
    ngx_readiness_asker_t       *asker;
    ngx_uint_t                   count;      /* of requests */
    ngx_uint_t                   pending;    /* asked for, no answer yet */
    ngx_uint_t                   over;       /* told while some were */
    ngx_uint_t                   telling;    /* calls that tell them */
    ngx_uint_t                   left;       /* renewals since none is held */
};

#define ngx_readiness_item_slots(i)                                           \
    ((ngx_readiness_slots_t *)                                                \
        ((u_char *) (i) - offsetof(ngx_readiness_slots_t, item)))

#define ngx_readiness_slots_are(slots, state)                                 \
    ((slots)->node.str.len == (state)->name.len                               \
     && ngx_memcmp((slots)->node.str.data, (state)->name.data,                \
                   (state)->name.len) == 0)


/* NULL: not of this worker's */
ngx_readiness_asker_t *ngx_readiness_asker(
    const ngx_readiness_redis_t *redis);

/* has the item sent with the next calls, unless it has gathered already */
void ngx_readiness_ask_gather(ngx_readiness_asker_t *asker,
    ngx_readiness_item_t *item, ngx_uint_t first);

/*
 * The ask is over: what it waited for is in the states, or will not come.
 * Runs the request on.
 */
void ngx_readiness_ask_answer(ngx_readiness_ask_t *ask,
    ngx_uint_t unavailable);

/*
 * Charges a key, or gives back, once; nobody waits for it.  NULL: nothing, or
 * no memory.  What is given back was charged at this generation of Redis, and
 * is not if that is over before it is sent.
 */
ngx_readiness_charge_t *ngx_readiness_ask_charge(ngx_readiness_asker_t *asker,
    const rdy_rate_t *numbers, const ngx_str_t *name, ngx_uint_t slot,
    uint64_t amount, ngx_uint_t back);

/* charges nothing: whether Redis answers */
void ngx_readiness_ask_probe(ngx_readiness_asker_t *asker,
    const rdy_rate_t *numbers, const ngx_str_t *name, ngx_uint_t slot);

/* all slots of all keys are told again; how many keys there are */
ngx_uint_t ngx_readiness_slots_renew(void);
ngx_uint_t ngx_readiness_slots_tell_all(ngx_readiness_asker_t *asker,
    ngx_uint_t first);

/* the states of ask's request that it asks for */
#define ngx_readiness_asked_now(state, ask)                                   \
    ((state)->asked && (state)->rate->redis == (ask)->asker->redis            \
     && (state)->slot == (ask)->item.slot)


/* calls: ngx_readiness_ask_batch.c */

ngx_int_t ngx_readiness_batch_init(ngx_readiness_asker_t *asker,
    ngx_cycle_t *cycle);

/*
 * Sends what has gathered, as much as one call takes.  NGX_OK; NGX_DECLINED:
 * Redis cannot be asked, nothing has changed.
 */
ngx_int_t ngx_readiness_batch_send(ngx_readiness_asker_t *asker);

/* the handler of a batch's call: ngx_readiness_ask_reply.c */
void ngx_readiness_batch_reply(ngx_readiness_redis_call_t *call,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload);


/* requests of one key: ngx_readiness_ask_take.c */

/* NGX_OK: ask waits for the state's key with others; NGX_ERROR: no memory */
ngx_int_t ngx_readiness_take(ngx_readiness_ask_t *ask,
    ngx_readiness_state_t *state);

/* ask waits no longer */
void ngx_readiness_take_leave(ngx_readiness_ask_t *ask);

/* sets need and extra of a take that is to be sent, and says that it was */
void ngx_readiness_take_count(ngx_readiness_take_t *take);
void ngx_readiness_take_sent(ngx_readiness_take_t *take, uint64_t now);

/*
 * The answer: got of the waiting requests are admitted, extra more are held.
 * state NULL: there is none.
 */
void ngx_readiness_take_answer(ngx_readiness_take_t *take, uint64_t got,
    uint64_t extra, const rdy_batch_state_t *state);

void ngx_readiness_take_lease_handler(ngx_event_t *ev);

/* frees those that nothing is under way for */
void ngx_readiness_take_exit(ngx_readiness_asker_t *asker);


/* slots: ngx_readiness_limit_hold.c */

/* what the worker holds of the state's key; NULL: no memory */
ngx_readiness_slots_t *ngx_readiness_slots_get(ngx_readiness_asker_t *asker,
    const ngx_readiness_state_t *state);

/* they have changed, Redis is to be told; first: before anything else */
void ngx_readiness_slots_tell(ngx_readiness_slots_t *slots, ngx_uint_t first);

/* it was: the number in the call was count and pending */
void ngx_readiness_slots_told(ngx_readiness_slots_t *slots);

/* the call that told them is over; known: it was answered */
void ngx_readiness_slots_heard(ngx_readiness_slots_t *slots,
    ngx_uint_t known);

/*
 * The call that asked for cost of them is over; those admitted are in count by
 * now.  known: what Redis counts is.
 */
void ngx_readiness_slots_answer(ngx_readiness_slots_t *slots,
    ngx_uint_t cost, ngx_uint_t known);


/* outage: ngx_readiness_limit_outage.c */

ngx_int_t ngx_readiness_outage_init(ngx_readiness_asker_t *asker,
    ngx_cycle_t *cycle);

/* Redis has not answered: decides what was asked by policy */
void ngx_readiness_outage_decide(ngx_readiness_ask_t *ask);

/* how many nginx share this Redis, as its heartbeat tells */
void ngx_readiness_outage_beat(ngx_readiness_asker_t *asker, uint64_t n);
uint64_t ngx_readiness_outage_instances(const ngx_readiness_asker_t *asker);


/* what is owed: ngx_readiness_limit_owed.c */

void ngx_readiness_owed_init(ngx_readiness_asker_t *asker);

/* state was charged here */
void ngx_readiness_owed(ngx_readiness_asker_t *asker,
    const ngx_readiness_state_t *state);

/* Redis could not be told of these slots: it will, as soon as it answers */
void ngx_readiness_owed_slots(ngx_readiness_slots_t *slots);

/* Redis has answered for a key in this slot: it is charged what it is owed */
void ngx_readiness_owed_over(ngx_readiness_asker_t *asker, ngx_uint_t slot);

/* a charge has been lost, or the answer to it: that will be told */
void ngx_readiness_owed_lost(ngx_readiness_asker_t *asker);


#endif /* _NGX_READINESS_ASK_H_INCLUDED_ */
