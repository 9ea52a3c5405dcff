
/*
 * Copyright (C) The readiness authors
 */


/*
 * Where decision lines go.  There is one sink for a destination in a cycle,
 * however many lines of the configuration name it.  Writing never blocks and
 * never fails: a line that does not get out is counted and told of in the
 * error log, once a minute at most.
 */


#ifndef _NGX_READINESS_SINK_H_INCLUDED_
#define _NGX_READINESS_SINK_H_INCLUDED_


#include "ngx_readiness.h"


/* of syslog, for a line whose destination has no severity= */

#define NGX_READINESS_SYSLOG_ERROR  3
#define NGX_READINESS_SYSLOG_WARN   4
#define NGX_READINESS_SYSLOG_INFO   6


/*
 * What all workers, and those of the next cycle, must agree on.  A torn
 * destination ends in half a line: whoever writes next begins with LF.
 */

typedef struct {
    ngx_atomic_t              hash;        /* of the destination; 0: unused */
    ngx_atomic_t              written;     /* lines */
    ngx_atomic_t              dropped;     /* lines, the broken ones too */
    ngx_atomic_t              broken;      /* lines of which a part is out */
    ngx_atomic_t              torn;
    ngx_atomic_t              mending;     /* a lock: some worker writes LF */
    ngx_atomic_t              reported;    /* of dropped, to the error log */
    ngx_atomic_t              report_time;
} ngx_readiness_sink_shared_t;


/* destinations one nginx ever had; further ones share the last place */

#define NGX_READINESS_SINKS_MAX  64


typedef struct {
    ngx_readiness_sink_shared_t  *places;
    ngx_array_t                  *sinks;
} ngx_readiness_sink_zone_t;


struct ngx_readiness_sink_s {
    ngx_str_t                     name;    /* full path, stderr, syslog:... */
    ngx_readiness_sink_shared_t  *shared;
    ngx_readiness_sink_zone_t    *zone;

    ngx_open_file_t              *file;    /* reopened by nginx, or NULL: fd */
    ngx_fd_t                      fd;
    unsigned                      socket:1;

    ngx_syslog_peer_t            *syslog;  /* fd is the worker's own */
    unsigned                      severity:1; /* syslog: fixed */

    u_char                       *start;   /* buffer=, or NULL */
    u_char                       *pos;
    u_char                       *end;
    ngx_uint_t                    lines;   /* in the buffer */
    ngx_msec_t                    flush;   /* 0: when full */
    ngx_event_t                   timer;

    /* another module's flush of the same file */

    void                        (*chained)(ngx_open_file_t *file,
                                           ngx_log_t *log);
};


/*
 * The sink of the readiness_log line in cf->args, whose value[1] is dest, with
 * this buffer (0: none) and flush time (0: none).  NULL: message logged.
 */
ngx_readiness_sink_t *ngx_readiness_sink_add(ngx_conf_t *cf, ngx_str_t *dest,
    size_t buffer, ngx_msec_t flush);

/* line ends in LF; severity is one of NGX_READINESS_SYSLOG_ */
void ngx_readiness_sink_write(ngx_readiness_sink_t *sink, u_char *line,
    size_t len, ngx_uint_t severity);

/* writes what is in the buffer, if anything */
void ngx_readiness_sink_flush(ngx_readiness_sink_t *sink);

/* the worker's syslog socket */
void ngx_readiness_sink_close(ngx_readiness_sink_t *sink);

/* timer handler: ev->data is the sink */
void ngx_readiness_sink_timer(ngx_event_t *ev);


/*
 * Lines of all workers since nginx started, over reloads: for the metrics.
 * Broken lines are among the dropped.
 */

typedef struct {
    uint64_t                      written;
    uint64_t                      dropped;
    uint64_t                      broken;
} ngx_readiness_sink_totals_t;

void ngx_readiness_sink_totals(const ngx_readiness_main_conf_t *rmcf,
    ngx_readiness_sink_totals_t *totals);


#endif /* _NGX_READINESS_SINK_H_INCLUDED_ */
