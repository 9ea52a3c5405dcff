
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "identity/rdy_tenant.h"


/* on the heap, so that a byte read past the text is seen */

static rdy_uint_t
valid(const char *data, size_t len)
{
    rdy_str_t   s;
    rdy_uint_t  rc;

    s.len = len;
    s.data = malloc(len ? len : 1);
    memcpy(s.data, data, len);

    rc = rdy_tenant_valid(&s);
    free(s.data);

    return rc;
}

#define ok(s)   assert_int_equal(valid((s), sizeof(s) - 1), 1)
#define bad(s)  assert_int_equal(valid((s), sizeof(s) - 1), 0)


static void
names(void **state)
{
    ok("a");
    ok("A");
    ok("0");
    ok("acme");
    ok("acme.eu-1_b");
    ok("a.");
    ok("a..b");
    ok("019ac9b2-5d3c-7e6c-8a51-2f7d1b0e9c44");
}


static void
first_byte(void **state)
{
    bad("");
    bad(".");
    bad("..");
    bad("-a");
    bad("_a");
    bad(".a");
    bad("*");
}


static void
other_bytes(void **state)
{
    int   c;
    char  text[3] = "a?b";

    for (c = 0; c < 256; c++) {
        text[1] = (char) c;

        assert_int_equal(valid(text, 3),
                         (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                         || (c >= '0' && c <= '9')
                         || c == '.' || c == '_' || c == '-');
    }

    bad("acme ");
    bad(" acme");
    bad("acme\n");
    bad("../b");
    bad("a/b");
    bad("a,b");
    bad("a\0b");
    bad("\xd0\xb0" "cme");
}


static void
length(void **state)
{
    char  text[65];

    memset(text, 'a', sizeof(text));

    assert_int_equal(valid(text, 64), 1);
    assert_int_equal(valid(text, 65), 0);
}


static void
nobody(void **state)
{
    bad("null");
    bad("NULL");
    bad("Null");
    bad("nil");
    bad("Nil");
    bad("none");
    bad("NoNe");
    bad("undefined");
    bad("UnDefined");

    ok("nul");
    ok("null0");
    ok("nile");
    ok("nona");
    ok("undefine");
    ok("undefined1");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(first_byte),
        cmocka_unit_test(other_bytes),
        cmocka_unit_test(length),
        cmocka_unit_test(nobody)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
