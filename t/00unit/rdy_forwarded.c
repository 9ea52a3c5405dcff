
/*
 * Copyright (C) The readiness authors
 */


#include "unit.h"
#include "client/rdy_forwarded.h"

#include <sys/mman.h>
#include <unistd.h>


#define MAX_LINES  128


/* the peer of all tests is 10.0.0.1:5000; these are trusted */

static const char *trusted_text[] = {
    "10.0.0.0/8", "192.0.2.1/32", "2001:db8:a::/48", NULL
};

static rdy_cidr_v6_t    trusted_mem[8];
static rdy_cidr_set_t   trusted;
static rdy_forwarded_t  f;
static u_char           buf[64];


static int
setup(void **state)
{
    size_t      n;
    rdy_str_t   s;
    rdy_cidr_t  cidrs[8];

    for (n = 0; trusted_text[n]; n++) {
        s.data = (u_char *) trusted_text[n];
        s.len = strlen(trusted_text[n]);
        assert_int_equal(rdy_cidr_parse(&s, &cidrs[n]), RDY_OK);
    }

    rdy_cidr_set_init(&trusted, trusted_mem, cidrs, n);

    return 0;
}


static void
begin(void)
{
    memset(&f, 0x5a, sizeof(f));
    memset(&f.client, 0, sizeof(f.client));
    memcpy(f.client.a, "\12\0\0\1", 4);
    f.client.family = 4;
    f.port = 5000;
}


/* "ADDRESS PORT HOPS" of f */

static const char *
client(void)
{
    size_t       n;
    static char  out[80];

    n = rdy_addr_text(&f.client, (u_char *) out);
    sprintf(out + n, " %d %d", f.port, (int) f.hops);

    return out;
}


/* copies the lines of text, each into memory of its own size */

static size_t
split(const char *text, rdy_str_t *lines)
{
    size_t       i, n, len;
    static void  *mem[MAX_LINES];

    for (i = 0; i < MAX_LINES; i++) {
        free(mem[i]);
        mem[i] = NULL;
    }

    for (n = 0; /* void */; n++) {
        assert_in_range(n, 0, MAX_LINES - 1);

        len = strcspn(text, "\n");
        mem[n] = malloc(len ? len : 1);
        memcpy(mem[n], text, len);
        lines[n].data = mem[n];
        lines[n].len = len;

        if (text[len] == '\0') {
            return n + 1;
        }

        text += len + 1;
    }
}


/* what X-Forwarded-For makes of the client; lines are parted by LF */

static const char *
xff(const char *text)
{
    size_t     n;
    rdy_str_t  lines[MAX_LINES];

    n = split(text, lines);
    begin();
    rdy_forwarded_xff(lines, n, &trusted, &f);

    return client();
}


/* the same for Forwarded: "refused" if it is, f having been left as it was */

static const char *
forwarded(const char *text)
{
    size_t           n;
    rdy_int_t        rc;
    rdy_str_t        lines[MAX_LINES];
    rdy_forwarded_t  before;

    n = split(text, lines);
    begin();
    before = f;

    rc = rdy_forwarded_rfc7239(lines, n, &trusted, &f, buf, sizeof(buf));

    if (rc == RDY_OK) {
        return client();
    }

    assert_int_equal(rc, RDY_ERROR);
    assert_memory_equal(&f, &before, sizeof(f));

    return "refused";
}


static void
A02_first_untrusted_from_the_right_is_the_client(void **state)
{
    assert_string_equal(xff("203.0.113.7"), "203.0.113.7 0 1");
    assert_string_equal(xff("6.6.6.6, 203.0.113.7"), "203.0.113.7 0 1");
    assert_string_equal(xff("6.6.6.6, 203.0.113.7, 10.0.0.9"),
                        "203.0.113.7 0 2");
    assert_string_equal(xff("10.0.0.3,203.0.113.7,2001:db8:a::1,192.0.2.1"),
                        "203.0.113.7 0 3");
}


static void
A03_several_lines_are_one_list(void **state)
{
    assert_string_equal(xff("6.6.6.6\n203.0.113.7"), "203.0.113.7 0 1");
    assert_string_equal(xff("6.6.6.6\n203.0.113.7\n10.0.0.9"),
                        "203.0.113.7 0 2");
    assert_string_equal(xff("203.0.113.7, 10.0.0.8\n10.0.0.9"),
                        "203.0.113.7 0 3");
    assert_string_equal(xff("10.0.0.7\n10.0.0.8\n10.0.0.9"), "10.0.0.7 0 3");
}


static void
A04_all_trusted_gives_the_leftmost(void **state)
{
    assert_string_equal(xff("10.0.0.3, 10.0.0.2"), "10.0.0.3 0 2");
    assert_string_equal(xff("10.0.0.3"), "10.0.0.3 0 1");
}


static void
A04_no_lines_leave_the_peer(void **state)
{
    begin();
    rdy_forwarded_xff(NULL, 0, &trusted, &f);
    assert_string_equal(client(), "10.0.0.1 5000 0");

    begin();
    assert_int_equal(rdy_forwarded_rfc7239(NULL, 0, &trusted, &f, NULL, 0),
                     RDY_OK);
    assert_string_equal(client(), "10.0.0.1 5000 0");
    assert_int_equal(f.proto.len, 0);
    assert_int_equal(f.host.len, 0);
}


static void
A05_ports_and_brackets_are_split_off(void **state)
{
    assert_string_equal(xff("203.0.113.7:1234"), "203.0.113.7 1234 1");
    assert_string_equal(xff("[2001:db8::1]:1234"), "2001:db8::1 1234 1");
    assert_string_equal(xff("[2001:db8::1]"), "2001:db8::1 0 1");
    assert_string_equal(xff("2001:db8::1:80"), "2001:db8::1:80 0 1");
    assert_string_equal(xff("203.0.113.7:1, 10.0.0.9:2"), "203.0.113.7 1 2");
}


static void
A07_mapped_element_is_trusted_as_v4(void **state)
{
    assert_string_equal(xff("203.0.113.7, ::ffff:10.0.0.1"),
                        "203.0.113.7 0 2");
    assert_string_equal(xff("::ffff:cb00:7107, ::ffff:a00:1"),
                        "203.0.113.7 0 2");
}


static void
A09_malformed_element_stops_the_walk(void **state)
{
    assert_string_equal(xff("6.6.6.6, unknown"), "10.0.0.1 5000 0");
    assert_string_equal(xff("6.6.6.6, unknown, 10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, _hidden, 10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, 010.0.0.1, 10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, 0x7f.1, 10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, 1.2.3, 10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, 10.0.0.8 10.0.0.7, 10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, fe80::1%eth0, 10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, \xc2\xa0" "10.0.0.8, 10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, \"10.0.0.8\", 10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6; 10.0.0.9"), "10.0.0.1 5000 0");
}


static void
A09_empty_element_stops_the_walk(void **state)
{
    assert_string_equal(xff(""), "10.0.0.1 5000 0");
    assert_string_equal(xff(","), "10.0.0.1 5000 0");
    assert_string_equal(xff(" \t "), "10.0.0.1 5000 0");
    assert_string_equal(xff("6.6.6.6,"), "10.0.0.1 5000 0");
    assert_string_equal(xff("6.6.6.6, "), "10.0.0.1 5000 0");
    assert_string_equal(xff("6.6.6.6,,10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6, \t,10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff(",10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6\n\n10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6\n \n10.0.0.9"), "10.0.0.9 0 1");
    assert_string_equal(xff("6.6.6.6\n"), "10.0.0.1 5000 0");
}


static void
A09_blanks_around_elements_are_cut_off(void **state)
{
    assert_string_equal(xff(" \t203.0.113.7\t \t,\t 10.0.0.9 \t"),
                        "203.0.113.7 0 2");
}


static void
A10_walk_ends_after_32_elements(void **state)
{
    size_t  i;
    char    text[8192];

    text[0] = '\0';

    for (i = 0; i < 40; i++) {
        sprintf(text + strlen(text), "%s10.1.0.%d", i ? ", " : "", (int) i);
    }

    /* elements 39, 38 ... 8 */

    assert_string_equal(xff(text), "10.1.0.8 0 32");

    text[0] = '\0';

    for (i = 0; i < 100; i++) {
        sprintf(text + strlen(text), "%s10.1.0.%d", i ? "\n" : "", (int) i);
    }

    assert_string_equal(xff(text), "10.1.0.68 0 32");

    text[0] = '\0';

    for (i = 0; i < 40; i++) {
        sprintf(text + strlen(text), "%sfor=10.1.0.%d", i ? ", " : "",
                (int) i);
    }

    assert_string_equal(forwarded(text), "10.1.0.8 0 32");
}


/*
 * A line whose left part cannot be read: len bytes are there, text at their
 * end, the ones before them belong to the line but lie in a page without access
 */

static void
fenced(const char *text, rdy_str_t *line)
{
    size_t         len, page;
    static u_char  *mem;

    page = (size_t) sysconf(_SC_PAGESIZE);
    len = strlen(text);

    if (mem == NULL) {
        mem = mmap(NULL, 2 * page, PROT_READ|PROT_WRITE,
                   MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(mem, MAP_FAILED);
        assert_int_equal(mprotect(mem, page, PROT_NONE), 0);
    }

    memcpy(mem + page, text, len);
    line->data = mem;
    line->len = page + len;
}


static void
A10_bytes_left_of_the_client_are_not_read(void **state)
{
    size_t     i;
    char       text[2048];
    rdy_str_t  line;

    fenced(",203.0.113.7, 10.0.0.9", &line);
    begin();
    rdy_forwarded_xff(&line, 1, &trusted, &f);
    assert_string_equal(client(), "203.0.113.7 0 2");

    text[0] = '\0';

    for (i = 0; i < 32; i++) {
        sprintf(text + strlen(text), ",10.1.0.%d", (int) i);
    }

    fenced(text, &line);
    begin();
    rdy_forwarded_xff(&line, 1, &trusted, &f);
    assert_string_equal(client(), "10.1.0.0 0 32");

    /* a word too long to be an address is not followed to where it begins */

    memset(text, '1', 100);
    strcpy(text + 100, ",10.0.0.9");

    fenced(text, &line);
    begin();
    rdy_forwarded_xff(&line, 1, &trusted, &f);
    assert_string_equal(client(), "10.0.0.9 0 1");
}


static void
A10_longest_address_is_still_read(void **state)
{
    assert_string_equal(xff("[0000:0000:0000:0000:0000:ffff:203.000.113.007]"),
                        "10.0.0.1 5000 0");
    assert_string_equal(xff("6.6.6.6,"
                            "[0000:0000:0000:0000:0000:ffff:255.255.255.255]"
                            ":65535"),
                        "255.255.255.255 65535 1");
}


static void
xff_leaves_proto_and_host_alone(void **state)
{
    rdy_str_t  line;

    line = str("203.0.113.7");
    begin();
    f.proto = line;
    f.host = line;
    rdy_forwarded_xff(&line, 1, &trusted, &f);
    assert_ptr_equal(f.proto.data, line.data);
    assert_ptr_equal(f.host.data, line.data);
}


static void
A11_forwarded_is_walked_from_the_right(void **state)
{
    assert_string_equal(forwarded("for=203.0.113.7"), "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=6.6.6.6, for=203.0.113.7"),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=6.6.6.6,for=203.0.113.7,for=10.0.0.9"),
                        "203.0.113.7 0 2");
    assert_string_equal(forwarded("for=6.6.6.6\nfor=203.0.113.7\nfor=10.0.0.9"),
                        "203.0.113.7 0 2");
    assert_string_equal(forwarded("for=10.0.0.8, for=10.0.0.9"),
                        "10.0.0.8 0 2");
}


static void
A11_nodes_are_those_of_the_rfc(void **state)
{
    assert_string_equal(forwarded("for=\"203.0.113.7:1234\""),
                        "203.0.113.7 1234 1");
    assert_string_equal(forwarded("For=\"[2001:db8::1]:1\""),
                        "2001:db8::1 1 1");
    assert_string_equal(forwarded("FOR=\"[2001:db8::1]\""),
                        "2001:db8::1 0 1");
    assert_string_equal(forwarded("for=\"203.0.113.7:_gazonk\""),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=\"[2001:db8::1]:_a.b-c_\""),
                        "2001:db8::1 0 1");
    assert_string_equal(forwarded("for=\"203.0.113.7:_a\""),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=\"203.0.113.7:_azAZ09\""),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=\"\\2\\03.0.113.7\""),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=\"[::ffff:203.0.113.7]\""),
                        "203.0.113.7 0 1");
}


static void
A11_hop_that_is_no_address_stops_the_walk(void **state)
{
    assert_string_equal(forwarded("for=6.6.6.6, for=unknown, for=10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(forwarded("for=6.6.6.6, for=\"unknown:12\""),
                        "10.0.0.1 5000 0");
    assert_string_equal(forwarded("for=6.6.6.6, for=_obf, for=10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(forwarded("for=6.6.6.6, by=10.0.0.8, for=10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(forwarded("for=6.6.6.6, for=\"\", for=10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(forwarded("for=6.6.6.6, ;, for=10.0.0.9"),
                        "10.0.0.9 0 1");
    assert_string_equal(forwarded("for=6.6.6.6, for=\"2001:db8:a::1\""),
                        "10.0.0.1 5000 0");
    assert_string_equal(forwarded("for=6.6.6.6, for=\"10.0.0.8:_\""),
                        "10.0.0.1 5000 0");
    assert_string_equal(forwarded("for=6.6.6.6, for=\"10.0.0.8:x_\""),
                        "10.0.0.1 5000 0");
    assert_string_equal(forwarded("for=6.6.6.6, for=\"10.0.0.8:_a/\""),
                        "10.0.0.1 5000 0");
    assert_string_equal(forwarded("for=6.6.6.6, for=\"10.0.0.8:_{\""),
                        "10.0.0.1 5000 0");
    assert_string_equal(forwarded("for=6.6.6.6, for=\"10.0.0.8 \""),
                        "10.0.0.1 5000 0");
}


static void
A11_long_escaped_node_is_no_address(void **state)
{
    char  text[512];

    sprintf(text, "for=6.6.6.6, for=\"\\1.2.3.4:_%0200d\"", 0);
    assert_string_equal(forwarded(text), "10.0.0.1 5000 0");
}


static void
A11_empty_list_elements_are_skipped(void **state)
{
    assert_string_equal(forwarded(""), "10.0.0.1 5000 0");
    assert_string_equal(forwarded(" , ,\t,"), "10.0.0.1 5000 0");
    assert_string_equal(forwarded(",for=203.0.113.7,, \t,for=10.0.0.9, "),
                        "203.0.113.7 0 2");
    assert_string_equal(forwarded("for=203.0.113.7\n\nfor=10.0.0.9\n"),
                        "203.0.113.7 0 2");
}


static void
A11_empty_pairs_are_allowed(void **state)
{
    assert_string_equal(forwarded(";for=203.0.113.7;;by=x;"),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=203.0.113.7; ,for=10.0.0.9"),
                        "203.0.113.7 0 2");
}


static void
A11_unknown_parameters_are_allowed(void **state)
{
    assert_string_equal(forwarded("secret=\"a, for=6.6.6.6; \\\" \xe4\";"
                                  "for=203.0.113.7;x-y!=~"),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("fox=6.6.6.6;for=203.0.113.7"),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=203.0.113.7;fox=6.6.6.6"),
                        "203.0.113.7 0 1");
}


static void
A11_broken_grammar_refuses_the_whole_header(void **state)
{
    assert_string_equal(forwarded("for=1.2.3.4;by=[::1]"), "refused");
    assert_string_equal(forwarded("for=[2001:db8::1]"), "refused");
    assert_string_equal(forwarded("for=1.2.3.4:80"), "refused");
    assert_string_equal(forwarded("for=\"1.2.3.4"), "refused");
    assert_string_equal(forwarded("for=\"1.2.3.4\\"), "refused");
    assert_string_equal(forwarded("for=\"1.2.3.4\\\""), "refused");
    assert_string_equal(forwarded("\""), "refused");
    assert_string_equal(forwarded("for"), "refused");
    assert_string_equal(forwarded("for="), "refused");
    assert_string_equal(forwarded("for=;by=x"), "refused");
    assert_string_equal(forwarded("for=,for=1.2.3.4"), "refused");
    assert_string_equal(forwarded("=1.2.3.4"), "refused");
    assert_string_equal(forwarded("for =1.2.3.4"), "refused");
    assert_string_equal(forwarded("for= 1.2.3.4"), "refused");
    assert_string_equal(forwarded("for=1.2.3.4; by=x"), "refused");
    assert_string_equal(forwarded("for=1.2.3.4 ;by=x"), "refused");
    assert_string_equal(forwarded("for=1.2.3.4 for=1.2.3.4"), "refused");
    assert_string_equal(forwarded("for=\"1.2.3.4\"x"), "refused");
    assert_string_equal(forwarded("for=x\"1.2.3.4\""), "refused");
    assert_string_equal(forwarded("for=1.2.3.4;\x01"), "refused");
    assert_string_equal(forwarded("x=\"\x01\""), "refused");
    assert_string_equal(forwarded("x=\"\\\x01\""), "refused");
    assert_string_equal(forwarded("x=\"\x7f\""), "refused");
    assert_string_equal(forwarded("x=\xe4"), "refused");
    assert_string_equal(forwarded("1.2.3.4"), "refused");

    /* wherever in the header it is */

    assert_string_equal(forwarded("x, for=10.0.0.8, for=10.0.0.9"),
                        "refused");
    assert_string_equal(forwarded("x\nfor=203.0.113.7"), "refused");
    assert_string_equal(forwarded("for=203.0.113.7\nx"), "refused");
}


static void
A11_duplicate_parameter_refuses_the_whole_header(void **state)
{
    assert_string_equal(forwarded("for=1.2.3.4;for=1.2.3.4"), "refused");
    assert_string_equal(forwarded("for=1.2.3.4;by=x;FOR=1.2.3.4"), "refused");
    assert_string_equal(forwarded("proto=http;proto=http"), "refused");
    assert_string_equal(forwarded("a=1;b=2;A=3"), "refused");
    assert_string_equal(forwarded("a=1;b=2;B=3"), "refused");
    assert_string_equal(forwarded("for=203.0.113.7;a=1,for=10.0.0.9;a=1"),
                        "203.0.113.7 0 2");
}


static void
A11_quoted_line_break_does_not_join_lines(void **state)
{
    assert_string_equal(forwarded("for=\"203.0.113.7\n\""), "refused");
}


static void
A10_too_many_parameters_refuse_the_header(void **state)
{
    assert_string_equal(forwarded("for=203.0.113.7;b=;"), "refused");
    assert_string_equal(forwarded("for=203.0.113.7;b=1;c=1;d=1;e=1;f=1;g=1;"
                                  "h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1"),
                        "203.0.113.7 0 1");
    assert_string_equal(forwarded("for=203.0.113.7;b=1;c=1;d=1;e=1;f=1;g=1;"
                                  "h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1;q=1"),
                        "refused");
}


static void
A10_more_than_8192_bytes_are_refused(void **state)
{
    char  text[8400];

    memset(text, ',', sizeof(text));
    memcpy(text, "for=203.0.113.7", 15);

    text[8192] = '\0';
    assert_string_equal(forwarded(text), "203.0.113.7 0 1");

    text[8192] = ',';
    text[8193] = '\0';
    assert_string_equal(forwarded(text), "refused");

    /* the LF is no byte of either line */

    text[4000] = '\n';
    assert_string_equal(forwarded(text), "203.0.113.7 0 1");

    text[8193] = ',';
    text[8194] = '\0';
    assert_string_equal(forwarded(text), "refused");
}


static void
A18_proto_and_host_are_of_the_clients_element(void **state)
{
    (void) forwarded("for=6.6.6.6;proto=https;host=evil,"
                     "for=203.0.113.7;proto=https;host=a.example,"
                     "for=10.0.0.9;proto=http;host=b.example");
    assert_bytes(f.proto.data, f.proto.len, "https");
    assert_bytes(f.host.data, f.host.len, "a.example");

    (void) forwarded("for=203.0.113.7, for=10.0.0.9;proto=http;host=b");
    assert_int_equal(f.proto.len, 0);
    assert_int_equal(f.host.len, 0);

    (void) forwarded("for=6.6.6.6;proto=https;host=evil, for=unknown;host=x");
    assert_int_equal(f.proto.len, 0);
    assert_int_equal(f.host.len, 0);
}


static void
A18_proto_is_http_or_https_or_empty(void **state)
{
    (void) forwarded("for=203.0.113.7;proto=HttpS");
    assert_bytes(f.proto.data, f.proto.len, "https");

    (void) forwarded("for=203.0.113.7;Proto=\"h\\ttp\"");
    assert_bytes(f.proto.data, f.proto.len, "http");

    (void) forwarded("for=203.0.113.7;proto=ftp");
    assert_int_equal(f.proto.len, 0);

    (void) forwarded("for=203.0.113.7;proto=httpsx");
    assert_int_equal(f.proto.len, 0);

    (void) forwarded("for=203.0.113.7;proto=\"https\\x\"");
    assert_int_equal(f.proto.len, 0);

    (void) forwarded("for=203.0.113.7;proto=\"\"");
    assert_int_equal(f.proto.len, 0);
}


static void
A11_host_is_unescaped(void **state)
{
    (void) forwarded("for=203.0.113.7;host=\"a.example:8080\"");
    assert_bytes(f.host.data, f.host.len, "a.example:8080");

    (void) forwarded("for=203.0.113.7;host=\"a\\\"b\\\\c\\d\"");
    assert_bytes(f.host.data, f.host.len, "a\"b\\cd");
    assert_ptr_equal(f.host.data, buf);
}


static void
A11_host_that_does_not_fit_is_empty(void **state)
{
    u_char     small[4];
    rdy_str_t  line;

    line = str("for=203.0.113.7;host=\"\\abcd\"");
    begin();
    assert_int_equal(rdy_forwarded_rfc7239(&line, 1, &trusted, &f, small, 4),
                     RDY_OK);
    assert_bytes(f.host.data, f.host.len, "abcd");

    line = str("for=203.0.113.7;host=\"\\abcde\"");
    begin();
    assert_int_equal(rdy_forwarded_rfc7239(&line, 1, &trusted, &f, small, 4),
                     RDY_OK);
    assert_string_equal(client(), "203.0.113.7 0 1");
    assert_int_equal(f.host.len, 0);

    /* nothing has to fit where nothing is escaped */

    line = str("for=203.0.113.7;host=\"abcde\"");
    begin();
    assert_int_equal(rdy_forwarded_rfc7239(&line, 1, &trusted, &f, NULL, 0),
                     RDY_OK);
    assert_bytes(f.host.data, f.host.len, "abcde");
}


static void
A18_last_element_of_a_list_is_found(void **state)
{
    rdy_str_t  line, value;

    line = str("https,http");
    assert_int_equal(rdy_forwarded_last(&line, &value), 4);
    assert_bytes(value.data, value.len, "http");

    line = str("\t https \t");
    assert_int_equal(rdy_forwarded_last(&line, &value), 5);
    assert_bytes(value.data, value.len, "https");

    line = str("a ,\t b c\t");
    assert_int_equal(rdy_forwarded_last(&line, &value), 3);
    assert_bytes(value.data, value.len, "b c");

    line = str("https,");
    assert_int_equal(rdy_forwarded_last(&line, &value), 0);

    line = str("https, \t");
    assert_int_equal(rdy_forwarded_last(&line, &value), 0);

    line.len = 0;
    line.data = NULL;
    assert_int_equal(rdy_forwarded_last(&line, &value), 0);
}


/* what is written, in memory of exactly the size that is promised to do */

static const char *
written(const char *addr, rdy_uint_t v6, const char *proto, const char *host,
    rdy_uint_t known)
{
    u_char       *p;
    size_t        n;
    rdy_str_t     a, b, c;
    static char   out[1024];

    a.data = (u_char *) addr;
    a.len = strlen(addr);
    b.data = (u_char *) proto;
    b.len = strlen(proto);
    c.data = (u_char *) host;
    c.len = strlen(host);

    p = malloc(RDY_FORWARDED_WRITE_LEN(c.len));
    n = rdy_forwarded_write(p, &a, v6, &b, &c, known);
    assert_in_range(n, 1, RDY_FORWARDED_WRITE_LEN(c.len));
    memcpy(out, p, n);
    out[n] = '\0';
    free(p);

    return out;
}


static void
forwarded_element_is_written(void **state)
{
    assert_string_equal(written("203.0.113.7", 0, "https", "a.example", 1),
                        "for=203.0.113.7;host=a.example;proto=https");
    assert_string_equal(written("2001:db8::1", 1, "http", "a.b:8080", 1),
                        "for=\"[2001:db8::1]\";host=\"a.b:8080\";proto=http");
    assert_string_equal(written("203.0.113.7", 0, "", "", 1),
                        "for=203.0.113.7");
}


static void
A16_unknown_address_is_said_so(void **state)
{
    assert_string_equal(written("unix:", 0, "http", "a", 0),
                        "for=unknown;host=a;proto=http");
    assert_string_equal(written("", 0, "http", "", 1),
                        "for=unknown;proto=http");
    assert_string_equal(written("0000000000000000000000000000000000000000", 0,
                                "", "", 1),
                        "for=unknown");
}


static void
A11_written_host_is_quoted_and_escaped(void **state)
{
    assert_string_equal(written("1.2.3.4", 0, "", "[::1]:8080", 1),
                        "for=1.2.3.4;host=\"[::1]:8080\"");
    assert_string_equal(written("1.2.3.4", 0, "", "a\";for=\\", 1),
                        "for=1.2.3.4;host=\"a\\\";for=\\\\\"");
    assert_string_equal(written("1.2.3.4", 0, "", ":a", 1),
                        "for=1.2.3.4;host=\":a\"");
    assert_string_equal(written("1.2.3.4", 0, "", "\"", 1),
                        "for=1.2.3.4;host=\"\\\"\"");
    assert_string_equal(written("1.2.3.4", 0, "", "a b", 1),
                        "for=1.2.3.4;host=\"a b\"");
    assert_string_equal(written("1.2.3.4", 0, "", "\xc3\xa4", 1),
                        "for=1.2.3.4;host=\"\xc3\xa4\"");
}


static void
host_with_control_bytes_is_not_written(void **state)
{
    assert_string_equal(written("1.2.3.4", 0, "http", "a\r\nb", 1),
                        "for=1.2.3.4;proto=http");
    assert_string_equal(written("1.2.3.4", 0, "", "a\tb", 1), "for=1.2.3.4");
    assert_string_equal(written("1.2.3.4", 0, "", "a\x7f", 1), "for=1.2.3.4");
    assert_string_equal(written("1.2.3.4", 0, "", "\na", 1), "for=1.2.3.4");
}


static void
other_protocols_are_not_written(void **state)
{
    assert_string_equal(written("1.2.3.4", 0, "ftp", "", 1), "for=1.2.3.4");
    assert_string_equal(written("1.2.3.4", 0, "https;a", "", 1),
                        "for=1.2.3.4");
}


static void
worst_case_fits_exactly(void **state)
{
    assert_int_equal(strlen(written("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                    1, "https", "\"\"\"\"", 1)),
                     RDY_FORWARDED_WRITE_LEN(4));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(A02_first_untrusted_from_the_right_is_the_client),
        cmocka_unit_test(A03_several_lines_are_one_list),
        cmocka_unit_test(A04_all_trusted_gives_the_leftmost),
        cmocka_unit_test(A04_no_lines_leave_the_peer),
        cmocka_unit_test(A05_ports_and_brackets_are_split_off),
        cmocka_unit_test(A07_mapped_element_is_trusted_as_v4),
        cmocka_unit_test(A09_malformed_element_stops_the_walk),
        cmocka_unit_test(A09_empty_element_stops_the_walk),
        cmocka_unit_test(A09_blanks_around_elements_are_cut_off),
        cmocka_unit_test(A10_walk_ends_after_32_elements),
        cmocka_unit_test(A10_bytes_left_of_the_client_are_not_read),
        cmocka_unit_test(A10_longest_address_is_still_read),
        cmocka_unit_test(xff_leaves_proto_and_host_alone),
        cmocka_unit_test(A11_forwarded_is_walked_from_the_right),
        cmocka_unit_test(A11_nodes_are_those_of_the_rfc),
        cmocka_unit_test(A11_hop_that_is_no_address_stops_the_walk),
        cmocka_unit_test(A11_long_escaped_node_is_no_address),
        cmocka_unit_test(A11_empty_list_elements_are_skipped),
        cmocka_unit_test(A11_empty_pairs_are_allowed),
        cmocka_unit_test(A11_unknown_parameters_are_allowed),
        cmocka_unit_test(A11_broken_grammar_refuses_the_whole_header),
        cmocka_unit_test(A11_duplicate_parameter_refuses_the_whole_header),
        cmocka_unit_test(A11_quoted_line_break_does_not_join_lines),
        cmocka_unit_test(A10_too_many_parameters_refuse_the_header),
        cmocka_unit_test(A10_more_than_8192_bytes_are_refused),
        cmocka_unit_test(A18_proto_and_host_are_of_the_clients_element),
        cmocka_unit_test(A18_proto_is_http_or_https_or_empty),
        cmocka_unit_test(A11_host_is_unescaped),
        cmocka_unit_test(A11_host_that_does_not_fit_is_empty),
        cmocka_unit_test(A18_last_element_of_a_list_is_found),
        cmocka_unit_test(forwarded_element_is_written),
        cmocka_unit_test(A16_unknown_address_is_said_so),
        cmocka_unit_test(A11_written_host_is_quoted_and_escaped),
        cmocka_unit_test(host_with_control_bytes_is_not_written),
        cmocka_unit_test(other_protocols_are_not_written),
        cmocka_unit_test(worst_case_fits_exactly),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
