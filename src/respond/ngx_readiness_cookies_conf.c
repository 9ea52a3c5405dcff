
/*
 * Copyright (C) The readiness authors
 */


/* readiness_cookies: which flags which cookies get. */


#include "ngx_readiness.h"
#include "respond/ngx_readiness_respond.h"


static char *ngx_readiness_cookie_name(ngx_conf_t *cf,
    ngx_readiness_cookie_t *c);
static char *ngx_readiness_cookie_flags(ngx_conf_t *cf,
    ngx_readiness_cookie_t *c, ngx_str_t *value, ngx_uint_t n);
static ngx_uint_t ngx_readiness_cookie_word(const ngx_str_t *word);
static ngx_uint_t ngx_readiness_same_cookie(const void *a, const void *b);


static const struct {
    ngx_str_t    word;
    ngx_uint_t   flag;
    ngx_uint_t   says;      /* what the word speaks of */
} ngx_readiness_cookie_words[] = {
    { ngx_string("secure"), RDY_COOKIE_SECURE, RDY_COOKIE_SECURE },
    { ngx_string("httponly"), RDY_COOKIE_HTTPONLY, RDY_COOKIE_HTTPONLY },
    { ngx_string("nohttponly"), 0, RDY_COOKIE_HTTPONLY },
    { ngx_string("samesite=lax"), RDY_COOKIE_LAX, RDY_COOKIE_SAMESITE },
    { ngx_string("samesite=strict"), RDY_COOKIE_STRICT, RDY_COOKIE_SAMESITE },
    { ngx_string("samesite=none"), RDY_COOKIE_NONE, RDY_COOKIE_SAMESITE }
};


#define NGX_READINESS_COOKIE_WORDS                                            \
    (sizeof(ngx_readiness_cookie_words)                                       \
     / sizeof(ngx_readiness_cookie_words[0]))


char *
ngx_readiness_cookies(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_loc_conf_t *rlcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i, n;
    ngx_readiness_cookie_t  *c, line;

    value = cf->args->elts;
    n = 1;

    if (ngx_readiness_is(&value[1], "off")) {
        return ngx_readiness_list_off(cf, cmd, &rlcf->cookies);
    }

    ngx_memzero(&line, sizeof(ngx_readiness_cookie_t));

    if (ngx_readiness_cookie_word(&value[1]) == NGX_READINESS_COOKIE_WORDS
        && ngx_strncasecmp(value[1].data, (u_char *) "samesite=", 9) != 0)
    {
        line.name = value[1];
        n = 2;
    }

    if (rlcf->cookies.own) {
        c = rlcf->cookies.own->elts;

        for (i = 0; i < rlcf->cookies.own->nelts; i++) {

            if (ngx_readiness_same_cookie(&c[i], &line)) {
                return ngx_readiness_conf_error(cf, "\"%V%s%V\" is given "
                                 "twice in one block: keep one line for %s",
                                 &cmd->name, line.name.len ? " " : "",
                                 &line.name,
                                 line.name.len ? "it" : "all cookies");
            }
        }
    }

    rv = ngx_readiness_cookie_name(cf, &line);

    if (rv == NGX_CONF_OK) {
        rv = ngx_readiness_cookie_flags(cf, &line, &value[n],
                                        cf->args->nelts - n);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    c = ngx_readiness_list_push(cf, &rlcf->cookies,
                                sizeof(ngx_readiness_cookie_t));
    if (c == NULL) {
        return NGX_CONF_ERROR;
    }

    *c = line;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_cookie_name(ngx_conf_t *cf, ngx_readiness_cookie_t *c)
{
    size_t                i;
    ngx_str_t            *name;
    ngx_regex_compile_t   rc;
    u_char                errstr[NGX_MAX_CONF_ERRSTR];

    name = &c->name;

    if (name->len && name->data[0] == '~') {

        ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

        rc.pattern.len = name->len - 1;
        rc.pattern.data = name->data + 1;
        rc.pool = cf->pool;
        rc.err.len = NGX_MAX_CONF_ERRSTR;
        rc.err.data = errstr;

        if (rc.pattern.len == 0) {
            return ngx_readiness_conf_error(cf, "empty regular expression in "
                             "\"readiness_cookies\": write one behind the ~, "
                             "or no name for all cookies");
        }

        if (ngx_regex_compile(&rc) != NGX_OK) {
            return ngx_readiness_conf_error(cf, "invalid regular expression "
                             "\"%V\" in \"readiness_cookies\": %V",
                             name, &rc.err);
        }

        c->regex = rc.regex;

        return NGX_CONF_OK;
    }

    for (i = 0; i < name->len; i++) {

        if (name->data[i] <= ' ' || name->data[i] >= 0x7f
            || ngx_strchr("()<>@,;:\\\"/[]?={}", name->data[i]))
        {
            return ngx_readiness_conf_error(cf, "invalid cookie name \"%V\" "
                             "in \"readiness_cookies\": use a name, ~REGEX, "
                             "or one of secure, httponly, nohttponly, "
                             "samesite=lax, samesite=strict, samesite=none",
                             name);
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_cookie_flags(ngx_conf_t *cf, ngx_readiness_cookie_t *c,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_uint_t  i, k;

    for (i = 0; i < n; i++) {

        k = ngx_readiness_cookie_word(&value[i]);

        if (k == NGX_READINESS_COOKIE_WORDS) {
            return ngx_readiness_conf_error(cf, "invalid word \"%V\" in "
                             "\"readiness_cookies\": use secure, httponly, "
                             "nohttponly, samesite=lax, samesite=strict or "
                             "samesite=none, after at most one name",
                             &value[i]);
        }

        if (c->said & ngx_readiness_cookie_words[k].says) {
            return ngx_readiness_conf_error(cf, "\"%V\" in "
                             "\"readiness_cookies\" says again what the line "
                             "has said: keep one of them", &value[i]);
        }

        c->said |= ngx_readiness_cookie_words[k].says;
        c->flags |= ngx_readiness_cookie_words[k].flag;
    }

    if ((c->flags & RDY_COOKIE_NONE) && !(c->flags & RDY_COOKIE_SECURE)) {
        return ngx_readiness_conf_error(cf, "\"samesite=none\" without "
                             "\"secure\" in \"readiness_cookies\": browsers "
                             "refuse such a cookie, add secure");
    }

    return NGX_CONF_OK;
}


/*
 * The number of a flag word; in either letter case, so that "Secure" is no
 * cookie's name.
 */

static ngx_uint_t
ngx_readiness_cookie_word(const ngx_str_t *word)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_READINESS_COOKIE_WORDS; i++) {
        if (ngx_readiness_same_name(&ngx_readiness_cookie_words[i].word,
                                    word))
        {
            break;
        }
    }

    return i;
}


static ngx_uint_t
ngx_readiness_same_cookie(const void *a, const void *b)
{
    const ngx_readiness_cookie_t *one = a;
    const ngx_readiness_cookie_t *two = b;

    return one->name.len == two->name.len
           && (one->name.len == 0
               || ngx_strncmp(one->name.data, two->name.data, one->name.len)
                  == 0);
}


/*
 * As other lists, but regular expressions are tried in order, and those of an
 * inner layer come before those of an outer one: each element knows how many
 * layers lie between.
 */

ngx_int_t
ngx_readiness_merge_cookies(ngx_conf_t *cf, const ngx_readiness_list_t *outer,
    ngx_readiness_list_t *inner)
{
    ngx_uint_t               i, n, own, depth;
    ngx_readiness_cookie_t  *c;

    own = inner->own ? inner->own->nelts : 0;

    if (ngx_readiness_list_merge(cf, outer, inner,
                                 sizeof(ngx_readiness_cookie_t),
                                 ngx_readiness_same_cookie)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (own == 0 || inner->own->nelts == own) {
        return NGX_OK;
    }

    /* a list of this layer alone now: the outer elements, then its own */

    c = inner->own->elts;
    n = inner->own->nelts - own;
    depth = 0;

    for (i = n; i < n + own; i++) {
        depth = ngx_max(depth, c[i].depth);
    }

    for (i = 0; i < n; i++) {
        c[i].depth += depth + 1;
    }

    return NGX_OK;
}
