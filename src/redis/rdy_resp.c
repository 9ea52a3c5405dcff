
/*
 * Copyright (C) The readiness authors
 */


#include "redis/rdy_resp.h"


typedef struct {
    rdy_str_t         start;
    rdy_resp_error_e  means;
} rdy_resp_row_t;


static u_char *rdy_resp_head(u_char *p, u_char type, uint64_t n);
static u_char *rdy_resp_decimal(u_char *p, uint64_t n);
static rdy_str_t rdy_resp_code(const rdy_str_t *text);
static size_t rdy_resp_find(const rdy_str_t *text, const rdy_str_t *what);


/* whatever is not named keeps the connection: MOVED, LOADING, OOM, ... */

static const rdy_resp_row_t  rdy_resp_rows[] = {
    { rdy_string("NOSCRIPT"), RDY_RESP_NOSCRIPT },
    { rdy_string("READONLY"), RDY_RESP_CLOSE },
    { rdy_string("NOAUTH"), RDY_RESP_CLOSE },
    { rdy_string("WRONGPASS"), RDY_RESP_CLOSE },
    { rdy_string("NOPERM"), RDY_RESP_CLOSE },
    { rdy_string("DENIED"), RDY_RESP_CLOSE },
    { rdy_string("ERR max number of clients"), RDY_RESP_CLOSE }
};


/* before 7.0 Redis says so of what a command in a script was refused with */

static const rdy_str_t  rdy_resp_script =
    rdy_string("ERR Error running script");

static const rdy_str_t  rdy_resp_cause = rdy_string(": -");

static const rdy_str_t  rdy_resp_quoted =
    rdy_string(", with args beginning with");


u_char *
rdy_resp_command(u_char *p, size_t n)
{
    return rdy_resp_head(p, '*', n);
}


u_char *
rdy_resp_arg(u_char *p, const u_char *data, size_t len)
{
    p = rdy_resp_head(p, '$', len);

    if (len) {
        memcpy(p, data, len);
        p += len;
    }

    *p++ = '\r';
    *p++ = '\n';

    return p;
}


u_char *
rdy_resp_number(u_char *p, uint64_t n)
{
    u_char  buf[20];

    return rdy_resp_arg(p, buf, rdy_resp_decimal(buf, n) - buf);
}


static u_char *
rdy_resp_head(u_char *p, u_char type, uint64_t n)
{
    *p++ = type;
    p = rdy_resp_decimal(p, n);
    *p++ = '\r';
    *p++ = '\n';

    return p;
}


static u_char *
rdy_resp_decimal(u_char *p, uint64_t n)
{
    u_char  *last, buf[20];

    last = buf + sizeof(buf);

    do {
        *--last = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    memcpy(p, last, buf + sizeof(buf) - last);

    return p + (buf + sizeof(buf) - last);
}


rdy_resp_error_e
rdy_resp_error(const rdy_str_t *text)
{
    rdy_str_t              code;
    rdy_uint_t             i;
    const rdy_resp_row_t  *row;

    code = rdy_resp_code(text);

    for (i = 0; i < sizeof(rdy_resp_rows) / sizeof(rdy_resp_rows[0]); i++) {
        row = &rdy_resp_rows[i];

        if (code.len < row->start.len
            || memcmp(code.data, row->start.data, row->start.len) != 0)
        {
            continue;
        }

        if (code.len == row->start.len
            || code.data[row->start.len] == ' ')
        {
            return row->means;
        }
    }

    return RDY_RESP_KEEP;
}


/* the error itself, where it is one of a script */

static rdy_str_t
rdy_resp_code(const rdy_str_t *text)
{
    size_t     pos;
    rdy_str_t  code;

    code = *text;

    if (text->len < rdy_resp_script.len
        || memcmp(text->data, rdy_resp_script.data, rdy_resp_script.len) != 0)
    {
        return code;
    }

    pos = rdy_resp_find(text, &rdy_resp_cause);

    if (pos < text->len) {
        pos += rdy_resp_cause.len;
        code.data += pos;
        code.len -= pos;
    }

    return code;
}


rdy_uint_t
rdy_resp_alive(const rdy_str_t *text)
{
    rdy_str_t  code;

    code = rdy_resp_code(text);

    switch (rdy_resp_error(text)) {

    case RDY_RESP_NOSCRIPT:
        return 1;

    case RDY_RESP_CLOSE:
        return 0;

    default: /* RDY_RESP_KEEP */
        return code.len >= 4 && memcmp(code.data, "ERR ", 4) == 0;
    }
}


size_t
rdy_resp_text(u_char *dst, size_t size, const rdy_str_t *text,
    const rdy_str_t *secret)
{
    u_char  c;
    size_t  i, len, end;

    len = text->len < size ? text->len : size;

    end = rdy_resp_find(text, &rdy_resp_quoted);
    len = len < end ? len : end;

    if (secret->len) {
        end = rdy_resp_find(text, secret);
        len = len < end ? len : end;
    }

    for (i = 0; i < len; i++) {
        c = text->data[i];
        dst[i] = (c < 0x20 || c > 0x7e) ? '?' : c;
    }

    return len;
}


/* where what begins in text; its length when it is not there */

static size_t
rdy_resp_find(const rdy_str_t *text, const rdy_str_t *what)
{
    size_t  i;

    for (i = 0; i + what->len <= text->len; i++) {
        if (memcmp(text->data + i, what->data, what->len) == 0) {
            return i;
        }
    }

    return text->len;
}
