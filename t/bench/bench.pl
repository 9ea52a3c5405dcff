#!/usr/bin/perl

# Copyright (C) The readiness authors

# Speed of the same proxied request through bare nginx, stock nginx doing the
# nearest it can, Lua, and the module: interleaved rounds in one session, one
# worker, 64 connections.
#
#     t/bench/bench.pl [rounds=8] [seconds=2] [callgrind=1] [strace=1]
#                      [script=1] [cells=1] [connections=64]
#
# Ratios are medians over the rounds, each to the case of the same round that
# is asked the same: bare, bare with many keys, or "return 429"; and to stock
# nginx with limit_req.  CPU per request is user and system time of the
# processes, Redis calls are those that Redis counted; instructions are user
# mode ones by callgrind under the same load; system calls by strace.  script
# and cells are programs of their own: what a decision costs Redis, and what a
# look-up in the zone costs.  Needs wrk, and valgrind and strace for
# instructions and system calls; Debian's libnginx-mod-http-lua and
# lua-nginx-redis for Lua.

use warnings;
use strict;

use FindBin;
use lib $FindBin::Bin;

use Bench;
use Cases;

my %opt = options(rounds => 8, seconds => 2, callgrind => 1, strace => 1,
                  script => 1, cells => 1);

$| = 1;

need();
start_app();
start_redis();

my @cases = prepare(cases());
my %case = map { $_->{name} => $_ } @cases;

for my $i (0 .. $#cases) {
    my $c = $cases[$i];
    $c->{base} = $case{$c->{base} // 'bare'};
    $c->{stock} = $case{$c->{stock} // 'stock with limit_req'};
    $c->{workers} = [start("n$i", $c->{text}, $c->{load})];
    wrk($c, 1);
}


# --- rounds ------------------------------------------------------------------

print STDERR "$opt{rounds} rounds of $opt{seconds} s, ",
    scalar @cases, " configurations\n";

for my $n (1 .. $opt{rounds}) {
    measure($_) for @cases;
    print STDERR "round $n\n";
}

for my $c (@cases) {
    $c->{ratio} = ratio($c, $c->{base}, 'rate');
    $c->{to_stock} = ratio($c, $c->{stock}, 'rate');
    $c->{p99_ratio} = ratio($c, $c->{base}, 'p99');
    $c->{private} = private($c->{workers}[0]);
    $c->{links} = links($c->{workers}[0]) if $c->{redis};
}

if ($opt{strace} && system('command -v strace > /dev/null') == 0) {
    $_->{calls} = strace_calls($_) for @cases;
}

stop("n$_") for 0 .. $#cases;

if ($opt{callgrind} && system('command -v valgrind > /dev/null') == 0) {
    print STDERR "callgrind\n";
    $cases[$_]{instructions} = callgrind($cases[$_], "g$_") for 0 .. $#cases;
}


# --- the table ---------------------------------------------------------------

print versions(), ", one worker, $opt{connections} connections, ",
      "$opt{rounds} interleaved rounds of $opt{seconds} s\n\n";
print "| configuration | x bare | x stock | p99 ms | p99 x bare | nginx us ",
      "| Redis us | Redis calls | instructions | system calls | private KB |\n";
print '|---' x 11, "|\n";

# what is above the case it is compared with

sub added {
    my ($c, $key, $form) = @_;
    my $base = $c->{base};
    return '-' if !defined $c->{$key};
    return sprintf($form, $c->{$key}) if $c == $base || !defined $base->{$key};
    return sprintf('%+' . substr($form, 1), $c->{$key} - $base->{$key});
}

for my $c (@cases) {
    printf '| %s | %.3f | %.3f | %.2f | %.2f | %.1f | %.1f | %.4f ',
        $c->{name}, $c->{ratio}, $c->{to_stock}, median(@{$c->{p99}}),
        $c->{p99_ratio}, median(@{$c->{cpu}}), median(@{$c->{redis_cpu}}),
        median(@{$c->{redis_calls}});
    printf "| %s | %s | %s |\n", added($c, 'instructions', '%.0f'),
        added($c, 'calls', '%.2f'), added($c, 'private', '%d');
}

print "\nInstructions, system calls and memory are per request and worker; ",
      "below the bare line of the same requests, what is added to it.\n";
print 'bare: ', int(median(@{$case{bare}{rate}})), ' requests per second';
print "\nconnections to Redis per worker: ",
    join(', ', map { "$_->{links} ($_->{name})" }
               grep { $_->{links} } @cases), "\n";

my ($us, $lua) = @case{'module, Redis, unix socket',
                       'Lua as people do it today'};

printf "module, Redis, unix socket: %.2f x Lua as people do it today\n",
    ratio($us, $lua, 'rate') if $us && $lua;


# --- single costs ------------------------------------------------------------

sub program {
    my ($name, @args) = @_;
    if (system("make -s --no-print-directory -C $repo build/bench/$name >&2")) {
        print STDERR "left out: $name: it does not build\n";
        return;
    }
    print "\n";
    system("$repo/build/bench/$name", @args) == 0
        or print STDERR "$name failed\n";
    return;
}

program('script', "$dir/redis.sock", redis_pid(), $opt{seconds})
    if $opt{script};

exit if !$opt{cells};

program('cells');

if ($opt{callgrind} && system('command -v valgrind > /dev/null') == 0) {
    print "\ninstructions of a look-up:";
    for my $keys (1000, 10_000, 100_000, 1_000_000) {
        my ($n) = `valgrind --tool=callgrind --toggle-collect=lookups --callgrind-out-file=$dir/cells $repo/build/bench/cells $keys 2>/dev/null`
            =~ /(\d+)/ or last;
        my ($total) = slurp("$dir/cells") =~ /^(?:summary|totals): (\d+)/m;
        printf ' %.0f (%d keys)', $total / $n, $keys;
    }
    print "\n";
}
