
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_slots.h"


#define SECOND  1000000
#define START   1800000000000000


static const rdy_rate_t  ten = { 10, 60, 10, RDY_RATE_CONCURRENT };


static void
at_most_as_many_as_the_limit(void **state)
{
    uint64_t     epoch;
    rdy_slots_t  s = { 0 };

    rdy_slots_drain(&s, START);
    assert_int_equal(rdy_slots_used(&s), 0);
    assert_true(rdy_slots_fits(&ten, &s, 10));
    assert_false(rdy_slots_fits(&ten, &s, 11));

    epoch = rdy_slots_take(&s, 9);
    assert_true(rdy_slots_fits(&ten, &s, 1));
    assert_false(rdy_slots_fits(&ten, &s, 2));
    assert_true(rdy_slots_fits(&ten, &s, 0));

    (void) rdy_slots_take(&s, 5);
    assert_int_equal(rdy_slots_used(&s), 14);
    assert_true(rdy_slots_fits(&ten, &s, 0));
    assert_false(rdy_slots_fits(&ten, &s, 1));

    rdy_slots_release(&s, 9, epoch);
    assert_int_equal(rdy_slots_used(&s), 5);

    rdy_slots_release(&s, UINT64_MAX, epoch);
    assert_int_equal(rdy_slots_used(&s), 0);
}


static void
not_renewed_for_60_seconds_is_free(void **state)
{
    uint64_t     at, t, last, epoch;
    rdy_slots_t  s;

    for (at = START; at < START + 40 * SECOND; at += 777777) {
        memset(&s, 0, sizeof(s));
        rdy_slots_drain(&s, at);
        epoch = rdy_slots_take(&s, 3);
        last = 0;

        for (t = at; t < at + 70 * SECOND; t += SECOND / 2) {
            rdy_slots_drain(&s, t);

            if (rdy_slots_used(&s)) {
                last = t;
            }
        }

        assert_in_range(last - at, 39 * SECOND, 60 * SECOND - 1);

        rdy_slots_take(&s, 1);
        rdy_slots_release(&s, 1, epoch);
        assert_int_equal(rdy_slots_used(&s), 1);
    }
}


static void
renewed_every_20_seconds_stays(void **state)
{
    uint64_t     t, epoch;
    rdy_slots_t  s = { 0 };

    rdy_slots_drain(&s, START);
    epoch = rdy_slots_take(&s, 4);

    for (t = START; t < START + 3600 * (uint64_t) SECOND; t += 21 * SECOND) {
        rdy_slots_drain(&s, t);
        assert_int_equal(rdy_slots_used(&s), 4);
        epoch = rdy_slots_renew(&s, 4, epoch);
        assert_int_equal(rdy_slots_used(&s), 4);
    }

    t += 120 * SECOND;
    rdy_slots_drain(&s, t);
    assert_int_equal(rdy_slots_used(&s), 0);
    epoch = rdy_slots_renew(&s, 4, epoch);
    assert_int_equal(rdy_slots_used(&s), 4);
    rdy_slots_release(&s, 4, epoch);
    assert_int_equal(rdy_slots_used(&s), 0);
}


static void
holders_at_random_never_lose_what_they_renew(void **state)
{
    uint64_t     t, epoch[20], renewed[20], want;
    rdy_uint_t   i, n;
    rdy_slots_t  s = { 0 };

    srand(4);
    t = START;
    rdy_slots_drain(&s, t);

    for (i = 0; i < 20; i++) {
        epoch[i] = rdy_slots_take(&s, i);
        renewed[i] = t;
    }

    for (n = 0; n < 100000; n++) {
        t += rand() % SECOND;
        rdy_slots_drain(&s, t);
        want = 0;

        for (i = 0; i < 20; i++) {

            /* the last five are dead */

            if (i < 15 && t - renewed[i] > 18 * SECOND) {
                epoch[i] = rdy_slots_renew(&s, i, epoch[i]);
                renewed[i] = t;
            }

            want += i < 15 || t - renewed[i] < 40 * SECOND ? i : 0;
        }

        assert_true(rdy_slots_used(&s) >= want);

        if (t > START + 60 * SECOND) {
            assert_int_equal(rdy_slots_used(&s), 105);
        }
    }
}


static void
C14_clock_steps_lock_nobody_out(void **state)
{
    uint64_t     back, t;
    rdy_slots_t  s = { 0 };

    rdy_slots_drain(&s, START);
    (void) rdy_slots_take(&s, 10);

    back = START - 3600 * (uint64_t) SECOND;
    rdy_slots_drain(&s, back);
    assert_int_equal(rdy_slots_used(&s), 10);
    rdy_slots_drain(&s, back + 39 * SECOND);
    assert_int_equal(rdy_slots_used(&s), 10);
    rdy_slots_drain(&s, back + 60 * SECOND);
    assert_int_equal(rdy_slots_used(&s), 0);

    (void) rdy_slots_take(&s, 10);
    rdy_slots_drain(&s, START);
    assert_int_equal(rdy_slots_used(&s), 0);

    /* the clocks of two processes, one of them just in the next epoch */

    (void) rdy_slots_take(&s, 10);
    t = START / RDY_SLOTS_WIDTH * RDY_SLOTS_WIDTH + RDY_SLOTS_WIDTH;

    for (back = 0; back < 100; back++) {
        rdy_slots_drain(&s, t);
        rdy_slots_drain(&s, t - 1);
    }

    assert_int_equal(rdy_slots_used(&s), 10);

    /* and near the beginning of time */

    rdy_slots_drain(&s, 0);
    assert_int_equal(rdy_slots_used(&s), 10);
    rdy_slots_drain(&s, 60 * SECOND);
    assert_int_equal(rdy_slots_used(&s), 0);
}


static void
counts_stay_below_2_32(void **state)
{
    rdy_uint_t   i;
    rdy_slots_t  s = { 0 };

    rdy_slots_drain(&s, START);

    for (i = 0; i < 10; i++) {
        (void) rdy_slots_take(&s, UINT64_MAX);
    }

    assert_int_equal(rdy_slots_used(&s), UINT32_MAX);
}


static void
epoch_of_another_clock_is_over(void **state)
{
    rdy_slots_t  s = { 0 };

    rdy_slots_drain(&s, START);
    (void) rdy_slots_take(&s, 5);
    rdy_slots_release(&s, 5, 0);
    rdy_slots_release(&s, 5, UINT64_MAX);
    rdy_slots_release(&s, 5, s.newest + 1);
    rdy_slots_release(&s, 5, s.newest - RDY_SLOTS_EPOCHS);
    assert_int_equal(rdy_slots_used(&s), 5);
}


static void
view_knows_no_time_of_a_next_slot(void **state)
{
    rdy_slots_t      s = { 0 };
    rdy_rate_view_t  view;

    rdy_slots_drain(&s, START);
    rdy_slots_view(&ten, &s, 1, &view);
    assert_int_equal(view.remaining, 10);
    assert_int_equal(view.next, 0);
    assert_int_equal(view.full, 0);
    assert_int_equal(view.retry, 0);

    (void) rdy_slots_take(&s, 10);
    rdy_slots_view(&ten, &s, 1, &view);
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.next, 0);
    assert_int_equal(view.full, 60 * SECOND);
    assert_int_equal(view.retry, SECOND);

    (void) rdy_slots_take(&s, 10);
    rdy_slots_view(&ten, &s, 0, &view);
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.retry, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(at_most_as_many_as_the_limit),
        cmocka_unit_test(not_renewed_for_60_seconds_is_free),
        cmocka_unit_test(renewed_every_20_seconds_stays),
        cmocka_unit_test(holders_at_random_never_lose_what_they_renew),
        cmocka_unit_test(C14_clock_steps_lock_nobody_out),
        cmocka_unit_test(counts_stay_below_2_32),
        cmocka_unit_test(epoch_of_another_clock_is_over),
        cmocka_unit_test(view_knows_no_time_of_a_next_slot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
