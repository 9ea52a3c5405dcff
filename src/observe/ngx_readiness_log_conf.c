
/*
 * Copyright (C) The readiness authors
 */


/* readiness_log and readiness_log_field */


#include "observe/ngx_readiness_log.h"
#include "observe/ngx_readiness_sink.h"


#define NGX_READINESS_BUFFER_MIN  1024
#define NGX_READINESS_BUFFER_MAX  (64 * 1024 * 1024)


/* one line of readiness_log while it is read */

typedef struct {
    ngx_readiness_log_t   log;
    size_t                buffer;
    ngx_msec_t            flush;
    ngx_uint_t            given;     /* a bit for each row of the table */
} ngx_readiness_log_line_t;


typedef struct {
    ngx_str_t             name;
    char               *(*set)(ngx_conf_t *cf, ngx_str_t *value,
                               ngx_readiness_log_line_t *line);
} ngx_readiness_log_option_t;


static char *ngx_readiness_log_option(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_readiness_log_line_t *line);
static char *ngx_readiness_log_only(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line);
static char *ngx_readiness_log_sample(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line);
static char *ngx_readiness_log_buffer(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line);
static char *ngx_readiness_log_flush(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line);
static char *ngx_readiness_log_path(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line);
static char *ngx_readiness_log_if(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line);
static char *ngx_readiness_log_later(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line);
static char *ngx_readiness_log_check(ngx_conf_t *cf, ngx_str_t *dest,
    ngx_readiness_log_line_t *line);
static ngx_uint_t ngx_readiness_log_field_taken(ngx_str_t *name);
static void ngx_readiness_log_field_secret(ngx_conf_t *cf, ngx_str_t *text);
static ngx_uint_t ngx_readiness_log_field_same(const void *a, const void *b);


static const ngx_readiness_log_option_t  ngx_readiness_log_options[] = {
    { ngx_string("only="), ngx_readiness_log_only },
    { ngx_string("sample="), ngx_readiness_log_sample },
    { ngx_string("buffer="), ngx_readiness_log_buffer },
    { ngx_string("flush="), ngx_readiness_log_flush },
    { ngx_string("path="), ngx_readiness_log_path },
    { ngx_string("if="), ngx_readiness_log_if },
    { ngx_string("slow="), ngx_readiness_log_later },
    { ngx_string("chain_key_file="), ngx_readiness_log_later },
    { ngx_null_string, NULL }
};


/* keys of the lines themselves, besides all that begin with "readiness." */

static const ngx_str_t  ngx_readiness_log_keys[] = {
    ngx_string("timestamp"),
    ngx_string("event.name"),
    ngx_string("severity_text"),
    ngx_string("tenant.id"),
    ngx_string("user.id"),
    ngx_string("http.route"),
    ngx_string("server.address"),
    ngx_string("http.request.id"),
    ngx_string("trace_id"),
    ngx_string("http.request.method"),
    ngx_string("http.request.method_original"),
    ngx_string("url.scheme"),
    ngx_string("url.path"),
    ngx_string("network.protocol.version"),
    ngx_string("user_agent.original"),
    ngx_string("client.address"),
    ngx_string("network.peer.address"),
    ngx_string("http.response.status_code"),
    ngx_null_string
};


/* variables whose values open doors */

static const char *const  ngx_readiness_log_secrets[] = {
    "http_authorization", "http_proxy_authorization", "http_cookie",
    "cookie_", "http_x_api_key", "sent_http_set_cookie", NULL
};


char *
ngx_readiness_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_readiness_log_t       *log;
    ngx_readiness_log_line_t   line;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_readiness_list_off(cf, cmd, &rlcf->logs);
    }

    if (rlcf->logs.own && rlcf->logs.own->nelts == NGX_READINESS_LOG_MAX) {
        return ngx_readiness_conf_error(cf, "\"readiness_log %V\" is one line "
                                        "too many: use up to %d in one block",
                                        &value[1], NGX_READINESS_LOG_MAX);
    }

    ngx_memzero(&line, sizeof(ngx_readiness_log_line_t));

    line.log.sample = NGX_READINESS_LOG_ALL;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_readiness_log_option(cf, &value[i], &line) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_readiness_log_check(cf, &value[1], &line) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    line.log.sink = ngx_readiness_sink_add(cf, &value[1], line.buffer,
                                           line.flush);
    log = ngx_readiness_list_push(cf, &rlcf->logs,
                                  sizeof(ngx_readiness_log_t));

    if (line.log.sink == NULL || log == NULL) {
        return NGX_CONF_ERROR;
    }

    *log = line.log;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_log_option(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_readiness_log_line_t *line)
{
    ngx_str_t                          value;
    ngx_uint_t                         i;
    const ngx_readiness_log_option_t  *option;

    for (i = 0; ngx_readiness_log_options[i].set; i++) {
        option = &ngx_readiness_log_options[i];

        if (arg->len < option->name.len
            || ngx_strncmp(arg->data, option->name.data, option->name.len)
               != 0)
        {
            continue;
        }

        if (line->given & ((ngx_uint_t) 1 << i)) {
            return ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_log\" "
                                            "is the second \"%V\" of this "
                                            "line: keep one of them", arg,
                                            &option->name);
        }

        line->given |= (ngx_uint_t) 1 << i;

        value.len = arg->len - option->name.len;
        value.data = arg->data + option->name.len;

        /* the whole word, for those who name it */

        return option->set(cf, option->set == ngx_readiness_log_later
                               ? arg : &value, line);
    }

    return ngx_readiness_conf_error(cf, "unknown parameter \"%V\" in "
                           "\"readiness_log\": use only=refused, sample=RATIO,"
                           " buffer=SIZE, flush=TIME, path=full|route or "
                           "if=EXPR", arg);
}


static char *
ngx_readiness_log_only(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line)
{
    if (ngx_strcmp(value->data, "refused") != 0) {
        return ngx_readiness_conf_error(cf, "invalid \"only=%V\" in "
                                        "\"readiness_log\": write "
                                        "only=refused", value);
    }

    line->log.only_refused = 1;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_log_sample(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line)
{
    ngx_int_t  millionths;

    millionths = ngx_atofp(value->data, value->len, 6);

    if (millionths == NGX_ERROR || millionths < 1 || millionths > 1000000) {
        return ngx_readiness_conf_error(cf, "invalid \"sample=%V\" in "
                       "\"readiness_log\": use a share over 0 and up to 1 "
                       "with at most 6 decimals, such as 0.1", value);
    }

    line->log.sample = (ngx_uint_t) ((uint64_t) millionths
                                     * NGX_READINESS_LOG_ALL / 1000000);

    return NGX_CONF_OK;
}


static char *
ngx_readiness_log_buffer(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line)
{
    ssize_t  size;

    size = ngx_parse_size(value);

    if (size == NGX_ERROR || size < NGX_READINESS_BUFFER_MIN
        || size > NGX_READINESS_BUFFER_MAX)
    {
        return ngx_readiness_conf_error(cf, "invalid \"buffer=%V\" in "
                                        "\"readiness_log\": use a size from "
                                        "1k to 64m, such as 32k", value);
    }

    line->buffer = size;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_log_flush(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line)
{
    ngx_int_t  flush;

    flush = ngx_parse_time(value, 0);

    if (flush == NGX_ERROR || flush == 0) {
        return ngx_readiness_conf_error(cf, "invalid \"flush=%V\" in "
                                        "\"readiness_log\": use a time of "
                                        "1ms or more, such as 1s", value);
    }

    line->flush = flush;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_log_path(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line)
{
    if (ngx_strcmp(value->data, "full") == 0) {
        line->log.path = NGX_READINESS_PATH_FULL;

    } else if (ngx_strcmp(value->data, "route") == 0) {
        line->log.path = NGX_READINESS_PATH_ROUTE;

    } else {
        return ngx_readiness_conf_error(cf, "invalid \"path=%V\" in "
                                        "\"readiness_log\": use full or "
                                        "route", value);
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_log_if(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line)
{
    ngx_readiness_expr_t  *filter;

    if (value->len == 0) {
        return ngx_readiness_conf_error(cf, "empty \"if=\" in "
                                        "\"readiness_log\": write if=EXPR, "
                                        "such as if=$loggable");
    }

    filter = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_expr_t));

    if (filter == NULL || ngx_readiness_expr(cf, value, filter) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    line->log.filter = filter;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_log_later(ngx_conf_t *cf, ngx_str_t *value,
    ngx_readiness_log_line_t *line)
{
    return ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_log\" is not "
                                    "supported by this version: leave it out",
                                    value);
}


static char *
ngx_readiness_log_check(ngx_conf_t *cf, ngx_str_t *dest,
    ngx_readiness_log_line_t *line)
{
    if (dest->len == 0) {
        return ngx_readiness_conf_error(cf, "empty destination in "
                            "\"readiness_log\": write a path, \"stderr\", "
                            "\"syslog:server=ADDRESS\" or \"off\"");
    }

    if (line->flush && line->buffer == 0) {
        return ngx_readiness_conf_error(cf, "\"readiness_log %V\" has "
                                        "\"flush=\" and nothing to flush: "
                                        "add buffer=SIZE or leave it out",
                                        dest);
    }

    if (ngx_strncmp(dest->data, "syslog:", 7) == 0) {

        if (line->buffer) {
            return ngx_readiness_conf_error(cf, "\"readiness_log %V\" has "
                                            "\"buffer=\": each line is a "
                                            "message to syslog, leave it "
                                            "out", dest);
        }

        return NGX_CONF_OK;
    }

    if (ngx_http_script_variables_count(dest)) {
        return ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_log\" "
                           "holds a variable: write one fixed path, or "
                           "several lines with \"if=\"", dest);
    }

    return NGX_CONF_OK;
}


char *
ngx_readiness_log_field(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_readiness_log_field_t  *field;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_readiness_list_off(cf, cmd, &rlcf->fields);
    }

    if (cf->args->nelts == 2) {
        return ngx_readiness_conf_error(cf, "\"readiness_log_field %V\" has "
                                        "no value: write "
                                        "\"readiness_log_field %V EXPR\", or "
                                        "\"off\"", &value[1], &value[1]);
    }

    if (!ngx_readiness_name_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                 "\"readiness_log_field\": use 1 to 64 of A-Z a-z 0-9 _ . -",
                 &value[1]);
    }

    if (ngx_readiness_log_field_taken(&value[1])) {
        return ngx_readiness_conf_error(cf, "\"%V\" in "
                 "\"readiness_log_field\" is a key of the line itself: "
                 "choose another name", &value[1]);
    }

    field = rlcf->fields.own ? rlcf->fields.own->elts : NULL;

    for (i = 0; field && i < rlcf->fields.own->nelts; i++) {

        if (field[i].name.len == value[1].len
            && ngx_strcmp(field[i].name.data, value[1].data) == 0)
        {
            return ngx_readiness_conf_error(cf, "\"%V\" in "
                            "\"readiness_log_field\" is given twice in one "
                            "block: keep one of them", &value[1]);
        }
    }

    field = ngx_readiness_list_push(cf, &rlcf->fields,
                                    sizeof(ngx_readiness_log_field_t));
    if (field == NULL) {
        return NGX_CONF_ERROR;
    }

    field->name = value[1];

    field->key.len = value[1].len + sizeof(",\"\":\"") - 1;
    field->key.data = ngx_pnalloc(cf->pool, field->key.len);
    if (field->key.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_sprintf(field->key.data, ",\"%V\":\"", &value[1]);

    ngx_readiness_log_field_secret(cf, &value[2]);

    if (ngx_readiness_expr(cf, &value[2], &field->value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_readiness_log_field_taken(ngx_str_t *name)
{
    ngx_uint_t        i;
    const ngx_str_t  *key;

    if (ngx_strncmp(name->data, "readiness.", 10) == 0) {
        return 1;
    }

    for (i = 0; ngx_readiness_log_keys[i].len; i++) {
        key = &ngx_readiness_log_keys[i];

        if (key->len == name->len
            && ngx_strcmp(key->data, name->data) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_readiness_log_field_secret(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_uint_t  i;

    for (i = 0; ngx_readiness_log_secrets[i]; i++) {

        if (ngx_strstr(text->data, ngx_readiness_log_secrets[i])) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" in \"readiness_log_field\" puts what "
                               "may be a secret into the log", text);
            return;
        }
    }
}


static ngx_uint_t
ngx_readiness_log_field_same(const void *a, const void *b)
{
    const ngx_readiness_log_field_t  *x, *y;

    x = a;
    y = b;

    return x->name.len == y->name.len
           && ngx_strncmp(x->name.data, y->name.data, x->name.len) == 0;
}


char *
ngx_readiness_observe_merge(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner)
{
    ngx_readiness_list_replace(&outer->logs, &inner->logs);

    if (ngx_readiness_list_merge(cf, &outer->fields, &inner->fields,
                                 sizeof(ngx_readiness_log_field_t),
                                 ngx_readiness_log_field_same)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
