#!/usr/bin/perl

# Redis is stopped for ten seconds under load: routes without limits do not
# notice, limited ones are decided by policy, at the deadline or at once but
# never later, little waits, and Redis decides again soon after.  G04.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();

use Readiness;
use Readiness::Load;

use constant DEADLINE => 50;

my $t = Readiness->new;
my $redis = $t->redis;

$t->conf(<<'CONF', connections => 2048)->run;
readiness_redis main { server %%REDIS%%; timeout 50ms; connect_timeout 100ms; }
readiness_rate local key=$arg_key rate=2r/d redis=main on_redis_error=local;
readiness_rate allow key=$arg_key rate=2r/d redis=main on_redis_error=allow;
readiness_rate deny key=$arg_key rate=2r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
readiness on;
keepalive_requests 1000000;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    location /free/ { empty_gif; }
    location /local/ { readiness_limit local; empty_gif; }
    location /allow/ { readiness_limit allow; empty_gif; }
    location /deny/ { readiness_limit deny; empty_gif; }
}
CONF

my ($worker) = $t->workers;
my $n = 0;

sub decided { return $t->get('/deny/p?key=p' . ++$n)->status == 200 }

ok((wait_for { decided() } 10), 'at first Redis decides');

# some hundred requests a second, which is no effort

my $load = Readiness::Load->new($t, keep => 100, ok => [200, 503],
    uri => sub {
        my ($who, $i) = @_;
        pause(0.004);
        return '/' . (qw(local allow deny))[$i % 3] . "/r?key=$who-$i";
    });
$load->start(3);


# How long a route without limits takes, for that many seconds.

sub free {
    my ($seconds) = @_;
    my $until = now() + $seconds;
    my $c = $t->conn;
    my @ms;

    while (now() < $until) {
        my $from = now();
        my $r = $c->get('/free/');
        push @ms, 1000 * (now() - $from);
        die 'a free route: ' . $r->status . $r->error if $r->status != 200;

        pause(0.003);
    }

    $c->close;
    return @ms;
}

# Bytes that Redis has not read: what waits in its sockets.

sub unread {
    my $port = sprintf '%04X', $redis->port;
    my $sum = 0;
    $sum += hex for slurp('/proc/net/tcp') =~
        /^ *\d+: [0-9A-F]{8}:$port \S+ 01 [0-9A-F]{8}:([0-9A-F]{8})/mg;
    return $sum;
}

sub at { my ($share, @sorted) = @_; return $sorted[$share * $#sorted] }


my @before = sort { $a <=> $b } free(2);
my $fds = keys %{ $t->fds($worker) };
my ($most, $fds_most) = (0, 0);

my $stopped = Time::HiRes::time();
$redis->freeze;

# a crowd at the very moment, which is decided by the deadline too

my $crowd = $t->h2(port => 1);
my ($all, @ids) = ('');
for (1 .. 120) {
    my ($id, $bytes) = $crowd->open('GET', "/deny/crowd?key=c$_", hold => 1);
    push @ids, $id;
    $all .= $bytes;
}
$crowd->bytes($all);

# The list of sockets may be long, and reading it slow: only now and then.

my @during;
for my $seconds (0.4, 4.8, 4.8) {
    push @during, free($seconds);
    my $bytes = unread();
    my $open = keys %{ $t->fds($worker) };
    $most = $bytes if $bytes > $most;
    $fds_most = $open if $open > $fds_most;
}
@during = sort { $a <=> $b } @during;

is(scalar(grep { $crowd->wait($_)->status != 503 } @ids), 0,
   'G04 a crowd is refused as a whole');
$crowd->close;

my $going = Time::HiRes::time();
$redis->thaw;
my $from = now();
ok((wait_for { decided() } 10), 'G04 Redis decides again (O5)');
my $took = now() - $from;
my $sum = $load->stop;

note(sprintf 'G04 Redis decides again %.0f ms after SIGCONT', 1000 * $took);
cmp_ok($took, '<', 3, 'G04 soon');

note(sprintf 'G04 routes without limits: median %.2f ms before, %.2f ms during;'
     . ' 99%% within %.2f ms before, %.2f ms during', at(0.5, @before),
     at(0.5, @during), at(0.99, @before), at(0.99, @during));
cmp_ok(scalar @during, '>', 200, 'G04 many were asked for');
cmp_ok(at(0.5, @during), '<', 3 * at(0.5, @before) + 5,
       'G04 routes without limits keep their latency');
cmp_ok(at(0.99, @during), '<', 3 * at(0.99, @before) + 50,
       'G04 all but a few of them');

is(join(' ', map { "$_: $sum->{failed}{$_}" } keys %{ $sum->{failed} }), '',
   'G04 each limited request has an answer (O2)');

note("G04 at most $most bytes waited for Redis, $fds descriptors before,"
     . " $fds_most at most");
cmp_ok($most, '<', 256 * 1024, 'G04 what waits is bounded');
cmp_ok($fds_most, '<', $fds + 12, 'G04 no connections pile up');


# The lines of that time.  A call that was sent is given up at the deadline;
# when it is known that Redis does not answer, nobody waits.

my @lines = $t->wait_lines('decision.log', $sum->{requests}, 20);
my (@all, @first, @odd);

for my $l (@lines) {
    my $source = $l->{'readiness.limits'}[0]{source} || next;
    my ($h, $m, $s) = $l->{timestamp} =~ /T(\d+):(\d+):([\d.]+)Z/;
    my $at = ($h * 60 + $m) * 60 + $s;
    my $since = $at - $stopped % 86400 - ($stopped - int $stopped);
    $since += 86400 if $since < -43200;
    next if $since <= 0 || $since >= $going - $stopped;

    push @odd, "$l->{'url.path'} $source" if "$l->{'url.path'} $source" !~
        m{^/(?:local/\S+\ fallback|(?:allow|deny)/\S+\ unavailable)\z}x
        && $since > 0.02;

    my $ms = $l->{'readiness.duration_us'} / 1000;
    push @all, $ms;
    push @first, $ms if $since < 0.3 && $source ne 'redis';
}

@all = sort { $a <=> $b } @all;
@first = sort { $a <=> $b } @first;
my @waited = grep { $_ > DEADLINE / 2 } @all;

note(sprintf 'G04 %d limited requests in ten seconds: %d waited, median'
     . ' %.2f ms, 99%% within %.2f ms; %d were decided at once, median'
     . ' %.2f ms', scalar @all, scalar @waited, at(0.5, @waited) || 0,
     at(0.99, @waited) || 0, @all - @waited,
     at(0.5, grep { $_ <= DEADLINE / 2 } @all) || 0);
note(sprintf 'G04 the first %d: median %.2f ms', scalar @first,
     at(0.5, @first) || 0);

is(join("\n", @odd), '', 'G04 each decided by its policy (O4)');
cmp_ok(scalar @all, '>', 300, 'G04 many of them');
cmp_ok(scalar @waited, '>=', 50, 'G04 the first wait');
cmp_ok(at(0.5, @waited), '>', DEADLINE - 5, 'G04 until the deadline');
cmp_ok(at(0.5, @waited), '<', Readiness::Util::scaled(DEADLINE + 15),
       'G04 and no longer');
cmp_ok(at(0.99, @all), '<', Readiness::Util::scaled(DEADLINE + 100),
       'G04 nobody waits much longer');
is_deeply([$t->workers], [$worker], 'in one worker (O1)');

$t->done;
