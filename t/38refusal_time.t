#!/usr/bin/perl

# For how long what is known to be spent is refused here: until it fits, and no
# longer than five seconds; who comes while Redis is asked then waits for that.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;
my $redis = $t->redis;

$t->file('page', "page\n");

$t->conf(<<'CONF', workers => 1)->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
readiness_redis slow { server %%FAKE%%; timeout 10s; connect_timeout 10s; }
readiness_rate three key=$arg_k rate=3r/h redis=main on_redis_error=deny;
readiness_rate soon key=$arg_k rate=1r/s redis=main on_redis_error=deny;
readiness_rate later key=$arg_k rate=20r/m burst=1 redis=main
    on_redis_error=deny;
readiness_rate one key=$arg_k rate=1r/h redis=slow on_redis_error=deny;
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    location /three { readiness_limit three; alias %%DIR%%/page; }
    location /soon { readiness_limit soon; alias %%DIR%%/page; }
    location /later { readiness_limit later; alias %%DIR%%/page; }
    location /one { readiness_limit one; alias %%DIR%%/page; }
}
CONF

merging();
obeyed('/soon', 1);
obeyed('/later', 3);
deleted();

$t->done;


# Who comes back when he was told to is not refused, whatever was spread.

sub obeyed {
    my ($uri, $seconds) = @_;
    my @told;

    is($t->get("$uri?k=$_")->status, 200, "$uri: one") for 1 .. 5;

    for my $k (1 .. 5) {
        my $r = $t->get("$uri?k=$k");
        push @told, [$k, now() + $r->header('Retry-After')];
        cmp_ok($r->header('Retry-After'), '<=', $seconds + 1,
            "$uri: told to come back in about $seconds s");
    }

    for (@told) {
        my ($k, $until) = @$_;
        wait_for { now() >= $until } 20;
        is($t->get("$uri?k=$k")->status, 200, "$uri: and it fits then");
    }

    return;
}


sub deleted {
    $t->get('/three?k=del') for 1 .. 3;

    my $start = now();
    is($t->get('/three?k=del')->status, 429, 'spent');
    is($redis->cli('DEL', 'rdy:three:{del}'), 1, 'somebody deletes the counter');

    ok((wait_for { $t->get('/three?k=del')->status == 200 } 15),
        'the key is asked for again');
    cmp_ok(now() - $start, '<', 5.5, 'within five seconds');
    return;
}


# The memory of "spent" is over after five seconds: who comes then waits for
# the one who came first.

sub merging {
    my $fake = $t->fake;

    is($t->get('/one?k=a')->status, 200, 'one of one');
    is($t->get('/one?k=a')->status, 429, 'spent');
    my $start = now();

    wait_for { now() - $start > 5.1 } 20;

    my $before = $redis->calls('evalsha');
    $fake->set(delay => 700, on => 'EVALSHA');
    my @got = $t->burst(200, '/one?k=a');
    $fake->clear;

    is(scalar(grep { $_->status == 429 } @got), 200, '200 are refused');
    is($redis->calls('evalsha') - $before, 1, 'by one call');

    my @l = $t->wait_lines('decision.log', 202);
    my %source;
    $source{ $_->{'readiness.limits'}[0]{source} }++ for @l[2 .. 201];
    is($source{redis} + $source{refusal_cache}, 200,
        'some heard it, others knew it then');
    return;
}
