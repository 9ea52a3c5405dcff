
/*
 * Copyright (C) The readiness authors
 */


#include "respond/rdy_accept.h"


#define rdy_accept_blank(c)  ((c) == ' ' || (c) == '\t')

#define RDY_ACCEPT_ANY       1   /* any type */
#define RDY_ACCEPT_TYPE      2   /* any subtype */
#define RDY_ACCEPT_EXACT     3


/* the most specific range so far that covers a type, and its quality */

typedef struct {
    rdy_uint_t  rank;
    rdy_uint_t  q;      /* thousandths */
} rdy_accept_weight_t;


typedef struct {
    rdy_str_t   range;
    rdy_uint_t  html;   /* rank for text/html, 0: does not cover it */
    rdy_uint_t  json;
} rdy_accept_range_t;


static void rdy_accept_line(u_char *p, u_char *last, rdy_accept_weight_t *html,
    rdy_accept_weight_t *json);
static const rdy_accept_range_t *rdy_accept_range(u_char *p, u_char *end);
static rdy_int_t rdy_accept_quality(u_char *p, u_char *last);
static rdy_int_t rdy_accept_qvalue(u_char *p, u_char *end);
static u_char *rdy_accept_find(u_char *p, u_char *end, u_char c);
static void rdy_accept_trim(u_char **p, u_char **end);
static void rdy_accept_weigh(rdy_accept_weight_t *w, rdy_uint_t rank,
    rdy_uint_t q);


static const rdy_accept_range_t  rdy_accept_ranges[] = {
    { rdy_string("*/*"), RDY_ACCEPT_ANY, RDY_ACCEPT_ANY },
    { rdy_string("text/*"), RDY_ACCEPT_TYPE, 0 },
    { rdy_string("text/html"), RDY_ACCEPT_EXACT, 0 },
    { rdy_string("application/*"), 0, RDY_ACCEPT_TYPE },
    { rdy_string("application/json"), 0, RDY_ACCEPT_EXACT },
    { rdy_string("application/problem+json"), 0, RDY_ACCEPT_EXACT }
};


rdy_uint_t
rdy_accept_html(const rdy_str_t *lines, size_t n)
{
    size_t               i, len, left;
    rdy_accept_weight_t  html, json;

    html.rank = 0;
    html.q = 0;
    json.rank = 0;
    json.q = 0;

    left = RDY_ACCEPT_MAX_LEN;

    for (i = 0; i < n && left; i++) {
        len = lines[i].len < left ? lines[i].len : left;
        left -= len;

        rdy_accept_line(lines[i].data, lines[i].data + len, &html, &json);
    }

    if (html.q != json.q) {
        return html.q > json.q;
    }

    return html.q && html.rank > json.rank;
}


static void
rdy_accept_line(u_char *p, u_char *last, rdy_accept_weight_t *html,
    rdy_accept_weight_t *json)
{
    u_char                    *end, *params;
    rdy_int_t                  q;
    const rdy_accept_range_t  *range;

    for ( ;; ) {
        end = rdy_accept_find(p, last, ',');
        params = rdy_accept_find(p, end, ';');

        range = rdy_accept_range(p, params);

        if (range) {
            q = rdy_accept_quality(params, end);

            if (q != RDY_ERROR) {
                rdy_accept_weigh(html, range->html, q);
                rdy_accept_weigh(json, range->json, q);
            }
        }

        if (end == last) {
            return;
        }

        p = end + 1;
    }
}


static const rdy_accept_range_t *
rdy_accept_range(u_char *p, u_char *end)
{
    size_t                     k, len;
    rdy_uint_t                 i;
    const rdy_accept_range_t  *range;

    rdy_accept_trim(&p, &end);
    len = end - p;

    for (i = 0;
         i < sizeof(rdy_accept_ranges) / sizeof(rdy_accept_ranges[0]);
         i++)
    {
        range = &rdy_accept_ranges[i];

        if (range->range.len != len) {
            continue;
        }

        for (k = 0; k < len && rdy_lower(p[k]) == range->range.data[k]; k++) {
            /* void */
        }

        if (k == len) {
            return range;
        }
    }

    return NULL;
}


/* the first q= of the parameters, 1000 without one; p is at a ";" or at last */

static rdy_int_t
rdy_accept_quality(u_char *p, u_char *last)
{
    u_char  *end, *name;

    while (p < last) {
        name = p + 1;
        end = rdy_accept_find(name, last, ';');
        p = end;

        rdy_accept_trim(&name, &end);

        if (end - name >= 2 && rdy_lower(name[0]) == 'q' && name[1] == '=') {
            return rdy_accept_qvalue(name + 2, end);
        }
    }

    return 1000;
}


static rdy_int_t
rdy_accept_qvalue(u_char *p, u_char *end)
{
    rdy_int_t  q, scale;

    if (p == end || (*p != '0' && *p != '1') || end - p > 5) {
        return RDY_ERROR;
    }

    q = (*p++ - '0') * 1000;

    if (p == end) {
        return q;
    }

    if (*p++ != '.') {
        return RDY_ERROR;
    }

    for (scale = 100; p < end; scale /= 10) {

        if (*p < '0' || *p > '9') {
            return RDY_ERROR;
        }

        q += (*p++ - '0') * scale;
    }

    return q <= 1000 ? q : RDY_ERROR;
}


/* returns the first c outside of quoted strings, or end */

static u_char *
rdy_accept_find(u_char *p, u_char *end, u_char c)
{
    rdy_uint_t  quoted;

    quoted = 0;

    for ( /* void */ ; p < end; p++) {

        if (*p == '"') {
            quoted = !quoted;

        } else if (quoted) {

            if (*p == '\\' && end - p > 1) {
                p++;
            }

        } else if (*p == c) {
            return p;
        }
    }

    return end;
}


static void
rdy_accept_trim(u_char **p, u_char **end)
{
    while (*p < *end && rdy_accept_blank(**p)) {
        (*p)++;
    }

    while (*end > *p && rdy_accept_blank((*end)[-1])) {
        (*end)--;
    }
}


static void
rdy_accept_weigh(rdy_accept_weight_t *w, rdy_uint_t rank, rdy_uint_t q)
{
    if (rank > w->rank || (rank && rank == w->rank && q > w->q)) {
        w->rank = rank;
        w->q = q;
    }
}
