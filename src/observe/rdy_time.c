
/*
 * Copyright (C) The readiness authors
 */


#include "observe/rdy_time.h"


#define RDY_TIME_4_YEARS    1461
#define RDY_TIME_100_YEARS  36524
#define RDY_TIME_400_YEARS  146097

/* days from 0000-03-01 to 1970-01-01 */

#define RDY_TIME_EPOCH      719468

#define RDY_TIME_MSEC       (sizeof("2026-11-20T09:30:00.") - 1)


static void rdy_time_date(uint64_t days, rdy_uint_t *year, rdy_uint_t *month,
    rdy_uint_t *day);
static u_char *rdy_time_digits(u_char *p, rdy_uint_t n, rdy_uint_t width);


void
rdy_time_rfc3339(u_char *out, uint64_t sec, rdy_uint_t msec)
{
    u_char      *p;
    rdy_uint_t   year, month, day, rest;

    if (sec > RDY_TIME_MAX) {
        sec = RDY_TIME_MAX;
        msec = 999;
    }

    if (msec > 999) {
        msec = 999;
    }

    rdy_time_date(sec / 86400, &year, &month, &day);
    rest = sec % 86400;

    p = rdy_time_digits(out, year, 4);
    *p++ = '-';
    p = rdy_time_digits(p, month, 2);
    *p++ = '-';
    p = rdy_time_digits(p, day, 2);
    *p++ = 'T';
    p = rdy_time_digits(p, rest / 3600, 2);
    *p++ = ':';
    p = rdy_time_digits(p, rest / 60 % 60, 2);
    *p++ = ':';
    p = rdy_time_digits(p, rest % 60, 2);
    *p++ = '.';
    p = rdy_time_digits(p, msec, 3);
    *p = 'Z';
}


void
rdy_time_update(rdy_time_t *t, uint64_t sec, rdy_uint_t msec)
{
    if (t->sec != sec || t->text[0] == '\0' || sec > RDY_TIME_MAX) {
        rdy_time_rfc3339(t->text, sec, msec);
        t->sec = sec;
        return;
    }

    if (msec > 999) {
        msec = 999;
    }

    (void) rdy_time_digits(t->text + RDY_TIME_MSEC, msec, 3);
}


/*
 * Years are counted from March here, so that a leap day is the last day of
 * its year; the last of four centuries, of 25 times four years, and of four
 * years is then the longer one.
 */

static void
rdy_time_date(uint64_t days, rdy_uint_t *year, rdy_uint_t *month,
    rdy_uint_t *day)
{
    rdy_uint_t  n, y, m, k;

    /* days of the year before each month, from March */

    static const uint16_t  before[] = {
        0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337
    };

    n = days + RDY_TIME_EPOCH;

    y = n / RDY_TIME_400_YEARS * 400;
    n %= RDY_TIME_400_YEARS;

    k = n / RDY_TIME_100_YEARS;
    k = (k > 3) ? 3 : k;
    y += k * 100;
    n -= k * RDY_TIME_100_YEARS;

    y += n / RDY_TIME_4_YEARS * 4;
    n %= RDY_TIME_4_YEARS;

    k = n / 365;
    k = (k > 3) ? 3 : k;
    y += k;
    n -= k * 365;

    for (m = 11; n < before[m]; m--) { /* void */ }

    *day = n - before[m] + 1;
    *month = (m < 10) ? m + 3 : m - 9;
    *year = (m < 10) ? y : y + 1;
}


static u_char *
rdy_time_digits(u_char *p, rdy_uint_t n, rdy_uint_t width)
{
    rdy_uint_t  i;

    for (i = width; i; i--) {
        p[i - 1] = (u_char) ('0' + n % 10);
        n /= 10;
    }

    return p + width;
}
