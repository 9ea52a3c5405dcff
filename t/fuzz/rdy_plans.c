
/*
 * Copyright (C) The readiness authors
 */


/*
 * The input is a plans file.  What is taken is JSON by another reader of it
 * (jansson, which refuses repeated names), and the table says of every plan
 * and tenant what that reader finds; what is not taken is an error within the
 * text that is printable.
 */


#include <stdlib.h>

#include <jansson.h>

#include "limit/rdy_plans.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


#define RATES  3


static const u_char  key[16] = "0123456789abcdef";

static const rdy_plans_rate_t  declared[RATES] = {
    { rdy_string("api"), RDY_RATE_BUCKET },
    { rdy_string("export"), RDY_RATE_QUOTA },
    { rdy_string("slots"), RDY_RATE_CONCURRENT }
};

static const char  *words[RATES] = { "rate", "quota", "concurrent" };

static void  *memory;


static void
check(int ok)
{
    if (!ok) {
        abort();
    }
}


static void *
block(void *pool, size_t size)
{
    check(memory == NULL && pool == NULL);
    memory = malloc(size);

    return memory;
}


static rdy_str_t
text_of(const char *s)
{
    rdy_str_t  text = { strlen(s), (u_char *) s };

    return text;
}


static void
check_error(const rdy_str_t *text, const rdy_members_error_t *error)
{
    size_t  i, lines;

    lines = 1;

    for (i = 0; i < text->len; i++) {
        lines += (text->data[i] == '\n');
    }

    check(error->line >= 1 && error->line <= lines);
    check(error->column >= 1 && error->column <= text->len + 1);
    check(error->text[0] != '\0');

    for (i = 0; error->text[i]; i++) {
        check(error->text[i] >= 0x20 && error->text[i] <= 0x7e);
    }

    check(i < RDY_MEMBERS_ERROR);
}


static void
check_numbers(const rdy_rate_t *n, rdy_uint_t rate, json_t *value)
{
    json_t      *member, *burst;
    rdy_str_t    s;
    rdy_rate_t   again;

    check(n->kind == declared[rate].kind);

    member = json_object_get(value, words[rate]);
    burst = json_object_get(value, "burst");

    check(member != NULL);
    check(json_object_size(value) == (burst ? 2 : 1));

    if (rate == RDY_RATE_CONCURRENT) {
        check((uint64_t) json_integer_value(member) == n->count);
        check(n->burst == n->count && n->period == 60 && burst == NULL);
        return;
    }

    s = text_of(json_string_value(member));

    if (rate == RDY_RATE_QUOTA) {
        check(rdy_rate_quota(&s, &again) == RDY_OK && burst == NULL);

    } else {
        check(rdy_rate_parse(&s, &again) == RDY_OK);
    }

    check(again.count == n->count && again.period == n->period);
    check(n->burst == (burst ? (uint64_t) json_integer_value(burst)
                             : n->count));
}


/* a plan, or the object of a tenant */

static void
check_rows(const rdy_plans_t *plans, const rdy_plan_t *plan, json_t *object)
{
    json_t      *value;
    rdy_int_t    rc;
    rdy_uint_t   i;
    rdy_rate_t   n;

    for (i = 0; i < RATES; i++) {

        value = json_object_get(object, (char *) declared[i].name.data);
        rc = rdy_plans_numbers(plans, plan, i, &n);

        check((value == NULL) == (rc == RDY_ERROR));
        check(json_is_null(value) == (rc == RDY_DECLINED));

        if (rc == RDY_OK) {
            check_numbers(&n, i, value);
        }
    }
}


static void
check_tenant(const rdy_plans_t *plans, const rdy_plan_t *tenant,
    json_t *value, json_t *preset)
{
    rdy_str_t          s;
    const rdy_plan_t  *plan;

    if (json_is_object(value)) {
        check_rows(plans, tenant, value);
        value = json_object_get(value, "plan");
    }

    if (value == NULL) {
        value = preset;
    }

    plan = rdy_plans_of(plans, tenant);

    check((plan == NULL) == (value == NULL));

    if (plan) {
        s = text_of(json_string_value(value));
        check(plan == rdy_plans_plan(plans, &s));
    }
}


static void
check_table(const rdy_plans_t *plans, json_t *root)
{
    json_t            *value, *preset;
    rdy_str_t          s, found;
    const char        *name;
    const rdy_plan_t  *plan;

    preset = json_object_get(root, "default");

    json_object_foreach(json_object_get(root, "plans"), name, value) {
        s = text_of(name);
        plan = rdy_plans_plan(plans, &s);
        check(plan != NULL);

        found = rdy_plans_name(plans, plan);
        check(found.len == s.len && memcmp(found.data, name, s.len) == 0);

        check_rows(plans, plan, value);
    }

    json_object_foreach(json_object_get(root, "tenants"), name, value) {
        s = text_of(name);
        plan = rdy_plans_tenant(plans, &s);
        check(plan != NULL);
        check_tenant(plans, plan, value, preset);
    }

    check_tenant(plans, NULL, NULL, preset);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t               *root;
    rdy_str_t             text;
    rdy_plans_t          *plans;
    json_error_t          why;
    rdy_members_error_t   error;

    text.len = size;
    text.data = malloc(size ? size : 1);
    memcpy(text.data, data, size);

    plans = rdy_plans_read(&text, declared, RATES, key, block, NULL, &error);

    if (plans) {
        root = json_loadb((char *) text.data, size, JSON_REJECT_DUPLICATES,
                          &why);
        check(root != NULL);
        check_table(plans, root);
        json_decref(root);

    } else {
        check_error(&text, &error);
    }

    free(memory);
    memory = NULL;

    free(text.data);

    return 0;
}
