
/*
 * Copyright (C) The readiness authors
 */


/*
 * The reader of plans files.  Each object of the format has its function; it
 * is called twice over the same text: at first there is no table and it only
 * counts, then it fills.
 */


#include "limit/rdy_members.h"
#include "limit/rdy_plans_table.h"
#include "identity/rdy_tenant.h"


#define RDY_PLANS_NUMBERS                                                     \
    "write {\"rate\":\"60r/m\"}, {\"quota\":\"100/1d\"}, "                    \
    "{\"concurrent\":5} or null"

#define RDY_PLANS_WORDS  4


typedef struct {
    rdy_members_t            in;
    rdy_plans_t             *plans;     /* NULL: to be counted */
    size_t                   nplans;
    size_t                   ntenants;
    size_t                   nrows;
    size_t                   len;       /* of all names */

    const rdy_plans_rate_t  *rates;
    size_t                   nrates;
} rdy_plans_reader_t;


/* the numbers of one rate as they are read */

typedef struct {
    const rdy_plans_rate_t  *declared;
    const u_char            *at[RDY_PLANS_WORDS];   /* NULL: not there */
    rdy_str_t                burst;
    rdy_rate_t               rate;
} rdy_plans_value_t;


/* in the order of rdy_rate_kind_e, then the burst */

static const char  *rdy_plans_words[RDY_PLANS_WORDS] = {
    "rate", "quota", "concurrent", "burst"
};

static const char  *rdy_plans_advice[RDY_PLANS_WORDS] = {
    "write \"Nr/PERIOD\", such as \"60r/m\"",
    "write \"N/PERIOD\", such as \"100/1d\"",
    "write a whole number from 1 to 1000000000",
    "write a whole number from 1 to 1000000000"
};


static rdy_int_t rdy_plans_file(rdy_plans_reader_t *p);
static rdy_int_t rdy_plans_default(rdy_plans_reader_t *p);
static rdy_int_t rdy_plans_each(rdy_plans_reader_t *p, rdy_uint_t tenants);
static rdy_int_t rdy_plans_enter(rdy_plans_reader_t *p, rdy_uint_t tenants,
    rdy_plan_t **plan);
static rdy_int_t rdy_plans_rows(rdy_plans_reader_t *p, rdy_uint_t tenants,
    rdy_plan_t *plan);
static rdy_int_t rdy_plans_own_plan(rdy_plans_reader_t *p, rdy_plan_t *plan);
static rdy_int_t rdy_plans_row(rdy_plans_reader_t *p, rdy_plan_t *plan);
static rdy_int_t rdy_plans_value(rdy_plans_reader_t *p,
    rdy_plans_value_t *value);
static rdy_int_t rdy_plans_word(rdy_plans_reader_t *p,
    rdy_plans_value_t *value);
static rdy_int_t rdy_plans_check(rdy_plans_reader_t *p,
    rdy_plans_value_t *value, const u_char *at);
static rdy_int_t rdy_plans_resolve(rdy_plans_reader_t *p);
static rdy_int_t rdy_plans_known(rdy_plans_reader_t *p, uint32_t *plan);

static size_t rdy_plans_layout(const rdy_plans_reader_t *p,
    rdy_plans_t *plans);
static uint32_t rdy_plans_slots(size_t n);

static rdy_int_t rdy_plans_wrong(rdy_plans_reader_t *p, const char *what,
    const char *advice);
static rdy_uint_t rdy_plans_is(const rdy_str_t *text, const char *word);
static rdy_uint_t rdy_plans_is_name(const rdy_str_t *text);


rdy_plans_t *
rdy_plans_read(const rdy_str_t *text, const rdy_plans_rate_t *rates,
    size_t nrates, const u_char key[16], rdy_plans_alloc_pt alloc, void *pool,
    rdy_members_error_t *error)
{
    size_t               size;
    rdy_plans_t         *plans, layout;
    rdy_plans_reader_t   p;

    memset(&p, 0, sizeof(rdy_plans_reader_t));

    p.in.start = text->data;
    p.in.pos = text->data;
    p.in.end = text->data + text->len;
    p.rates = rates;
    p.nrates = nrates;
    p.in.error = error;

    if (text->len > RDY_PLANS_MAX_TEXT || nrates > RDY_PLANS_MAX_RATES) {
        (void) rdy_members_fail(&p.in, p.in.start, "too large");
        return NULL;
    }

    if (rdy_plans_file(&p) != RDY_OK) {
        return NULL;
    }

    size = rdy_plans_layout(&p, &layout);

    plans = alloc(pool, size);

    if (plans == NULL) {
        (void) rdy_members_fail(&p.in, p.in.start, "no memory");
        return NULL;
    }

    memset(plans, 0, size);
    (void) rdy_plans_layout(&p, plans);
    memcpy(plans->key, key, sizeof(plans->key));

    p.plans = plans;
    p.in.pos = p.in.start;

    if (rdy_plans_file(&p) != RDY_OK || rdy_plans_resolve(&p) != RDY_OK) {
        return NULL;
    }

    return plans;
}


/*
 * Where the parts of the table lie, the ones with wider members before; sets
 * nothing but that.  Returns the size of the block.
 */

static size_t
rdy_plans_layout(const rdy_plans_reader_t *p, rdy_plans_t *plans)
{
    u_char  *mem;

    mem = (u_char *) (plans + 1);

    plans->plans.elts = (rdy_plan_t *) mem;
    mem += p->nplans * sizeof(rdy_plan_t);

    plans->tenants.elts = (rdy_plan_t *) mem;
    mem += p->ntenants * sizeof(rdy_plan_t);

    plans->rows = (rdy_plans_row_t *) mem;
    mem += p->nrows * sizeof(rdy_plans_row_t);

    plans->plans.mask = rdy_plans_slots(p->nplans) - 1;
    plans->plans.slots = (uint32_t *) mem;
    mem += rdy_plans_slots(p->nplans) * sizeof(uint32_t);

    plans->tenants.mask = rdy_plans_slots(p->ntenants) - 1;
    plans->tenants.slots = (uint32_t *) mem;
    mem += rdy_plans_slots(p->ntenants) * sizeof(uint32_t);

    plans->names = mem;
    mem += p->len;

    return mem - (u_char *) plans;
}


/* at least half of them stay free */

static uint32_t
rdy_plans_slots(size_t n)
{
    uint32_t  slots;

    for (slots = 2; slots < 2 * n; slots *= 2) { /* void */ }

    return slots;
}


static rdy_int_t
rdy_plans_file(rdy_plans_reader_t *p)
{
    rdy_int_t          rc;
    rdy_uint_t         n, i, seen;
    static const char  *members[] = { "plans", "tenants", "default" };

    seen = 0;

    rc = rdy_members_open(&p->in, "write {\"plans\":{...},"
                          "\"tenants\":{...},\"default\":\"PLAN\"}");
    if (rc != RDY_OK) {
        return rc;
    }

    for (n = 0; (rc = rdy_members_next(&p->in, &n)) == RDY_OK; /* void */ ) {

        for (i = 0; i < 3 && !rdy_plans_is(&p->in.text, members[i]); i++) {
            /* void */
        }

        if (i == 3) {
            return rdy_plans_wrong(p, "unknown member",
                                   "use plans, tenants or default");
        }

        if (seen & (1 << i)) {
            return rdy_plans_wrong(p, "second", "keep one of them");
        }

        seen |= 1 << i;

        rc = (i == 2) ? rdy_plans_default(p) : rdy_plans_each(p, i == 1);

        if (rc != RDY_OK) {
            return rc;
        }
    }

    return (rc == RDY_DECLINED) ? rdy_members_end(&p->in) : rc;
}


/* what names a plan is looked up in the end, by its place in the text */

static rdy_int_t
rdy_plans_default(rdy_plans_reader_t *p)
{
    rdy_int_t  rc;

    rc = rdy_members_string(&p->in, "write the name of a plan");

    if (rc == RDY_OK && p->plans) {
        p->plans->preset = (uint32_t) (p->in.at - p->in.start);
    }

    return rc;
}


/* the value of "plans", or of "tenants" */

static rdy_int_t
rdy_plans_each(rdy_plans_reader_t *p, rdy_uint_t tenants)
{
    rdy_int_t    rc;
    rdy_uint_t   n;
    rdy_plan_t  *plan;

    rc = rdy_members_open(&p->in, tenants ? "write {\"TENANT\":\"PLAN\", ...}"
                                          : "write {\"PLAN\":{...}, ...}");
    if (rc != RDY_OK) {
        return rc;
    }

    for (n = 0; (rc = rdy_members_next(&p->in, &n)) == RDY_OK; /* void */ ) {

        if (rdy_plans_enter(p, tenants, &plan) != RDY_OK) {
            return RDY_ERROR;
        }

        if (tenants && p->in.pos < p->in.end && *p->in.pos == '"') {
            rc = rdy_plans_own_plan(p, plan);

        } else {
            rc = rdy_plans_rows(p, tenants, plan);
        }

        if (rc != RDY_OK) {
            return rc;
        }
    }

    return (rc == RDY_DECLINED) ? RDY_OK : rc;
}


/* a new plan or tenant, of the name just read */

static rdy_int_t
rdy_plans_enter(rdy_plans_reader_t *p, rdy_uint_t tenants, rdy_plan_t **plan)
{
    uint32_t           *slot;
    rdy_plans_t        *plans;
    rdy_plans_names_t  *names;

    *plan = NULL;

    if (!tenants && !rdy_plans_is_name(&p->in.text)) {
        return rdy_plans_wrong(p, "invalid plan",
                               "use 1 to 64 of A-Z a-z 0-9 _ . -");
    }

    if (tenants && (p->in.text.len == 0
                    || memchr(p->in.text.data, ' ', p->in.text.len)
                    || rdy_tenant_nobody(&p->in.text)))
    {
        return rdy_plans_wrong(p, "invalid tenant",
                               "use 1 to 255 bytes without blanks, and not "
                               "null, nil, none or undefined");
    }

    plans = p->plans;

    if (plans == NULL) {
        p->nplans += !tenants;
        p->ntenants += tenants;
        p->len += p->in.text.len;
        return RDY_OK;
    }

    names = tenants ? &plans->tenants : &plans->plans;
    slot = rdy_plans_slot(plans, names, &p->in.text);

    if (*slot) {
        return rdy_plans_wrong(p, tenants ? "second tenant" : "second plan",
                               "keep one of them");
    }

    *plan = &names->elts[names->n];
    *slot = ++names->n;

    (*plan)->name = plans->len;
    (*plan)->len = (uint16_t) p->in.text.len;
    (*plan)->first = plans->nrows;

    memcpy(plans->names + plans->len, p->in.text.data, p->in.text.len);
    plans->len += (uint32_t) p->in.text.len;

    return RDY_OK;
}


/* the rates of a plan; of a tenant, with its "plan" among them */

static rdy_int_t
rdy_plans_rows(rdy_plans_reader_t *p, rdy_uint_t tenants, rdy_plan_t *plan)
{
    rdy_int_t   rc;
    rdy_uint_t  n, seen;

    seen = 0;

    rc = rdy_members_open(&p->in,
                          tenants ? "write \"PLAN\" or {\"plan\":\"PLAN\","
                                    "\"RATE\":{...}, ...}"
                                  : "write {\"RATE\":{...}, ...}");
    if (rc != RDY_OK) {
        return rc;
    }

    for (n = 0; (rc = rdy_members_next(&p->in, &n)) == RDY_OK; /* void */ ) {

        if (!tenants || !rdy_plans_is(&p->in.text, "plan")) {
            rc = rdy_plans_row(p, plan);

        } else if (seen) {
            return rdy_plans_wrong(p, "second", "keep one of them");

        } else {
            seen = 1;
            rc = rdy_plans_own_plan(p, plan);
        }

        if (rc != RDY_OK) {
            return rc;
        }
    }

    return (rc == RDY_DECLINED) ? RDY_OK : rc;
}


static rdy_int_t
rdy_plans_own_plan(rdy_plans_reader_t *p, rdy_plan_t *plan)
{
    rdy_int_t  rc;

    rc = rdy_members_string(&p->in, "write the name of a plan");

    if (rc == RDY_OK && plan) {
        plan->plan = (uint32_t) (p->in.at - p->in.start);
    }

    return rc;
}


/* the numbers of the rate whose name was just read */

static rdy_int_t
rdy_plans_row(rdy_plans_reader_t *p, rdy_plan_t *plan)
{
    size_t              i, k;
    rdy_int_t           rc;
    rdy_plans_row_t    *row;
    rdy_plans_value_t   value;

    for (i = 0; i < p->nrates; i++) {
        if (p->rates[i].name.len == p->in.text.len
            && memcmp(p->rates[i].name.data, p->in.text.data,
                      p->in.text.len)
               == 0)
        {
            break;
        }
    }

    if (i == p->nrates) {
        return rdy_plans_wrong(p, "unknown rate", "declare it with "
                               "\"readiness_rate\", or correct the name");
    }

    row = NULL;

    if (plan) {
        row = p->plans->rows + plan->first;

        for (k = 0; k < plan->nrows; k++, row++) {
            if (row->rate == i) {
                return rdy_plans_wrong(p, "second rate", "keep one of them");
            }
        }
    }

    memset(&value, 0, sizeof(rdy_plans_value_t));
    value.declared = &p->rates[i];

    rc = rdy_plans_value(p, &value);

    if (rc == RDY_ERROR) {
        return rc;
    }

    if (row == NULL) {
        p->nrows++;
        return RDY_OK;
    }

    row->rate = (uint16_t) i;
    row->unlimited = (rc == RDY_DECLINED);
    row->kind = (uint8_t) value.rate.kind;
    row->count = (uint32_t) value.rate.count;
    row->period = (uint32_t) value.rate.period;
    row->burst = (uint32_t) value.rate.burst;

    plan->nrows++;
    p->plans->nrows++;

    return RDY_OK;
}


/* RDY_DECLINED: unlimited */

static rdy_int_t
rdy_plans_value(rdy_plans_reader_t *p, rdy_plans_value_t *value)
{
    rdy_int_t      rc;
    rdy_uint_t     n;
    const u_char  *at;

    at = p->in.pos;

    if (rdy_members_null(&p->in)) {
        return RDY_DECLINED;
    }

    rc = rdy_members_open(&p->in, RDY_PLANS_NUMBERS);

    if (rc != RDY_OK) {
        return rc;
    }

    for (n = 0; (rc = rdy_members_next(&p->in, &n)) == RDY_OK; /* void */ ) {
        if (rdy_plans_word(p, value) != RDY_OK) {
            return RDY_ERROR;
        }
    }

    if (rc == RDY_ERROR) {
        return rc;
    }

    return rdy_plans_check(p, value, at);
}


/* one member of the numbers, whose name was just read */

static rdy_int_t
rdy_plans_word(rdy_plans_reader_t *p, rdy_plans_value_t *value)
{
    rdy_int_t   rc;
    rdy_uint_t  i;

    for (i = 0; i < RDY_PLANS_WORDS; i++) {
        if (rdy_plans_is(&p->in.text, rdy_plans_words[i])) {
            break;
        }
    }

    if (i == RDY_PLANS_WORDS) {
        return rdy_plans_wrong(p, "unknown member",
                               "use rate, burst, quota or concurrent");
    }

    if (value->at[i]) {
        return rdy_plans_wrong(p, "second", "keep one of them");
    }

    value->at[i] = p->in.at;

    if (i <= RDY_RATE_QUOTA) {
        rc = rdy_members_string(&p->in, rdy_plans_advice[i]);

    } else {
        rc = rdy_members_digits(&p->in, rdy_plans_advice[i]);
    }

    if (rc != RDY_OK) {
        return rc;
    }

    switch (i) {

    case RDY_RATE_BUCKET:
        rc = rdy_rate_parse(&p->in.text, &value->rate);
        break;

    case RDY_RATE_QUOTA:
        rc = rdy_rate_quota(&p->in.text, &value->rate);
        break;

    case RDY_RATE_CONCURRENT:
        rc = rdy_rate_concurrent(&p->in.text, &value->rate);
        break;

    default:
        /* the rate may stand behind it */
        value->burst = p->in.text;
        rc = rdy_rate_burst(&value->burst, &value->rate);
    }

    if (rc != RDY_OK) {
        return rdy_plans_wrong(p, "invalid value", rdy_plans_advice[i]);
    }

    return RDY_OK;
}


/* do the members at hand make numbers of the declared kind? */

static rdy_int_t
rdy_plans_check(rdy_plans_reader_t *p, rdy_plans_value_t *value,
    const u_char *at)
{
    rdy_uint_t     i, n, kind;
    const u_char  *burst;

    n = 0;
    kind = 0;

    for (i = 0; i <= RDY_RATE_CONCURRENT; i++) {
        if (value->at[i]) {
            kind = i;
            n++;
        }
    }

    if (n != 1) {
        return rdy_members_fail(&p->in, at, n ? "several kinds of numbers: "
                                                RDY_PLANS_NUMBERS
                                              : "no numbers: "
                                                RDY_PLANS_NUMBERS);
    }

    if (kind != (rdy_uint_t) value->declared->kind) {
        return rdy_members_fail(&p->in, value->at[kind], "\"%s\" for rate "
                                "\"%.*s\", which is declared with %s=: a "
                                "plan cannot change that",
                                rdy_plans_words[kind],
                                (int) value->declared->name.len,
                                value->declared->name.data,
                                rdy_plans_words[value->declared->kind]);
    }

    burst = value->at[RDY_PLANS_WORDS - 1];

    if (burst == NULL) {
        return RDY_OK;
    }

    if (kind != RDY_RATE_BUCKET) {
        return rdy_members_fail(&p->in, burst, "\"burst\" goes with \"rate\" "
                                "only: remove it");
    }

    return rdy_rate_burst(&value->burst, &value->rate);
}


/* plans may stand behind those who name them */

static rdy_int_t
rdy_plans_resolve(rdy_plans_reader_t *p)
{
    uint32_t      i;
    rdy_plan_t   *tenant;
    rdy_plans_t  *plans;

    plans = p->plans;
    tenant = plans->tenants.elts;

    for (i = 0; i < plans->tenants.n; i++) {
        if (rdy_plans_known(p, &tenant[i].plan) != RDY_OK) {
            return RDY_ERROR;
        }
    }

    return rdy_plans_known(p, &plans->preset);
}


/* the place of a name in the text becomes the number of the plan + 1 */

static rdy_int_t
rdy_plans_known(rdy_plans_reader_t *p, uint32_t *plan)
{
    if (*plan == 0) {
        return RDY_OK;
    }

    p->in.pos = p->in.start + *plan;

    if (rdy_members_string(&p->in, "") != RDY_OK) {
        return RDY_ERROR;
    }

    *plan = *rdy_plans_slot(p->plans, &p->plans->plans, &p->in.text);

    if (*plan == 0) {
        return rdy_plans_wrong(p, "unknown plan",
                               "add it to \"plans\", or correct the name");
    }

    return RDY_OK;
}


/* about the last string, or number, that was read */

static rdy_int_t
rdy_plans_wrong(rdy_plans_reader_t *p, const char *what, const char *advice)
{
    return rdy_members_fail(&p->in, p->in.at, "%s \"%.*s\": %s", what,
                            (int) p->in.text.len, p->in.text.data, advice);
}


static rdy_uint_t
rdy_plans_is(const rdy_str_t *text, const char *word)
{
    return text->len == strlen(word)
           && memcmp(text->data, word, text->len) == 0;
}


static rdy_uint_t
rdy_plans_is_name(const rdy_str_t *text)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < text->len; i++) {
        c = rdy_lower(text->data[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
              || c == '_' || c == '.' || c == '-'))
        {
            return 0;
        }
    }

    return text->len && text->len <= RDY_PLANS_MAX_NAME;
}
