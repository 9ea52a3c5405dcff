#!/usr/bin/perl

# Several limits of one request: all are charged or none is, Redis is asked
# once, and decisions that meet go out in one call.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
readiness_redis main { server %%FAKE%%; timeout 10s; connect_timeout 10s; }

readiness_rate z3 key=$arg_k rate=3r/d;
readiness_rate z5 key=$arg_k rate=5r/d;
readiness_rate z9 key=all rate=9r/d;
readiness_rate r3 key=$arg_k rate=3r/d redis=main;
readiness_rate r5 key=$arg_k rate=5r/d redis=main;
readiness_rate r9 key=all rate=9r/d redis=main;
readiness_rate many key=$arg_k rate=1000r/d redis=main;

readiness on;
readiness_log %%DIR%%/decision.log;

server {
    listen 127.0.0.1:%%PORT0%%;
    location /z { readiness_limit z5; readiness_limit z3; readiness_limit z9;
                  proxy_pass http://%%APP%%; }
    location /r { readiness_limit r5; readiness_limit r3; readiness_limit r9;
                  proxy_pass http://%%APP%%; }
    location /zr { readiness_limit r3; readiness_limit z5;
                   proxy_pass http://%%APP%%; }
    location /rz { readiness_limit r5; readiness_limit z3;
                   proxy_pass http://%%APP%%; }
    location /cost { readiness_limit z5 cost=2; readiness_limit r3 cost=2;
                     proxy_pass http://%%APP%%; }
    location /watch { readiness_limit z5 monitor; readiness_limit r3;
                      proxy_pass http://%%APP%%; }
    location /r3 { readiness_limit r3; proxy_pass http://%%APP%%; }
    location /z3 { readiness_limit z3; proxy_pass http://%%APP%%; }
    location /many { readiness_limit many; proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT1%% http2;
    http2_max_concurrent_streams 256;
    location /many { readiness_limit many; proxy_pass http://%%APP%%; }
}
CONF

in_one_store($_) for qw(z r);
zone_and_redis();
one_call();
batches();
two_redis();

$t->done;


# What remains of each limit, by name.

sub left {
    my ($r) = @_;
    my %left = ($r->header('RateLimit') || '') =~ /"(\w+)";r=(\d+)/g;
    return \%left;
}


sub in_one_store {
    my ($s) = @_;
    my @r = map { $t->get("/$s?k=a") } 1 .. 5;

    is(join(' ', map { $_->status } @r), '200 200 200 429 429',
        "$s C07: the smallest of three refuses");
    is_deeply(left($r[4]), { "${s}5" => 2, "${s}3" => 0, "${s}9" => 6 },
        "$s C07: and the others are not charged, before or behind it");

    $t->get("/$s?k=$_") for qw(b b b c c c);
    my $r = $t->get("/$s?k=d");
    is($r->status, 429, "$s C07: the last of three refuses");
    is_deeply(left($r), { "${s}5" => 5, "${s}3" => 3, "${s}9" => 0 },
        "$s C07: the first two are full");
    is_deeply(left($t->get("/$s?k=a")),
        { "${s}5" => 2, "${s}3" => 0, "${s}9" => 0 }, "$s: two refuse");
    is_deeply($t->get("/$s?k=a")->json->{'violated-policies'},
        ["${s}3", "${s}9"], "$s: and both are named");
    return;
}


sub zone_and_redis {
    my @r = map { $t->get('/zr?k=m') } 1 .. 5;
    is(join(' ', map { $_->status } @r), '200 200 200 429 429',
        'C07: Redis refuses what the zone would admit');
    is_deeply(left($r[4]), { r3 => 0, z5 => 2 }, 'C07: the zone has it back');

    my $calls = $t->fake->count('EVALSHA');
    @r = map { $t->get('/rz?k=n') } 1 .. 5;
    is(join(' ', map { $_->status } @r), '200 200 200 429 429',
        'C07: the zone refuses what Redis would admit');
    is($t->fake->count('EVALSHA'), $calls + 3, 'and Redis is not asked then');
    is_deeply(left($r[4]), { z3 => 0 },
        'C12: nothing is told of a limit that was not decided');

    @r = map { $t->get('/cost?k=e') } 1 .. 2;
    is(join(' ', map { $_->status } @r), '200 429', 'with costs');
    is_deeply(left($r[1]), { z5 => 3, r3 => 0 }, 'C07: neither is charged');
    is($t->get('/r3?k=e')->status, 200, 'C07: one was left at Redis');
    is_deeply(left($t->get('/cost?k=e')), { z5 => 3, r3 => 0 },
        'C07: the cost is given back');

    $t->get('/watch?k=w') for 1 .. 3;
    is_deeply(left($t->get('/zr?k=w')), { r3 => 0, z5 => 2 },
        'C16: a watched one is charged with the others');
    is($t->get('/watch?k=w')->status, 429, 'refused by Redis');
    is_deeply(left($t->get('/zr?k=w')), { r3 => 0, z5 => 2 },
        'C16: and given back with them');
    return;
}


sub one_call {
    my $fake = $t->fake;
    my $before = $fake->count('EVALSHA');

    $t->get('/r?k=one');
    is($fake->count('EVALSHA'), $before + 1, 'three limits, one call');

    my ($call) = grep { $_->[2] eq 'EVALSHA' } reverse $fake->log;
    is($call->[4], 3, 'of three keys');
    is(join(' ', @$call[5 .. 7]), 'rdy:r5:{one} rdy:r3:{one} rdy:r9:{all}',
        'in the order they are written');

    is(join(' ', grep { !/^(EVALSHA|EVAL|SCRIPT.*)\z/ }
            keys %{ $fake->stats->{commands} }), '',
        'nothing else is said to Redis');
    is($fake->stats->{accepted}, 1, 'over one connection');
    return;
}


# While the first call is on its way the rest gathers.

sub batches {
    my $fake = $t->fake;

    $fake->set(delay => 300, on => 'EVALSHA');
    my $before = $fake->count('EVALSHA');
    my @r = $t->burst(60, '/many?k=b');
    my $calls = $fake->count('EVALSHA') - $before;

    is((grep { $_->status == 200 } @r), 60, 'sixty at a time');
    is_deeply([sort { $a <=> $b } map { left($_)->{many} } @r],
        [940 .. 999], 'C09: each one is counted');
    cmp_ok($calls, '<=', 20, 'in few calls') or diag("$calls calls");

    my $h2 = $t->h2(port => 1);
    $before = $fake->count('EVALSHA');

    my @id = map { [$h2->open('GET', '/many?k=h', hold => 1)] } 1 .. 200;
    $h2->bytes(join '', map { $_->[1] } @id);
    @r = $h2->wait_all(map { $_->[0] } @id);
    $calls = $fake->count('EVALSHA') - $before;

    is((grep { $_->status == 200 } @r), 200, 'two hundred streams');
    is_deeply([sort { $a <=> $b } map { left($_)->{many} } @r],
        [800 .. 999], 'C09: each one is counted');
    cmp_ok($calls, '<=', 12, 'in few calls') or diag("$calls calls");

    my @sizes = map { $_->[4] } grep { $_->[2] eq 'EVALSHA' } $fake->log;
    is((grep { $_ > 128 } @sizes), 0, 'of at most 128 keys');
    $h2->close;
    $fake->pass;
    return;
}


sub two_redis {
    my ($code, $text) = $t->nginx_t(<<'CONF');
readiness_redis one { server 127.0.0.1; }
readiness_redis two { server 127.0.0.1; }
readiness_rate a key=$arg_k rate=1r/s redis=one;
readiness_rate b key=$arg_k rate=1r/s redis=two;
server {
    listen 127.0.0.1:%%PORT2%%;
    location / { readiness on; readiness_limit a; readiness_limit b; }
}
CONF

    ok($code && $text =~ /rate "b" in "readiness_limit" is in another Redis/,
        'a location has one Redis') or diag($text);
    return;
}
