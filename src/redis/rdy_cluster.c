
/*
 * Copyright (C) The readiness authors
 */


#include "redis/rdy_cluster.h"


/* id, address, flags, master, ping, pong, epoch, link: then the slots */
#define RDY_CLUSTER_FIELDS  8


typedef struct {
    u_char  *pos;
    u_char  *end;
} rdy_cluster_words_t;


static uint16_t rdy_cluster_crc(const u_char *p, const u_char *end);
static const char *rdy_cluster_line(rdy_cluster_words_t *line,
    rdy_cluster_map_t *map);
static rdy_uint_t rdy_cluster_flags(const rdy_str_t *flags,
    rdy_cluster_node_t *node);
static rdy_int_t rdy_cluster_address(const rdy_str_t *word,
    rdy_cluster_node_t *node);
static const char *rdy_cluster_range(const rdy_str_t *word,
    rdy_cluster_map_t *map, uint16_t node);
static rdy_int_t rdy_cluster_endpoint(const u_char *p, const u_char *end,
    rdy_str_t *host, uint16_t *port);
static rdy_uint_t rdy_cluster_word(rdy_cluster_words_t *words, u_char until,
    rdy_str_t *word);
static rdy_uint_t rdy_cluster_is(const rdy_str_t *word, const char *s);
static rdy_int_t rdy_cluster_number(const u_char *p, const u_char *end);


/* CRC-16/XMODEM of four bits */

static const uint16_t  rdy_cluster_table[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef
};


rdy_uint_t
rdy_cluster_slot(const rdy_str_t *key)
{
    u_char  *open, *close, *end;

    if (key->len == 0) {
        return 0;
    }

    end = key->data + key->len;
    open = memchr(key->data, '{', key->len);

    if (open) {
        open++;
        close = memchr(open, '}', end - open);

        if (close && close > open) {
            return rdy_cluster_crc(open, close) % RDY_CLUSTER_SLOTS;
        }
    }

    return rdy_cluster_crc(key->data, end) % RDY_CLUSTER_SLOTS;
}


static uint16_t
rdy_cluster_crc(const u_char *p, const u_char *end)
{
    uint16_t  crc;

    crc = 0;

    while (p < end) {
        crc = (uint16_t) (crc << 4)
              ^ rdy_cluster_table[(crc >> 12) ^ (*p >> 4)];
        crc = (uint16_t) (crc << 4)
              ^ rdy_cluster_table[(crc >> 12) ^ (*p & 0x0f)];
        p++;
    }

    return crc;
}


rdy_int_t
rdy_cluster_nodes(const rdy_str_t *text, rdy_cluster_map_t *map,
    const char **why)
{
    rdy_str_t            line;
    rdy_cluster_words_t  lines, words;

    memset(map->slots, 0xff, sizeof(map->slots));
    map->nslots = 0;
    map->nnodes = 0;

    *why = text->len ? NULL : "is empty";

    lines.pos = text->data;
    lines.end = text->data + text->len;

    while (*why == NULL && rdy_cluster_word(&lines, '\n', &line)) {

        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }

        if (line.len == 0) {
            continue;
        }

        words.pos = line.data;
        words.end = line.data + line.len;

        *why = rdy_cluster_line(&words, map);
    }

    return *why ? RDY_ERROR : RDY_OK;
}


/* NULL, or what is wrong with it */

static const char *
rdy_cluster_line(rdy_cluster_words_t *line, rdy_cluster_map_t *map)
{
    uint16_t             number;
    rdy_str_t            word, field[RDY_CLUSTER_FIELDS];
    rdy_uint_t           i;
    const char          *why;
    rdy_cluster_node_t   node;

    for (i = 0; i < RDY_CLUSTER_FIELDS; i++) {
        if (!rdy_cluster_word(line, ' ', &field[i]) || field[i].len == 0) {
            return "has a line with too few words";
        }
    }

    if (rdy_cluster_address(&field[1], &node) != RDY_OK) {
        return "has a line without an address";
    }

    if (!rdy_cluster_flags(&field[2], &node) || node.port == 0) {
        return NULL;
    }

    if (map->nnodes == RDY_CLUSTER_NODES) {
        return "has more than 1024 nodes";
    }

    number = (uint16_t) map->nnodes++;
    map->nodes[number] = node;

    while (rdy_cluster_word(line, ' ', &word)) {

        /* "[93->-..." and "[93-<-...": on their way, MOVED and ASK tell */

        if (word.len == 0 || word.data[0] == '[') {
            continue;
        }

        why = rdy_cluster_range(&word, map, number);
        if (why) {
            return why;
        }
    }

    return NULL;
}


/* 0: this node cannot be asked */

static rdy_uint_t
rdy_cluster_flags(const rdy_str_t *flags, rdy_cluster_node_t *node)
{
    rdy_str_t            flag;
    rdy_cluster_words_t  words;

    words.pos = flags->data;
    words.end = flags->data + flags->len;

    while (rdy_cluster_word(&words, ',', &flag)) {

        if (rdy_cluster_is(&flag, "noaddr")
            || rdy_cluster_is(&flag, "handshake"))
        {
            return 0;
        }

        node->myself |= rdy_cluster_is(&flag, "myself");
        node->replica |= rdy_cluster_is(&flag, "slave");
        node->failed |= rdy_cluster_is(&flag, "fail");
    }

    return 1;
}


/* host:port[@busport][,name[,...]] */

static rdy_int_t
rdy_cluster_address(const rdy_str_t *word, rdy_cluster_node_t *node)
{
    u_char               *bus;
    rdy_str_t             address;
    rdy_cluster_words_t   parts;

    memset(node, 0, sizeof(rdy_cluster_node_t));

    parts.pos = word->data;
    parts.end = word->data + word->len;

    if (!rdy_cluster_word(&parts, ',', &address)) {
        return RDY_ERROR;
    }

    if (!rdy_cluster_word(&parts, ',', &node->name)
        || node->name.len > RDY_CLUSTER_HOST_LEN)
    {
        node->name.len = 0;
    }

    if (address.len == 0) {
        return RDY_ERROR;
    }

    bus = memchr(address.data, '@', address.len);

    return rdy_cluster_endpoint(address.data,
                                bus ? bus : address.data + address.len,
                                &node->host, &node->port);
}


/* "93" or "93-97" */

static const char *
rdy_cluster_range(const rdy_str_t *word, rdy_cluster_map_t *map, uint16_t node)
{
    u_char     *minus, *end;
    rdy_int_t   first, last;

    end = word->data + word->len;
    minus = memchr(word->data, '-', word->len);

    first = rdy_cluster_number(word->data, minus ? minus : end);
    last = minus ? rdy_cluster_number(minus + 1, end) : first;

    if (first < 0 || last < first || last >= RDY_CLUSTER_SLOTS) {
        return "has a slot that is none";
    }

    for ( /* void */ ; first <= last; first++) {

        if (map->slots[first] != RDY_CLUSTER_NONE) {
            return "has a slot on two nodes";
        }

        map->slots[first] = node;
        map->nslots++;
    }

    return NULL;
}


rdy_cluster_error_e
rdy_cluster_error(const rdy_str_t *text, rdy_cluster_target_t *target)
{
    rdy_int_t            slot;
    rdy_str_t            word;
    rdy_cluster_error_e  what;
    rdy_cluster_words_t  words;

    words.pos = text->data;
    words.end = text->data + text->len;

    if (!rdy_cluster_word(&words, ' ', &word)) {
        return RDY_CLUSTER_OTHER;
    }

    if (rdy_cluster_is(&word, "CLUSTERDOWN")
        || rdy_cluster_is(&word, "MASTERDOWN"))
    {
        return RDY_CLUSTER_DOWN;
    }

    if (rdy_cluster_is(&word, "TRYAGAIN")) {
        return RDY_CLUSTER_TRYAGAIN;
    }

    if (rdy_cluster_is(&word, "MOVED")) {
        what = RDY_CLUSTER_MOVED;

    } else if (rdy_cluster_is(&word, "ASK")) {
        what = RDY_CLUSTER_ASK;

    } else {
        return RDY_CLUSTER_OTHER;
    }

    if (!rdy_cluster_word(&words, ' ', &word)) {
        return RDY_CLUSTER_GARBAGE;
    }

    slot = rdy_cluster_number(word.data, word.data + word.len);

    if (slot < 0 || slot >= RDY_CLUSTER_SLOTS
        || !rdy_cluster_word(&words, ' ', &word) || words.pos != NULL
        || rdy_cluster_endpoint(word.data, word.data + word.len,
                                &target->host, &target->port)
           != RDY_OK
        || target->port == 0)
    {
        return RDY_CLUSTER_GARBAGE;
    }

    target->slot = (rdy_uint_t) slot;

    return what;
}


/*
 * "host:port", where host may be empty or an IPv6 address without brackets,
 * and "?" is a host that Redis does not know.
 */

static rdy_int_t
rdy_cluster_endpoint(const u_char *p, const u_char *end, rdy_str_t *host,
    uint16_t *port)
{
    u_char         c;
    rdy_int_t      n;
    const u_char  *colon;

    for (colon = end; colon > p && colon[-1] != ':'; colon--) { /* void */ }

    if (colon == p) {
        return RDY_ERROR;
    }

    n = rdy_cluster_number(colon, end);
    colon--;

    if (n < 0 || n > 65535 || colon - p > RDY_CLUSTER_HOST_LEN) {
        return RDY_ERROR;
    }

    host->data = (u_char *) p;
    host->len = colon - p;
    *port = (uint16_t) n;

    if (host->len == 1 && *p == '?') {
        return RDY_ERROR;
    }

    for ( /* void */ ; p < colon; p++) {
        c = rdy_lower(*p);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')
            && c != '.' && c != ':' && c != '-' && c != '_')
        {
            return RDY_ERROR;
        }
    }

    return RDY_OK;
}


/* the next word, which may be empty; 0: there is none.  pos is NULL behind
   the last */

static rdy_uint_t
rdy_cluster_word(rdy_cluster_words_t *words, u_char until, rdy_str_t *word)
{
    u_char  *p;

    if (words->pos == NULL || words->pos == words->end) {
        words->pos = NULL;
        word->data = NULL;
        word->len = 0;
        return 0;
    }

    p = memchr(words->pos, until, words->end - words->pos);

    word->data = words->pos;
    word->len = (p ? p : words->end) - words->pos;

    words->pos = p ? p + 1 : NULL;

    return 1;
}


static rdy_uint_t
rdy_cluster_is(const rdy_str_t *word, const char *s)
{
    return word->len == strlen(s) && memcmp(word->data, s, word->len) == 0;
}


/* up to five digits; -1: it is no such number */

static rdy_int_t
rdy_cluster_number(const u_char *p, const u_char *end)
{
    rdy_int_t  n;

    if (p == end || end - p > 5) {
        return -1;
    }

    for (n = 0; p < end; p++) {

        if (*p < '0' || *p > '9') {
            return -1;
        }

        n = n * 10 + (*p - '0');
    }

    return n;
}
