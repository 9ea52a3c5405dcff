
/*
 * Copyright (C) The readiness authors
 */


/* the way out of a line: buffer, write, syslog, and what is lost on it */


#include "observe/ngx_readiness_sink.h"


#define NGX_READINESS_REPORT_EVERY  60      /* s */

/* spins a worker waits for another one that mends; it may have died */

#define NGX_READINESS_MEND_SPINS    10000

#define NGX_READINESS_SYSLOG_HEAD                                             \
    (sizeof("<255>Jan 01 00:00:00 ") - 1 + NGX_MAXHOSTNAMELEN + 1             \
     + 32 /* tag */ + 2)


static void ngx_readiness_sink_out(ngx_readiness_sink_t *sink, u_char *buf,
    size_t len, ngx_uint_t lines);
static ssize_t ngx_readiness_sink_send(ngx_readiness_sink_t *sink,
    u_char *buf, size_t len);
static ssize_t ngx_readiness_sink_mend(ngx_readiness_sink_t *sink,
    u_char *buf, size_t len);
static ngx_uint_t ngx_readiness_sink_is_empty(ngx_readiness_sink_t *sink);
static ssize_t ngx_readiness_sink_send_behind(ngx_readiness_sink_t *sink,
    u_char *buf, size_t len);
static void ngx_readiness_sink_lost(ngx_readiness_sink_t *sink, u_char *buf,
    size_t n, ngx_uint_t lines, ngx_err_t err);
static void ngx_readiness_sink_report(ngx_readiness_sink_t *sink,
    ngx_err_t err);
static void ngx_readiness_sink_syslog(ngx_readiness_sink_t *sink,
    u_char *line, size_t len, ngx_uint_t severity);
static ngx_int_t ngx_readiness_sink_connect(ngx_readiness_sink_t *sink);


void
ngx_readiness_sink_write(ngx_readiness_sink_t *sink, u_char *line, size_t len,
    ngx_uint_t severity)
{
    if (sink->syslog) {
        ngx_readiness_sink_syslog(sink, line, len - 1, severity);
        return;
    }

    if (sink->start == NULL) {
        ngx_readiness_sink_out(sink, line, len, 1);
        return;
    }

    if (len > (size_t) (sink->end - sink->pos)) {
        ngx_readiness_sink_flush(sink);
    }

    if (len > (size_t) (sink->end - sink->pos)) {
        ngx_readiness_sink_out(sink, line, len, 1);
        return;
    }

    if (sink->flush && sink->pos == sink->start) {
        ngx_add_timer(&sink->timer, sink->flush);
    }

    sink->pos = ngx_cpymem(sink->pos, line, len);
    sink->lines++;
}


void
ngx_readiness_sink_flush(ngx_readiness_sink_t *sink)
{
    if (sink->timer.timer_set) {
        ngx_del_timer(&sink->timer);
    }

    if (sink->pos == sink->start) {
        return;
    }

    ngx_readiness_sink_out(sink, sink->start, sink->pos - sink->start,
                           sink->lines);

    sink->pos = sink->start;
    sink->lines = 0;
}


void
ngx_readiness_sink_timer(ngx_event_t *ev)
{
    ngx_readiness_sink_flush(ev->data);
}


/* whole lines, in one write */

static void
ngx_readiness_sink_out(ngx_readiness_sink_t *sink, u_char *buf, size_t len,
    ngx_uint_t lines)
{
    ssize_t                       n;
    ngx_err_t                     err;
    ngx_readiness_sink_shared_t  *sh;

    sh = sink->shared;

    n = sh->torn ? ngx_readiness_sink_mend(sink, buf, len)
                 : ngx_readiness_sink_send(sink, buf, len);

    if (n == (ssize_t) len) {
        (void) ngx_atomic_fetch_add(&sh->written, lines);

        if (sh->reported != sh->dropped) {
            ngx_readiness_sink_report(sink, 0);
        }

        return;
    }

    err = 0;

    if (n < 0) {
        err = ngx_errno;
        n = 0;
    }

    ngx_readiness_sink_lost(sink, buf, n, lines, err);
}


static ssize_t
ngx_readiness_sink_send(ngx_readiness_sink_t *sink, u_char *buf, size_t len)
{
    ssize_t  n;

    do {
        if (sink->socket) {
            n = send(sink->fd, buf, len, MSG_DONTWAIT|MSG_NOSIGNAL);

        } else {
            n = write(sink->file ? sink->file->fd : sink->fd, buf, len);
        }

    } while (n == -1 && ngx_errno == NGX_EINTR);

    return n;
}


/*
 * The destination ends in half a line.  One worker at a time, so that none
 * finds its line glued to the half, nor adds an LF that is there already.
 */

static ssize_t
ngx_readiness_sink_mend(ngx_readiness_sink_t *sink, u_char *buf, size_t len)
{
    ssize_t                       n;
    ngx_uint_t                    i;
    ngx_readiness_sink_shared_t  *sh;

    sh = sink->shared;

    for (i = 0; i < NGX_READINESS_MEND_SPINS; i++) {

        if (ngx_atomic_cmp_set(&sh->mending, 0, 1)) {
            break;
        }

        ngx_cpu_pause();
    }

    if (sh->torn && !ngx_readiness_sink_is_empty(sink)) {
        n = ngx_readiness_sink_send_behind(sink, buf, len);

    } else {
        sh->torn = 0;
        n = ngx_readiness_sink_send(sink, buf, len);
    }

    sh->mending = 0;

    return n;
}


/* 1: rotated meanwhile, the half line is in the old file */

static ngx_uint_t
ngx_readiness_sink_is_empty(ngx_readiness_sink_t *sink)
{
    ngx_file_info_t  fi;

    return sink->file && ngx_fd_info(sink->file->fd, &fi) != NGX_FILE_ERROR
           && ngx_file_size(&fi) == 0;
}


/* an LF and buf, in one write; the LF is not in what is returned */

static ssize_t
ngx_readiness_sink_send_behind(ngx_readiness_sink_t *sink, u_char *buf,
    size_t len)
{
    ssize_t        n;
    struct iovec   iov[2];
    struct msghdr  msg;

    iov[0].iov_base = (void *) "\n";
    iov[0].iov_len = 1;
    iov[1].iov_base = buf;
    iov[1].iov_len = len;

    do {
        if (sink->socket) {
            ngx_memzero(&msg, sizeof(struct msghdr));
            msg.msg_iov = iov;
            msg.msg_iovlen = 2;

            n = sendmsg(sink->fd, &msg, MSG_DONTWAIT|MSG_NOSIGNAL);

        } else {
            n = writev(sink->file ? sink->file->fd : sink->fd, iov, 2);
        }

    } while (n == -1 && ngx_errno == NGX_EINTR);

    if (n > 0) {
        sink->shared->torn = 0;
        n--;
    }

    return n;
}


/* of the lines in buf only the first n bytes are out */

static void
ngx_readiness_sink_lost(ngx_readiness_sink_t *sink, u_char *buf, size_t n,
    ngx_uint_t lines, ngx_err_t err)
{
    size_t                        i;
    ngx_uint_t                    whole;
    ngx_readiness_sink_shared_t  *sh;

    sh = sink->shared;
    whole = 0;

    for (i = 0; i < n; i++) {
        if (buf[i] == LF) {
            whole++;
        }
    }

    if (n && buf[n - 1] != LF) {
        sh->torn = 1;
        (void) ngx_atomic_fetch_add(&sh->broken, 1);
    }

    if (whole) {
        (void) ngx_atomic_fetch_add(&sh->written, whole);
    }

    (void) ngx_atomic_fetch_add(&sh->dropped, lines - whole);

    /* a short write gives no reason, the next one will */

    if (err) {
        ngx_readiness_sink_report(sink, err);
    }
}


/* once a minute, whichever worker comes first; err may be 0 */

static void
ngx_readiness_sink_report(ngx_readiness_sink_t *sink, ngx_err_t err)
{
    ngx_atomic_uint_t             now, last, dropped, n;
    ngx_readiness_sink_shared_t  *sh;

    sh = sink->shared;

    now = (ngx_atomic_uint_t) ngx_time();
    last = sh->report_time;

    /* a clock that was set back makes the difference huge */

    if (now - last < NGX_READINESS_REPORT_EVERY
        || !ngx_atomic_cmp_set(&sh->report_time, last, now))
    {
        return;
    }

    dropped = sh->dropped;
    n = dropped - sh->reported;
    sh->reported = dropped;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                  "readiness_log \"%V\": %uA lines dropped", &sink->name, n);
}


/*
 * nginx's own sending logs an [alert] for each line that does not get out, and
 * loses the datagram that is told of an earlier one's fate.
 */

static void
ngx_readiness_sink_syslog(ngx_readiness_sink_t *sink, u_char *line,
    size_t len, ngx_uint_t severity)
{
    u_char         head[NGX_READINESS_SYSLOG_HEAD];
    ssize_t        n;
    ngx_err_t      err;
    ngx_uint_t     tries;
    struct iovec   iov[2];
    struct msghdr  msg;

    if (!sink->severity) {
        sink->syslog->severity = severity;
    }

    iov[0].iov_base = head;
    iov[0].iov_len = ngx_syslog_add_header(sink->syslog, head) - head;
    iov[1].iov_base = line;
    iov[1].iov_len = len;

    ngx_memzero(&msg, sizeof(struct msghdr));
    msg.msg_iov = iov;
    msg.msg_iovlen = 2;

    err = 0;

    for (tries = 0; tries < 2; tries++) {

        if (sink->fd == -1 && ngx_readiness_sink_connect(sink) != NGX_OK) {
            err = ngx_errno;
            break;
        }

        do {
            n = sendmsg(sink->fd, &msg, MSG_DONTWAIT|MSG_NOSIGNAL);
        } while (n == -1 && ngx_errno == NGX_EINTR);

        if (n != -1) {
            (void) ngx_atomic_fetch_add(&sink->shared->written, 1);
            return;
        }

        err = ngx_errno;

        if (err == NGX_EAGAIN || err == EMSGSIZE || err == ENOBUFS) {
            break;
        }

        if (err == NGX_ECONNREFUSED
            && sink->syslog->server.sockaddr->sa_family != AF_UNIX)
        {
            /* said of an earlier line, which went out well */
            ngx_readiness_sink_lost(sink, line, 0, 1, err);
        }

        ngx_readiness_sink_close(sink);
    }

    ngx_readiness_sink_lost(sink, line, 0, 1, err);
}


static ngx_int_t
ngx_readiness_sink_connect(ngx_readiness_sink_t *sink)
{
    ngx_err_t      err;
    ngx_addr_t    *server;
    ngx_socket_t   fd;

    server = &sink->syslog->server;

    fd = ngx_socket(server->sockaddr->sa_family, SOCK_DGRAM, 0);
    if (fd == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    if (ngx_nonblocking(fd) == -1
        || connect(fd, server->sockaddr, server->socklen) == -1)
    {
        err = ngx_errno;
        (void) ngx_close_socket(fd);
        ngx_set_errno(err);

        return NGX_ERROR;
    }

    sink->fd = fd;

    return NGX_OK;
}


void
ngx_readiness_sink_close(ngx_readiness_sink_t *sink)
{
    if (sink->syslog && sink->fd != -1) {
        (void) ngx_close_socket(sink->fd);
        sink->fd = -1;
    }
}
