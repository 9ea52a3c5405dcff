
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "client/rdy_names.h"

#include <ctype.h>


static const char *forwarding[] = {
    "Forwarded", "X-Forwarded", "Forwarded-For",
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
    "X-Forwarded-Port", "X-Forwarded-By", "X-Forwarded-Server",
    "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Forwarded-Uri",
    "X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Prefix",
    "X-Forwarded-Protocol",
    "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP",
    "CF-Connecting-IP", "CF-Connecting-IPv6", "Fastly-Client-IP",
    "X-Original-Forwarded-For", "X-Original-Host", "X-Original-URL",
    "X-Original-URI", "X-Original-Method", "X-Rewrite-URL", "X-Host",
    "Front-End-Https", "X-Url-Scheme", "Proxy", "X-Envoy-External-Address",
    "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Appengine-User-IP",
    "X-ProxyUser-Ip", "WL-Proxy-Client-IP", "Proxy-Client-IP", NULL
};


static const char *ordinary[] = {
    "Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language",
    "Cookie", "Connection", "Content-Type", "Content-Length", "Cache-Control",
    "Authorization", "Origin", "Referer", "If-None-Match", "Range", "Via",
    "X-Request-Id", "X-Requested-With", "X-HTTP-Method-Override", "X-Tenant",
    "X-Api-Key", "X-CSRF-Token", "Proxy-Authorization", "Proxy-Connection",
    "Traceparent", "Tracestate", "Transfer-Encoding", "Priority",
    "Sec-Fetch-Site", "Upgrade-Insecure-Requests", "X", "P", "", NULL
};


static rdy_uint_t
is_forwarding(const char *name, size_t len)
{
    u_char      *p;
    rdy_uint_t   rc;

    p = malloc(len ? len : 1);
    memcpy(p, name, len);
    rc = rdy_names_forwarding(p, len);
    free(p);

    return rc;
}


static rdy_uint_t
equal(const char *a, const char *b)
{
    return rdy_names_equal((u_char *) a, strlen(a), (u_char *) b, strlen(b));
}


static void
A14_names_fold(void **state)
{
    assert_true(equal("X-Forwarded-For", "x-forwarded-for"));
    assert_true(equal("X_Forwarded_For", "X-Forwarded-For"));
    assert_true(equal("x.forwarded for", "X-Forwarded-For"));
    assert_true(equal("X\xe4" "A", "x-a"));
    assert_true(equal("", ""));
    assert_false(equal("X-Forwarded-For", "X-Forwarded-Fox"));
    assert_false(equal("X-Forwarded-For", "X-Forwarded-Fo"));
    assert_false(equal("a1", "a2"));
    assert_false(equal("a1", "a-"));
    assert_false(equal("a9", "a-"));
    assert_false(equal("z", "-"));
    assert_int_equal(equal("a", "a"), 1);
    assert_false(equal("XForwardedFor", "X-Forwarded-For"));

    /* what differs by the bit of the letter case is not always a letter */

    assert_false(equal("0", "\x10"));
    assert_true(equal("@", "`"));
    assert_true(equal("[", "{"));
}


static void
A14_forwarding_names_are_found_in_any_spelling(void **state)
{
    char    name[64];
    size_t  i, j, len;

    for (i = 0; forwarding[i]; i++) {
        len = strlen(forwarding[i]);
        assert_int_equal(is_forwarding(forwarding[i], len), 1);

        for (j = 0; j < len; j++) {
            name[j] = (char) toupper((u_char) forwarding[i][j]);
            name[j] = (name[j] == '-') ? '_' : name[j];
        }

        assert_true(is_forwarding(name, len));

        for (j = 0; j < len; j++) {
            name[j] = (char) tolower((u_char) forwarding[i][j]);
            name[j] = (name[j] == '-') ? '.' : name[j];
        }

        assert_true(is_forwarding(name, len));
    }
}


static void
A14_names_nearby_are_not_forwarding(void **state)
{
    char    name[64];
    size_t  i, j, len;

    for (i = 0; forwarding[i]; i++) {
        len = strlen(forwarding[i]);
        strcpy(name, forwarding[i]);

        /* any X-Original-* is one, and X-Forwarded is part of others */

        j = (strncmp(name, "X-Original-", 11) == 0) ? 11 : len;

        while (j--) {
            name[j] = 'q';
            assert_false(is_forwarding(name, len));
            name[j] = forwarding[i][j];
        }

        strcat(name, "q");

        if (strncmp(name, "X-Original-", 11) != 0) {
            assert_false(is_forwarding(name, len + 1));
        }

        assert_false(is_forwarding(forwarding[i] + 1, len - 1)
                     && strcmp(forwarding[i] + 1, "X-Forwarded") != 0);
    }
}


static void
A18_anything_original_is_forwarding(void **state)
{
    assert_int_equal(is_forwarding("X-Original-Remote-Addr", 22), 1);
    assert_true(is_forwarding("x_original_a", 12));
    assert_false(is_forwarding("X-Original-", 11));
    assert_false(is_forwarding("X-Original", 10));
    assert_false(is_forwarding("X-Originals-Host", 16));
}


static void
ordinary_names_are_not_forwarding(void **state)
{
    char    name[256];
    size_t  i;

    assert_false(rdy_names_forwarding(NULL, 0));

    for (i = 0; ordinary[i]; i++) {
        assert_false(is_forwarding(ordinary[i], strlen(ordinary[i])));
    }

    memset(name, 'x', sizeof(name));

    for (i = 0; i < sizeof(name); i++) {
        assert_false(is_forwarding(name, i));
    }
}


static void
first_byte_of_any_value_is_safe(void **state)
{
    char        name[32];
    size_t      len;
    rdy_uint_t  i;

    memset(name, 'a', sizeof(name));

    for (i = 0; i < 256; i++) {
        name[0] = (char) i;

        for (len = 1; len < sizeof(name); len++) {
            assert_false(is_forwarding(name, len));
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(A14_names_fold),
        cmocka_unit_test(A14_forwarding_names_are_found_in_any_spelling),
        cmocka_unit_test(A14_names_nearby_are_not_forwarding),
        cmocka_unit_test(A18_anything_original_is_forwarding),
        cmocka_unit_test(ordinary_names_are_not_forwarding),
        cmocka_unit_test(first_byte_of_any_value_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
