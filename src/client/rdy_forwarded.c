
/*
 * Copyright (C) The readiness authors
 */


#include "client/rdy_forwarded.h"


/* a node with escapes that is longer than this is no address */

#define RDY_FORWARDED_NODE_LEN  128


/*
 * what counts of an element; values as they are in the line, with their quotes,
 * so that an empty one is a parameter that is not there
 */

typedef struct {
    rdy_str_t  node;
    rdy_str_t  host;
    rdy_str_t  proto;
} rdy_forwarded_element_t;


/* the last elements of all lines; n counts the earlier ones too */

typedef struct {
    rdy_forwarded_element_t  elements[RDY_FORWARDED_MAX_HOPS];
    rdy_uint_t               n;
} rdy_forwarded_ring_t;


typedef struct {
    rdy_str_t   names[RDY_FORWARDED_MAX_PARAMS];
    rdy_uint_t  n;
} rdy_forwarded_params_t;


static u_char *rdy_forwarded_previous(u_char *start, u_char *end,
    rdy_str_t *element);
static rdy_int_t rdy_forwarded_line(u_char *p, u_char *end,
    rdy_forwarded_ring_t *ring);
static u_char *rdy_forwarded_element(u_char *p, u_char *end,
    rdy_forwarded_element_t *e);
static u_char *rdy_forwarded_pair(u_char *p, u_char *end,
    rdy_forwarded_element_t *e, rdy_forwarded_params_t *params);
static u_char *rdy_forwarded_value(u_char *p, u_char *end);
static u_char *rdy_forwarded_token(u_char *p, u_char *end);
static rdy_uint_t rdy_forwarded_is(const rdy_str_t *name, const char *word,
    size_t len);
static rdy_int_t rdy_forwarded_unquote(const rdy_str_t *raw, rdy_str_t *value,
    u_char *buf, size_t len);
static rdy_int_t rdy_forwarded_node(const rdy_str_t *raw, rdy_addr_t *addr,
    uint16_t *port);
static size_t rdy_forwarded_obfuscated(const rdy_str_t *node);
static void rdy_forwarded_proto(const rdy_str_t *raw, rdy_str_t *proto);
static u_char *rdy_forwarded_copy(u_char *p, const void *data, size_t len);
static u_char *rdy_forwarded_quote(u_char *p, const rdy_str_t *host);


/* bytes of a token (RFC 9110, 5.6.2), a bit per byte below 128 */

static const uint32_t  rdy_forwarded_tchar[] = {
    0x00000000, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff
};


static inline rdy_uint_t
rdy_forwarded_is_tchar(u_char c)
{
    return c < 0x80 && (rdy_forwarded_tchar[c >> 5] & 1u << (c & 0x1f));
}


static inline rdy_uint_t
rdy_forwarded_is_blank(u_char c)
{
    return c == ' ' || c == '\t';
}


/* moves the client one hop out, returns 1 if the walk may go on from there */

static inline rdy_uint_t
rdy_forwarded_hop(rdy_forwarded_t *f, const rdy_cidr_set_t *trusted,
    const rdy_addr_t *addr, uint16_t port)
{
    f->client = *addr;
    f->port = port;
    f->hops++;

    return f->hops < RDY_FORWARDED_MAX_HOPS
           && rdy_cidr_set_match(trusted, addr);
}


void
rdy_forwarded_xff(const rdy_str_t *lines, size_t n,
    const rdy_cidr_set_t *trusted, rdy_forwarded_t *f)
{
    u_char      *start, *end;
    uint16_t     port;
    rdy_str_t    element;
    rdy_addr_t   addr;

    f->hops = 0;

    while (n--) {

        if (lines[n].len == 0) {
            return;
        }

        start = lines[n].data;
        end = start + lines[n].len;

        do {
            end = rdy_forwarded_previous(start, end, &element);

            if (rdy_addr_parse(&element, &addr, &port) != RDY_OK
                || !rdy_forwarded_hop(f, trusted, &addr, port))
            {
                return;
            }

        } while (end);
    }
}


/*
 * Takes the list element that ends at end, without the blanks around it; its
 * length is 0 if it is no address.  Returns the comma before the element, NULL
 * if it is the first one of the line.
 */

static u_char *
rdy_forwarded_previous(u_char *start, u_char *end, rdy_str_t *element)
{
    u_char  *p;

    while (end > start && rdy_forwarded_is_blank(end[-1])) {
        end--;
    }

    p = end;

    while (p > start && p[-1] != ',' && !rdy_forwarded_is_blank(p[-1])
           && end - p <= (ssize_t) RDY_ADDR_PARSE_LEN)
    {
        p--;
    }

    element->data = p;
    element->len = end - p;

    while (p > start && rdy_forwarded_is_blank(p[-1])) {
        p--;
    }

    if (p == start) {
        return NULL;
    }

    /* two words, or a long one that has been left half-way */

    if (p[-1] != ',') {
        element->len = 0;
    }

    return p - 1;
}


rdy_int_t
rdy_forwarded_rfc7239(const rdy_str_t *lines, size_t n,
    const rdy_cidr_set_t *trusted, rdy_forwarded_t *f, u_char *buf, size_t len)
{
    size_t                          i, total;
    uint16_t                        port;
    rdy_addr_t                      addr;
    rdy_uint_t                      left;
    rdy_forwarded_ring_t            ring;
    const rdy_forwarded_element_t  *e, *client;

    total = 0;

    for (i = 0; i < n; i++) {

        if (lines[i].len > RDY_FORWARDED_MAX_LEN - total) {
            return RDY_ERROR;
        }

        total += lines[i].len;
    }

    ring.n = 0;

    for (i = 0; i < n; i++) {

        if (lines[i].len
            && rdy_forwarded_line(lines[i].data, lines[i].data + lines[i].len,
                                  &ring)
               != RDY_OK)
        {
            return RDY_ERROR;
        }
    }

    f->hops = 0;
    f->proto.len = 0;
    f->proto.data = NULL;
    f->host = f->proto;

    client = NULL;

    for (left = ring.n; left; /* void */) {
        e = &ring.elements[--left % RDY_FORWARDED_MAX_HOPS];

        if (rdy_forwarded_node(&e->node, &addr, &port) != RDY_OK) {
            break;
        }

        client = e;

        if (!rdy_forwarded_hop(f, trusted, &addr, port)) {
            break;
        }
    }

    if (client) {
        rdy_forwarded_proto(&client->proto, &f->proto);
        (void) rdy_forwarded_unquote(&client->host, &f->host, buf, len);
    }

    return RDY_OK;
}


static rdy_int_t
rdy_forwarded_line(u_char *p, u_char *end, rdy_forwarded_ring_t *ring)
{
    rdy_forwarded_element_t  *e;

    for ( ;; ) {

        while (p < end && (rdy_forwarded_is_blank(*p) || *p == ',')) {
            p++;
        }

        if (p == end) {
            return RDY_OK;
        }

        e = &ring->elements[ring->n++ % RDY_FORWARDED_MAX_HOPS];
        p = rdy_forwarded_element(p, end, e);

        if (p == NULL) {
            return RDY_ERROR;
        }

        while (p < end && rdy_forwarded_is_blank(*p)) {
            p++;
        }

        if (p < end && *p != ',') {
            return RDY_ERROR;
        }
    }
}


/*
 * The functions below read what their names tell from p, before end.  They
 * return where it ends, NULL if it is not there.
 */

static u_char *
rdy_forwarded_element(u_char *p, u_char *end, rdy_forwarded_element_t *e)
{
    rdy_forwarded_params_t  params;

    memset(e, 0, sizeof(rdy_forwarded_element_t));
    params.n = 0;

    for ( ;; ) {

        /* pairs may be missing: "a=b;;c=d;" */

        if (p < end && rdy_forwarded_is_tchar(*p)) {
            p = rdy_forwarded_pair(p, end, e, &params);

            if (p == NULL) {
                return NULL;
            }
        }

        if (p == end || *p != ';') {
            return p;
        }

        p++;
    }
}


static u_char *
rdy_forwarded_pair(u_char *p, u_char *end, rdy_forwarded_element_t *e,
    rdy_forwarded_params_t *params)
{
    rdy_str_t   *name, value;
    rdy_uint_t   i;

    if (params->n == RDY_FORWARDED_MAX_PARAMS) {
        return NULL;
    }

    name = &params->names[params->n];
    name->data = p;
    p = rdy_forwarded_token(p, end);

    if (p == NULL || p == end || *p != '=') {
        return NULL;
    }

    name->len = p - name->data;

    for (i = 0; i < params->n; i++) {

        if (rdy_forwarded_is(&params->names[i], (char *) name->data,
                             name->len))
        {
            return NULL;
        }
    }

    params->n++;

    value.data = p + 1;
    p = rdy_forwarded_value(p + 1, end);

    if (p == NULL) {
        return NULL;
    }

    value.len = p - value.data;

    if (rdy_forwarded_is(name, "for", 3)) {
        e->node = value;

    } else if (rdy_forwarded_is(name, "host", 4)) {
        e->host = value;

    } else if (rdy_forwarded_is(name, "proto", 5)) {
        e->proto = value;
    }

    return p;
}


static u_char *
rdy_forwarded_value(u_char *p, u_char *end)
{
    if (p == end || *p != '"') {
        return rdy_forwarded_token(p, end);
    }

    for (p++; p < end; p++) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p == '\\' && ++p == end) {
            return NULL;
        }

        if ((*p < 0x20 && *p != '\t') || *p == 0x7f) {
            return NULL;
        }
    }

    return NULL;
}


static u_char *
rdy_forwarded_token(u_char *p, u_char *end)
{
    u_char  *start;

    for (start = p; p < end && rdy_forwarded_is_tchar(*p); p++) {
        /* void */
    }

    return (p == start) ? NULL : p;
}


/* tells whether the two are equal in any letter case */

static rdy_uint_t
rdy_forwarded_is(const rdy_str_t *name, const char *word, size_t len)
{
    size_t  i;

    if (name->len != len) {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if (rdy_lower(name->data[i]) != rdy_lower((u_char) word[i])) {
            return 0;
        }
    }

    return 1;
}


/*
 * Makes the value of a token or a quoted string: a part of it or, if something
 * is escaped there, unescaped in buf.  Returns RDY_ERROR, and an empty value,
 * if that does not fit into len bytes.
 */

static rdy_int_t
rdy_forwarded_unquote(const rdy_str_t *raw, rdy_str_t *value, u_char *buf,
    size_t len)
{
    u_char  *p, *end;
    size_t   n;

    *value = *raw;

    if (raw->len == 0 || raw->data[0] != '"') {
        return RDY_OK;
    }

    value->data++;
    value->len -= 2;

    p = value->data;
    end = p + value->len;

    if (memchr(p, '\\', value->len) == NULL) {
        return RDY_OK;
    }

    value->data = buf;
    value->len = 0;

    for (n = 0; p < end; n++) {

        if (n == len) {
            return RDY_ERROR;
        }

        if (*p == '\\') {
            p++;
        }

        buf[n] = *p++;
    }

    value->len = n;

    return RDY_OK;
}


static rdy_int_t
rdy_forwarded_node(const rdy_str_t *raw, rdy_addr_t *addr, uint16_t *port)
{
    u_char      buf[RDY_FORWARDED_NODE_LEN], *colon;
    rdy_str_t   node;

    if (rdy_forwarded_unquote(raw, &node, buf, sizeof(buf)) != RDY_OK
        || node.len == 0)
    {
        return RDY_ERROR;
    }

    node.len -= rdy_forwarded_obfuscated(&node);

    /* a second colon belongs to an IPv6 address, which has to have brackets */

    if (node.data[0] != '[') {
        colon = memchr(node.data, ':', node.len);

        if (colon
            && memchr(colon + 1, ':', node.data + node.len - (colon + 1)))
        {
            return RDY_ERROR;
        }
    }

    return rdy_addr_parse(&node, addr, port);
}


/* returns the length of a port such as ":_gazonk" at the end of a node, or 0 */

static size_t
rdy_forwarded_obfuscated(const rdy_str_t *node)
{
    u_char   c, *p, *end;

    end = node->data + node->len;

    for (p = end; p > node->data; p--) {
        c = rdy_lower(p[-1]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')
            && c != '.' && c != '_' && c != '-')
        {
            break;
        }
    }

    if (p == node->data || p[-1] != ':' || end - p < 2 || *p != '_') {
        return 0;
    }

    return end - (p - 1);
}


static void
rdy_forwarded_proto(const rdy_str_t *raw, rdy_str_t *proto)
{
    u_char     buf[sizeof("https") - 1];
    rdy_str_t  value;

    static const rdy_str_t  http = rdy_string("http");
    static const rdy_str_t  https = rdy_string("https");

    (void) rdy_forwarded_unquote(raw, &value, buf, sizeof(buf));

    if (rdy_forwarded_is(&value, "http", 4)) {
        *proto = http;

    } else if (rdy_forwarded_is(&value, "https", 5)) {
        *proto = https;
    }
}


size_t
rdy_forwarded_last(const rdy_str_t *line, rdy_str_t *value)
{
    size_t  start, end;

    for (start = line->len; start && line->data[start - 1] != ','; start--) {
        /* void */
    }

    end = line->len;

    while (start < end && rdy_forwarded_is_blank(line->data[start])) {
        start++;
    }

    while (start < end && rdy_forwarded_is_blank(line->data[end - 1])) {
        end--;
    }

    value->len = end - start;
    value->data = line->len ? line->data + start : line->data;

    return value->len;
}


size_t
rdy_forwarded_write(u_char *buf, const rdy_str_t *addr_text, rdy_uint_t v6,
    const rdy_str_t *proto, const rdy_str_t *host, rdy_uint_t addr_known)
{
    u_char  *p;

    p = rdy_forwarded_copy(buf, "for=", 4);

    if (!addr_known || addr_text->len == 0
        || addr_text->len > RDY_ADDR_TEXT_LEN)
    {
        p = rdy_forwarded_copy(p, "unknown", 7);

    } else if (v6) {
        p = rdy_forwarded_copy(p, "\"[", 2);
        p = rdy_forwarded_copy(p, addr_text->data, addr_text->len);
        p = rdy_forwarded_copy(p, "]\"", 2);

    } else {
        p = rdy_forwarded_copy(p, addr_text->data, addr_text->len);
    }

    p = rdy_forwarded_quote(p, host);

    if ((proto->len == 4 && memcmp(proto->data, "http", 4) == 0)
        || (proto->len == 5 && memcmp(proto->data, "https", 5) == 0))
    {
        p = rdy_forwarded_copy(p, ";proto=", 7);
        p = rdy_forwarded_copy(p, proto->data, proto->len);
    }

    return p - buf;
}


static u_char *
rdy_forwarded_copy(u_char *p, const void *data, size_t len)
{
    memcpy(p, data, len);

    return p + len;
}


/* writes ;host=value, or nothing */

static u_char *
rdy_forwarded_quote(u_char *p, const rdy_str_t *host)
{
    u_char       c;
    size_t       i;
    rdy_uint_t   token, plain;

    if (host->len == 0) {
        return p;
    }

    token = 1;
    plain = 1;

    for (i = 0; i < host->len; i++) {
        c = host->data[i];

        if (rdy_forwarded_is_tchar(c)) {
            continue;
        }

        if (c < 0x20 || c == 0x7f) {
            return p;
        }

        token = 0;
        plain = plain && c != '"' && c != '\\';
    }

    p = rdy_forwarded_copy(p, ";host=", 6);

    if (token) {
        return rdy_forwarded_copy(p, host->data, host->len);
    }

    *p++ = '"';

    if (plain) {
        p = rdy_forwarded_copy(p, host->data, host->len);
        *p++ = '"';

        return p;
    }

    for (i = 0; i < host->len; i++) {
        c = host->data[i];

        if (c == '"' || c == '\\') {
            *p++ = '\\';
        }

        *p++ = c;
    }

    *p++ = '"';

    return p;
}
