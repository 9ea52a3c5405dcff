
/*
 * Copyright (C) The readiness authors
 */


/*
 * The input is a header, its lines parted by LF.  Read as X-Forwarded-For and
 * as Forwarded it has to give what the same lines joined to one list give, and
 * what is left of an untrusted client must not matter.  An element that is
 * written has to be read back as it was.
 */


#include <stdlib.h>

#include "client/rdy_forwarded.h"


#define MAX_LINES  64
#define MAX_SIZE   4096


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


typedef struct {
    rdy_int_t        rc;
    rdy_forwarded_t  f;
    u_char           buf[32];
} result_t;


static rdy_cidr_set_t  trusted;
static rdy_cidr_v6_t   trusted_mem[2];


static void
init(void)
{
    rdy_str_t   text;
    rdy_cidr_t  cidrs[2];

    static u_char  one[] = "10.0.0.0/8";
    static u_char  two[] = "fd00::/8";

    text.data = one;
    text.len = sizeof(one) - 1;
    (void) rdy_cidr_parse(&text, &cidrs[0]);

    text.data = two;
    text.len = sizeof(two) - 1;
    (void) rdy_cidr_parse(&text, &cidrs[1]);

    rdy_cidr_set_init(&trusted, trusted_mem, cidrs, 2);
}


static void
run(const rdy_str_t *lines, size_t n, rdy_uint_t rfc7239, result_t *r)
{
    rdy_forwarded_t  before;

    memset(r, 0, sizeof(result_t));
    r->f.client.family = 4;
    r->f.client.a[0] = 10;
    r->f.port = 7;
    before = r->f;

    if (!rfc7239) {
        rdy_forwarded_xff(lines, n, &trusted, &r->f);

    } else {
        r->rc = rdy_forwarded_rfc7239(lines, n, &trusted, &r->f, r->buf,
                                      sizeof(r->buf));
    }

    if (r->rc != RDY_OK || r->f.hops == 0) {

        if (memcmp(&before.client, &r->f.client, sizeof(rdy_addr_t)) != 0
            || r->f.port != before.port)
        {
            abort();
        }
    }

    if (r->f.hops > RDY_FORWARDED_MAX_HOPS
        || (r->f.proto.len && r->f.proto.len != 4 && r->f.proto.len != 5))
    {
        abort();
    }
}


static void
same(const result_t *a, const result_t *b)
{
    if (a->rc != b->rc
        || memcmp(&a->f.client, &b->f.client, sizeof(rdy_addr_t)) != 0
        || a->f.port != b->f.port
        || a->f.hops != b->f.hops
        || a->f.proto.data != b->f.proto.data
        || a->f.host.len != b->f.host.len
        || (a->f.host.len
            && memcmp(a->f.host.data, b->f.host.data, a->f.host.len) != 0))
    {
        abort();
    }
}


static void
check(const rdy_str_t *lines, size_t n, rdy_uint_t rfc7239)
{
    size_t     i;
    u_char    *p;
    result_t   r, joined;
    rdy_str_t  line;

    static u_char  mem[MAX_SIZE + MAX_LINES + 32];

    run(lines, n, rfc7239, &r);

    p = mem;

    for (i = 0; i < n; i++) {

        if (i) {
            *p++ = ',';
        }

        if (lines[i].len) {
            memcpy(p, lines[i].data, lines[i].len);
            p += lines[i].len;
        }
    }

    line.data = mem;
    line.len = p - mem;

    /*
     * two lines with an unfinished quoted string each are no list when joined
     * either, but then the quotes may go on from one to the other
     */

    if (!rfc7239 || r.rc == RDY_OK) {
        run(&line, 1, rfc7239, &joined);
        same(&r, &joined);
    }

    if (r.rc != RDY_OK || r.f.hops == 0
        || rdy_cidr_set_match(&trusted, &r.f.client))
    {
        return;
    }

    memmove(mem + 16, mem, line.len);
    memcpy(mem, "for=1.2.3.4    ,", 16);
    line.len += 16;

    run(&line, 1, rfc7239, &joined);
    same(&r, &joined);
}


static void
check_written(const rdy_str_t *host)
{
    u_char        mem[RDY_FORWARDED_WRITE_LEN(MAX_SIZE)], *p;
    size_t        i;
    u_char        buf[MAX_SIZE];
    rdy_str_t     line, addr, proto;
    rdy_uint_t    clean;
    rdy_forwarded_t  f;

    static u_char  text[] = "2001:db8::1";
    static u_char  http[] = "http";

    addr.data = text;
    addr.len = sizeof(text) - 1;
    proto.data = http;
    proto.len = sizeof(http) - 1;

    line.data = mem;
    line.len = rdy_forwarded_write(mem, &addr, 1, &proto, host, 1);

    if (line.len > RDY_FORWARDED_WRITE_LEN(host->len)) {
        abort();
    }

    memset(&f, 0, sizeof(f));

    if (line.len > RDY_FORWARDED_MAX_LEN) {
        return;
    }

    if (rdy_forwarded_rfc7239(&line, 1, &trusted, &f, buf, sizeof(buf))
        != RDY_OK
        || f.hops != 1 || f.client.family != 6 || f.proto.len != 4)
    {
        abort();
    }

    clean = 1;

    for (i = 0; i < host->len; i++) {
        p = host->data + i;
        clean = clean && *p >= 0x20 && *p != 0x7f;
    }

    if (f.host.len != (clean ? host->len : 0)
        || (f.host.len && memcmp(f.host.data, host->data, f.host.len) != 0))
    {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t      n;
    u_char     *p, *end, *next;
    rdy_str_t   lines[MAX_LINES], value;

    if (size == 0 || size > MAX_SIZE) {
        return 0;
    }

    if (trusted.nv4 == 0) {
        init();
    }

    p = (u_char *) data;
    end = p + size;

    for (n = 0; n < MAX_LINES; n++) {
        next = memchr(p, '\n', end - p);

        lines[n].data = p;
        lines[n].len = (next ? next : end) - p;

        if (rdy_forwarded_last(&lines[n], &value) != value.len
            || memchr(value.data, ',', value.len)
            || value.data < p || value.data + value.len > p + lines[n].len)
        {
            abort();
        }

        if (next == NULL) {
            n++;
            break;
        }

        p = next + 1;
    }

    check(lines, n, 0);
    check(lines, n, 1);
    check_written(&lines[0]);

    return 0;
}
