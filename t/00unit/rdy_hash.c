
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>


static uint64_t
number(const u_char *p)
{
    int       i;
    uint64_t  n;

    for (i = 7, n = 0; i >= 0; i--) {
        n = n << 8 | p[i];
    }

    return n;
}


/* key and text of the vectors of the authors of SipHash: 00 01 02 ... */

static void
published_vectors(void **state)
{
    int       i;
    u_char    key[16], text[64];
    uint64_t  out[2];

    for (i = 0; i < 64; i++) {
        text[i] = i;
    }

    memcpy(key, text, 16);

    rdy_hash128(key, text, 0, out);
    assert_int_equal(out[0], number((u_char *)
                                    "\xa3\x81\x7f\x04\xba\x25\xa8\xe6"));
    assert_int_equal(out[1], number((u_char *)
                                    "\x6d\xf6\x72\x14\xc7\x55\x02\x93"));

    rdy_hash128(key, text, 1, out);
    assert_int_equal(out[0], number((u_char *)
                                    "\xda\x87\xc1\xd8\x6b\x99\xaf\x44"));
    assert_int_equal(out[1], number((u_char *)
                                    "\x34\x76\x59\x11\x9b\x22\xfc\x45"));
}


static void
any_length_agrees_with_another_implementation(void **state)
{
    size_t        i, len, size;
    u_char       *text, key[16], mac[16];
    EVP_MAC      *siphash;
    uint64_t      out[2];
    unsigned int  want = 16;
    EVP_MAC_CTX  *ctx;

    OSSL_PARAM  params[] = {
        OSSL_PARAM_uint(OSSL_MAC_PARAM_SIZE, &want), OSSL_PARAM_END
    };

    siphash = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    assert_non_null(siphash);
    ctx = EVP_MAC_CTX_new(siphash);

    for (len = 0; len < 600; len++) {
        text = malloc(len ? len : 1);

        for (i = 0; i < len; i++) {
            text[i] = rand();
        }

        for (i = 0; i < 16; i++) {
            key[i] = rand();
        }

        assert_int_equal(EVP_MAC_init(ctx, key, 16, params), 1);
        assert_int_equal(EVP_MAC_update(ctx, text, len), 1);
        assert_int_equal(EVP_MAC_final(ctx, mac, &size, sizeof(mac)), 1);
        assert_int_equal(size, 16);

        rdy_hash128(key, text, len, out);
        assert_int_equal(out[0], number(mac));
        assert_int_equal(out[1], number(mac + 8));

        free(text);
    }

    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(siphash);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(any_length_agrees_with_another_implementation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
