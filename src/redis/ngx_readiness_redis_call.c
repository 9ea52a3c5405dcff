
/*
 * Copyright (C) The readiness authors
 */


/*
 * How calls are written, and how their callers are told.
 */


#include "redis/ngx_readiness_redis_internal.h"
#include "redis/rdy_resp.h"

#include <ngx_event.h>


static ngx_readiness_redis_entry_t *ngx_readiness_redis_format(
    ngx_readiness_redis_peer_t *peer, ngx_readiness_script_t *script,
    ngx_readiness_redis_call_t *call);
static ngx_readiness_redis_entry_t *ngx_readiness_redis_entry(
    ngx_readiness_redis_kind_e kind, size_t size);
static void ngx_readiness_redis_count(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload);
static void ngx_readiness_redis_insert(ngx_readiness_redis_peer_t *peer,
    ngx_queue_t *after, ngx_readiness_redis_entry_t *e);


static const ngx_str_t  ngx_readiness_redis_nothing = ngx_null_string;


ngx_int_t
ngx_readiness_redis_push(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call)
{
    ngx_readiness_redis_entry_t  *e;

    e = ngx_readiness_redis_format(peer, script, call);
    if (e == NULL) {
        return NGX_ERROR;
    }

    e->probe = (call == &peer->probe);

    ngx_readiness_redis_insert(peer, ngx_queue_last(&peer->unsent), e);

    peer->nwaiting++;

    return NGX_OK;
}


static ngx_readiness_redis_entry_t *
ngx_readiness_redis_format(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_script_t *script, ngx_readiness_redis_call_t *call)
{
    u_char                       *p;
    size_t                        size;
    uint64_t                      number;
    ngx_uint_t                    i;
    ngx_readiness_redis_entry_t  *e;

    size = RDY_RESP_HEAD_LEN + RDY_RESP_ARG_LEN(sizeof("EVALSHA") - 1)
           + RDY_RESP_ARG_LEN(sizeof(script->sha1) - 1)
           + RDY_RESP_ARG_LEN(NGX_INT_T_LEN)
           + RDY_RESP_ARG_LEN(NGX_READINESS_REDIS_NUMBER_LEN)
           + RDY_RESP_ARG_LEN(call->arg.len);

    for (i = 0; i < call->nkeys; i++) {
        size += RDY_RESP_ARG_LEN(call->keys[i].len);
    }

    if (peer->nunsent + size > NGX_READINESS_REDIS_MAX_UNSENT) {
        return NULL;
    }

    e = ngx_readiness_redis_entry(NGX_READINESS_REDIS_EVALSHA, size);
    if (e == NULL) {
        return NULL;
    }

    number = peer->worker->number++;

    for (i = 0; i < NGX_READINESS_REDIS_NUMBER_LEN; i++) {
        e->number[i] = (u_char) (number >> (8 * i));
    }

    e->call = call;
    e->script = script;
    e->nargs = 5 + call->nkeys;

    p = rdy_resp_command(e->pos, e->nargs);
    p = rdy_resp_arg(p, (u_char *) "EVALSHA", sizeof("EVALSHA") - 1);
    p = rdy_resp_arg(p, script->sha1, sizeof(script->sha1) - 1);

    e->args = p;

    p = rdy_resp_number(p, call->nkeys);

    for (i = 0; i < call->nkeys; i++) {
        p = rdy_resp_arg(p, call->keys[i].data, call->keys[i].len);
    }

    p = rdy_resp_arg(p, e->number, NGX_READINESS_REDIS_NUMBER_LEN);
    e->last = rdy_resp_arg(p, call->arg.data, call->arg.len);

    return e;
}


ngx_int_t
ngx_readiness_redis_command(ngx_readiness_redis_peer_t *peer,
    ngx_queue_t *after, ngx_readiness_redis_kind_e kind,
    ngx_readiness_script_t *script, const ngx_str_t *args, ngx_uint_t nargs)
{
    u_char                       *p;
    size_t                        size;
    ngx_uint_t                    i;
    ngx_str_t                     load[3];
    ngx_readiness_redis_entry_t  *e;

    if (kind == NGX_READINESS_REDIS_LOAD) {
        ngx_str_set(&load[0], "SCRIPT");
        ngx_str_set(&load[1], "LOAD");
        load[2] = script->text;

        args = load;
        nargs = 3;
    }

    size = RDY_RESP_HEAD_LEN;

    for (i = 0; i < nargs; i++) {
        size += RDY_RESP_ARG_LEN(args[i].len);
    }

    e = ngx_readiness_redis_entry(kind, size);
    if (e == NULL) {
        return NGX_ERROR;
    }

    e->script = script;

    p = rdy_resp_command(e->pos, nargs);

    for (i = 0; i < nargs; i++) {
        p = rdy_resp_arg(p, args[i].data, args[i].len);
    }

    e->last = p;

    ngx_readiness_redis_insert(peer, after, e);

    return NGX_OK;
}


/*
 * One call takes the script's text along; those that Redis has refused in the
 * meantime follow it by name again, and with the text if that was no use.
 */

ngx_int_t
ngx_readiness_redis_repeat(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e)
{
    u_char                       *p;
    size_t                        len;
    ngx_str_t                    *text;
    ngx_readiness_redis_entry_t  *n;

    if (peer->nevals && !e->repeated) {
        e->repeated = 1;
        e->offered = 0;
        e->pos = ngx_readiness_redis_bytes(e);
        goto insert;
    }

    text = &e->script->text;
    len = e->last - e->args;

    n = ngx_readiness_redis_entry(NGX_READINESS_REDIS_EVAL,
                                  RDY_RESP_HEAD_LEN
                                  + RDY_RESP_ARG_LEN(sizeof("EVAL") - 1)
                                  + RDY_RESP_ARG_LEN(text->len) + len);
    if (n == NULL) {
        return NGX_ERROR;
    }

    n->call = e->call;
    n->script = e->script;
    n->start = e->start;
    n->redirects = e->redirects;
    n->asking = e->asking;
    n->probe = e->probe;
    ngx_memcpy(n->number, e->number, NGX_READINESS_REDIS_NUMBER_LEN);

    p = rdy_resp_command(n->pos, e->nargs);
    p = rdy_resp_arg(p, (u_char *) "EVAL", sizeof("EVAL") - 1);
    p = rdy_resp_arg(p, text->data, text->len);
    n->last = ngx_cpymem(p, e->args, len);

    ngx_free(e);
    e = n;

insert:

    if (ngx_readiness_redis_asking(peer, e) != NGX_OK) {
        e->asking = 0;                /* the node tells where to, once more */
    }

    ngx_readiness_redis_insert(peer, ngx_queue_last(&peer->unsent), e);
    ngx_readiness_redis_send(peer);

    return NGX_OK;
}


ngx_int_t
ngx_readiness_redis_asking(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e)
{
    ngx_str_t  asking = ngx_string("ASKING");

    if (!e->asking) {
        return NGX_OK;
    }

    return ngx_readiness_redis_command(peer, ngx_queue_last(&peer->unsent),
                                       NGX_READINESS_REDIS_ASKING, NULL,
                                       &asking, 1);
}


void
ngx_readiness_redis_move(ngx_readiness_redis_peer_t *from,
    ngx_readiness_redis_peer_t *to, ngx_readiness_redis_entry_t *e)
{
    ngx_msec_int_t  left;

    from->nwaiting--;

    if (from->nwaiting == 0) {
        ngx_readiness_redis_cancel(&from->deadline);
    }

    e->pos = ngx_readiness_redis_bytes(e);
    e->repeated = 0;

    ngx_readiness_redis_insert(to, ngx_queue_last(&to->unsent), e);

    to->nwaiting++;

    left = (ngx_msec_int_t) (e->start + to->redis->timeout
                             - ngx_current_msec);
    left = ngx_max(left, 1);

    if (!to->deadline.timer_set
        || (ngx_msec_int_t) (to->deadline.timer.key - ngx_current_msec) > left)
    {
        ngx_readiness_redis_cancel(&to->deadline);
        ngx_add_timer(&to->deadline, (ngx_msec_t) left);
    }

    ngx_readiness_redis_send(to);
}


static ngx_readiness_redis_entry_t *
ngx_readiness_redis_entry(ngx_readiness_redis_kind_e kind, size_t size)
{
    ngx_readiness_redis_entry_t  *e;

    e = ngx_alloc(sizeof(ngx_readiness_redis_entry_t) + size, ngx_cycle->log);
    if (e == NULL) {
        return NULL;
    }

    ngx_memzero(e, sizeof(ngx_readiness_redis_entry_t));

    e->kind = kind;
    e->rc = NGX_READINESS_REDIS_CLOSED;
    e->start = ngx_current_msec;
    e->pos = ngx_readiness_redis_bytes(e);

    return e;
}


static void
ngx_readiness_redis_insert(ngx_readiness_redis_peer_t *peer,
    ngx_queue_t *after, ngx_readiness_redis_entry_t *e)
{
    ngx_queue_insert_after(after, &e->queue);

    peer->nentries++;
    peer->nunsent += e->last - e->pos;
    peer->nprelude += (e->kind <= NGX_READINESS_REDIS_LOAD);
    peer->nevals += (e->kind == NGX_READINESS_REDIS_EVAL);
    peer->nprobes += e->probe;

    if (peer->connection) {
        peer->connection->idle = 0;
    }
}


void
ngx_readiness_redis_take(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e)
{
    ngx_queue_remove(&e->queue);

    peer->nentries--;
    peer->nunsent -= e->last - e->pos;
    peer->nprelude -= (e->kind <= NGX_READINESS_REDIS_LOAD);
    peer->nevals -= (e->kind == NGX_READINESS_REDIS_EVAL);
    peer->nprobes -= e->probe;
}


void
ngx_readiness_redis_finish(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_entry_t *e, ngx_readiness_redis_rc_e rc,
    const ngx_str_t *payload)
{
    ngx_readiness_redis_call_t  *call;

    call = e->call;

    ngx_free(e);

    if (call) {
        ngx_readiness_redis_answer(peer, call, rc, payload);
    }
}


void
ngx_readiness_redis_answer(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_call_t *call, ngx_readiness_redis_rc_e rc,
    const ngx_str_t *payload)
{
    peer->nwaiting--;

    if (peer->nwaiting == 0) {
        ngx_readiness_redis_cancel(&peer->deadline);
    }

    if (call != &peer->probe) {
        ngx_readiness_redis_count(peer, rc, payload);
    }

    call->handler(call, rc, payload ? payload : &ngx_readiness_redis_nothing);
}


static void
ngx_readiness_redis_count(ngx_readiness_redis_peer_t *peer,
    ngx_readiness_redis_rc_e rc, const ngx_str_t *payload)
{
    switch (rc) {

    case NGX_READINESS_REDIS_OK:
        peer->worker->nok++;
        ngx_readiness_redis_succeeded(peer);
        return;

    case NGX_READINESS_REDIS_TIMEOUT:
        peer->worker->ntimeouts++;
        break;

    case NGX_READINESS_REDIS_CLOSED:
        peer->worker->nclosed++;
        break;

    case NGX_READINESS_REDIS_REFUSED:
        peer->worker->nrefused++;
        break;

    default: /* NGX_READINESS_REDIS_PROTOCOL */
        peer->worker->nprotocol++;
    }

    ngx_readiness_redis_failed(peer, rc, payload);
}
