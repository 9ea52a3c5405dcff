
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_lease.h"


#define RDY_LEASE_SKIP   16
#define RDY_LEASE_FIRST  1              /* a quarter of a permit */
#define RDY_LEASE_SEEN   8
#define RDY_LEASE_MANY   1024
#define RDY_LEASE_LATER  127            /* ms */
#define RDY_LEASE_PART   8              /* of the room: less is far from it */

#define rdy_lease_ms(us)          ((uint32_t) ((us) / 1000))

/* the ms from then to now; a large number if then is no time of late */
#define rdy_lease_age(then, now)  ((uint32_t) (rdy_lease_ms(now) - (then)))


static rdy_uint_t rdy_lease_known(const rdy_lease_t *l,
    const rdy_rate_t *rate, uint64_t cost);
static rdy_uint_t rdy_lease_believed(const rdy_lease_t *l, uint64_t now);
static rdy_uint_t rdy_lease_young(const rdy_lease_t *l, rdy_uint_t i,
    uint64_t now);
static uint64_t rdy_lease_take(rdy_lease_t *l, uint64_t n, uint64_t now);
static void rdy_lease_add(rdy_lease_t *l, uint64_t n, uint64_t at,
    uint64_t now);
static void rdy_lease_refuse(rdy_lease_t *l, const rdy_rate_t *rate,
    uint64_t lease, const rdy_lease_answer_t *answer, uint64_t now);
static void rdy_lease_count(rdy_lease_t *l, const rdy_rate_t *rate,
    uint64_t lease, const rdy_lease_answer_t *answer);


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
    uint64_t lease, uint64_t now, uint64_t *told)
{
    uint64_t  date;

    date = rdy_lease_take(l, cost, now);

    if (date) {
        *told = date;
        return RDY_LEASE_HELD;
    }

    if (!rdy_lease_known(l, rate, cost)) {
        return RDY_LEASE_ASK;
    }

    if (rdy_lease_believed(l, now)) {
        *told = l->refused - now + l->later * 1000;
        return RDY_LEASE_REFUSED;
    }

    if (lease && now < l->paused && l->paused - now <= RDY_LEASE_PAUSE
        && l->skip)
    {
        l->skip--;
        *told = l->paused - now;
        return RDY_LEASE_REFUSED;
    }

    return RDY_LEASE_ASK;
}


/* what is known to be refused stands for these numbers and this cost */

static rdy_uint_t
rdy_lease_known(const rdy_lease_t *l, const rdy_rate_t *rate, uint64_t cost)
{
    return l->cost && cost >= l->cost && l->mark == rdy_lease_mark(rate);
}


static rdy_uint_t
rdy_lease_believed(const rdy_lease_t *l, uint64_t now)
{
    uint32_t  left;

    left = l->believed - rdy_lease_ms(now);

    return now < l->refused && left && left <= RDY_LEASE_CAP / 1000;
}


void
rdy_lease_put_back(rdy_lease_t *l, uint64_t cost, uint64_t date, uint64_t now)
{
    uint32_t    age;
    uint64_t    sum;
    rdy_uint_t  i;

    /* among those that are as old or older, so that its life is no longer */

    age = rdy_lease_age(rdy_lease_ms(date), now);

    i = (l->held[1] && age <= rdy_lease_age(l->held_at[1], now));

    sum = cost < UINT16_MAX ? l->held[i] + cost : UINT16_MAX;

    if (l->held[i] == 0 || age > rdy_lease_age(l->held_at[i], now)) {
        l->held_at[i] = rdy_lease_ms(date);
    }

    l->held[i] = sum < UINT16_MAX ? sum : UINT16_MAX;
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

    } else if (age <= RDY_LEASE_QUICK / 2 && l->size < lease * 4) {
        l->size *= 2;
    }

    if (l->size > lease * 4) {
        l->size = lease * 4;
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


rdy_uint_t
rdy_lease_far(const rdy_rate_t *rate, uint64_t spent)
{
    uint64_t  room;

    room = rate->burst;

    if (rate->kind == RDY_RATE_BUCKET) {
        room *= RDY_RATE_UNIT;
    }

    return spent < room / RDY_LEASE_PART;
}


void
rdy_lease_answer(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t lease,
    const rdy_lease_answer_t *answer, uint64_t now)
{
    uint64_t  extra;

    extra = answer->extra < answer->asked ? answer->extra : answer->asked;

    if (answer->asked) {
        l->fetch = 0;

        if (extra < answer->asked && l->size > (extra + 1) * 4) {
            l->size = (extra + 1) * 4;
        }

        rdy_lease_add(l, extra, answer->sent, now);
    }

    if (!l->outage) {
        rdy_lease_count(l, rate, lease, answer);
        l->known = answer->known;
    }

    if (answer->until) {
        rdy_lease_refuse(l, rate, lease, answer, now);
        return;
    }

    /* that much fits, and was asked for after the refusal had come */

    if (answer->cost >= l->cost && l->mark == rdy_lease_mark(rate)
        && (uint32_t) (l->believed - rdy_lease_ms(answer->sent))
           <= (RDY_LEASE_CAP - RDY_LEASE_SPREAD) / 1000)
    {
        l->refused = 0;
    }
}


uint64_t
rdy_lease_old(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t since,
    uint64_t now)
{
    uint64_t    n, age, filled;
    rdy_uint_t  i;

    n = 0;

    for (i = 0; i < 2; i++) {

        if (l->held[i] == 0 || rdy_lease_young(l, i, now)) {
            continue;
        }

        /* a ms more, for what the date has cut off; and rounded up */

        age = rdy_lease_age(l->held_at[i], now);
        filled = (age + 1) * rate->count / (rate->period * 1000) + 1;

        if (since <= now && age <= now / 1000 - since / 1000
            && l->held[i] > filled)
        {
            n += l->held[i] - filled;
        }

        l->held[i] = 0;
        l->size = 0;
    }

    return n;
}


uint64_t
rdy_lease_held(const rdy_lease_t *l, uint64_t now)
{
    uint64_t  n;

    n = rdy_lease_young(l, 0, now) ? l->held[0] : 0;

    return n + (rdy_lease_young(l, 1, now) ? l->held[1] : 0);
}


uint64_t
rdy_lease_end(const rdy_lease_t *l, uint64_t now)
{
    uint64_t    end, left;
    rdy_uint_t  i;

    end = 0;

    for (i = 0; i < 2; i++) {

        if (l->held[i] == 0 || !rdy_lease_young(l, i, now)) {
            continue;
        }

        left = RDY_LEASE_LIFE
               - (uint64_t) rdy_lease_age(l->held_at[i], now) * 1000;

        if (end == 0 || left < end) {
            end = left;
        }
    }

    return end;
}


static rdy_uint_t
rdy_lease_young(const rdy_lease_t *l, rdy_uint_t i, uint64_t now)
{
    return rdy_lease_age(l->held_at[i], now) < RDY_LEASE_LIFE / 1000;
}


/*
 * All of n permits, the oldest first: the date of the oldest, us; or none of
 * them: 0.
 */

static uint64_t
rdy_lease_take(rdy_lease_t *l, uint64_t n, uint64_t now)
{
    uint64_t    left, date;
    rdy_uint_t  i;

    if (n == 0 || (uint64_t) l->held[0] + l->held[1] < n
        || rdy_lease_held(l, now) < n)
    {
        return 0;
    }

    left = n;
    date = 0;

    for (i = 0; left; i++) {

        if (l->held[i] == 0 || !rdy_lease_young(l, i, now)) {
            continue;
        }

        if (date == 0) {
            date = now - (uint64_t) rdy_lease_age(l->held_at[i], now) * 1000;
        }

        if (l->held[i] >= left) {
            l->held[i] -= left;
            break;
        }

        left -= l->held[i];
        l->held[i] = 0;
    }

    return date;
}


/*
 * The order of writing matters: whoever is killed between two of them loses
 * permits, and never leaves one twice.
 */

static void
rdy_lease_add(rdy_lease_t *l, uint64_t n, uint64_t at, uint64_t now)
{
    uint64_t  sum;

    if (n == 0) {
        return;
    }

    sum = l->held[1];

    if (sum) {
        l->held[1] = 0;

        /*
         * Three dates are two: the newer permits of the older count as old,
         * unless those have waited in vain for somebody to give them back.
         */

        if (l->held[0] && rdy_lease_young(l, 0, now)) {
            sum += l->held[0];

        } else {
            l->held[0] = 0;
            l->held_at[0] = l->held_at[1];
        }

        l->held[0] = sum < UINT16_MAX ? sum : UINT16_MAX;
    }

    l->held_at[1] = rdy_lease_ms(at);
    l->held[1] = n < UINT16_MAX ? n : UINT16_MAX;
}


static void
rdy_lease_refuse(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t lease,
    const rdy_lease_answer_t *answer, uint64_t now)
{
    uint64_t  spread, later, pause;

    if (answer->cost > l->cost && rdy_lease_known(l, rate, answer->cost)
        && rdy_lease_believed(l, now))
    {
        /* what refuses less refuses more */
        return;
    }

    /*
     * Redis has said so after the call was sent, and not later than now: not
     * a moment too long here, and long enough for whoever is told, which is in
     * seconds rounded up.
     */

    spread = 0;
    later = 0;

    if (answer->until > RDY_LEASE_FAR) {
        spread = answer->random % RDY_LEASE_SPREAD;
        later = now > answer->sent ? now - answer->sent : 0;
        later = (later + RDY_LEASE_SPREAD - spread) / 1000 + 1;
    }

    l->refused = 0;
    l->later = later < RDY_LEASE_LATER ? later : RDY_LEASE_LATER;
    l->cost = answer->cost < UINT32_MAX ? answer->cost : UINT32_MAX;
    l->mark = rdy_lease_mark(rate);

    /* the cap is spread too: else all would ask at once when it is reached */

    l->believed = rdy_lease_ms(now + RDY_LEASE_CAP - spread);
    l->refused = answer->sent + answer->until + spread;

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
rdy_lease_count(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t lease,
    const rdy_lease_answer_t *answer)
{
    uint64_t      own, all;
    rdy_bucket_t  known;

    own = answer->got + answer->extra;
    known = l->known;

    if (rate->kind == RDY_RATE_BUCKET) {
        rdy_rate_drain(rate, &known, answer->known.at);
    }

    if (l->base == 0 || (lease == 0 && rdy_lease_far(rate, known.spent))) {

        /* answers may have been left out: nobody knows whose the rest was */

        l->base = answer->total;
        return;
    }

    if (answer->total > l->base && answer->total - l->base >= own) {
        all = answer->total - l->base;
        l->base = answer->total;

    } else if (l->known.at > answer->sent) {

        /* an answer to a later call came first, and these were in its total */

        all = 0;

    } else {

        /* the key was made anew */

        l->base = answer->total;
        return;
    }

    while (all > RDY_LEASE_MANY) {
        own = (own + 1) / 2;
        all /= 2;
    }

    all += l->all;
    own = l->own + (own < all - l->own ? own : all - l->own);

    if (all > RDY_LEASE_MANY) {
        own = (own + 1) / 2;
        all /= 2;
    }

    l->own = own;
    l->all = all;
}


void
rdy_lease_share(const rdy_lease_t *l, uint64_t instances, uint64_t *part,
    uint64_t *whole)
{
    if (l->all < RDY_LEASE_SEEN || l->own > l->all) {
        *part = 1;
        *whole = instances ? instances : 1;
        return;
    }

    *part = l->own;
    *whole = l->all;

    if (l->own == 0) {
        *part = 1;
        *whole = (uint64_t) l->all + 1;
    }
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

    rdy_rate_view(mine, &l->known, 1, &view);

    l->base = now + view.full;
}


uint64_t
rdy_lease_owed(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t instances,
    uint64_t now)
{
    uint64_t    before, owed;
    rdy_rate_t  mine;

    if (!l->outage) {
        return 0;
    }

    rdy_lease_outage(l, rate, instances, now, &mine);
    rdy_rate_drain(&mine, &l->known, now);

    /* what it started with and has not drained is known there */

    before = 0;

    if (l->base > now && l->base - now <= RDY_RATE_FOREVER) {
        before = (l->base - now) / mine.period * mine.count
                 + (l->base - now) % mine.period * mine.count / mine.period;
    }

    l->outage = 0;
    l->base = 0;

    owed = l->known.spent > before ? l->known.spent - before : 0;

    /* never more than our bucket, which is a part of that, has room for */

    return owed < rate->burst * RDY_RATE_UNIT ? owed
                                              : rate->burst * RDY_RATE_UNIT;
}
