
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "redis/rdy_breaker.h"


static rdy_uint_t
failures(rdy_breaker_t *b, rdy_uint_t n)
{
    rdy_uint_t  opened = 0;

    while (n--) {
        opened += rdy_breaker_failed(b, 5, 1000);
    }

    return opened;
}


static void
successes(rdy_breaker_t *b, rdy_uint_t n)
{
    while (n--) {
        (void) rdy_breaker_succeeded(b, 5);
    }
}


/* without what chance takes away, but the least */

static rdy_uint_t
pause_of(rdy_breaker_t *b, rdy_uint_t most, rdy_uint_t spent)
{
    return rdy_breaker_pause(b, most, spent, 0);
}


static void
so_many_failures_in_a_row_open_it(void **state)
{
    rdy_breaker_t  b = { 0 };

    assert_int_equal(failures(&b, 4), 0);
    assert_int_equal(b.open, 0);
    assert_int_equal(rdy_breaker_failed(&b, 5, 4711), 1);
    assert_int_equal(b.open, 1);
    assert_int_equal(b.since, 4711);
    assert_int_equal(b.times, 1);
}


static void
a_success_in_between_counts_anew(void **state)
{
    rdy_breaker_t  b = { 0 };

    failures(&b, 4);
    assert_int_equal(rdy_breaker_succeeded(&b, 5), 0);
    assert_int_equal(failures(&b, 4), 0);
    assert_int_equal(failures(&b, 1), 1);
}


static void
failures_while_it_is_open_are_not_counted(void **state)
{
    rdy_breaker_t  b = { 0 };

    failures(&b, 5);
    assert_int_equal(rdy_breaker_failed(&b, 5, 9999), 0);
    assert_int_equal(failures(&b, 20), 0);
    assert_int_equal(b.since, 1000);
    assert_int_equal(b.times, 1);
    assert_int_equal(rdy_breaker_probed(&b), 1);
    assert_int_equal(failures(&b, 4), 0);
    assert_int_equal(failures(&b, 1), 1);
    assert_int_equal(b.times, 2);
}


static void
a_probe_closes_it_once(void **state)
{
    rdy_breaker_t  b = { 0 };

    assert_int_equal(rdy_breaker_probed(&b), 0);
    failures(&b, 5);
    assert_int_equal(rdy_breaker_probed(&b), 1);
    assert_int_equal(b.open, 0);
    assert_int_equal(rdy_breaker_probed(&b), 0);
}


static void
a_call_that_comes_back_closes_it_too(void **state)
{
    rdy_breaker_t  b = { 0 };

    failures(&b, 5);
    assert_int_equal(rdy_breaker_succeeded(&b, 5), 1);
    assert_int_equal(b.open, 0);
}


static void
one_that_is_off_never_opens(void **state)
{
    rdy_uint_t     i;
    rdy_breaker_t  b = { 0 };

    for (i = 0; i < 1000; i++) {
        assert_int_equal(rdy_breaker_failed(&b, 0, i), 0);
    }

    assert_int_equal(b.open, 0);
    assert_int_equal(rdy_breaker_succeeded(&b, 0), 0);
}


static void
pauses_double_up_to_the_longest(void **state)
{
    rdy_uint_t           i;
    rdy_breaker_t        b = { 0 };
    static const rdy_uint_t  want[] = { 48, 95, 190, 380, 760, 950, 950 };

    for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(pause_of(&b, 1000, 0), want[i]);
    }

    for (i = 0; i < 1000; i++) {
        assert_int_equal(pause_of(&b, 60000, 0) <= 57000, 1);
    }
}


static void
chance_only_shortens(void **state)
{
    rdy_uint_t     i, n, least, most;
    rdy_breaker_t  b = { 0 };

    b.step = 10;
    least = 1000;
    most = 0;

    for (i = 0; i < 100; i++) {
        n = rdy_breaker_pause(&b, 1000, 0, i);
        least = n < least ? n : least;
        most = n > most ? n : most;
    }

    assert_int_equal(least, 750);
    assert_int_equal(most, 950);
    assert_in_range(rdy_breaker_pause(&b, 1000, 0, (rdy_uint_t) -1), 750, 950);
}


static void
what_an_attempt_took_is_part_of_the_pause(void **state)
{
    rdy_breaker_t  b = { 0 };

    b.step = 10;
    assert_int_equal(pause_of(&b, 1000, 200), 750);
    assert_int_equal(pause_of(&b, 1000, 902), 48);
    assert_int_equal(pause_of(&b, 1000, 903), 48);
    assert_int_equal(pause_of(&b, 1000, 5000), 48);
}


static void
a_longest_pause_below_the_first_is_kept(void **state)
{
    rdy_breaker_t  b = { 0 };

    assert_int_equal(pause_of(&b, 10, 0), 10);
    assert_int_equal(pause_of(&b, 10, 100), 10);
}


static void
probes_do_not_start_the_pauses_afresh(void **state)
{
    rdy_breaker_t  b = { 0 };

    failures(&b, 5);
    assert_int_equal(b.again, 0);
    assert_int_equal(pause_of(&b, 1000, 0), 48);
    assert_int_equal(pause_of(&b, 1000, 0), 95);

    rdy_breaker_probed(&b);
    successes(&b, 4);
    rdy_breaker_lived(&b);

    failures(&b, 5);
    assert_int_equal(b.again, 1);
    assert_int_equal(pause_of(&b, 1000, 0), 190);
}


static void
as_many_calls_in_a_row_do(void **state)
{
    rdy_breaker_t  b = { 0 };

    failures(&b, 5);
    pause_of(&b, 1000, 0);
    pause_of(&b, 1000, 0);
    rdy_breaker_probed(&b);

    successes(&b, 4);
    failures(&b, 1);
    successes(&b, 4);
    assert_int_equal(b.step, 2);

    successes(&b, 1);
    assert_int_equal(b.step, 0);

    failures(&b, 5);
    assert_int_equal(b.again, 0);
    assert_int_equal(pause_of(&b, 1000, 0), 48);
}


static void
a_connection_that_lived_does_when_no_call_failed(void **state)
{
    rdy_breaker_t  b = { 0 };

    pause_of(&b, 1000, 0);
    failures(&b, 1);
    rdy_breaker_lived(&b);
    assert_int_equal(b.step, 1);

    successes(&b, 1);
    rdy_breaker_lived(&b);
    assert_int_equal(b.step, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(so_many_failures_in_a_row_open_it),
        cmocka_unit_test(a_success_in_between_counts_anew),
        cmocka_unit_test(failures_while_it_is_open_are_not_counted),
        cmocka_unit_test(a_probe_closes_it_once),
        cmocka_unit_test(a_call_that_comes_back_closes_it_too),
        cmocka_unit_test(one_that_is_off_never_opens),
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(chance_only_shortens),
        cmocka_unit_test(what_an_attempt_took_is_part_of_the_pause),
        cmocka_unit_test(a_longest_pause_below_the_first_is_kept),
        cmocka_unit_test(probes_do_not_start_the_pauses_afresh),
        cmocka_unit_test(as_many_calls_in_a_row_do),
        cmocka_unit_test(a_connection_that_lived_does_when_no_call_failed)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
