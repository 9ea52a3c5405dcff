
/*
 * Copyright (C) The readiness authors
 */


/* What a sentinel says of a master, and what a Redis says of itself. */


#ifndef _RDY_SENTINEL_H_INCLUDED_
#define _RDY_SENTINEL_H_INCLUDED_


#include "redis/rdy_items.h"


#define RDY_SENTINEL_HOST_LEN  255


typedef enum {
    RDY_ROLE_UNKNOWN = 0,
    RDY_ROLE_MASTER,
    RDY_ROLE_REPLICA,
    RDY_ROLE_SENTINEL
} rdy_role_e;


/*
 * The reply to SENTINEL GET-MASTER-ADDR-BY-NAME.
 *
 * RDY_OK        *host is an address without brackets or a host name, 1 to
 *               RDY_SENTINEL_HOST_LEN of [A-Za-z0-9._:-], a part of the
 *               items; *port is 1..65535
 * RDY_DECLINED  it knows no master of that name
 * RDY_ERROR     anything else; *host and *port are untouched
 */
rdy_int_t rdy_sentinel_master(rdy_items_t items, rdy_str_t *host,
    rdy_uint_t *port);

/*
 * The reply to ROLE; UNKNOWN is whatever is none.  What stands behind the
 * role is of no interest.
 */
rdy_role_e rdy_sentinel_role(rdy_items_t items);


#endif /* _RDY_SENTINEL_H_INCLUDED_ */
