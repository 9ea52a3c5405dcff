
/*
 * Copyright (C) The readiness authors
 */


/* What a browser renders as a document, and so heeds its CSP for. */


#ifndef _RDY_MEDIA_H_INCLUDED_
#define _RDY_MEDIA_H_INCLUDED_


#include "rdy_base.h"


/*
 * Returns 1 if the Content-Type value is text/html, application/xhtml+xml or
 * image/svg+xml, of either letter case, with blanks before it and parameters or
 * anything else behind it; else 0.
 */

rdy_uint_t rdy_media_document(const rdy_str_t *type);


#endif /* _RDY_MEDIA_H_INCLUDED_ */
