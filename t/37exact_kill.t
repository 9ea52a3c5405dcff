#!/usr/bin/perl

# H04: workers are killed under a load far above the limits: never one more than
# the limit, in Redis and in the zone, and no refusal without a reason: what a
# worker had charged when it died is all that is lost.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;
use Readiness::Util qw(wait_for);

my $e = Readiness::Exact->new(3);
$_->allow(qr/exited on signal 9/, qr/shared memory zone .* was locked by/)
    for $e->all;

my %far = (kind => 'rate', period => 1,
           more => 'redis=main on_redis_error=deny');
my %near = (%far, more => '');

$e->run(workers => 2, subst => { SHARED => $e->t->redis->addr },
    http => 'readiness_redis main { server %%SHARED%%; timeout 20s; '
            . 'connect_timeout 20s; }',
    rates => {
        plain => { %far, n => 10, burst => 10 },
        slow  => { %far, n => 2, burst => 4 },
        wide  => { %far, n => 6, burst => 12 },
        near  => { %near, n => 3, burst => 6 },
    },
    at => { '/plain' => ['plain'], '/both' => ['slow', 'wide'],
            '/wide' => ['wide'], '/near' => ['near'] });

my %of;                                 # nginx => { pid of a worker => 1 }
my $killed = 0;

srand 4711;

my $got = $e->flood(11, sub {
    for my $n (0 .. 29) {
        my $t = $e->t($n % 3);
        my @workers = $t->workers;
        my $victim = $workers[rand @workers];

        $of{ $n % 3 }{$_} = 1 for @workers;
        $killed += $t->signal('KILL', $victim);
        wait_for { my @w = $t->workers;
                   @w == 2 && !grep { $_ == $victim } @w } 15
            or die 'no new worker';
        $of{ $n % 3 }{$_} = 1 for $t->workers;
    }
});

is($killed, 30, 'H04: thirty workers were killed');
$e->agreed($got, killed => 1);
$e->exact($got, 'plain', killed => 1);
$e->at_most($got, $_) for qw(slow wide);
$e->no_room($got, $_) for qw(/both /wide);
$e->at_most($got, 'near', of => $of{$_}) for 0 .. 2;

# all at once, and everything is as it was

my %gone = map { $_ => 1 } map { $_->workers } $e->all;
is(kill('KILL', keys %gone), 6, 'H04: all of them were killed');
wait_for {
    6 == grep { !$gone{$_} } map { $_->workers } $e->all
} 20, 'H04: and there are others';

$got = $e->flood(4);
$e->agreed($got, name => 'afterwards');
$e->exact($got, 'plain');
$e->no_room($got, $_) for qw(/both /wide);

$e->t->done;
