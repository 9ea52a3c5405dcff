
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_plans_table.h"
#include "limit/rdy_hash.h"


static const rdy_plan_t *rdy_plans_find(const rdy_plans_t *plans,
    const rdy_plans_names_t *names, const rdy_str_t *name);


const rdy_plan_t *
rdy_plans_plan(const rdy_plans_t *plans, const rdy_str_t *name)
{
    return rdy_plans_find(plans, &plans->plans, name);
}


const rdy_plan_t *
rdy_plans_tenant(const rdy_plans_t *plans, const rdy_str_t *name)
{
    return rdy_plans_find(plans, &plans->tenants, name);
}


static const rdy_plan_t *
rdy_plans_find(const rdy_plans_t *plans, const rdy_plans_names_t *names,
    const rdy_str_t *name)
{
    uint32_t  n;

    if (names->n == 0 || name->len == 0 || name->len > RDY_MEMBERS_TEXT) {
        return NULL;
    }

    n = *rdy_plans_slot(plans, names, name);

    return n ? &names->elts[n - 1] : NULL;
}


uint32_t *
rdy_plans_slot(const rdy_plans_t *plans, const rdy_plans_names_t *names,
    const rdy_str_t *name)
{
    uint32_t           i, n;
    uint64_t           hash[2];
    const rdy_plan_t  *plan;

    rdy_hash128(plans->key, name->data, name->len, hash);

    for (i = (uint32_t) hash[0] & names->mask;
         /* void */ ;
         i = (i + 1) & names->mask)
    {
        n = names->slots[i];

        if (n == 0) {
            break;
        }

        plan = &names->elts[n - 1];

        if (plan->len == name->len
            && memcmp(plans->names + plan->name, name->data, name->len) == 0)
        {
            break;
        }
    }

    return &names->slots[i];
}


const rdy_plan_t *
rdy_plans_of(const rdy_plans_t *plans, const rdy_plan_t *tenant)
{
    uint32_t  n;

    n = (tenant && tenant->plan) ? tenant->plan : plans->preset;

    return n ? &plans->plans.elts[n - 1] : NULL;
}


rdy_str_t
rdy_plans_name(const rdy_plans_t *plans, const rdy_plan_t *plan)
{
    rdy_str_t  name;

    name.data = plans->names + plan->name;
    name.len = plan->len;

    return name;
}


rdy_int_t
rdy_plans_numbers(const rdy_plans_t *plans, const rdy_plan_t *plan,
    rdy_uint_t rate, rdy_rate_t *numbers)
{
    const rdy_plans_row_t  *row, *last;

    row = plans->rows + plan->first;

    for (last = row + plan->nrows; row < last; row++) {

        if (row->rate != rate) {
            continue;
        }

        if (row->unlimited) {
            return RDY_DECLINED;
        }

        numbers->count = row->count;
        numbers->period = row->period;
        numbers->burst = row->burst;
        numbers->kind = row->kind;

        return RDY_OK;
    }

    return RDY_ERROR;
}
