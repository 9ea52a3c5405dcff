
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_field.h"


static const rdy_rate_t  per_minute = { 100, 60, 100 };
static const rdy_rate_t  per_day = { 1000, 86400, 2500 };
static const rdy_rate_t  longest = { 1, 366 * 86400, 1000000000 };


/* into a block of the length promised, so that a byte more is seen */

static const char *
text(size_t len, u_char *(*write)(u_char *, const rdy_field_t *, size_t),
    const rdy_field_t *f, size_t n)
{
    u_char      *p;
    static char  out[1024];

    assert_true(len < sizeof(out));

    p = malloc(len ? len : 1);
    assert_ptr_equal(write(p, f, n), p + len);

    memcpy(out, p, len);
    out[len] = '\0';
    free(p);

    return out;
}


static const char *
policy(const rdy_field_t *f, size_t n)
{
    return text(rdy_field_policy_len(f, n), rdy_field_policy, f, n);
}


static const char *
limit(const rdy_field_t *f, size_t n)
{
    return text(rdy_field_limit_len(f, n), rdy_field_limit, f, n);
}


static void
policy_of_one_limit(void **state)
{
    rdy_field_t  f = { rdy_string("api"), &per_minute, 37, 12 };

    assert_string_equal(policy(&f, 1), "\"api\";q=100;w=60");
}


static void
policy_of_several_limits(void **state)
{
    rdy_field_t  f[] = {
        { rdy_string("api"), &per_minute, 37, 12 },
        { rdy_string("per-day_2.0"), &per_day, 900, 40000 },
        { rdy_string("x"), &longest, 0, 0 }
    };

    assert_string_equal(policy(f, 3),
                        "\"api\";q=100;w=60, \"per-day_2.0\";q=2500;w=216000, "
                        "\"x\";q=1000000000;w=999999999999999");
}


static void
limit_of_one_limit(void **state)
{
    rdy_field_t  f = { rdy_string("api"), &per_minute, 37, 12 };

    assert_string_equal(limit(&f, 1), "\"api\";r=37;t=12");
}


static void
limit_of_several_limits(void **state)
{
    rdy_field_t  f[] = {
        { rdy_string("api"), &per_minute, 0, 1 },
        { rdy_string("day"), &per_day, 1000000000, 4000000000 }
    };

    assert_string_equal(limit(f, 2),
                        "\"api\";r=0;t=1, "
                        "\"day\";r=1000000000;t=4000000000");
}


static const rdy_rate_t  quota = { 100, 86400, 100, RDY_RATE_QUOTA };
static const rdy_rate_t  slots = { 10, 60, 10, RDY_RATE_CONCURRENT };


static void
quota_has_its_period(void **state)
{
    rdy_field_t  f = { rdy_string("day"), &quota, 37, 12 };

    assert_string_equal(policy(&f, 1), "\"day\";q=100;w=86400");
    assert_string_equal(limit(&f, 1), "\"day\";r=37;t=12");
}


static void
slots_have_a_unit_and_no_time(void **state)
{
    rdy_field_t  f[] = {
        { rdy_string("calls"), &slots, 4, 0 },
        { rdy_string("api"), &per_minute, 37, 0 }
    };

    assert_string_equal(policy(f, 2),
                        "\"calls\";q=10;qu=\"concurrent-requests\", "
                        "\"api\";q=100;w=60");
    assert_string_equal(limit(f, 2), "\"calls\";r=4, \"api\";r=37;t=0");

    f[0].remaining = 0;
    f[0].seconds = 1;
    assert_string_equal(limit(f, 1), "\"calls\";r=0;t=1");
}


static void
no_member_is_longer_than_the_bound(void **state)
{
    rdy_field_t  f[] = {
        { rdy_string("x"), NULL, UINT64_MAX, UINT64_MAX },
        { rdy_string("x"), NULL, UINT64_MAX, UINT64_MAX }
    };

    const rdy_rate_t  most = { UINT64_MAX, 1, UINT64_MAX,
                               RDY_RATE_CONCURRENT };
    const rdy_rate_t  wide = { 1, UINT64_MAX, UINT64_MAX, RDY_RATE_QUOTA };

    f[0].rate = f[1].rate = &most;
    assert_true(rdy_field_policy_len(f, 2) <= 2 * RDY_FIELD_MAX_LEN(1));
    assert_true(rdy_field_limit_len(f, 2) <= 2 * RDY_FIELD_MAX_LEN(1));

    f[0].rate = f[1].rate = &wide;
    assert_true(rdy_field_policy_len(f, 2) <= 2 * RDY_FIELD_MAX_LEN(1));
    assert_true(rdy_field_limit_len(f, 2) <= 2 * RDY_FIELD_MAX_LEN(1));
}


static void
no_limit_writes_nothing(void **state)
{
    assert_string_equal(policy(NULL, 0), "");
    assert_string_equal(limit(NULL, 0), "");
}


static void
number_is_written_in_all_its_digits(void **state)
{
    size_t    i;
    char      want[32];
    u_char    got[RDY_FIELD_NUMBER_LEN];
    uint64_t  n, ten;

    ten = 1;

    for (i = 0; i < 20; i++) {

        for (n = ten - 1; n <= ten + 1; n++) {
            sprintf(want, "%lu", (unsigned long) n);
            assert_int_equal(rdy_field_number(got, n) - got, strlen(want));
            assert_memory_equal(got, want, strlen(want));
        }

        ten *= 10;
    }

    assert_int_equal(rdy_field_number(got, UINT64_MAX) - got, 20);
    assert_memory_equal(got, "18446744073709551615", 20);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(policy_of_one_limit),
        cmocka_unit_test(policy_of_several_limits),
        cmocka_unit_test(limit_of_one_limit),
        cmocka_unit_test(limit_of_several_limits),
        cmocka_unit_test(quota_has_its_period),
        cmocka_unit_test(slots_have_a_unit_and_no_time),
        cmocka_unit_test(no_member_is_longer_than_the_bound),
        cmocka_unit_test(no_limit_writes_nothing),
        cmocka_unit_test(number_is_written_in_all_its_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
