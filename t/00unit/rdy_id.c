
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "client/rdy_id.h"


#define NOW  UINT64_C(0x017f22e279b0)


static const u_char  zeros[16];

static const u_char  ones[16] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
};


static void
uuid7_has_time_version_and_variant(void **state)
{
    u_char          out[RDY_ID_UUID_LEN];
    rdy_id_clock_t  clock;

    memset(&clock, 0, sizeof(clock));
    rdy_id_uuid7(&clock, NOW, zeros, out);
    assert_bytes(out, sizeof(out), "017f22e2-79b0-7000-8000-000000000000");

    memset(&clock, 0, sizeof(clock));
    rdy_id_uuid7(&clock, NOW, ones, out);
    assert_bytes(out, sizeof(out), "017f22e2-79b0-77ff-bfff-ffffffffffff");

    memset(&clock, 0, sizeof(clock));
    rdy_id_uuid7(&clock, NOW, (u_char *) "\xf1\x23\x45\x67\x89\xab\xcd\xef"
                                         "\x01\x23", out);
    assert_bytes(out, sizeof(out), "017f22e2-79b0-7123-8567-89abcdef0123");
}


static void
uuid7_counts_within_a_millisecond(void **state)
{
    u_char          out[RDY_ID_UUID_LEN];
    rdy_id_clock_t  clock;

    memset(&clock, 0, sizeof(clock));
    rdy_id_uuid7(&clock, NOW, zeros, out);
    rdy_id_uuid7(&clock, NOW, ones, out);
    assert_bytes(out, sizeof(out), "017f22e2-79b0-7001-bfff-ffffffffffff");

    rdy_id_uuid7(&clock, NOW + 1, ones, out);
    assert_bytes(out, sizeof(out), "017f22e2-79b1-77ff-bfff-ffffffffffff");
}


static void
uuid7_runs_ahead_when_the_counter_overflows(void **state)
{
    u_char          out[RDY_ID_UUID_LEN];
    rdy_uint_t      i;
    rdy_id_clock_t  clock;

    memset(&clock, 0, sizeof(clock));

    for (i = 0; i < 4096; i++) {
        rdy_id_uuid7(&clock, NOW, zeros, out);
    }

    assert_bytes(out, sizeof(out), "017f22e2-79b0-7fff-8000-000000000000");

    rdy_id_uuid7(&clock, NOW, ones, out);
    assert_bytes(out, sizeof(out), "017f22e2-79b1-77ff-bfff-ffffffffffff");

    /* the time that was borrowed is not used again */

    rdy_id_uuid7(&clock, NOW + 1, zeros, out);
    assert_bytes(out, sizeof(out), "017f22e2-79b1-7800-8000-000000000000");
}


static void
C14_uuid7_keeps_the_last_time_when_the_clock_steps_back(void **state)
{
    u_char          out[RDY_ID_UUID_LEN];
    rdy_id_clock_t  clock;

    memset(&clock, 0, sizeof(clock));
    rdy_id_uuid7(&clock, NOW, zeros, out);
    rdy_id_uuid7(&clock, NOW - 3600000, zeros, out);
    assert_bytes(out, sizeof(out), "017f22e2-79b0-7001-8000-000000000000");
    rdy_id_uuid7(&clock, 0, zeros, out);
    assert_bytes(out, sizeof(out), "017f22e2-79b0-7002-8000-000000000000");
}


static void
B03_uuid7_rises_strictly(void **state)
{
    u_char          out[RDY_ID_UUID_LEN], last[RDY_ID_UUID_LEN], rnd[10];
    uint32_t        seed;
    uint64_t        now;
    rdy_uint_t      i, j;
    rdy_id_clock_t  clock;

    memset(&clock, 0, sizeof(clock));
    memset(last, 0, sizeof(last));

    now = NOW;
    seed = 1;

    for (i = 0; i < 200000; i++) {

        for (j = 0; j < sizeof(rnd); j++) {
            seed = seed * 1103515245 + 12345;
            rnd[j] = (u_char) (seed >> 16);
        }

        if (i % 5000 == 0) {
            now += (seed >> 8 & 3);
            now -= (seed >> 10 & 1);
        }

        rdy_id_uuid7(&clock, now, rnd, out);
        assert_true(memcmp(last, out, sizeof(out)) < 0);
        memcpy(last, out, sizeof(out));
    }
}


static void
B03_same_time_and_other_random_bytes_are_another_id(void **state)
{
    u_char          one[RDY_ID_UUID_LEN], two[RDY_ID_UUID_LEN], rnd[10];
    rdy_uint_t      i;
    rdy_id_clock_t  clock;

    /* two workers: each byte of rnd but the bits that are cut off counts */

    memset(&clock, 0, sizeof(clock));
    rdy_id_uuid7(&clock, NOW, zeros, one);

    for (i = 0; i < sizeof(rnd); i++) {
        memset(rnd, 0, sizeof(rnd));
        rnd[i] = 1;
        memset(&clock, 0, sizeof(clock));
        rdy_id_uuid7(&clock, NOW, rnd, two);
        assert_memory_not_equal(one, two, sizeof(one));
    }
}


static void
uuid4_has_version_and_variant(void **state)
{
    u_char  out[RDY_ID_UUID_LEN];

    rdy_id_uuid4(zeros, out);
    assert_bytes(out, sizeof(out), "00000000-0000-4000-8000-000000000000");

    rdy_id_uuid4(ones, out);
    assert_bytes(out, sizeof(out), "ffffffff-ffff-4fff-bfff-ffffffffffff");

    rdy_id_uuid4((u_char *) "\x01\x23\x45\x67\x89\xab\xcd\xef"
                            "\xfe\xdc\xba\x98\x76\x54\x32\x10", out);
    assert_bytes(out, sizeof(out), "01234567-89ab-4def-bedc-ba9876543210");
}


static void
hex_is_lower_case(void **state)
{
    u_char  out[RDY_ID_HEX_LEN];

    rdy_id_hex((u_char *) "\x01\x23\x45\x67\x89\xab\xcd\xef"
                          "\xfe\xdc\xba\x98\x76\x54\x32\x10", out);
    assert_bytes(out, sizeof(out), "0123456789abcdeffedcba9876543210");
}


static rdy_uint_t
valid(const char *data, size_t len)
{
    rdy_str_t   id;
    rdy_uint_t  rc;

    id.len = len;
    id.data = malloc(len ? len : 1);
    memcpy(id.data, data, len);
    rc = rdy_id_valid(&id);
    free(id.data);

    return rc;
}


static void
made_ids_are_valid(void **state)
{
    u_char          out[RDY_ID_UUID_LEN];
    rdy_id_clock_t  clock;

    memset(&clock, 0, sizeof(clock));
    rdy_id_uuid7(&clock, NOW, ones, out);
    assert_true(valid((char *) out, RDY_ID_UUID_LEN));

    rdy_id_hex(ones, out);
    assert_true(valid((char *) out, RDY_ID_HEX_LEN));
}


static void
B02_inbound_id_is_of_8_to_128_bytes(void **state)
{
    char  id[200];

    memset(id, 'a', sizeof(id));

    assert_false(valid(id, 0));
    assert_false(valid(id, 7));
    assert_true(valid(id, 8));
    assert_true(valid(id, 128));
    assert_false(valid(id, 129));
    assert_false(valid(id, 200));
}


static void
B02_inbound_id_has_only_safe_bytes(void **state)
{
    char        id[8];
    rdy_uint_t  i, pos, ok;

    static const char  allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789._+/=-";

    for (i = 0; i < 256; i++) {
        ok = (i && strchr(allowed, (int) i) != NULL);

        for (pos = 0; pos < 8; pos += 7) {
            memset(id, 'a', sizeof(id));
            id[pos] = (char) i;
            assert_int_equal(valid(id, 8), ok);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(uuid7_has_time_version_and_variant),
        cmocka_unit_test(uuid7_counts_within_a_millisecond),
        cmocka_unit_test(uuid7_runs_ahead_when_the_counter_overflows),
        cmocka_unit_test(
            C14_uuid7_keeps_the_last_time_when_the_clock_steps_back),
        cmocka_unit_test(B03_uuid7_rises_strictly),
        cmocka_unit_test(B03_same_time_and_other_random_bytes_are_another_id),
        cmocka_unit_test(uuid4_has_version_and_variant),
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(made_ids_are_valid),
        cmocka_unit_test(B02_inbound_id_is_of_8_to_128_bytes),
        cmocka_unit_test(B02_inbound_id_has_only_safe_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
