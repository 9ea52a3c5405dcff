
/*
 * Copyright (C) The readiness authors
 */


#include "redis/rdy_breaker.h"


/* the last doubling that counts: 50 ms << 10 is nearly a minute */
#define RDY_BREAKER_STEPS  10


static rdy_uint_t rdy_breaker_shorten(rdy_uint_t pause, rdy_uint_t random);


rdy_uint_t
rdy_breaker_failed(rdy_breaker_t *b, rdy_uint_t limit, rdy_uint_t now)
{
    b->succeeded = 0;

    if (b->open || limit == 0) {
        return 0;
    }

    b->failed++;

    if (b->failed < limit) {
        return 0;
    }

    b->again = b->unproven;
    b->unproven = 1;
    b->open = 1;
    b->since = now;
    b->times++;

    return 1;
}


rdy_uint_t
rdy_breaker_succeeded(rdy_breaker_t *b, rdy_uint_t limit)
{
    b->failed = 0;

    if (b->succeeded < limit) {
        b->succeeded++;
    }

    if (b->succeeded == limit) {
        b->unproven = 0;
        b->step = 0;
    }

    return rdy_breaker_probed(b);
}


rdy_uint_t
rdy_breaker_probed(rdy_breaker_t *b)
{
    if (!b->open) {
        return 0;
    }

    b->open = 0;
    b->failed = 0;

    return 1;
}


void
rdy_breaker_lived(rdy_breaker_t *b)
{
    if (!b->unproven && b->failed == 0) {
        b->step = 0;
    }
}


rdy_uint_t
rdy_breaker_pause(rdy_breaker_t *b, rdy_uint_t most, rdy_uint_t spent,
    rdy_uint_t random)
{
    rdy_uint_t  pause, least;

    pause = (rdy_uint_t) RDY_BREAKER_PAUSE << b->step;

    if (b->step < RDY_BREAKER_STEPS) {
        b->step++;
    }

    least = RDY_BREAKER_PAUSE;

    pause = rdy_breaker_shorten(pause < most ? pause : most, random);
    least = rdy_breaker_shorten(least < most ? least : most, random);

    return pause > spent + least ? pause - spent : least;
}


static rdy_uint_t
rdy_breaker_shorten(rdy_uint_t pause, rdy_uint_t random)
{
    return pause - pause * (5 + random % 21) / 100;
}
