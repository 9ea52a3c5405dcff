
/*
 * Copyright (C) The readiness authors
 */


/*
 * The breaker of a node: while it is open no call is made there, and callers
 * are told so at once.  A connection that is there is probed with the script
 * and no keys, which needs no right and touches no data that calls do not; one
 * that is gone is probed by making a new one, to the end of its prelude.
 */


#include "redis/ngx_readiness_redis_internal.h"
#include "redis/rdy_resp.h"

#include <ngx_event.h>


#define NGX_READINESS_REDIS_MAX_FAILURES  1000
#define NGX_READINESS_REDIS_MAX_RETRY     60000


static char *ngx_readiness_redis_breaker_invalid(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value);
static void ngx_readiness_redis_open_breaker(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *text);
static void ngx_readiness_redis_close_breaker(
    ngx_readiness_redis_peer_t *peer, const char *why);
static void ngx_readiness_redis_probe_later(ngx_readiness_redis_peer_t *peer,
    ngx_msec_t spent);
static void ngx_readiness_redis_probe_handler(ngx_event_t *ev);
static void ngx_readiness_redis_probed(ngx_readiness_redis_call_t *call,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload);
static const ngx_str_t *ngx_readiness_redis_where(
    ngx_readiness_redis_peer_t *peer);


/* by ngx_readiness_redis_rc_e; OK: there was no call */

static const char  *ngx_readiness_redis_reasons[] = {
    "it could not be made",
    "no reply in time",
    "the connection went away",
    "",
    "what came was no reply to it"
};


char *
ngx_readiness_redis_breaker(ngx_conf_t *cf, ngx_readiness_redis_t *redis,
    ngx_str_t *value)
{
    ngx_int_t   n;
    ngx_str_t   time;
    ngx_uint_t  i, given;

    if (cf->args->nelts == 2 && ngx_strcmp(value->data, "off") == 0) {
        redis->failures = 0;
        return NGX_CONF_OK;
    }

    given = 0;

    for (i = 1; i < cf->args->nelts; i++, value++) {

        if (ngx_strncmp(value->data, "failures=", 9) == 0 && !(given & 1)) {
            given |= 1;

            n = ngx_atoi(value->data + 9, value->len - 9);

            if (n < 1 || n > NGX_READINESS_REDIS_MAX_FAILURES) {
                return ngx_readiness_redis_breaker_invalid(cf, redis, value);
            }

            redis->failures = n;
            continue;
        }

        if (ngx_strncmp(value->data, "retry=", 6) == 0 && !(given & 2)) {
            given |= 2;

            time.data = value->data + 6;
            time.len = value->len - 6;

            n = ngx_parse_time(&time, 0);

            if (n < RDY_BREAKER_PAUSE || n > NGX_READINESS_REDIS_MAX_RETRY) {
                return ngx_readiness_redis_breaker_invalid(cf, redis, value);
            }

            redis->retry = n;
            continue;
        }

        return ngx_readiness_redis_breaker_invalid(cf, redis, value);
    }

    return NGX_CONF_OK;
}


static char *
ngx_readiness_redis_breaker_invalid(ngx_conf_t *cf,
    ngx_readiness_redis_t *redis, ngx_str_t *value)
{
    return ngx_readiness_conf_error(cf, "invalid \"%V\" in \"breaker\" of "
                                    "\"readiness_redis %V\": use \"breaker "
                                    "failures=5 retry=1s\", with 1 to %d "
                                    "failures and %dms to %ds, or \"breaker "
                                    "off\"", value, &redis->name,
                                    NGX_READINESS_REDIS_MAX_FAILURES,
                                    RDY_BREAKER_PAUSE,
                                    NGX_READINESS_REDIS_MAX_RETRY / 1000);
}


void
ngx_readiness_redis_breaker_init(ngx_readiness_redis_peer_t *peer)
{
    peer->probe_at.data = peer;
    peer->probe_at.handler = ngx_readiness_redis_probe_handler;
    peer->probe_at.log = ngx_cycle->log;
    peer->probe_at.cancelable = 1;

    peer->probe.handler = ngx_readiness_redis_probed;
    peer->probe.data = peer;
}


void
ngx_readiness_redis_failed(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *text)
{
    if (peer->state == NGX_READINESS_REDIS_GONE
        || ngx_readiness_redis_is_limbo(peer)
        || (rc == NGX_READINESS_REDIS_REFUSED && peer->worker->cluster && text
            && ngx_readiness_redis_elsewhere(text)))
    {
        return;
    }

    if (rdy_breaker_failed(&peer->breaker, peer->redis->failures,
                           ngx_current_msec))
    {
        ngx_readiness_redis_open_breaker(peer, rc, text);
    }
}


void
ngx_readiness_redis_succeeded(ngx_readiness_redis_peer_t *peer)
{
    if (rdy_breaker_succeeded(&peer->breaker, peer->redis->failures)) {
        ngx_readiness_redis_close_breaker(peer, "a call was answered");
    }
}


void
ngx_readiness_redis_probe_up(ngx_readiness_redis_peer_t *peer)
{
    if (!peer->breaker.open) {
        return;
    }

    /* a Redis that is LOADING lets us in, and does nothing else for us */

    if (peer->loaded) {
        (void) rdy_breaker_probed(&peer->breaker);
        ngx_readiness_redis_close_breaker(peer, "there is a new connection");
        return;
    }

    ngx_readiness_redis_probe_later(peer, 0);
}


void
ngx_readiness_redis_probe_down(ngx_readiness_redis_peer_t *peer)
{
    peer->nprobes = 0;
    peer->loaded = 0;

    ngx_readiness_redis_cancel(&peer->probe_at);
}


static void
ngx_readiness_redis_open_breaker(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *text)
{
    ngx_str_t   none;
    ngx_uint_t  level;

    /* one error is enough of an outage: that a connection went has been told */

    level = peer->breaker.again ? NGX_LOG_INFO
                                : peer->down ? NGX_LOG_WARN : NGX_LOG_ERR;

    ngx_str_null(&none);

    ngx_log_error(level, ngx_cycle->log, 0,
                  "readiness_redis \"%V\" at %V: breaker opened, %ui calls "
                  "in a row failed, the last one: %s%V",
                  &peer->redis->name, ngx_readiness_redis_where(peer),
                  peer->redis->failures, ngx_readiness_redis_reasons[rc],
                  rc == NGX_READINESS_REDIS_REFUSED && text ? text : &none);

    switch (peer->state) {

    case NGX_READINESS_REDIS_UP:
        ngx_readiness_redis_probe_later(peer, 0);
        break;

    case NGX_READINESS_REDIS_IDLE:

        /* no call will connect */

        if (!peer->retry.timer_set) {
            ngx_add_timer(&peer->retry,
                          rdy_breaker_pause(&peer->breaker, peer->redis->retry,
                                            0, ngx_random()));
        }

        break;

    default:

        /* an attempt to connect is under way, or its time is set */

        break;
    }
}


static void
ngx_readiness_redis_close_breaker(ngx_readiness_redis_peer_t *peer,
    const char *why)
{
    ngx_uint_t  level;

    level = peer->breaker.again ? NGX_LOG_INFO : NGX_LOG_NOTICE;

    ngx_log_error(level, ngx_cycle->log, 0,
                  "readiness_redis \"%V\" at %V: breaker closed after %Mms, "
                  "%s", &peer->redis->name, ngx_readiness_redis_where(peer),
                  ngx_current_msec - peer->breaker.since, why);

    ngx_readiness_redis_cancel(&peer->probe_at);
}


static void
ngx_readiness_redis_probe_later(ngx_readiness_redis_peer_t *peer,
    ngx_msec_t spent)
{
    ngx_msec_t  pause;

    pause = rdy_breaker_pause(&peer->breaker, peer->redis->retry, spent,
                              ngx_random());

    ngx_readiness_redis_cancel(&peer->probe_at);
    ngx_add_timer(&peer->probe_at, pause);
}


static void
ngx_readiness_redis_probe_handler(ngx_event_t *ev)
{
    ngx_readiness_redis_peer_t *peer = ev->data;

    if (!peer->breaker.open || peer->state != NGX_READINESS_REDIS_UP) {
        return;
    }

    /*
     * While the reply to the last probe is owed another would only join it;
     * that connection is closed when it is owed for too long.
     */

    if (peer->nprobes
        || peer->worker->nscripts == 0
        || ngx_readiness_redis_try(peer, peer->worker->scripts[0],
                                   &peer->probe)
           != NGX_OK)
    {
        ngx_readiness_redis_probe_later(peer, 0);
    }
}


static void
ngx_readiness_redis_probed(ngx_readiness_redis_call_t *call,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload)
{
    ngx_msec_t                   spent;
    ngx_readiness_redis_peer_t  *peer;

    peer = call->data;

    if (rc == NGX_READINESS_REDIS_OK
        || (rc == NGX_READINESS_REDIS_REFUSED && rdy_resp_alive(payload)))
    {
        if (rdy_breaker_probed(&peer->breaker)) {
            ngx_readiness_redis_close_breaker(peer, "a probe was answered");
        }

        return;
    }

    /* a connection that has gone is not probed but made anew */

    if (peer->breaker.open && peer->state == NGX_READINESS_REDIS_UP) {
        spent = rc == NGX_READINESS_REDIS_TIMEOUT ? peer->redis->timeout : 0;
        ngx_readiness_redis_probe_later(peer, spent);
    }
}


static const ngx_str_t *
ngx_readiness_redis_where(ngx_readiness_redis_peer_t *peer)
{
    return peer->naddrs ? &peer->addrs[peer->addr % peer->naddrs].name
                        : &peer->server->text;
}
