
/*
 * Copyright (C) The readiness authors
 */


/*
 * An array reply of Redis in one buffer of fixed size, nested ones included:
 * its items one behind the other in the order they came, each an array's
 * number of elements, which follow it, or a value.  What is read back is
 * exactly what was written; what was never finished is found out.
 */


#ifndef _RDY_ITEMS_H_INCLUDED_
#define _RDY_ITEMS_H_INCLUDED_


#include "rdy_base.h"


/* what an item takes besides the bytes of a string */

#define RDY_ITEM_HEAD_LEN  9


typedef enum {
    RDY_ITEM_ARRAY = '*',
    RDY_ITEM_STRING = '$',
    RDY_ITEM_INTEGER = ':',
    RDY_ITEM_NIL = '_'
} rdy_item_e;


typedef struct {
    rdy_item_e   type;
    uint64_t     n;         /* elements of an array */
    int64_t      integer;
    rdy_str_t    string;    /* within the items */
} rdy_item_t;


/* read from pos, written at pos: end is that of the items or of the buffer */

typedef struct {
    u_char      *pos;
    u_char      *end;
} rdy_items_t;


/*
 * Each adds one item.  RDY_OK, or RDY_ERROR: there is no room, nothing was
 * written.
 */
rdy_int_t rdy_items_array(rdy_items_t *items, uint64_t n);
rdy_int_t rdy_items_string(rdy_items_t *items, const u_char *data,
    size_t len);
rdy_int_t rdy_items_integer(rdy_items_t *items, int64_t integer);
rdy_int_t rdy_items_nil(rdy_items_t *items);

/*
 * Reads the next item; the elements of an array are the next n.  RDY_OK, or
 * RDY_ERROR: there is none, or not all of it; nothing was read then.
 */
rdy_int_t rdy_items_next(rdy_items_t *items, rdy_item_t *item);

/* the same for an item that has to be of that type; else RDY_ERROR */
rdy_int_t rdy_items_expect(rdy_items_t *items, rdy_item_e type,
    rdy_item_t *item);

/* passes over the next n items with everything in them; RDY_ERROR as above,
   with pos anywhere */
rdy_int_t rdy_items_skip(rdy_items_t *items, uint64_t n);


#endif /* _RDY_ITEMS_H_INCLUDED_ */
