#!/usr/bin/perl

# Reloads, QUIT and TERM while requests wait for a slow Redis: nobody notices,
# no decision is lost, old workers end when they have to.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::Load;
use Readiness::Process qw(alive gone);

my $t = Readiness->new;
$t->fake;

sub configure {
    my (%o) = @_;
    return $t->conf(<<"CONF", workers => 2, connections => 512,
readiness_redis main { server %%FAKE%%; timeout $o{timeout};
                       connect_timeout 5s; }
readiness_rate far key=\$arg_key rate=10000r/d redis=main on_redis_error=deny;
readiness_rate near key=\$arg_key rate=10000r/d;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    readiness_limit far;
    readiness_limit near;
    location / { proxy_pass http://%%APP%%; }
}
CONF
        main => "worker_shutdown_timeout $o{shutdown};");
}

configure(timeout => '10s', shutdown => '10s')->run;
my $fake = $t->fake;
my $load = Readiness::Load->new($t, uri => '/load?key=load');


# H01 and H05: reloads under load

my $lines = 0;
my ($rss, $fds);
my @old;

$fake->set(delay => [10, 30], on => 'EVALSHA');
$load->start(4);

for my $n (1 .. 20) {
    push @old, $t->workers;
    $t->reload or fail("H01 reload $n");
}

my $sum = $load->stop;
ok($sum->{requests} > 100, "H01 $sum->{requests} requests during 20 reloads");
is_deeply($sum->{failed}, {}, 'H01 none of them failed');
ok($t->wait_old_workers(30), 'H01 old workers have ended');

$lines += $sum->{requests};
is(scalar(my @told = $t->wait_lines('decision.log', $lines)), $lines,
   'H01 no decision is lost, none is told twice');
is(scalar(grep { $_->{'readiness.reason'} ne 'ok' } @told), 0,
   'H01 each was made by the limits');
is($t->app->count(qr{/load}), $lines, 'H01 each reached the application');

my $r = $t->get('/?key=load');
$lines++;
my %left = $r->header('RateLimit') =~ /"(\w+)";r=(\d+)/g;
ok($left{near} >= 10000 - $lines && $left{near} <= 10000 - $lines + 3,
   'H01 every request was charged once in the zone')
    or diag("$left{near} left after $lines");
ok($left{far} >= 10000 - $lines && $left{far} <= 10000 - $lines + 3,
   'H01 and in Redis') or diag("$left{far} left after $lines");


# H05: nothing grows; what nginx needs for itself is there after a few

$fake->pass;
for my $n (1 .. 30) {
    $t->reload or fail("H05 reload $n");
    $t->wait_old_workers;
    next if $n != 5;
    $rss = $t->rss($t->pid);
    $fds = keys %{ $t->fds($t->pid) };
}

my $now = $t->rss($t->pid);
SKIP: {
    skip('a sanitizer keeps what was freed', 1)
        if $t->built =~ /-fsanitize/ || $ENV{READINESS_WRAPPER};
    cmp_ok($now, '<=', $rss * 1.01 + 64,
           'H05 twenty-five reloads: memory of the master')
        or diag("$rss kB, then $now");
}
is(scalar keys %{ $t->fds($t->pid) }, $fds, 'H05 and its descriptors');
is(scalar(() = $t->workers(all => 1)), 2, 'H05 two workers');


# QUIT with requests pending: each is answered, then nginx ends

sub pending {
    my ($n, $delay) = @_;
    my $from = $fake->count('EVALSHA');
    $fake->set(@$delay, on => 'EVALSHA');
    my @conn = map { $t->conn } 1 .. $n;
    $_->write(format_request('GET', '/?key=pending')) for @conn;
    $fake->wait_count('EVALSHA', $from + 1) or die 'no lookup';
    return @conn;
}

my @conn = pending(40, [delay => 300]);
my $master = $t->pid;
$t->signal('QUIT');
is(scalar(grep { $_->response->status == 200 } @conn), 40,
   'H01 QUIT: who waits for Redis is answered');
ok(gone($master, 20), 'H01 QUIT: nginx ends');
$_->close for @conn;
$lines += 40;
is(scalar(() = $t->wait_lines('decision.log', $lines)), $lines,
   'H01 QUIT: and is told');


# TERM does not wait

$fake->pass;
$t->run;
@conn = pending(20, [delay => 5000]);
$master = $t->pid;
$t->signal('TERM');
ok(gone($master, 4), 'H01 TERM: nginx ends at once');
is(scalar(grep { $_->response->status == 0 } @conn), 20,
   'H01 TERM: connections are closed');
$_->close for @conn;


# a Redis that never answers does not keep old workers longer than allowed

$fake->pass;
$fake->close_all;
configure(timeout => '60s', shutdown => '1s')->run;
@conn = pending(20, ['ignore']);
@old = $t->workers;
$t->reload;
ok($t->wait_old_workers(10), 'H01 worker_shutdown_timeout is kept');
is(scalar(grep { $_->response->status =~ /^(?:0|503)\z/ } @conn), 20,
   'H01 who still waits is refused, or the connection closed');
$_->close for @conn;
is(scalar(grep { alive($_) } @old), 0, 'H01 old workers are gone');
$fake->pass;
is($t->get('/?key=after')->status, 200, 'H01 new ones answer');

$t->done;
