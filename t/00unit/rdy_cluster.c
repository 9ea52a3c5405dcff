
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "redis/rdy_cluster.h"


#define ID    "07c37dfeb235213a872192d90877d0cd55635b91 "
#define REST  " 0 1426238317239 4 connected"


static rdy_cluster_map_t     map;
static rdy_cluster_target_t  target;


/* NULL: the text was taken; else why not */

static const char *
refused(rdy_str_t text)
{
    const char  *why;
    u_char      *copy;
    rdy_int_t    rc;

    /* its exact size, for the sanitizer; the map's strings are not read */

    copy = malloc(text.len ? text.len : 1);
    memcpy(copy, text.data, text.len);
    text.data = copy;

    rc = rdy_cluster_nodes(&text, &map, &why);
    free(copy);

    assert_int_equal(rc, why ? RDY_ERROR : RDY_OK);

    return why;
}


static void
taken(rdy_str_t text)
{
    const char  *why;

    assert_int_equal(rdy_cluster_nodes(&text, &map, &why), RDY_OK);
    assert_null(why);
}


static rdy_cluster_error_e
means(rdy_str_t text)
{
    memset(&target, 0, sizeof(target));

    return rdy_cluster_error(&text, &target);
}


static rdy_uint_t
slot(rdy_str_t key)
{
    return rdy_cluster_slot(&key);
}


static void
a_key_has_the_slot_that_redis_gives_it(void **state)
{
    assert_int_equal(slot(str("123456789")), 12739);
    assert_int_equal(slot(str("foo")), 12182);
    assert_int_equal(slot(str("")), 0);
}


static void
a_hash_tag_is_what_counts(void **state)
{
    assert_int_equal(slot(str("{user1000}.following")), 3443);
    assert_int_equal(slot(str("{user1000}.followers")), 3443);
    assert_int_equal(slot(str("user1000")), 3443);
    assert_int_equal(slot(str("foo{}{bar}")), 8363);
    assert_int_equal(slot(str("foo{{bar}}zap")), 4015);
    assert_int_equal(slot(str("{bar")), 4015);
    assert_int_equal(slot(str("foo{bar}{zap}")), slot(str("bar")));
    assert_int_equal(slot(str("rdy:api:{123456789}")), 12739);
    assert_int_not_equal(slot(str("}foo{")), slot(str("foo")));
}


static void
the_map_of_a_small_cluster(void **state)
{
    taken(str(ID "127.0.0.1:30004@31004,hostname4 slave e7d1eecc" REST "\n"
              ID "127.0.0.1:30002@31002,hostname2 master -" REST
              " 5461-10922\n"
              ID "127.0.0.1:30003@31003 master,fail? -" REST
              " 10923-16382 16383\n"
              ID "127.0.0.1:30005@31005 slave,fail e7d1eecc" REST "\n"
              ID "127.0.0.1:30001@31001,,shard-id=69bc myself,master -" REST
              " 0-5460\n"));

    assert_int_equal(map.nnodes, 5);
    assert_int_equal(map.nslots, 16384);

    assert_int_equal(map.slots[0], 4);
    assert_int_equal(map.slots[5460], 4);
    assert_int_equal(map.slots[5461], 1);
    assert_int_equal(map.slots[10922], 1);
    assert_int_equal(map.slots[10923], 2);
    assert_int_equal(map.slots[16383], 2);

    assert_bytes(map.nodes[0].host.data, map.nodes[0].host.len, "127.0.0.1");
    assert_bytes(map.nodes[0].name.data, map.nodes[0].name.len, "hostname4");
    assert_int_equal(map.nodes[0].port, 30004);
    assert_int_equal(map.nodes[0].replica, 1);
    assert_int_equal(map.nodes[0].failed, 0);

    assert_int_equal(map.nodes[1].replica, 0);
    assert_int_equal(map.nodes[2].name.len, 0);
    assert_int_equal(map.nodes[2].failed, 0);
    assert_int_equal(map.nodes[3].failed, 1);
    assert_int_equal(map.nodes[4].myself, 1);
    assert_int_equal(map.nodes[4].name.len, 0);
    assert_int_equal(map.nodes[0].myself, 0);
}


static void
an_old_node_tells_no_bus_port(void **state)
{
    taken(str(ID "10.0.0.1:6379 myself,master -" REST " 7\n"));

    assert_int_equal(map.nnodes, 1);
    assert_int_equal(map.nodes[0].port, 6379);
    assert_int_equal(map.slots[7], 0);
    assert_int_equal(map.slots[6], RDY_CLUSTER_NONE);
    assert_int_equal(map.nslots, 1);
}


static void
addresses_of_other_kinds(void **state)
{
    taken(str(ID ":6379@16379 myself,master -" REST " 1\n"
              ID "::1:6380@16380 master -" REST " 2\n"
              ID "redis-2.redis:6381@16381 master -" REST " 3"));

    assert_int_equal(map.nnodes, 3);
    assert_int_equal(map.nodes[0].host.len, 0);
    assert_bytes(map.nodes[1].host.data, map.nodes[1].host.len, "::1");
    assert_int_equal(map.nodes[1].port, 6380);
    assert_bytes(map.nodes[2].host.data, map.nodes[2].host.len,
                 "redis-2.redis");
}


static void
a_node_that_cannot_be_asked_is_left_out(void **state)
{
    taken(str(ID ":0@0 master,noaddr -" REST " 5\n"
              ID "10.0.0.1:6379@16379 handshake -" REST "\n"
              ID "10.0.0.2:0@16379 master -" REST " 6\n"
              ID "10.0.0.3:6379@16379 master -" REST " 7\r\n"));

    assert_int_equal(map.nnodes, 1);
    assert_int_equal(map.nslots, 1);
    assert_int_equal(map.slots[5], RDY_CLUSTER_NONE);
    assert_int_equal(map.slots[6], RDY_CLUSTER_NONE);
    assert_int_equal(map.slots[7], 0);
}


static void
a_slot_on_its_way_is_where_it_was(void **state)
{
    taken(str(ID "10.0.0.1:6379@16379 myself,master -" REST
              " 70-80 [77->-e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca]"
              " [93-<-292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f]\n"));

    assert_int_equal(map.slots[77], 0);
    assert_int_equal(map.slots[93], RDY_CLUSTER_NONE);
    assert_int_equal(map.nslots, 11);
}


static void
what_is_no_map_is_refused(void **state)
{
    assert_string_equal(refused(str("")), "is empty");
    assert_string_equal(refused(str("hello")),
                        "has a line with too few words");
    assert_string_equal(refused(str(ID "10.0.0.1:6379 master - 0 0 0\n")),
                        "has a line with too few words");
    assert_string_equal(refused(str(ID "10.0.0.1:6379  -" REST "\n")),
                        "has a line with too few words");
    assert_string_equal(refused(str(ID "10.0.0.1 master -" REST "\n")),
                        "has a line without an address");
    assert_string_equal(refused(str(ID "10.0.0.1:x master -" REST "\n")),
                        "has a line without an address");
    assert_string_equal(refused(str(ID "10.0.0.1:65536 master -" REST "\n")),
                        "has a line without an address");
    assert_string_equal(refused(str(ID "10.0.0.1:@1 master -" REST "\n")),
                        "has a line without an address");
    assert_string_equal(refused(str(ID "a\tb:1 master -" REST "\n")),
                        "has a line without an address");
    assert_string_equal(refused(str(ID ", master -" REST "\n")),
                        "has a line without an address");
}


static void
slots_that_are_none_are_refused(void **state)
{
    assert_string_equal(refused(str(ID "h:1 master -" REST " 16384")),
                        "has a slot that is none");
    assert_string_equal(refused(str(ID "h:1 master -" REST " 0-16384")),
                        "has a slot that is none");
    assert_string_equal(refused(str(ID "h:1 master -" REST " 9-8")),
                        "has a slot that is none");
    assert_string_equal(refused(str(ID "h:1 master -" REST " -8")),
                        "has a slot that is none");
    assert_string_equal(refused(str(ID "h:1 master -" REST " 8-")),
                        "has a slot that is none");
    assert_string_equal(refused(str(ID "h:1 master -" REST " 1-2-3")),
                        "has a slot that is none");
    assert_string_equal(refused(str(ID "h:1 master -" REST " 000001")),
                        "has a slot that is none");
    assert_string_equal(refused(str(ID "h:1 master -" REST " 5-6 6")),
                        "has a slot on two nodes");
}


static void
more_nodes_than_there_is_room_for_are_refused(void **state)
{
    size_t      len;
    char       *text, *p;
    rdy_str_t   s;
    rdy_uint_t  i;
    const char  *why;
    static const char  line[] = ID "10.0.0.1:6379@16379 master -" REST "\n";

    len = sizeof(line) - 1;
    text = malloc(len * (RDY_CLUSTER_NODES + 1));

    for (i = 0, p = text; i <= RDY_CLUSTER_NODES; i++, p += len) {
        memcpy(p, line, len);
    }

    s.data = (u_char *) text;
    s.len = len * RDY_CLUSTER_NODES;
    assert_int_equal(rdy_cluster_nodes(&s, &map, &why), RDY_OK);
    assert_int_equal(map.nnodes, RDY_CLUSTER_NODES);

    s.len += len;
    assert_int_equal(rdy_cluster_nodes(&s, &map, &why), RDY_ERROR);
    assert_string_equal(why, "has more than 1024 nodes");

    free(text);
}


static void
where_a_call_has_to_go(void **state)
{
    assert_int_equal(means(str("MOVED 3999 127.0.0.1:6381")),
                     RDY_CLUSTER_MOVED);
    assert_int_equal(target.slot, 3999);
    assert_bytes(target.host.data, target.host.len, "127.0.0.1");
    assert_int_equal(target.port, 6381);

    assert_int_equal(means(str("ASK 0 ::1:6381")), RDY_CLUSTER_ASK);
    assert_int_equal(target.slot, 0);
    assert_bytes(target.host.data, target.host.len, "::1");

    assert_int_equal(means(str("MOVED 16383 :7000")), RDY_CLUSTER_MOVED);
    assert_int_equal(target.host.len, 0);
    assert_int_equal(target.port, 7000);
}


static void
a_place_that_is_none_is_garbage(void **state)
{
    assert_int_equal(means(str("MOVED")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED ")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 1")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 1 ")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED x h:1")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 16384 h:1")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 1 h")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 1 h:")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 1 h:0")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 1 h:65536")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 1 ?:6379")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("MOVED 1 h:1 x")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("ASK 1 h/x:1")), RDY_CLUSTER_GARBAGE);
    assert_int_equal(means(str("ASK  h:1")), RDY_CLUSTER_GARBAGE);
}


static void
other_errors(void **state)
{
    assert_int_equal(means(str("CLUSTERDOWN The cluster is down")),
                     RDY_CLUSTER_DOWN);
    assert_int_equal(means(str("MASTERDOWN Link with MASTER is down")),
                     RDY_CLUSTER_DOWN);
    assert_int_equal(means(str("CLUSTERDOWN")), RDY_CLUSTER_DOWN);
    assert_int_equal(means(str("TRYAGAIN Multiple keys")),
                     RDY_CLUSTER_TRYAGAIN);
    assert_int_equal(means(str("TRYAGAINST")), RDY_CLUSTER_OTHER);
    assert_int_equal(means(str("ERR MOVED 1 h:1")), RDY_CLUSTER_OTHER);
    assert_int_equal(means(str("MOVEDX 1 h:1")), RDY_CLUSTER_OTHER);
    assert_int_equal(means(str("")), RDY_CLUSTER_OTHER);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_key_has_the_slot_that_redis_gives_it),
        cmocka_unit_test(a_hash_tag_is_what_counts),
        cmocka_unit_test(the_map_of_a_small_cluster),
        cmocka_unit_test(an_old_node_tells_no_bus_port),
        cmocka_unit_test(addresses_of_other_kinds),
        cmocka_unit_test(a_node_that_cannot_be_asked_is_left_out),
        cmocka_unit_test(a_slot_on_its_way_is_where_it_was),
        cmocka_unit_test(what_is_no_map_is_refused),
        cmocka_unit_test(slots_that_are_none_are_refused),
        cmocka_unit_test(more_nodes_than_there_is_room_for_are_refused),
        cmocka_unit_test(where_a_call_has_to_go),
        cmocka_unit_test(a_place_that_is_none_is_garbage),
        cmocka_unit_test(other_errors)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
