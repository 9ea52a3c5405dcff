
/*
 * Copyright (C) The readiness authors
 */


/* request IDs and trace context, and the randomness they are made of */


#include "ngx_readiness.h"
#include "client/ngx_readiness_client.h"
#include "client/rdy_id.h"

#include <sys/random.h>
#include <openssl/rand.h>


static ngx_int_t ngx_readiness_make_id(
    const ngx_readiness_client_conf_t *conf, ngx_readiness_client_t *client);
static ngx_int_t ngx_readiness_trace(const ngx_readiness_client_conf_t *conf,
    ngx_readiness_client_t *client, const ngx_readiness_inbound_t *in);


/*
 * Per process.  The block remembers whose it is: a child of fork() would give
 * out the same bytes as its parent and its brothers.
 */

static struct {
    u_char                       bytes[4096];
    size_t                       left;
    ngx_pid_t                    pid;
} ngx_readiness_entropy;

static rdy_id_clock_t  ngx_readiness_id_clock;


ngx_int_t
ngx_readiness_random(u_char *buf, size_t len)
{
    u_char  *p;
    size_t   size;

    size = sizeof(ngx_readiness_entropy.bytes);

    if (ngx_readiness_entropy.left < len
        || ngx_readiness_entropy.pid != ngx_pid)
    {
        if (getrandom(ngx_readiness_entropy.bytes, size, 0) != (ssize_t) size
            && RAND_bytes(ngx_readiness_entropy.bytes, (int) size) != 1)
        {
            return NGX_ERROR;
        }

        ngx_readiness_entropy.left = size;
        ngx_readiness_entropy.pid = ngx_pid;
    }

    /* what was given out does not stay in memory */

    p = ngx_readiness_entropy.bytes + size - ngx_readiness_entropy.left;

    ngx_memcpy(buf, p, len);
    ngx_memzero(p, len);

    ngx_readiness_entropy.left -= len;

    return NGX_OK;
}


ngx_int_t
ngx_readiness_identify(const ngx_readiness_client_conf_t *conf,
    ngx_readiness_client_t *client, const ngx_readiness_inbound_t *in)
{
    if (conf->trace != NGX_READINESS_TRACE_OFF
        && ngx_readiness_trace(conf, client, in) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (conf->id == NGX_READINESS_ID_OFF) {
        return NGX_OK;
    }

    if (in->nids == 1
        && (conf->id_accept == NGX_READINESS_ACCEPT_ANY
            || (conf->id_accept == NGX_READINESS_ACCEPT_TRUSTED
                && client->trusted))
        && rdy_id_valid(&in->id))
    {
        client->request_id = in->id;
        return NGX_OK;
    }

    return ngx_readiness_make_id(conf, client);
}


static ngx_int_t
ngx_readiness_make_id(const ngx_readiness_client_conf_t *conf,
    ngx_readiness_client_t *client)
{
    u_char       rnd[16];
    ngx_str_t   *id;
    ngx_time_t  *tp;

    if (ngx_readiness_random(rnd, sizeof(rnd)) != NGX_OK) {
        return NGX_ERROR;
    }

    id = &client->request_id;
    id->data = client->id_buf;
    id->len = RDY_ID_UUID_LEN;

    switch (conf->id) {

    case NGX_READINESS_ID_UUID4:
        rdy_id_uuid4(rnd, id->data);
        break;

    case NGX_READINESS_ID_HEX:
        id->len = RDY_ID_HEX_LEN;
        rdy_id_hex(rnd, id->data);
        break;

    default: /* NGX_READINESS_ID_UUID7 */
        tp = ngx_timeofday();
        rdy_id_uuid7(&ngx_readiness_id_clock,
                     (uint64_t) tp->sec * 1000 + tp->msec, rnd, id->data);
    }

    return NGX_OK;
}


/* a valid one of a trusted peer stays, anything else is dropped or replaced */

static ngx_int_t
ngx_readiness_trace(const ngx_readiness_client_conf_t *conf,
    ngx_readiness_client_t *client, const ngx_readiness_inbound_t *in)
{
    u_char  rnd[24];

    if (client->trusted && in->nparents == 1
        && rdy_trace_parse(&in->parent, &client->trace) == RDY_OK)
    {
        client->traced = 1;
        client->stated = in->nstates
                         && in->nstates <= RDY_FORWARDED_MAX_HOPS
                         && rdy_trace_state_valid(in->states, in->nstates);
        return NGX_OK;
    }

    if (conf->trace != NGX_READINESS_TRACE_GENERATE) {
        return NGX_OK;
    }

    if (ngx_readiness_random(rnd, sizeof(rnd)) != NGX_OK) {
        return NGX_ERROR;
    }

    rdy_trace_make(&client->trace, rnd);
    client->traced = 1;

    return NGX_OK;
}
