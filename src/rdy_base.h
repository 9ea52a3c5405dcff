
/*
 * Copyright (C) The readiness authors
 */


/*
 * The only bridge between the pure leaves (rdy_*) and nginx.  Inside nginx a
 * leaf sees nginx's own types; alone (RDY_STANDALONE: unit tests, fuzzers) it
 * sees the few of them a leaf may use.  A leaf includes no other nginx header,
 * reads no clock, does no I/O and keeps no state of its own: time, randomness,
 * keys and memory are arguments.
 */


#ifndef _RDY_BASE_H_INCLUDED_
#define _RDY_BASE_H_INCLUDED_


#ifdef RDY_STANDALONE

#include <sys/types.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef intptr_t   rdy_int_t;
typedef uintptr_t  rdy_uint_t;

typedef struct {
    size_t   len;
    u_char  *data;
} rdy_str_t;

#define rdy_string(s)  { sizeof(s) - 1, (u_char *) s }

#else

#include <ngx_config.h>
#include <ngx_core.h>

typedef ngx_int_t   rdy_int_t;
typedef ngx_uint_t  rdy_uint_t;
typedef ngx_str_t   rdy_str_t;

#define rdy_string(s)  ngx_string(s)

#endif


/* equal to nginx's codes, so that glue returns a leaf's answer as it is */

#define RDY_OK         0
#define RDY_ERROR     -1
#define RDY_DECLINED  -5


#define rdy_lower(c)                                                          \
    (u_char) ((c) >= 'A' && (c) <= 'Z' ? (c) | 0x20 : (c))


#endif /* _RDY_BASE_H_INCLUDED_ */
