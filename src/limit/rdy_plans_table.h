
/*
 * Copyright (C) The readiness authors
 */


/* what the reader of a plans file and the look-ups in its table share */


#ifndef _RDY_PLANS_TABLE_H_INCLUDED_
#define _RDY_PLANS_TABLE_H_INCLUDED_


#include "limit/rdy_plans.h"


/* everything is found by number: the half of pointers, and texts are short */

typedef struct {
    uint32_t          count;
    uint32_t          period;
    uint32_t          burst;
    uint16_t          rate;
    uint8_t           kind;
    uint8_t           unlimited;
} rdy_plans_row_t;


struct rdy_plan_s {
    uint32_t          name;             /* in names */
    uint32_t          first;            /* of its rows */
    uint32_t          plan;             /* of a tenant: number + 1 */
    uint16_t          nrows;
    uint16_t          len;              /* of the name */
};


typedef struct {
    rdy_plan_t       *elts;
    uint32_t         *slots;            /* number + 1, 0: free */
    uint32_t          mask;
    uint32_t          n;
} rdy_plans_names_t;


struct rdy_plans_s {
    rdy_plans_names_t  plans;
    rdy_plans_names_t  tenants;
    rdy_plans_row_t   *rows;
    u_char            *names;
    uint32_t           preset;          /* number of the default plan + 1 */
    uint32_t           nrows;
    uint32_t           len;             /* of names */
    u_char             key[16];
};


/* the slot of that name, or the free one where it belongs */

uint32_t *rdy_plans_slot(const rdy_plans_t *plans,
    const rdy_plans_names_t *names, const rdy_str_t *name);


#endif /* _RDY_PLANS_TABLE_H_INCLUDED_ */
