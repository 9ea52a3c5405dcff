#!/usr/bin/perl

# quota=N/PERIOD: never more than N in any stretch of PERIOD, and nothing
# refused later than 1/60 of it, or in Redis 100 ms besides, by which ends that
# are known are spread: of three nginx on one Redis, of two workers on one zone,
# through reloads and killed workers.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;
use Readiness::Util qw(wait_for);

my $e = Readiness::Exact->new(3);
$_->allow(qr/exited on signal 9/, qr/shared memory zone .* was locked by/)
    for $e->all;

my %far = (kind => 'quota', period => 1,
           more => 'redis=main on_redis_error=deny');
my %near = (%far, more => '');

$e->run(workers => 2, listen => 'reuseport',
    subst => { SHARED => $e->t->redis->addr },
    http => 'readiness_redis main { server %%SHARED%%; timeout 20s; '
            . 'connect_timeout 20s; }',
    rates => {
        far  => { %far, n => 10 },
        long => { %far, n => 15, period => 3 },
        few  => { %far, n => 1 },
        rate => { %far, kind => 'rate', n => 8, burst => 2 },
        cap  => { %far, n => 5 },
        near => { %near, n => 7 },
    },
    at => { '/far' => ['far'], '/long' => ['long'], '/few' => ['few'],
            '/both' => ['rate', 'cap'], '/cap' => ['cap'],
            '/near' => ['near'] });

my %of;
workers();

my $got = $e->flood(21);
$e->agreed($got);
$e->exact($got, $_) for qw(far long few);
together($got);

# reloads; then workers are killed

$got = $e->flood(6, sub {
    for my $n (0 .. 5) {
        $e->t($n % 3)->reload;
        workers();
    }
});
$e->agreed($got, name => 'reloads', closed => 1);
$e->exact($got, $_) for qw(far long few);
together($got);

$got = $e->flood(6, sub {
    for my $n (0 .. 11) {
        my $t = $e->t($n % 3);
        my ($victim) = $t->workers;
        $t->signal('KILL', $victim);
        wait_for { my @w = $t->workers;
                   @w == 2 && !grep { $_ == $victim } @w } 15
            or die 'no new worker';
        workers();
    }
});
$e->agreed($got, name => 'kills', killed => 1);
$e->exact($got, $_, killed => 1) for qw(far long few);
together($got);

$e->t->done;


sub workers {
    for my $i (0 .. 2) { $of{$i}{$_} = 1 for $e->t($i)->workers }
    return;
}

sub together {
    my ($got) = @_;

    $e->at_most($got, $_) for qw(rate cap);
    $e->no_room($got, $_) for qw(/both /cap);
    $e->at_most($got, 'near', of => $of{$_}) for 0 .. 2;
    return;
}
