
/*
 * Copyright (C) The readiness authors
 */


/* directives of the client room; all of them replace the outer ones */


#include "ngx_readiness.h"
#include "client/ngx_readiness_client.h"
#include "client/rdy_names.h"


static char *ngx_readiness_trust_cidr(ngx_conf_t *cf,
    ngx_readiness_trust_t *trust, ngx_str_t *text);
static void *ngx_readiness_trust_load(void *owner, ngx_pool_t *pool,
    const ngx_str_t *content, u_char *err, size_t errlen);
static void ngx_readiness_trust_swap(void *owner);
static ngx_int_t ngx_readiness_trust_build(ngx_readiness_trust_t *trust,
    ngx_pool_t *pool, rdy_cidr_set_t *set);
static char *ngx_readiness_request_id_header(ngx_conf_t *cf, ngx_str_t *name);
static ngx_uint_t ngx_readiness_token_valid(const ngx_str_t *name);


/* requests and responses mean something of their own by these */

static const char *const  ngx_readiness_id_refused[] = {
    "Accept-Encoding", "Authorization", "Connection", "Content-Encoding",
    "Content-Length", "Content-Range", "Content-Type", "Cookie", "Date",
    "Expect", "Host", "Keep-Alive", "Location", "Range", "Set-Cookie", "TE",
    "Traceparent", "Tracestate", "Trailer", "Transfer-Encoding", "Upgrade",
    NULL
};


void
ngx_readiness_client_conf_init(ngx_readiness_client_conf_t *conf)
{
    ngx_readiness_outbound_init();

    conf->trust = NGX_CONF_UNSET_PTR;
    conf->header = NGX_CONF_UNSET_UINT;
    conf->rewrite = NGX_CONF_UNSET_UINT;
    conf->host_trusted = NGX_CONF_UNSET_UINT;
    conf->prefix4 = NGX_CONF_UNSET_UINT;
    conf->prefix6 = NGX_CONF_UNSET_UINT;
    conf->id = NGX_CONF_UNSET_UINT;
    conf->trace = NGX_CONF_UNSET_UINT;
}


char *
ngx_readiness_client_conf_merge(ngx_conf_t *cf,
    ngx_readiness_client_conf_t *prev, ngx_readiness_client_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->trust, prev->trust, NULL);

    if (conf->trust && conf->trust->set.v4 == NULL
        && conf->trust->set.v6 == NULL
        && ngx_readiness_trust_build(conf->trust, cf->pool, &conf->trust->set)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->header == NGX_CONF_UNSET_UINT) {
        conf->header = prev->header;
        conf->header_name = prev->header_name;
        conf->header_lowcase = prev->header_lowcase;
    }

    ngx_conf_init_uint_value(conf->header, NGX_READINESS_HDR_XFF);

    ngx_conf_merge_uint_value(conf->rewrite, prev->rewrite, 1);
    ngx_conf_merge_uint_value(conf->host_trusted, prev->host_trusted, 0);
    ngx_conf_merge_uint_value(conf->prefix4, prev->prefix4, 32);
    ngx_conf_merge_uint_value(conf->prefix6, prev->prefix6, 64);
    ngx_conf_merge_uint_value(conf->trace, prev->trace,
                              NGX_READINESS_TRACE_OFF);

    if (conf->id == NGX_CONF_UNSET_UINT) {
        conf->id = prev->id;
        conf->id_accept = prev->id_accept;
        conf->id_header = prev->id_header;
        conf->id_lowcase = prev->id_lowcase;
        conf->id_hash = prev->id_hash;
    }

    if (conf->id == NGX_CONF_UNSET_UINT) {
        conf->id = NGX_READINESS_ID_UUID7;
        conf->id_accept = NGX_READINESS_ACCEPT_TRUSTED;
        ngx_str_set(&conf->id_header, "X-Request-Id");
        ngx_str_set(&conf->id_lowcase, "x-request-id");
        conf->id_hash = ngx_hash_key(conf->id_lowcase.data,
                                     conf->id_lowcase.len);
    }

    return NGX_CONF_OK;
}


char *
ngx_readiness_trusted_proxies(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_srv_conf_t *rscf = conf;

    ngx_str_t               *value, name;
    ngx_uint_t               i;
    ngx_readiness_file_t    *file, **slot;
    ngx_readiness_trust_t   *trust;

    trust = rscf->client.trust;

    if (trust == NGX_CONF_UNSET_PTR) {

        trust = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_trust_t));
        if (trust == NULL
            || ngx_array_init(&trust->cidrs, cf->pool, 4, sizeof(rdy_cidr_t))
               != NGX_OK
            || ngx_array_init(&trust->files, cf->pool, 1, sizeof(void *))
               != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        rscf->client.trust = trust;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "unix:") == 0) {
            trust->unix_peer = 1;
            continue;
        }

        if (ngx_strncmp(value[i].data, "file=", 5) != 0) {

            if (ngx_readiness_trust_cidr(cf, trust, &value[i])
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        name.len = value[i].len - 5;
        name.data = value[i].data + 5;

        if (name.len == 0) {
            return ngx_readiness_conf_error(cf, "empty \"file=\" in "
                        "\"readiness_trusted_proxies\": write file=PATH");
        }

        file = ngx_readiness_file_add(cf, "readiness_trusted_proxies", &name,
                                      ngx_readiness_trust_load,
                                      ngx_readiness_trust_swap, trust);
        slot = ngx_array_push(&trust->files);

        if (file == NULL || slot == NULL) {
            return NGX_CONF_ERROR;
        }

        *slot = file;
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_trust_cidr(ngx_conf_t *cf, ngx_readiness_trust_t *trust,
    ngx_str_t *text)
{
    rdy_int_t    rc;
    rdy_cidr_t  *cidr;

    cidr = ngx_array_push(&trust->cidrs);
    if (cidr == NULL) {
        return NGX_CONF_ERROR;
    }

    rc = rdy_cidr_parse(text, cidr);

    if (rc == RDY_ERROR) {
        return ngx_readiness_conf_error(cf, "invalid network \"%V\" in "
                     "\"readiness_trusted_proxies\": use ADDRESS, "
                     "ADDRESS/BITS, unix: or file=PATH", text);
    }

    if (cidr->bits < NGX_READINESS_TRUST_MIN) {
        return ngx_readiness_conf_error(cf, "\"%V\" in "
                     "\"readiness_trusted_proxies\" trusts every client; "
                     "list your load balancers", text);
    }

    if (rc == RDY_DECLINED) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "low address bits of \"%V\" "
                           "in \"readiness_trusted_proxies\" are meaningless",
                           text);
    }

    if (cidr->bits < (cidr->addr.family == 4 ? 8 : 16)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "\"%V\" in "
                           "\"readiness_trusted_proxies\" is very wide: "
                           "list your load balancers", text);
    }

    return NGX_CONF_OK;
}


static void *
ngx_readiness_trust_load(void *owner, ngx_pool_t *pool,
    const ngx_str_t *content, u_char *err, size_t errlen)
{
    rdy_int_t     rc;
    rdy_str_t     rest, line;
    ngx_uint_t    n;
    rdy_cidr_t   *cidr;
    ngx_array_t  *cidrs;

    cidrs = ngx_array_create(pool, 64, sizeof(rdy_cidr_t));
    if (cidrs == NULL) {
        return NULL;
    }

    rest = *content;

    for (n = 1; /* void */ ; n++) {

        rc = rdy_cidr_line(&rest, &line);

        if (rc == RDY_ERROR) {
            return cidrs;
        }

        if (rc == RDY_DECLINED) {
            continue;
        }

        cidr = ngx_array_push(cidrs);
        if (cidr == NULL) {
            return NULL;
        }

        if (rdy_cidr_parse(&line, cidr) == RDY_ERROR) {
            (void) ngx_snprintf(err, errlen, "line %ui: invalid network "
                                "\"%V\": use ADDRESS or ADDRESS/BITS%Z", n,
                                &line);
            return NULL;
        }

        if (cidr->bits < NGX_READINESS_TRUST_MIN) {
            (void) ngx_snprintf(err, errlen, "line %ui: \"%V\" trusts every "
                                "client; list your load balancers%Z", n,
                                &line);
            return NULL;
        }
    }
}


/* in a worker: a file has new content */

static void
ngx_readiness_trust_swap(void *owner)
{
    ngx_readiness_trust_t *trust = owner;

    ngx_pool_t      *pool;
    rdy_cidr_set_t   set;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    if (ngx_readiness_trust_build(trust, pool, &set) != NGX_OK) {
        ngx_destroy_pool(pool);
        return;
    }

    if (trust->pool) {
        ngx_destroy_pool(trust->pool);
    }

    trust->pool = pool;
    trust->set = set;
}


static ngx_int_t
ngx_readiness_trust_build(ngx_readiness_trust_t *trust, ngx_pool_t *pool,
    rdy_cidr_set_t *set)
{
    void                   *mem;
    size_t                  n;
    u_char                 *p;
    ngx_uint_t              i;
    rdy_cidr_t             *all;
    ngx_array_t            *list;
    ngx_readiness_file_t  **file;

    file = trust->files.elts;
    n = trust->cidrs.nelts;

    for (i = 0; i < trust->files.nelts; i++) {
        list = file[i]->data;
        n += list->nelts;
    }

    all = ngx_palloc(pool, (n + 1) * sizeof(rdy_cidr_t));
    mem = ngx_palloc(pool, rdy_cidr_set_size(n) + sizeof(uint64_t));

    if (all == NULL || mem == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(all, trust->cidrs.elts,
                   trust->cidrs.nelts * sizeof(rdy_cidr_t));

    for (i = 0; i < trust->files.nelts; i++) {
        list = file[i]->data;
        p = ngx_cpymem(p, list->elts, list->nelts * sizeof(rdy_cidr_t));
    }

    rdy_cidr_set_init(set, mem, all, n);

    (void) ngx_pfree(pool, all);

    return NGX_OK;
}


char *
ngx_readiness_client_header(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_srv_conf_t *rscf = conf;

    ngx_str_t                    *value;
    ngx_readiness_client_conf_t  *ccf;

    ccf = &rscf->client;
    value = cf->args->elts;

    if (ccf->header != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    if (ngx_strcasecmp(value[1].data, (u_char *) "X-Forwarded-For") == 0) {
        ccf->header = NGX_READINESS_HDR_XFF;
        return NGX_CONF_OK;
    }

    if (ngx_strcasecmp(value[1].data, (u_char *) "Forwarded") == 0) {
        ccf->header = NGX_READINESS_HDR_FORWARDED;
        return NGX_CONF_OK;
    }

    if (ngx_strcasecmp(value[1].data, (u_char *) "proxy_protocol") == 0) {
        ccf->header = NGX_READINESS_HDR_PROXY;
        return NGX_CONF_OK;
    }

    if (!ngx_readiness_token_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                     "\"readiness_client_header\": use X-Forwarded-For, "
                     "Forwarded, proxy_protocol or the name of a header such "
                     "as CF-Connecting-IP", &value[1]);
    }

    ccf->header = NGX_READINESS_HDR_SINGLE;
    ccf->header_name = value[1];
    ccf->header_lowcase.len = value[1].len;
    ccf->header_lowcase.data = ngx_pnalloc(cf->pool, value[1].len);
    if (ccf->header_lowcase.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_strlow(ccf->header_lowcase.data, value[1].data, value[1].len);

    return NGX_CONF_OK;
}


char *
ngx_readiness_forwarded(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_srv_conf_t *rscf = conf;

    ngx_str_t                    *value;
    ngx_readiness_client_conf_t  *ccf;

    ccf = &rscf->client;
    value = cf->args->elts;

    if (ccf->rewrite != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    if (ngx_strcmp(value[1].data, "rewrite") == 0) {
        ccf->rewrite = 1;

    } else if (ngx_strcmp(value[1].data, "pass") == 0) {
        ccf->rewrite = 0;

    } else {
        return ngx_readiness_conf_error(cf, "invalid value \"%V\" in "
                                        "\"readiness_forwarded\": use "
                                        "rewrite or pass", &value[1]);
    }

    ccf->host_trusted = 0;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[2].data, "host=trusted") != 0) {
        return ngx_readiness_conf_error(cf, "invalid parameter \"%V\" in "
                                        "\"readiness_forwarded\": the only "
                                        "one is host=trusted", &value[2]);
    }

    if (!ccf->rewrite) {
        return ngx_readiness_conf_error(cf, "\"host=trusted\" in "
                                        "\"readiness_forwarded\" does "
                                        "nothing with pass: use rewrite");
    }

    ccf->host_trusted = 1;

    return NGX_CONF_OK;
}


char *
ngx_readiness_client_prefix(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_srv_conf_t *rscf = conf;

    ngx_int_t                     n;
    ngx_str_t                    *value;
    ngx_uint_t                    i, *slot, max;
    ngx_readiness_client_conf_t  *ccf;

    ccf = &rscf->client;
    value = cf->args->elts;

    if (ccf->prefix4 != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "ipv4=", 5) == 0) {
            slot = &ccf->prefix4;
            max = 32;

        } else if (ngx_strncmp(value[i].data, "ipv6=", 5) == 0) {
            slot = &ccf->prefix6;
            max = 128;

        } else {
            return ngx_readiness_conf_error(cf, "invalid parameter \"%V\" in "
                         "\"readiness_client_prefix\": use ipv4=BITS ipv6=BITS",
                         &value[i]);
        }

        n = ngx_atoi(value[i].data + 5, value[i].len - 5);

        if (*slot != NGX_CONF_UNSET_UINT) {
            return ngx_readiness_conf_second(cf, cmd, &value[i]);
        }

        if (n == NGX_ERROR || n < 1 || n > (ngx_int_t) max) {
            return ngx_readiness_conf_error(cf, "invalid length \"%V\" in "
                         "\"readiness_client_prefix\": use 1 to %ui bits",
                         &value[i], max);
        }

        *slot = n;
    }

    ngx_conf_init_uint_value(ccf->prefix4, 32);
    ngx_conf_init_uint_value(ccf->prefix6, 64);

    return NGX_CONF_OK;
}


char *
ngx_readiness_request_id(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_srv_conf_t *rscf = conf;

    ngx_str_t                    *value, name;
    ngx_uint_t                    i, named;
    ngx_readiness_client_conf_t  *ccf;

    static const ngx_str_t  formats[] = {
        ngx_string("off"), ngx_string("uuid7"), ngx_string("uuid4"),
        ngx_string("hex")
    };

    static const ngx_str_t  accepts[] = {
        ngx_string("accept=never"), ngx_string("accept=trusted"),
        ngx_string("accept=any")
    };

    ccf = &rscf->client;
    value = cf->args->elts;

    if (ccf->id != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    i = ngx_readiness_word(&value[1], formats, 4);

    if (i == 4) {
        return ngx_readiness_conf_error(cf, "invalid format \"%V\" in "
                                        "\"readiness_request_id\": use "
                                        "uuid7, uuid4, hex or off",
                                        &value[1]);
    }

    ccf->id = i;
    ccf->id_accept = NGX_CONF_UNSET_UINT;
    ngx_str_set(&name, "X-Request-Id");
    named = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "header=", 7) == 0) {

            if (named) {
                return ngx_readiness_conf_second(cf, cmd, &value[i]);
            }

            name.len = value[i].len - 7;
            name.data = value[i].data + 7;
            named = 1;

            if (ngx_readiness_request_id_header(cf, &name) != NGX_CONF_OK) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ccf->id_accept != NGX_CONF_UNSET_UINT) {
            return ngx_readiness_conf_second(cf, cmd, &value[i]);
        }

        ccf->id_accept = ngx_readiness_word(&value[i], accepts, 3);

        if (ccf->id_accept == 3) {
            return ngx_readiness_conf_error(cf, "invalid parameter \"%V\" in "
                         "\"readiness_request_id\": use header=NAME or "
                         "accept=trusted|any|never", &value[i]);
        }
    }

    ngx_conf_init_uint_value(ccf->id_accept, NGX_READINESS_ACCEPT_TRUSTED);

    ccf->id_header = name;
    ccf->id_lowcase.len = name.len;
    ccf->id_lowcase.data = ngx_pnalloc(cf->pool, name.len);
    if (ccf->id_lowcase.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ccf->id_hash = ngx_hash_strlow(ccf->id_lowcase.data, name.data, name.len);

    return NGX_CONF_OK;
}


static char *
ngx_readiness_request_id_header(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t  i;

    if (name->len >= NGX_READINESS_MAX_NAME) {
        return ngx_readiness_conf_error(cf, "too long header name \"%V\" in "
                     "\"readiness_request_id\": use %d bytes or less", name,
                     NGX_READINESS_MAX_NAME - 1);
    }

    if (!ngx_readiness_token_valid(name)
        || rdy_names_forwarding(name->data, name->len))
    {
        goto invalid;
    }

    for (i = 0; ngx_readiness_id_refused[i]; i++) {

        if (ngx_strcasecmp((u_char *) ngx_readiness_id_refused[i], name->data)
            == 0)
        {
            goto invalid;
        }
    }

    return NGX_CONF_OK;

invalid:

    return ngx_readiness_conf_error(cf, "invalid header name \"%V\" in "
                 "\"readiness_request_id\": use one of its own, such as "
                 "header=X-Request-Id", name);
}


char *
ngx_readiness_traceparent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_srv_conf_t *rscf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    static const ngx_str_t  modes[] = {
        ngx_string("off"), ngx_string("accept"), ngx_string("generate")
    };

    if (rscf->client.trace != NGX_CONF_UNSET_UINT) {
        return ngx_readiness_conf_twice(cf, cmd);
    }

    value = cf->args->elts;

    i = ngx_readiness_word(&value[1], modes, 3);

    if (i == 3) {
        return ngx_readiness_conf_error(cf, "invalid value \"%V\" in "
                                        "\"readiness_traceparent\": use off, "
                                        "accept or generate", &value[1]);
    }

    rscf->client.trace = i;

    return NGX_CONF_OK;
}


/* 1 when name is a token of RFC 9110, 5.6.2: a field name */

static ngx_uint_t
ngx_readiness_token_valid(const ngx_str_t *name)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9')
              || (c && ngx_strchr("!#$%&'*+-.^_`|~", c))))
        {
            return 0;
        }
    }

    return name->len > 0;
}
