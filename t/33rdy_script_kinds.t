#!/usr/bin/perl

# Quotas, slots, takes, charges and holds in a real Redis, beside the leaves in
# C that do the same in shared memory.  The time is given to the script.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin qw($Bin);
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(time usleep);

my $UNIT = 1_000_000;
my $CALL = 'call 008';
my $NOW = 4_000_000_000_000_000;        # to come: a key with a time of the past is gone at once
my %FLAG = (bucket => 0, quota => 2, slots => 4);

my $dir = tempdir(CLEANUP => 1);
my $leaves = build();
my $pid = start();
my $sock = connected();
my $now = $NOW;
my $holder = 'worker-1';

my $script = `$dir/helper script`;
$script =~ s/call\('TIME'\)/{ARGV[3], ARGV[4]}/ or die 'no TIME';
my $sha = cmd('SCRIPT', 'LOAD', $script);

empty();
quota();
quota_agrees();
quota_long();
quota_clock();
quota_period();
take();
run();
charge();
slots();
slots_expire();
slots_clock();
hold();
mixed();
foreign();
many();

kill 'TERM', $pid;
waitpid $pid, 0;
undef $pid;

done_testing();


END { kill 'KILL', $pid if $pid }


# ---- the machinery ---------------------------------------------------------

# A helper in C: prints the script, or runs one quota through the lines
# "op count period cost now": limit, take (cost 1, two more), charge, back

sub build {
    my $src = "$Bin/../src";

    open my $f, '>', "$dir/helper.c" or die "helper.c: $!";
    print $f <<'C';
#include <stdio.h>
#include "limit/rdy_batch.h"
#include "limit/rdy_quota.h"

int
main(int argc, char **argv)
{
    char                      op;
    uint64_t                  cost, now, left, more, got,
                              charged;
    rdy_rate_t                r = { 0 };
    rdy_uint_t                i, fits, all;
    rdy_quota_t               q;
    rdy_rate_view_t           v;
    rdy_quota_chunk_t         chunk[RDY_QUOTA_CHUNKS] = { { 0 } };
    const rdy_quota_chunk_t  *c[RDY_QUOTA_CHUNKS];

    if (argc > 1) {
        return fwrite(rdy_batch_script.data, 1, rdy_batch_script.len, stdout)
               != rdy_batch_script.len;
    }

    r.kind = RDY_RATE_QUOTA;

    for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
        c[i] = &chunk[i];
    }

    while (scanf(" %c %lu %lu %lu %lu", &op, &r.count, &r.period, &cost, &now)
           == 5)
    {
        r.burst = r.count;
        rdy_quota_load(&q, c);
        all = rdy_quota_drain(&r, &q, now);
        fits = 1;
        more = 0;

        switch (op) {
        case 'l':
            fits = got = rdy_quota_fits(&r, &q, cost);
            charged = fits ? cost : 0;
            rdy_quota_charge(&q, charged);
            break;
        case 't':
            left = q.spent < r.count ? r.count - q.spent : 0;
            got = cost < left ? cost : left;
            more = (left - got) / 2 < 2 ? (left - got) / 2 : 2;
            charged = got + more;
            rdy_quota_charge(&q, charged);
            cost = 1;
            break;
        case 'c':
            charged = cost;
            rdy_quota_charge(&q, charged);
            got = 0;
            break;
        default:
            rdy_quota_give_back(&q, cost);
            all |= cost > 0;
            charged = 0;
            got = 0;
        }

        for (i = 0; i < RDY_QUOTA_CHUNKS; i++) {
            if (all || (charged && i == rdy_quota_place(&q))) {
                (void) rdy_quota_store(&q, i, &chunk[i]);
            }
        }

        rdy_quota_view(&r, &q, now, cost, &v);
        printf("%lu %lu %lu %lu %lu %lu\n", got, more, q.spent, v.next, v.retry,
               v.full);
    }

    return 0;
}
C
    close $f;

    my $cc = $ENV{CC} || 'cc';
    my @c = map { "$src/limit/rdy_$_.c" } qw(rate batch script quota);

    plan(skip_all => 'no compiler')
        if system("$cc -O1 -DRDY_STANDALONE -I$src -o $dir/helper $dir/helper.c @c") != 0;

    return sub {
        open my $in, '>', "$dir/in" or die "in: $!";
        print $in map { "@$_\n" } @_;
        close $in;
        return map { chomp; $_ } `$dir/helper < $dir/in`;
    };
}

sub start {
    my $child = fork() // die "fork: $!";

    if ($child == 0) {
        open STDOUT, '>', "$dir/redis.log";
        exec 'redis-server', '--port', 0, '--unixsocket', "$dir/redis.sock",
             '--save', '', '--appendonly', 'no', '--dir', $dir;
        exit 127;
    }

    return $child;
}

sub connected {
    my $until = time() + 10;

    while (time() < $until) {
        my $s = IO::Socket::UNIX->new(Peer => "$dir/redis.sock");
        return $s if $s;

        if (waitpid($pid, 1) == $pid) {
            undef $pid;
            plan(skip_all => 'no redis-server');
        }

        usleep 20_000;
    }

    die 'redis-server does not answer';
}

sub cmd {
    my $bytes = join '', '*', scalar(@_), "\r\n",
                map { ('$', length, "\r\n", $_, "\r\n") } @_;

    print $sock $bytes;
    $sock->flush;

    return reply();
}

sub reply {
    my $line = readline $sock // die 'redis closed the connection';
    $line =~ s/\r\n\z// or die "cut line: $line";

    my ($type, $rest) = (substr($line, 0, 1), substr $line, 1);

    return $rest if $type =~ /[+:]/;
    die "ERROR $rest" if $type eq '-';
    return [map { reply() } 1 .. $rest] if $type eq '*';
    return if $rest == -1;

    my $bulk = '';
    while (length $bulk < $rest + 2) {
        read $sock, $bulk, $rest + 2 - length $bulk, length $bulk or die 'cut bulk';
    }

    return substr $bulk, 0, $rest;
}


# Operations, each with its keys, its bytes, and how its reply is read

sub numbers { my ($kind, $n, $amount, $flag) = @_; return pack 'd<4C', @$n[0 .. 2], $amount, $FLAG{$kind} + ($flag || 0) }

sub limit {
    my ($key, $kind, $count, $period, $cost, $monitor) = @_;
    return { key => $key, kind => $kind,
             bytes => numbers($kind, [$count, $period, $count], $cost // 1, $monitor) };
}

sub state_of {
    my ($kind) = @_;
    return 'd<' . { bucket => 2, quota => 4, slots => 1 }->{$kind};
}

sub request {
    my @l = @_;
    return { keys => [map { $_->{key} } @l], bytes => join('', chr @l, map { $_->{bytes} } @l),
             form => join(' ', 'C', map { 'C' . state_of($_->{kind}) } @l) };
}

sub taking {
    my ($key, $kind, $count, $period, $need, $extra) = @_;
    return { keys => [$key], form => 'd<2' . state_of($kind),
             bytes => "\xf1" . numbers($kind, [$count, $period, $count], $need) . pack 'd<', $extra };
}

sub running {
    my ($count, $period, %need) = @_;
    my @keys = sort keys %need;
    return { keys => \@keys, form => 'd<' . 3 * keys %need, bytes => "\xf0"
             . numbers('bucket', [$count, $period, $count], scalar @keys) . pack 'C*', @need{@keys} };
}

sub charging {
    my ($key, $kind, $count, $period, $amount, $back) = @_;
    return { keys => [$key], form => '', bytes => "\xf2" . numbers($kind, [$count, $period, $count], $amount, $back) };
}

sub holding {
    my ($key, $ms, $n) = @_;
    return { keys => [$key], form => 'd<', bytes => "\xf3" . numbers('slots', [0, 0, $ms], $n) };
}


# do_all(OP, ...): the numbers of each reply, as strings

sub do_all {
    my @op = @_;
    my @keys = map { @{ $_->{keys} } } @op;
    my $got = cmd('EVALSHA', $sha, scalar @keys, @keys, $CALL,
                  join('', $holder, map { $_->{bytes} } @op), int $now / $UNIT, $now % $UNIT);

    die 'reply of another call' if substr($got, 0, 8) ne $CALL;

    my $rest = substr $got, 8;
    my @out;

    for (@op) {
        my @n = unpack "$_->{form} a*", $rest;
        $rest = pop @n;
        push @out, join ' ', map { sprintf '%.0f', $_ } @n;
    }

    die 'reply of another length' if length $rest;

    my @bad = grep { cmd('PTTL', $_) < 1 } @{ cmd('KEYS', '*') };
    die "C15 without TTL: @bad" if @bad;

    return wantarray ? @out : $out[0];
}

sub ask      { return (split ' ', do_all(request(limit(@_))))[0] }
sub used     { return (split ' ', do_all(request(limit(@_[0 .. 3], 0))))[2] }
sub fresh    { cmd('FLUSHALL'); $now = $NOW; $holder = 'worker-1'; return }
sub keys_now { return join ' ', sort @{ cmd('KEYS', '*') } }


# ---- the facts -------------------------------------------------------------

sub empty {
    is(cmd('EVALSHA', $sha, 0, $CALL, $holder, 1, 1), $CALL, 'no operation: the number of the call');
    is(cmd('EVALSHA', $sha, 1, 'k', $CALL, $holder, 1, 1), $CALL, 'nor with a key');
    fresh();
}

sub quota {
    my @k = ('k', 'quota', 3, 60);

    is(join('', map { ask(@k) } 1 .. 5), '11100', 'a quota admits its number');
    $now += 59_999_999;
    is(ask(@k), 0, 'not one more within the period');
    $now += 1_000_001;
    is(join('', map { ask(@k) } 1 .. 5), '11100', 'all of it a sixtieth later');

    is(do_all(request(limit(@k))), '0 0 3 61000000 61000000 61000000', 'it tells when the next one fits');
    is(do_all(request(limit(@k, 4))), '0 0 3 61000000 61000000 61000000', 'also of a cost that never does');
    my $ms = cmd('PTTL', 'k');
    cmp_ok($ms, '>', 61_000, 'C15 it lives until nothing is counted');
    fresh();
}


# The same random operations on both sides; the state is the stored one

sub both {
    my ($what, $rounds, $rate, $step) = @_;
    my (@in, @got);

    for (1 .. $rounds) {
        my ($count, $period) = $rate->();
        my $op = (qw(l l l l t c b))[rand 7];
        my $cost = int rand 4;
        $now = $step->($now);

        my $r = do_all($op eq 'l' ? request(limit('q', 'quota', $count, $period, $cost))
                     : $op eq 't' ? taking('q', 'quota', $count, $period, $cost, 2)
                     : charging('q', 'quota', $count, $period, $cost, $op eq 'b'));

        # what is counted then, of an operation that tells nothing
        $r = '0 0 ' . join ' ', (split ' ', do_all(request(limit('q', 'quota', $count, $period, 0))))[2 .. 5]
            if $op =~ /[cb]/;
        $r =~ s/\A\d (\d)/$1 0/ if $op eq 'l';

        push @in, [$op, $count, $period, $cost, $now];
        push @got, $r;
    }

    my @want = $leaves->(@in);
    my @off;

    for my $i (0 .. $#in) {
        $want[$i] =~ s/\A(\d+ \d+ \d+ \d+) \d+/$1 0/ if $in[$i][0] =~ /[cb]/;
        push @off, "$i: @{$in[$i]}: $got[$i], not $want[$i]" if $got[$i] ne $want[$i];
    }

    is(join("\n", @off[0 .. ($#off > 3 ? 3 : $#off)]), '', "$rounds operations agree: $what");
    fresh();
}

sub quota_agrees {
    srand 21;
    both('within and between windows', 1500, sub { (20, 60) },
         sub { $_[0] + int rand(rand() < 0.1 ? 90 * $UNIT : 2 * $UNIT) });
    both('a period of a second', 800, sub { (5, 1) }, sub { $_[0] + int rand 200_000 });
    both('a year, and a large count', 500, sub { (1e9, 366 * 86400) },
         sub { $_[0] + int rand 5e12 });
    both('other numbers', 800, sub { (1 + int rand 30, 60) }, sub { $_[0] + int rand $UNIT });
}

sub quota_long {
    both('other periods that divide each other', 800,
         sub { (20, (60, 3600, 86400)[rand 3]) }, sub { $_[0] + int rand 50 * $UNIT });
    both('other periods', 800, sub { (20, 1 + int rand 1000) }, sub { $_[0] + int rand 20 * $UNIT });
}

sub quota_clock {
    both('C14 a clock that steps', 800, sub { (20, 60) }, sub {
        my $r = rand;
        return $_[0] + ($r < 0.03 ? -3600 * $UNIT : $r < 0.06 ? 3600 * $UNIT
                      : $r < 0.2 ? -int(rand 5 * $UNIT) : int rand 4 * $UNIT);
    });
    both('C14 and other periods', 800, sub { (20, (60, 77, 3600)[rand 3]) }, sub {
        my $r = rand;
        return $_[0] + ($r < 0.05 ? -3600 * $UNIT : $r < 0.1 ? 3600 * $UNIT
                      : $r < 0.2 ? -int(rand 100 * $UNIT) : int rand 40 * $UNIT);
    });

    my @k = ('k', 'quota', 2, 60);
    ask(@k) for 1 .. 2;
    $now -= 86400 * $UNIT;
    is(ask(@k), 0, 'C14 a day back: still spent');
    $now += 61 * $UNIT;
    is(ask(@k), 1, 'C14 but nobody is locked out');
    fresh();
}

sub quota_period {
    my @hour = ('k', 'quota', 4, 3600);
    my @minute = ('k', 'quota', 4, 60);

    ask(@minute) for 1 .. 3;
    is(used(@hour), 3, 'a longer period keeps what is spent');
    cmp_ok(cmd('PTTL', 'k'), '>', 3_600_000, 'C15 for longer, though only looked at');
    $now += 3600 * $UNIT;
    is(used(@hour), 3, 'for as long as the longer period');
    fresh();
}

sub take {
    my @b = ('b', 'bucket', 10, 60);

    is(do_all(taking(@b, 3, 100)), '3 3 6000000 6', 'those who wait, and half of what is left');
    is(do_all(taking(@b, 3, 1)), '3 0 9000000 9', 'no half of one');
    is(do_all(taking(@b, 3, 100)), '1 0 10000000 10', 'some of those who wait');
    is(do_all(taking(@b, 3, 100)), '0 0 10000000 10', 'none of them');
    is(do_all(taking('b', 'bucket', 5, 60, 1, 1)), '0 0 10000000 10', 'nor less than none');
    is(do_all(taking(@b, 0, 9)), '0 0 10000000 10', 'nobody waits');
    $now += 60 * $UNIT;
    is(do_all(taking(@b, 0, 9)), '0 5 5000000 15', 'the total goes on');

    my @q = ('q', 'quota', 10, 60);
    is(do_all(taking(@q, 3, 100)), '3 3 6 61000000 0 61000000', 'of a quota too');
    is(do_all(taking(@q, 9, 100)), '4 0 10 61000000 61000000 61000000', 'until nothing is left');
    is(join('|', do_all(taking('x', 'bucket', 9, 60, 4, 0), taking('x', 'bucket', 9, 60, 4, 9), taking('x', 'bucket', 9, 60, 4, 9))),
       '4 0 4000000 4|4 0 8000000 8|1 0 9000000 9', 'the same key three times in a call');
    fresh();
}

# a run decides and writes what takes of the same keys do

sub run {
    my ($wrong, $steps) = (0, 0);
    srand 7;
    cmd('SET', "$_:x", 'R' . pack('d<3', 5e6, $now - 1e6, 1e15), 'PX', 1e6) for 't', 'r';
    cmd('SET', "$_:y", 'foreign', 'PX', 1e6) for 't', 'r';
    for (1 .. 300) {
        my ($count, $period) = (1 + int rand 20, 1 + int rand 60);
        my %need = map { chr(97 + int rand 26) => 1 + int rand 5 } 0 .. rand 9;
        my @take = map { taking("t:$_", 'bucket', $count, $period, $need{$_}, 0) } sort keys %need;
        my @told = map { my @n = split; "@n[0, 2, 3]" } do_all(@take);
        my ($run) = do_all(running($count, $period, map { ("r:$_" => $need{$_}) } keys %need));
        $wrong += $run ne "@told";
        $wrong += cmd('GET', "t:$_") ne cmd('GET', "r:$_") || cmd('PTTL', "r:$_") < 0 for keys %need;
        $now += int rand 9 * $UNIT;
        $steps++;
    }
    is("$wrong of $steps", '0 of 300', 'a run: as so many takes, in verdict, state and TTL (C15)');
    fresh();
}

sub charge {
    my @b = ('b', 'bucket', 10, 60);
    my $see = sub { (do_all(charging(@b, @_), request(limit(@b, 0))))[1] };

    is($see->(2_500_000), '1 1 2500000 2', 'millionths are charged, whole ones are the total');
    is($see->(20_000_000), '1 1 22500000 22', 'whether they fit or not');
    is($see->(2_500_001, 1), '1 1 19999999 22', 'given back, the total stays');
    is($see->(9e15, 1), '1 1 0 22', 'never more than was spent');
    is($see->(9e15), '1 1 9000000000000000 9000000022', 'and never beyond what can be told');
    is($see->(9e15), '1 1 9000000000000000 18000000022', 'again');
    fresh();

    do_all(charging(@b, 5, 1), charging('q', 'quota', 1, 60, 5, 1));
    is(keys_now(), '', 'given back where nothing is: nothing is written');

    do_all(charging('q', 'quota', 5, 60, 7));
    is(used('q', 'quota', 5, 60), 7, 'a quota is charged in requests');
    do_all(charging('q', 'quota', 5, 60, 3, 1));
    is(used('q', 'quota', 5, 60), 4, 'and given back');
    do_all(charging('q', 'quota', 5, 60, 30, 1));
    is(used('q', 'quota', 5, 60), 0, 'all of it');
    fresh();
}

sub slots {
    my @k = ('c', 'slots', 3, 60);

    is(join('', map { ask(@k) } 1 .. 4), '1110', 'as many slots as there are');
    $holder = 'worker-2';
    is(ask(@k), 0, 'for all holders together');
    is(do_all(holding('c', 60_000, 1)), 4, 'what a holder says it holds is held');
    $holder = 'worker-1';
    is(do_all(holding('c', 60_000, 1)), 2, 'a holder sets its own');
    is(ask(@k), 1, 'one is free again');
    is(do_all(request(limit(@k, 0))), '1 1 3', 'to look takes none');
    is(do_all(holding('c', 60_000, 0)), 1, 'none any more');
    is(do_all(request(limit(@k, 2))), '1 1 3', 'two at once');
    fresh();

    $holder = "\0\0\0\0\0\0\0\0";
    is(ask(@k), 1, 'a holder of zeros');
    is(do_all(holding('c', 60_000, 5)), 5, 'finds its own among zeros of numbers');
    fresh();

    is(do_all(holding('c', 60_000, 0)), 0, 'nothing of nothing');
    is(keys_now(), '', 'writes nothing');
}

sub slots_expire {
    my @k = ('c', 'slots', 4, 60);

    do_all(holding('c', 30_000, 1));
    $holder = 'worker-2';
    ask(@k);
    $now += 29_999_999;
    is(used(@k), 2, 'held until the time is over');
    $now += 1;
    is(used(@k), 1, 'and no longer');
    ask(@k);
    $now += 59_999_999;
    is(used(@k), 2, 'taking one renews all of the holder');
    $now += 1;
    is(used(@k), 0, 'for 60 seconds');
    fresh();

    for (1 .. 200) {
        $holder = sprintf 'hold%04d', $_;
        do_all(holding('c', 1000 * $_, 1));
    }
    $now += 100 * $UNIT;
    is(used(@k), 100, 'of many each by its time');
    is(length cmd('GET', 'c'), 33 + 24 * 100, 'those gone are dropped');
    fresh();
}

sub slots_clock {
    my @k = ('c', 'slots', 1, 60);

    ask(@k);
    $now -= 3600 * $UNIT;
    is(ask(@k), 0, 'C14 an hour back: still taken');
    $now += 59_999_999;
    is(ask(@k), 0, 'C14 for what is left of its 60 seconds');
    $now += 1;
    is(ask(@k), 1, 'C14 and no longer');
    $now += 3600 * $UNIT;
    is(ask(@k), 1, 'C14 forward: free');
    fresh();
}

sub hold {
    for (1 .. 5) {
        $holder = "nginx-$_ ";
        is(do_all(holding('beat', 30_000, 1)), $_, "heartbeat $_");
    }
    $now += 20 * $UNIT;
    is(do_all(holding('beat', 30_000, 1)), 5, 'one again');
    $now += 20 * $UNIT;
    is(do_all(holding('beat', 30_000, 1)), 1, 'the others have stopped');
    fresh();
}

sub mixed {
    my @b = ('b', 'bucket', 5, 60);
    my @q = ('q', 'quota', 5, 60);
    my @c = ('c', 'slots', 5, 60);
    my @full = (['bf', 'bucket', 1, 60], ['qf', 'quota', 1, 60], ['cf', 'slots', 1, 60]);

    like(do_all(request(limit(@b), limit(@q), limit(@c))),
         qr/\A1 1 1000000 1 1 1 61000000 0 61000000 1 1\z/, 'C07 all kinds in a request are charged');
    ask(@$_) for @full;
    my %before = map { $_ => cmd('GET', $_) } split ' ', keys_now();

    for my $f (@full) {
        my ($first, $second) = do_all(request(limit(@b), limit(@q), limit(@c), limit(@$f)), request(limit(@b, 0), limit(@q, 0), limit(@c, 0)));

        like($first, qr/\A0 1 1000000 1 1 1 61000000 0 61000000 1 1 0 /, "C07 or none, if $f->[1] refuses");
        like($second, qr/\A1 1 1000000 1 1 1 61000000 0 61000000 1 1\z/, 'C07 and what follows sees none');
        is_deeply({ map { $_ => cmd('GET', $_) } split ' ', keys_now() }, \%before, 'C07 nothing is written');

        ($first) = do_all(request(limit(@$f), limit(@b), limit(@q), limit(@c)));
        like($first, qr/\A0 0 .* 1 1\z/, 'also where it stands first');

        $first = do_all(request(limit('n1', 'bucket', 9, 60), limit('n2', 'quota', 9, 60), limit('n3', 'slots', 9, 60), limit(@$f)));
        like($first, qr/\A0 1 0 0 1 0 0 0 0 1 0 0 /, 'of new keys');
        unlike(keys_now(), qr/n/, 'none is made');

        $first = do_all(request(limit(@$f, 1, 1), limit('m', 'bucket', 9, 60)));
        like($first, qr/\A1 0 .*1 1000000 1\z/, "C16 a monitored $f->[1] refuses nobody");
        cmd('DEL', 'm');
    }

    is(join('', map { (split)[0] } do_all(map { request(limit(@$_), limit(@$_)) } map { [$_->[0], $_->[1], 6, 60] } \@b, \@q, \@c)), '111',
       'a key twice in a request');
    is(join('', map { substr $_, 0, 1 } do_all(map { request(limit(@$_), limit(@$_), limit(@$_)) } \@b, \@q, \@c)), '000', 'is charged twice or not at all');
    is(join('', map { ask(@$_) } map { ($_) x 3 } \@b, \@q, \@c), '110' x 3, 'C09 two were left of each');

    my @r = do_all(map { request(limit('z' . $_->[1], @$_[1 .. 3])) } (\@b, \@q, \@c) x 6);
    is(join('', map { substr $_, 0, 1 } @r), '1' x 15 . '000', 'C09 later requests of a call see what earlier ones charged');
    fresh();
}

sub foreign {
    my ($inf, $nan) = (9**9**9, -sin 9**9**9);
    my $q = sub { 'Q' . pack('d<4', @_) . "\xff" x 244 };
    my $c = sub { 'C' . pack('d<4', @_[0 .. 3]) . join '', map { 'somebody' . pack 'd<2', @$_ } @_[4 .. $#_] };
    my $n = $NOW / $UNIT + 64;
    my @value = ('', 'x', 'Q', 'C', 'Q' x 277, 'C' x 33, 'C' x 57, "\xff" x 277, "\0" x 277, "\0" x 57,
        $q->($nan, $n, $n, 5), $q->(1e6, $nan, $n, 5), $q->(1e6, $n, $nan, 5), $q->(1e6, $n, $n, $nan),
        $q->($inf, $n, $n, 5), $q->(1e6, $inf, $inf, 5), $q->(1e6, $n, -$inf, 5), $q->(0, $n, $n, 5),
        $q->(-1e6, $n, $n, 5), $q->(1e6, $n, $n + 1, 5), $q->(1e6, $n, $n - 61, 5), $q->(1e300, 1, 1, 5),
        $q->(1.5, $n, $n, 5), $q->(1e6, $n + .5, $n, 5), $q->(1e6, $n, $n, -5), $q->(1e-300, $n, $n, 5),
        $c->($nan, $NOW + 1e7, $NOW + 1e7, $NOW), $c->(5, 0, 0, 0, [$nan, $NOW + 1e7]), $c->(5, 0, 0, 0, [5, $nan]),
        $c->(5, 0, 0, 0, [5, $inf]), $c->(5, 0, 0, 0, [$inf, $NOW + 1e7]), $c->(5, 0, 0, 0, [-5, $NOW + 1e7]),
        $c->($inf, $NOW + 1e7, $NOW + 1e7, $NOW), $c->(5, $nan, $nan, $nan), $c->(-5, $NOW + 1e7, $NOW + 1e7, $NOW),
        pack('d<4', 3 * $UNIT, $NOW, 3, 8_000_000_000_000_082));
    my @off;

    for my $v (@value) {
        for my $kind ('quota', 'slots') {
            cmd('SET', 'k', $v);
            my @got = map { substr $_, 0, 1 } do_all(request(limit('before', $kind, 3, 60)),
                map({ request(limit('k', $kind, 3, 60)) } 1 .. 4), request(limit('behind', $kind, 3, 60)));
            push @off, "$kind of " . unpack('H80', $v) . ": @got" if "@got" ne '1 1 1 1 0 1';
            push @off, "$kind of " . unpack('H80', $v) . ': lasts'
                if cmd('PTTL', 'k') > ($NOW / 1000 - time() * 1000) + 64_000;
            fresh();
        }
    }

    is(join("\n", @off), '', 'G11 whatever stands in a key is a new window, and the others do not notice');

    for my $wrong (['RPUSH', 'k', 'x'], ['HSET', 'k', 'a', 'b']) {
        cmd(@$wrong);
        is(join('', map { ask('k', 'quota', 1, 60) } 1, 2), '10', "G11 the type of $wrong->[0] is replaced by a quota");
        cmd('DEL', 'k');
        cmd(@$wrong);
        is(join('', map { ask('k', 'slots', 1, 60) } 1, 2), '10', "G11 the type of $wrong->[0] is replaced by slots");
        fresh();
    }

    my @kinds = map { ['k', $_, 2, 60] } qw(bucket quota slots);
    for my $x (@kinds) {
        for my $y (@kinds) {
            next if $x == $y;
            ask(@$x) for 1, 2;
            is(join('', map { ask(@$y) } 1 .. 3), '110', "a $y->[1] where a $x->[1] was is new");
            do_all(request(limit(@$x)), request(limit(@$y)), request(limit(@$x)), request(limit(@$y), limit(@$x), limit('z', 'bucket', 1, 60, 2)));
            fresh();
        }
    }
}


# Random calls of everything: what is admitted is what is charged

sub many {
    srand 23;
    my %charged;
    my @off;
    my %rate = map { my $k = $_; map { ("$k$_" => ["$k$_", $k, 40 * $_, 3600]) } 1 .. 3 } qw(bucket quota slots);
    my %n;

    for my $round (1 .. 300) {
        my (@op, @do);

        for (1 .. 1 + int rand 8) {
            my @l = map { $rate{$_} } grep { rand() < 0.3 } sort keys %rate;
            next if !@l;
            my @cost = map { int rand 3 } @l;
            push @op, request(map { limit(@{ $l[$_] }, $cost[$_]) } 0 .. $#l);
            push @do, [map { [$l[$_], $cost[$_]] } 0 .. $#l];
        }

        my @got = do_all(@op);

        for my $i (0 .. $#got) {
            my ($admitted, @rest) = split ' ', $got[$i];
            my $want = !grep { $_->[1] && ($charged{ $_->[0][0] } || 0) + $_->[1] > $_->[0][2] } @{ $do[$i] };
            push @off, "round $round, $i: $got[$i]" if $admitted != ($want ? 1 : 0);
            $n{$admitted}++;

            for my $l (@{ $do[$i] }) {
                my ($rate, $cost) = @$l;
                $charged{ $rate->[0] } += $cost if $admitted;
                my ($fits, $used) = splice @rest, 0, { bucket => 3, quota => 5, slots => 2 }->{ $rate->[1] };
                $used /= $UNIT if $rate->[1] eq 'bucket';
                push @off, "round $round, $i: $rate->[0] has $used, not " . ($charged{ $rate->[0] } || 0)
                    if $used != ($charged{ $rate->[0] } || 0);
            }
        }
    }

    is(join("\n", @off[0 .. ($#off > 3 ? 3 : $#off)]), '', 'random calls of all kinds charge what they admit');
    cmp_ok($n{1}, '>', 50, 'many admitted');
    cmp_ok($n{0}, '>', 50, 'many refused');
    fresh();
}
