#!/usr/bin/perl

# Redis killed and started again and again under load: each request has its one
# answer and line, Redis decides again within a second of its return, and
# nobody is admitted beyond the limit and what the policy allows.  G14, G17.
#
# READINESS_RESTARTS=N times, 8 if it is not set; make survive has 100 of them.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Load;

my $times = $ENV{READINESS_RESTARTS} || 8;
my $t = Readiness->new(timeout => 120 + 5 * $times);
my $redis = $t->redis;

$t->conf(<<'CONF', workers => 2)->run;
readiness_redis main { server %%REDIS%%; timeout 100ms; connect_timeout 100ms; }
readiness_rate local key=$arg_key rate=20r/d redis=main on_redis_error=local;
readiness_rate allow key=$arg_key rate=20r/d redis=main on_redis_error=allow;
readiness_rate deny key=$arg_key rate=20r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
readiness on;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    location /free/ { empty_gif; }
    location /local/ { readiness_limit local; empty_gif; }
    location /allow/ { readiness_limit allow; empty_gif; }
    location /deny/ { readiness_limit deny; empty_gif; }
}
CONF

# Under the load: each policy, three keys each, far over their limit.

my $load = Readiness::Load->new($t, keep => 50, ok => [200, 429, 503],
    uri => sub {
        my ($who, $n) = @_;
        my $policy = (qw(local allow deny free))[$n % 4];
        return "/$policy/$who-$n?key=" . int rand 3;
    });
$load->start(2);

my @worker = sort $t->workers;
my $fds = keys %{ $t->fds($worker[0]) };
my ($n, @took) = 0;

# Both workers, as each has a connection of its own: the line tells the
# source, not the worker, so several in a row have to be decided.

sub decided {
    return !grep { $t->get('/deny/probe?key=p' . ++$n)->status != 200 } 1 .. 4;
}

ok((wait_for { decided() } 10), 'at first Redis decides');

for (1 .. $times) {
    $redis->kill;
    wait_for { $t->get('/deny/probe?key=d' . ++$n)->status == 503 } 10;
    $redis->start;
    my $from = now();
    wait_for { decided() } 10;
    push @took, now() - $from;
}

my $sum = $load->stop;
@took = sort { $a <=> $b } @took;
note(sprintf 'G14 %d restarts, %d requests; Redis decides again after %.0f ms'
     . ' (median), %.0f ms at most', $times, $sum->{requests} + $n,
     1000 * $took[$#took / 2], 1000 * $took[-1]);

is(join(' ', map { "$_: $sum->{failed}{$_}" } keys %{ $sum->{failed} }), '',
   'G14 each request has an answer (O2)');
cmp_ok($took[$#took / 2], '<', 1.5, 'G14 Redis decides again in time (O5)');
cmp_ok($took[-1], '<', 4, 'G14 each time');
is_deeply([sort $t->workers], \@worker, 'G14 no worker is lost (O1)');


# The lines: one for each, each of the policy asked for

my $all = $sum->{requests} + $n;
my @lines = $t->wait_lines('decision.log', $all, 20);
my (%seen, @odd, %admitted, %by);

for my $l (@lines) {
    my ($policy) = $l->{'url.path'} =~ m{^/(\w+)/};
    my $source = $l->{'readiness.limits'}[0]{source} || 'none';
    my $status = $l->{'http.response.status_code'} || 200;

    $seen{ $l->{'http.request.id'} }++;
    $by{"$policy $source"}++;
    push @odd, "$policy $source $status $l->{'readiness.reason'}"
        if "$policy $source $status $l->{'readiness.reason'}" !~
           /^(?:free\ none\ 200\ ok
             |\w+\ redis\ (?:200\ ok|429\ rate_limited)
             |\w+\ refusal_cache\ 429\ rate_limited
             |local\ fallback\ (?:200\ ok|429\ rate_limited)
             |allow\ unavailable\ 200\ ok
             |deny\ unavailable\ 503\ limiter_unavailable)\z/x;
}

is(scalar @lines, $all, "G14 $all lines (O2)");
is(scalar(grep { $_ > 1 } values %seen), 0, 'G14 each once');
is(join("\n", @odd), '', 'G14 each answered by Redis or by its policy (O4)');
note('G14 ' . join ', ', map { "$by{$_} $_" } sort keys %by);


# What was admitted: Redis was empty after each start, so that each key has the
# limit once more, and in between what this nginx gives it, once.

is(admitted('deny'), 1, 'G14 deny: no key over the limit of each window');
is(admitted('local'), 1, 'G17 local: no key over the limit of each window');

wait_for { keys %{ $t->fds($worker[0]) } <= $fds + 2 } 10;
cmp_ok(scalar keys %{ $t->fds($worker[0]) }, '<=', $fds + 2,
       'G14 no descriptor is left (O5)');

$t->done;


# Admitted and counted requests of a policy's three keys stay within what its
# windows hold: 20 for each start of Redis and the outage after it, which goes
# on from what was last known, to an eighth of the limit.

sub admitted {
    my ($policy) = @_;
    my %count;

    for my $l (@lines) {
        next if $l->{'url.path'} !~ m{^/$policy/\d+-};
        my $source = $l->{'readiness.limits'}[0]{source} || 'none';
        next if $l->{'readiness.reason'} ne 'ok' || $source eq 'unavailable';
        $count{$source}++;
    }

    my $redis = $count{redis} || 0;
    my $here = $count{fallback} || 0;
    note("$policy: $redis by Redis, $here by this nginx");
    return $redis <= 3 * 20 * ($times + 1)
           && $redis + $here <= 3 * 23 * ($times + 1) ? 1 : 0;
}
