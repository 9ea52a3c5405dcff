#!/usr/bin/perl

# C09: two workers of one nginx and its zone, asked for far more than it admits:
# exactly the limit, in twenty windows.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;

my $e = Readiness::Exact->new(1);
my %rate = (kind => 'rate', period => 1, more => '');

$e->run(workers => 2, listen => 'reuseport', http => '',
    rates => {
        plain => { %rate, n => 10, burst => 10 },
        fast  => { %rate, n => 100, burst => 50 },
        slow  => { %rate, n => 2, burst => 4 },
        wide  => { %rate, n => 6, burst => 12 },
    },
    at => { '/plain' => ['plain'], '/fast' => ['fast'],
            '/both' => ['slow', 'wide'], '/wide' => ['wide'] });

my $got = $e->flood(21);
$e->agreed($got, times => 10);
is(scalar(keys %{ $got->{workers} }), 2, 'C09: both workers admitted some');
$e->exact($got, $_) for qw(plain fast);
$e->at_most($got, $_) for qw(slow wide);
$e->no_room($got, $_) for qw(/both /wide);

$e->t->done;
