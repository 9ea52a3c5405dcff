#!/usr/bin/perl

# lease=N: over time not one more than without; any stretch of time has at most
# min(N x nginx, one second's refill) on top, whatever the demand does: it is
# steady, or comes and goes so that what was leased is given back, and through
# reloads and killed workers.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;
use Readiness::Util qw(wait_for);

my $e = Readiness::Exact->new(3);
$_->allow(qr/exited on signal 9/, qr/shared memory zone .* was locked by/)
    for $e->all;

my %rate = (kind => 'rate', period => 1, lease => 16,
            more => 'redis=main on_redis_error=deny');

$e->run(workers => 2, listen => 'reuseport',
    subst => { SHARED => $e->t->redis->addr },
    http => 'readiness_redis main { server %%SHARED%%; timeout 20s; '
            . 'connect_timeout 20s; }',
    rates => {
        hot  => { %rate, n => 100, burst => 100 },
        slow => { %rate, n => 10, burst => 40 },
        tiny => { %rate, n => 5, burst => 4, lease => 2 },
        half => { %rate, n => 20, burst => 20, lease => 8 },
        cap  => { %rate, n => 10, burst => 10, lease => 0 },
    },
    at => { '/hot' => ['hot'], '/slow' => ['slow'], '/tiny' => ['tiny'],
            '/both' => ['half', 'cap'] });

# demand without end: all of it is used, though not each at once

my $got = $e->flood(12);
$e->agreed($got, times => 50);
$e->leased($got, $_, 0.87) for qw(hot slow tiny);
both($got);

# on and off, just longer than unused permits are kept

for my $rhythm ([1.5, 1.2], [0.3, 0.7]) {
    $e->{rhythm} = $rhythm;
    $got = $e->flood(8);
    $e->agreed($got, name => "@$rhythm", times => 5);
    $e->leased($got, $_, 0.3) for qw(hot slow tiny);
    both($got);
}

delete $e->{rhythm};

$got = $e->flood(6, sub { $e->t($_ % 3)->reload for 0 .. 5 });
$e->agreed($got, name => 'reloads', closed => 1, times => 20);
$e->leased($got, $_, 0.8) for qw(hot slow tiny);

$got = $e->flood(6, sub {
    for my $n (0 .. 11) {
        my $t = $e->t($n % 3);
        my ($victim) = $t->workers;
        $t->signal('KILL', $victim);
        wait_for { my @w = $t->workers;
                   @w == 2 && !grep { $_ == $victim } @w } 15
            or die 'no new worker';
    }
});
$e->agreed($got, name => 'kills', killed => 1, times => 20);
$e->leased($got, $_, 0.3) for qw(hot slow tiny);
both($got);

$e->t->done;


sub both {
    my ($got) = @_;

    $e->leased($got, 'half', 0);
    $e->at_most($got, 'cap');
    return;
}
