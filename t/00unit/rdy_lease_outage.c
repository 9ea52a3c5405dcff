
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_lease.h"


#define SECOND  1000000ULL
#define START   1800000000000000ULL
#define UNIT    RDY_RATE_UNIT
#define MANY    10                      /* nginx */


static const rdy_rate_t  hundred = { 100, 1, 100, RDY_RATE_BUCKET };
static const rdy_rate_t  slow = { 10, 3600, 10, RDY_RATE_BUCKET };
static const rdy_rate_t  quota = { 100, 60, 100, RDY_RATE_QUOTA };


static uint64_t  seed = 20261121;


static uint64_t
random_number(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % n;
}


/* an answer: so much is spent by now, got of ours, total of all */

static rdy_lease_answer_t
answered(uint64_t spent, uint64_t got, uint64_t total, uint64_t now)
{
    rdy_lease_answer_t  answer = { 0 };

    answer.sent = now;
    answer.cost = 1;
    answer.got = got;
    answer.total = total;
    answer.known.spent = spent;
    answer.known.at = now;

    return answer;
}


static void
tell(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t spent, uint64_t got,
    uint64_t total, uint64_t now)
{
    rdy_lease_answer_t  answer;

    answer = answered(spent, got, total, now);
    rdy_lease_answer(l, rate, 0, &answer, now);
}


/* how many of n requests the nginx admits by itself at now */

static uint64_t
admitted(rdy_lease_t *l, const rdy_rate_t *rate, uint64_t instances,
    uint64_t n, uint64_t now)
{
    uint64_t    got;
    rdy_rate_t  mine;

    for (got = 0; n; n--) {
        rdy_lease_outage(l, rate, instances, now, &mine);
        rdy_rate_drain(&mine, &l->known, now);

        if (rdy_rate_fits(&mine, &l->known, 1)) {
            rdy_rate_charge(&l->known, 1);
            got++;
        }
    }

    return got;
}


static void
assert_share(const rdy_lease_t *l, uint64_t instances, uint64_t part,
    uint64_t whole)
{
    uint64_t  p, w;

    rdy_lease_share(l, instances, &p, &w);
    assert_int_equal(p, part);
    assert_int_equal(w, whole);
}


static void
unknown_is_one_of_as_many_as_there_are(void **state)
{
    uint64_t            i;
    rdy_lease_t         l = { 0 };
    rdy_lease_answer_t  answer;

    assert_share(&l, 0, 1, 1);
    assert_share(&l, 1, 1, 1);
    assert_share(&l, 1000000, 1, 1000000);

    /* the first answer tells whose nothing is; seven more are too few */

    for (i = 0; i < 8; i++) {
        tell(&l, &slow, 8 * UNIT, 1, 500 + i, START + i);
        assert_share(&l, 3, 1, 3);
    }

    tell(&l, &slow, 8 * UNIT, 1, 508, START + 8);
    assert_share(&l, 3, 8, 8);

    /* with a lease, which has every answer told, no less */

    memset(&l, 0, sizeof(l));
    answer = answered(8 * UNIT, 1, 500, START);
    rdy_lease_answer(&l, &slow, 16, &answer, START);
    assert_share(&l, 3, 1, 3);
}


static void
the_share_is_measured(void **state)
{
    uint64_t     i, part, whole, total;
    rdy_lease_t  l = { 0 };

    /* ours are 3 of 10, told with each answer */

    for (i = 0, total = 1; i < 5000; i++) {
        total += 10;
        tell(&l, &slow, 8 * UNIT, 3, total, START + i);
    }

    rdy_lease_share(&l, 7, &part, &whole);
    assert_true(whole <= 1024 && whole > 500);
    assert_in_range(part * 1000 / whole, 290, 310);

    /* it moves away: the latest count most */

    for (i = 0; i < 400; i++) {
        total += 10;
        tell(&l, &slow, 8 * UNIT, 0, total, START + 5000 + i);
    }

    rdy_lease_share(&l, 7, &part, &whole);
    assert_in_range(part, 1, whole / 50);
}


static void
a_share_is_never_nothing(void **state)
{
    uint64_t     i;
    rdy_lease_t  l = { 0 };

    tell(&l, &slow, 8 * UNIT, 0, 1, START);

    for (i = 1; i < 10; i++) {
        tell(&l, &slow, 8 * UNIT, 0, 1 + i * 2, START + i);
    }

    assert_share(&l, 3, 1, 19);

    /* a large step counts too, and does not lose ours */

    tell(&l, &slow, 8 * UNIT, 1, 1000000, START + 20);
    assert_share(&l, 3, 1, 994);

    /* whatever stands in the memory */

    l.own = 1000;
    l.all = 100;
    assert_share(&l, 3, 1, 3);
    tell(&l, &slow, 8 * UNIT, 1, 1000001, START + 21);
}


static void
answers_that_cross_count_once(void **state)
{
    rdy_lease_t         l = { 0 };
    rdy_lease_answer_t  answer;

    tell(&l, &slow, 8 * UNIT, 1, 100, START);

    /* sent both, then the later one's answer comes first */

    answer = answered(8 * UNIT, 5, 115, START + 20);
    answer.sent = START + 11;
    rdy_lease_answer(&l, &slow, 0, &answer, START + 20);

    answer = answered(8 * UNIT, 5, 110, START + 21);
    answer.sent = START + 10;
    rdy_lease_answer(&l, &slow, 0, &answer, START + 21);

    assert_share(&l, 3, 10, 15);

    tell(&l, &slow, 8 * UNIT, 5, 120, START + 30);
    assert_share(&l, 3, 15, 20);
}


static void
a_key_made_anew_starts_its_total_again(void **state)
{
    uint64_t     i;
    rdy_lease_t  l = { 0 };

    for (i = 0; i < 10; i++) {
        tell(&l, &slow, 8 * UNIT, 1, 1000 + i * 2, START + i * 10);
    }

    assert_share(&l, 3, 9, 18);

    tell(&l, &slow, 8 * UNIT, 1, 3, START + 100);
    assert_share(&l, 3, 9, 18);

    tell(&l, &slow, 8 * UNIT, 1, 5, START + 110);
    assert_share(&l, 3, 10, 20);

    /* more of ours than of all: so it was, between two answers */

    tell(&l, &slow, 8 * UNIT, 9, 7, START + 120);
    assert_share(&l, 3, 10, 20);
}


/* what is far from spent need not be told: then nobody knows whose it was */

static void
answers_left_out_do_not_make_it_less(void **state)
{
    uint64_t     i, t, total, part, whole;
    rdy_lease_t  l = { 0 };

    assert_true(rdy_lease_far(&hundred, 12 * UNIT));
    assert_false(rdy_lease_far(&hundred, 13 * UNIT));
    assert_true(rdy_lease_far(&quota, 11));
    assert_false(rdy_lease_far(&quota, 13));

    /* the only nginx, every second 40 at once: 27 of them are told */

    for (t = START, total = 0; t < START + 60 * SECOND; t += SECOND) {

        for (i = 1; i <= 40; i++) {
            total++;

            if (!rdy_lease_far(&hundred, i * UNIT)) {
                tell(&l, &hundred, i * UNIT, 1, total, t + i);
            }
        }
    }

    rdy_lease_share(&l, 10, &part, &whole);
    assert_int_equal(part, whole);
    assert_true(whole > 100);
}


static void
it_starts_from_the_share_of_what_was_left(void **state)
{
    uint64_t     i;
    rdy_rate_t   mine;
    rdy_lease_t  l = { 0 };

    /* nothing known: a full bucket's part */

    rdy_lease_outage(&l, &hundred, 4, START, &mine);
    assert_int_equal(mine.burst, 25);
    assert_int_equal(mine.count * 1000 / mine.period, 25000);
    assert_int_equal(admitted(&l, &hundred, 4, 100, START), 25);
    assert_int_equal(admitted(&l, &hundred, 4, 100, START + SECOND), 25);

    /* 60 of 100 spent, measured 1 of 2 */

    memset(&l, 0, sizeof(l));

    for (i = 0; i < 20; i++) {
        tell(&l, &hundred, 60 * UNIT, 1, 1 + 2 * i, START);
    }

    assert_int_equal(admitted(&l, &hundred, 4, 100, START), 20);

    /* 100 ms later 10 more are left, and half of them are ours */

    memset(&l, 0, sizeof(l));
    tell(&l, &hundred, 60 * UNIT, 1, 1, START);
    assert_int_equal(admitted(&l, &hundred, 2, 100, START + SECOND / 10), 25);
}


static void
one_permit_each_unless_it_was_spent(void **state)
{
    rdy_lease_t  l = { 0 };

    tell(&l, &slow, 10 * UNIT, 1, 1, START);
    assert_int_equal(admitted(&l, &slow, 100, 10, START), 0);

    /* the part of the rate is not rounded to nothing */

    assert_int_equal(admitted(&l, &slow, 100, 1, START + 35999 * SECOND), 0);
    assert_int_equal(admitted(&l, &slow, 100, 5, START + 36001 * SECOND), 1);

    memset(&l, 0, sizeof(l));
    tell(&l, &slow, 9 * UNIT, 1, 1, START);
    assert_int_equal(admitted(&l, &slow, 100, 10, START), 1);

    memset(&l, 0, sizeof(l));
    assert_int_equal(admitted(&l, &slow, 1000000, 10, START), 1);
}


/* a clock behind the answer's, and one that was never told */

static void
what_is_known_may_be_of_any_time(void **state)
{
    rdy_lease_t  l = { 0 };

    tell(&l, &hundred, 100 * UNIT, 1, 1, START + SECOND);
    assert_int_equal(admitted(&l, &hundred, 1, 10, START), 0);
    assert_int_equal(admitted(&l, &hundred, 1, 10, START + 50000), 5);

    memset(&l, 0xff, sizeof(l));
    (void) rdy_lease_owed(&l, &hundred, 3, START);

    memset(&l, 0xff, sizeof(l));
    l.outage = 0;
    (void) admitted(&l, &hundred, 3, 10, START);
    (void) rdy_lease_owed(&l, &hundred, 3, START);
    assert_int_equal(l.outage, 0);
}


static void
what_was_admitted_is_owed_once(void **state)
{
    rdy_lease_t  before, l = { 0 };

    tell(&l, &slow, 0, 1, 1, START);
    before = l;
    assert_int_equal(rdy_lease_owed(&l, &slow, 2, START + SECOND), 0);
    assert_memory_equal(&l, &before, sizeof(l));

    assert_int_equal(admitted(&l, &slow, 2, 3, START), 3);
    assert_int_equal(rdy_lease_owed(&l, &slow, 2, START), 3 * UNIT);
    assert_int_equal(rdy_lease_owed(&l, &slow, 2, START), 0);

    /* in a new one from what Redis has said since */

    tell(&l, &slow, 10 * UNIT, 0, 9, START);
    assert_int_equal(admitted(&l, &slow, 2, 3, START), 0);
    assert_int_equal(rdy_lease_owed(&l, &slow, 2, START), 0);
}


static void
what_has_drained_is_not_owed(void **state)
{
    rdy_lease_t  l = { 0 };

    assert_int_equal(admitted(&l, &slow, 1, 6, START), 6);
    assert_int_equal(rdy_lease_owed(&l, &slow, 1, START + 720 * SECOND),
                     4 * UNIT);

    assert_int_equal(admitted(&l, &slow, 1, 6, START), 6);
    assert_int_equal(rdy_lease_owed(&l, &slow, 1, START + 3600 * SECOND), 0);
}


/* what Redis counts itself is not charged again */

static void
what_was_known_is_not_owed(void **state)
{
    uint64_t     t, owed;
    rdy_lease_t  l = { 0 };

    for (t = 0; t < 4000; t += 100) {
        memset(&l, 0, sizeof(l));
        tell(&l, &slow, 8 * UNIT, 1, 1, START);

        (void) admitted(&l, &slow, 2, 0, START);
        assert_int_equal(admitted(&l, &slow, 2, 1, START), 1);
        owed = rdy_lease_owed(&l, &slow, 2, START + t * SECOND);

        /* of 4 + 1 the 4 drain first there: the one is owed until it does */

        assert_true(owed <= UNIT + 2);

        if (t < 2800) {
            assert_true(owed >= UNIT - 2);
        }
    }
}


/* where a part is rounded, no permit of it is forgotten */

static void
rounded_parts_are_owed_as_they_were_admitted(void **state)
{
    uint64_t     n, m, spent, got;
    rdy_lease_t  l;
    rdy_rate_t   rate = { 1, 86400, 1, RDY_RATE_BUCKET };

    for (n = 1; n <= 12; n++) {
        rate.count = n;
        rate.burst = n;

        for (m = 1; m <= 20; m++) {
            for (spent = 0; spent <= n; spent++) {
                memset(&l, 0, sizeof(l));
                tell(&l, &rate, spent * UNIT, 0, 1, START);

                got = admitted(&l, &rate, m, 20, START);
                assert_true(spent < n ? got >= 1 && got <= n : got == 0);
                assert_int_equal(rdy_lease_owed(&l, &rate, m, START),
                                 got * UNIT);
            }
        }
    }
}


/* an nginx more or less, other numbers: at once, and nothing is reset */

static void
the_share_may_change_meanwhile(void **state)
{
    rdy_lease_t  l = { 0 };

    assert_int_equal(admitted(&l, &hundred, 2, 100, START), 50);
    assert_int_equal(admitted(&l, &hundred, 4, 100, START), 0);
    assert_int_equal(admitted(&l, &hundred, 4, 100, START + SECOND), 0);
    assert_int_equal(admitted(&l, &hundred, 4, 100, START + 2 * SECOND), 25);
    assert_int_equal(admitted(&l, &hundred, 1, 100, START + 2 * SECOND), 75);

    /* and never more than a bucket of the numbers of now has room for */

    assert_int_equal(rdy_lease_owed(&l, &slow, 1, START + 2 * SECOND),
                     slow.burst * UNIT);
}


/*
 * One bucket and M nginx that know it, with ten times of what it admits.  It is
 * away for ten seconds; then it is charged first what is owed.
 */

typedef struct {
    rdy_bucket_t  bucket;
    uint64_t      total;
    uint64_t      admitted;
    rdy_lease_t   nginx[MANY];
} world_t;


static void
ask(world_t *w, const rdy_rate_t *rate, uint64_t i, uint64_t now)
{
    uint64_t            got;
    rdy_lease_answer_t  answer;

    rdy_rate_drain(rate, &w->bucket, now);
    got = rdy_rate_fits(rate, &w->bucket, 1);

    if (got) {
        rdy_rate_charge(&w->bucket, 1);
        w->total++;
        w->admitted++;
    }

    if (rdy_lease_far(rate, w->bucket.spent)) {
        return;
    }

    answer = answered(w->bucket.spent, got, w->total, now);
    rdy_lease_answer(&w->nginx[i], rate, 0, &answer, now);
}


static void
back(world_t *w, const rdy_rate_t *rate, uint64_t m, uint64_t instances,
    uint64_t now)
{
    uint64_t  i, owed;

    rdy_rate_drain(rate, &w->bucket, now);

    for (i = 0; i < m; i++) {
        owed = rdy_lease_owed(&w->nginx[i], rate, instances, now);
        w->bucket.spent += owed;
        w->total += owed / UNIT;
    }
}


/* admitted from the outage on, until one burst's time after it, in percent */

static uint64_t
compared(const rdy_rate_t *rate, uint64_t m, uint64_t one, uint64_t known,
    uint64_t load)
{
    uint64_t  now, step, away, over, end, i, before, ideal;
    world_t   w = { 0 }, never = { 0 };

    step = rate->period * SECOND / rate->count / load;
    away = START + (known ? 20 : 0) * SECOND;
    over = away + 10 * SECOND;
    end = over + rate->burst * rate->period * SECOND / rate->count;

    before = 0;
    ideal = 0;
    w.bucket.at = START;
    never.bucket.at = START;

    for (now = START; now < end; now += 1 + random_number(2 * step)) {

        i = one && random_number(100) < one ? 0 : random_number(m);

        if (before == 0 && now >= away) {
            before = w.admitted + 1;
            ideal = never.admitted;
        }

        ask(&never, rate, 0, now);

        if (now >= away && now < over) {
            w.admitted += admitted(&w.nginx[i], rate, m, 1, now);
            continue;
        }

        if (now >= over) {
            back(&w, rate, m, m, now);
        }

        ask(&w, rate, i, now);
    }

    return (w.admitted + 1 - before) * 100 / (never.admitted - ideal);
}


static void
an_outage_admits_what_the_shared_bucket_would_have(void **state)
{
    uint64_t         r, m, p, round;
    const uint64_t   many[] = { 1, 3, 10 }, one[] = { 0, 50, 100 };
    const rdy_rate_t rates[] = {
        { 100, 1, 100, RDY_RATE_BUCKET },
        { 100, 1, 300, RDY_RATE_BUCKET },
        { 100, 1, 20, RDY_RATE_BUCKET },
        { 600, 60, 30, RDY_RATE_BUCKET }
    };

    for (round = 0; round < 5; round++) {
        for (r = 0; r < 4; r++) {
            for (m = 0; m < 3; m++) {
                for (p = 0; p < 3; p++) {
                    assert_in_range(compared(&rates[r], many[m], one[p], 1,
                                             10), 80, 125);
                }
            }
        }
    }
}


/* nothing was known of the key: one of M, where it is spread evenly */

static void
unknown_keys_are_parted_evenly(void **state)
{
    uint64_t          m;
    const uint64_t    many[] = { 1, 3, 10 };
    const rdy_rate_t  rate = { 100, 1, 100, RDY_RATE_BUCKET };

    for (m = 0; m < 3; m++) {
        assert_in_range(compared(&rate, many[m], 0, 0, 10), 80, 125);
    }

    /* and where one gets all of it, it has that part */

    assert_in_range(compared(&rate, 3, 100, 0, 10), 25, 60);
}


/* within the limit: nobody is refused before, during and after it */

static void
what_is_within_the_limit_passes(void **state)
{
    uint64_t     now, i, n;
    world_t      w = { 0 };
    rdy_rate_t   rate = { 100, 1, 100, RDY_RATE_BUCKET };

    w.bucket.at = START;

    for (now = START, n = 0; now < START + 30 * SECOND; now += 20000, n++) {
        i = n % 3;

        if (now >= START + 10 * SECOND && now < START + 20 * SECOND) {
            assert_int_equal(admitted(&w.nginx[i], &rate, 3, 1, now), 1);
            w.admitted++;
            continue;
        }

        if (now >= START + 20 * SECOND) {
            back(&w, &rate, 3, 3, now);
        }

        ask(&w, &rate, i, now);
    }

    assert_int_equal(w.admitted, n);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(unknown_is_one_of_as_many_as_there_are),
        cmocka_unit_test(the_share_is_measured),
        cmocka_unit_test(a_share_is_never_nothing),
        cmocka_unit_test(answers_that_cross_count_once),
        cmocka_unit_test(a_key_made_anew_starts_its_total_again),
        cmocka_unit_test(answers_left_out_do_not_make_it_less),
        cmocka_unit_test(it_starts_from_the_share_of_what_was_left),
        cmocka_unit_test(one_permit_each_unless_it_was_spent),
        cmocka_unit_test(what_is_known_may_be_of_any_time),
        cmocka_unit_test(what_was_admitted_is_owed_once),
        cmocka_unit_test(what_has_drained_is_not_owed),
        cmocka_unit_test(what_was_known_is_not_owed),
        cmocka_unit_test(rounded_parts_are_owed_as_they_were_admitted),
        cmocka_unit_test(the_share_may_change_meanwhile),
        cmocka_unit_test(an_outage_admits_what_the_shared_bucket_would_have),
        cmocka_unit_test(unknown_keys_are_parted_evenly),
        cmocka_unit_test(what_is_within_the_limit_passes)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
