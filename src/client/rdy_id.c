
/*
 * Copyright (C) The readiness authors
 */


#include "client/rdy_id.h"


/* rand_a has 12 bits; a start in the lower half leaves room to count */

#define RDY_ID_SEQ_MAX    0xfff
#define RDY_ID_SEQ_START  0x7ff


/* "000102...feff": both digits of a byte at once */

#define RDY_ID_ROW(h)                                                         \
    h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7"                           \
    h "8" h "9" h "a" h "b" h "c" h "d" h "e" h "f"

static const char  rdy_id_hex_pairs[] =
    RDY_ID_ROW("0") RDY_ID_ROW("1") RDY_ID_ROW("2") RDY_ID_ROW("3")
    RDY_ID_ROW("4") RDY_ID_ROW("5") RDY_ID_ROW("6") RDY_ID_ROW("7")
    RDY_ID_ROW("8") RDY_ID_ROW("9") RDY_ID_ROW("a") RDY_ID_ROW("b")
    RDY_ID_ROW("c") RDY_ID_ROW("d") RDY_ID_ROW("e") RDY_ID_ROW("f");


static u_char *rdy_id_put(u_char *p, const u_char *bytes, size_t n);
static void rdy_id_uuid(u_char bytes[16], u_char version, u_char *out);


void
rdy_id_uuid7(rdy_id_clock_t *clock, uint64_t now_ms, const u_char rnd[10],
    u_char *out)
{
    u_char      bytes[16];
    uint32_t    start;
    rdy_uint_t  i;

    start = ((uint32_t) rnd[0] << 8 | rnd[1]) & RDY_ID_SEQ_START;

    if (now_ms > clock->ms) {
        clock->ms = now_ms;
        clock->seq = start;

    } else if (clock->seq < RDY_ID_SEQ_MAX) {
        clock->seq++;

    } else {
        clock->ms++;
        clock->seq = start;
    }

    for (i = 0; i < 6; i++) {
        bytes[i] = (u_char) (clock->ms >> (40 - 8 * i));
    }

    bytes[6] = (u_char) (clock->seq >> 8);
    bytes[7] = (u_char) clock->seq;
    memcpy(bytes + 8, rnd + 2, 8);

    rdy_id_uuid(bytes, 7, out);
}


void
rdy_id_uuid4(const u_char rnd[16], u_char *out)
{
    u_char  bytes[16];

    memcpy(bytes, rnd, 16);
    rdy_id_uuid(bytes, 4, out);
}


static void
rdy_id_uuid(u_char bytes[16], u_char version, u_char *out)
{
    u_char  *p;

    bytes[6] = (u_char) ((bytes[6] & 0x0f) | version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;

    p = rdy_id_put(out, bytes, 4);
    *p++ = '-';
    p = rdy_id_put(p, bytes + 4, 2);
    *p++ = '-';
    p = rdy_id_put(p, bytes + 6, 2);
    *p++ = '-';
    p = rdy_id_put(p, bytes + 8, 2);
    *p++ = '-';
    (void) rdy_id_put(p, bytes + 10, 6);
}


void
rdy_id_hex(const u_char rnd[16], u_char *out)
{
    (void) rdy_id_put(out, rnd, 16);
}


static u_char *
rdy_id_put(u_char *p, const u_char *bytes, size_t n)
{
    while (n--) {
        memcpy(p, &rdy_id_hex_pairs[2 * *bytes++], 2);
        p += 2;
    }

    return p;
}


rdy_uint_t
rdy_id_valid(const rdy_str_t *id)
{
    size_t  i;

    /* letters, digits and "._+/=-", a bit per byte below 128 */

    static const uint32_t  allowed[] = {
        0x00000000, 0x23ffe800, 0x87fffffe, 0x07fffffe
    };

    if (id->len < RDY_ID_MIN || id->len > RDY_ID_MAX) {
        return 0;
    }

    for (i = 0; i < id->len; i++) {

        if (id->data[i] >= 0x80
            || (allowed[id->data[i] >> 5] & 1u << (id->data[i] & 0x1f)) == 0)
        {
            return 0;
        }
    }

    return 1;
}
