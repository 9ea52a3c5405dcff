
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_lease.h"


#define RDY_LEASE_SKIP   16
#define RDY_LEASE_FIRST  1              /* a quarter of a permit */
#define RDY_LEASE_SEEN   8
#define RDY_LEASE_MANY   1024

#define rdy_lease_ms(us)          ((uint32_t) ((us) / 1000))

/* the ms from then to now; a large number if then is no time of late */
#define rdy_lease_age(then, now)  ((uint32_t) (rdy_lease_ms(now) - (then)))


static uint64_t rdy_lease_take(rdy_lease_t *l, uint64_t n, uint64_t now);
static void rdy_lease_add(rdy_lease_t *l, uint64_t n, uint64_t at);
static void rdy_lease_refuse(rdy_lease_t *l, const rdy_rate_t *rate,
    uint64_t lease, const rdy_lease_answer_t *answer, uint64_t now);
static void rdy_lease_count(rdy_lease_t *l, const rdy_lease_answer_t *answer);


uint32_t
rdy_lease_mark(const rdy_rate_t *rate)
{
    uint64_t  n;

    n = rate->count * 0x9e3779b97f4a7c15ULL;
    n = (n ^ (n >> 32) ^ rate->period) * 0xc2b2ae3d27d4eb4fULL;
    n = (n ^ (n >> 29) ^ rate->burst ^ ((uint64_t) rate->kind << 60))
        * 0x165667b19e3779f9ULL;

    return (uint32_t) (n >> 32);
}


rdy_lease_e
rdy_lease_check(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t cost,
    uint64_t lease, uint64_t now, uint64_t *retry)
{
    if (rdy_lease_take(l, cost, now) == cost) {
        return RDY_LEASE_HELD;
    }

    if (now < l->refused
        && (uint32_t) (l->believed - rdy_lease_ms(now)) <= RDY_LEASE_CAP / 1000
        && cost >= l->cost && l->mark == rdy_lease_mark(rate))
    {
        *retry = l->refused - now;
        return RDY_LEASE_REFUSED;
    }

    if (lease && now < l->paused && l->paused - now <= RDY_LEASE_PAUSE
        && l->skip)
    {
        l->skip--;
        *retry = l->paused - now;
        return RDY_LEASE_REFUSED;
    }

    return RDY_LEASE_ASK;
}


void
rdy_lease_put_back(rdy_lease_t *l, uint64_t cost, uint64_t now)
{
    /* as old as the oldest that are held: it lapses with them */

    if (l->held[0]) {
        l->held[0] += cost < (uint64_t) UINT16_MAX - l->held[0] ? cost : 0;

    } else {
        rdy_lease_add(l, cost, now);
    }
}


uint64_t
rdy_lease_size(rdy_lease_t *l, uint64_t lease, uint64_t now)
{
    uint64_t  age, held;

    if (rdy_lease_age(l->fetch, now) < RDY_LEASE_FETCH / 1000) {
        return 0;
    }

    age = (uint64_t) rdy_lease_age(l->miss, now) * 1000;

    if (l->size == 0 || l->miss == 0 || age > 2 * RDY_LEASE_QUICK) {
        l->size = RDY_LEASE_FIRST;

    } else if (age > RDY_LEASE_QUICK) {
        l->size = l->size > 1 ? l->size / 2 : RDY_LEASE_FIRST;

    } else if (age <= RDY_LEASE_QUICK / 2) {
        l->size = l->size * 2 < lease * 4 ? l->size * 2 : lease * 4;
    }

    l->miss = rdy_lease_ms(now);
    l->miss += (l->miss == 0);

    held = rdy_lease_held(l, now);

    if (l->size / 4 <= 1 + held) {
        return 0;
    }

    l->fetch = l->miss;

    return l->size / 4 - 1 - held;
}


void
rdy_lease_answer(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t lease,
    const rdy_lease_answer_t *answer, uint64_t now)
{
    if (answer->asked) {
        l->fetch = 0;

        if (answer->extra < answer->asked && l->size > (answer->extra + 1) * 4)
        {
            l->size = (answer->extra + 1) * 4;
        }

        rdy_lease_add(l, answer->extra, answer->sent);
    }

    if (!l->outage) {
        rdy_lease_count(l, answer);
        l->known = answer->known;
    }

    if (answer->until) {
        rdy_lease_refuse(l, rate, lease, answer, now);

    } else if (answer->cost <= l->cost) {
        l->refused = 0;
    }
}


uint64_t
rdy_lease_old(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t now)
{
    uint64_t    n, age, filled;
    rdy_uint_t  i;

    n = 0;

    for (i = 0; i < 2; i++) {
        age = rdy_lease_age(l->held_at[i], now);

        if (l->held[i] == 0 || age < RDY_LEASE_LIFE / 1000) {
            continue;
        }

        /* a ms more, for what the date has cut off; and rounded up */

        filled = (age + 1) * rate->count / (rate->period * 1000) + 1;

        n += l->held[i] > filled ? l->held[i] - filled : 0;
        l->held[i] = 0;
        l->size = 0;
    }

    return n;
}


uint64_t
rdy_lease_held(const rdy_lease_t *l, uint64_t now)
{
    uint64_t    n;
    rdy_uint_t  i;

    n = 0;

    for (i = 0; i < 2; i++) {
        if (rdy_lease_age(l->held_at[i], now) < RDY_LEASE_LIFE / 1000) {
            n += l->held[i];
        }
    }

    return n;
}


/* all of n permits, the oldest first, or none of them */

static uint64_t
rdy_lease_take(rdy_lease_t *l, uint64_t n, uint64_t now)
{
    uint64_t    left;
    rdy_uint_t  i;

    if (l->held[0] + l->held[1] < n || rdy_lease_held(l, now) < n) {
        return 0;
    }

    left = n;

    for (i = 0; i < 2; i++) {

        if (rdy_lease_age(l->held_at[i], now) >= RDY_LEASE_LIFE / 1000) {
            continue;
        }

        if (l->held[i] >= left) {
            l->held[i] -= left;
            break;
        }

        left -= l->held[i];
        l->held[i] = 0;
    }

    return n;
}


static void
rdy_lease_add(rdy_lease_t *l, uint64_t n, uint64_t at)
{
    uint64_t  sum;

    if (n == 0) {
        return;
    }

    if (l->held[1]) {

        /* three dates are two: the newer permits of the older count as old */

        sum = (uint64_t) l->held[0] + l->held[1];

        if (l->held[0] == 0) {
            l->held_at[0] = l->held_at[1];
        }

        l->held[0] = sum < UINT16_MAX ? sum : UINT16_MAX;
    }

    l->held[1] = n < UINT16_MAX ? n : UINT16_MAX;
    l->held_at[1] = rdy_lease_ms(at);
}


static void
rdy_lease_refuse(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t lease,
    const rdy_lease_answer_t *answer, uint64_t now)
{
    uint32_t  mark;
    uint64_t  until, pause;

    mark = rdy_lease_mark(rate);

    if (now < l->refused && mark == l->mark && l->cost < answer->cost) {

        /* what refuses less refuses more */
        return;
    }

    until = answer->until;

    if (until > RDY_LEASE_FAR) {
        until += answer->random % RDY_LEASE_SPREAD;
    }

    /* Redis has said so after the call was sent: not a moment too long */

    l->refused = answer->sent + until;
    l->believed = rdy_lease_ms(now + RDY_LEASE_CAP);
    l->cost = answer->cost < UINT32_MAX ? answer->cost : UINT32_MAX;
    l->mark = mark;

    if (lease) {
        pause = RDY_LEASE_PAUSE;

        if (rate->burst * rate->period < rate->count) {
            pause = rate->burst * rate->period * (1000000 / 16) / rate->count;
        }

        l->paused = now + (pause < RDY_LEASE_PAUSE ? pause : RDY_LEASE_PAUSE);
        l->skip = RDY_LEASE_SKIP;
    }
}


/* permits of ours and of all since answers came, the latest counting most */

static void
rdy_lease_count(rdy_lease_t *l, const rdy_lease_answer_t *answer)
{
    uint64_t  own, all;

    own = answer->got + answer->extra;
    all = own;

    if (l->base && answer->total > l->base) {
        all = answer->total - l->base;
    }

    l->base = answer->total;

    if (all > RDY_LEASE_MANY || own > all) {

        /* too much at once to go by: the key was made anew, or left alone */

        l->own = 0;
        l->all = 0;
        return;
    }

    l->own += own;
    l->all += all;

    if (l->all > RDY_LEASE_MANY) {
        l->own /= 2;
        l->all /= 2;
    }
}


void
rdy_lease_share(const rdy_lease_t *l, uint64_t instances, uint64_t *part,
    uint64_t *whole)
{
    if (l->all >= RDY_LEASE_SEEN && l->own && l->own <= l->all) {
        *part = l->own;
        *whole = l->all;
        return;
    }

    *part = 1;
    *whole = instances ? instances : 1;
}


void
rdy_lease_outage(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t instances,
    uint64_t now, rdy_rate_t *mine)
{
    uint64_t         part, whole, room, left;
    rdy_rate_view_t  view;

    rdy_lease_share(l, instances, &part, &whole);
    rdy_rate_share(rate, part, whole, mine);

    if (l->outage) {
        return;
    }

    l->outage = 1;

    if (l->known.at > now) {
        l->known.at = now;
    }

    rdy_rate_drain(rate, &l->known, now);
    rdy_rate_view(rate, &l->known, 1, &view);

    l->base = now + view.full;

    room = rate->burst * RDY_RATE_UNIT;
    left = room > l->known.spent ? room - l->known.spent : 0;

    /* one permit each, unless there was none */

    left = left / whole * part + left % whole * part / whole;

    if (view.remaining && left < RDY_RATE_UNIT) {
        left = RDY_RATE_UNIT;
    }

    room = mine->burst * RDY_RATE_UNIT;

    l->known.spent = room > left ? room - left : 0;
    l->known.at = now;
}


uint64_t
rdy_lease_owed(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t instances,
    uint64_t now)
{
    uint64_t    before;
    rdy_rate_t  mine;

    if (!l->outage) {
        return 0;
    }

    rdy_lease_outage(l, rate, instances, now, &mine);
    rdy_rate_drain(&mine, &l->known, now);

    /* what our part of the bucket would have been spent without us */

    before = 0;

    if (l->base > now && l->base - now <= RDY_RATE_FOREVER) {
        before = (l->base - now) / mine.period * mine.count
                 + (l->base - now) % mine.period * mine.count / mine.period;
    }

    l->outage = 0;
    l->base = 0;

    return l->known.spent > before ? l->known.spent - before : 0;
}
