#!/usr/bin/perl

# C09: exactly as many pass as the limit says, whoever asks at the same time:
# four workers, pipelines, streams, connections, and two nginx on one Redis.

use strict;
use warnings;

use Test::More;

use Readiness;

my @t = (Readiness->new, Readiness->new);
my $redis = $t[0]->redis;

for my $t (@t) {
    $t->subst(SHARED => $redis->addr);

    $t->conf(<<'CONF', workers => 4, connections => 1024)->run;
readiness_redis main { server %%SHARED%%; timeout 20s; connect_timeout 20s; }

readiness_rate z key=$arg_k rate=137r/d;
readiness_rate r key=$arg_k rate=137r/d redis=main;
readiness_rate race key=$arg_k rate=6000r/d;
readiness_rate z2 key=$arg_k rate=150r/d;
readiness_rate r2 key=$arg_k rate=150r/d redis=main;

readiness on;
readiness_problem off;
readiness_log %%DIR%%/decision.log;
keepalive_requests 10000;

server {
    listen 127.0.0.1:%%PORT0%% reuseport;
    location /z { readiness_limit z; empty_gif; }
    location /r { readiness_limit r; empty_gif; }
    location /race { readiness_limit race; readiness_log off; empty_gif; }
    location /zr { readiness_limit z2; readiness_limit r; empty_gif; }
    location /rz { readiness_limit z; readiness_limit r2; empty_gif; }
    location /left { readiness_limit z2; readiness_limit r2;
                     readiness_limit_headers standard; empty_gif; }
}

server {
    listen 127.0.0.1:%%PORT1%% http2 reuseport;
    http2_max_concurrent_streams 256;
    location /z { readiness_limit z; empty_gif; }
    location /r { readiness_limit r; empty_gif; }
}
CONF
}

for my $where (qw(z r zr rz)) {
    my $t = $t[0];

    is(admitted($t->burst(200, "/$where?k=c$where")), '137 pass',
        "$where C09: 200 connections");
    is(admitted(pipelines($t, 4, 250, "/$where?k=p$where")), '137 pass',
        "$where C09: four pipelines, 1000 requests");
}

is(admitted(pipelines($t[0], 8, 1500, '/race?k=a')), '6000 pass',
    'C09: the workers do not get in each other\'s way');

for my $s (qw(z r)) {
    is(admitted(streams($t[0], 3, 100, "/$s?k=h2")), '137 pass',
        "$s C09: 300 streams");
}

is(admitted(pipelines(\@t, 4, 100, '/r?k=both')), '137 pass',
    'C09: two nginx on one Redis');
is(admitted(pipelines(\@t, 4, 100, '/z?k=both')), '274 pass',
    'each counts in its own zone');
is(admitted(pipelines(\@t, 4, 100, '/zr?k=fresh')), '137 pass',
    'C07: zones that admit more than Redis does');

# each zone was charged what Redis admitted there, and not one more

my @zone = map { $_->get('/left?k=fresh')->header('RateLimit') =~ /"z2";r=(\d+)/ }
           @t;
is($zone[0] + $zone[1], 2 * 150 - 137 - 2, 'C07: the rest was given back');

for my $t (@t) {
    my %seen;
    my @lines = $t->lines('decision.log');
    $seen{ $_->{'http.request.id'} }++ for @lines;
    is(scalar(keys %seen), scalar(@lines), 'O2: one line for each request');
}

$t[0]->done;


sub admitted {
    my (@r) = @_;
    my %n;

    $n{ $_->status || $_->error }++ for @r;
    my $pass = delete $n{200} || 0;
    delete $n{429};

    return join ', ', "$pass pass", map { "$n{$_} $_" } sort keys %n;
}


# All requests are written before an answer is read; two nginx take turns.
# Of the answers only the status is looked at.

sub pipelines {
    my ($t, $conns, $n, $uri) = @_;
    my @nginx = ref $t eq 'ARRAY' ? @$t : ($t);
    my @c = map { $nginx[$_ % @nginx]->conn(timeout => 60) } 0 .. $conns - 1;
    my $bytes = format_request('GET', $uri) x ($n - 1)
              . format_request('GET', $uri, close => 1);

    $_->write($bytes) for @c;

    return map { Readiness::Response->new(status => $_) }
           map { $_->drain(60) =~ m{HTTP/1\.1 (\d+) }g } @c;
}

sub streams {
    my ($t, $conns, $n, $uri) = @_;
    my @h2 = map { $t->h2(port => 1) } 1 .. $conns;
    my @ids;

    for my $h2 (@h2) {
        my @s = map { [$h2->open('GET', $uri, hold => 1)] } 1 .. $n;
        $h2->bytes(join '', map { $_->[1] } @s);
        push @ids, [map { $_->[0] } @s];
    }

    return map { $h2[$_]->wait_all(@{ $ids[$_] }) } 0 .. $#h2;
}
