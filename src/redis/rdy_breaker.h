
/*
 * Copyright (C) The readiness authors
 */


/*
 * When a Redis is no longer asked, and when it is tried again.
 *
 * So many calls that failed in a row open the breaker: no call is made any
 * more, one probe after another is.  The first that succeeds closes it.
 * Between attempts (probes, and connections where there is none) is a pause
 * of 50 ms, which doubles with each; it starts afresh only when as many calls
 * have succeeded in a row as failed ones open the breaker, so that a Redis
 * which answers probes and nothing else is asked more and more seldom.
 *
 * Times are in milliseconds and may wrap around.
 */


#ifndef _RDY_BREAKER_H_INCLUDED_
#define _RDY_BREAKER_H_INCLUDED_


#include "rdy_base.h"


#define RDY_BREAKER_PAUSE  50


typedef struct {
    rdy_uint_t   open;          /* calls are not made */
    rdy_uint_t   since;         /* the last time that it opened */
    rdy_uint_t   times;         /* that it opened */
    rdy_uint_t   again;         /* the last time: calls had not succeeded */
    rdy_uint_t   unproven;      /* opened, and calls have not succeeded */
    rdy_uint_t   failed;        /* calls in a row */
    rdy_uint_t   succeeded;     /* calls in a row, not beyond the limit */
    rdy_uint_t   step;          /* attempts since it started afresh */
} rdy_breaker_t;


/* All zero is a closed breaker.  limit: of failures in a row; 0: it never
   opens. */

/* a call failed, or could not be made: 1 if that opened the breaker */
rdy_uint_t rdy_breaker_failed(rdy_breaker_t *b, rdy_uint_t limit,
    rdy_uint_t now);

/* a call succeeded: 1 if that closed the breaker */
rdy_uint_t rdy_breaker_succeeded(rdy_breaker_t *b, rdy_uint_t limit);

/* a probe succeeded: 1 if that closed the breaker */
rdy_uint_t rdy_breaker_probed(rdy_breaker_t *b);

/*
 * A connection had lived: the pauses start afresh, unless calls failed on it
 * or the breaker was closed by a probe only.
 */
void rdy_breaker_lived(rdy_breaker_t *b);

/*
 * An attempt failed, or the breaker just opened.  Returns how long to wait
 * before the next attempt when this one took `spent`: such that attempts
 * begin no more than `most` apart where they take less than that.  random
 * shortens the pause by 5 to 25 percent, so that many which wait do not come
 * back together.
 */
rdy_uint_t rdy_breaker_pause(rdy_breaker_t *b, rdy_uint_t most,
    rdy_uint_t spent, rdy_uint_t random);


#endif /* _RDY_BREAKER_H_INCLUDED_ */
