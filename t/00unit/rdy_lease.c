
/*
 * Copyright (C) The readiness authors
 */


/* leases and refusals; what an outage makes of a key is rdy_lease_outage.c */


#include "unit.h"

#include "limit/rdy_lease.h"


#define MS  1000
#define S   1000000
#define T   ((uint64_t) 5000 * S)       /* some time */


static const rdy_rate_t  rate = { 100, 60, 100, RDY_RATE_BUCKET };
static const rdy_rate_t  fast = { 10000, 1, 10000, RDY_RATE_BUCKET };


static rdy_lease_answer_t
reply(uint64_t sent, uint64_t until)
{
    rdy_lease_answer_t  a;

    memset(&a, 0, sizeof(a));

    a.sent = sent;
    a.cost = 1;
    a.until = until;
    a.random = 40000;

    return a;
}


static void
hear(rdy_lease_t *l, uint64_t lease, rdy_lease_answer_t a, uint64_t now)
{
    rdy_lease_answer(l, &rate, lease, &a, now);
}


static void
fetch(rdy_lease_t *l, uint64_t n, uint64_t sent, uint64_t now)
{
    rdy_lease_answer_t  a;

    a = reply(sent, 0);
    a.asked = n;
    a.extra = n;

    hear(l, 64, a, now);
}


static rdy_lease_e
check(rdy_lease_t *l, uint64_t cost, uint64_t lease, uint64_t now)
{
    uint64_t  told;

    return rdy_lease_check(l, &rate, cost, lease, now, &told);
}


static void
nothing_known_is_asked(void **state)
{
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));

    assert_int_equal(check(&l, 1, 0, T), RDY_LEASE_ASK);
    assert_int_equal(check(&l, 1, 16, T), RDY_LEASE_ASK);
    assert_int_equal(check(&l, 1, 16, 0), RDY_LEASE_ASK);
    assert_int_equal(rdy_lease_held(&l, T), 0);
    assert_int_equal(rdy_lease_old(&l, &rate, 0, T), 0);
    assert_int_equal(rdy_lease_end(&l, T), 0);
    assert_true(sizeof(l) <= 80);
}


static void
a_refusal_ends_when_the_permit_is_there(void **state)
{
    uint64_t     told;
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    hear(&l, 0, reply(T, 600 * MS), T + 2 * MS);

    assert_int_equal(check(&l, 1, 0, T + 600 * MS - 1), RDY_LEASE_REFUSED);
    assert_int_equal(check(&l, 1, 0, T + 600 * MS), RDY_LEASE_ASK);

    assert_int_equal(rdy_lease_check(&l, &rate, 1, 0, T + 100 * MS, &told),
                     RDY_LEASE_REFUSED);
    assert_int_equal(told, 500 * MS);

    /* a second is told as one, and no other number is shorter than it is */

    hear(&l, 0, reply(T, S), T + 2 * MS);
    assert_int_equal(rdy_lease_check(&l, &rate, 1, 0, T + 2 * MS, &told),
                     RDY_LEASE_REFUSED);
    assert_int_equal(rdy_rate_seconds(told), 1);
}


static void
an_end_far_away_is_spread_and_all_are_told_the_last(void **state)
{
    uint64_t            told[2];
    rdy_uint_t          i;
    rdy_lease_t         l[2];
    rdy_lease_answer_t  a;

    memset(l, 0, sizeof(l));

    for (i = 0; i < 2; i++) {
        a = reply(T, 2 * S);
        a.random = i ? 4000099999 : 300000;
        hear(&l[i], 0, a, T);

        assert_int_equal(rdy_lease_check(&l[i], &rate, 1, 0, T + S, &told[i]),
                         RDY_LEASE_REFUSED);
        assert_in_range(told[i], S + RDY_LEASE_SPREAD,
                        S + RDY_LEASE_SPREAD + 2 * MS);
    }

    assert_int_equal(check(&l[0], 1, 0, T + 2 * S), RDY_LEASE_ASK);
    assert_int_equal(check(&l[1], 1, 0, T + 2 * S + 99998), RDY_LEASE_REFUSED);
    assert_int_equal(check(&l[1], 1, 0, T + 2 * S + 99999), RDY_LEASE_ASK);
}


static void
a_refusal_is_believed_for_five_seconds_and_told_in_full(void **state)
{
    uint64_t            told, now;
    rdy_lease_t         l;
    rdy_lease_answer_t  a;

    memset(&l, 0, sizeof(l));
    a = reply(T, 3600 * (uint64_t) S);
    hear(&l, 0, a, T);

    assert_int_equal(rdy_lease_check(&l, &rate, 1, 0, T + S, &told),
                     RDY_LEASE_REFUSED);
    assert_in_range(told, 3599 * (uint64_t) S, 3600 * (uint64_t) S);

    /* so that all do not ask at once then, this is spread too */

    now = T + RDY_LEASE_CAP;
    assert_int_equal(check(&l, 1, 0, now - RDY_LEASE_SPREAD - MS),
                     RDY_LEASE_REFUSED);
    assert_int_equal(check(&l, 1, 0, now), RDY_LEASE_ASK);
    assert_int_equal(check(&l, 1, 0, now + 600 * (uint64_t) S),
                     RDY_LEASE_ASK);

    a.random = 0;
    hear(&l, 0, a, T);
    assert_int_equal(check(&l, 1, 0, now - 2 * MS), RDY_LEASE_REFUSED);
    assert_int_equal(check(&l, 1, 0, now + MS), RDY_LEASE_ASK);
}


static void
now_empty_is_remembered_of_an_admission(void **state)
{
    rdy_lease_t         l;
    rdy_lease_answer_t  a;

    memset(&l, 0, sizeof(l));
    a = reply(T, 300 * MS);
    a.got = 1;
    hear(&l, 0, a, T + MS);

    assert_int_equal(check(&l, 1, 0, T + 2 * MS), RDY_LEASE_REFUSED);
}


static void
a_smaller_cost_and_other_numbers_are_not_refused(void **state)
{
    uint64_t            told;
    rdy_rate_t          other;
    rdy_lease_t         l;
    rdy_lease_answer_t  a;

    memset(&l, 0, sizeof(l));
    a = reply(T, 800 * MS);
    a.cost = 5;
    hear(&l, 16, a, T);

    assert_int_equal(check(&l, 5, 0, T), RDY_LEASE_REFUSED);
    assert_int_equal(check(&l, 6, 0, T), RDY_LEASE_REFUSED);
    assert_int_equal(check(&l, 4, 0, T), RDY_LEASE_ASK);
    assert_int_equal(check(&l, 1, 16, T), RDY_LEASE_ASK);

    other = rate;
    other.count++;
    assert_int_equal(rdy_lease_check(&l, &other, 5, 16, T, &told),
                     RDY_LEASE_ASK);
    other = rate;
    other.burst++;
    assert_int_equal(rdy_lease_check(&l, &other, 5, 16, T, &told),
                     RDY_LEASE_ASK);
    other = rate;
    other.period++;
    assert_int_equal(rdy_lease_check(&l, &other, 5, 16, T, &told),
                     RDY_LEASE_ASK);
    other = rate;
    other.kind = RDY_RATE_QUOTA;
    assert_int_equal(rdy_lease_check(&l, &other, 5, 0, T, &told),
                     RDY_LEASE_ASK);
}


static void
the_refusal_of_the_least_cost_stays_while_it_is_believed(void **state)
{
    rdy_lease_t         l;
    rdy_lease_answer_t  small, large;

    memset(&l, 0, sizeof(l));
    small = reply(T, 3600 * (uint64_t) S);
    large = reply(T + S, 7200 * (uint64_t) S);
    large.cost = 7;

    hear(&l, 0, small, T);
    hear(&l, 0, large, T + S);
    assert_int_equal(check(&l, 1, 0, T + S), RDY_LEASE_REFUSED);

    large.sent = T + 6 * S;
    hear(&l, 0, large, T + 6 * S);
    assert_int_equal(check(&l, 1, 0, T + 6 * S), RDY_LEASE_ASK);
    assert_int_equal(check(&l, 7, 0, T + 6 * S), RDY_LEASE_REFUSED);

    hear(&l, 0, reply(T + 7 * S, 3600 * (uint64_t) S), T + 7 * S);
    assert_int_equal(check(&l, 1, 0, T + 7 * S), RDY_LEASE_REFUSED);
}


static void
only_a_later_admission_of_as_much_ends_a_refusal(void **state)
{
    rdy_lease_t         l;
    rdy_lease_answer_t  a;

    memset(&l, 0, sizeof(l));

    a = reply(T, 900 * MS);
    a.cost = 3;
    hear(&l, 0, a, T + 5 * MS);

    hear(&l, 0, reply(T + 400 * MS, 0), T + 401 * MS);
    assert_int_equal(check(&l, 3, 0, T + 402 * MS), RDY_LEASE_REFUSED);

    a = reply(T + 4 * MS, 0);
    a.cost = 3;
    hear(&l, 0, a, T + 403 * MS);
    assert_int_equal(check(&l, 3, 0, T + 404 * MS), RDY_LEASE_REFUSED);

    a.sent = T + 405 * MS;
    hear(&l, 0, a, T + 406 * MS);
    assert_int_equal(check(&l, 3, 0, T + 407 * MS), RDY_LEASE_ASK);
}


static void
a_pause_is_for_16_requests_or_50_ms_of_leased_limits(void **state)
{
    rdy_uint_t   i;
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    hear(&l, 16, reply(T, 1), T + MS);

    assert_int_equal(check(&l, 1, 0, T + MS), RDY_LEASE_ASK);

    for (i = 0; i < 16; i++) {
        assert_int_equal(check(&l, 1, 16, T + MS), RDY_LEASE_REFUSED);
    }

    assert_int_equal(check(&l, 1, 16, T + MS), RDY_LEASE_ASK);

    hear(&l, 16, reply(T, 1), T + MS);
    assert_int_equal(check(&l, 1, 16, T + 51 * MS - 1), RDY_LEASE_REFUSED);
    assert_int_equal(check(&l, 1, 16, T + 51 * MS), RDY_LEASE_ASK);

    hear(&l, 0, reply(T + S, 1), T + S);
    assert_int_equal(check(&l, 1, 16, T + S + MS), RDY_LEASE_ASK);
}


static void
a_pause_is_shorter_for_a_small_burst(void **state)
{
    uint64_t            told;
    rdy_rate_t          r;
    rdy_lease_t         l;
    rdy_lease_answer_t  a;

    /* 1600 / 16 * 10000 s: 10 ms */

    memset(&l, 0, sizeof(l));
    r = fast;
    r.burst = 1600;
    a = reply(T, 1);
    rdy_lease_answer(&l, &r, 16, &a, T);

    assert_int_equal(rdy_lease_check(&l, &r, 1, 16, T + 10 * MS - 1, &told),
                     RDY_LEASE_REFUSED);
    assert_int_equal(told, 1);
    assert_int_equal(rdy_lease_check(&l, &r, 1, 16, T + 10 * MS, &told),
                     RDY_LEASE_ASK);
}


static void
permits_are_taken_before_a_refusal_the_oldest_first(void **state)
{
    uint64_t            told;
    rdy_lease_t         l;
    rdy_lease_answer_t  a;

    memset(&l, 0, sizeof(l));
    fetch(&l, 2, T, T + MS);

    a = reply(T + 300 * MS, 700 * MS);
    a.asked = 4;
    a.extra = 1;
    hear(&l, 64, a, T + 301 * MS);

    assert_int_equal(rdy_lease_held(&l, T + 400 * MS), 3);

    assert_int_equal(rdy_lease_check(&l, &rate, 1, 64, T + 400 * MS, &told),
                     RDY_LEASE_HELD);
    assert_int_equal(told, T);

    assert_int_equal(rdy_lease_check(&l, &rate, 1, 64, T + 400 * MS, &told),
                     RDY_LEASE_HELD);
    assert_int_equal(told, T);

    assert_int_equal(rdy_lease_check(&l, &rate, 1, 64, T + 400 * MS, &told),
                     RDY_LEASE_HELD);
    assert_int_equal(told, T + 300 * MS);

    assert_int_equal(check(&l, 1, 64, T + 400 * MS), RDY_LEASE_REFUSED);
}


static void
another_cost_takes_all_it_needs_or_nothing(void **state)
{
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    fetch(&l, 3, T, T);
    fetch(&l, 4, T + MS, T + MS);

    assert_int_equal(check(&l, 8, 64, T + MS), RDY_LEASE_ASK);
    assert_int_equal(rdy_lease_held(&l, T + MS), 7);
    assert_int_equal(check(&l, 5, 64, T + MS), RDY_LEASE_HELD);
    assert_int_equal(rdy_lease_held(&l, T + MS), 2);

    /* and not by permits that are over */

    assert_int_equal(check(&l, 2, 64, T + S + MS), RDY_LEASE_ASK);
}


static void
what_is_put_back_lives_no_longer(void **state)
{
    uint64_t     told;
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    fetch(&l, 2, T, T);

    assert_int_equal(rdy_lease_check(&l, &rate, 2, 64, T + 700 * MS, &told),
                     RDY_LEASE_HELD);

    rdy_lease_put_back(&l, 2, told, T + 750 * MS);
    assert_int_equal(rdy_lease_held(&l, T + 999 * MS), 2);
    assert_int_equal(rdy_lease_end(&l, T + 800 * MS), 200 * MS);
    assert_int_equal(check(&l, 1, 64, T + S), RDY_LEASE_ASK);

    /* others have come meanwhile */

    memset(&l, 0, sizeof(l));
    fetch(&l, 2, T, T);
    assert_int_equal(rdy_lease_check(&l, &rate, 2, 64, T + 500 * MS, &told),
                     RDY_LEASE_HELD);
    fetch(&l, 3, T + 600 * MS, T + 601 * MS);
    rdy_lease_put_back(&l, 2, told, T + 650 * MS);

    assert_int_equal(rdy_lease_held(&l, T + 999 * MS), 5);
    assert_int_equal(rdy_lease_held(&l, T + S), 3);

    /* what is younger than all joins those that are older */

    rdy_lease_put_back(&l, 1, T + 700 * MS, T + 750 * MS);
    assert_int_equal(rdy_lease_held(&l, T + 1599 * MS), 4);
    assert_int_equal(rdy_lease_held(&l, T + 1600 * MS), 0);
}


static void
a_lease_starts_at_the_fourth_miss_and_doubles(void **state)
{
    uint64_t     now, n, i;
    rdy_lease_t  l;

    const uint64_t  sizes[] = { 0, 0, 0, 1, 3, 7, 15, 15, 15 };

    memset(&l, 0, sizeof(l));

    for (i = 0, now = T; i < 9; i++, now += 125 * MS) {
        n = rdy_lease_size(&l, 16, now);
        assert_int_equal(n, sizes[i]);

        if (n) {
            fetch(&l, n, now, now);
            assert_int_equal(check(&l, n, 16, now), RDY_LEASE_HELD);
        }
    }
}


static void
a_lease_shrinks_when_it_lasts(void **state)
{
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    l.size = 64;
    l.miss = T / MS;

    /* used up in H: as it was; in 2 H: half; later: from the start */

    assert_int_equal(rdy_lease_size(&l, 16, T + 250 * MS), 15);
    l.fetch = 0;
    assert_int_equal(rdy_lease_size(&l, 16, T + 700 * MS), 7);
    l.fetch = 0;
    assert_int_equal(rdy_lease_size(&l, 16, T + 1201 * MS), 0);
    assert_int_equal(l.size, 1);
}


static void
what_is_held_is_not_asked_for_again(void **state)
{
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    l.size = 64;
    l.miss = T / MS;
    fetch(&l, 5, T, T);

    assert_int_equal(rdy_lease_size(&l, 16, T + MS), 10);
}


static void
one_fetch_of_an_nginx_at_a_time(void **state)
{
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    l.size = 64;
    l.miss = T / MS;

    assert_int_equal(rdy_lease_size(&l, 16, T), 15);
    assert_int_equal(rdy_lease_size(&l, 16, T + MS), 0);
    assert_int_equal(l.size, 64);
    fetch(&l, 1, T, T + 2 * MS);
    assert_int_equal(rdy_lease_size(&l, 16, T + 2 * MS), 14);

    /* one that never came is over after a second */

    assert_int_equal(rdy_lease_size(&l, 16, T + 999 * MS), 0);
    l.miss = (T + 1002 * MS) / MS;
    assert_int_equal(rdy_lease_size(&l, 16, T + 1002 * MS), 15);
}


static void
a_lease_made_smaller_is_never_exceeded(void **state)
{
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    l.size = 64 * 4;
    l.miss = T / MS;

    assert_int_equal(rdy_lease_size(&l, 8, T + 200 * MS), 7);
    l.fetch = 0;
    assert_int_equal(rdy_lease_size(&l, 1, T + 201 * MS), 0);
}


static void
an_answer_short_of_permits_makes_the_next_small(void **state)
{
    rdy_lease_t         l;
    rdy_lease_answer_t  a;

    memset(&l, 0, sizeof(l));
    l.size = 64;

    a = reply(T, 0);
    a.asked = 15;
    a.extra = 2;
    hear(&l, 16, a, T);

    assert_int_equal(l.size, 12);
    assert_int_equal(rdy_lease_held(&l, T), 2);
}


static void
more_than_was_asked_for_is_not_believed(void **state)
{
    rdy_lease_t         l;
    rdy_lease_answer_t  a;

    memset(&l, 0, sizeof(l));
    a = reply(T, 0);
    a.extra = 1000;
    hear(&l, 16, a, T);
    assert_int_equal(rdy_lease_held(&l, T), 0);

    a.asked = 3;
    hear(&l, 16, a, T);
    assert_int_equal(rdy_lease_held(&l, T), 3);
}


static void
after_a_second_the_rest_is_given_back_once_less_the_refill(void **state)
{
    rdy_rate_t   r;
    rdy_lease_t  l;

    r = rate;
    r.count = 4;
    r.period = 1;

    memset(&l, 0, sizeof(l));
    l.size = 64;
    fetch(&l, 15, T, T + 3 * MS);

    assert_int_equal(rdy_lease_old(&l, &r, 0, T + 999 * MS), 0);
    assert_int_equal(rdy_lease_held(&l, T + 999 * MS), 15);
    assert_int_equal(rdy_lease_held(&l, T + S), 0);

    /* 15 - ceil(4 * 1.003) */

    assert_int_equal(rdy_lease_old(&l, &r, 0, T + 1003 * MS), 10);
    assert_int_equal(l.size, 0);
    assert_int_equal(rdy_lease_old(&l, &r, 0, T + 1004 * MS), 0);

    fetch(&l, 15, T, T + 3 * MS);
    assert_int_equal(rdy_lease_old(&l, &fast, 0, T + 1003 * MS), 0);
    assert_int_equal(rdy_lease_held(&l, T + 3 * MS), 0);
}


static void
only_what_is_old_is_taken_out(void **state)
{
    rdy_rate_t   r;
    rdy_lease_t  l;

    r = rate;
    r.count = 1;
    r.period = 10;

    memset(&l, 0, sizeof(l));
    fetch(&l, 10, T, T);
    fetch(&l, 5, T + 400 * MS, T + 400 * MS);

    assert_int_equal(rdy_lease_end(&l, T + 400 * MS), 600 * MS);
    assert_int_equal(rdy_lease_old(&l, &r, 0, T + S), 9);
    assert_int_equal(rdy_lease_held(&l, T + S), 5);
    assert_int_equal(rdy_lease_end(&l, T + S), 400 * MS);
}


static void
what_is_from_before_a_lost_connection_is_not_given_back(void **state)
{
    rdy_rate_t   r;
    rdy_lease_t  l;

    r = rate;
    r.count = 1;
    r.period = 60;

    memset(&l, 0, sizeof(l));
    fetch(&l, 10, T, T);
    fetch(&l, 5, T + 20 * MS, T + 21 * MS);
    assert_int_equal(rdy_lease_old(&l, &r, T + 20 * MS, T + 1020 * MS), 4);
    assert_int_equal(rdy_lease_old(&l, &r, 0, T + 1020 * MS), 0);

    fetch(&l, 10, T, T);
    assert_int_equal(rdy_lease_old(&l, &r, T + S, T + S), 0);

    fetch(&l, 10, T, T);
    assert_int_equal(rdy_lease_old(&l, &r, T + 2 * S, T + S), 0);
}


static void
three_dates_are_two(void **state)
{
    rdy_lease_t  l;

    memset(&l, 0, sizeof(l));
    fetch(&l, 1, T, T);
    fetch(&l, 2, T + 100 * MS, T + 100 * MS);
    fetch(&l, 4, T + 200 * MS, T + 200 * MS);

    assert_int_equal(rdy_lease_held(&l, T + 999 * MS), 7);
    assert_int_equal(rdy_lease_held(&l, T + S), 4);

    /* those that nobody came for do not make the others old */

    memset(&l, 0, sizeof(l));
    fetch(&l, 1, T, T);
    fetch(&l, 2, T + 900 * MS, T + 900 * MS);
    fetch(&l, 4, T + 950 * MS, T + 950 * MS);
    assert_int_equal(rdy_lease_held(&l, T + 950 * MS), 7);

    memset(&l, 0, sizeof(l));
    fetch(&l, 1, T, T);
    fetch(&l, 2, T + 900 * MS, T + 900 * MS);
    fetch(&l, 4, T + 1100 * MS, T + 1100 * MS);
    assert_int_equal(rdy_lease_held(&l, T + 1100 * MS), 6);
}


static void
milliseconds_may_wrap(void **state)
{
    uint64_t     now;
    rdy_rate_t   r;
    rdy_lease_t  l;

    now = ((uint64_t) UINT32_MAX + 1) * 1000 - 300 * MS;
    r = rate;
    r.count = 1;

    memset(&l, 0, sizeof(l));
    l.size = 64;
    l.miss = (now - MS) / MS;
    assert_int_equal(rdy_lease_size(&l, 16, now), 15);
    fetch(&l, 15, now, now + MS);
    assert_int_equal(rdy_lease_held(&l, now + 600 * MS), 15);
    assert_int_equal(check(&l, 1, 16, now + 600 * MS), RDY_LEASE_HELD);
    assert_int_equal(rdy_lease_old(&l, &r, 0, now + S), 13);

    hear(&l, 0, reply(now, 3600 * (uint64_t) S), now);
    assert_int_equal(check(&l, 1, 0, now + 4 * S), RDY_LEASE_REFUSED);
    assert_int_equal(check(&l, 1, 0, now + 5 * S), RDY_LEASE_ASK);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(nothing_known_is_asked),
        cmocka_unit_test(a_refusal_ends_when_the_permit_is_there),
        cmocka_unit_test(an_end_far_away_is_spread_and_all_are_told_the_last),
        cmocka_unit_test(
            a_refusal_is_believed_for_five_seconds_and_told_in_full),
        cmocka_unit_test(now_empty_is_remembered_of_an_admission),
        cmocka_unit_test(a_smaller_cost_and_other_numbers_are_not_refused),
        cmocka_unit_test(
            the_refusal_of_the_least_cost_stays_while_it_is_believed),
        cmocka_unit_test(only_a_later_admission_of_as_much_ends_a_refusal),
        cmocka_unit_test(a_pause_is_for_16_requests_or_50_ms_of_leased_limits),
        cmocka_unit_test(a_pause_is_shorter_for_a_small_burst),
        cmocka_unit_test(permits_are_taken_before_a_refusal_the_oldest_first),
        cmocka_unit_test(another_cost_takes_all_it_needs_or_nothing),
        cmocka_unit_test(what_is_put_back_lives_no_longer),
        cmocka_unit_test(a_lease_starts_at_the_fourth_miss_and_doubles),
        cmocka_unit_test(a_lease_shrinks_when_it_lasts),
        cmocka_unit_test(what_is_held_is_not_asked_for_again),
        cmocka_unit_test(one_fetch_of_an_nginx_at_a_time),
        cmocka_unit_test(a_lease_made_smaller_is_never_exceeded),
        cmocka_unit_test(an_answer_short_of_permits_makes_the_next_small),
        cmocka_unit_test(more_than_was_asked_for_is_not_believed),
        cmocka_unit_test(
            after_a_second_the_rest_is_given_back_once_less_the_refill),
        cmocka_unit_test(only_what_is_old_is_taken_out),
        cmocka_unit_test(
            what_is_from_before_a_lost_connection_is_not_given_back),
        cmocka_unit_test(three_dates_are_two),
        cmocka_unit_test(milliseconds_may_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
