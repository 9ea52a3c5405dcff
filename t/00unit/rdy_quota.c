
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_quota.h"


#define SECOND  1000000
#define START   1800000000000000


typedef struct {
    rdy_quota_chunk_t  chunk[RDY_QUOTA_CHUNKS];
    rdy_uint_t         there[RDY_QUOTA_CHUNKS];
} table_t;


/* what the glue does: some chunks are there, and only the changed are stored */

static void
load(rdy_quota_t *q, const table_t *t)
{
    rdy_uint_t                i;
    const rdy_quota_chunk_t  *chunk[RDY_QUOTA_CHUNKS];

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
        chunk[i] = t->there[i] ? &t->chunk[i] : NULL;
    }

    rdy_quota_load(q, chunk);
}


static void
store(const rdy_quota_t *q, table_t *t, rdy_uint_t all)
{
    rdy_uint_t  i;

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
        if (all || i == rdy_quota_place(q)) {
            t->there[i] = rdy_quota_store(q, i, &t->chunk[i]);
        }
    }
}


static rdy_uint_t
ask(table_t *t, const rdy_rate_t *rate, uint64_t cost, uint64_t now)
{
    rdy_uint_t   all, fits;
    rdy_quota_t  q;

    load(&q, t);
    all = rdy_quota_drain(rate, &q, now);
    fits = rdy_quota_fits(rate, &q, cost);

    if (fits) {
        rdy_quota_charge(&q, cost);
    }

    if (fits || all) {
        store(&q, t, all);
    }

    return fits;
}


static uint64_t
spent(const table_t *t, const rdy_rate_t *rate, uint64_t now)
{
    rdy_quota_t  q;

    load(&q, t);
    (void) rdy_quota_drain(rate, &q, now);

    return q.spent;
}


static uint64_t
width(const rdy_rate_t *rate)
{
    return (rate->period * SECOND + 59) / 60;
}


/* an exact log: what was admitted after `from` */

typedef struct {
    uint64_t  at[20000];
    uint32_t  cost[20000];
    size_t    first, n;
} past_t;

static past_t  past;


static uint64_t
since(uint64_t from)
{
    size_t    i;
    uint64_t  sum;

    sum = 0;

    for (i = past.n; i > 0 && past.at[i - 1] > from; i--) {
        sum += past.cost[i - 1];
    }

    return sum;
}


static void
never_more_in_any_window_nor_less_than_in_one_a_sixtieth_longer(void **state)
{
    table_t      t;
    uint64_t     now, cost, period, late;
    rdy_rate_t   rate = { 0, 0, 0, RDY_RATE_QUOTA };
    rdy_uint_t   round, i, fits, admitted, refused;

    srand(1);
    admitted = 0;
    refused = 0;

    for (round = 0; round < 300; round++) {

        memset(&t, 0, sizeof(t));
        past.n = 0;
        rate.count = 1 + rand() % (round % 3 ? 200 : 5);
        rate.period = 1 + rand() % (round % 2 ? 10 : 100000);
        rate.burst = rate.count;
        period = rate.period * SECOND;
        late = 61 * width(&rate);
        now = round % 5 ? START + rand() : 0;

        for (i = 0; i < 500; i++) {
            now += rand() % 10 ? (uint64_t) rand() % (period / rate.count + 1)
                               : (uint64_t) rand() % (period * 3 / 2);

            cost = rand() % 4 ? 1 : rand() % 5;
            fits = ask(&t, &rate, cost, now);

            if (!fits) {

                /* it would be too many, or would have been a bit ago */

                assert_true(since(now > late ? now - late - 1 : 0) + cost
                            > rate.count
                            || (now <= late && now > 0
                                && since(0) + past.cost[0] * (past.at[0] == 0)
                                   + cost > rate.count));
                refused++;
                continue;
            }

            if (cost) {
                past.at[past.n] = now;
                past.cost[past.n++] = cost;
            }

            admitted++;

            if (now >= period) {
                assert_true(since(now - period) <= rate.count);
            }
        }
    }

    assert_true(admitted > 30000);
    assert_true(refused > 30000);
}


static void
permit_comes_back_within_a_sixtieth_and_not_before(void **state)
{
    table_t     t;
    uint64_t    at, back, w;
    rdy_uint_t  i, p;
    rdy_rate_t  rate = { 1, 0, 1, RDY_RATE_QUOTA };

    const uint64_t  periods[] = { 1, 7, 60, 3600, 86400, 366 * 86400 };

    for (p = 0; p < sizeof(periods) / sizeof(periods[0]); p++) {
        rate.period = periods[p];
        w = width(&rate);

        for (i = 0; i < 200; i++) {
            memset(&t, 0, sizeof(t));
            at = START + w * i / 100 + i;
            assert_true(ask(&t, &rate, 1, at));

            back = (at / w + 61) * w;
            assert_in_range(back - at, rate.period * SECOND,
                            rate.period * SECOND + w + 60);

            assert_false(ask(&t, &rate, 1, at));
            assert_false(ask(&t, &rate, 1, back - 1));
            assert_true(ask(&t, &rate, 1, back));
        }
    }
}


static void
view_tells_when_to_come_back(void **state)
{
    table_t          t;
    uint64_t         now, cost;
    rdy_uint_t       i;
    rdy_rate_t       rate = { 50, 60, 50, RDY_RATE_QUOTA };
    rdy_quota_t      q;
    rdy_rate_view_t  view;

    memset(&t, 0, sizeof(t));
    load(&q, &t);
    (void) rdy_quota_drain(&rate, &q, START);
    rdy_quota_view(&rate, &q, START, 1, &view);
    assert_int_equal(view.remaining, 50);
    assert_int_equal(view.next, 0);
    assert_int_equal(view.full, 0);
    assert_int_equal(view.retry, 0);

    rdy_quota_view(&rate, &q, START, 51, &view);
    assert_int_equal(view.retry, 60 * SECOND);

    srand(2);
    now = START;

    for (i = 0; i < 3000; i++) {
        now += rand() % (3 * SECOND);
        cost = 1 + rand() % 9;
        (void) ask(&t, &rate, cost, now);

        load(&q, &t);
        (void) rdy_quota_drain(&rate, &q, now);
        rdy_quota_view(&rate, &q, now, cost, &view);

        assert_int_equal(view.remaining, 50 - q.spent);

        if (q.spent) {
            assert_int_equal(spent(&t, &rate, now + view.next - 1), q.spent);
            assert_true(spent(&t, &rate, now + view.next) < q.spent);
            assert_true(spent(&t, &rate, now + view.full - 1) > 0);
            assert_int_equal(spent(&t, &rate, now + view.full), 0);
        }

        if (view.retry) {
            assert_true(spent(&t, &rate, now + view.retry - 1) + cost > 50);
            assert_true(spent(&t, &rate, now + view.retry) + cost <= 50);

        } else {
            assert_true(rdy_quota_fits(&rate, &q, cost));
        }
    }
}


static void
charge_counts_what_does_not_fit(void **state)
{
    rdy_rate_t       rate = { 5, 60, 5, RDY_RATE_QUOTA };
    rdy_quota_t      q;
    rdy_rate_view_t  view;

    memset(&q, 0, sizeof(q));
    (void) rdy_quota_drain(&rate, &q, START);
    rdy_quota_charge(&q, 7);
    assert_int_equal(q.spent, 7);
    assert_false(rdy_quota_fits(&rate, &q, 1));
    assert_true(rdy_quota_fits(&rate, &q, 0));

    rdy_quota_view(&rate, &q, START, 1, &view);
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.next, view.full);

    rdy_quota_charge(&q, UINT64_MAX);
    assert_int_equal(q.spent, 7 + (uint64_t) RDY_RATE_MAX_COST);

    rdy_quota_charge(&q, RDY_RATE_MAX_COST);
    rdy_quota_charge(&q, RDY_RATE_MAX_COST);
    rdy_quota_charge(&q, RDY_RATE_MAX_COST);
    rdy_quota_charge(&q, RDY_RATE_MAX_COST);
    assert_int_equal(q.spent, UINT32_MAX);
}


static void
give_back_takes_the_oldest_first(void **state)
{
    table_t      t;
    rdy_rate_t   rate = { 10, 60, 10, RDY_RATE_QUOTA };
    rdy_quota_t  q;

    memset(&t, 0, sizeof(t));
    assert_true(ask(&t, &rate, 4, START));
    assert_true(ask(&t, &rate, 6, START + 30 * SECOND));

    load(&q, &t);
    (void) rdy_quota_drain(&rate, &q, START + 40 * SECOND);
    rdy_quota_give_back(&q, 5);
    store(&q, &t, 1);

    assert_int_equal(spent(&t, &rate, START + 40 * SECOND), 5);
    assert_int_equal(spent(&t, &rate, START + 90 * SECOND), 5);
    assert_int_equal(spent(&t, &rate, START + 91 * SECOND), 0);

    /* also where the newest one counts something itself */

    assert_true(ask(&t, &rate, 3, START + 60 * SECOND));
    load(&q, &t);
    (void) rdy_quota_drain(&rate, &q, START + 60 * SECOND);
    rdy_quota_give_back(&q, 6);
    store(&q, &t, 1);
    assert_int_equal(spent(&t, &rate, START + 60 * SECOND), 2);
    assert_int_equal(spent(&t, &rate, START + 120 * SECOND), 2);

    load(&q, &t);
    rdy_quota_give_back(&q, UINT64_MAX);
    assert_int_equal(q.spent, 0);
    store(&q, &t, 1);
    load(&q, &t);
    assert_int_equal(q.width, 0);
}


static void
other_period_keeps_what_is_spent_at_its_latest_time(void **state)
{
    table_t      t;
    uint64_t     at, until, now;
    rdy_uint_t   i;
    rdy_rate_t   day = { 100, 86400, 100, RDY_RATE_QUOTA };
    rdy_rate_t   odd = { 100, 0, 100, RDY_RATE_QUOTA };
    rdy_quota_t  q;

    srand(3);

    for (i = 0; i < 1000; i++) {
        memset(&t, 0, sizeof(t));
        odd.period = 1 + rand() % (10 * 86400);
        at = START + rand();
        now = at + (uint64_t) rand() * 1000 % (86400 * (uint64_t) SECOND);

        assert_true(ask(&t, &day, 3, at));

        /* the time it counts as by then: the end of its sub-window, or now */

        until = (at / width(&day) + 1) * width(&day) - 1;
        until = until < now ? until : now;

        load(&q, &t);
        assert_int_equal(rdy_quota_drain(&odd, &q, now), 1);
        store(&q, &t, 1);

        if (now - until > 61 * width(&odd)) {
            assert_int_equal(q.spent, 0);
            continue;
        }

        if (now < at + odd.period * SECOND) {
            assert_int_equal(q.spent, 3);
            assert_int_equal(spent(&t, &odd, at + odd.period * SECOND - 1), 3);
        }

        assert_int_equal(spent(&t, &odd, until + 61 * width(&odd)), 0);
    }
}


static void
other_count_applies_at_once(void **state)
{
    table_t     t;
    rdy_rate_t  rate = { 10, 60, 10, RDY_RATE_QUOTA };

    memset(&t, 0, sizeof(t));
    assert_true(ask(&t, &rate, 10, START));
    assert_false(ask(&t, &rate, 1, START));

    rate.count = 12;
    assert_true(ask(&t, &rate, 2, START));
    assert_false(ask(&t, &rate, 1, START));

    rate.count = 3;
    assert_false(ask(&t, &rate, 1, START + 60 * SECOND));
    assert_true(ask(&t, &rate, 1, START + 61 * SECOND));
}


static void
C14_clock_set_back_keeps_ages(void **state)
{
    table_t      t;
    uint64_t     back, now;
    rdy_uint_t   i;
    rdy_rate_t   rate = { 10, 60, 10, RDY_RATE_QUOTA };
    rdy_quota_t  q;

    const uint64_t  steps[] = { 2, 30, 61, 3600, 10 * 365 * 86400,
                                START / SECOND };

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        memset(&t, 0, sizeof(t));
        assert_true(ask(&t, &rate, 4, START));
        assert_true(ask(&t, &rate, 6, START + 20 * SECOND));

        now = START + 20 * SECOND;
        back = now - steps[i] * SECOND;

        assert_false(ask(&t, &rate, 1, back));
        load(&q, &t);
        assert_int_equal(rdy_quota_drain(&rate, &q, back), 0);
        assert_int_equal(q.spent, 10);

        assert_false(ask(&t, &rate, 1, back + 40 * SECOND));
        assert_int_equal(spent(&t, &rate, back + 41 * SECOND), 6);
        assert_int_equal(spent(&t, &rate, back + 60 * SECOND), 6);
        assert_int_equal(spent(&t, &rate, back + 61 * SECOND), 0);
    }
}


static void
C14_clocks_of_two_processes_age_nothing(void **state)
{
    table_t     t;
    rdy_uint_t  i;
    rdy_rate_t  rate = { 1, 60, 1, RDY_RATE_QUOTA };

    memset(&t, 0, sizeof(t));
    assert_true(ask(&t, &rate, 1, START));

    for (i = 0; i < 200; i++) {
        assert_false(ask(&t, &rate, 1, START + 30 * SECOND - 1));
        assert_false(ask(&t, &rate, 1, START + 30 * SECOND));
        assert_false(ask(&t, &rate, 1, START - 1));
    }

    assert_false(ask(&t, &rate, 1, START + 60 * SECOND - 1));

    /* nor where both count */

    rate.count = 1000;

    for (i = 0; i < 100; i++) {
        assert_true(ask(&t, &rate, 1, START + 30 * SECOND));
        assert_true(ask(&t, &rate, 1, START + 30 * SECOND - 1));
    }

    assert_int_equal(spent(&t, &rate, START + 61 * SECOND - 1), 201);
    assert_int_equal(spent(&t, &rate, START + 61 * SECOND), 200);
    assert_int_equal(spent(&t, &rate, START + 91 * SECOND - 1), 200);
    assert_int_equal(spent(&t, &rate, START + 91 * SECOND), 0);
}


static void
C14_clock_set_back_and_another_period(void **state)
{
    table_t     t;
    uint64_t    back;
    rdy_rate_t  rate = { 10, 60, 10, RDY_RATE_QUOTA };

    memset(&t, 0, sizeof(t));
    assert_true(ask(&t, &rate, 4, START));
    assert_true(ask(&t, &rate, 6, START + 30 * SECOND));

    back = START - 86400 * (uint64_t) SECOND;
    rate.period = 120;
    assert_false(ask(&t, &rate, 1, back));

    /* as old as they were: up to a sub-window of both too late */

    assert_int_equal(spent(&t, &rate, back + 90 * SECOND - 1), 10);
    assert_int_equal(spent(&t, &rate, back + 93 * SECOND), 6);
    assert_int_equal(spent(&t, &rate, back + 120 * SECOND - 1), 6);
    assert_int_equal(spent(&t, &rate, back + 123 * SECOND), 0);
}


static void
C14_clock_forward_frees_all(void **state)
{
    table_t     t;
    rdy_rate_t  rate = { 10, 60, 10, RDY_RATE_QUOTA };

    memset(&t, 0, sizeof(t));
    assert_true(ask(&t, &rate, 10, START));
    assert_true(ask(&t, &rate, 10,
                    START + (uint64_t) 10 * 365 * 86400 * SECOND));
    assert_false(ask(&t, &rate, 1,
                     START + (uint64_t) 10 * 365 * 86400 * SECOND));
}


static void
chunks_of_an_earlier_lap_do_not_count(void **state)
{
    table_t     t;
    uint64_t    now;
    rdy_uint_t  i;
    rdy_rate_t  rate = { 1000, 60, 1000, RDY_RATE_QUOTA };

    memset(&t, 0, sizeof(t));
    now = START;

    /* one in each sub-window, until every place was written many times */

    for (i = 0; i < 1000; i++) {
        assert_true(ask(&t, &rate, 1, now));
        assert_int_equal(spent(&t, &rate, now), i < 61 ? i + 1 : 61);
        now += SECOND;
    }

    now += 70 * SECOND;
    assert_int_equal(spent(&t, &rate, now), 0);
    assert_true(ask(&t, &rate, 1, now));
    assert_int_equal(spent(&t, &rate, now), 1);
}


static void
what_cannot_be_is_ignored(void **state)
{
    rdy_uint_t                i;
    rdy_quota_t               q;
    rdy_quota_chunk_t         c;
    const rdy_quota_chunk_t  *chunk[RDY_QUOTA_CHUNKS] = { &c };

    const rdy_quota_chunk_t   bad[] = {
        { 0, 5, { 1 } },
        { UINT64_MAX, 5, { 1 } },
        { 1000000, UINT64_MAX, { 1 } },
        { 1000000, UINT64_MAX / 5 * 5, { 1 } },
        { 1000000, 6, { 1 } },
        { 1000000, 5, { 0 } },
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        c = bad[i];
        rdy_quota_load(&q, chunk);
        assert_int_equal(q.width, 0);
        assert_int_equal(q.spent, 0);
    }

    c = (rdy_quota_chunk_t) { 1000000, 5, { 1 } };
    rdy_quota_load(&q, chunk);
    assert_int_equal(q.spent, 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(
            never_more_in_any_window_nor_less_than_in_one_a_sixtieth_longer),
        cmocka_unit_test(permit_comes_back_within_a_sixtieth_and_not_before),
        cmocka_unit_test(view_tells_when_to_come_back),
        cmocka_unit_test(charge_counts_what_does_not_fit),
        cmocka_unit_test(give_back_takes_the_oldest_first),
        cmocka_unit_test(other_period_keeps_what_is_spent_at_its_latest_time),
        cmocka_unit_test(other_count_applies_at_once),
        cmocka_unit_test(C14_clock_set_back_keeps_ages),
        cmocka_unit_test(C14_clocks_of_two_processes_age_nothing),
        cmocka_unit_test(C14_clock_set_back_and_another_period),
        cmocka_unit_test(C14_clock_forward_frees_all),
        cmocka_unit_test(chunks_of_an_earlier_lap_do_not_count),
        cmocka_unit_test(what_cannot_be_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
