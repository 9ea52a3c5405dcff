
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "redis/rdy_items.h"


/* what was written to w into buf, ready to be read */

static rdy_items_t
written(u_char *buf, const rdy_items_t *w)
{
    rdy_items_t  r;

    r.pos = buf;
    r.end = w->pos;

    return r;
}


static void
items_are_read_as_they_were_written(void **state)
{
    u_char       buf[256];
    rdy_item_t   item;
    rdy_items_t  w, r;

    w.pos = buf;
    w.end = buf + sizeof(buf);

    assert_int_equal(rdy_items_array(&w, 4), RDY_OK);
    assert_int_equal(rdy_items_string(&w, (u_char *) "a\0\r\n", 4), RDY_OK);
    assert_int_equal(rdy_items_string(&w, NULL, 0), RDY_OK);
    assert_int_equal(rdy_items_integer(&w, -7), RDY_OK);
    assert_int_equal(rdy_items_nil(&w), RDY_OK);

    r = written(buf, &w);

    assert_int_equal(rdy_items_next(&r, &item), RDY_OK);
    assert_int_equal(item.type, RDY_ITEM_ARRAY);
    assert_int_equal(item.n, 4);

    assert_int_equal(rdy_items_next(&r, &item), RDY_OK);
    assert_int_equal(item.type, RDY_ITEM_STRING);
    assert_bytes(item.string.data, item.string.len, "a\0\r\n");

    assert_int_equal(rdy_items_next(&r, &item), RDY_OK);
    assert_int_equal(item.type, RDY_ITEM_STRING);
    assert_int_equal(item.string.len, 0);

    assert_int_equal(rdy_items_next(&r, &item), RDY_OK);
    assert_int_equal(item.type, RDY_ITEM_INTEGER);
    assert_true(item.integer == -7);

    assert_int_equal(rdy_items_next(&r, &item), RDY_OK);
    assert_int_equal(item.type, RDY_ITEM_NIL);

    assert_int_equal(rdy_items_next(&r, &item), RDY_ERROR);
}


static void
what_has_no_room_is_not_written(void **state)
{
    u_char       buf[RDY_ITEM_HEAD_LEN + 3], *p;
    size_t       room;
    rdy_items_t  w;

    for (room = 0; room < sizeof(buf); room++) {

        /* of its exact size, so that one byte more is seen */

        p = malloc(room ? room : 1);
        w.pos = p;
        w.end = p + room;

        assert_int_equal(rdy_items_string(&w, (u_char *) "abc", 3),
                         RDY_ERROR);
        assert_ptr_equal(w.pos, p);

        if (room < RDY_ITEM_HEAD_LEN) {
            assert_int_equal(rdy_items_array(&w, 1), RDY_ERROR);
            assert_int_equal(rdy_items_integer(&w, 1), RDY_ERROR);
            assert_int_equal(rdy_items_nil(&w), RDY_ERROR);
            assert_ptr_equal(w.pos, p);
        }

        free(p);
    }

    w.pos = buf;
    w.end = buf + sizeof(buf);

    assert_int_equal(rdy_items_string(&w, (u_char *) "abc", 3), RDY_OK);
    assert_ptr_equal(w.pos, w.end);
}


static void
an_item_cut_anywhere_is_none(void **state)
{
    u_char       buf[64];
    size_t       len;
    rdy_item_t   item;
    rdy_items_t  w, r;

    w.pos = buf;
    w.end = buf + sizeof(buf);

    assert_int_equal(rdy_items_string(&w, (u_char *) "abc", 3), RDY_OK);

    for (len = 0; buf + len < w.pos; len++) {
        r.pos = buf;
        r.end = buf + len;
        assert_int_equal(rdy_items_next(&r, &item), RDY_ERROR);
        assert_ptr_equal(r.pos, buf);
    }

    buf[0] = '?';
    r = written(buf, &w);
    assert_int_equal(rdy_items_next(&r, &item), RDY_ERROR);
}


static void
another_type_is_not_read(void **state)
{
    u_char       buf[64];
    rdy_item_t   item;
    rdy_items_t  w, r;

    w.pos = buf;
    w.end = buf + sizeof(buf);

    assert_int_equal(rdy_items_integer(&w, 1), RDY_OK);

    r = written(buf, &w);
    assert_int_equal(rdy_items_expect(&r, RDY_ITEM_STRING, &item), RDY_ERROR);
    assert_ptr_equal(r.pos, buf);
    assert_int_equal(rdy_items_expect(&r, RDY_ITEM_INTEGER, &item), RDY_OK);
    assert_ptr_equal(r.pos, r.end);
}


static void
an_item_is_passed_over_with_all_in_it(void **state)
{
    u_char       buf[256];
    rdy_item_t   item;
    rdy_items_t  w, r;

    w.pos = buf;
    w.end = buf + sizeof(buf);

    /* [[[], 1], nil], "x" */

    assert_int_equal(rdy_items_array(&w, 2), RDY_OK);
    assert_int_equal(rdy_items_array(&w, 2), RDY_OK);
    assert_int_equal(rdy_items_array(&w, 0), RDY_OK);
    assert_int_equal(rdy_items_integer(&w, 1), RDY_OK);
    assert_int_equal(rdy_items_nil(&w), RDY_OK);
    assert_int_equal(rdy_items_string(&w, (u_char *) "x", 1), RDY_OK);

    r = written(buf, &w);
    assert_int_equal(rdy_items_skip(&r, 0), RDY_OK);
    assert_int_equal(rdy_items_skip(&r, 1), RDY_OK);
    assert_int_equal(rdy_items_next(&r, &item), RDY_OK);
    assert_bytes(item.string.data, item.string.len, "x");

    r = written(buf, &w);
    assert_int_equal(rdy_items_skip(&r, 3), RDY_ERROR);
}


static void
a_number_of_elements_is_not_believed(void **state)
{
    u_char       buf[64];
    rdy_items_t  w, r;

    w.pos = buf;
    w.end = buf + sizeof(buf);

    assert_int_equal(rdy_items_array(&w, UINT64_MAX), RDY_OK);
    assert_int_equal(rdy_items_array(&w, UINT64_MAX), RDY_OK);
    assert_int_equal(rdy_items_nil(&w), RDY_OK);

    r = written(buf, &w);
    assert_int_equal(rdy_items_skip(&r, 1), RDY_ERROR);

    r = written(buf, &w);
    assert_int_equal(rdy_items_skip(&r, UINT64_MAX), RDY_ERROR);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(items_are_read_as_they_were_written),
        cmocka_unit_test(what_has_no_room_is_not_written),
        cmocka_unit_test(an_item_cut_anywhere_is_none),
        cmocka_unit_test(another_type_is_not_read),
        cmocka_unit_test(an_item_is_passed_over_with_all_in_it),
        cmocka_unit_test(a_number_of_elements_is_not_believed)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
