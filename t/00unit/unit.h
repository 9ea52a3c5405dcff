
/*
 * Copyright (C) The readiness authors
 */


#ifndef _UNIT_H_INCLUDED_
#define _UNIT_H_INCLUDED_


#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rdy_base.h"


/* a string literal as a rdy_str_t of its own length, NULs included */

#define str(s)  (rdy_str_t) { sizeof(s) - 1, (u_char *) (s) }


/* fails naming both sides when the len bytes at p are not the literal s */

#define assert_bytes(p, n, s)                                                 \
    do {                                                                      \
        assert_int_equal((n), sizeof(s) - 1);                                 \
        assert_memory_equal((p), (s), sizeof(s) - 1);                         \
    } while (0)


#endif /* _UNIT_H_INCLUDED_ */
