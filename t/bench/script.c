
/*
 * Copyright (C) The readiness authors
 */


/*
 * What one decision costs Redis: calls of 1, 5, 14, 32 and 128 different keys
 * over a unix socket, two of them under way as a worker has it.  CPU is what
 * the kernel counted for the process of Redis.
 *
 *     make build/bench/script && build/bench/script SOCKET PID [SECONDS]
 */


#include "limit/rdy_batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>


#define KEYS      100000    /* different ones, asked in turn */
#define UNDER_WAY 2
#define MAX_CALL  (RDY_BATCH_MAX_LEN + RDY_BATCH_KEYS * 32 + 256)


static int          sock;
static char         sha[41];
static u_char       in[65536], call[MAX_CALL], ops[RDY_BATCH_MAX_LEN];
static size_t       have, used;
static rdy_rate_t   rate;


static double
seconds(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


/* seconds of CPU that a process has had */

static double
cpu(const char *pid)
{
    FILE                *f;
    char                 name[64];
    unsigned long long   ns;

    ns = 0;

    (void) snprintf(name, sizeof(name), "/proc/%s/schedstat", pid);

    f = fopen(name, "r");
    if (f == NULL || fscanf(f, "%llu", &ns) != 1) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        exit(1);
    }

    (void) fclose(f);

    return ns / 1e9;
}


static void
put(const void *data, size_t len)
{
    ssize_t        n;
    const u_char  *p;

    for (p = data; len; p += n, len -= n) {
        n = write(sock, p, len);

        if (n <= 0) {
            perror("write");
            exit(1);
        }
    }
}


/* the next byte from Redis */

static int
get(void)
{
    ssize_t  n;

    if (used == have) {
        n = read(sock, in, sizeof(in));

        if (n <= 0) {
            fprintf(stderr, "Redis closed the connection\n");
            exit(1);
        }

        used = 0;
        have = n;
    }

    return in[used++];
}


/* reads a bulk string; at most size bytes of it are kept */

static size_t
bulk(u_char *dst, size_t size)
{
    int     ch;
    size_t  i, len;

    len = 0;
    ch = get();

    if (ch != '$') {
        fprintf(stderr, "Redis said: ");

        while (ch != '\n') {
            fputc(ch, stderr);
            ch = get();
        }

        fprintf(stderr, "\n");
        exit(1);
    }

    for (ch = get(); ch != '\r'; ch = get()) {
        len = len * 10 + ch - '0';
    }

    (void) get();

    for (i = 0; i < len; i++) {
        ch = get();

        if (i < size) {
            dst[i] = ch;
        }
    }

    (void) get();
    (void) get();

    return len;
}


static void
load(const char *path)
{
    char                buf[64];
    struct sockaddr_un  addr;

    memset(&addr, 0, sizeof(addr));
    addr.sun_family = AF_UNIX;
    (void) snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);

    sock = socket(AF_UNIX, SOCK_STREAM, 0);

    if (sock == -1
        || connect(sock, (struct sockaddr *) &addr, sizeof(addr)) == -1)
    {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }

    put(buf, snprintf(buf, sizeof(buf), "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n"
                      "$%zu\r\n", (size_t) rdy_batch_script.len));
    put(rdy_batch_script.data, rdy_batch_script.len);
    put("\r\n", 2);

    if (bulk((u_char *) sha, 40) != 40) {
        fprintf(stderr, "the script is not loaded\n");
        exit(1);
    }
}


/* sends one call of n keys, each the only limit of a request: a run */

static void
ask(int n)
{
    int          i;
    char         key[32];
    u_char      *p;
    size_t       len;
    static int   next;

    p = ops;
    p += rdy_batch_begin(p, (u_char *) "benchers");

    p += rdy_batch_run(p, &rate, n);

    for (i = 0; i < n; i++) {
        p += rdy_batch_run_need(p, 1);
    }

    len = p - ops;

    p = call;
    p += sprintf((char *) p, "*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n", n + 5,
                 sha);
    p += sprintf((char *) p, "$%d\r\n%d\r\n", snprintf(NULL, 0, "%d", n), n);

    for (i = 0; i < n; i++) {
        next = (next + 1) % KEYS;
        p += sprintf((char *) p, "$%d\r\n%s\r\n",
                     sprintf(key, "rdy:bench:{%d}", next), key);
    }

    p += sprintf((char *) p, "$8\r\nbenchers\r\n$%zu\r\n", len);
    memcpy(p, ops, len);
    p += len;
    *p++ = '\r';
    *p++ = '\n';

    put(call, p - call);
}


static void
measure(int n, const char *pid, double wanted)
{
    int     i;
    long    calls;
    double  start, end, before;

    /* every key is there, and everything has been done once */

    for (i = 0; i < KEYS / n + 1; i++) {
        ask(n);
        (void) bulk(NULL, 0);
    }

    for (i = 0; i < UNDER_WAY; i++) {
        ask(n);
    }

    calls = 0;
    before = cpu(pid);
    start = seconds();

    do {

        for (i = 0; i < 64; i++, calls++) {
            (void) bulk(NULL, 0);
            ask(n);
        }

        end = seconds();

    } while (end - start < wanted);

    printf("| %d | %.2f | %.0f |\n", n,
           (cpu(pid) - before) / calls / n * 1e6, calls * n / (end - start));

    for (i = 0; i < UNDER_WAY; i++) {
        (void) bulk(NULL, 0);
    }
}


int
main(int argc, char *argv[])
{
    size_t            i;
    double            wanted;
    static const int  keys[] = { 1, 5, 14, 32, 128 };

    if (argc < 3) {
        fprintf(stderr, "usage: script SOCKET PID [SECONDS]\n");
        return 2;
    }

    wanted = argc > 3 ? atof(argv[3]) : 2;

    rate.count = 1000000;
    rate.period = 1;
    rate.burst = 1000000;

    load(argv[1]);

    printf("What a decision costs Redis:\n\n"
           "| keys per call | Redis CPU us | decisions per second |\n"
           "|---|---|---|\n");

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        measure(keys[i], argv[2], wanted);
        fflush(stdout);
    }

    return 0;
}
