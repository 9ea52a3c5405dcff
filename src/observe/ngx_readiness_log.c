
/*
 * Copyright (C) The readiness authors
 */


/*
 * The decision line: one pass over the record, into a buffer of the worker's
 * own, with neither an allocation nor a format.  Whatever a client sends, the
 * line is one line of JSON of at most NGX_READINESS_LINE_MAX bytes.
 */


#include "observe/ngx_readiness_line.h"
#include "observe/ngx_readiness_log.h"
#include "observe/ngx_readiness_sink.h"
#include "observe/rdy_json.h"
#include "observe/rdy_time.h"


/* Loki, Vector and Fluent Bit take lines of this length as they come */

#define NGX_READINESS_LINE_MAX      16384

/* an own field that would be cut shorter is left out */

#define NGX_READINESS_MIN_FIELD     16

/* keys, numbers, constants and marks of a cut, generously */

#define NGX_READINESS_MAX_KEYS_LEN  1536
#define NGX_READINESS_MAX_LIMIT     320

#define NGX_READINESS_MAX_FIXED                                               \
    (NGX_READINESS_MAX_KEYS_LEN                                               \
     + NGX_READINESS_MAX_PATH + NGX_READINESS_MAX_AGENT                       \
     + NGX_READINESS_MAX_HOST + NGX_READINESS_MAX_ROUTE                       \
     + NGX_READINESS_MAX_METHOD + 2 * NGX_READINESS_MAX_ID                    \
     + 2 * NGX_READINESS_MAX_ADDR + NGX_READINESS_MAX_NAME                    \
     + NGX_READINESS_MAX_TENANT                                               \
     + NGX_READINESS_MAX_LIMITS * NGX_READINESS_MAX_LIMIT)

_Static_assert(NGX_READINESS_MAX_FIXED + 4096 <= NGX_READINESS_LINE_MAX,
               "own fields have room in the line");


static ngx_uint_t ngx_readiness_log_takes(ngx_http_request_t *r,
    const ngx_readiness_ctx_t *ctx, const ngx_readiness_log_t *log,
    ngx_uint_t *drawn);
static ngx_uint_t ngx_readiness_log_told(const ngx_readiness_log_t *log,
    ngx_uint_t i, uint32_t taken);
static ngx_uint_t ngx_readiness_log_severity(const ngx_readiness_ctx_t *ctx);
static size_t ngx_readiness_log_line(ngx_http_request_t *r,
    const ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf,
    ngx_uint_t path, ngx_uint_t with_status);
static u_char *ngx_readiness_log_decision(u_char *p,
    const ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);
static u_char *ngx_readiness_log_place(u_char *p, ngx_http_request_t *r,
    const ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf);
static u_char *ngx_readiness_log_status(u_char *p, ngx_http_request_t *r,
    const ngx_readiness_ctx_t *ctx);
static u_char *ngx_readiness_log_limits(u_char *p,
    const ngx_readiness_ctx_t *ctx);
static u_char *ngx_readiness_log_limit(u_char *p,
    const ngx_readiness_state_t *state);
static u_char *ngx_readiness_log_fields(u_char *p, u_char *end,
    ngx_http_request_t *r, const ngx_readiness_loc_conf_t *conf);


/* of the worker; empty between two requests */

static u_char      ngx_readiness_line[NGX_READINESS_LINE_MAX];
static rdy_time_t  ngx_readiness_line_time;


void
ngx_readiness_tell(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf, ngx_uint_t with_status)
{
    size_t                      len;
    uint32_t                    taken;
    ngx_uint_t                  i, n, path, drawn, severity;
    const ngx_readiness_log_t  *log;

    if (ctx == NULL || conf->logs.own == NULL) {
        return;
    }

    log = conf->logs.own->elts;
    n = conf->logs.own->nelts;

    drawn = NGX_READINESS_LOG_ALL;
    taken = 0;

    for (i = 0; i < n; i++) {
        if (ngx_readiness_log_takes(r, ctx, &log[i], &drawn)
            && !ngx_readiness_log_told(log, i, taken))
        {
            taken |= (uint32_t) 1 << i;
        }
    }

    severity = ngx_readiness_log_severity(ctx);

    for (path = NGX_READINESS_PATH_FULL;
         path <= NGX_READINESS_PATH_ROUTE;
         path++)
    {
        len = 0;

        for (i = 0; i < n; i++) {

            if (!(taken & (uint32_t) 1 << i) || log[i].path != path) {
                continue;
            }

            if (len == 0) {
                len = ngx_readiness_log_line(r, ctx, conf, path, with_status);
            }

            ngx_readiness_sink_write(log[i].sink, ngx_readiness_line, len,
                                     severity);
        }
    }
}


/* drawn once, so that of two samples the smaller is part of the larger */

static ngx_uint_t
ngx_readiness_log_takes(ngx_http_request_t *r, const ngx_readiness_ctx_t *ctx,
    const ngx_readiness_log_t *log, ngx_uint_t *drawn)
{
    if (!ctx->denied) {

        if (log->only_refused) {
            return 0;
        }

        if (log->sample != NGX_READINESS_LOG_ALL) {

            if (*drawn == NGX_READINESS_LOG_ALL) {
                *drawn = ngx_random();
            }

            if (*drawn >= log->sample) {
                return 0;
            }
        }
    }

    /* an expression that cannot be evaluated does not hide a line */

    return log->filter == NULL || ngx_readiness_expr_true(r, log->filter) != 0;
}


/* 1: an earlier line of the block sends this request to the same place */

static ngx_uint_t
ngx_readiness_log_told(const ngx_readiness_log_t *log, ngx_uint_t i,
    uint32_t taken)
{
    ngx_uint_t  k;

    for (k = 0; k < i; k++) {

        if ((taken & (uint32_t) 1 << k) && log[k].sink == log[i].sink) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_readiness_log_severity(const ngx_readiness_ctx_t *ctx)
{
    if (!ctx->denied) {
        return NGX_READINESS_SYSLOG_INFO;
    }

    switch (ngx_readiness_reasons[ctx->reason].severity.data[0]) {

    case 'E':
        return NGX_READINESS_SYSLOG_ERROR;

    case 'W':
        return NGX_READINESS_SYSLOG_WARN;
    }

    return NGX_READINESS_SYSLOG_INFO;
}


static size_t
ngx_readiness_log_line(ngx_http_request_t *r, const ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf, ngx_uint_t path,
    ngx_uint_t with_status)
{
    u_char  *p, *end;

    p = ngx_readiness_line;
    end = p + NGX_READINESS_LINE_MAX - (sizeof("}" CRLF) - 1);

    p = ngx_readiness_log_decision(p, ctx, conf);
    p = ngx_readiness_log_place(p, r, ctx, conf);
    p = ngx_readiness_log_request(p, r, ctx, path);

    if (with_status) {
        p = ngx_readiness_log_status(p, r, ctx);
    }

    p = ngx_readiness_log_limits(p, ctx);

    if (ctx->evaluated) {
        p = ngx_readiness_put(p, ",\"readiness.duration_us\":");
        p = rdy_json_number(p, ctx->duration);
    }

    if (conf->fields.own) {
        p = ngx_readiness_log_fields(p, end, r, conf);
    }

    *p++ = '}';
    *p++ = LF;

    return p - ngx_readiness_line;
}


static u_char *
ngx_readiness_log_decision(u_char *p, const ngx_readiness_ctx_t *ctx,
    const ngx_readiness_loc_conf_t *conf)
{
    ngx_time_t                    *tp;
    ngx_uint_t                     enforced;
    ngx_readiness_reason_e         code;
    const ngx_readiness_reason_t  *reason;

    tp = ngx_timeofday();
    rdy_time_update(&ngx_readiness_line_time, tp->sec, tp->msec);

    if (ctx->denied) {
        code = ctx->reason;
        enforced = ctx->enforced;

    } else {
        code = ctx->evaluated ? NGX_READINESS_OK
                              : NGX_READINESS_NOT_EVALUATED;
        enforced = (conf->enable != NGX_READINESS_MONITOR);
    }

    reason = &ngx_readiness_reasons[code];

    p = ngx_readiness_put(p, "{\"timestamp\":\"");
    p = ngx_cpymem(p, ngx_readiness_line_time.text, RDY_TIME_LEN);
    p = ngx_readiness_put(p, "\",\"event.name\":\"readiness.decision\""
                             ",\"severity_text\":\"");
    p = ngx_cpymem(p, reason->severity.data, reason->severity.len);

    if (code == NGX_READINESS_NOT_EVALUATED) {
        p = ngx_readiness_put(p, "\",\"readiness.decision\":\"none\"");

    } else {

        if (ctx->denied) {
            p = ngx_readiness_put(p, "\",\"readiness.decision\":\"deny\"");

        } else {
            p = ngx_readiness_put(p, "\",\"readiness.decision\":\"allow\"");
        }

        if (enforced) {
            p = ngx_readiness_put(p, ",\"readiness.enforced\":true");

        } else {
            p = ngx_readiness_put(p, ",\"readiness.enforced\":false");
        }
    }

    p = ngx_readiness_put(p, ",\"readiness.reason\":\"");
    p = ngx_cpymem(p, reason->name.data, reason->name.len);
    *p++ = '"';

    if (ctx->revised) {
        p = ngx_readiness_put(p, ",\"readiness.revised\":true");
    }

    return p;
}


static u_char *
ngx_readiness_log_place(u_char *p, ngx_http_request_t *r,
    const ngx_readiness_ctx_t *ctx, const ngx_readiness_loc_conf_t *conf)
{
    const ngx_str_t           *host;
    ngx_http_core_srv_conf_t  *cscf;

    if (ctx->tenant.len) {
        p = ngx_readiness_put_text(p, ",\"tenant.id\":\"", &ctx->tenant,
                                   NGX_READINESS_MAX_TENANT);

    } else {
        p = ngx_readiness_put(p, ",\"tenant.id\":null");
    }

    p = ngx_readiness_put_text(p, ",\"readiness.policy\":\"", &conf->applied,
                               NGX_READINESS_MAX_NAME);
    p = ngx_readiness_put_text(p, ",\"http.route\":\"",
                               conf->route.len ? &conf->route : &conf->words,
                               NGX_READINESS_MAX_ROUTE);

    host = &r->headers_in.server;

    if (host->len == 0) {
        cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
        host = &cscf->server_name;
    }

    p = ngx_readiness_put_text(p, ",\"server.address\":\"", host,
                               NGX_READINESS_MAX_HOST);
    p = ngx_readiness_put_plain(p, ",\"http.request.id\":\"",
                                &ctx->client.request_id);

    if (ctx->client.traced) {

        /* hex digits: rdy_trace_parse(), rdy_trace_make() */

        p = ngx_readiness_put(p, ",\"trace_id\":\"");
        p = ngx_cpymem(p, ctx->client.trace.trace_id.data,
                       NGX_READINESS_TRACE_ID_LEN);
        *p++ = '"';
    }

    return p;
}


static u_char *
ngx_readiness_log_status(u_char *p, ngx_http_request_t *r,
    const ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t  status;

    if (ctx->denied && ctx->enforced) {
        status = ctx->status;

    } else {
        status = r->err_status ? r->err_status : r->headers_out.status;
    }

    if (status) {
        p = ngx_readiness_put(p, ",\"http.response.status_code\":");
        p = rdy_json_number(p, status);
    }

    return p;
}


static u_char *
ngx_readiness_log_limits(u_char *p, const ngx_readiness_ctx_t *ctx)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < ctx->nlimits && n < NGX_READINESS_MAX_LIMITS; i++) {

        if (!ctx->limits[i].counted) {
            continue;
        }

        if (n++) {
            *p++ = ',';

        } else {
            p = ngx_readiness_put(p, ",\"readiness.limits\":[");
        }

        p = ngx_readiness_log_limit(p, &ctx->limits[i]);
    }

    if (n) {
        *p++ = ']';
    }

    return p;
}


static u_char *
ngx_readiness_log_limit(u_char *p, const ngx_readiness_state_t *state)
{
    uint64_t          retry;
    const ngx_str_t  *source;

    /* a name needs no escaping: ngx_readiness_name_valid() */

    p = ngx_readiness_put(p, "{\"name\":\"");
    p = ngx_cpymem(p, state->rate->name.data, state->rate->name.len);
    *p++ = '"';

    if (state->decided) {
        p = ngx_readiness_put(p, ",\"limit\":");
        p = rdy_json_number(p, state->numbers.burst);
        p = ngx_readiness_put(p, ",\"remaining\":");
        p = rdy_json_number(p, state->view.remaining);
        p = ngx_readiness_put(p, ",\"reset_s\":");
        p = rdy_json_number(p, rdy_rate_seconds(state->view.full));

        if (state->refused) {
            retry = rdy_rate_seconds(state->view.retry);

            p = ngx_readiness_put(p, ",\"retry_after_s\":");
            p = rdy_json_number(p, retry ? retry : 1);
        }
    }

    if (state->monitor) {
        p = ngx_readiness_put(p, ",\"monitor\":true");
    }

    source = &ngx_readiness_sources[state->source];

    p = ngx_readiness_put(p, ",\"source\":\"");
    p = ngx_cpymem(p, source->data, source->len);
    p = ngx_readiness_put(p, "\"}");

    return p;
}


/* they come last: what the line has no room for is theirs */

static u_char *
ngx_readiness_log_fields(u_char *p, u_char *end, ngx_http_request_t *r,
    const ngx_readiness_loc_conf_t *conf)
{
    size_t                            room, max;
    ngx_str_t                         value;
    ngx_uint_t                        i;
    const ngx_readiness_log_field_t  *field;

    field = conf->fields.own->elts;

    for (i = 0; i < conf->fields.own->nelts; i++) {

        if (ngx_readiness_expr_value(r, &field[i].value, &value) != NGX_OK
            || value.len == 0)
        {
            continue;
        }

        room = end - p;
        max = field[i].key.len + RDY_JSON_CUT_LEN + sizeof("\"") - 1;

        if (room < max + NGX_READINESS_MIN_FIELD) {
            break;
        }

        p = ngx_cpymem(p, field[i].key.data, field[i].key.len);
        p = rdy_json_string(p, value.data, value.len,
                            ngx_min(room - max, NGX_READINESS_MAX_FIELD));
        *p++ = '"';
    }

    return p;
}
