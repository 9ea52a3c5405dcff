
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "redis/rdy_sentinel.h"


/* one array reply, or the nil there may be in its place */

static u_char       buf[1024];
static rdy_items_t  w;


static void
reply(uint64_t n)
{
    w.pos = buf;
    w.end = buf + sizeof(buf);

    assert_int_equal(rdy_items_array(&w, n), RDY_OK);
}


static void
element(rdy_str_t s)
{
    assert_int_equal(rdy_items_string(&w, s.data, s.len), RDY_OK);
}


static rdy_items_t
items(void)
{
    rdy_items_t  r;

    r.pos = buf;
    r.end = w.pos;

    return r;
}


static rdy_int_t
master(rdy_str_t *host, rdy_uint_t *port)
{
    return rdy_sentinel_master(items(), host, port);
}


static rdy_int_t
names(rdy_str_t host, rdy_str_t port)
{
    rdy_str_t   h;
    rdy_uint_t  p;

    reply(2);
    element(host);
    element(port);

    return master(&h, &p);
}


static rdy_role_e
role(rdy_str_t name)
{
    reply(3);
    element(name);
    assert_int_equal(rdy_items_integer(&w, 3129659), RDY_OK);
    assert_int_equal(rdy_items_array(&w, 0), RDY_OK);

    return rdy_sentinel_role(items());
}


static void
a_master_has_a_host_and_a_port(void **state)
{
    rdy_str_t   host;
    rdy_uint_t  port;

    reply(2);
    element(str("127.0.0.1"));
    element(str("6379"));

    assert_int_equal(master(&host, &port), RDY_OK);
    assert_bytes(host.data, host.len, "127.0.0.1");
    assert_int_equal(port, 6379);

    assert_int_equal(names(str("::1"), str("1")), RDY_OK);
    assert_int_equal(names(str("fe80::1"), str("65535")), RDY_OK);
    assert_int_equal(names(str("redis-0.redis.svc"), str("6379")), RDY_OK);
    assert_int_equal(names(str("My_Host"), str("06379")), RDY_OK);
}


static void
an_unknown_master_is_nil(void **state)
{
    rdy_str_t   host;
    rdy_uint_t  port;

    w.pos = buf;
    w.end = buf + sizeof(buf);

    assert_int_equal(rdy_items_nil(&w), RDY_OK);
    assert_int_equal(master(&host, &port), RDY_DECLINED);
}


static void
a_port_is_a_number_of_one(void **state)
{
    rdy_str_t    bad[] = {
        str(""), str("0"), str("65536"), str("99999"), str("100000"),
        str("18446744073709551617"), str("-1"), str("+1"), str(" 1"),
        str("6379x"), str("6379\0")
    };
    rdy_uint_t   i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(names(str("127.0.0.1"), bad[i]), RDY_ERROR);
    }
}


static void
a_host_has_the_bytes_of_one(void **state)
{
    u_char       name[RDY_SENTINEL_HOST_LEN + 1];
    rdy_str_t    s, bad[] = {
        str(""), str(" "), str("a b"), str("a\0b"), str("a/b"),
        str("unix:/tmp/x"), str("[::1]"),
        str("fe80::1%eth0"), str("a\nb"), str("\xff")
    };
    rdy_uint_t   i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(names(bad[i], str("6379")), RDY_ERROR);
    }

    memset(name, 'a', sizeof(name));
    s.data = name;

    s.len = RDY_SENTINEL_HOST_LEN;
    assert_int_equal(names(s, str("6379")), RDY_OK);

    s.len = RDY_SENTINEL_HOST_LEN + 1;
    assert_int_equal(names(s, str("6379")), RDY_ERROR);
}


static void
another_reply_names_no_master(void **state)
{
    rdy_str_t    host = str("untouched");
    rdy_uint_t   n, port = 7;
    rdy_items_t  none;

    for (n = 0; n < 5; n++) {

        if (n == 2) {
            continue;
        }

        reply(n);
        element(str("127.0.0.1"));
        element(str("6379"));
        element(str("6379"));
        element(str("6379"));
        assert_int_equal(master(&host, &port), RDY_ERROR);
    }

    reply(2);
    element(str("127.0.0.1"));
    assert_int_equal(master(&host, &port), RDY_ERROR);

    assert_int_equal(rdy_items_integer(&w, 6379), RDY_OK);
    assert_int_equal(master(&host, &port), RDY_ERROR);

    reply(2);
    assert_int_equal(rdy_items_array(&w, 1), RDY_OK);
    element(str("127.0.0.1"));
    element(str("6379"));
    assert_int_equal(master(&host, &port), RDY_ERROR);

    w.pos = buf;
    element(str("127.0.0.1"));
    assert_int_equal(master(&host, &port), RDY_ERROR);

    none.pos = buf;
    none.end = buf;
    assert_int_equal(rdy_sentinel_master(none, &host, &port), RDY_ERROR);

    assert_bytes(host.data, host.len, "untouched");
    assert_int_equal(port, 7);
}


static void
roles_are_known_by_their_names(void **state)
{
    assert_int_equal(role(str("master")), RDY_ROLE_MASTER);
    assert_int_equal(role(str("slave")), RDY_ROLE_REPLICA);
    assert_int_equal(role(str("replica")), RDY_ROLE_REPLICA);
    assert_int_equal(role(str("sentinel")), RDY_ROLE_SENTINEL);

    assert_int_equal(role(str("Master")), RDY_ROLE_UNKNOWN);
    assert_int_equal(role(str("masters")), RDY_ROLE_UNKNOWN);
    assert_int_equal(role(str("maste")), RDY_ROLE_UNKNOWN);
    assert_int_equal(role(str("")), RDY_ROLE_UNKNOWN);
}


static void
a_role_is_the_first_of_an_array(void **state)
{
    rdy_items_t  none;

    reply(0);
    element(str("master"));
    assert_int_equal(rdy_sentinel_role(items()), RDY_ROLE_UNKNOWN);

    reply(1);
    assert_int_equal(rdy_sentinel_role(items()), RDY_ROLE_UNKNOWN);

    reply(1);
    assert_int_equal(rdy_items_array(&w, 1), RDY_OK);
    element(str("master"));
    assert_int_equal(rdy_sentinel_role(items()), RDY_ROLE_UNKNOWN);

    w.pos = buf;
    element(str("master"));
    assert_int_equal(rdy_sentinel_role(items()), RDY_ROLE_UNKNOWN);

    none.pos = buf;
    none.end = buf;
    assert_int_equal(rdy_sentinel_role(none), RDY_ROLE_UNKNOWN);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_master_has_a_host_and_a_port),
        cmocka_unit_test(an_unknown_master_is_nil),
        cmocka_unit_test(a_port_is_a_number_of_one),
        cmocka_unit_test(a_host_has_the_bytes_of_one),
        cmocka_unit_test(another_reply_names_no_master),
        cmocka_unit_test(roles_are_known_by_their_names),
        cmocka_unit_test(a_role_is_the_first_of_an_array)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
