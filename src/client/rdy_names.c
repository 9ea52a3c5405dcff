
/*
 * Copyright (C) The readiness authors
 */


#include "client/rdy_names.h"


#define RDY_NAMES_ORIGINAL      "x-original-"
#define RDY_NAMES_ORIGINAL_LEN  (sizeof(RDY_NAMES_ORIGINAL) - 1)

#define RDY_NAMES_C             (1u << ('c' - 'a'))
#define RDY_NAMES_F             (1u << ('f' - 'a'))
#define RDY_NAMES_P             (1u << ('p' - 'a'))
#define RDY_NAMES_T             (1u << ('t' - 'a'))
#define RDY_NAMES_W             (1u << ('w' - 'a'))
#define RDY_NAMES_X             (1u << ('x' - 'a'))


typedef struct {
    uint32_t     letters;  /* the first letters that occur in names */
    const char  *names;    /* one after another, all of the row's length */
} rdy_names_row_t;


/* indexed by the length of the name */

static const rdy_names_row_t  rdy_names_rows[] = {

    [5] = { RDY_NAMES_P,
            "proxy" },

    [6] = { RDY_NAMES_X,
            "x-host" },

    [9] = { RDY_NAMES_F|RDY_NAMES_X,
            "forwarded"
            "x-real-ip" },

    [11] = { RDY_NAMES_X,
             "x-forwarded"
             "x-client-ip" },

    [12] = { RDY_NAMES_X,
             "x-url-scheme" },

    [13] = { RDY_NAMES_F|RDY_NAMES_X,
             "forwarded-for"
             "x-rewrite-url" },

    [14] = { RDY_NAMES_T|RDY_NAMES_X,
             "true-client-ip"
             "x-forwarded-by"
             "x-proxyuser-ip" },

    [15] = { RDY_NAMES_F|RDY_NAMES_P|RDY_NAMES_X,
             "x-forwarded-for"
             "x-forwarded-ssl"
             "x-forwarded-uri"
             "front-end-https"
             "proxy-client-ip" },

    [16] = { RDY_NAMES_C|RDY_NAMES_F|RDY_NAMES_X,
             "x-forwarded-host"
             "x-forwarded-port"
             "x-forwarded-path"
             "x-azure-clientip"
             "x-azure-socketip"
             "cf-connecting-ip"
             "fastly-client-ip" },

    [17] = { RDY_NAMES_X,
             "x-forwarded-proto" },

    [18] = { RDY_NAMES_C|RDY_NAMES_W|RDY_NAMES_X,
             "x-forwarded-server"
             "x-forwarded-scheme"
             "x-forwarded-method"
             "x-forwarded-prefix"
             "cf-connecting-ipv6"
             "wl-proxy-client-ip" },

    [19] = { RDY_NAMES_X,
             "x-cluster-client-ip"
             "x-appengine-user-ip" },

    [20] = { RDY_NAMES_X,
             "x-forwarded-protocol" },

    [24] = { RDY_NAMES_X,
             "x-envoy-external-address" },
};


static inline u_char
rdy_names_fold(u_char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        return c;
    }

    return (c >= 'A' && c <= 'Z') ? c | 0x20 : '-';
}


rdy_uint_t
rdy_names_equal(const u_char *a, size_t alen, const u_char *b, size_t blen)
{
    size_t  i;

    if (alen != blen) {
        return 0;
    }

    if (memcmp(a, b, alen) == 0) {
        return 1;
    }

    for (i = 0; i < alen; i++) {

        if (a[i] != b[i] && rdy_names_fold(a[i]) != rdy_names_fold(b[i])) {
            return 0;
        }
    }

    return 1;
}


rdy_uint_t
rdy_names_forwarding(const u_char *name, size_t len)
{
    u_char                  c;
    const char             *p;
    const rdy_names_row_t  *row;

    if (len == 0) {
        return 0;
    }

    c = (u_char) (name[0] | 0x20);

    if (c == 'x' && len > RDY_NAMES_ORIGINAL_LEN
        && rdy_names_equal(name, RDY_NAMES_ORIGINAL_LEN,
                           (const u_char *) RDY_NAMES_ORIGINAL,
                           RDY_NAMES_ORIGINAL_LEN))
    {
        return 1;
    }

    if (len >= sizeof(rdy_names_rows) / sizeof(rdy_names_rows[0])
        || c < 'a' || c > 'z')
    {
        return 0;
    }

    row = &rdy_names_rows[len];

    if ((row->letters & 1u << (c - 'a')) == 0) {
        return 0;
    }

    for (p = row->names; *p; p += len) {

        if (rdy_names_equal(name, len, (const u_char *) p, len)) {
            return 1;
        }
    }

    return 0;
}
