
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "limit/rdy_plans.h"


static const u_char  secret[16] = "0123456789abcdef";

static const rdy_plans_rate_t  declared[] = {
    { rdy_string("api"), RDY_RATE_BUCKET },
    { rdy_string("export"), RDY_RATE_QUOTA },
    { rdy_string("slots"), RDY_RATE_CONCURRENT },
    { rdy_string("plan"), RDY_RATE_BUCKET }
};

static rdy_members_error_t  error;
static void                *memory;
static size_t               allocated;


static void *
block(void *pool, size_t size)
{
    assert_ptr_equal(pool, &allocated);
    assert_null(memory);

    allocated = size;
    memory = malloc(size);

    return memory;
}


static void *
no_memory(void *pool, size_t size)
{
    return NULL;
}


static void
done(void)
{
    free(memory);
    memory = NULL;
}


/* on the heap, so that a byte read past the text is seen */

static rdy_plans_t *
read_bytes(const char *text, size_t len)
{
    rdy_str_t     s;
    rdy_plans_t  *plans;

    done();

    s.len = len;
    s.data = malloc(len ? len : 1);
    memcpy(s.data, text, len);

    memset(&error, 0, sizeof(error));

    plans = rdy_plans_read(&s, declared, 4, secret, block, &allocated, &error);

    free(s.data);

    return plans;
}


static rdy_plans_t *
good(const char *text)
{
    rdy_plans_t  *plans;

    plans = read_bytes(text, strlen(text));

    if (plans == NULL) {
        fail_msg("%zu:%zu: %s", error.line, error.column, error.text);
    }

    return plans;
}


/* said is "line:column: " and how the error begins */

static void
bad_bytes(const char *text, size_t len, const char *said)
{
    char  whole[RDY_MEMBERS_ERROR + 32];

    if (read_bytes(text, len)) {
        fail_msg("taken: %s", text);
    }

    done();

    snprintf(whole, sizeof(whole), "%zu:%zu: %s", error.line, error.column,
             error.text);

    if (strncmp(whole, said, strlen(said)) != 0) {
        fail_msg("%s\n  %s\n  not: %s", text, whole, said);
    }
}

#define bad(text, said)  bad_bytes((text), strlen(text), (said))


/* "600/60+600" for numbers, "-" unlimited, "" nothing */

static const char *
numbers(const rdy_plans_t *plans, const rdy_plan_t *plan, rdy_uint_t rate)
{
    rdy_rate_t   n;
    static char  text[80];

    assert_non_null(plan);

    switch (rdy_plans_numbers(plans, plan, rate, &n)) {

    case RDY_OK:
        assert_int_equal(n.kind, declared[rate].kind);
        snprintf(text, sizeof(text), "%lu/%lu+%lu", (unsigned long) n.count,
                 (unsigned long) n.period, (unsigned long) n.burst);
        return text;

    case RDY_DECLINED:
        return "-";

    default:
        return "";
    }
}


static const rdy_plan_t *
plan(const rdy_plans_t *plans, const char *name)
{
    rdy_str_t  s = { strlen(name), (u_char *) name };

    return rdy_plans_plan(plans, &s);
}


static const rdy_plan_t *
tenant(const rdy_plans_t *plans, const char *name)
{
    rdy_str_t  s = { strlen(name), (u_char *) name };

    return rdy_plans_tenant(plans, &s);
}


/* the name of a tenant's plan, NULL as a tenant: of somebody unknown */

static const char *
plan_of(const rdy_plans_t *plans, const char *name)
{
    rdy_str_t          s;
    static char        text[80];
    const rdy_plan_t  *p;

    p = rdy_plans_of(plans, name ? tenant(plans, name) : NULL);

    if (p == NULL) {
        return "";
    }

    s = rdy_plans_name(plans, p);
    snprintf(text, sizeof(text), "%.*s", (int) s.len, s.data);

    return text;
}


static void
example(void **state)
{
    const rdy_plan_t   *p;
    const rdy_plans_t  *plans;

    plans = good(
        "{\"plans\":{\"free\":{\"api\":{\"rate\":\"60r/m\",\"burst\":30}},\n"
        "  \"pro\":{\"api\":{\"rate\":\"600r/m\"},"
        "\"export\":{\"quota\":\"100/1d\"}},\n"
        "  \"internal\":{\"api\":null,\"slots\":{\"concurrent\":5}}},\n"
        " \"tenants\":{\"acme\":\"pro\","
        "\"big\":{\"plan\":\"pro\",\"api\":{\"rate\":\"900r/m\"}},\n"
        "  \"own\":{\"api\":null}},\n"
        " \"default\":\"free\"}\n");

    p = plan(plans, "free");
    assert_string_equal(numbers(plans, p, 0), "60/60+30");
    assert_string_equal(numbers(plans, p, 1), "");

    p = plan(plans, "pro");
    assert_string_equal(numbers(plans, p, 0), "600/60+600");
    assert_string_equal(numbers(plans, p, 1), "100/86400+100");
    assert_string_equal(numbers(plans, p, 2), "");

    p = plan(plans, "internal");
    assert_string_equal(numbers(plans, p, 0), "-");
    assert_string_equal(numbers(plans, p, 2), "5/60+5");

    assert_null(plan(plans, "acme"));
    assert_null(plan(plans, "Pro"));
    assert_null(plan(plans, "pr"));
    assert_null(plan(plans, ""));
    assert_null(tenant(plans, "pro"));
    assert_null(tenant(plans, "acm"));

    assert_string_equal(plan_of(plans, "acme"), "pro");
    assert_string_equal(plan_of(plans, "big"), "pro");
    assert_string_equal(plan_of(plans, "own"), "free");
    assert_string_equal(plan_of(plans, NULL), "free");

    assert_string_equal(numbers(plans, tenant(plans, "acme"), 0), "");
    assert_string_equal(numbers(plans, tenant(plans, "big"), 0), "900/60+900");
    assert_string_equal(numbers(plans, tenant(plans, "own"), 0), "-");

    done();
}


static void
anything_may_be_left_out(void **state)
{
    const rdy_plans_t  *plans;

    plans = good("{}");
    assert_null(plan(plans, "a"));
    assert_null(tenant(plans, "a"));
    assert_null(rdy_plans_of(plans, NULL));

    plans = good("\r\n\t {\"plans\":{\"a\":{}}} \n");
    assert_string_equal(numbers(plans, plan(plans, "a"), 0), "");

    plans = good("{\"tenants\":{\"x\":{}}}");
    assert_string_equal(plan_of(plans, "x"), "");

    /* whoever is named may stand behind */

    plans = good("{\"default\":\"b\",\"tenants\":{\"x\":\"a\"},"
                 "\"plans\":{\"a\":{},\"b\":{}}}");
    assert_string_equal(plan_of(plans, "x"), "a");
    assert_string_equal(plan_of(plans, NULL), "b");

    done();
}


static void
names(void **state)
{
    char                long_name[300], text[700];
    const rdy_plans_t  *plans;

    /* a rate named plan; a tenant's "plan" is its plan all the same */

    plans = good("{\"plans\":{\"plan\":{\"plan\":null}},"
                 "\"tenants\":{\"plan\":{\"plan\":\"plan\"}}}");
    assert_string_equal(numbers(plans, plan(plans, "plan"), 3), "-");
    assert_string_equal(plan_of(plans, "plan"), "plan");

    /* escapes are the bytes they stand for */

    plans = good("{\"pl\\u0061ns\":{\"\\u0041\\u004a\":{\"a\\u0070i\":null}},"
                 "\"tenants\":{\"a\\/b:\\\"\\\\\":\"AJ\"}}");
    assert_string_equal(numbers(plans, plan(plans, "AJ"), 0), "-");
    assert_string_equal(plan_of(plans, "a/b:\"\\"), "AJ");

    memset(long_name, 'n', sizeof(long_name));
    long_name[64] = '\0';
    snprintf(text, sizeof(text), "{\"plans\":{\"%s\":{}}}", long_name);
    assert_non_null(plan(good(text), long_name));

    snprintf(text, sizeof(text), "{\"plans\":{\"%sn\":{}}}", long_name);
    bad(text, "1:11: invalid plan \"nnnn");

    long_name[64] = 'n';
    long_name[255] = '\0';
    snprintf(text, sizeof(text), "{\"tenants\":{\"%s\":{}}}", long_name);
    assert_non_null(tenant(good(text), long_name));

    snprintf(text, sizeof(text), "{\"tenants\":{\"%sn\":{}}}", long_name);
    bad(text, "1:13: longer than 255 bytes");

    long_name[255] = 'n';
    long_name[256] = '\0';
    plans = good("{\"tenants\":{\"a\":{}}}");
    assert_null(tenant(plans, long_name));

    bad("{\"plans\":{\"\":{}}}", "1:11: invalid plan \"\"");
    bad("{\"plans\":{\"a b\":{}}}", "1:11: invalid plan \"a b\": use 1 to 64");
    bad("{\"plans\":{\"a/b\":{}}}", "1:11: invalid plan \"a/b\"");
    bad("{\"tenants\":{\"\":{}}}", "1:13: invalid tenant \"\"");
    bad("{\"tenants\":{\"a \":{}}}", "1:13: invalid tenant \"a \"");
    bad("{\"tenants\":{\"Null\":{}}}", "1:13: invalid tenant \"Null\"");

    done();
}


static void
unknown_and_twice(void **state)
{
    bad("{\"plan\":{}}", "1:2: unknown member \"plan\": use plans, tenants or "
        "default");
    bad("{\"plans\":{},\n \"plans\":{}}", "2:2: second \"plans\": keep one");
    bad("{\"plans\":{\"a\":{}},\"default\":\"a\",\"default\":\"a\"}",
        "1:33: second \"default\"");
    bad("{\"plans\":{\"a\":{},\n\"a\":{}}}", "2:1: second plan \"a\"");
    bad("{\"plans\":{\"a\":{},\n\"\\u0061\":{}}}", "2:1: second plan \"a\"");
    bad("{\"tenants\":{\"a\":{},\n\n   \"a\":{}}}", "3:4: second tenant \"a\"");
    bad("{\"tenants\":{\"x\":{\"plan\":\"a\",\"plan\":\"a\"}},"
        "\"plans\":{\"a\":{}}}", "1:29: second \"plan\"");

    bad("{\"plans\":{\"a\":{\"apj\":null}}}", "1:16: unknown rate \"apj\": "
        "declare it with \"readiness_rate\"");
    bad("{\"plans\":{\"a\":{\"ap\":null}}}", "1:16: unknown rate \"ap\"");
    bad("{\"plans\":{\"a\":{\"api\":null,\n\"api\":null}}}",
        "2:1: second rate \"api\"");

    bad("{\"default\":\"a\"}", "1:12: unknown plan \"a\": add it");
    bad("{\"plans\":{\"a\":{}},\n\"default\":\"A\"}", "2:11: unknown plan \"A\"");
    bad("{\"plans\":{\"a\":{}},\"default\":\"\"}", "1:29: unknown plan \"\"");
    bad("{\"tenants\":{\"x\":\"pro\"}}", "1:17: unknown plan \"pro\"");
    bad("{\"tenants\":{\"x\":{\"plan\":\"pro\"}}}", "1:25: unknown plan \"pro\"");
    bad("{\"tenants\":{\"x\":{},\"y\":\"x\"}}", "1:24: unknown plan \"x\"");

    done();
}


static void
values(void **state)
{
    char          text[256], said[256];
    size_t        i, column, skip;
    rdy_plans_t  *plans;
    const char   *burst;

    static const struct {
        const char  *rate;
        const char  *value;
        const char  *said;           /* its column from the value on: text */
    } row[] = {
        { "api", "{\"rate\":\"60/m\"}", "8: invalid value \"60/m\": write "
                                        "\"Nr/PERIOD\", such as" },
        { "api", "{\"rate\":\"\"}", "8: invalid value \"\"" },
        { "api", "{\"rate\":60}", "8: no string here: write \"Nr/PERIOD\"" },
        { "api", "{\"rate\":null}", "8: no string here" },
        { "api", "{}", "0: no numbers: write {\"rate\":\"60r/m\"}, " },
        { "api", "{\"burst\":5}", "0: no numbers" },
        { "api", "{\"rate\":\"1r/s\",\"rate\":\"1r/s\"}", "15: second \"rate\"" },
        { "api", "{\"rate\":\"1r/s\",\"quota\":\"1/1d\"}",
          "0: several kinds of numbers" },
        { "api", "{\"rate\":\"1r/s\",\"size\":5}", "15: unknown member \"size\"" },
        { "api", "{\"quota\":\"1/1d\"}", "1: \"quota\" for rate \"api\", which "
                                         "is declared with rate=" },
        { "export", "{\"rate\":\"1r/s\"}", "1: \"rate\" for rate \"export\", "
                                           "which is declared with quota=" },
        { "slots", "{\"quota\":\"1/1d\"}", "1: \"quota\" for rate \"slots\", "
                                         "which is declared with concurrent=" },
        { "export", "{\"quota\":\"1/1d\",\"burst\":1}", "16: \"burst\" goes "
                                                        "with \"rate\" only" },
        { "slots", "{\"burst\":1,\"concurrent\":1}", "1: \"burst\" goes" },
        { "export", "{\"quota\":\"1r/1d\"}", "9: invalid value \"1r/1d\": "
                                             "write \"N/PERIOD\"" },
        { "slots", "{\"concurrent\":0}", "14: no whole number here" },
        { "slots", "{\"concurrent\":1000000001}", "14: invalid value "
                                    "\"1000000001\": write a whole number" },
        { "slots", "{\"concurrent\":\"5\"}", "14: no whole number here" },
        { "api", "5", "0: no object here: write {\"rate\"" },
        { "api", "\"60r/m\"", "0: no object here" },
        { "api", "[]", "0: no object here" },
        { "api", "true", "0: no object here" },
        { "api", "nul", "0: no object here" },
        { "api", "nullx", "4: no \",\" or \"}\" here" },
    };

    for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {

        column = strtoul(row[i].said, NULL, 10);
        skip = snprintf(text, sizeof(text), "{\"plans\":{\"a\":{\"%s\":",
                        row[i].rate);
        snprintf(text + skip, sizeof(text) - skip, "%s}}}", row[i].value);
        snprintf(said, sizeof(said), "1:%zu%s", skip + 1 + column,
                 strchr(row[i].said, ':'));
        bad(text, said);

        /* a tenant's own numbers are read the same way */

        skip = snprintf(text, sizeof(text), "\n{\"tenants\":{\"a\":{\"%s\":",
                        row[i].rate) - 1;
        snprintf(text + 1 + skip, sizeof(text) - 1 - skip, "%s}}}",
                 row[i].value);
        snprintf(said, sizeof(said), "2:%zu%s", skip + 1 + column,
                 strchr(row[i].said, ':'));
        bad(text, said);
    }

    for (burst = "0\0" "01\0" "-1\0" "1.0\0" "1e3\0" "1E3\0" "\"5\"\0"
                 "null\0" "[5]\0" "+5\0" "x\0";
         *burst;
         burst += strlen(burst) + 1)
    {
        snprintf(text, sizeof(text), "{\"plans\":{\"a\":{\"api\":"
                 "{\"burst\":%s,\"rate\":\"1r/s\"}}}}", burst);
        bad(text, "1:31: no whole number here: write a whole number from 1");
    }

    bad("{\"plans\":{\"a\":{\"api\":{\"burst\":1000000001,\"rate\":\"1r/s\"}}}}",
        "1:31: invalid value \"1000000001\"");
    bad("{\"plans\":{\"a\":{\"api\":{\"burst\":"
        "100000000000000000000000000000000000,\"rate\":\"1r/s\"}}}}",
        "1:31: invalid value \"1000000000000");

    /* before its rate or behind it */

    plans = good("{\"plans\":{\"a\":{\"api\":"
                 "{\"burst\":1000000000,\"rate\":\"1r/s\"}}}}");
    assert_string_equal(numbers(plans, plan(plans, "a"), 0), "1/1+1000000000");

    done();
}


static void
syntax(void **state)
{
    bad("", "1:1: no object here: write {\"plans\":");
    bad("[]", "1:1: no object here");
    bad("null", "1:1: no object here");
    bad("\xef\xbb\xbf{}", "1:1: no object here");
    bad("{", "1:2: no string here: write a name in quotes");
    bad("{}}", "1:3: something stands behind the last \"}\"");
    bad("{}\n{}", "2:1: something stands behind");
    bad_bytes("{}\0", 3, "1:3: something stands behind");
    bad_bytes("{\0}", 3, "1:2: no string here");
    bad("{plans:{}}", "1:2: no string here");
    bad("{'plans':{}}", "1:2: no string here");
    bad("{\"plans\"}", "1:9: no \":\" after \"plans\"");
    bad("{\"plans\" {}}", "1:10: no \":\"");
    bad("{\"plans\":", "1:10: no object here");
    bad("{\"plans\":{}", "1:12: no \",\" or \"}\" here");
    bad("{\"plans\":{},}", "1:13: no string here");
    bad("{,}", "1:2: no string here");
    bad("{\"plans\":{}\"tenants\":{}}", "1:12: no \",\" or \"}\"");
    bad("{\"plans\":{}/**/}", "1:12: no \",\" or \"}\"");
    bad("{\"plans\":{}\v}", "1:12: no \",\" or \"}\"");
    bad("{\"default\":null}", "1:12: no string here: write the name of a plan");
    bad("{\"default\":5}", "1:12: no string here");
    bad("{\"plans\":{\"a\":null}}", "1:15: no object here: write {\"RATE\"");
    bad("{\"tenants\":{\"a\":null}}", "1:17: no object here: write \"PLAN\"");
    bad("{\"tenants\":[]}", "1:12: no object here");
    bad("{\"tenants\":{\"a\":{\"plan\":null}}}", "1:25: no string here");

    done();
}


static void
strings(void **state)
{
    int    c;
    char   text[64];

    bad("{\"plans", "1:2: no closing quote");
    bad("{\"plans\\", "1:8: an escape that is none");
    bad("{\"plans\\\"", "1:2: no closing quote");
    bad("{\"\\u0000\":{}}", "1:3: an escape that is none, or not of printable");
    bad("{\"a\\u0000b\":{}}", "1:4: an escape");
    bad("{\"\\u00e9\":{}}", "1:3: an escape");
    bad("{\"\\ud83d\\ude00\":{}}", "1:3: an escape");
    bad("{\"\\ud800\":{}}", "1:3: an escape");
    bad("{\"\\u006\":{}}", "1:3: an escape");
    bad("{\"\\u00g1\":{}}", "1:3: an escape");
    bad("{\"\\u006", "1:3: an escape");
    bad("{\"\\x61\":{}}", "1:3: an escape");
    bad("{\"\\n\":{}}", "1:3: an escape");
    bad("{\"\\U0061\":{}}", "1:3: an escape");
    bad("{\"a\xc3\xa9\":{}}", "1:4: byte 0xc3 in a string");
    bad("{\"\xff\":{}}", "1:3: byte 0xff in a string");
    bad("{\"a\nb\":{}}", "1:4: byte 0x0a in a string");
    bad_bytes("{\"a\0b\":{}}", 10, "1:4: byte 0x00 in a string");

    for (c = 1; c < 256; c++) {
        snprintf(text, sizeof(text), "{\"tenants\":{\"x%cy\":{}}}", c);

        assert_int_equal(read_bytes(text, strlen(text)) != NULL,
                         c > 0x20 && c < 0x7f && c != '"' && c != '\\');
    }

    done();
}


/* each byte left out, and each one changed, is an error or another table */

static void
cut_and_changed(void **state)
{
    size_t       i, len;
    char         text[256];
    const char  *whole;

    whole = "{\"plans\":{\"a\":{\"api\":{\"rate\":\"6r/m\",\"burst\":9}}},"
            "\"tenants\":{\"x\":{\"plan\":\"a\",\"slots\":null},\"y\":\"a\"},"
            "\"default\":\"a\"}";
    len = strlen(whole);

    for (i = 0; i < len; i++) {
        assert_null(read_bytes(whole, i));
        assert_in_range(error.column, 1, i + 1);
        assert_int_equal(error.line, 1);

        memcpy(text, whole, len);
        text[i] ^= 0x80;
        assert_null(read_bytes(text, len));

        text[i] = '\n';
        (void) read_bytes(text, len);
    }

    done();
}


/* as many as a file of 16 MB can hold; each is found, and no other */

static void
many(void **state)
{
    char         name[32];
    size_t       i, n;
    char        *text, *p;
    rdy_plans_t  *plans;

    n = 200000;
    text = malloc(n * 40 + 100);
    p = text + sprintf(text, "{\"plans\":{\"a\":{},\"b\":{}},\"tenants\":{");

    for (i = 0; i < n; i++) {
        p += sprintf(p, "%s\"t%zu\":\"%s\"", i ? "," : "", i,
                     i % 3 ? "a" : "b");
    }

    p += sprintf(p, "}}");

    plans = good(text);

    assert_true(allocated < n * 40);

    for (i = 0; i < n; i++) {
        sprintf(name, "t%zu", i);
        assert_non_null(tenant(plans, name));
        assert_string_equal(plan_of(plans, name), i % 3 ? "a" : "b");

        sprintf(name, "u%zu", i);
        assert_null(tenant(plans, name));
    }

    sprintf(p - 2, ",\"t777\":\"a\"}}");
    assert_null(read_bytes(text, strlen(text)));
    assert_string_equal((char *) error.text,
                        "second tenant \"t777\": keep one of them");

    done();
    free(text);
}


static void
bounds(void **state)
{
    rdy_str_t  s = str("{}");

    assert_null(rdy_plans_read(&s, declared, 4, secret, no_memory, NULL,
                               &error));
    assert_string_equal((char *) error.text, "no memory");

    assert_null(rdy_plans_read(&s, declared, RDY_PLANS_MAX_RATES + 1, secret,
                               no_memory, NULL, &error));
    assert_string_equal((char *) error.text, "too large");

    s.len = RDY_PLANS_MAX_TEXT + 1;
    assert_null(rdy_plans_read(&s, declared, 4, secret, no_memory, NULL,
                               &error));
    assert_string_equal((char *) error.text, "too large");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(example),
        cmocka_unit_test(anything_may_be_left_out),
        cmocka_unit_test(names),
        cmocka_unit_test(unknown_and_twice),
        cmocka_unit_test(values),
        cmocka_unit_test(syntax),
        cmocka_unit_test(strings),
        cmocka_unit_test(cut_and_changed),
        cmocka_unit_test(many),
        cmocka_unit_test(bounds)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
