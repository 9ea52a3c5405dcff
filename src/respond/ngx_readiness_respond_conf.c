
/*
 * Copyright (C) The readiness authors
 */


/* The directives of responses, and their merge layer by layer. */


#include "ngx_readiness.h"
#include "respond/ngx_readiness_respond.h"


static char *ngx_readiness_header_name(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *name);
static char *ngx_readiness_header_value(ngx_conf_t *cf,
    ngx_readiness_header_t *h, ngx_str_t *value);
static char *ngx_readiness_header_flags(ngx_conf_t *cf,
    ngx_readiness_header_t *h, ngx_str_t *value, ngx_uint_t n);
static ngx_uint_t ngx_readiness_same_header(const void *a, const void *b);


/* in the order of NGX_READINESS_PRESET_* */

static const ngx_str_t  ngx_readiness_preset_words[] = {
    ngx_string("off"),
    ngx_string("baseline"),
    ngx_string("strict"),
    ngx_string("api")
};


/* in the order of NGX_READINESS_PROBLEM_* */

static const ngx_str_t  ngx_readiness_problem_words[] = {
    ngx_string("off"),
    ngx_string("on"),
    ngx_string("terse")
};


/* in the order of the bits of NGX_READINESS_LH_* */

static const ngx_str_t  ngx_readiness_limit_words[] = {
    ngx_string("standard"),
    ngx_string("legacy"),
    ngx_string("x-ratelimit"),
    ngx_string("off")
};


/*
 * Written by nginx after us, or of a meaning to it that a changed text would
 * not change; each with what to use instead.
 */

static const struct {
    ngx_str_t    name;
    const char  *instead;
} ngx_readiness_refused_names[] = {
    { ngx_string("Accept-Ranges"), "\"max_ranges 0\" turns ranges off" },
    { ngx_string("Connection"), "nginx writes it" },
    { ngx_string("Content-Encoding"), "use gzip or gunzip" },
    { ngx_string("Content-Length"), "nginx writes it" },
    { ngx_string("Content-Range"), "nginx writes it" },
    { ngx_string("Content-Type"), "use types or default_type" },
    { ngx_string("Date"), "nginx writes it" },
    { ngx_string("HTTP2-Settings"), "nginx writes it" },
    { ngx_string("Keep-Alive"), "use keepalive_timeout" },
    { ngx_string("Location"), "use return or proxy_redirect" },
    { ngx_string("Proxy-Connection"), "nginx writes Connection" },
    { ngx_string("Set-Cookie"), "use readiness_cookies for its flags" },
    { ngx_string("Status"), "use return or error_page" },
    { ngx_string("TE"), "nginx writes it" },
    { ngx_string("Trailer"), "use add_trailer" },
    { ngx_string("Transfer-Encoding"), "nginx writes it" },
    { ngx_string("Upgrade"), "nginx writes it" },
    { ngx_null_string, NULL }
};


char *
ngx_readiness_headers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    if (rlcf->preset != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;

    rlcf->preset = ngx_readiness_word(&value[1], ngx_readiness_preset_words,
                                      4);
    if (rlcf->preset == 4) {
        return ngx_readiness_conf_error(cf, "invalid value \"%V\" in \"%V\": "
                                        "use baseline, strict, api or off",
                                        &value[1], &cmd->name);
    }

    return NGX_CONF_OK;
}


char *
ngx_readiness_problem(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    if (rlcf->problem != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;

    rlcf->problem = ngx_readiness_word(&value[1], ngx_readiness_problem_words,
                                       3);
    if (rlcf->problem == 3) {
        return ngx_readiness_conf_error(cf, "invalid value \"%V\" in \"%V\": "
                                        "use on, terse or off",
                                        &value[1], &cmd->name);
    }

    return NGX_CONF_OK;
}


char *
ngx_readiness_limit_headers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i, k;

    if (rlcf->limit_headers != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;
    rlcf->limit_headers = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        k = ngx_readiness_word(&value[i], ngx_readiness_limit_words, 4);

        if (k == 4) {
            return ngx_readiness_conf_error(cf, "invalid value \"%V\" in "
                             "\"%V\": use standard, legacy and x-ratelimit, "
                             "or off", &value[i], &cmd->name);
        }

        if (rlcf->limit_headers & ((ngx_uint_t) 1 << k)) {
            return ngx_readiness_conf_error(cf, "\"%V\" is given twice in "
                             "\"%V\": keep one of them", &value[i], &cmd->name);
        }

        rlcf->limit_headers |= (ngx_uint_t) 1 << k;
    }

    if ((rlcf->limit_headers & NGX_READINESS_LH_OFF) && cf->args->nelts > 2) {
        return ngx_readiness_conf_error(cf, "\"off\" in \"%V\" goes with no "
                             "other word: write it alone or leave it out",
                             &cmd->name);
    }

    return NGX_CONF_OK;
}


char *
ngx_readiness_limit_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (rlcf->limit_status != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;
    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 400 || n > 599) {
        return ngx_readiness_conf_error(cf, "invalid status \"%V\" in "
                             "\"%V\": use a number from 400 to 599, such as "
                             "429", &value[1], &cmd->name);
    }

    rlcf->limit_status = n;

    return NGX_CONF_OK;
}


char *
ngx_readiness_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_readiness_header_t  *h;

    value = cf->args->elts;

    if (ngx_readiness_is(&value[1], "off")) {
        return ngx_readiness_list_off(cf, cmd, &rlcf->headers);
    }

    if (cf->args->nelts == 2 || ngx_readiness_is(&value[2], "if_missing")) {
        return ngx_readiness_conf_error(cf, "no value for \"%V\" in \"%V\": "
                             "write one, or off to drop the header",
                             &value[1], &cmd->name);
    }

    rv = ngx_readiness_header_name(cf, cmd, &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (rlcf->headers.own) {
        h = rlcf->headers.own->elts;

        for (i = 0; i < rlcf->headers.own->nelts; i++) {
            if (ngx_readiness_same_name(&h[i].name, &value[1])) {
                return ngx_readiness_conf_error(cf, "\"%V %V\" is given "
                                 "twice in one block: keep one of them",
                                 &cmd->name, &value[1]);
            }
        }
    }

    h = ngx_readiness_list_push(cf, &rlcf->headers,
                                sizeof(ngx_readiness_header_t));
    if (h == NULL) {
        return NGX_CONF_ERROR;
    }

    h->name = value[1];
    h->file = cf->conf_file->file.name.data;
    h->line = cf->conf_file->line;

    rv = ngx_readiness_header_flags(cf, h, &value[3], cf->args->nelts - 3);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_readiness_header_value(cf, h, &value[2]);
}


static char *
ngx_readiness_header_flags(ngx_conf_t *cf, ngx_readiness_header_t *h,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        if (ngx_readiness_is(&value[i], "if_missing")) {
            h->if_missing = 1;

        } else if (ngx_readiness_is(&value[i], "documents")) {
            h->documents = 1;

        } else {
            return ngx_readiness_conf_error(cf, "invalid word \"%V\" in "
                             "\"readiness_header %V\": use if_missing or "
                             "documents, and quote a value that holds blanks",
                             &value[i], &h->name);
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_header_value(ngx_conf_t *cf, ngx_readiness_header_t *h,
    ngx_str_t *value)
{
    size_t     i;
    ngx_str_t  text;

    text = *value;

    if (ngx_readiness_is(value, "off")) {

        if (h->if_missing || h->documents) {
            return ngx_readiness_conf_error(cf, "\"off\" in "
                             "\"readiness_header %V\" goes with neither "
                             "if_missing nor documents: leave them out, or "
                             "write value=off for the word itself", &h->name);
        }

        h->off = 1;
        return NGX_CONF_OK;
    }

    if (ngx_readiness_is(value, "value=off")) {
        ngx_str_set(&text, "off");
    }

    for (i = 0; i < text.len; i++) {
        if ((text.data[i] < ' ' && text.data[i] != '\t')
            || text.data[i] == 0x7f)
        {
            return ngx_readiness_conf_error(cf, "control character 0x%02Xd at "
                             "%uz of the value in \"readiness_header %V\": "
                             "write the value in one line, without it",
                             (ngx_int_t) text.data[i], i, &h->name);
        }
    }

    /* HTTP/2 knows no value with blanks around it */

    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }

    while (text.len && (text.data[text.len - 1] == ' '
                        || text.data[text.len - 1] == '\t'))
    {
        text.len--;
    }

    if (text.len == 0) {
        return ngx_readiness_conf_error(cf, "empty value in "
                             "\"readiness_header %V\": write off to drop the "
                             "header, or readiness_hide_header to remove that "
                             "of the application", &h->name);
    }

    if (ngx_readiness_expr(cf, &text, &h->expr) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* a header that may be set or removed here: a token, and none of nginx's own */

static char *
ngx_readiness_header_name(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *name)
{
    u_char       c;
    size_t       i;
    ngx_uint_t   k;

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9')
              || (c && ngx_strchr("!#$%&'*+-.^_`|~", c))))
        {
            break;
        }
    }

    if (i == 0 || i < name->len) {
        return ngx_readiness_conf_error(cf, "invalid header name \"%V\" in "
                             "\"%V\": use letters, digits and "
                             "!#$%%&'*+-.^_`|~ only", name, &cmd->name);
    }

    if (name->len >= NGX_READINESS_MAX_NAME) {
        return ngx_readiness_conf_error(cf, "too long header name \"%V\" in "
                             "\"%V\": use %d bytes or less", name, &cmd->name,
                             NGX_READINESS_MAX_NAME - 1);
    }

    for (k = 0; ngx_readiness_refused_names[k].name.len; k++) {

        if (ngx_readiness_same_name(&ngx_readiness_refused_names[k].name,
                                    name))
        {
            return ngx_readiness_conf_error(cf, "\"%V\" cannot be given to "
                             "\"%V\": %s", name, &cmd->name,
                             ngx_readiness_refused_names[k].instead);
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_readiness_hide_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    char        *rv;
    ngx_str_t   *value, *name;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_readiness_is(&value[i], "off")) {

            if (i > 1) {
                return ngx_readiness_conf_error(cf, "\"off\" after \"%V\" in "
                                 "\"%V\" goes with no other word: write it in "
                                 "a line of its own", &value[1], &cmd->name);
            }

            return ngx_readiness_list_off(cf, cmd, &rlcf->hide);
        }

        if (!ngx_readiness_is(&value[i], "owasp")) {
            rv = ngx_readiness_header_name(cf, cmd, &value[i]);
            if (rv != NGX_CONF_OK) {
                return rv;
            }
        }

        name = ngx_readiness_list_push(cf, &rlcf->hide, sizeof(ngx_str_t));
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_readiness_same_name(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len
           && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}


static ngx_uint_t
ngx_readiness_same_header(const void *a, const void *b)
{
    const ngx_readiness_header_t *one = a;
    const ngx_readiness_header_t *two = b;

    return ngx_readiness_same_name(&one->name, &two->name);
}


char *
ngx_readiness_respond_merge(ngx_conf_t *cf,
    const ngx_readiness_loc_conf_t *outer, ngx_readiness_loc_conf_t *inner)
{
    ngx_conf_merge_uint_value(inner->preset, outer->preset,
                              NGX_CONF_UNSET_UINT);
    ngx_conf_merge_uint_value(inner->problem, outer->problem,
                              NGX_CONF_UNSET_UINT);
    ngx_conf_merge_uint_value(inner->limit_headers, outer->limit_headers,
                              NGX_CONF_UNSET_UINT);
    ngx_conf_merge_uint_value(inner->limit_status, outer->limit_status,
                              NGX_CONF_UNSET_UINT);

    if (ngx_readiness_list_merge(cf, &outer->headers, &inner->headers,
                                 sizeof(ngx_readiness_header_t),
                                 ngx_readiness_same_header)
        != NGX_OK
        || ngx_readiness_list_merge(cf, &outer->hide, &inner->hide,
                                    sizeof(ngx_str_t), NULL)
           != NGX_OK
        || ngx_readiness_merge_cookies(cf, &outer->cookies, &inner->cookies)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
