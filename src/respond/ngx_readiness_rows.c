
/*
 * Copyright (C) The readiness authors
 */


/* What the rows send whose value depends on the response. */


#include "ngx_readiness.h"
#include "limit/rdy_field.h"
#include "respond/ngx_readiness_respond.h"


static ngx_int_t ngx_readiness_row_policies(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);
static ngx_int_t ngx_readiness_row_limits(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);
static ngx_int_t ngx_readiness_row_limit(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);
static ngx_int_t ngx_readiness_row_remaining(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);
static ngx_int_t ngx_readiness_row_reset(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);
static ngx_int_t ngx_readiness_row_reset_time(ngx_http_request_t *r,
    ngx_readiness_ctx_t *ctx, const ngx_readiness_row_t *row,
    ngx_str_t *value);
static ngx_uint_t ngx_readiness_row_fields(const ngx_readiness_ctx_t *ctx,
    rdy_field_t *field, size_t *len);
static ngx_uint_t ngx_readiness_row_declared(
    const ngx_readiness_state_t *state);
static ngx_int_t ngx_readiness_row_number(ngx_http_request_t *r,
    uint64_t number, ngx_str_t *value);


const ngx_readiness_limit_row_t  ngx_readiness_limit_rows[] = {

    { ngx_string("RateLimit-Policy"), NGX_READINESS_LH_STANDARD,
      ngx_readiness_row_policies },

    { ngx_string("RateLimit"), NGX_READINESS_LH_STANDARD,
      ngx_readiness_row_limits },

    { ngx_string("RateLimit-Limit"), NGX_READINESS_LH_LEGACY,
      ngx_readiness_row_limit },

    { ngx_string("RateLimit-Remaining"), NGX_READINESS_LH_LEGACY,
      ngx_readiness_row_remaining },

    { ngx_string("RateLimit-Reset"), NGX_READINESS_LH_LEGACY,
      ngx_readiness_row_reset },

    { ngx_string("X-RateLimit-Limit"), NGX_READINESS_LH_XRATELIMIT,
      ngx_readiness_row_limit },

    { ngx_string("X-RateLimit-Remaining"), NGX_READINESS_LH_XRATELIMIT,
      ngx_readiness_row_remaining },

    { ngx_string("X-RateLimit-Reset"), NGX_READINESS_LH_XRATELIMIT,
      ngx_readiness_row_reset_time },

    { ngx_null_string, 0, NULL }
};


ngx_int_t
ngx_readiness_row_expr(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    size_t  i;

    if (ngx_readiness_expr_value(r, row->expr, value) != NGX_OK) {
        return NGX_ERROR;
    }

    /* HTTP/2 knows no value with blanks around it */

    while (value->len && (value->data[0] == ' ' || value->data[0] == '\t')) {
        value->data++;
        value->len--;
    }

    while (value->len && (value->data[value->len - 1] == ' '
                          || value->data[value->len - 1] == '\t'))
    {
        value->len--;
    }

    for (i = 0; i < value->len; i++) {

        if (value->data[i] == CR || value->data[i] == LF
            || value->data[i] == '\0')
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "header \"%V\" is not sent: CR, LF or NUL in the "
                          "value of \"%V\"", &row->elt.key, &row->expr->text);
            value->len = 0;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_readiness_row_request_id(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    *value = ctx->client.request_id;

    return NGX_OK;
}


ngx_int_t
ngx_readiness_row_retry_after(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    return ngx_readiness_row_number(r, ngx_readiness_limit_retry(ctx), value);
}


static ngx_int_t
ngx_readiness_row_policies(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    ngx_uint_t                    n;
    rdy_field_t                   field[NGX_READINESS_MAX_LIMITS];
    const ngx_readiness_state_t  *state;

    state = ctx->limits;

    if (ctx->nlimits == 1 && ngx_readiness_row_declared(state)) {

        if (state->decided && !state->monitor) {
            *value = state->rate->policy;

        } else {
            value->len = 0;
        }

        return NGX_OK;
    }

    n = ngx_readiness_row_fields(ctx, field, &value->len);

    if (n == 0) {
        return NGX_OK;
    }

    value->data = ngx_pnalloc(r->pool, value->len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = rdy_field_policy(value->data, field, n) - value->data;

    return NGX_OK;
}


/* a plan's numbers are not what the prepared text says */

static ngx_uint_t
ngx_readiness_row_declared(const ngx_readiness_state_t *state)
{
    const rdy_rate_t  *declared, *numbers;

    declared = &state->rate->rate;
    numbers = &state->numbers;

    return numbers->count == declared->count
           && numbers->period == declared->period
           && numbers->burst == declared->burst;
}


static ngx_int_t
ngx_readiness_row_limits(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    ngx_uint_t   n;
    rdy_field_t  field[NGX_READINESS_MAX_LIMITS];

    n = ngx_readiness_row_fields(ctx, field, &value->len);

    if (n == 0) {
        return NGX_OK;
    }

    value->data = ngx_pnalloc(r->pool, value->len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = rdy_field_limit(value->data, field, n) - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_row_limit(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    const ngx_readiness_state_t  *told;

    told = ngx_readiness_limit_told(ctx);

    if (told == NULL) {
        value->len = 0;
        return NGX_OK;
    }

    return ngx_readiness_row_number(r, told->numbers.burst, value);
}


static ngx_int_t
ngx_readiness_row_remaining(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    const ngx_readiness_state_t  *told;

    told = ngx_readiness_limit_told(ctx);

    if (told == NULL) {
        value->len = 0;
        return NGX_OK;
    }

    return ngx_readiness_row_number(r,
                            told->refused ? 0 : told->view.remaining, value);
}


static ngx_int_t
ngx_readiness_row_reset(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    const ngx_readiness_state_t  *told;

    told = ngx_readiness_limit_told(ctx);

    if (told == NULL) {
        value->len = 0;
        return NGX_OK;
    }

    return ngx_readiness_row_number(r, rdy_rate_seconds(told->view.full),
                                    value);
}


static ngx_int_t
ngx_readiness_row_reset_time(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_row_t *row, ngx_str_t *value)
{
    const ngx_readiness_state_t  *told;

    told = ngx_readiness_limit_told(ctx);

    if (told == NULL) {
        value->len = 0;
        return NGX_OK;
    }

    return ngx_readiness_row_number(r,
                   (uint64_t) ngx_time() + rdy_rate_seconds(told->view.full),
                   value);
}


/*
 * The decided limits as members of the fields; those on trial are not told.
 * Returns how many there are; len is no less than what either field needs: to
 * measure it would cost as much as to write it.
 */

static ngx_uint_t
ngx_readiness_row_fields(const ngx_readiness_ctx_t *ctx, rdy_field_t *field,
    size_t *len)
{
    ngx_uint_t                    i, n;
    const ngx_readiness_state_t  *state;

    n = 0;
    *len = 0;

    for (i = 0; i < ctx->nlimits && n < NGX_READINESS_MAX_LIMITS; i++) {
        state = &ctx->limits[i];

        if (!state->decided || state->monitor) {
            continue;
        }

        field[n].name = state->rate->name;
        field[n].rate = &state->numbers;

        if (state->refused) {
            field[n].remaining = 0;
            field[n].seconds = ngx_readiness_limit_retry(ctx);

        } else {
            field[n].remaining = state->view.remaining;
            field[n].seconds = rdy_rate_seconds(state->view.next);
        }

        *len += RDY_FIELD_MAX_LEN(field[n].name.len);
        n++;
    }

    return n;
}


static ngx_int_t
ngx_readiness_row_number(ngx_http_request_t *r, uint64_t number,
    ngx_str_t *value)
{
    value->data = ngx_pnalloc(r->pool, RDY_FIELD_NUMBER_LEN);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = rdy_field_number(value->data, number) - value->data;

    return NGX_OK;
}
