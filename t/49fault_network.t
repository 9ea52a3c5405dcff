#!/usr/bin/perl

# Redis stopped, refused, reset, closed, deaf, nowhere: each policy's own
# verdict, on both protocols, and Redis' again as soon as it is over.  G04, G05.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Faults;

my $t = Readiness->new;
my $fake = $t->fake;
my $redis = $t->redis;
my $f = Readiness::Faults->new($t);
my ($worker) = $t->workers;

my @calls = qw(EVALSHA EVAL);

$f->recovered('at first');
my $fds = keys %{ $t->fds($worker) };

$f->row('G04 Redis is stopped', policy =>
        begin => sub { $redis->freeze }, end => sub { $redis->thaw });

$f->row('G05 refused', policy =>
        begin => sub { $fake->down }, end => sub { $fake->up });

$f->row('G05 reset, then refused', policy =>
        begin => sub { $fake->down(rst => 1) }, end => sub { $fake->up });

$f->row('G05 reset while idle', either => rounds => 3,
        begin => sub { $fake->reset_all }, reset => sub { $fake->reset_all });

$f->row('G05 closed while idle', either => rounds => 3,
        begin => sub { $fake->close_all }, reset => sub { $fake->close_all });

for my $how (qw(fin rst)) {
    $f->row("G05 $how while calls wait", policy =>
            begin => sub { $fake->set(hangup => $how, on => \@calls) },
            end => sub { $fake->pass });

    $f->row("G05 $how at the first command", policy =>
            begin => sub { $fake->set(hangup => $how); $fake->close_all },
            end => sub { $fake->pass });

    $f->row("G05 one $how while calls wait", either => begin => sub {
                $fake->set(hangup => $how, on => \@calls, times => 1);
            }, end => sub { $fake->pass });
}

$f->row('G05 half open: nothing is read any more', policy =>
        begin => sub { $fake->deaf }, end => sub { $fake->hearing });

$f->row('G05 accepted, never read', policy =>
        begin => sub { $fake->deaf; $fake->close_all },
        end => sub { $fake->hearing });

$f->row('G05 a black hole', policy =>
        begin => sub { $fake->blackhole }, end => sub { $fake->up });

$f->row('G05 it comes and goes', either => rounds => 4,
        begin => sub { $fake->down },
        reset => sub { $fake->up; $f->one('deny'); $fake->down(rst => 1) },
        end => sub { $fake->up });

wait_for { keys %{ $t->fds($worker) } <= $fds } 10;
cmp_ok(scalar keys %{ $t->fds($worker) }, '<=', $fds,
       'G05 no descriptor is left (O5)');
is_deeply([$t->workers], [$worker], 'in one worker (O1)');

$f->finish;
$t->done;
