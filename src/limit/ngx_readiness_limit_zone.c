
/*
 * Copyright (C) The readiness authors
 */


/*
 * Limits counted in this nginx: a table of buckets in shared memory, under
 * the zone's mutex.  Nothing is logged or allocated while it is held.
 */


#include "ngx_readiness.h"
#include "limit/ngx_readiness_limit.h"
#include "limit/rdy_hash.h"


#define NGX_READINESS_ZONE_SIZE   (8 * 1024 * 1024)
#define NGX_READINESS_ZONE_MAGIC  0x72647930317a6e65ULL


static ngx_int_t ngx_readiness_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_readiness_zone_make(ngx_shm_zone_t *shm_zone,
    ngx_readiness_zone_t *zone);
static ngx_int_t ngx_readiness_zone_rates(ngx_shm_zone_t *shm_zone,
    ngx_readiness_zone_t *zone);
static ngx_readiness_zone_t *ngx_readiness_zone_get(ngx_http_request_t *r);
static void ngx_readiness_zone_hash(const ngx_readiness_zone_t *zone,
    const ngx_readiness_state_t *state, uint64_t hash[2]);
static void ngx_readiness_zone_charge(ngx_readiness_ctx_t *ctx,
    rdy_cell_t **cell, uint64_t now, ngx_readiness_source_e source);


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

    if (ngx_readiness_random(shared->secret, sizeof(shared->secret)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    zone->shared = shared;
    zone->cells = (rdy_cells_t *) ((u_char *) shared + shared->cells);

    if (rdy_cells_init(zone->cells, shared->size) != RDY_OK) {
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


static ngx_readiness_zone_t *
ngx_readiness_zone_get(ngx_http_request_t *r)
{
    ngx_readiness_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(r, ngx_readiness_module);

    return rmcf->zone->data;
}


static void
ngx_readiness_zone_hash(const ngx_readiness_zone_t *zone,
    const ngx_readiness_state_t *state, uint64_t hash[2])
{
    u_char  *p, text[64 + 1 + NGX_READINESS_MAX_KEYS * 65];

    /* the name goes into it: a number of a rate may be given again */

    p = ngx_cpymem(text, state->rate->name.data, state->rate->name.len);
    *p++ = '\0';
    p = ngx_cpymem(p, state->key.data, state->key.len);

    rdy_hash128(zone->shared->secret, text, p - text, hash);
}


ngx_int_t
ngx_readiness_zone_decide(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx,
    ngx_readiness_source_e source)
{
    uint64_t                now, hash[NGX_READINESS_MAX_LIMITS][2];
    ngx_uint_t              i, n, evicted;
    rdy_cell_t             *cell[NGX_READINESS_MAX_LIMITS];
    ngx_readiness_zone_t   *zone;
    ngx_readiness_state_t  *state;

    zone = ngx_readiness_zone_get(r);

    for (i = 0, n = 0; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (ngx_readiness_zone_takes(state, source)) {

            if (n == NGX_READINESS_MAX_LIMITS) {
                return NGX_ERROR;
            }

            ngx_readiness_zone_hash(zone, state, hash[n++]);
        }
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    /*
     * Not before: the time of a worker that had to wait for the others would
     * be behind theirs, and the bucket would drain the same time twice.
     */

    now = ngx_readiness_now();

    rdy_cells_begin(zone->cells);

    for (i = 0, n = 0; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (ngx_readiness_zone_takes(state, source)) {
            cell[n] = rdy_cells_get(zone->cells, state->rate->cell, hash[n],
                                    now, &evicted);
            rdy_rate_drain(&state->numbers, &cell[n]->bucket, now);
            n++;
        }
    }

    ngx_readiness_zone_charge(ctx, cell, now, source);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


/* all or none of them; the lock is held */

static void
ngx_readiness_zone_charge(ngx_readiness_ctx_t *ctx, rdy_cell_t **cell,
    uint64_t now, ngx_readiness_source_e source)
{
    ngx_uint_t              i, n, refused;
    const rdy_rate_t       *rate;
    ngx_readiness_state_t  *state;

    refused = 0;

    for (i = 0, n = 0; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!ngx_readiness_zone_takes(state, source)) {
            continue;
        }

        if (!rdy_rate_fits(&state->numbers, &cell[n++]->bucket,
                           state->cost))
        {
            state->refused = 1;
            refused |= !state->monitor;
        }
    }

    for (i = 0, n = 0; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!ngx_readiness_zone_takes(state, source)) {
            continue;
        }

        rate = &state->numbers;

        if (!refused && !state->refused && state->cost) {
            rdy_rate_charge(&cell[n]->bucket, state->cost);
            state->charged = 1;
            state->charged_at = now;
        }

        rdy_rate_view(rate, &cell[n]->bucket, state->cost, &state->view);
        cell[n]->full_at = now + state->view.full;

        if (!state->refused) {
            state->view.retry = 0;
        }

        state->source = source;
        state->decided = 1;
        state->asked = 0;
        n++;
    }
}


void
ngx_readiness_zone_give_back(ngx_http_request_t *r, ngx_readiness_ctx_t *ctx)
{
    uint64_t                now, hash[2];
    ngx_uint_t              i;
    rdy_cell_t             *cell;
    rdy_bucket_t            drained;
    ngx_readiness_zone_t   *zone;
    ngx_readiness_state_t  *state;

    zone = ngx_readiness_zone_get(r);

    for (i = ctx->first; i < ctx->nlimits; i++) {
        state = &ctx->limits[i];

        if (!state->charged) {
            continue;
        }

        state->charged = 0;

        ngx_readiness_zone_hash(zone, state, hash);

        ngx_shmtx_lock(&zone->shpool->mutex);

        now = ngx_readiness_now();

        /* what is left of the charge by now, had it been the only one */

        drained.spent = state->cost * RDY_RATE_UNIT;
        drained.at = state->charged_at;
        rdy_rate_drain(&state->numbers, &drained, now);

        cell = rdy_cells_find(zone->cells, state->rate->cell, hash);

        if (cell) {
            rdy_rate_drain(&state->numbers, &cell->bucket, now);
            cell->bucket.spent -= ngx_min(cell->bucket.spent, drained.spent);
            rdy_rate_view(&state->numbers, &cell->bucket, state->cost,
                          &state->view);
            cell->full_at = now + state->view.full;
        }

        ngx_shmtx_unlock(&zone->shpool->mutex);
    }
}
