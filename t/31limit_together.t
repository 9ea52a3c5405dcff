#!/usr/bin/perl

# Several limits of one request: all are charged or none is, a Redis is asked
# once, and decisions that meet go out in one call.  What a later store refuses
# is given back by the earlier ones.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
readiness_redis main { server %%FAKE%%; timeout 10s; connect_timeout 10s; }
readiness_redis other { server %%REDIS1%%; timeout 10s; connect_timeout 10s; }

readiness_rate z3 key=$arg_k rate=3r/d;
readiness_rate z5 key=$arg_k rate=5r/d;
readiness_rate z9 key=all rate=9r/d;
readiness_rate r3 key=$arg_k rate=3r/d redis=main;
readiness_rate r5 key=$arg_k rate=5r/d redis=main;
readiness_rate r9 key=all rate=9r/d redis=main;
readiness_rate many key=$arg_k rate=1000r/d redis=main;
readiness_rate o3 key=$arg_k rate=3r/d redis=other;
readiness_rate o5 key=$arg_k rate=5r/d redis=other;
readiness_rate oq key=$arg_k quota=5/d redis=other;

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
    location /ro { readiness_limit r3; readiness_limit o5;
                   proxy_pass http://%%APP%%; }
    location /or { readiness_limit o3; readiness_limit r5; readiness_limit z5;
                   proxy_pass http://%%APP%%; }
    location /qr { readiness_limit oq; readiness_limit r3; readiness_limit z5;
                   readiness_limit o5; proxy_pass http://%%APP%%; }
    location /watched { readiness_limit o3 monitor; readiness_limit r5;
                        proxy_pass http://%%APP%%; }
    location /looked { readiness_limit many cost=0;
                       proxy_pass http://%%APP%%; }
    location /look { readiness_limit z3 cost=0; readiness_limit z5 cost=0;
                     readiness_limit z9 cost=0; readiness_limit r3 cost=0;
                     readiness_limit r5 cost=0; readiness_limit r9 cost=0;
                     readiness_limit o3 cost=0; readiness_limit o5 cost=0;
                     readiness_limit oq cost=0; proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT1%% http2;
    http2_max_concurrent_streams 256;
    location /many { readiness_limit many; proxy_pass http://%%APP%%; }
}
CONF

$t->get('/r3?k=spent') for 1 .. 3;

by_redis();
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


# What is left of a key where it is counted, those that were named only.

sub look {
    my ($k, @of) = @_;
    my $left = left($t->get("/look?k=$k"));
    return join ' ', map { $_ . ($left->{$_} // '-') } @of;
}


# Who decided what, in the last line of that path.

sub sources {
    my ($path) = @_;
    my ($l) = reverse $t->lines('decision.log', 'url.path' => $path);
    return join ' ', map { "$_->{name} $_->{source}" }
                     @{ $l->{'readiness.limits'} };
}


# A key that is spent, and this nginx does not know it: another has done it.

sub spent_elsewhere {
    my ($redis, $rate, $k) = @_;
    return $redis->cli('COPY', "rdy:$rate:{spent}", "rdy:$rate:{$k}",
                       'REPLACE');
}


# All of them, or none: Redis' own word, of a key that is not known here.

sub by_redis {
    spent_elsewhere($t->redis, 'r3', 'x');
    my $r = $t->get('/r?k=x');

    is($r->status, 429, 'C07: Redis refuses for the second of three');
    is_deeply(left($r), { r5 => 5, r3 => 0, r9 => 9 },
        'C07: and the others are not charged, before or behind it');
    is(sources('/r'), 'r5 redis r3 redis r9 redis', 'by Redis, all three');
    is(look('x', qw(r5 r3 r9)), 'r55 r30 r99', 'C07: nor afterwards');
    return;
}


sub in_one_store {
    my ($s) = @_;
    my @r = map { $t->get("/$s?k=a") } 1 .. 5;

    is(join(' ', map { $_->status } @r), '200 200 200 429 429',
        "$s C07: the smallest of three refuses");

    # what is known to be spent in Redis is refused without asking

    is_deeply(left($_), { "${s}3" => 0, $s eq 'z' ? (z5 => 2, z9 => 6) : () },
        "$s C12: told is what was looked at") for @r[3, 4];
    is(look('a', "${s}5", "${s}3", "${s}9"), "${s}52 ${s}30 ${s}96",
        "$s C07: and the others are not charged, before or behind it");

    $t->get("/$s?k=$_") for qw(b b b c c c);
    my $r = $t->get("/$s?k=d");
    is($r->status, 429, "$s C07: the last of three refuses");
    is_deeply(left($r), { "${s}9" => 0, $s eq 'z' ? (z5 => 5, z3 => 3) : () },
        "$s C12: told is what was looked at");
    is(look('d', "${s}5", "${s}3", "${s}9"), "${s}55 ${s}33 ${s}90",
        "$s C07: the first two are full");
    is_deeply(left($t->get("/$s?k=a")), { "${s}3" => 0, "${s}9" => 0,
        $s eq 'z' ? (z5 => 2) : () }, "$s: two refuse");
    is(sources("/$s"), $s eq 'z' ? 'z5 local z3 local z9 local'
        : 'r3 refusal_cache r9 refusal_cache', "$s: by whom");
    is_deeply($t->get("/$s?k=a")->json->{'violated-policies'},
        ["${s}3", "${s}9"], "$s: and both are named");
    return;
}


sub zone_and_redis {
    my @r = map { $t->get('/zr?k=m') } 1 .. 2;
    spent_elsewhere($t->redis, 'r3', 'm');
    push @r, map { $t->get('/zr?k=m') } 1 .. 2;

    is(join(' ', map { $_->status } @r), '200 200 429 429',
        'C07: Redis refuses what the zone would admit');
    is_deeply(left($r[2]), { r3 => 0, z5 => 3 }, 'C07: the zone has it back');
    is_deeply(left($r[3]), { r3 => 0 }, 'and is not asked the next time');
    is(sources('/zr'), 'r3 refusal_cache', 'since that is known');
    is(look('m', 'r3', 'z5'), 'r30 z53', 'C07: the zone has it still');

    my $calls = $t->fake->count('EVALSHA');
    @r = map { $t->get('/rz?k=n') } 1 .. 5;
    is(join(' ', map { $_->status } @r), '200 200 200 429 429',
        'C07: the zone refuses what Redis would admit');
    is($t->fake->count('EVALSHA'), $calls + 3, 'and Redis is not asked then');
    is_deeply(left($r[4]), { z3 => 0 },
        'C12: nothing is told of a limit that was not decided');

    @r = map { $t->get('/cost?k=e') } 1 .. 2;
    is(join(' ', map { $_->status } @r), '200 429', 'with costs');
    is_deeply(left($r[1]), { r3 => 0 }, 'known not to fit');
    is(look('e', 'z5', 'r3'), 'z53 r31', 'C07: neither is charged');
    is($t->get('/r3?k=e')->status, 200, 'C07: one was left at Redis');

    spent_elsewhere($t->redis, 'r3', 'e2');
    is_deeply(left($t->get('/cost?k=e2')), { z5 => 5, r3 => 0 },
        'refused by Redis');
    is(look('e2', 'z5', 'r3'), 'z55 r30', 'C07: the cost is given back');

    $t->get('/watch?k=w') for 1 .. 2;
    spent_elsewhere($t->redis, 'r3', 'w');
    is($t->get('/watch?k=w')->status, 429, 'refused by Redis');
    is(look('w', 'r3', 'z5'), 'r30 z53', 'C16: a watched one is charged with '
        . 'the others, and given back with them');
    return;
}


sub one_call {
    my $fake = $t->fake;
    $t->redis->cli('DEL', 'rdy:r9:{all}');
    wait_for { $t->get('/r?k=zero')->status == 200 } 20,
        'G11: a counter that was deleted is seen';

    my $before = $fake->count('EVALSHA');
    is($t->get('/r?k=one')->status, 200, 'a request of three limits');
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


# While the first call is on its way the rest gathers; those of one key are one
# in the call, and are told what remains after all of them.

sub batches {
    my $fake = $t->fake;
    my $calls = sub { return grep { $_->[2] eq 'EVALSHA' } $fake->log };

    $fake->set(delay => 300, on => 'EVALSHA');
    my $before = $calls->();
    my @r = $t->burst(60, '/many?k=b');
    my $n = $calls->() - $before;

    is((grep { $_->status == 200 } @r), 60, 'sixty at a time');
    is(miscounted(@r), '', 'C09: each one is counted, and told so');
    is(look_many('b'), 940, 'C09: sixty, in Redis');
    cmp_ok($n, '<=', 20, 'in few calls') or diag("$n calls");

    my $h2 = $t->h2(port => 1);
    $before = $calls->();
    @r = streams($h2, map { '/many?k=h' } 1 .. 200);
    my @calls = splice @{ [$calls->()] }, $before;

    is((grep { $_->status == 200 } @r), 200, 'two hundred streams');
    is(miscounted(@r), '', 'C09: each one is counted, and told so');
    is(look_many('h'), 800, 'C09: two hundred, in Redis');
    cmp_ok(scalar @calls, '<=', 12, 'in few calls');
    is((grep { $_->[4] > 1 } @calls), 0, 'which have the key once');

    $before = $calls->();
    @r = streams($h2, map { "/many?k=o$_" } 1 .. 200);
    @calls = splice @{ [$calls->()] }, $before;

    is(join(' ', map { left($_)->{many} } @r), join(' ', (999) x 200),
        'two hundred keys');
    cmp_ok(scalar @calls, '<=', 12, 'in few calls');
    is((grep { $_->[4] > 128 } @calls), 0, 'of at most 128 keys');
    cmp_ok((sort { $b <=> $a } map { $_->[4] } @calls)[0], '>', 20,
        'and of many');
    $h2->close;
    $fake->pass;
    return;
}

sub streams {
    my ($h2, @uri) = @_;
    my @id = map { [$h2->open('GET', $_, hold => 1)] } @uri;
    $h2->bytes(join '', map { $_->[1] } @id);
    return $h2->wait_all(map { $_->[0] } @id);
}

sub look_many {
    my ($k) = @_;
    return left($t->get("/looked?k=$k"))->{many};
}

# Of a thousand, as many were told that so many or more remain as have been
# counted until then; whatever is not so.

sub miscounted {
    my @told = map { left($_)->{many} } @_;
    my %is = map { my $v = $_; $v => scalar grep { $_ >= $v } @told } @told;
    return join ' ', map { "$_: $is{$_}" }
                     grep { $is{$_} != 1000 - $_ } sort keys %is;
}


# Two Redis in one location are asked one after the other, in the order in
# which they are first named, each for all of its limits.

sub two_redis {
    my $other = $t->redis(1);
    my @r = map { $t->get('/ro?k=2a') } 1 .. 3;

    is(join(' ', map { $_->status } @r), '200 200 200', 'two Redis: admitted');
    is_deeply(left($r[2]), { r3 => 0, o5 => 2 }, 'both have counted');
    is(sources('/ro'), 'r3 redis o5 redis', 'each what it has');

    $t->get('/ro?k=2b');
    spent_elsewhere($t->redis, 'r3', '2b');
    is_deeply(left($t->get('/ro?k=2b')), { r3 => 0 },
        'C07: the first one refuses: the second is not asked');
    is(look('2b', 'r3', 'o5'), 'r30 o54', 'C07: nor charged');

    is(join(' ', map { $t->get('/or?k=spent')->status } 1 .. 4),
        '200 200 200 429', 'the other way round, and a zone before them');
    is(look('spent', qw(o3 r5 z5)), 'o30 r52 z52', 'three of each');

    # what the first has charged is given back by a call that is not waited for

    is($t->get('/qr?k=2e')->status, 200, 'a quota and a rate');
    spent_elsewhere($t->redis, 'r3', '2e');
    my $r = $t->get('/qr?k=2e');
    is($r->status, 429, 'the second Redis refuses');
    is_deeply(left($r), { oq => 4, r3 => 0, z5 => 4, o5 => 4 },
        'C07: the others are told as given back');
    wait_for { look('2e', qw(oq r3 z5 o5)) eq 'oq4 r30 z54 o54' } 10,
        'C07: and are: quota, zone and rate';

    # a watched one that refuses stops nothing

    spent_elsewhere($other, 'o3', '2f');
    is($t->get('/watched?k=2f')->status, 200, 'C16: watched, it refuses none');
    is(sources('/watched'), 'o3 redis r5 redis', 'C16: and the next is asked');
    is(look('2f', 'r5'), 'r54', 'C16: and charged');
    return;
}
