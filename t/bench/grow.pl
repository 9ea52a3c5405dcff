#!/usr/bin/perl

# Copyright (C) The readiness authors

# How the cost of limits grows: with workers, with live keys, and with limits
# per request; counted in the zone and in Redis, each beside bare nginx that is
# asked the same.
#
#     t/bench/grow.pl [rounds=8] [seconds=2] [callgrind=1] [fill=1]
#                     [connections=64] > results
#     t/bench/plot.pl results > t/bench/cost.svg
#
# fill=0 does not wait until all the keys are there.  Takes some 15 minutes.

use warnings;
use strict;

use FindBin;
use lib $FindBin::Bin;

use Bench;
use Cases;

my %opt = options(rounds => 8, seconds => 2, callgrind => 1, fill => 1);

# a bucket that is not full again for days: keys stay alive

my $slow = 'rate=1000000r/d burst=1000000000';
my $fast = 'rate=1000000r/s burst=1000000000';

$| = 1;

need();
start_app();
start_redis();


# --- what is compared --------------------------------------------------------

my @cases;

sub add {
    my ($axis, $at, %c) = @_;
    my $main = redis_block();
    my $ours = ours() . "readiness_zone 128m;\n";
    my $key = $c{keys} ? '$arg_k' : '$readiness_client_key';
    my $limits = delete $c{limits} // 1;
    my $base = "bare, $axis $at";

    push @cases, { %c, name => $base, axis => $axis, at => $at,
                   what => 'bare', base => $base };

    for my $what ('zone', 'Redis') {
        my $rates = join '', map {
            rate(name => "$axis$at$what$_", key => $key,
                 numbers => $c{keys} ? $slow : $fast,
                 $what eq 'Redis' ? (redis => 'main') : ())
        } 1 .. $limits;

        push @cases, { %c, name => "$what, $axis $at", axis => $axis,
            at => $at, what => $what, base => $base, module => 1,
            http => $ours . ($what eq 'Redis' ? $main : '') . $rates,
            location => join '', map { "readiness_limit $axis$at$what$_; " }
                                 1 .. $limits };
    }

    return;
}

add('workers', $_, processes => $_, listen => ' reuseport') for 1, 2;
add('keys', $_, keys => $_) for 1, 1000, 100_000, 1_000_000;
add('limits', $_, limits => $_) for 0, 1, 2, 4, 8;

@cases = prepare(@cases);
my %case = map { $_->{name} => $_ } @cases;

for my $i (0 .. $#cases) {
    my $c = $cases[$i];
    $c->{base} = $case{$c->{base}};
    $c->{n} = "n$i";
    $c->{workers} = [start($c->{n}, $c->{text}, $c->{load}, $c->{processes})];
}

for my $c (@cases) {
    print STDERR "$c->{name}: filling\n"
        if $opt{fill} && $c->{keys} && $c->{what} ne 'bare';
    fill($c) if $opt{fill} && $c->{keys} && $c->{what} ne 'bare';
    wrk($c, 1);
}


# --- rounds ------------------------------------------------------------------

print STDERR "$opt{rounds} rounds of $opt{seconds} s, ",
    scalar @cases, " configurations\n";

for my $n (1 .. $opt{rounds}) {
    measure($_) for @cases;
    print STDERR "round $n\n";
}

stop($_->{n}) for @cases;

if ($opt{callgrind} && system('command -v valgrind > /dev/null') == 0) {
    print STDERR "callgrind\n";
    my %bare;                           # is the same all along an axis
    for my $c (grep { $_->{axis} ne 'workers' } @cases) {
        $c->{instructions} = $bare{$c->{axis}}, next
            if $c->{what} eq 'bare' && $bare{$c->{axis}};
        $c->{instructions} = callgrind($c, "g$c->{n}");
        $bare{$c->{axis}} ||= $c->{instructions} if $c->{what} eq 'bare';
    }
}


# --- the table ---------------------------------------------------------------

print versions(), ", $opt{connections} connections, $opt{rounds} interleaved ",
      "rounds of $opt{seconds} s; CPU and instructions per request, of nginx ",
      "above bare\n\n";
print "| with | of | counted in | x bare | nginx us | Redis us | Redis calls ",
      "| instructions |\n";
print '|---' x 8, "|\n";

for my $c (grep { $_->{what} ne 'bare' } @cases) {
    my $base = $c->{base};
    my $more = defined $c->{instructions} && defined $base->{instructions}
        ? sprintf '%+.0f', $c->{instructions} - $base->{instructions} : '-';

    printf "| %s | %s | %s | %.3f | %+.1f | %.1f | %.4f | %s |\n", $c->{axis},
        $c->{at}, $c->{what}, ratio($c, $base, 'rate'),
        median(@{$c->{cpu}}) - median(@{$base->{cpu}}),
        median(@{$c->{redis_cpu}}), median(@{$c->{redis_calls}}), $more;
}
