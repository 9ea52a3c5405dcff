
/*
 * Copyright (C) The readiness authors
 */


/*
 * The input is the memory of one key, then calls with their numbers.  Whatever
 * stood there and whatever is answered: no more permits are asked for than a
 * lease has, no more are taken than are held, none live longer than their
 * life, and who only asks is not refused for longer than the cap.
 */


#include <stdlib.h>

#include "limit/rdy_lease.h"


typedef struct {
    const uint8_t  *pos;
    const uint8_t  *end;
} input_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static uint64_t
number(input_t *in, size_t n)
{
    uint64_t  value;

    for (value = 0; n && in->pos < in->end; n--) {
        value = value << 8 | *in->pos++;
    }

    return value;
}


static int
to_come(uint32_t date, uint64_t now)
{
    return (uint32_t) (now / 1000) - date > UINT32_MAX / 2;
}


static void
check_request(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t cost,
    uint64_t lease, uint64_t now)
{
    uint64_t     held, told;
    rdy_lease_e  found;

    /* found so, not made so: none is dated later than it came */

    l->held[0] = to_come(l->held_at[0], now) ? 0 : l->held[0];
    l->held[1] = to_come(l->held_at[1], now) ? 0 : l->held[1];

    held = rdy_lease_held(l, now);
    told = 0;
    found = rdy_lease_check(l, rate, cost, lease, now, &told);

    check((found == RDY_LEASE_HELD) == (held >= cost));

    if (found == RDY_LEASE_HELD) {
        check(rdy_lease_held(l, now) == held - cost);
        check(now - told < RDY_LEASE_LIFE);

        if (told % 2) {
            rdy_lease_put_back(l, cost, told, now);
            check(rdy_lease_held(l, told / 1000 * 1000 + RDY_LEASE_LIFE)
                  <= held);
        }
    }
}


/* what is refused now is asked for when the cap is reached */

static void
check_cap(const rdy_lease_t *l, const rdy_rate_t *rate, uint64_t cost,
    uint64_t lease, uint64_t now)
{
    uint64_t     told;
    rdy_lease_t  copy;

    copy = *l;

    if (rdy_lease_check(&copy, rate, cost, lease, now, &told)
        == RDY_LEASE_REFUSED)
    {
        check(rdy_lease_check(&copy, rate, cost, lease,
                              now + RDY_LEASE_CAP + 1000, &told)
              != RDY_LEASE_REFUSED);
    }
}


static void
one_call(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t lease, input_t *in,
    uint64_t now)
{
    uint64_t            part, whole, held;
    rdy_rate_t          mine;
    rdy_lease_answer_t  answer;

    switch (number(in, 1) % 7) {

    case 0:
        check_request(l, rate, 1 + number(in, 2), lease, now);
        return;

    case 1:
        check(rdy_lease_size(l, lease, now) < (lease ? lease : 1));
        return;

    case 2:
        answer.sent = now - number(in, 3);
        answer.cost = 1 + number(in, 4);
        answer.got = number(in, 8);
        answer.asked = number(in, 2);
        answer.extra = number(in, 8);
        answer.total = number(in, 8);
        answer.known.spent = number(in, 7);
        answer.known.at = now;
        answer.until = number(in, 8);
        answer.random = number(in, 4);

        rdy_lease_answer(l, rate, lease, &answer, now);
        return;

    case 3:
        held = rdy_lease_held(l, now);
        check(rdy_lease_old(l, rate, number(in, 8), now) <= 2 * UINT16_MAX);
        check(rdy_lease_held(l, now) == held);
        check(rdy_lease_end(l, now) <= RDY_LEASE_LIFE);
        return;

    case 4:
        rdy_lease_share(l, number(in, 4), &part, &whole);
        check(part > 0 && part <= whole);
        return;

    case 5:
        rdy_lease_outage(l, rate, number(in, 3), now, &mine);
        check(mine.burst >= 1 && mine.burst <= rate->burst);
        check(mine.count >= 1 && mine.period >= 1);
        return;

    default:
        check(rdy_lease_owed(l, rate, number(in, 3), now)
              <= rate->burst * RDY_RATE_UNIT);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t      in;
    uint64_t     now, lease, cost;
    rdy_rate_t   rate;
    rdy_lease_t  l;

    if (size < sizeof(rdy_lease_t)) {
        return 0;
    }

    memcpy(&l, data, sizeof(rdy_lease_t));

    in.pos = data + sizeof(rdy_lease_t);
    in.end = data + size;

    now = 1000000 + number(&in, 7);
    lease = number(&in, 2) % (RDY_LEASE_MAX + 1);

    rate.kind = RDY_RATE_BUCKET;
    rate.count = 1 + number(&in, 4) % 1000000000;
    rate.period = 1 + number(&in, 4) % (9000000000000000 / rate.count);
    rate.burst = 1 + number(&in, 4) % 1000000000;

    if (rate.period > 366 * 86400) {
        rate.period = 366 * 86400;
    }

    /* as memory is found: refused for what its mark stands for, too */

    if (number(&in, 1) % 2) {
        l.mark = rdy_lease_mark(&rate);
    }

    cost = 1 + number(&in, 1);

    do {
        check_cap(&l, &rate, cost, lease, now);
        one_call(&l, &rate, lease, &in, now);
        check_cap(&l, &rate, cost, lease, now);

        now += number(&in, 3);

    } while (in.pos < in.end);

    return 0;
}
