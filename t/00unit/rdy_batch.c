
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
        cmocka_unit_test(script_is_text_of_a_moderate_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
