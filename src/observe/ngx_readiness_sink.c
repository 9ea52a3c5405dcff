
/*
 * Copyright (C) The readiness authors
 */


/* sinks: found or opened by the configuration, and their life in a worker */


#include "observe/ngx_readiness_sink.h"


static ngx_readiness_sink_t *ngx_readiness_sink_find(
    ngx_readiness_main_conf_t *rmcf, ngx_str_t *name);
static ngx_readiness_sink_t *ngx_readiness_sink_create(ngx_conf_t *cf,
    ngx_readiness_main_conf_t *rmcf, ngx_str_t *name);
static ngx_int_t ngx_readiness_sink_open(ngx_conf_t *cf,
    ngx_readiness_sink_t *sink);
static ngx_int_t ngx_readiness_sink_forbidden(ngx_conf_t *cf,
    ngx_readiness_sink_t *sink);
static ngx_int_t ngx_readiness_sink_directory(ngx_conf_t *cf,
    ngx_readiness_sink_t *sink);
static ngx_int_t ngx_readiness_sink_open_syslog(ngx_conf_t *cf,
    ngx_readiness_sink_t *sink);
static ngx_int_t ngx_readiness_sink_open_stderr(ngx_conf_t *cf,
    ngx_readiness_sink_t *sink);
static ngx_int_t ngx_readiness_sink_open_special(ngx_conf_t *cf,
    ngx_readiness_sink_t *sink, ngx_uint_t fifo);
static ngx_int_t ngx_readiness_sink_keep_fd(ngx_conf_t *cf,
    ngx_readiness_sink_t *sink, ngx_fd_t fd);
static ngx_int_t ngx_readiness_sink_buffer(ngx_conf_t *cf,
    ngx_readiness_sink_t *sink, size_t size, ngx_msec_t flush);
static ngx_readiness_sink_zone_t *ngx_readiness_sink_zone(ngx_conf_t *cf,
    ngx_readiness_main_conf_t *rmcf);
static ngx_int_t ngx_readiness_sink_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_readiness_sink_shared_t *ngx_readiness_sink_place(
    ngx_readiness_sink_zone_t *zone, ngx_str_t *name);
static void ngx_readiness_sink_reopen(ngx_open_file_t *file, ngx_log_t *log);


/* those of the cycle that this worker runs */

static ngx_array_t  *ngx_readiness_sinks;


ngx_readiness_sink_t *
ngx_readiness_sink_add(ngx_conf_t *cf, ngx_str_t *dest, size_t buffer,
    ngx_msec_t flush)
{
    ngx_str_t                   name;
    ngx_readiness_sink_t       *sink;
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_readiness_module);

    /* parsing cuts the text of a syslog destination up */

    name.len = dest->len;
    name.data = ngx_pnalloc(cf->pool, dest->len + 1);
    if (name.data == NULL) {
        return NULL;
    }

    (void) ngx_cpystrn(name.data, dest->data, dest->len + 1);

    if (ngx_strncmp(dest->data, "syslog:", 7) != 0
        && ngx_strcmp(dest->data, "stderr") != 0)
    {
        name = *dest;

        if (ngx_conf_full_name(cf->cycle, &name, 0) != NGX_OK) {
            return NULL;
        }
    }

    sink = ngx_readiness_sink_find(rmcf, &name);

    if (sink) {

        if ((size_t) (sink->end - sink->start) != buffer
            || sink->flush != flush)
        {
            (void) ngx_readiness_conf_error(cf, "\"readiness_log %V\" has "
                          "another \"buffer=\" or \"flush=\" than an earlier "
                          "line: write the same ones wherever this "
                          "destination stands", dest);
            return NULL;
        }

        return sink;
    }

    sink = ngx_readiness_sink_create(cf, rmcf, &name);

    if (sink == NULL
        || ngx_readiness_sink_buffer(cf, sink, buffer, flush) != NGX_OK)
    {
        return NULL;
    }

    return sink;
}


static ngx_readiness_sink_t *
ngx_readiness_sink_find(ngx_readiness_main_conf_t *rmcf, ngx_str_t *name)
{
    ngx_uint_t             i;
    ngx_readiness_sink_t  *sink, **sinks;

    sinks = rmcf->sinks.elts;

    for (i = 0; i < rmcf->sinks.nelts; i++) {
        sink = sinks[i];

        if (sink->name.len == name->len
            && ngx_strncmp(sink->name.data, name->data, name->len) == 0)
        {
            return sink;
        }
    }

    return NULL;
}


static ngx_readiness_sink_t *
ngx_readiness_sink_create(ngx_conf_t *cf, ngx_readiness_main_conf_t *rmcf,
    ngx_str_t *name)
{
    ngx_int_t              rc;
    ngx_readiness_sink_t  *sink, **slot;

    sink = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_sink_t));
    if (sink == NULL) {
        return NULL;
    }

    sink->name = *name;
    sink->fd = NGX_INVALID_FILE;

    sink->zone = ngx_readiness_sink_zone(cf, rmcf);
    if (sink->zone == NULL) {
        return NULL;
    }

    if (ngx_strncmp(name->data, "syslog:", 7) == 0) {
        rc = ngx_readiness_sink_open_syslog(cf, sink);

    } else if (name->len == 6 && ngx_strncmp(name->data, "stderr", 6) == 0) {
        rc = ngx_readiness_sink_open_stderr(cf, sink);

    } else {
        rc = ngx_readiness_sink_open(cf, sink);
    }

    if (rc != NGX_OK) {
        return NULL;
    }

    slot = ngx_array_push(&rmcf->sinks);
    if (slot == NULL) {
        return NULL;
    }

    *slot = sink;

    return sink;
}


/*
 * nginx opens and reopens regular files; it would wait for the reader of a
 * FIFO, and block on a terminal that was stopped.
 */

static ngx_int_t
ngx_readiness_sink_open(ngx_conf_t *cf, ngx_readiness_sink_t *sink)
{
    ngx_file_info_t  fi;

    if (ngx_file_info(sink->name.data, &fi) != NGX_FILE_ERROR) {

        if (S_ISFIFO(fi.st_mode) || S_ISCHR(fi.st_mode)) {
            return ngx_readiness_sink_open_special(cf, sink,
                                                   S_ISFIFO(fi.st_mode));
        }

        if (!ngx_is_file(&fi)) {
            (void) ngx_readiness_conf_error(cf, "\"%V\" in \"readiness_log\" "
                              "is neither a file nor a FIFO nor a terminal: "
                              "write the name of one, \"stderr\", or "
                              "\"syslog:server=ADDRESS\"", &sink->name);
            return NGX_ERROR;
        }

        if (access((char *) sink->name.data, W_OK) == -1) {
            return ngx_readiness_sink_forbidden(cf, sink);
        }

    } else if (ngx_readiness_sink_directory(cf, sink) != NGX_OK) {
        return NGX_ERROR;
    }

    sink->file = ngx_conf_open_file(cf->cycle, &sink->name);

    return sink->file ? NGX_OK : NGX_ERROR;
}


/* nginx opens the file later, and could no longer name the line */

static ngx_int_t
ngx_readiness_sink_forbidden(ngx_conf_t *cf, ngx_readiness_sink_t *sink)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                       "\"%V\" in \"readiness_log\" cannot be opened for "
                       "writing: run nginx as a user who may, or write "
                       "another path", &sink->name);

    return NGX_ERROR;
}


static ngx_int_t
ngx_readiness_sink_directory(ngx_conf_t *cf, ngx_readiness_sink_t *sink)
{
    u_char          *p;
    ngx_int_t        rc;
    ngx_err_t        err;
    ngx_uint_t       denied;
    ngx_file_info_t  fi;

    for (p = sink->name.data + sink->name.len - 1; *p != '/'; p--) {
        /* void: it is a full path */
    }

    *p = '\0';
    err = 0;

    if (p == sink->name.data) {
        rc = NGX_OK;

    } else if (ngx_file_info(sink->name.data, &fi) == NGX_FILE_ERROR) {
        rc = NGX_ERROR;
        err = ngx_errno;

    } else {
        rc = ngx_is_dir(&fi) ? NGX_OK : NGX_ERROR;
    }

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%s\" in \"readiness_log\" is no directory: "
                           "create it or write another path",
                           sink->name.data);
    }

    denied = (rc == NGX_OK && access(p == sink->name.data ? "/"
                                     : (char *) sink->name.data, W_OK) == -1);
    *p = '/';

    return denied ? ngx_readiness_sink_forbidden(cf, sink) : rc;
}


static ngx_int_t
ngx_readiness_sink_open_syslog(ngx_conf_t *cf, ngx_readiness_sink_t *sink)
{
    sink->syslog = ngx_pcalloc(cf->pool, sizeof(ngx_syslog_peer_t));
    if (sink->syslog == NULL) {
        return NGX_ERROR;
    }

    if (ngx_syslog_process_conf(cf, sink->syslog) != NGX_CONF_OK) {

        /* nginx has said what is wrong, but not where */

        (void) ngx_readiness_conf_error(cf, "invalid \"%V\" in "
                              "\"readiness_log\": write "
                              "syslog:server=ADDRESS[,facility=NAME]"
                              "[,severity=NAME][,tag=NAME][,nohostname]",
                              &sink->name);
        return NGX_ERROR;
    }

    sink->severity = (ngx_strstr(sink->name.data, "severity=") != NULL);

    return NGX_OK;
}


/*
 * A description of our own: O_NONBLOCK on the one that fd 2 has would be seen
 * by everyone who shares it, down to the shell that started nginx.
 */

static ngx_int_t
ngx_readiness_sink_open_stderr(ngx_conf_t *cf, ngx_readiness_sink_t *sink)
{
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    /* without this flag nginx makes fd 2 its error log, from a reload on */

    cf->cycle->log_use_stderr = 1;

    fd = open("/proc/self/fd/2",
              O_WRONLY|O_APPEND|O_NONBLOCK|O_NOCTTY|O_CLOEXEC);

    if (fd != NGX_INVALID_FILE) {
        return ngx_readiness_sink_keep_fd(cf, sink, fd);
    }

    /* a socket cannot be opened again, and /proc may not be there */

    sink->fd = ngx_stderr;

    if (ngx_fd_info(ngx_stderr, &fi) != NGX_FILE_ERROR
        && S_ISSOCK(fi.st_mode))
    {
        sink->socket = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_sink_open_special(ngx_conf_t *cf, ngx_readiness_sink_t *sink,
    ngx_uint_t fifo)
{
    ngx_fd_t  fd;

    /*
     * To open a FIFO and to close it again ends its reader; neither nginx -t
     * nor nginx -s may do that to the log of a running nginx.
     */

    if (ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER) {

        if (access((char *) sink->name.data, W_OK) == -1) {
            return ngx_readiness_sink_forbidden(cf, sink);
        }

        return NGX_OK;
    }

    if (fifo) {

        /* as its own reader it needs no other one, and never gets EPIPE */

        fd = open((char *) sink->name.data, O_RDWR|O_NONBLOCK|O_CLOEXEC);

        if (fd == NGX_INVALID_FILE && ngx_errno == NGX_EACCES) {
            fd = open((char *) sink->name.data,
                      O_WRONLY|O_NONBLOCK|O_CLOEXEC);
        }

    } else {
        fd = open((char *) sink->name.data,
                  O_WRONLY|O_APPEND|O_NONBLOCK|O_NOCTTY|O_CLOEXEC);
    }

    if (fd != NGX_INVALID_FILE) {
        return ngx_readiness_sink_keep_fd(cf, sink, fd);
    }

    return ngx_readiness_sink_forbidden(cf, sink);
}


/* fd lives as long as the cycle */

static ngx_int_t
ngx_readiness_sink_keep_fd(ngx_conf_t *cf, ngx_readiness_sink_t *sink,
    ngx_fd_t fd)
{
    ngx_pool_cleanup_t       *cln;
    ngx_pool_cleanup_file_t  *clnf;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_pool_cleanup_file_t));
    if (cln == NULL) {
        (void) ngx_close_file(fd);
        return NGX_ERROR;
    }

    cln->handler = ngx_pool_cleanup_file;

    clnf = cln->data;
    clnf->fd = fd;
    clnf->name = sink->name.data;
    clnf->log = &cf->cycle->new_log;

    sink->fd = fd;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_sink_buffer(ngx_conf_t *cf, ngx_readiness_sink_t *sink,
    size_t size, ngx_msec_t flush)
{
    if (size == 0) {
        return NGX_OK;
    }

    sink->start = ngx_pnalloc(cf->pool, size);
    if (sink->start == NULL) {
        return NGX_ERROR;
    }

    sink->pos = sink->start;
    sink->end = sink->start + size;
    sink->flush = flush;

    sink->timer.handler = ngx_readiness_sink_timer;
    sink->timer.data = sink;
    sink->timer.log = &cf->cycle->new_log;
    sink->timer.cancelable = 1;

    return NGX_OK;
}


static ngx_readiness_sink_zone_t *
ngx_readiness_sink_zone(ngx_conf_t *cf, ngx_readiness_main_conf_t *rmcf)
{
    ngx_shm_zone_t             *shm_zone;
    ngx_readiness_sink_zone_t  *zone;

    static ngx_str_t  name = ngx_string("readiness_log");

    shm_zone = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                     &ngx_readiness_module);
    if (shm_zone == NULL) {
        return NULL;
    }

    if (shm_zone->data) {
        return shm_zone->data;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_sink_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    zone->sinks = &rmcf->sinks;

    shm_zone->init = ngx_readiness_sink_init_zone;
    shm_zone->data = zone;

    return zone;
}


static ngx_int_t
ngx_readiness_sink_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_readiness_sink_zone_t *old = data;

    ngx_uint_t                  i;
    ngx_slab_pool_t            *shpool;
    ngx_readiness_sink_t      **sinks;
    ngx_readiness_sink_zone_t  *zone;

    zone = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old) {
        zone->places = old->places;

    } else if (shm_zone->shm.exists) {
        zone->places = shpool->data;

    } else {
        zone->places = ngx_slab_calloc(shpool, NGX_READINESS_SINKS_MAX
                                       * sizeof(ngx_readiness_sink_shared_t));
        if (zone->places == NULL) {
            return NGX_ERROR;
        }

        shpool->data = zone->places;
    }

    sinks = zone->sinks->elts;

    for (i = 0; i < zone->sinks->nelts; i++) {
        sinks[i]->shared = ngx_readiness_sink_place(zone, &sinks[i]->name);
    }

    return NGX_OK;
}


/* the same place for the same destination, over reloads */

static ngx_readiness_sink_shared_t *
ngx_readiness_sink_place(ngx_readiness_sink_zone_t *zone, ngx_str_t *name)
{
    ngx_uint_t                    i, hash;
    ngx_readiness_sink_shared_t  *place;

    hash = ngx_murmur_hash2(name->data, name->len);
    hash = hash ? hash : 1;

    for (i = 0; i < NGX_READINESS_SINKS_MAX; i++) {
        place = &zone->places[i];

        if (place->hash == 0) {
            place->hash = hash;
        }

        if (place->hash == hash) {
            return place;
        }
    }

    return &zone->places[NGX_READINESS_SINKS_MAX - 1];
}


void
ngx_readiness_sink_totals(const ngx_readiness_main_conf_t *rmcf,
    ngx_readiness_sink_totals_t *totals)
{
    ngx_uint_t                          i;
    ngx_readiness_sink_t              **sinks;
    const ngx_readiness_sink_shared_t  *place;

    ngx_memzero(totals, sizeof(ngx_readiness_sink_totals_t));

    if (rmcf->sinks.nelts == 0) {
        return;
    }

    sinks = rmcf->sinks.elts;
    place = sinks[0]->zone->places;

    for (i = 0; i < NGX_READINESS_SINKS_MAX; i++) {
        totals->written += place[i].written;
        totals->dropped += place[i].dropped;
        totals->broken += place[i].broken;
    }
}


ngx_int_t
ngx_readiness_observe_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_readiness_sink_t       *sink, **sinks;
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_readiness_module);

    if (rmcf == NULL) {
        return NGX_OK;
    }

    ngx_readiness_sinks = &rmcf->sinks;
    sinks = rmcf->sinks.elts;

    for (i = 0; i < rmcf->sinks.nelts; i++) {
        sink = sinks[i];

        if (sink->file && sink->start) {

            /*
             * not before all directives were read: an access_log line with a
             * buffer sets its own, without looking
             */

            sink->chained = sink->file->flush;
            sink->file->flush = ngx_readiness_sink_reopen;
        }
    }

    return NGX_OK;
}


/* nginx is about to reopen the file */

static void
ngx_readiness_sink_reopen(ngx_open_file_t *file, ngx_log_t *log)
{
    ngx_uint_t             i;
    ngx_readiness_sink_t  *sink, **sinks;

    if (ngx_readiness_sinks == NULL) {
        return;
    }

    sinks = ngx_readiness_sinks->elts;

    for (i = 0; i < ngx_readiness_sinks->nelts; i++) {
        sink = sinks[i];

        if (sink->file != file || sink->start == NULL) {
            continue;
        }

        ngx_readiness_sink_flush(sink);

        if (sink->chained) {
            sink->chained(file, log);
        }

        return;
    }
}


void
ngx_readiness_observe_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t             i;
    ngx_readiness_sink_t  *sink, **sinks;

    if (ngx_readiness_sinks == NULL) {
        return;
    }

    sinks = ngx_readiness_sinks->elts;

    for (i = 0; i < ngx_readiness_sinks->nelts; i++) {
        sink = sinks[i];

        if (sink->start) {
            ngx_readiness_sink_flush(sink);
        }

        ngx_readiness_sink_close(sink);

        if (sink->file && sink->start) {

            /* nginx flushes its files once more, when we are gone */

            sink->file->flush = sink->chained;
        }
    }

    ngx_readiness_sinks = NULL;
}
