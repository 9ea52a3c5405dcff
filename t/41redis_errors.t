#!/usr/bin/perl

# Error replies: which keep the connection, which close it, NOSCRIPT, and
# connections that are never mixed up.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;
$t->redis(0, password => 'open-sesame');
$t->fake;
$t->file('password', "open-sesame\n");

$t->conf(<<'CONF')->run;
readiness_redis one { server %%FAKE%%; timeout 500ms; database 1;
                      password_file %%DIR%%/password; }
readiness_redis two { server %%FAKE%%; timeout 500ms; database 2;
                      password_file %%DIR%%/password; }
readiness_rate deny key=$arg_key rate=1000r/d redis=one on_redis_error=deny;
readiness_rate allow key=$arg_key rate=1000r/d redis=one on_redis_error=allow;
readiness_rate local key=$arg_key rate=3r/d redis=one;
readiness_rate other key=$arg_key rate=1000r/d redis=two on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location /deny  { readiness_limit deny; proxy_pass http://%%APP%%; }
    location /allow { readiness_limit allow; proxy_pass http://%%APP%%; }
    location /local { readiness_limit local; proxy_pass http://%%APP%%; }
    location /other { readiness_limit other; proxy_pass http://%%APP%%; }
}
CONF

my $fake = $t->fake;
my $n = 0;

sub get { return $t->get("/$_[0]?key=" . ($_[1] // 'k' . $n++)) }

sub normal {
    my ($name) = @_;
    $fake->pass;
    ok((wait_for { get('deny')->status == 200 } 10), "$name: normal again");
}

normal('at first');

# G08

$t->redis->cli('SCRIPT', 'FLUSH');
$fake->clear;
is(get('deny')->status, 200, 'G08 a forgotten script is sent again');
is($fake->count('EVAL'), 1, 'G08 by one EVAL');
is(get('deny')->status, 200, 'G08 the next call');
is($fake->count('EVAL'), 1, 'G08 is an EVALSHA again');
is($fake->stats->{accepted}, 0, 'G08 on the same connection');

$fake->set(reply => "-NOSCRIPT No matching script.\r\n", on => 'EVALSHA');
is(get('deny')->status, 200, 'G08 a Redis that never knows the script');
$fake->set(reply => "-NOSCRIPT No matching script.\r\n",
           on => ['EVALSHA', 'EVAL']);
is(get('deny')->status, 503, 'G08 not even by EVAL: the policy, no loop');
normal('G08');

# G09

sub error_reply {
    my ($text, $keeps) = @_;
    my ($name) = "G09 $text" =~ /^(G09 -?\w+(?: \w+)?)/;

    get('deny');
    $fake->clear;
    $fake->set(reply => "-$text\r\n", on => 'EVALSHA', times => 3);
    is(get('deny')->status, 503, "$name: deny refuses");
    wait_for { $fake->stats->{open} > 0 } 10;
    is(get('allow')->status, 200, "$name: allow passes");
    ok($fake->stats->{closed_by_peer} == 0, "$name: keeps the connection")
        if $keeps;
    ok((wait_for { $fake->stats->{closed_by_peer} } 10),
       "$name: closes the connection") if !$keeps;
    normal($name);
}

error_reply($_, 1) for
    'LOADING Redis is loading the dataset in memory',
    'BUSY Redis is busy running a script',
    'OOM command not allowed when used memory > maxmemory',
    'MISCONF Redis is configured to save RDB snapshots',
    'CLUSTERDOWN The cluster is down',
    'TRYAGAIN Multiple keys request during rehashing of slot',
    'MASTERDOWN Link with MASTER is down',
    'EXECABORT Transaction discarded',
    'MOVED 3999 127.0.0.1:6381',
    'ASK 3999 127.0.0.1:6381',
    'ERR something else';

error_reply($_, 0) for
    'READONLY You can not write against a read only replica.',
    'NOAUTH Authentication required.',
    'WRONGPASS invalid username-password pair or user is disabled.',
    'NOPERM this user has no permissions to run the command',
    'ERR max number of clients reached';

my @lines = $t->lines('decision.log', 'readiness.reason'
                      => 'limiter_unavailable');
ok(@lines >= 16, 'G09 each refusal is logged as limiter_unavailable');
is($lines[0]{'http.response.status_code'}, 503, 'G09 with its status');
is($lines[0]{'readiness.limits'}[0]{source}, 'unavailable',
   'G09 and its source');
ok(!exists $lines[0]{'readiness.limits'}[0]{remaining},
   'G09 without invented numbers');

# the local fallback: this nginx counts, and says so

$fake->set(reply => "-LOADING Redis is loading\r\n", on => 'EVALSHA');
is_deeply([map { get('local', 'f')->status } 1 .. 4], [200, 200, 200, 429],
          'on_redis_error=local counts in this nginx');
is(($t->lines('decision.log'))[-1]{'readiness.limits'}[0]{source}, 'fallback',
   'and is logged as fallback');

my $r = get('deny');
is($r->status, 503, 'deny refuses');
is($r->header('Retry-After'), 1, 'with Retry-After');
is($r->count('RateLimit'), 0, 'and no RateLimit with invented numbers');
is($r->count('RateLimit-Policy'), 0, 'nor a policy');
$r = get('allow');
is($r->count('RateLimit'), 0, 'fail-open has no invented numbers either');
normal('after the fallback');

# G10

get($_) for ('deny', 'other') x 2;
my %db;
for ($fake->log) {
    my ($conn, undef, $name, @args) = @$_;
    $db{$conn}{db} = $args[0] if $name eq 'SELECT';
    $db{$conn}{$args[2] =~ /:other:/ ? 2 : 1}++ if $name eq 'EVALSHA';
}
my @mixed = grep { my $c = $db{$_};
                   defined $c->{db} && ($c->{1} && $c->{db} != 1
                                        || $c->{2} && $c->{db} != 2) } keys %db;
is_deeply(\@mixed, [], 'G10 databases never share a connection');

# a wrong password

$t->redis->cli('CONFIG', 'SET', 'requirepass', 'another');
$fake->close_all;
ok((wait_for { get('deny')->status == 503 } 10),
   'a password that is wrong now: the policy decides');
$t->wait_error(qr/readiness_redis "one".*WRONGPASS/);
unlike($t->error_log, qr/open-sesame/, 'B08 no password in error.log');

$t->done;
