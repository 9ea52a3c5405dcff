
/*
 * Copyright (C) The readiness authors
 */


/*
 * Leases by simulation: 1 to 100 nginx of two workers share one bucket across
 * a network, under demand of many shapes.  Every shape is judged beside one
 * bucket without any delay, and beside the same nginx without leases.  The
 * dice are seeded: it is the same each time.
 */


#include "unit.h"

#include "limit/rdy_lease.h"


#define WORKERS  2
#define EVENTS   65536
#define CALLS    16384


typedef enum {
    ARRIVE = 0,
    DECIDE,
    ANSWER,
    LAPSE,
    RETURN
} event_e;


typedef struct {
    uint64_t      at;
    event_e       type;
    uint32_t      worker;
    uint32_t      n;            /* of a call; what is given back */
} event_t;


typedef struct {
    uint64_t            need;
    rdy_lease_answer_t  answer;
} call_t;


typedef struct {
    int           sent;         /* calls under way */
    int           spent;
    int           leased;
    uint64_t      later;        /* requests that wait for the answer */
    uint64_t      decided;      /* the connection keeps the order */
} worker_t;


typedef struct {
    rdy_rate_t    rate;
    uint64_t      lease;
    uint64_t      nginx;
    uint64_t      rtt;          /* us */
    double        demand;       /* requests a second, all together */
    uint64_t      crowd;        /* that come at once */
    uint64_t      on;           /* us of demand, then none */
    uint64_t      off;
    uint64_t      length;       /* us */
    double        skew;         /* part of the demand at the first nginx */
    uint64_t      seed;
} shape_t;


typedef struct {
    uint64_t      admitted;
    uint64_t      ideal;
    uint64_t      calls;
    double        over;         /* beyond burst and refill, of any stretch */
} outcome_t;


static struct {
    const shape_t  *shape;
    uint64_t        now;
    uint64_t        dice;
    uint64_t        demand;     /* its own dice: the same with and without */
    uint64_t        lease;
    rdy_bucket_t    bucket;
    rdy_bucket_t    ideal;
    rdy_lease_t     known[100];
    worker_t        workers[100 * WORKERS];
    event_t         heap[EVENTS];
    uint32_t        nevents;
    call_t          calls[CALLS];
    uint32_t        unused[CALLS];
    uint32_t        nunused;
    double          least;
    outcome_t       out;
} sim;


static uint64_t
roll(uint64_t *dice)
{
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;

    return *dice * 0x2545f4914f6cdd1dULL >> 11;
}


static double
chance(uint64_t *dice)
{
    return (double) (roll(dice) & 0xffffffff) / 4294967296.0;
}


/* 0 .. 20, with a mean of 1: the gaps of a Poisson stream, without libm */

static double
gap(uint64_t *dice)
{
    double  sum, x;

    sum = 0;

    for (x = chance(dice); x < 0.5 && sum < 20; x *= 2) {
        sum += 0.6931471805599453;
    }

    /* -ln(x) of 0.5 .. 1 */

    x = 1 - x;

    return sum + x + x * x / 2 + x * x * x / 3 + x * x * x * x / 4;
}


static void
post(uint64_t at, event_e type, uint32_t worker, uint32_t n)
{
    uint32_t  i;

    assert_true(sim.nevents < EVENTS);

    for (i = sim.nevents++; i && sim.heap[(i - 1) / 2].at > at;
         i = (i - 1) / 2)
    {
        sim.heap[i] = sim.heap[(i - 1) / 2];
    }

    sim.heap[i] = (event_t) { at, type, worker, n };
}


static event_t
next(void)
{
    event_t   first, last;
    uint32_t  i, k;

    first = sim.heap[0];
    last = sim.heap[--sim.nevents];

    for (i = 0; (k = 2 * i + 1) < sim.nevents; i = k) {
        k += (k + 1 < sim.nevents && sim.heap[k + 1].at < sim.heap[k].at);

        if (last.at <= sim.heap[k].at) {
            break;
        }

        sim.heap[i] = sim.heap[k];
    }

    sim.heap[i] = last;

    return first;
}


static uint64_t
way(void)
{
    return sim.shape->rtt / 4 + roll(&sim.dice) % (sim.shape->rtt / 2 + 1);
}


/* n more at this moment: the largest sum of any stretch that ends here */

static void
admit(uint64_t n)
{
    double  line, excess;

    line = (double) sim.now * sim.shape->rate.count
           / sim.shape->rate.period / 1000000;

    if (sim.out.admitted == 0 || sim.out.admitted - line < sim.least) {
        sim.least = sim.out.admitted - line;
    }

    sim.out.admitted += n;

    excess = sim.out.admitted - line - sim.least - sim.shape->rate.burst;

    if (excess > sim.out.over) {
        sim.out.over = excess;
    }
}


static void
call(uint32_t w, uint64_t need)
{
    call_t       *c;
    uint32_t      n;
    uint64_t      at;
    worker_t     *worker;
    rdy_lease_t  *known;

    assert_true(sim.nunused > 0);

    n = sim.unused[--sim.nunused];
    c = &sim.calls[n];
    worker = &sim.workers[w];
    known = &sim.known[w / WORKERS];

    memset(c, 0, sizeof(call_t));
    c->need = need;
    c->answer.sent = sim.now;
    c->answer.cost = 1;
    c->answer.random = (uint32_t) roll(&sim.dice);

    if (sim.lease) {
        c->answer.asked = rdy_lease_size(known, sim.lease, sim.now);
        assert_true(c->answer.asked < sim.lease);
    }

    at = sim.now + way();
    worker->decided = at > worker->decided ? at : worker->decided;
    worker->sent++;
    sim.out.calls++;

    post(worker->decided, DECIDE, w, n);
}


/* as the script does */

static void
decide(event_t *e)
{
    call_t           *c;
    uint64_t          left;
    rdy_rate_view_t   view;

    c = &sim.calls[e->n];

    rdy_rate_drain(&sim.shape->rate, &sim.bucket, sim.now);
    rdy_rate_view(&sim.shape->rate, &sim.bucket, 1, &view);

    left = view.remaining;
    c->answer.got = c->need < left ? c->need : left;
    left = (left - c->answer.got) / 2;
    c->answer.extra = c->answer.asked < left ? c->answer.asked : left;

    rdy_rate_charge(&sim.bucket, c->answer.got + c->answer.extra);
    rdy_rate_view(&sim.shape->rate, &sim.bucket, 1, &view);

    c->answer.until = view.retry;
    c->answer.known = sim.bucket;

    post(sim.now + way(), ANSWER, e->worker, e->n);
}


/* 1: by a permit or a refusal that is known */

static int
here(uint32_t w)
{
    uint64_t  told;

    switch (rdy_lease_check(&sim.known[w / WORKERS], &sim.shape->rate, 1,
                            sim.lease, sim.now, &told))
    {
    case RDY_LEASE_HELD:
        admit(1);
        return 1;

    case RDY_LEASE_REFUSED:
        return 1;

    default:
        return 0;
    }
}


static void
answer(event_t *e)
{
    call_t    *c;
    uint64_t   later, asks;
    worker_t  *worker;

    c = &sim.calls[e->n];
    worker = &sim.workers[e->worker];
    c->answer.known.at = sim.now;

    rdy_lease_answer(&sim.known[e->worker / WORKERS], &sim.shape->rate,
                     sim.lease, &c->answer, sim.now);

    worker->sent--;
    worker->spent = (c->answer.until != 0);

    if (c->answer.extra && !worker->leased) {
        worker->leased = 1;
        post(sim.now + RDY_LEASE_LIFE, LAPSE, e->worker, 0);
    }

    if (c->answer.got) {
        admit(c->answer.got);
    }

    sim.unused[sim.nunused++] = e->n;

    later = worker->later;
    worker->later = 0;

    for (asks = 0; later; later--) {
        asks += !here(e->worker);
    }

    if (asks) {
        call(e->worker, asks);
    }
}


static void
lapse(event_t *e)
{
    uint64_t      n, end;
    rdy_lease_t  *known;

    known = &sim.known[e->worker / WORKERS];

    n = rdy_lease_old(known, &sim.shape->rate, 0, sim.now);
    end = rdy_lease_end(known, sim.now);

    if (n) {
        sim.out.calls++;
        post(sim.now + way(), RETURN, e->worker, n);
    }

    sim.workers[e->worker].leased = (end != 0);

    if (end) {
        post(sim.now + end, LAPSE, e->worker, 0);
    }
}


static void
arrive(void)
{
    double     wait;
    uint32_t   w, crowd;
    worker_t  *worker;

    for (crowd = 0; crowd < sim.shape->crowd; crowd++) {

        w = roll(&sim.demand) % (sim.shape->nginx * WORKERS);

        if (chance(&sim.demand) < sim.shape->skew) {
            w %= WORKERS;
        }

        rdy_rate_drain(&sim.shape->rate, &sim.ideal, sim.now);

        if (rdy_rate_fits(&sim.shape->rate, &sim.ideal, 1)) {
            rdy_rate_charge(&sim.ideal, 1);
            sim.out.ideal++;
        }

        if (here(w)) {
            continue;
        }

        worker = &sim.workers[w];

        if (worker->sent && (sim.lease || worker->spent)) {
            worker->later++;

        } else {
            call(w, 1);
        }
    }

    wait = gap(&sim.demand) * 1000000 * sim.shape->crowd / sim.shape->demand;
    wait += sim.now;

    if (sim.shape->off
        && (uint64_t) wait % (sim.shape->on + sim.shape->off) > sim.shape->on)
    {
        wait += sim.shape->on + sim.shape->off;
        wait -= (uint64_t) wait % (sim.shape->on + sim.shape->off);
    }

    if (wait < sim.shape->length) {
        post((uint64_t) wait, ARRIVE, 0, 0);
    }
}


static outcome_t
run(const shape_t *shape, uint64_t lease)
{
    event_t   e;
    uint32_t  i;

    sim.shape = shape;
    sim.lease = lease;
    sim.dice = shape->seed * 2 + 1;
    sim.demand = shape->seed * 0x9e3779b97f4a7c15ULL | 1;
    sim.nevents = 0;
    sim.nunused = CALLS;

    memset(&sim.bucket, 0, sizeof(rdy_bucket_t));
    memset(&sim.ideal, 0, sizeof(rdy_bucket_t));
    memset(sim.known, 0, sizeof(sim.known));
    memset(sim.workers, 0, sizeof(sim.workers));
    memset(&sim.out, 0, sizeof(outcome_t));

    for (i = 0; i < CALLS; i++) {
        sim.unused[i] = i;
    }

    post(1000000, ARRIVE, 0, 0);

    while (sim.nevents) {

        e = next();
        sim.now = e.at;

        switch (e.type) {

        case ARRIVE:
            arrive();
            break;

        case DECIDE:
            decide(&e);
            break;

        case ANSWER:
            answer(&e);
            break;

        case LAPSE:
            lapse(&e);
            break;

        default: /* RETURN */
            rdy_rate_drain(&shape->rate, &sim.bucket, sim.now);
            sim.bucket.spent -= (uint64_t) e.n * RDY_RATE_UNIT
                                < sim.bucket.spent
                                ? (uint64_t) e.n * RDY_RATE_UNIT
                                : sim.bucket.spent;
        }
    }

    return sim.out;
}


static const char *
text(const shape_t *s, const outcome_t *o, const outcome_t *exact)
{
    static char  line[512];

    snprintf(line, sizeof(line),
             "%lu nginx, %lu/%lus burst %lu lease %lu, demand %.0f/s by %lu, "
             "on %lu off %lu us, rtt %lu, skew %.2f, seed %lu: %lu of %lu "
             "(without %lu), calls %lu (%lu), over %.1f",
             (unsigned long) s->nginx, (unsigned long) s->rate.count,
             (unsigned long) s->rate.period, (unsigned long) s->rate.burst,
             (unsigned long) s->lease, s->demand, (unsigned long) s->crowd,
             (unsigned long) s->on, (unsigned long) s->off,
             (unsigned long) s->rtt, s->skew, (unsigned long) s->seed,
             (unsigned long) o->admitted, (unsigned long) o->ideal,
             (unsigned long) exact->admitted, (unsigned long) o->calls,
             (unsigned long) exact->calls, o->over);

    return line;
}


/* each factor of two as often as the next */

static double
between(uint64_t *dice, double low, double high)
{
    double    x;
    uint64_t  n;

    for (n = 1, x = low; x * 2 < high; n++) {
        x *= 2;
    }

    for (n = roll(dice) % n, x = low; n; n--) {
        x *= 2;
    }

    x *= 1 + chance(dice);

    return x < high ? x : high;
}


static shape_t
shape_of(uint64_t seed)
{
    double    rate;
    shape_t   s;
    uint64_t  dice;

    dice = seed * 0xd1342543de82ef95ULL | 1;
    roll(&dice);
    roll(&dice);

    memset(&s, 0, sizeof(shape_t));

    s.seed = seed;
    s.lease = roll(&dice) % 2 ? 16 : 64;
    s.nginx = (uint64_t) between(&dice, 1, 100);
    s.rtt = (uint64_t) between(&dice, 200, 5000);

    rate = between(&dice, 5, 1000);

    s.rate.kind = RDY_RATE_BUCKET;
    s.rate.period = roll(&dice) % 3 ? 1 : 60;
    s.rate.count = (uint64_t) (rate * s.rate.period);
    s.rate.burst = 1 + (uint64_t) (rate * between(&dice, 0.2, 4));

    if (s.rate.burst < 2 * s.lease) {
        s.rate.burst = 2 * s.lease;
    }

    s.demand = rate * between(&dice, 0.3, 6);
    s.crowd = roll(&dice) % 2 ? 1 : (uint64_t) between(&dice, 1, 100);
    s.skew = roll(&dice) % 3 ? 0 : 0.5;
    s.length = 5000000 + 3000000 * s.rate.burst / rate;

    if (s.demand * s.length > 1e10) {
        s.length = 1e10 / s.demand;
    }

    if (roll(&dice) % 3 == 0) {
        s.on = (uint64_t) between(&dice, 50000, 1500000);
        s.off = (uint64_t) between(&dice, 50000, 2500000);
    }

    return s;
}


static double
bound(const shape_t *s)
{
    double  rate, all;

    rate = (double) s->rate.count / s->rate.period;
    all = (double) s->lease * s->nginx;

    /* and what the network moves; and one that was under way by halves */

    return (all < rate ? all : rate) + rate * s->rtt / 1000000 + 1;
}


static void
shapes_are_within_bounds_and_near_the_ideal(void **state)
{
    double     part, sum;
    shape_t    s;
    uint64_t   seed, n, calls[2];
    outcome_t  o, exact;

    n = 0;
    sum = 0;
    calls[0] = 0;
    calls[1] = 0;

    for (seed = 1; seed <= 600; seed++) {

        s = shape_of(seed);
        o = run(&s, s.lease);
        exact = run(&s, 0);

        part = (double) o.admitted / o.ideal;
        sum += part;
        n++;

        calls[0] += o.calls;
        calls[1] += exact.calls;

        if (getenv("LEASE_VERBOSE")) {
            fprintf(stderr, "%.3f %s\n", part, text(&s, &o, &exact));
        }

        if (o.over > bound(&s) || part < 0.85 || o.calls > exact.calls) {
            fail_msg("%s", text(&s, &o, &exact));
        }
    }

    if (getenv("LEASE_VERBOSE")) {
        fprintf(stderr, "mean %.4f, calls %lu of %lu\n", sum / n,
                (unsigned long) calls[0], (unsigned long) calls[1]);
    }

    assert_true(sum / n >= 0.97);
}


/*
 * Demand that stops as soon as leases are large, and is back when they have
 * been returned to a bucket that has refilled meanwhile.
 */

static void
demand_that_comes_and_goes_does_not_break_the_bound(void **state)
{
    double     most;
    shape_t    s;
    uint64_t   k, n;
    outcome_t  o, exact;

    const uint64_t  nginx[] = { 1, 4, 30, 100 };
    const uint64_t  count[] = { 3, 20, 100, 800 };

    most = 0;

    for (n = 0; n < 16 * 24; n++) {

        memset(&s, 0, sizeof(shape_t));

        k = n / 16;

        s.seed = n + 1;
        s.nginx = nginx[n % 4];
        s.lease = k % 2 ? 64 : 16;
        s.rate.kind = RDY_RATE_BUCKET;
        s.rate.period = 1;
        s.rate.count = count[n / 4 % 4];
        s.rate.burst = 2 * s.lease * (k % 3 ? 1 : 10);
        s.rtt = k % 5 ? 300 : 4000;
        s.demand = 800.0 * s.nginx;
        s.crowd = k % 4 ? 1 : 8 * s.nginx;
        s.on = 130000 + 40000 * (k % 7);
        s.off = (k % 11 ? 1000000 : 3000000) - s.on + 30000 * (k % 11);
        s.length = 8000000;

        if (s.demand > 6000) {
            s.demand = 6000;
        }

        o = run(&s, s.lease);

        if (getenv("LEASE_VERBOSE")) {
            memset(&exact, 0, sizeof(outcome_t));
            fprintf(stderr, "%.2f of %.2f: %s\n", o.over, bound(&s),
                    text(&s, &o, &exact));
        }

        if (o.over > bound(&s)) {
            exact = run(&s, 0);
            fail_msg("%s", text(&s, &o, &exact));
        }

        most = o.over / bound(&s) > most ? o.over / bound(&s) : most;
    }

    if (getenv("LEASE_VERBOSE")) {
        fprintf(stderr, "most %.3f of what may be\n", most);
    }

    /* the demand is no easy one */

    assert_true(most > 0.3);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(shapes_are_within_bounds_and_near_the_ideal),
        cmocka_unit_test(demand_that_comes_and_goes_does_not_break_the_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
