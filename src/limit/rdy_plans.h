
/*
 * Copyright (C) The readiness authors
 */


/*
 * Numbers by plan and tenant, from a file:
 *
 *     {"plans":   {"free": {"api": {"rate":"60r/m","burst":60}},
 *                  "pro":  {"api": {"rate":"600r/m"},
 *                           "export": {"quota":"100/1d"}},
 *                  "own":  {"api": null, "slots": {"concurrent":5}}},
 *      "tenants": {"acme": "pro",
 *                  "big":  {"plan":"pro", "api":{"rate":"900r/m"}}},
 *      "default": "free"}
 *
 * Every member may be left out; null is unlimited.  The file is strict JSON
 * in ASCII (escapes for the rest, though no name has need of them), with no
 * name twice.  Names of plans are [A-Za-z0-9_.-]{1,64}, those of rates are the
 * declared ones, and a tenant is 1 to 255 bytes, none of them a blank.
 *
 * What a file may hold is so little that it is read straight into the table,
 * in one pass that counts and one that fills: a tree of JSON values would take
 * a worker ten times the memory and the time, and has no positions for errors.
 * The table is one block that is never written again; a look-up costs the same
 * whatever the number of tenants.
 */


#ifndef _RDY_PLANS_H_INCLUDED_
#define _RDY_PLANS_H_INCLUDED_


#include "limit/rdy_members.h"
#include "limit/rdy_rate.h"


#define RDY_PLANS_MAX_TEXT    (16 * 1024 * 1024)
#define RDY_PLANS_MAX_RATES   65535
#define RDY_PLANS_MAX_NAME    64


/* a declared rate; its number is its place among them */

typedef struct {
    rdy_str_t          name;
    rdy_rate_kind_e    kind;
} rdy_plans_rate_t;


typedef struct rdy_plans_s  rdy_plans_t;
typedef struct rdy_plan_s   rdy_plan_t;     /* a plan, or a tenant */


/* memory for a table; NULL: there is none */

typedef void *(*rdy_plans_alloc_pt)(void *pool, size_t size);


/*
 * Reads a file into one block of alloc(pool, ...), which is the table.  key
 * is 16 random bytes, of the hash of names.  The text is not needed
 * afterwards, nor are the rates.
 *
 * NULL: *error says what and where; printable ASCII.  Nothing but the block
 * was allocated, if that.
 */
rdy_plans_t *rdy_plans_read(const rdy_str_t *text,
    const rdy_plans_rate_t *rates, size_t nrates, const u_char key[16],
    rdy_plans_alloc_pt alloc, void *pool, rdy_members_error_t *error);


/* the plan, or the tenant, of that name; NULL: the file has none */

const rdy_plan_t *rdy_plans_plan(const rdy_plans_t *plans,
    const rdy_str_t *name);
const rdy_plan_t *rdy_plans_tenant(const rdy_plans_t *plans,
    const rdy_str_t *name);


/* the plan of a tenant, or for NULL and a tenant without one the default */

const rdy_plan_t *rdy_plans_of(const rdy_plans_t *plans,
    const rdy_plan_t *tenant);


/* the name of a plan, or tenant; in the block */

rdy_str_t rdy_plans_name(const rdy_plans_t *plans, const rdy_plan_t *plan);


/*
 * What a plan, or a tenant of its own, says of the rate of that number.
 * RDY_OK: *numbers, of the declared kind; RDY_DECLINED: unlimited; RDY_ERROR:
 * nothing, and *numbers is untouched.
 */
rdy_int_t rdy_plans_numbers(const rdy_plans_t *plans, const rdy_plan_t *plan,
    rdy_uint_t rate, rdy_rate_t *numbers);


#endif /* _RDY_PLANS_H_INCLUDED_ */
