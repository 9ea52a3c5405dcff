#!/usr/bin/perl

# C09: three nginx of two workers each, one Redis, asked for a hundred times of
# what is admitted, for twenty windows: in each the limit and never one more.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;

my $e = Readiness::Exact->new(3);

# A rate, a larger bucket, and two that are charged together or not at all:
# what "slow" refuses must be left in "wide", for others.

my %rate = (kind => 'rate', period => 1,
            more => 'redis=main on_redis_error=deny');

$e->run(workers => 2, listen => 'reuseport',
    subst => { SHARED => $e->t->redis->addr },
    http => 'readiness_redis main { server %%SHARED%%; timeout 20s; '
            . 'connect_timeout 20s; }',
    rates => {
        plain => { %rate, n => 10, burst => 10 },
        burst => { %rate, n => 5, burst => 40 },
        slow  => { %rate, n => 2, burst => 4 },
        wide  => { %rate, n => 6, burst => 12 },
    },
    at => { '/plain' => ['plain'], '/burst' => ['burst'],
            '/both' => ['slow', 'wide'], '/wide' => ['wide'] });

my $got = $e->flood(21);

$e->agreed($got);
is(scalar(keys %{ $got->{workers} }), 6, 'C09: six workers admitted some');

$e->exact($got, $_) for qw(plain burst);

$e->at_most($got, $_) for qw(slow wide);
$e->no_room($got, $_) for qw(/both /wide);

is($e->t->redis->calls('eval'), 0, 'the script was known');

$e->t->done;
