#!/usr/bin/perl

# Redis is away for some seconds, and three nginx of two workers each, asked for
# far more than is admitted, go on with their shares of it: together they admit
# about what the shared bucket would have, and when Redis is back no burst comes
# on top, though it may have forgotten everything.  G04, G05, G17, O4, O5.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;
use Readiness::Util qw(pause);
use Time::HiRes qw(time);

use constant { RATE => 100, AWAY => 4 };

my $e = Readiness::Exact->new(3);
my $redis = $e->t->redis;

$e->run(workers => 2, listen => 'reuseport',
    subst => { SHARED => $redis->addr },
    http => 'readiness_redis main { server %%SHARED%%; timeout 200ms; }',
    rates => { hot => { kind => 'rate', n => RATE, period => 1,
                        burst => RATE, more => 'redis=main' } },
    at => { '/hot' => ['hot'] });

my @all = $e->all;

# each nginx gets a third; then one gets all of it, and has learned so

outage('evenly, Redis killed', sub { $redis->kill }, sub { $redis->start });

$e->{t} = [$all[0]];
outage('all on one, Redis stopped', sub { $redis->freeze },
    sub { $redis->thaw });
$e->{t} = \@all;

$e->t->done;


# The flood is ten times the limit at least.  Never away, the bucket would have
# admitted RATE a second: it was spent before, and so it is afterwards.

sub outage {
    my ($name, $down, $up) = @_;
    my ($from, $to);

    my $got = $e->flood(0, sub {
        pause(2);
        $down->();
        $from = time;
        pause(AWAY);
        $up->();
        $to = time;
        pause(2.5);
    });

    $e->agreed($got, name => $name, times => 10);

    my @seen = map { $_->[1] } @{ $got->{seen}{'/hot'} };
    my $time = $to - $from + 1;
    my $n = grep { $_ >= $from && $_ < $to + 1 } @seen;

    cmp_ok($n, '>=', 0.8 * RATE * $time,
        sprintf "%s: until one burst's time after it %d are admitted in %.2f "
                . 's, not less than 0.8 of the limit', $name, $n, $time);
    cmp_ok($n, '<=', 1.25 * RATE * $time, "$name: nor more than 1.25");

    # what has refilled meanwhile was charged: no second has a burst more

    my $most = 0;

    for my $at (map { $to + $_ / 10 } -1 .. 10) {
        $n = grep { $_ >= $at && $_ < $at + 1 } @seen;
        $most = $n if $n > $most;
    }

    cmp_ok($most, '<', 1.95 * RATE, "$name: no burst as Redis is back: $most "
                                   . 'at most in a second');

    $n = grep { $_ >= $to + 1 && $_ < $to + 2.5 } @seen;
    cmp_ok($n, '<=', 1.5 * RATE + 10, "$name: and exact again");
    return;
}
