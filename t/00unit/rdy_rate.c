
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_rate.h"


#define DAY  86400


typedef unsigned __int128  wide_t;


static uint64_t  seed = 1;


static uint64_t
any(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % n;
}


/* numbers of every size, the largest the parser lets through included */

static rdy_rate_t
any_rate(void)
{
    uint64_t    i;
    rdy_rate_t  rate;

    do {
        rate.count = 1;
        rate.period = 1;
        rate.burst = 1;

        for (i = any(10); i; i--) {
            rate.count *= 10;
        }

        rate.count = 1 + any(rate.count);
        rate.period = any(3) ? 1 + any(3600) : 1 + any(366 * DAY);
        rate.burst = any(2) ? rate.count : 1 + any(1000000000);

    } while (rate.count * rate.period > 9000000000000000);

    return rate;
}


/* on the heap, so that a byte read past the text is seen */

static const char *
parsed(const char *text)
{
    rdy_str_t    s;
    rdy_int_t    rc;
    rdy_rate_t   rate;
    static char  out[80];

    s.len = strlen(text);
    s.data = malloc(s.len);
    memcpy(s.data, text, s.len);

    memset(&rate, 0x5a, sizeof(rdy_rate_t));
    rc = rdy_rate_parse(&s, &rate);
    free(s.data);

    if (rc != RDY_OK) {
        assert_int_equal(rate.count, 0x5a5a5a5a5a5a5a5a);
        assert_int_equal(rate.period, 0x5a5a5a5a5a5a5a5a);
        assert_int_equal(rate.burst, 0x5a5a5a5a5a5a5a5a);
        return "error";
    }

    sprintf(out, "%lu/%lu burst %lu", (unsigned long) rate.count,
            (unsigned long) rate.period, (unsigned long) rate.burst);

    return out;
}


static void
rate_is_read(void **state)
{
    assert_string_equal(parsed("100r/m"), "100/60 burst 100");
    assert_string_equal(parsed("5r/15m"), "5/900 burst 5");
    assert_string_equal(parsed("1000r/s"), "1000/1 burst 1000");
    assert_string_equal(parsed("3r/d"), "3/86400 burst 3");
    assert_string_equal(parsed("7r/2h"), "7/7200 burst 7");
    assert_string_equal(parsed("1r/1s"), "1/1 burst 1");
    assert_string_equal(parsed("0010r/05s"), "10/5 burst 10");
}


static void
rate_is_read_up_to_its_bounds(void **state)
{
    assert_string_equal(parsed("1000000000r/s"),
                        "1000000000/1 burst 1000000000");
    assert_string_equal(parsed("1000000001r/s"), "error");
    assert_string_equal(parsed("99999999999999999999999r/s"), "error");
    assert_string_equal(parsed("1r/366d"), "1/31622400 burst 1");
    assert_string_equal(parsed("1r/367d"), "error");
    assert_string_equal(parsed("1r/8785h"), "error");
    assert_string_equal(parsed("1r/99999999999999999999s"), "error");
    assert_string_equal(parsed("1000000000r/9000000s"),
                        "1000000000/9000000 burst 1000000000");
    assert_string_equal(parsed("1000000000r/9000001s"), "error");
}


static void
malformed_rate_is_an_error(void **state)
{
    size_t              i;
    static const char  *text[] = {
        "", "r", "r/m", "/m", "100", "100r", "100r/", "100r/1", "100r/x",
        "100r/mm", "100r/m ", " 100r/m", "100 r/m", "100r /m", "100r/ m",
        "0r/m", "1r/0m", "-1r/m", "+1r/m", "1.5r/m", "1e3r/m", "100R/m",
        "100r/M", "100r\\m", "100rr/m", "100r//m", "0x10r/m", "100r/-1m",
        "100r/1.5m", "100r/m1", "100r/1m1", "100r/ms", "100r/w"
    };

    for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        assert_string_equal(parsed(text[i]), "error");
    }

    assert_int_equal(rdy_rate_parse(&str("1r/m\0"), &(rdy_rate_t) { 0 }),
                     RDY_ERROR);
}


static void
burst_is_read(void **state)
{
    size_t      i;
    rdy_rate_t  rate = { 10, 60, 10 };

    static const char  *bad[] = {
        "", "0", "000", "-1", "1000000001", "18446744073709551617", "5r",
        " 5", "5 ", "5.0", "x"
    };

    assert_int_equal(rdy_rate_burst(&str("20"), &rate), RDY_OK);
    assert_int_equal(rate.burst, 20);
    assert_int_equal(rate.count, 10);
    assert_int_equal(rate.period, 60);

    assert_int_equal(rdy_rate_burst(&str("1000000000"), &rate), RDY_OK);
    assert_int_equal(rate.burst, 1000000000);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rdy_str_t  s = { strlen(bad[i]), (u_char *) bad[i] };

        assert_int_equal(rdy_rate_burst(&s, &rate), RDY_ERROR);
        assert_int_equal(rate.burst, 1000000000);
    }
}


static void
C10_cost_is_a_whole_number_or_one(void **state)
{
    rdy_str_t  none = { 0, NULL };

    assert_int_equal(rdy_rate_cost(&str("0")), 0);
    assert_int_equal(rdy_rate_cost(&str("1")), 1);
    assert_int_equal(rdy_rate_cost(&str("7")), 7);
    assert_int_equal(rdy_rate_cost(&str("007")), 7);
    assert_int_equal(rdy_rate_cost(&str("00000000000000000000000000")), 0);
    assert_int_equal(rdy_rate_cost(&str("1000000000")), 1000000000);

    assert_int_equal(rdy_rate_cost(&none), 1);
    assert_int_equal(rdy_rate_cost(&str("")), 1);
    assert_int_equal(rdy_rate_cost(&str("-1")), 1);
    assert_int_equal(rdy_rate_cost(&str("+2")), 1);
    assert_int_equal(rdy_rate_cost(&str("1000000001")), 1);
    assert_int_equal(rdy_rate_cost(&str("9223372036854775808")), 1);
    assert_int_equal(rdy_rate_cost(&str("18446744073709551618")), 1);
    assert_int_equal(rdy_rate_cost(&str("1e9")), 1);
    assert_int_equal(rdy_rate_cost(&str("abc")), 1);
    assert_int_equal(rdy_rate_cost(&str(" 2")), 1);
    assert_int_equal(rdy_rate_cost(&str("2 ")), 1);
    assert_int_equal(rdy_rate_cost(&str("2.5")), 1);
    assert_int_equal(rdy_rate_cost(&str("2\0")), 1);
    assert_int_equal(rdy_rate_cost(&str("0x2")), 1);
}


static void
drain_is_exact_for_any_numbers(void **state)
{
    wide_t        drained;
    uint64_t      i, dt, spent;
    rdy_rate_t    rate;
    rdy_bucket_t  b;

    for (i = 0; i < 200000; i++) {
        rate = any_rate();
        spent = any(1000000000000000);

        switch (any(4)) {

        case 0:
            dt = any(1000);
            break;

        case 1:
            dt = any(1000000000);
            break;

        case 2:
            dt = spent / rate.count * rate.period + any(3);
            break;

        default:
            dt = any(UINT64_MAX / 2);
        }

        b.spent = spent;
        b.at = any(2000000000000000);
        drained = (wide_t) dt * rate.count / rate.period;

        rdy_rate_drain(&rate, &b, b.at + dt);

        assert_int_equal(b.spent, drained < spent ? spent - (uint64_t) drained
                                                  : 0);
    }
}


/* 1000 looks a millisecond apart must not see less than one look does */

static void
bucket_looked_at_all_the_time_drains_as_fast(void **state)
{
    uint64_t      now;
    rdy_rate_t    slow = { 1, DAY, 1 }, odd = { 100, 7, 100 };
    rdy_bucket_t  b;

    b.spent = RDY_RATE_UNIT;
    b.at = 0;

    for (now = 1000; now < 60000000; now += 1000) {
        rdy_rate_drain(&slow, &b, now);
    }

    assert_int_equal(b.spent, RDY_RATE_UNIT - now / DAY);

    b.spent = 100 * RDY_RATE_UNIT;
    b.at = 0;

    for (now = 1; now < 1000000; now++) {
        rdy_rate_drain(&odd, &b, now);
    }

    /* at most one millionth is lost at each look */

    rdy_rate_drain(&odd, &b, now);
    assert_in_range(b.spent, 100 * RDY_RATE_UNIT - now * 100 / 7,
                    100 * RDY_RATE_UNIT - now * 100 / 7 + now);
}


static void
C14_clock_set_back_drains_nothing_and_locks_nobody_out(void **state)
{
    rdy_rate_t    rate = { 60, 60, 60 };
    rdy_bucket_t  b = { 60 * RDY_RATE_UNIT, 3600000000 };

    rdy_rate_drain(&rate, &b, 1000000);
    assert_int_equal(b.spent, 60 * RDY_RATE_UNIT);
    assert_int_equal(b.at, 1000000);
    assert_int_equal(rdy_rate_fits(&rate, &b, 1), 0);

    rdy_rate_drain(&rate, &b, 2000000);
    assert_int_equal(b.spent, 59 * RDY_RATE_UNIT);
    assert_int_equal(rdy_rate_fits(&rate, &b, 1), 1);
}


static void
C14_clock_set_forward_gives_one_burst(void **state)
{
    rdy_rate_t    rate = { 60, 60, 60 };
    rdy_bucket_t  b = { 60 * RDY_RATE_UNIT, 1000000 };

    rdy_rate_drain(&rate, &b, 1000000 + 315360000000000);
    assert_int_equal(b.spent, 0);
    assert_int_equal(rdy_rate_fits(&rate, &b, 60), 1);
    assert_int_equal(rdy_rate_fits(&rate, &b, 61), 0);

    rdy_rate_drain(&rate, &b, UINT64_MAX);
    assert_int_equal(b.spent, 0);
    assert_int_equal(b.at, UINT64_MAX);
}


static void
burst_counts_the_first_request(void **state)
{
    int           n;
    rdy_rate_t    rate = { 1, 60, 3 };
    rdy_bucket_t  b = { 0, 0 };

    for (n = 0; rdy_rate_fits(&rate, &b, 1); n++) {
        rdy_rate_charge(&b, 1);
    }

    assert_int_equal(n, 3);
}


static void
cost_fits_up_to_what_is_left(void **state)
{
    rdy_rate_t    rate = { 10, 1, 10 };
    rdy_bucket_t  b = { 3 * RDY_RATE_UNIT + 1, 0 };

    assert_int_equal(rdy_rate_fits(&rate, &b, 6), 1);
    assert_int_equal(rdy_rate_fits(&rate, &b, 7), 0);

    b.spent--;
    assert_int_equal(rdy_rate_fits(&rate, &b, 7), 1);

    b.spent = 0;
    assert_int_equal(rdy_rate_fits(&rate, &b, 10), 1);
    assert_int_equal(rdy_rate_fits(&rate, &b, 11), 0);
    assert_int_equal(rdy_rate_fits(&rate, &b, UINT64_MAX), 0);
}


static void
C10_cost_0_always_fits_and_charges_nothing(void **state)
{
    rdy_rate_t    rate = { 10, 1, 10 };
    rdy_bucket_t  b = { 10 * RDY_RATE_UNIT, 5 };

    assert_int_equal(rdy_rate_fits(&rate, &b, 0), 1);

    rate.burst = 5;
    assert_int_equal(rdy_rate_fits(&rate, &b, 0), 1);

    rdy_rate_charge(&b, 0);
    assert_int_equal(b.spent, 10 * RDY_RATE_UNIT);
    assert_int_equal(b.at, 5);
}


static void
charge_is_bounded(void **state)
{
    int           i;
    rdy_bucket_t  b = { 0, 0 };

    rdy_rate_charge(&b, UINT64_MAX);
    assert_int_equal(b.spent, 1000000000000000);

    for (i = 0; i < 20; i++) {
        rdy_rate_charge(&b, RDY_RATE_MAX_COST);
    }

    assert_int_equal(b.spent, 9000000000000000);

    b.spent = UINT64_MAX;
    rdy_rate_charge(&b, 1);
    assert_int_equal(b.spent, 9000000000000000);
}


static void
new_numbers_apply_at_once_and_what_was_spent_stays(void **state)
{
    rdy_rate_t       before = { 10, 60, 10 }, after = { 100, 60, 100 };
    rdy_bucket_t     b = { 0, 0 };
    rdy_rate_view_t  view;

    rdy_rate_charge(&b, 10);
    rdy_rate_view(&before, &b, 1, &view);
    assert_int_equal(view.remaining, 0);

    rdy_rate_view(&after, &b, 1, &view);
    assert_int_equal(view.remaining, 90);

    rdy_rate_charge(&b, 80);
    rdy_rate_view(&before, &b, 1, &view);
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.retry, (uint64_t) 81 * 6000000);

    rdy_rate_drain(&before, &b, view.retry);
    assert_int_equal(rdy_rate_fits(&before, &b, 1), 1);
}


static void
view_of_a_fresh_bucket_is_full(void **state)
{
    rdy_rate_t       rate = { 100, 60, 100 };
    rdy_bucket_t     b = { 0, 0 };
    rdy_rate_view_t  view;

    rdy_rate_view(&rate, &b, 1, &view);
    assert_int_equal(view.remaining, 100);
    assert_int_equal(view.next, 0);
    assert_int_equal(view.full, 0);
    assert_int_equal(view.retry, 0);
}


static void
view_of_a_spent_bucket(void **state)
{
    rdy_rate_t       rate = { 100, 60, 100 };
    rdy_bucket_t     b = { 100 * RDY_RATE_UNIT, 0 };
    rdy_rate_view_t  view;

    rdy_rate_view(&rate, &b, 5, &view);
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.next, 600000);
    assert_int_equal(view.full, 60000000);
    assert_int_equal(view.retry, 3000000);
}


static void
cost_over_burst_is_told_to_wait_for_a_full_bucket(void **state)
{
    rdy_rate_t       rate = { 1, 60, 2 };
    rdy_bucket_t     b = { 2 * RDY_RATE_UNIT, 0 };
    rdy_rate_view_t  view;

    rdy_rate_view(&rate, &b, 3, &view);
    assert_int_equal(view.retry, 120000000);

    b.spent = 0;
    rdy_rate_view(&rate, &b, 3, &view);
    assert_int_equal(view.retry, 60000000);
}


/* what is told comes true at that microsecond, and not one before */

static void
C12_times_are_rounded_up_and_come_true(void **state)
{
    uint64_t         i, cost, checked;
    rdy_rate_t       rate;
    rdy_bucket_t     b, later;
    rdy_rate_view_t  view, then;

    checked = 0;

    for (i = 0; i < 100000; i++) {
        rate = any_rate();
        b.spent = any(any(2) ? rate.burst * RDY_RATE_UNIT + 1
                             : 1000000000000000);
        b.at = any(2000000000000000);
        cost = 1 + any(rate.burst);

        rdy_rate_view(&rate, &b, cost, &view);

        if (view.full == RDY_RATE_FOREVER) {
            continue;
        }

        checked++;

        assert_int_equal(view.retry == 0, rdy_rate_fits(&rate, &b, cost));
        assert_int_equal(view.next == 0, view.remaining == rate.burst);
        assert_true(view.next <= view.full);

        if (view.retry) {
            later = b;
            rdy_rate_drain(&rate, &later, b.at + view.retry);
            assert_int_equal(rdy_rate_fits(&rate, &later, cost), 1);

            later = b;
            rdy_rate_drain(&rate, &later, b.at + view.retry - 1);
            assert_int_equal(rdy_rate_fits(&rate, &later, cost), 0);
        }

        if (view.next) {
            later = b;
            rdy_rate_drain(&rate, &later, b.at + view.next);
            rdy_rate_view(&rate, &later, 1, &then);
            assert_true(then.remaining > view.remaining);

            later = b;
            rdy_rate_drain(&rate, &later, b.at + view.next - 1);
            rdy_rate_view(&rate, &later, 1, &then);
            assert_int_equal(then.remaining, view.remaining);
        }

        if (view.full) {
            later = b;
            rdy_rate_drain(&rate, &later, b.at + view.full);
            assert_int_equal(later.spent, 0);

            later = b;
            rdy_rate_drain(&rate, &later, b.at + view.full - 1);
            assert_int_not_equal(later.spent, 0);
        }
    }

    assert_true(checked > 50000);
}


static void
no_time_is_longer_than_forever(void **state)
{
    int              i;
    wide_t           full;
    rdy_rate_t       rate = { 1, 366 * DAY, 1000000000 };
    rdy_bucket_t     b = { 1000000000000000, 0 };
    rdy_rate_view_t  view;

    rdy_rate_view(&rate, &b, 1000000000, &view);
    assert_int_equal(view.full, RDY_RATE_FOREVER);
    assert_int_equal(view.retry, RDY_RATE_FOREVER);
    assert_int_equal(rdy_rate_window(&rate), 999999999999999);

    for (i = 0; i < 100000; i++) {
        rate = any_rate();
        b.spent = any(9000000000000001);
        full = ((wide_t) b.spent * rate.period + rate.count - 1) / rate.count;

        rdy_rate_view(&rate, &b, 1, &view);
        assert_int_equal(view.full, full < RDY_RATE_FOREVER
                                    ? (uint64_t) full : RDY_RATE_FOREVER);
    }

    /* the last whole period is within it, the rest is not */

    rate.count = 10;
    rate.period = 7;
    b.spent = 5714285714285716;
    rdy_rate_view(&rate, &b, 1, &view);
    assert_int_equal(view.full, RDY_RATE_FOREVER);
}


/* seeded random arrivals over many windows, most of them too many */

static void
C13_any_stretch_admits_at_most_burst_and_refill(void **state)
{
    size_t           i, j, n;
    uint64_t         now, max;
    rdy_rate_t       rate = { 50, 7, 20 };
    rdy_bucket_t     b = { 0, 0 };
    static uint64_t  when[4000];

    now = 1000000;
    n = 0;

    while (n < 4000) {
        now += any(any(10) ? 20000 : 5000000);
        rdy_rate_drain(&rate, &b, now);

        if (rdy_rate_fits(&rate, &b, 1)) {
            rdy_rate_charge(&b, 1);
            when[n++] = now;
        }
    }

    for (i = 0; i < n; i++) {
        for (j = i; j < n; j++) {
            max = rate.burst + (when[j] - when[i]) * rate.count
                               / rate.period / RDY_RATE_UNIT;
            assert_true(j - i + 1 <= max);
        }
    }
}


static void
window_is_the_time_of_a_burst(void **state)
{
    rdy_rate_t  a = { 100, 60, 100 }, b = { 7, 60, 20 }, c = { 1000, 1, 1 };

    assert_int_equal(rdy_rate_window(&a), 60);
    assert_int_equal(rdy_rate_window(&b), 172);     /* 171.4 */
    assert_int_equal(rdy_rate_window(&c), 1);
}


static void
C12_seconds_are_rounded_up(void **state)
{
    assert_int_equal(rdy_rate_seconds(0), 0);
    assert_int_equal(rdy_rate_seconds(1), 1);
    assert_int_equal(rdy_rate_seconds(1000000), 1);
    assert_int_equal(rdy_rate_seconds(1000001), 2);
    assert_int_equal(rdy_rate_seconds(UINT64_MAX), 18446744073710);
}


static void
quota_is_count_slash_period(void **state)
{
    rdy_uint_t  i;
    rdy_rate_t  rate;

    const char  *bad[] = {
        "", "/", "1", "1/", "/d", "0/d", "1/0d", "1/x", "1/dd", "1r/d",
        "1 /d", "1/ d", "-1/d", "1.5/d", "1000000001/d", "1/367d", "1/d ",
        "1/1000000001s", "99999999999999999999/d", "10d", "1/8785h"
    };

    assert_int_equal(rdy_rate_quota(&str("100/1d"), &rate), RDY_OK);
    assert_int_equal(rate.count, 100);
    assert_int_equal(rate.burst, 100);
    assert_int_equal(rate.period, 86400);
    assert_int_equal(rate.kind, RDY_RATE_QUOTA);
    assert_int_equal(rdy_rate_window(&rate), 86400);

    assert_int_equal(rdy_rate_quota(&str("10000/h"), &rate), RDY_OK);
    assert_int_equal(rate.count, 10000);
    assert_int_equal(rate.period, 3600);

    assert_int_equal(rdy_rate_quota(&str("1000000000/366d"), &rate), RDY_OK);
    assert_int_equal(rate.count, 1000000000);
    assert_int_equal(rate.period, 366 * 86400);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(rdy_rate_quota(&(rdy_str_t) { strlen(bad[i]),
                                                       (u_char *) bad[i] },
                                        &rate), RDY_ERROR);
        assert_int_equal(rate.count, 1000000000);
    }
}


static void
concurrent_is_a_number(void **state)
{
    rdy_uint_t  i;
    rdy_rate_t  rate;

    const char  *bad[] = { "", "0", "-1", "1r", "1/d", " 1", "1000000001" };

    assert_int_equal(rdy_rate_concurrent(&str("10"), &rate), RDY_OK);
    assert_int_equal(rate.count, 10);
    assert_int_equal(rate.burst, 10);
    assert_int_equal(rate.period, 60);
    assert_int_equal(rate.kind, RDY_RATE_CONCURRENT);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(rdy_rate_concurrent(&(rdy_str_t) { strlen(bad[i]),
                                                        (u_char *) bad[i] },
                                             &rate), RDY_ERROR);
        assert_int_equal(rate.count, 10);
    }
}


static void
share_divides_all_numbers(void **state)
{
    rdy_rate_t  mine;
    rdy_rate_t  rate = { 100, 60, 50, RDY_RATE_BUCKET };

    rdy_rate_share(&rate, 1, 4, &mine);
    assert_int_equal(mine.kind, RDY_RATE_BUCKET);
    assert_int_equal(mine.count * 12, mine.period * 5);
    assert_int_equal(mine.burst, 12);

    rdy_rate_share(&rate, 7, 7, &mine);
    assert_int_equal(mine.count * 60, mine.period * 100);
    assert_int_equal(mine.burst, 50);

    rdy_rate_share(&rate, 1, (uint64_t) 1 << 32, &mine);
    assert_int_equal(mine.burst, 1);
    assert_in_range(mine.count, 1, 1000);

    rate.kind = RDY_RATE_QUOTA;
    rate.burst = 100;
    rdy_rate_share(&rate, 1, 3, &mine);
    assert_int_equal(mine.kind, RDY_RATE_QUOTA);
    assert_int_equal(mine.count, 33);
    assert_int_equal(mine.burst, 33);
    assert_int_equal(mine.period, 60);

    rate.kind = RDY_RATE_CONCURRENT;
    rdy_rate_share(&rate, 1, 101, &mine);
    assert_int_equal(mine.count, 1);
    assert_int_equal(mine.burst, 1);
    assert_int_equal(mine.period, 60);
}


static void
share_is_exact_within_the_bounds(void **state)
{
    double      want, got;
    uint64_t    part, whole;
    rdy_rate_t  rate, mine;
    rdy_uint_t  i;

    srand(5);
    rate.kind = RDY_RATE_BUCKET;

    for (i = 0; i < 200000; i++) {
        rate.count = 1 + (uint64_t) rand() % (i % 2 ? 1000000000 : 100);
        rate.period = 1 + (uint64_t) rand() % (i % 3 ? 366 * 86400 : 60);
        rate.burst = rate.count;

        if (rate.count * rate.period > 9000000000000000) {
            continue;
        }

        whole = 1 + ((uint64_t) rand() * 3) % ((uint64_t) 1 << (i % 33));
        part = 1 + ((uint64_t) rand() * 3) % whole;

        rdy_rate_share(&rate, part, whole, &mine);

        assert_in_range(mine.count, 1, 1000000000);
        assert_in_range(mine.period, 1, 4000000000);
        assert_in_range(mine.burst, 1, rate.burst);
        assert_true(mine.count * mine.period <= 9000000000000000);

        want = (double) rate.count / rate.period * part / whole;
        got = (double) mine.count / mine.period;

        /* never more, but for the slowest there is */

        assert_true(got <= want * (1 + 1e-12) || mine.count == 1);
        assert_true(got >= want * (1 - 1e-6) || want < 1e-9);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(rate_is_read),
        cmocka_unit_test(rate_is_read_up_to_its_bounds),
        cmocka_unit_test(malformed_rate_is_an_error),
        cmocka_unit_test(burst_is_read),
        cmocka_unit_test(C10_cost_is_a_whole_number_or_one),
        cmocka_unit_test(drain_is_exact_for_any_numbers),
        cmocka_unit_test(bucket_looked_at_all_the_time_drains_as_fast),
        cmocka_unit_test(
            C14_clock_set_back_drains_nothing_and_locks_nobody_out),
        cmocka_unit_test(C14_clock_set_forward_gives_one_burst),
        cmocka_unit_test(burst_counts_the_first_request),
        cmocka_unit_test(cost_fits_up_to_what_is_left),
        cmocka_unit_test(C10_cost_0_always_fits_and_charges_nothing),
        cmocka_unit_test(charge_is_bounded),
        cmocka_unit_test(new_numbers_apply_at_once_and_what_was_spent_stays),
        cmocka_unit_test(view_of_a_fresh_bucket_is_full),
        cmocka_unit_test(view_of_a_spent_bucket),
        cmocka_unit_test(cost_over_burst_is_told_to_wait_for_a_full_bucket),
        cmocka_unit_test(C12_times_are_rounded_up_and_come_true),
        cmocka_unit_test(no_time_is_longer_than_forever),
        cmocka_unit_test(C13_any_stretch_admits_at_most_burst_and_refill),
        cmocka_unit_test(window_is_the_time_of_a_burst),
        cmocka_unit_test(C12_seconds_are_rounded_up),
        cmocka_unit_test(quota_is_count_slash_period),
        cmocka_unit_test(concurrent_is_a_number),
        cmocka_unit_test(share_divides_all_numbers),
        cmocka_unit_test(share_is_exact_within_the_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
