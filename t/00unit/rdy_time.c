
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "observe/rdy_time.h"

#include <time.h>


static const char *
text(uint64_t sec, rdy_uint_t msec)
{
    u_char       *out;
    static char   buf[RDY_TIME_LEN + 1];

    out = malloc(RDY_TIME_LEN);
    rdy_time_rfc3339(out, sec, msec);
    memcpy(buf, out, RDY_TIME_LEN);
    free(out);

    return buf;
}


static void
epoch_and_the_present(void **state)
{
    assert_string_equal(text(0, 0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(text(1795167000, 123), "2026-11-20T09:30:00.123Z");
    assert_string_equal(text(UINT64_C(4294967296), 7),
                        "2106-02-07T06:28:16.007Z");
}


static void
leap_days(void **state)
{
    assert_string_equal(text(951782399, 999), "2000-02-28T23:59:59.999Z");
    assert_string_equal(text(951782400, 0), "2000-02-29T00:00:00.000Z");
    assert_string_equal(text(951868800, 0), "2000-03-01T00:00:00.000Z");
    assert_string_equal(text(1709164800, 0), "2024-02-29T00:00:00.000Z");
    assert_string_equal(text(UINT64_C(4107456000), 0),
                        "2100-02-28T00:00:00.000Z");
    assert_string_equal(text(UINT64_C(4107542400), 0),
                        "2100-03-01T00:00:00.000Z");
}


static void
every_day_to_the_year_9999_agrees_with_libc(void **state)
{
    char       want[32];
    time_t     t;
    uint64_t   day;
    struct tm  tm;

    for (day = 0; day <= RDY_TIME_MAX / 86400; day++) {
        t = (time_t) (day * 86400 + day % 86400);
        assert_non_null(gmtime_r(&t, &tm));
        (void) strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.042Z", &tm);
        assert_string_equal(text((uint64_t) t, 42), want);
    }
}


static void
later_than_the_year_9999_is_its_end(void **state)
{
    assert_string_equal(text(RDY_TIME_MAX, 0), "9999-12-31T23:59:59.000Z");
    assert_string_equal(text(RDY_TIME_MAX + 1, 0),
                        "9999-12-31T23:59:59.999Z");
    assert_string_equal(text(UINT64_MAX, 5), "9999-12-31T23:59:59.999Z");
}


static void
too_many_milliseconds_are_999(void **state)
{
    assert_string_equal(text(0, 1000), "1970-01-01T00:00:00.999Z");
    assert_string_equal(text(0, (rdy_uint_t) -1), "1970-01-01T00:00:00.999Z");
}


static void
kept_text_follows_the_clock(void **state)
{
    rdy_time_t  t;

    memset(&t, 0, sizeof(t));

    rdy_time_update(&t, 0, 1);
    assert_memory_equal(t.text, "1970-01-01T00:00:00.001Z", RDY_TIME_LEN);

    rdy_time_update(&t, 0, 1000);
    assert_memory_equal(t.text, "1970-01-01T00:00:00.999Z", RDY_TIME_LEN);

    rdy_time_update(&t, 1795167000, 123);
    assert_memory_equal(t.text, "2026-11-20T09:30:00.123Z", RDY_TIME_LEN);

    rdy_time_update(&t, 1795167000, 4);
    assert_memory_equal(t.text, "2026-11-20T09:30:00.004Z", RDY_TIME_LEN);

    rdy_time_update(&t, 1795166999, 0);
    assert_memory_equal(t.text, "2026-11-20T09:29:59.000Z", RDY_TIME_LEN);

    rdy_time_update(&t, UINT64_MAX, 0);
    assert_memory_equal(t.text, "9999-12-31T23:59:59.999Z", RDY_TIME_LEN);

    rdy_time_update(&t, UINT64_MAX, 5);
    assert_memory_equal(t.text, "9999-12-31T23:59:59.999Z", RDY_TIME_LEN);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(epoch_and_the_present),
        cmocka_unit_test(leap_days),
        cmocka_unit_test(every_day_to_the_year_9999_agrees_with_libc),
        cmocka_unit_test(later_than_the_year_9999_is_its_end),
        cmocka_unit_test(too_many_milliseconds_are_999),
        cmocka_unit_test(kept_text_follows_the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
