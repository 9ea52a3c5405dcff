#!/usr/bin/perl

# When the sentinels are asked again: at once after a disconnect and READONLY,
# else every 10 s; and what becomes of calls under way.  The sentinel is a fake
# that names whom the test says, the servers are real.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;

my $one = $t->redis(1);
my $two = $t->redis(2, conf => ['replicaof 127.0.0.1 ' . $one->port]);
my $front = $t->fake(1);
my $sentinel = $t->fake(2);

wait_for { $two->info('replication')->{master_link_status} eq 'up' } 20;

sub names {
    my ($port) = @_;
    return "*2\r\n\$9\r\n127.0.0.1\r\n\$" . length($port) . "\r\n$port\r\n";
}

sub name { $sentinel->set(reply => names($_[0]->port), on => 'SENTINEL') }

name($front);

$t->conf(<<"CONF")->run;
readiness_redis main { server ${\ $sentinel->addr }; topology sentinel m;
                       timeout 500ms; }
readiness_rate deny key=\$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness on;
    location /deny  { readiness_limit deny; proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;

sub get { return $t->get('/deny?key=' . ($_[0] // 'k' . $n++))->status }

sub normal {
    my ($name, $bound) = @_;
    my $took = now();
    ok((wait_for { get() == 200 } 20), $name);
    $took = now() - $took;
    cmp_ok($took, '<', $bound, "$name: within $bound s ($took s)") if $bound;
    return;
}

sub charged { my ($r, $key) = @_; return $r->cli('EXISTS', "rdy:deny:{$key}") }

normal('at first');
is($sentinel->count('SENTINEL'), 1, 'the sentinel was asked once');
is($front->count('ROLE'), 1, 'and the master what it is');
my ($first, @more) = map { $_->[2] } $front->log;
is($first, 'ROLE', 'before anything else');
ok((grep { $_ eq 'EVALSHA' } @more), 'then it is called');


# a reload: the old worker leaves, with its connection to the sentinel

$t->reload;
$t->wait_old_workers;
normal('a reload');
ok((wait_for { $sentinel->stats->{open} == 1
               && $front->stats->{open} == 1 } 10),
   'a reload: one connection to each, the old ones are closed');


# a disconnect

$sentinel->clear;
$front->close_all;
ok((wait_for { $sentinel->count('SENTINEL') } 10), 'a disconnect: asked');
is($sentinel->stats->{accepted}, 0, 'on the connection that was kept');
normal('a disconnect');


# a master that turned into a replica without a word: what is refused by
# READONLY was not done, and is not done twice

is($two->cli('REPLICAOF', 'NO', 'ONE'), 'OK', 'the replica is promoted');
$one->cli('REPLICAOF', '127.0.0.1', $two->port);
wait_for { $one->info('replication')->{role} eq 'slave' } 10;
name($two);
$sentinel->clear;
$front->clear;

is(get('readonly'), 503, 'READONLY: the policy decides that one');
my $asked = now();
ok((wait_for { $sentinel->count('SENTINEL') } 5), 'READONLY: asked at once');
normal('READONLY', 2);
is($front->count('EVALSHA') + $front->count('EVAL'), 1,
   'the call that was refused is not made again');
ok(!charged($two, 'readonly'), 'nor elsewhere');
ok($t->wait_error(qr/"main" at \S+: a call was refused: READONLY/),
   'the log says so');
ok($t->wait_error(qr/\[notice\].*"main": the master is \S+:${\ $two->port} /
                  . qr/now, it was \S+:${\ $front->port}/), 'and where it is now');


# nothing happens, but the sentinel says another: seen when it is asked, which
# is every 10 s at the latest

is($one->cli('REPLICAOF', 'NO', 'ONE'), 'OK', 'the other one is promoted');
my $from = now();
$sentinel->clear;
name($front);
is(get('still'), 200, 'nobody knows yet');
ok(charged($two, 'still'), 'it counts where it did');
my $polls = wait_for { $sentinel->count('SENTINEL') } 20;
my $took = now() - $from;
ok($polls, 'the sentinel is asked');
cmp_ok($took, '>', 5, 'not all the time');
cmp_ok($took, '<', 11, "but every 10 s ($took s)");
wait_for { get("poll$n"); charged($one, 'poll' . ($n++)) } 10;
ok($t->wait_error(qr/\[notice\].*"main": sentinel \S+ calls \S+:${\
    $front->port} the master, \S+:${\ $two->port} is left/),
   'and the worker moves');
normal('after that');


# calls that wait on the connection that is left are answered, once, and made
# nowhere else

$front->set(swallow => on => 'EVALSHA');
my $c = $t->h2(port => 1);
my @ids = map { scalar $c->open('GET', "/deny?key=under$_") } 1 .. 20;
$front->wait_count('EVALSHA', 1);
name($two);
$one->cli('REPLICAOF', '127.0.0.1', $two->port);
$front->close_all;
is_deeply([grep { $c->wait($_)->status != 503 } @ids], [],
          'a failover under way: each call is answered, by policy');
$c->close;
normal('a failover under way', 2);
is(scalar(grep { charged($two, "under$_") } 1 .. 20), 0,
   'and was not made again');

$t->done;
