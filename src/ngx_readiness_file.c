
/*
 * Copyright (C) The readiness authors
 */


/*
 * Files that are read again when they change: address lists, and whatever
 * later rooms keep in files.  The master reads them at start; each worker
 * looks at them once a second, and reads one that looks the same on two looks
 * in a row but differs from what was loaded: a file that is being written is
 * left alone.  A bad, vanished or empty file keeps the last good content.
 */


#include "ngx_readiness.h"


#define NGX_READINESS_LOOK_EVERY  1000


static ngx_int_t ngx_readiness_file_look(ngx_str_t *name,
    ngx_readiness_look_t *look);
static ngx_int_t ngx_readiness_file_read(ngx_str_t *name, ngx_pool_t *pool,
    ngx_str_t *content, u_char *err, size_t errlen);
static void ngx_readiness_file_timer(ngx_event_t *ev);
static void ngx_readiness_file_check(ngx_readiness_file_t *file,
    ngx_log_t *log);
static ngx_int_t ngx_readiness_file_reload(ngx_readiness_file_t *file,
    ngx_log_t *log, u_char *err, size_t errlen);


/* one per worker */

static ngx_event_t       ngx_readiness_file_event;
static ngx_connection_t  ngx_readiness_file_dummy;


ngx_readiness_file_t *
ngx_readiness_file_add(ngx_conf_t *cf, const char *directive, ngx_str_t *name,
    ngx_readiness_file_load_pt load, ngx_readiness_file_swap_pt swap,
    void *owner)
{
    u_char                      err[NGX_MAX_CONF_ERRSTR / 2];
    ngx_str_t                   content;
    ngx_pool_t                 *temp;
    ngx_readiness_file_t       *file, **slot;
    ngx_readiness_main_conf_t  *rmcf;

    file = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_file_t));
    if (file == NULL) {
        return NULL;
    }

    file->name = *name;
    file->load = load;
    file->swap = swap;
    file->owner = owner;

    if (ngx_conf_full_name(cf->cycle, &file->name, 1) != NGX_OK) {
        return NULL;
    }

    temp = ngx_create_pool(4096, cf->log);
    if (temp == NULL) {
        return NULL;
    }

    ngx_memzero(err, sizeof(err));

    if (ngx_readiness_file_look(&file->name, &file->loaded) != NGX_OK
        || ngx_readiness_file_read(&file->name, temp, &content, err,
                                   sizeof(err) - 1)
           != NGX_OK)
    {
        if (err[0] == '\0') {
            (void) ngx_snprintf(err, sizeof(err) - 1, "%s",
                                strerror(ngx_errno));
        }

        goto failed;
    }

    file->data = load(owner, cf->pool, &content, err, sizeof(err) - 1);
    if (file->data == NULL) {
        goto failed;
    }

    ngx_destroy_pool(temp);

    file->seen = file->loaded;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_readiness_module);

    slot = ngx_array_push(&rmcf->files);
    if (slot == NULL) {
        return NULL;
    }

    *slot = file;

    return file;

failed:

    ngx_destroy_pool(temp);

    (void) ngx_readiness_conf_error(cf, "cannot use file \"%V\" of \"%s\": "
                                    "%s", &file->name, directive, err);
    return NULL;
}


static ngx_int_t
ngx_readiness_file_look(ngx_str_t *name, ngx_readiness_look_t *look)
{
    ngx_file_info_t  fi;

    ngx_memzero(look, sizeof(ngx_readiness_look_t));

    if (ngx_file_info(name->data, &fi) == NGX_FILE_ERROR) {
        look->none = 1;
        return NGX_ERROR;
    }

    look->device = fi.st_dev;
    look->uniq = ngx_file_uniq(&fi);
    look->size = ngx_file_size(&fi);
    look->mtime = fi.st_mtim;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_file_read(ngx_str_t *name, ngx_pool_t *pool, ngx_str_t *content,
    u_char *err, size_t errlen)
{
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    content->len = 0;

    /* a FIFO without a writer would hang an ordinary open() */
    fd = open((const char *) name->data, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {
        (void) ngx_snprintf(err, errlen, "%s", strerror(ngx_errno));
        return NGX_ERROR;
    }

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi)) {
        (void) ngx_snprintf(err, errlen, "not a regular file");
        goto failed;
    }

    if (ngx_file_size(&fi) > NGX_READINESS_FILE_MAX) {
        (void) ngx_snprintf(err, errlen, "larger than %uz bytes",
                            (size_t) NGX_READINESS_FILE_MAX);
        goto failed;
    }

    content->data = ngx_palloc(pool, ngx_file_size(&fi) + 1);
    if (content->data == NULL) {
        goto failed;
    }

    while (content->len < (size_t) ngx_file_size(&fi)) {

        n = ngx_read_fd(fd, content->data + content->len,
                        ngx_file_size(&fi) - content->len);
        if (n == -1) {
            (void) ngx_snprintf(err, errlen, "%s", strerror(ngx_errno));
            goto failed;
        }

        if (n == 0) {
            break;
        }

        content->len += n;
    }

    (void) ngx_close_file(fd);

    return NGX_OK;

failed:

    (void) ngx_close_file(fd);

    return NGX_ERROR;
}


ngx_int_t
ngx_readiness_file_init_process(ngx_cycle_t *cycle)
{
    int                         fd;
    ngx_uint_t                  i;
    ngx_event_t                *ev;
    ngx_readiness_file_t      **file;
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);

    if (rmcf == NULL || rmcf->files.nelts == 0) {
        return NGX_OK;
    }

    file = rmcf->files.elts;

    for (i = 0; ngx_worker == 0 && i < rmcf->files.nelts; i++) {

        fd = open((const char *) file[i]->name.data,
                  O_RDONLY|O_NONBLOCK|O_CLOEXEC);

        if (fd == -1) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                          "workers cannot read \"%V\": changes of it will "
                          "need a reload", &file[i]->name);
            continue;
        }

        (void) close(fd);
    }

    ngx_memzero(&ngx_readiness_file_event, sizeof(ngx_event_t));

    ngx_readiness_file_dummy.fd = (ngx_socket_t) -1;

    ev = &ngx_readiness_file_event;
    ev->handler = ngx_readiness_file_timer;
    ev->log = cycle->log;
    ev->data = &ngx_readiness_file_dummy;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_READINESS_LOOK_EVERY);

    return NGX_OK;
}


void
ngx_readiness_file_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_readiness_file_t      **file;
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);

    if (rmcf == NULL) {
        return;
    }

    file = rmcf->files.elts;

    for (i = 0; i < rmcf->files.nelts; i++) {
        if (file[i]->pool) {
            ngx_destroy_pool(file[i]->pool);
            file[i]->pool = NULL;
        }
    }
}


static void
ngx_readiness_file_timer(ngx_event_t *ev)
{
    ngx_uint_t                  i;
    ngx_readiness_file_t      **file;
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_readiness_module);
    file = rmcf->files.elts;

    for (i = 0; i < rmcf->files.nelts; i++) {
        ngx_readiness_file_check(file[i], ev->log);
    }

    if (!ngx_exiting && !ngx_terminate) {
        ngx_add_timer(ev, NGX_READINESS_LOOK_EVERY);
    }
}


static void
ngx_readiness_file_check(ngx_readiness_file_t *file, ngx_log_t *log)
{
    u_char                err[NGX_MAX_CONF_ERRSTR / 2];
    ngx_readiness_look_t  look;

    (void) ngx_readiness_file_look(&file->name, &look);

    if (ngx_memcmp(&look, &file->loaded, sizeof(look)) == 0) {
        file->seen = look;
        return;
    }

    if (ngx_memcmp(&look, &file->seen, sizeof(look)) != 0) {
        file->seen = look;
        return;
    }

    /* the same on two looks; from here on it counts as read, good or bad */

    file->loaded = look;

    ngx_memzero(err, sizeof(err));

    if (ngx_readiness_file_reload(file, log, err, sizeof(err) - 1) != NGX_OK) {
        file->bad = 1;

        ngx_log_error(NGX_LOG_ERR, log, 0, "file \"%V\" is not usable, its "
                      "last good content stays in force: %s", &file->name,
                      err);
        return;
    }

    file->bad = 0;

    ngx_log_error(NGX_LOG_NOTICE, log, 0, "file \"%V\" was read again",
                  &file->name);
}


static ngx_int_t
ngx_readiness_file_reload(ngx_readiness_file_t *file, ngx_log_t *log,
    u_char *err, size_t errlen)
{
    void        *data;
    ngx_str_t    content;
    ngx_pool_t  *pool, *temp, *old;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    temp = ngx_create_pool(4096, log);
    data = NULL;

    if (pool == NULL || temp == NULL) {
        (void) ngx_snprintf(err, errlen, "no memory");
        goto done;
    }

    if (ngx_readiness_file_read(&file->name, temp, &content, err, errlen)
        != NGX_OK)
    {
        goto done;
    }

    if (content.len == 0) {
        (void) ngx_snprintf(err, errlen, "it is empty");
        goto done;
    }

    data = file->load(file->owner, pool, &content, err, errlen);

done:

    if (temp) {
        ngx_destroy_pool(temp);
    }

    if (data == NULL) {
        if (pool) {
            ngx_destroy_pool(pool);
        }

        return NGX_ERROR;
    }

    old = file->pool;

    file->data = data;
    file->pool = pool;

    if (file->swap) {
        file->swap(file->owner);
    }

    if (old) {
        ngx_destroy_pool(old);
    }

    return NGX_OK;
}
