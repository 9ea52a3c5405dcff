#!/usr/bin/perl

# H01, H02: limits are exact while nginx is reloaded again and again, and while
# its binary is replaced, under a load far above them.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;
use Readiness::Process qw(gone);

my $e = Readiness::Exact->new(3);

my %far = (kind => 'rate', period => 1,
           more => 'redis=main on_redis_error=deny');
my %near = (%far, more => '');

$e->run(workers => 2, listen => 'reuseport',
    subst => { SHARED => $e->t->redis->addr },
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

for my $i (0 .. 2) {
    $of{$i}{$_} = 1 for $e->t($i)->workers;
}

my $reloads = 0;

my $got = $e->flood(10, sub {
    for my $n (0 .. 11) {
        my $t = $e->t($n % 3);
        $reloads += $t->reload;
        $of{ $n % 3 }{$_} = 1 for $t->workers;
        ok($t->wait_old_workers, 'H01: old workers end') if $n > 8;
    }
});

is($reloads, 12, 'H01: four reloads of each nginx');
judge($got, 'reloads');
$e->at_most($got, 'near', of => $of{$_}) for 0 .. 2;

# the new binary comes with a new zone, which counts from nothing, and as long
# as both work each has its own

my (%before, %after);

$got = $e->flood(10, sub {
    for my $i (0 .. 2) {
        my $t = $e->t($i);
        $before{$i}{$_} = 1 for $t->workers;
        my ($old, $new) = $t->upgrade;
        $after{$i}{$_} = 1 for $t->workers;
        $t->signal('QUIT', $old);
        ok(gone($old, 20), 'H02: the old binary ends');
    }
});

judge($got, 'upgrades');

for my $i (0 .. 2) {
    $e->at_most($got, 'near', of => $before{$i});
    $e->at_most($got, 'near', of => $after{$i});
}

$e->t->done;


sub judge {
    my ($got, $name) = @_;

    $e->agreed($got, name => $name, closed => 1);
    cmp_ok(scalar(keys %{ $got->{workers} }), '>', 6,
        "$name: old and new workers admitted some");
    $e->exact($got, 'plain');
    $e->at_most($got, $_) for qw(slow wide);
    $e->no_room($got, $_) for qw(/both /wide);
    return;
}
