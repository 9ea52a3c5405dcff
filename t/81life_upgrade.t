#!/usr/bin/perl

# A new binary under load, and the way back from it: no request fails, none is
# counted twice, limits hold.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::Load;
use Readiness::Process qw(gone);

my $t = Readiness->new;
$t->fake;

$t->conf(<<'CONF', workers => 2)->run;
readiness_redis main { server %%FAKE%%; timeout 10s; connect_timeout 5s; }
readiness_rate far key=$arg_key rate=10000r/d redis=main on_redis_error=deny;
readiness_rate ten key=$arg_key rate=10r/d redis=main on_redis_error=deny;
readiness_rate near key=$arg_key rate=5r/d;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location /load { readiness_limit far; proxy_pass http://%%APP%%; }
    location /ten { readiness_limit ten; proxy_pass http://%%APP%%; }
    location /near { readiness_limit near; proxy_pass http://%%APP%%; }
}
CONF

my $fake = $t->fake;
my $load = Readiness::Load->new($t, uri => '/load?key=load');
my ($requests, $lines) = (0, 0);

sub workers { my ($master) = @_; return $t->workers(of => $master, all => 1) }

sub admitted {
    my ($uri, $n) = @_;
    $lines += $n;
    return scalar grep { $_->status == 200 } $t->burst($n, $uri);
}

sub under_load {
    my ($name, $code) = @_;
    $load->start(4);
    $code->();
    my $sum = $load->stop;
    ok($sum->{requests} > 5, "H02 $name: $sum->{requests} requests");
    is_deeply($sum->{failed}, {}, "H02 $name: none failed");
    $requests += $sum->{requests};
    $lines += $sum->{requests};
}

$fake->set(delay => [10, 30], on => 'EVALSHA');
is(admitted('/ten?key=a', 6), 6, 'six of ten');
is(admitted('/near?key=a', 9), 5, 'five of five');

my ($old, $new);

under_load('USR2, WINCH, QUIT', sub {
    ($old, $new) = $t->upgrade;
    $t->signal('WINCH', $old);
    wait_for { !workers($old) } 20, 'H02 WINCH: old workers end';
    $t->signal('QUIT', $old);
    ok(gone($old, 20), 'H02 QUIT: the old master ends');
});

is(admitted('/ten?key=a', 9), 4, 'H02 Redis knows what was spent');
is(admitted('/near?key=a', 9), 5, 'H02 the new zone counts, from nothing');

under_load('rollback', sub {
    ($old, $new) = $t->upgrade;
    $t->signal('WINCH', $old);
    wait_for { !workers($old) } 20, 'H02 rollback: the new one is alone';
    $t->signal('HUP', $old);
    wait_for { workers($old) == 2 } 20, 'H02 HUP: the old one works again';
    $t->signal('QUIT', $new);
    ok(gone($new, 20), 'H02 QUIT: the new one ends');
});

wait_for { slurp($t->path('nginx.pid')) == $old } 10, 'H02 the old one is left';
is(admitted('/ten?key=a', 5), 0, 'H02 Redis still knows');
is(admitted('/near?key=a', 9), 0, 'H02 so does the zone of the old one');
is(admitted('/near?key=b', 9), 5, 'H02 which goes on counting');

my $r = $t->get('/load?key=load');
my ($left) = $r->header('RateLimit') =~ /;r=(\d+)/;
$lines++;
ok($left >= 9999 - $requests && $left <= 9999 - $requests + 3,
   'H02 every request was charged once') or diag("$left after $requests");
is(scalar(() = $t->wait_lines('decision.log', $lines)), $lines,
   'H02 and told once');
is($t->app->count(qr{^/load}), $requests + 1, 'H02 and passed on once');

$t->done;
