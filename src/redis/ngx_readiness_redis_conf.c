
/*
 * Copyright (C) The readiness authors
 */


/*
 * readiness_redis NAME { ... }: its lines, and how a Redis is talked to.
 */


#include "redis/ngx_readiness_redis_internal.h"


#define NGX_READINESS_REDIS_MAX_PREFIX   32
#define NGX_READINESS_REDIS_MAX_TIMEOUT  60000


typedef struct {
    ngx_str_t    name;
    char      *(*set)(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
                    ngx_str_t *value);
} ngx_readiness_redis_line_t;


static char *ngx_readiness_redis_line(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);
static char *ngx_readiness_redis_unknown(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *name);
static char *ngx_readiness_redis_user(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
static char *ngx_readiness_redis_password_file(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
static char *ngx_readiness_redis_database(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
static char *ngx_readiness_redis_set_timeout(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
static char *ngx_readiness_redis_connect_timeout(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
static char *ngx_readiness_redis_msec(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value, ngx_msec_t *msec);
static char *ngx_readiness_redis_set_prefix(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
static char *ngx_readiness_redis_complete(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis);


static ngx_readiness_redis_line_t  ngx_readiness_redis_lines[] = {
    { ngx_string("server"), ngx_readiness_redis_server },
    { ngx_string("topology"), ngx_readiness_redis_topology },
    { ngx_string("user"), ngx_readiness_redis_user },
    { ngx_string("password_file"), ngx_readiness_redis_password_file },
    { ngx_string("sentinel_user"), ngx_readiness_redis_sentinel_user },
    { ngx_string("sentinel_password_file"),
      ngx_readiness_redis_sentinel_password_file },
    { ngx_string("ssl"), ngx_readiness_redis_ssl },
    { ngx_string("ssl_verify"), ngx_readiness_redis_ssl_verify },
    { ngx_string("ssl_name"), ngx_readiness_redis_ssl_name },
    { ngx_string("ssl_trusted_certificate"),
      ngx_readiness_redis_ssl_trusted },
    { ngx_string("ssl_certificate"), ngx_readiness_redis_ssl_certificate },
    { ngx_string("ssl_certificate_key"), ngx_readiness_redis_ssl_key },
    { ngx_string("database"), ngx_readiness_redis_database },
    { ngx_string("timeout"), ngx_readiness_redis_set_timeout },
    { ngx_string("connect_timeout"), ngx_readiness_redis_connect_timeout },
    { ngx_string("breaker"), ngx_readiness_redis_breaker },
    { ngx_string("prefix"), ngx_readiness_redis_set_prefix },
    { ngx_null_string, NULL }
};


char *
ngx_readiness_redis_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_readiness_main_conf_t *rmcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_conf_t               saved;
    ngx_readiness_redis_t   *redis, **slot;

    value = cf->args->elts;

    if (!ngx_readiness_name_valid(&value[1])) {
        return ngx_readiness_conf_error(cf, "invalid name \"%V\" in "
                      "\"readiness_redis\": use 1 to 64 of A-Z a-z 0-9 _ . -",
                      &value[1]);
    }

    slot = rmcf->redis.elts;

    for (i = 0; i < rmcf->redis.nelts; i++) {
        if (slot[i]->name.len == value[1].len
            && ngx_strncmp(slot[i]->name.data, value[1].data, value[1].len)
               == 0)
        {
            return ngx_readiness_conf_error(cf, "redis \"%V\" in "
                                            "\"readiness_redis\" is declared "
                                            "twice, first in %s:%ui: give "
                                            "one of them another name",
                                            &value[1], slot[i]->file,
                                            slot[i]->line);
        }
    }

    /*
     * set by ngx_pcalloc(): topology, resolver, user, password, database,
     * given, worker
     */

    redis = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_redis_t));
    slot = ngx_array_push(&rmcf->redis);

    if (redis == NULL || slot == NULL
        || ngx_array_init(&redis->servers, cf->pool, 1,
                          sizeof(ngx_readiness_redis_server_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    *slot = redis;

    redis->name = value[1];
    redis->timeout = 50;
    redis->connect_timeout = 200;
    redis->failures = 5;
    redis->retry = 1000;
    ngx_str_set(&redis->prefix, "rdy:");
    redis->file = cf->conf_file->file.name.data;
    redis->line = cf->conf_file->line;

    saved = *cf;

    cf->handler = ngx_readiness_redis_line;
    cf->handler_conf = (void *) redis;

    rv = ngx_conf_parse(cf, NULL);

    *cf = saved;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_readiness_redis_complete(cf, redis);
}


static char *
ngx_readiness_redis_line(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_readiness_redis_t *redis = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_readiness_redis_line_t  *line;

    value = cf->args->elts;

    if (ngx_strcmp(value[0].data, "include") == 0 && cf->args->nelts == 2) {
        return ngx_conf_include(cf, dummy, conf);
    }

    for (i = 0; ngx_readiness_redis_lines[i].name.len; i++) {

        line = &ngx_readiness_redis_lines[i];

        if (ngx_strcmp(value[0].data, line->name.data) != 0) {
            continue;
        }

        /* a topology may have a name, a breaker two numbers */

        if (cf->args->nelts != 2
            && ((line->set != ngx_readiness_redis_topology
                 && line->set != ngx_readiness_redis_breaker)
                || cf->args->nelts == 1))
        {
            return ngx_readiness_conf_error(cf, "\"%V\" of "
                                            "\"readiness_redis %V\" takes "
                                            "one value, not %ui", &value[0],
                                            &redis->name,
                                            cf->args->nelts - 1);
        }

        if (redis->given & ((ngx_uint_t) 1 << i)
            && line->set != ngx_readiness_redis_server)
        {
            return ngx_readiness_conf_error(cf, "second \"%V\" of "
                                            "\"readiness_redis %V\", \"%V\": "
                                            "delete one of them",
                                            &value[0], &redis->name,
                                            &value[1]);
        }

        redis->given |= (ngx_uint_t) 1 << i;

        return line->set(cf, redis, &value[1]);
    }

    return ngx_readiness_redis_unknown(cf, redis, &value[0]);
}


static char *
ngx_readiness_redis_unknown(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *name)
{
    return ngx_readiness_conf_error(cf, "unknown line \"%V\" in "
                                    "\"readiness_redis %V\": use server, "
                                    "topology, user, password_file, "
                                    "database, timeout, connect_timeout, "
                                    "breaker, ssl, ssl_trusted_certificate, "
                                    "ssl_name, ssl_verify, ssl_certificate, "
                                    "ssl_certificate_key, prefix, "
                                    "sentinel_user or "
                                    "sentinel_password_file", name,
                                    &redis->name);
}


static char *
ngx_readiness_redis_user(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    if (value->len == 0) {
        return ngx_readiness_conf_error(cf, "empty \"user\" of "
                                        "\"readiness_redis %V\": write its "
                                        "name, or delete the line",
                                        &redis->name);
    }

    redis->user = *value;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_redis_password_file(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value)
{
    redis->password = ngx_readiness_file_add(cf, "password_file", value,
                                          ngx_readiness_redis_password_load,
                                          ngx_readiness_redis_password_changed,
                                          redis);

    return redis->password ? NGX_CONF_OK : NGX_CONF_ERROR;
}


void *
ngx_readiness_redis_password_load(void *owner, ngx_pool_t *pool,
    const ngx_str_t *content, u_char *err, size_t errlen)
{
    u_char     *p, *start, *end, *last;
    ngx_str_t  *password;

    p = content->data;
    last = content->data + content->len;

    while (p < last && (*p == ' ' || *p == '\t' || *p == CR || *p == LF)) {
        p++;
    }

    start = p;

    while (p < last && *p != CR && *p != LF) {
        p++;
    }

    end = p;

    while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    if (start == end) {
        (void) ngx_snprintf(err, errlen, "it holds no password; write it on "
                            "the first line");
        return NULL;
    }

    password = ngx_palloc(pool, sizeof(ngx_str_t));
    if (password == NULL) {
        return NULL;
    }

    password->len = end - start;
    password->data = ngx_pnalloc(pool, password->len);
    if (password->data == NULL) {
        return NULL;
    }

    ngx_memcpy(password->data, start, password->len);

    return password;
}


static char *
ngx_readiness_redis_database(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    redis->database = ngx_atoi(value->data, value->len);

    if (redis->database == NGX_ERROR || redis->database > 65535) {
        return ngx_readiness_conf_error(cf, "invalid \"database %V\" of "
                                        "\"readiness_redis %V\": use a "
                                        "number from 0 to 65535", value,
                                        &redis->name);
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_redis_set_timeout(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    return ngx_readiness_redis_msec(cf, redis, value, &redis->timeout);
}


static char *
ngx_readiness_redis_connect_timeout(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value)
{
    return ngx_readiness_redis_msec(cf, redis, value,
                                    &redis->connect_timeout);
}


static char *
ngx_readiness_redis_msec(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value, ngx_msec_t *msec)
{
    ngx_int_t  n;

    n = ngx_parse_time(value, 0);

    if (n == NGX_ERROR || n < 1 || n > NGX_READINESS_REDIS_MAX_TIMEOUT) {
        return ngx_readiness_conf_error(cf, "invalid \"%V %V\" of "
                                        "\"readiness_redis %V\": use 1ms to "
                                        "60s, such as 50ms", &value[-1], value,
                                        &redis->name);
    }

    *msec = (ngx_msec_t) n;

    return NGX_CONF_OK;
}


static char *
ngx_readiness_redis_set_prefix(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    u_char      ch;
    ngx_uint_t  i;

    redis->prefix = *value;

    for (i = 0; i < value->len; i++) {
        ch = ngx_tolower(value->data[i]);

        if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9')
            && ngx_strchr("._:@-", ch) == NULL)
        {
            goto invalid;
        }
    }

    if (value->len <= NGX_READINESS_REDIS_MAX_PREFIX) {
        return NGX_CONF_OK;
    }

invalid:

    return ngx_readiness_conf_error(cf, "invalid \"prefix %V\" of "
                                    "\"readiness_redis %V\": use up to %d of "
                                    "A-Z a-z 0-9 . _ : @ -", value,
                                    &redis->name,
                                    NGX_READINESS_REDIS_MAX_PREFIX);
}


static char *
ngx_readiness_redis_complete(ngx_conf_t *cf, ngx_readiness_redis_t *redis)
{
    ngx_readiness_redis_server_t  *server;

    if (ngx_readiness_redis_servers(cf, redis) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_readiness_redis_ssl_complete(cf, redis) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (redis->user.len && redis->password == NULL) {
        return ngx_readiness_conf_error(cf, "\"user %V\" of "
                                        "\"readiness_redis %V\" has no "
                                        "password: add \"password_file\"",
                                        &redis->user, &redis->name);
    }

    if (ngx_readiness_redis_sentinel_complete(cf, redis) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    server = ngx_readiness_redis_remote(redis);

    if ((redis->password || redis->sentinel_password)
        && server && !redis->tls.on)
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the password of \"readiness_redis %V\" goes to "
                           "\"%V\" unencrypted: add \"ssl on\", or use a "
                           "private network", &redis->name,
                           &server->text);
    }

    return NGX_CONF_OK;
}
