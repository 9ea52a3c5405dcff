
/*
 * Copyright (C) The readiness authors
 */


/*
 * The shared memory of this nginx: a table of cells, under the zone's mutex.
 * Nothing is logged or allocated while it is held.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"
#include "limit/rdy_hash.h"


#define NGX_READINESS_ZONE_SIZE   (8 * 1024 * 1024)
#define NGX_READINESS_ZONE_CELLS  (NGX_READINESS_MAX_LIMITS                  \
                                   * (RDY_QUOTA_CHUNKS + 1) + 1)
#define NGX_READINESS_ZONE_MAGIC  0x72647930327a6e65ULL


static ngx_int_t ngx_readiness_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_readiness_zone_make(ngx_shm_zone_t *shm_zone,
    ngx_readiness_zone_t *zone);
static ngx_int_t ngx_readiness_zone_rates(ngx_shm_zone_t *shm_zone,
    ngx_readiness_zone_t *zone);


/* set when a worker begins, and the same for as long as it lives */

ngx_readiness_zone_t  *ngx_readiness_zone_own;


ngx_int_t
ngx_readiness_limit_init(ngx_conf_t *cf, ngx_readiness_main_conf_t *rmcf)
{
    ngx_str_t              name;
    ngx_readiness_zone_t  *zone;

    ngx_conf_init_value(rmcf->zone_size, NGX_READINESS_ZONE_SIZE);

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_readiness_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->rates = &rmcf->rates;

    ngx_str_set(&name, "readiness");

    rmcf->zone = ngx_shared_memory_add(cf, &name, rmcf->zone_size,
                                       &ngx_readiness_module);
    if (rmcf->zone == NULL) {
        return NGX_ERROR;
    }

    rmcf->zone->init = ngx_readiness_zone_init;
    rmcf->zone->data = zone;

    return NGX_OK;
}


static ngx_int_t
ngx_readiness_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_readiness_zone_t  *old = data;

    ngx_readiness_zone_t    *zone;
    ngx_readiness_shared_t  *shared;

    zone = shm_zone->data;
    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    shared = (old || shm_zone->shm.exists) ? zone->shpool->data : NULL;

    if (shared && shared->magic == NGX_READINESS_ZONE_MAGIC
        && rdy_cells_check((u_char *) shared + shared->cells, shared->size)
           == RDY_OK)
    {
        zone->shared = shared;
        zone->cells = (rdy_cells_t *) ((u_char *) shared + shared->cells);

        return ngx_readiness_zone_rates(shm_zone, zone);
    }

    if (ngx_readiness_zone_make(shm_zone, zone) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_readiness_zone_rates(shm_zone, zone);
}


static ngx_int_t
ngx_readiness_zone_make(ngx_shm_zone_t *shm_zone, ngx_readiness_zone_t *zone)
{
    size_t                   size;
    ngx_readiness_shared_t  *shared;

    /* everything the slab allocator has left, in one piece */

    size = zone->shpool->pfree * ngx_pagesize;

    shared = ngx_slab_alloc(zone->shpool, size);

    if (shared == NULL) {
        goto small;
    }

    shared->cells = ngx_align(sizeof(ngx_readiness_shared_t), 64);
    shared->size = size - shared->cells;

    shared->spent_until = 0;
    shared->owed_until = 0;
    ngx_memzero(shared->instances, sizeof(shared->instances));

    if (ngx_readiness_random(shared->secret, sizeof(shared->secret)) != NGX_OK
        || ngx_readiness_random(shared->id, sizeof(shared->id)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    zone->shared = shared;
    zone->cells = (rdy_cells_t *) ((u_char *) shared + shared->cells);

    if (rdy_cells_init(zone->cells, shared->size) != RDY_OK
        || zone->cells->total < NGX_READINESS_ZONE_CELLS)
    {
        goto small;
    }

    shared->magic = NGX_READINESS_ZONE_MAGIC;
    zone->shpool->data = shared;

    return NGX_OK;

small:

    ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                  "\"readiness_zone\" of %uz bytes is too small: use more, "
                  "such as 8m", shm_zone->shm.size);

    return NGX_ERROR;
}


static ngx_int_t
ngx_readiness_zone_rates(ngx_shm_zone_t *shm_zone, ngx_readiness_zone_t *zone)
{
    rdy_int_t               n;
    ngx_uint_t              i;
    ngx_readiness_rate_t  **rate;

    rate = zone->rates->elts;
    n = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < zone->rates->nelts; i++) {

        n = rdy_cells_rate(zone->cells, &rate[i]->name);
        if (n == RDY_ERROR) {
            break;
        }

        rate[i]->cell = n;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (n == RDY_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "\"readiness_zone\" has no place for rate \"%V\": it "
                      "counts %d rates at most, those of the configuration "
                      "before included; restart to forget them",
                      &rate[i]->name, RDY_CELLS_RATES);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_readiness_zone_hash(const ngx_readiness_rate_t *rate,
    const ngx_str_t *key, uint64_t hash[2])
{
    u_char  *p, text[64 + 1 + NGX_READINESS_MAX_KEYS * 65];

    /*
     * the name goes into it: a number of a rate may be given again; and who
     * counts, for the cell of a key in Redis is no counter
     */

    p = ngx_cpymem(text, rate->name.data, rate->name.len);
    *p++ = (rate->redis != NULL);
    p = ngx_cpymem(p, key->data, key->len);

    rdy_hash128(ngx_readiness_zone_own->shared->secret, text, p - text, hash);
}


void
ngx_readiness_state_hash(ngx_readiness_state_t *state)
{
    if (!state->hashed) {
        ngx_readiness_zone_hash(state->rate, &state->key, state->hash);
        state->hashed = 1;
    }
}
