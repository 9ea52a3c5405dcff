#!/usr/bin/perl

# 100 000 requests while replies are late, doubled, swallowed and swapped: keys
# that are spent and keys that are fresh side by side, and not one verdict goes
# to another request.  G01, G03.

use strict;
use warnings;

use List::Util qw(shuffle sum0);
use Test::More;

use Readiness;
use Readiness::Many;

use constant { SPENT => 40_000, FRESH => 60_000, NAMES => 12, TIMEOUT => 50 };

srand 4711;

my $direct = Readiness->new;
my $t = Readiness->new;
my $fake = $t->fake;

# Several connections per worker, so that one which was closed and has to wait
# a little leaves the others, and no breaker, so that Redis is asked whatever
# became of the calls before.  The policy is to deny: whatever is not 503 was
# said by Redis.

sub conf {
    my ($server, $timeout) = @_;
    my ($redis, $places) = ('', '');

    for my $i (1 .. NAMES) {
        $redis .= "readiness_redis r$i { server $server; timeout $timeout;"
            . " breaker off; }\n"
            . "readiness_rate a$i key=\$uri rate=1r/d redis=r$i"
            . " on_redis_error=deny;\n";
        $places .= "location /$i/ { readiness_limit a$i;"
            . " add_header X-Key \$uri always; empty_gif; }\n";
    }

    return <<"CONF";
$redis
readiness on;
readiness_headers off;
readiness_limit_headers off;
readiness_problem off;
keepalive_requests 1000000;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness_log %%DIR%%/decision.log;
$places
}
CONF
}

$t->conf(conf('%%FAKE%%', TIMEOUT . 'ms'), workers => 2)->run;
$direct->conf(conf($t->redis->addr, '10s'))->run;

my @spent = map { '/' . ($_ % NAMES + 1) . "/spent$_" } 1 .. SPENT;
my @fresh = map { '/' . ($_ % NAMES + 1) . "/fresh$_" } 1 .. FRESH;


# Another nginx spends them: this one has no memory of its own of any.

my @left = @spent;
my $not = 0;
my $error = Readiness::Many::run($direct, h1 => 8, h2 => 2, depth => 100,
    next => sub { shift @left }, got => sub { $not++ if $_[1] != 200 });
is($error, '', 'keys are spent');
is($not, 0, 'each of them');
$direct->allow_bad_lines('decision.log');
$direct->finish;


# The flood

my @all = shuffle @spent, @fresh;
my $t0 = now();
my (%got, %count, @wrong);

sub got {
    my ($uri, $status, $key) = @_;

    $count{$status}++;
    push @wrong, "$uri: the answer is that of $key"
        if defined $key && $key ne $uri;
    push @wrong, "$uri: $status"
        if $status != 503 && $status != ($uri =~ /spent/ ? 429 : 200);
    push @wrong, "$uri: two answers" if $got{$uri};
    $got{$uri} = $status;
    return;
}

sub flood {
    my ($name, $share, @rules) = @_;
    my $n = int(@all ? $share * (SPENT + FRESH) : 0);
    my @some = splice @all, 0, $n;

    $fake->pass;
    $fake->clear;
    $fake->rule(@$_, on => 'EVALSHA') for @rules;
    ($error, %count, @wrong) = ('');

    $error = Readiness::Many::run($t, h1 => 100, h2 => 4, depth => 50,
        next => sub { shift @some }, got => \&got);

    is($error, '', "$name: each request has an answer (O2)");
    is(scalar @wrong, 0, "$name: no verdict goes to another request (O3)")
        or diag(join "\n", @wrong[0 .. ($#wrong < 9 ? $#wrong : 9)]);
    is_deeply([grep { !/^(?:200|429|503)\z/ } keys %count], [],
              "$name: which is one of three");

    my $s = $fake->stats;
    note(sprintf '%s: %d requests, %d decided by Redis, %d calls (%s),'
         . ' %d connections', $name, $n, $n - ($count{503} || 0),
         $s->{commands}{EVALSHA} || 0,
         join(', ', map { "$s->{did}{$_} $_" } sort keys %{ $s->{did} }),
         $s->{accepted});
    return $s->{did};
}

# Of all replies some are bent, some come at any time up to twice the timeout,
# the rest soon.

my $soon = [delay => [0, TIMEOUT / 5]];
my $jitter = [delay => [0, 2 * TIMEOUT], chance => 0.15];

sub sometimes {
    my ($chance, @rule) = @_;
    return [@rule, chance => $chance, delay_ms => [0, TIMEOUT / 5]];
}

flood('G01 jitter up to twice the timeout', 0.2, [delay => [0, 2 * TIMEOUT]]);
flood('G01 always late', 0.05, [delay => [1.1 * TIMEOUT, 2 * TIMEOUT]]);
flood('G01 some late', 0.15, $jitter, $soon);
flood('G03 some doubled', 0.15, sometimes(0.01, 'dup'), $jitter, $soon);
flood('G03 some swapped', 0.15, sometimes(0.01, 'swap'), $jitter, $soon);
flood('G03 some swallowed', 0.15, sometimes(0.01, 'swallow'), $jitter, $soon);
flood('G03 all of it', 0.15, sometimes(0.004, 'dup'),
      sometimes(0.004, 'swap'), sometimes(0.004, 'swallow'),
      sometimes(0.004, extra => "+OK\r\n"), $jitter, $soon);
is(scalar @all, 0, 'all were asked');

my $decided = grep { $_ != 503 } values %got;
cmp_ok($decided, '>=', 5_000, "$decided of them were decided by Redis");
note(sprintf '%.1f s', now() - $t0);


# What is over is over

$fake->pass;
my $n = 0;
ok((wait_for { $t->get('/1/new' . ++$n)->status == 200 } 10),
   'Redis decides again (O5)');


# The log tells each request once, and the same of it.  It is too long to be
# looked at as finish() does it.

my $log = $t->path('decision.log');
wait_for { (slurp($log) =~ tr/\n//) >= SPENT + FRESH + $n } 20;
$t->allow_bad_lines('decision.log');

my %reason = (200 => 'ok', 429 => 'rate_limited', 503 => 'limiter_unavailable');
my (%seen, $differs);
open my $fh, '<', $log or die $!;
while (my $line = <$fh>) {
    my ($reason) = $line =~ /"readiness\.reason":"(\w+)"/;
    my ($path) = $line =~ /"url\.path":"([^"]+)"/;
    my ($source) = $line =~ /"source":"(\w+)"/;
    next if $path =~ /new/;
    $seen{$path}++;
    $differs++ if $reason{ $got{$path} } ne $reason
        || ($source eq 'unavailable') != ($got{$path} == 503);
}
close $fh;

is(scalar(grep { ($seen{$_} || 0) != 1 } keys %got), 0,
   'each request has one line (O2)');
is(scalar keys %seen, SPENT + FRESH, 'and there is no other');
is($differs || 0, 0, 'which says what the client was told (O4)');

$t->done;
