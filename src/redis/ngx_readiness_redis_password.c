
/*
 * Copyright (C) The readiness authors
 */


/*
 * A password file that was replaced.  New connections begin with what it holds
 * now; one that is there tries it at once, and stays whatever Redis says: a
 * mistake is told when it is made, not when the connection is needed next.
 */


#include "redis/ngx_readiness_redis_internal.h"


static void ngx_readiness_redis_password_try(
    ngx_readiness_redis_peer_t *peer);


void
ngx_readiness_redis_password_changed(void *owner)
{
    ngx_readiness_redis_t *redis = owner;

    ngx_queue_t                 *q;
    ngx_readiness_redis_peer_t  *peer;

    if (redis->worker == NULL) {
        return;
    }

    for (q = ngx_queue_head(&redis->worker->peers);
         q != ngx_queue_sentinel(&redis->worker->peers);
         q = ngx_queue_next(q))
    {
        peer = ngx_queue_data(q, ngx_readiness_redis_peer_t, queue);

        if (peer->state == NGX_READINESS_REDIS_UP && !peer->broken.posted
            && !peer->asked)
        {
            ngx_readiness_redis_password_try(peer);
        }
    }
}


static void
ngx_readiness_redis_password_try(ngx_readiness_redis_peer_t *peer)
{
    ngx_str_t               args[3], *password;
    ngx_uint_t              n;
    ngx_readiness_redis_t  *redis;

    redis = peer->redis;
    password = redis->password->data;

    ngx_str_set(&args[0], "AUTH");
    n = 1;

    if (redis->user.len) {
        args[n++] = redis->user;
    }

    args[n++] = *password;

    /* without memory for it, it is told later */

    (void) ngx_readiness_redis_command(peer, ngx_queue_last(&peer->unsent),
                                       NGX_READINESS_REDIS_AUTH, NULL, args,
                                       n);
    ngx_readiness_redis_send(peer);
}


void
ngx_readiness_redis_password_told(ngx_readiness_redis_peer_t *peer,
    ngx_uint_t accepted)
{
    ngx_str_t  *file;

    file = &peer->redis->password->name;

    if (accepted) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "readiness_redis \"%V\" at %V accepts the new password "
                      "of \"%V\"", &peer->redis->name,
                      &peer->addrs[peer->addr].name, file);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "readiness_redis \"%V\" at %V refuses the new password of "
                  "\"%V\": %V; the connection stays, but no other will be "
                  "let in: correct the file, or the user in Redis",
                  &peer->redis->name, &peer->addrs[peer->addr].name, file,
                  &peer->error);
}
