
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_batch.h"


static const rdy_rate_t  bucket = { 1, 1, 1, RDY_RATE_BUCKET };


/* the reply's bytes on the heap, so that a byte read past them is seen */

static rdy_batch_reply_t
reply_of(const char *data, size_t len)
{
    u_char             *p;
    rdy_batch_reply_t   reply;

    p = malloc(len ? len : 1);
    memcpy(p, data, len);

    reply.pos = p;
    reply.end = p + len;

    return reply;
}

#define reply_bytes(s)  reply_of((s), sizeof(s) - 1)


static void
free_reply(rdy_batch_reply_t *reply, size_t read)
{
    free((u_char *) reply->pos - read);
}


static void
request_is_its_number_of_limits(void **state)
{
    u_char  out[1];

    assert_int_equal(rdy_batch_request(out, 1), RDY_BATCH_REQUEST_LEN);
    assert_int_equal(out[0], 1);

    assert_int_equal(rdy_batch_request(out, RDY_BATCH_KEYS), 1);
    assert_int_equal(out[0], 128);
}


static void
limit_is_four_little_endian_doubles_and_flags(void **state)
{
    u_char      *out;
    rdy_rate_t   rate = { 100, 60, 1000000000, RDY_RATE_BUCKET };

    out = malloc(RDY_BATCH_LIMIT_LEN);

    assert_bytes(out, rdy_batch_limit(out, &rate, 3, 0),
                 "\x00\x00\x00\x00\x00\x00\x59\x40"
                 "\x00\x00\x00\x00\x00\x00\x4e\x40"
                 "\x00\x00\x00\x00\x65\xcd\xcd\x41"
                 "\x00\x00\x00\x00\x00\x00\x08\x40"
                 "\x00");

    free(out);
}


static void
C16_monitor_is_the_lowest_flag(void **state)
{
    u_char      out[RDY_BATCH_LIMIT_LEN];
    rdy_rate_t  rate = { 1, 1, 1, RDY_RATE_BUCKET };

    (void) rdy_batch_limit(out, &rate, 1, 1);
    assert_int_equal(out[32], 1);

    (void) rdy_batch_limit(out, &rate, 1, 0x10);
    assert_int_equal(out[32], 1);
}


static void
reply_is_read_in_order(void **state)
{
    rdy_uint_t         admitted, fits;
    rdy_batch_state_t  b;
    rdy_batch_reply_t  reply;

    reply = reply_bytes("\x01"
                        "\x01\x00\x00\x00\x00\x80\x84\x2e\x41"  /* 10^6 */
                        "\x00\x00\x00\x00\x00\x00\x00\x40"      /* 2 */
                        "\x00\x00\x00\x00\x00\x80\x84\x3e\x41"  /* 2*10^6 */
                        "\x00\x00\x00\x00\x00\x00\x00\x00"
                        "\x00"
                        "\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                        "\x00\x00\x00\x00\x00\x00\x00\x00");

    assert_int_equal(rdy_batch_reply_request(&reply, &admitted), RDY_OK);
    assert_int_equal(admitted, 1);

    b.bucket.at = 7;
    assert_int_equal(rdy_batch_reply_limit(&reply, &bucket, &fits, &b), RDY_OK);
    assert_int_equal(fits, 1);
    assert_int_equal(b.bucket.spent, 1000000);
    assert_int_equal(b.bucket.at, 0);

    assert_int_equal(rdy_batch_reply_limit(&reply, &bucket, &fits, &b), RDY_OK);
    assert_int_equal(fits, 0);
    assert_int_equal(b.bucket.spent, 2000000);

    assert_int_equal(rdy_batch_reply_request(&reply, &admitted), RDY_OK);
    assert_int_equal(admitted, 0);

    assert_int_equal(rdy_batch_reply_limit(&reply, &bucket, &fits, &b), RDY_OK);
    assert_int_equal(fits, 0);
    assert_int_equal(b.bucket.spent, 0);

    assert_ptr_equal(reply.pos, reply.end);
    assert_int_equal(rdy_batch_reply_request(&reply, &admitted), RDY_ERROR);
    assert_int_equal(rdy_batch_reply_limit(&reply, &bucket, &fits, &b), RDY_ERROR);

    free_reply(&reply, 53);
}


static void
G07_reply_cut_anywhere_is_an_error(void **state)
{
    size_t             len;
    rdy_uint_t         fits;
    rdy_batch_state_t  b;
    rdy_batch_reply_t  reply;

    for (len = 0; len < 17; len++) {
        reply = reply_of("\x01\x00\x00\x00\x00\x80\x84\x2e\x41"
                         "\x00\x00\x00\x00\x00\x00\x00\x40", len);

        assert_int_equal(rdy_batch_reply_limit(&reply, &bucket, &fits, &b), RDY_ERROR);
        free_reply(&reply, 0);
    }
}


static void
G07_verdict_is_0_or_1(void **state)
{
    int                c;
    char               byte, text[17];
    rdy_uint_t         admitted, fits;
    rdy_batch_state_t  b;
    rdy_batch_reply_t  reply;

    memset(text, 0, sizeof(text));

    for (c = 0; c < 256; c++) {
        byte = (char) c;
        reply = reply_of(&byte, 1);

        assert_int_equal(rdy_batch_reply_request(&reply, &admitted),
                         c > 1 ? RDY_ERROR : RDY_OK);
        free_reply(&reply, c > 1 ? 0 : 1);

        text[0] = byte;
        reply = reply_of(text, 17);

        assert_int_equal(rdy_batch_reply_limit(&reply, &bucket, &fits, &b),
                         c > 1 ? RDY_ERROR : RDY_OK);
        free_reply(&reply, c > 1 ? 0 : 17);
    }
}


static rdy_int_t
spent(double number, uint64_t *n)
{
    char               text[17];
    rdy_int_t          rc;
    rdy_uint_t         fits;
    rdy_batch_state_t  b;
    rdy_batch_reply_t  reply;

    memset(text, 0, sizeof(text));
    text[0] = 1;
    memcpy(text + 1, &number, 8);
    reply = reply_of(text, 17);

    rc = rdy_batch_reply_limit(&reply, &bucket, &fits, &b);
    *n = b.bucket.spent;

    free_reply(&reply, rc == RDY_OK ? 17 : 0);

    return rc;
}


static void
G07_only_a_number_up_to_2_60_is_spent(void **state)
{
    uint64_t  n;

    assert_int_equal(spent(0.0, &n), RDY_OK);
    assert_int_equal(n, 0);

    assert_int_equal(spent(9e15, &n), RDY_OK);
    assert_int_equal(n, 9000000000000000);

    assert_int_equal(spent(0x1p60, &n), RDY_OK);
    assert_int_equal(n, (uint64_t) 1 << 60);

    assert_int_equal(spent(0x1.0000000000001p60, &n), RDY_ERROR);
    assert_int_equal(spent(1e300, &n), RDY_ERROR);
    assert_int_equal(spent(-1.0, &n), RDY_ERROR);
    assert_int_equal(spent(__builtin_inf(), &n), RDY_ERROR);
    assert_int_equal(spent(-__builtin_inf(), &n), RDY_ERROR);
    assert_int_equal(spent(__builtin_nan(""), &n), RDY_ERROR);
    assert_int_equal(spent(-__builtin_nan(""), &n), RDY_ERROR);
}


static void
script_is_text_of_a_moderate_size(void **state)
{
    size_t  i;
    u_char  c;

    assert_in_range(rdy_batch_script.len, 500, 16384);

    for (i = 0; i < rdy_batch_script.len; i++) {
        c = rdy_batch_script.data[i];
        assert_true(c == '\n' || (c >= ' ' && c <= '~'));
    }
}


static const rdy_rate_t  quota = { 9, 60, 9, RDY_RATE_QUOTA };
static const rdy_rate_t  slots = { 9, 60, 9, RDY_RATE_CONCURRENT };


static void
begin_is_the_holder(void **state)
{
    u_char  out[RDY_BATCH_BEGIN_LEN];

    assert_bytes(out, rdy_batch_begin(out, (u_char *) "\0\1\2\3\4\5\6\xff"),
                 "\0\1\2\3\4\5\6\xff");
}


static void
kind_is_in_the_flags(void **state)
{
    u_char  out[RDY_BATCH_LIMIT_LEN];

    (void) rdy_batch_limit(out, &quota, 1, 0);
    assert_int_equal(out[32], 2);

    (void) rdy_batch_limit(out, &quota, 1, 1);
    assert_int_equal(out[32], 3);

    (void) rdy_batch_limit(out, &slots, 1, 0);
    assert_int_equal(out[32], 4);
}


/* each into a block of its length, so that a byte written past it is seen */

static void
operations_are_as_long_as_they_say(void **state)
{
    u_char  *out;

    out = malloc(RDY_BATCH_TAKE_LEN);
    assert_int_equal(rdy_batch_take(out, &bucket, 3, 4), RDY_BATCH_TAKE_LEN);
    assert_int_equal(out[0], 0xf1);
    assert_memory_equal(out + 25, "\0\0\0\0\0\0\x08\x40", 8);
    assert_int_equal(out[33], 0);
    assert_memory_equal(out + 34, "\0\0\0\0\0\0\x10\x40", 8);
    free(out);

    out = malloc(RDY_BATCH_CHARGE_LEN);
    assert_int_equal(rdy_batch_charge(out, &quota, 3, 0),
                     RDY_BATCH_CHARGE_LEN);
    assert_int_equal(out[0], 0xf2);
    assert_int_equal(out[33], 2);
    (void) rdy_batch_charge(out, &bucket, 3, 1);
    assert_int_equal(out[33], 1);
    free(out);

    out = malloc(RDY_BATCH_HOLD_LEN);
    assert_int_equal(rdy_batch_hold(out, 3, 4), RDY_BATCH_HOLD_LEN);
    assert_int_equal(out[0], 0xf3);
    assert_memory_equal(out + 17, "\0\0\0\0\0\0\x08\x40", 8);
    assert_memory_equal(out + 25, "\0\0\0\0\0\0\x10\x40", 8);
    assert_int_equal(out[33], 4);
    free(out);

    assert_true(RDY_BATCH_REQUEST_LEN + RDY_BATCH_LIMIT_LEN
                <= RDY_BATCH_TAKE_LEN);
}


/* doubles 1, 2, 3 .. behind the first byte */

static rdy_batch_reply_t
numbers(u_char first, size_t n)
{
    char     text[80];
    double   d;
    size_t   i;

    text[0] = (char) first;

    for (i = 0; i < n; i++) {
        d = i + 1;
        memcpy(text + 1 + i * 8, &d, 8);
    }

    return reply_of(text, 1 + n * 8);
}


static void
each_kind_tells_its_own(void **state)
{
    uint64_t           got, extra, sum;
    rdy_uint_t         fits;
    rdy_batch_reply_t  reply;
    rdy_batch_state_t  st;

    reply = numbers(1, 2);
    assert_int_equal(rdy_batch_reply_limit(&reply, &bucket, &fits, &st),
                     RDY_OK);
    assert_int_equal(st.bucket.spent, 1);
    assert_int_equal(st.total, 2);
    assert_int_equal(st.used, 0);
    assert_ptr_equal(reply.pos, reply.end);
    free_reply(&reply, 17);

    reply = numbers(0, 4);
    assert_int_equal(rdy_batch_reply_limit(&reply, &quota, &fits, &st),
                     RDY_OK);
    assert_int_equal(fits, 0);
    assert_int_equal(st.used, 1);
    assert_int_equal(st.next, 2);
    assert_int_equal(st.retry, 3);
    assert_int_equal(st.full, 4);
    assert_ptr_equal(reply.pos, reply.end);
    free_reply(&reply, RDY_BATCH_REPLY_LIMIT_LEN);

    reply = numbers(1, 1);
    assert_int_equal(rdy_batch_reply_limit(&reply, &slots, &fits, &st),
                     RDY_OK);
    assert_int_equal(st.used, 1);
    assert_int_equal(st.next, 0);
    assert_int_equal(st.retry, 1000000);
    assert_int_equal(st.full, 60000000);
    assert_ptr_equal(reply.pos, reply.end);
    free_reply(&reply, 9);

    reply = numbers(0, 6);
    reply.pos++;
    assert_int_equal(rdy_batch_reply_take(&reply, &quota, &got, &extra, &st),
                     RDY_OK);
    assert_int_equal(got, 1);
    assert_int_equal(extra, 2);
    assert_int_equal(st.used, 3);
    assert_int_equal(st.full, 6);
    assert_ptr_equal(reply.pos, reply.end);
    free_reply(&reply, 1 + RDY_BATCH_REPLY_TAKE_LEN);

    reply = numbers(0, 1);
    reply.pos++;
    assert_int_equal(rdy_batch_reply_hold(&reply, &sum), RDY_OK);
    assert_int_equal(sum, 1);
    assert_ptr_equal(reply.pos, reply.end);
    assert_int_equal(rdy_batch_reply_hold(&reply, &sum), RDY_ERROR);
    free_reply(&reply, 9);
}


static void
G07_every_kind_cut_anywhere_is_an_error_and_changes_nothing(void **state)
{
    size_t             len, n;
    uint64_t           got, extra;
    rdy_uint_t         i, fits;
    rdy_batch_reply_t  reply;
    rdy_batch_state_t  st;
    const rdy_rate_t  *rate[] = { &bucket, &quota, &slots };
    const size_t       need[] = { 16, 32, 8 };

    for (i = 0; i < 3; i++) {
        for (len = 0; len < need[i]; len++) {
            reply = numbers(1, need[i] / 8);
            reply.end = reply.pos + len + 1;
            fits = 7;
            st.used = 77;
            assert_int_equal(rdy_batch_reply_limit(&reply, rate[i], &fits,
                                                   &st), RDY_ERROR);
            assert_int_equal(fits, 7);
            assert_int_equal(st.used, 77);
            free_reply(&reply, 0);
        }

        for (len = 0; len < 16 + need[i]; len++) {
            n = 2 + need[i] / 8;
            reply = numbers(1, n);
            reply.pos++;
            reply.end = reply.pos + len;
            got = 7;
            assert_int_equal(rdy_batch_reply_take(&reply, rate[i], &got,
                                                  &extra, &st), RDY_ERROR);
            assert_int_equal(got, 7);
            assert_int_equal(st.used, 77);
            free_reply(&reply, 1);
        }
    }
}


static void
view_of_every_kind(void **state)
{
    rdy_rate_view_t    view;
    rdy_batch_state_t  st;

    const rdy_rate_t  minute = { 60, 60, 10, RDY_RATE_BUCKET };

    memset(&st, 0, sizeof(st));
    st.bucket.spent = 9500000;
    rdy_batch_view(&minute, &st, 1, &view);
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.retry, 500000);

    memset(&st, 0, sizeof(st));
    st.used = 7;
    st.next = 5;
    st.full = 9;
    rdy_batch_view(&quota, &st, 2, &view);
    assert_int_equal(view.remaining, 2);
    assert_int_equal(view.next, 5);
    assert_int_equal(view.full, 9);
    assert_int_equal(view.retry, 0);

    st.retry = 8;
    rdy_batch_view(&quota, &st, 3, &view);
    assert_int_equal(view.retry, 8);

    st.used = 12;
    rdy_batch_view(&quota, &st, 1, &view);
    assert_int_equal(view.remaining, 0);
    assert_int_equal(view.retry, 8);

    rdy_batch_view(&quota, &st, 0, &view);
    assert_int_equal(view.retry, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(request_is_its_number_of_limits),
        cmocka_unit_test(limit_is_four_little_endian_doubles_and_flags),
        cmocka_unit_test(C16_monitor_is_the_lowest_flag),
        cmocka_unit_test(reply_is_read_in_order),
        cmocka_unit_test(G07_reply_cut_anywhere_is_an_error),
        cmocka_unit_test(G07_verdict_is_0_or_1),
        cmocka_unit_test(G07_only_a_number_up_to_2_60_is_spent),
        cmocka_unit_test(begin_is_the_holder),
        cmocka_unit_test(kind_is_in_the_flags),
        cmocka_unit_test(operations_are_as_long_as_they_say),
        cmocka_unit_test(each_kind_tells_its_own),
        cmocka_unit_test(
            G07_every_kind_cut_anywhere_is_an_error_and_changes_nothing),
        cmocka_unit_test(view_of_every_kind),
        cmocka_unit_test(script_is_text_of_a_moderate_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
