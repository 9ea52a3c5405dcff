#!/usr/bin/perl

# Redis stopped, refused, silent, restarted: the policy decides by the
# deadline, the worker never waits, attempts to connect back off, and all is
# well soon after its return.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;
$t->fake;

$t->conf(<<'CONF')->run;
readiness_redis main { server %%FAKE%%; timeout 200ms; connect_timeout 300ms; }
readiness_redis gone { server unix:%%DIR%%/nobody.sock; }
readiness_rate deny key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_rate allow key=$arg_key rate=1000r/d redis=main on_redis_error=allow;
readiness_rate local key=$arg_key rate=2r/d redis=main;
readiness_rate gone key=$arg_key rate=1000r/d redis=gone on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness on;
    location /free  { proxy_pass http://%%APP%%; }
    location /deny  { readiness_limit deny; proxy_pass http://%%APP%%; }
    location /allow { readiness_limit allow; proxy_pass http://%%APP%%; }
    location /local { readiness_limit local; proxy_pass http://%%APP%%; }
    location /gone  { readiness_limit gone; proxy_pass http://%%APP%%; }
}
CONF

my $fake = $t->fake;
my $redis = $t->redis;
my $n = 0;

sub uri { return "/$_[0]?key=" . ($_[1] // 'k' . $n++) }
sub get { return $t->get(uri(@_)) }

sub normal {
    my ($name) = @_;
    ok((wait_for { get('deny')->status == 200 } 10), "$name: normal again");
}

sub by_policy {
    my ($name) = @_;
    is(get('free')->status, 200, "$name: an unlimited route answers");
    is(get('deny')->status, 503, "$name: deny refuses");
    is(get('allow')->status, 200, "$name: allow passes");
    my $key = 'l' . $n++;
    is_deeply([map { get('local', $key)->status } 1 .. 3], [200, 200, 429],
              "$name: local counts in this nginx");
}

normal('at first');

# G04: stopped in the middle of a load; everything is decided by the deadline,
# and a route without limits does not notice

my $until;
$redis->freeze;
my $c = $t->h2(port => 1);
my @deny = map { scalar $c->open('GET', uri('deny')) } 1 .. 30;
my @allow = map { scalar $c->open('GET', uri('allow')) } 1 .. 30;
is(get('free')->status, 200, 'G04 an unlimited route answers meanwhile');
is_deeply([grep { $c->wait($_)->status != 503 } @deny], [],
          'G04 each waiting request is refused by deny');
is_deeply([grep { $c->wait($_)->status != 200 } @allow], [],
          'G04 and let pass by allow');
$c->close;

my $took = now();
is(get('deny')->status, 503, 'G04 the next one too');
$took = now() - $took;
cmp_ok($took, '<', 2, "G04 within the deadline or a little more ($took s)");
by_policy('G04 stopped');
$redis->thaw;
normal('G04 stopped');

# the replies that came late went to nobody

$fake->set(delay => 250, on => 'EVALSHA', times => 5);
is(get('deny')->status, 503, 'a reply after the deadline is dropped');
$fake->pass;
normal('a late reply');

# G05

$fake->down;
wait_for { get('deny')->status == 503 } 10;
by_policy('G05 refused');
my $failed = sub {
    return scalar(() = $t->error_log =~ /$_[0].*"main".*connect\(\) failed/g);
};
wait_for { get('deny'); $failed->('\[info\]') >= 2 } 10,
    'G05 refused: tried again and again';
is($failed->('\[error\]'), 1, 'G05 refused: one error for the outage');
$fake->up;
normal('G05 refused');

$fake->down(rst => 1);
by_policy('G05 reset while idle');
$fake->up;
normal('G05 reset while idle');

$fake->clear;
$fake->close_all;
ok((wait_for { $fake->stats->{accepted} } 10),
   'G05 closed while idle: connected anew');
normal('G05 closed while idle');

$fake->set(hangup => 'rst', on => 'EVALSHA', times => 1);
is(get('deny')->status, 503, 'G05 reset while a call waits');
normal('G05 reset while a call waits');

$fake->deaf;
$fake->close_all;
by_policy('G05 accepted, never read');
$fake->hearing;
normal('G05 accepted, never read');

$fake->blackhole;
by_policy('G05 a black hole');
$fake->up;
normal('G05 a black hole');

# no storm of attempts: 50 ms doubling to 1 s is 5 in the first second, then
# one a second; each takes at most connect_timeout

$fake->set(hangup => 'fin', on => ['SCRIPT LOAD']);
$fake->close_all;
$fake->clear;
$until = now() + 3;
while (now() < $until) { get('allow'); pause(0.02) }
my $attempts = $fake->stats->{accepted};
cmp_ok($attempts, '<=', 12, "G05 no storm of attempts: $attempts in 3 s");
cmp_ok($attempts, '>=', 2, 'G05 but some');
$fake->pass;
normal('G05 a prelude that is never answered');

# F06: the attempt fails at once

is(get('gone')->status, 503, 'F06 no such socket: the policy, at once');
is(get('gone')->status, 503, 'F06 and again');

# G14: restarted again and again

for (1 .. 5) {
    $redis->kill;
    get('local');
    $redis->start;
    wait_for { get('deny')->status == 200 } 10;
}
normal('G14 killed and restarted');

my @lines = $t->lines('decision.log');
my $untold = grep { !defined $_->{'readiness.reason'} } @lines;
is($untold, 0, 'every decision has its reason');
is(scalar(grep { ($_->{'readiness.limits'}[0]{source} // '') eq 'fallback' }
          @lines) > 0, 1, 'and its source');

$t->done;
