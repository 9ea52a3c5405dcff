#!/usr/bin/perl

# Each allocation of a request fails once: nobody crashes, nothing passes that
# has to be refused, and the next request is served as ever.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;

if ($t->built =~ /-fsanitize/ || $ENV{READINESS_WRAPPER}) {
    SKIP: { skip('the sanitizer or valgrind has its own malloc', 1) }
    $t->done;
    exit 0;
}

# The allocations of one process are counted down, where the test can see it.

$t->file('fail.c', <<'C');
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static volatile struct { long pid, left, failed; }  *control;

__attribute__((constructor)) static void
open_control(void)
{
    int    fd;
    void  *p;
    char  *name = getenv("FAIL_CONTROL");

    fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (fd == -1) {
        return;
    }

    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    control = (p == MAP_FAILED) ? NULL : p;
}

static int
fails(void)
{
    if (control == NULL || control->left == 0 || control->pid != getpid()
        || --control->left)
    {
        return 0;
    }

    control->failed++;
    errno = ENOMEM;
    return 1;
}

void *
malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}

int
posix_memalign(void **p, size_t alignment, size_t size)
{
    void  *q = fails() ? NULL : __libc_memalign(alignment, size);

    if (q == NULL) {
        return ENOMEM;
    }

    *p = q;
    return 0;
}

void *
memalign(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}
C

my $so = $t->path('fail.so');
my ($code, $text) = $t->command(
    Readiness::Process::resolve_binary($ENV{CC} || 'cc'), qw(-shared -fPIC -O1
    -fno-builtin -o), $so, $t->path('fail.c'));
is($code, 0, 'the failing malloc is built') or BAIL_OUT($text);

my $control = $t->file('control', "\0" x 4096, 0666);
$t->{env} = { LD_PRELOAD => $so, FAIL_CONTROL => $control };
my $fake = $t->fake;

# small pools: more of what a request needs is an allocation of its own

$t->conf(<<'CONF')->run;
readiness_trusted_proxies 127.0.0.0/8;
readiness_redis main { server %%FAKE%%; timeout 400ms; }
readiness_rate zone key=$arg_key rate=100000r/d;
readiness_rate spent key=$arg_key rate=1r/d;
readiness_rate far key=$arg_key rate=100000r/d redis=main on_redis_error=deny;
readiness_rate rspent key=$arg_key rate=1r/d redis=main on_redis_error=deny;
readiness_rate quota key=$arg_key quota=100000/d redis=main on_redis_error=deny;
readiness_rate slots key=$arg_key concurrent=3;
readiness_rate rslots key=$arg_key concurrent=3 redis=main on_redis_error=deny;
readiness_rate lease key=$arg_key rate=1000r/s lease=100 redis=main
    on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
readiness_log_field agent $http_user_agent;
readiness_headers strict;
readiness_header X-Tenant "$arg_key-$remote_addr" documents;
readiness_traceparent generate;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    request_pool_size 256;
    connection_pool_size 256;
    readiness on;
    readiness_cookies secure httponly;
    location / {
        readiness_limit zone;
        proxy_pass http://%%APP%%;
    }
    location /spent { readiness_limit spent; proxy_pass http://%%APP%%; }
    location /far { readiness_limit far; proxy_pass http://%%APP%%; }
    location /rspent { readiness_limit rspent; proxy_pass http://%%APP%%; }
    location /asked {
        readiness_limit rspent cost=$arg_cost;
        proxy_pass http://%%APP%%;
    }
    location /both {
        readiness_limit zone;
        readiness_limit rspent cost=$arg_cost;
        proxy_pass http://%%APP%%;
    }
    location /quota { readiness_limit quota; proxy_pass http://%%APP%%; }
    location /slots {
        readiness_limit slots;
        readiness_limit rslots;
        proxy_pass http://%%APP%%;
    }
    location /lease { readiness_limit lease; proxy_pass http://%%APP%%; }
    location /try { readiness_limit zone; try_files /none /spent?$args; }
}
CONF

my ($worker) = $t->workers;
$t->allow(qr/\[emerg\].* failed \(12: Cannot allocate memory\)/);

sub control {
    my ($left) = @_;
    open my $fh, '+<:raw', $control or die $!;
    syswrite $fh, pack 'q3', $worker, $left, 0;
    return;
}

sub failed {
    open my $fh, '<:raw', $control or die $!;
    sysread $fh, my $bytes, 24;
    return (unpack 'q3', $bytes)[2];
}


# URI (or what makes one), what it is answered normally, and what never; o are
# of the request.

sub kind {
    my ($name, $uri, $good, $never, %o) = @_;
    my $http2 = delete $o{http2};
    my (%status, @wrong, $k);

    my $ask = sub {
        my $to = ref $uri ? $uri->() : $uri;
        return $http2 ? $t->h2(port => 1)->request('GET', $to, %o)->status
                      : $t->get($to, %o, timeout => 20)->status;
    };

    is((wait_for { $ask->() == $good } 10) ? $good : 0, $good,
       "H07 $name: $good")
        or return;

    for ($k = 1; $k <= 200; $k++) {
        control($k);
        my $status = $ask->();
        my $hit = failed();
        control(0);
        last if !$hit;
        $status{$status}++;
        push @wrong, "$status at $k" if defined $never && $status == $never;
        next if wait_for { $ask->() == $good } 10;
        push @wrong, "not well after $k";
        last;
    }

    is("@wrong", '', "H07 $name: never wrong, and well again");
    is_deeply([grep { !/^(?:0|$good|5\d\d)\z/ } keys %status], [],
              "H07 $name: a 5xx, nothing, or its answer");
    ok($k > 5, 'H07 ' . ($k - 1) . " allocations failed: "
       . join ', ', map { "$status{$_} x $_" } sort keys %status);
    return;
}

# A cost over the burst never fits, and one that is smaller than those refused
# before has to be asked for.

my $cost = 1_000_000;
my $asked = sub { return "$_[0]?key=b&cost=" . $cost-- };

kind('plain', '/?key=a', 200);
kind('X-Forwarded-For', '/?key=a', 200, undef,
     headers => ['X-Forwarded-For' => '192.0.2.1, ' x 20 . '192.0.2.2',
                 'X-Request-Id' => 'my-own-id']);
kind('a long log field', '/?key=a&' . 'x' x 2000, 200, undef,
     headers => ['User-Agent' => "\xff\"\\" x 500]);
kind('cookies', '/?key=a&app_header=Set-Cookie:%20a=b', 200);
$t->get('/spent?key=a');
kind('429', '/spent?key=a', 429, 200);
kind('429 in HTML', '/spent?key=a', 429, 200,
     headers => [Accept => 'text/html']);
kind('after a redirect', '/try?key=a', 429, 200);
kind('HTTP/2', '/spent?key=a', 429, 200, http2 => 1);
kind('Redis', '/far?key=a', 200);
$t->get('/rspent?key=a');
kind('429 of a key known to be spent', '/rspent?key=a', 429, 200);
my $calls = $fake->count('EVALSHA');
kind('429 by Redis', sub { $asked->('/asked') }, 429, 200);
cmp_ok($fake->count('EVALSHA') - $calls, '>', 10, 'which was asked');
kind('429 by Redis behind the zone', sub { $asked->('/both') }, 429, 200);
kind('a quota', '/quota?key=a', 200);
kind('slots', '/slots?key=a', 200);
kind('a lease', '/lease?key=a', 200);

# the allocations of a new connection to Redis, whoever comes meanwhile

my ($hit, @wrong) = (0);

for my $k (1 .. 6) {
    my $from = $fake->stats->{accepted};
    control($k);
    $fake->close_all;
    wait_for { failed() || $fake->stats->{accepted} > $from } 10;
    my $status = $t->get($asked->('/asked'))->status;
    $hit += failed();
    control(0);
    push @wrong, "$status at $k" if $status !~ /^(?:0|429|503)\z/;
    push @wrong, "not well after $k"
        if !wait_for { $t->get($asked->('/asked'))->status == 429 } 10;
}

is("@wrong", '', 'H07 a new connection to Redis: deny never lets pass');
cmp_ok($hit, '>=', 3, "H07 a new connection to Redis: $hit failures");

is_deeply([$t->workers], [$worker], 'H07 one worker did it all (O1)');
$t->done;
