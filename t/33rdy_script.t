#!/usr/bin/perl

# The script in a real Redis: what one call decides, and what it leaves behind.
# Where the time matters it is given to the script instead of taken from TIME.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin qw($Bin);
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(time usleep);

my $UNIT = 1_000_000;
my $CALL = "\0\r\n\xff\x80*\$1";
my $HOLDER = 'worker 1';
my $NOW = 4_000_000_000_000_000;      # to come: a key with a time of the past is gone at once

my $dir = tempdir(CLEANUP => 1);
my $arithmetic = build();
my $pid = start();
my $sock = connected();

my $script = `$dir/helper script`;
my $sha = cmd('SCRIPT', 'LOAD', $script);
my $timed = $script;

ok($timed =~ s/call\('TIME'\)/{ARGV[3], ARGV[4]}/, 'the script asks the time once');
unlike($timed, qr/TIME/, 'and not again');
my $timed_sha = cmd('SCRIPT', 'LOAD', $timed);

echo();
burst();
refill();
together();
twice();
taken_back();
looking();
monitor();
numbers();
clock();
foreign();
largest();
full_call();
ttl();
slower();
agreement();
model();

kill 'TERM', $pid;
waitpid $pid, 0;
undef $pid;

done_testing();


END { kill 'KILL', $pid if $pid }


# ---- the machinery ---------------------------------------------------------

# A helper in C: prints the script, or does the arithmetic for each line

sub build {
    my $src = "$Bin/../src";

    open my $f, '>', "$dir/helper.c" or die "helper.c: $!";
    print $f <<'C';
#include <stdio.h>
#include "limit/rdy_batch.h"

int
main(int argc, char **argv)
{
    uint64_t         cost, now;
    rdy_rate_t       r = { 0 };
    rdy_uint_t       fits;
    rdy_bucket_t     b;
    rdy_rate_view_t  view;

    if (argc > 1) {
        return fwrite(rdy_batch_script.data, 1, rdy_batch_script.len, stdout)
               != rdy_batch_script.len;
    }

    while (scanf("%lu %lu %lu %lu %lu %lu %lu", &r.count, &r.period, &r.burst,
                 &cost, &b.spent, &b.at, &now) == 7)
    {
        rdy_rate_drain(&r, &b, now);
        fits = rdy_rate_fits(&r, &b, cost);

        if (fits) {
            rdy_rate_charge(&b, cost);
        }

        rdy_rate_view(&r, &b, cost, &view);
        printf("%d %lu %lu %lu\n", (int) fits, b.spent, b.at, view.full);
    }

    return 0;
}
C
    close $f;

    my $cc = $ENV{CC} || 'cc';
    my @c = map { "$src/limit/rdy_$_.c" } qw(rate batch script);

    plan(skip_all => 'no compiler')
        if system("$cc -O1 -DRDY_STANDALONE -I$src -o $dir/helper $dir/helper.c @c") != 0;

    return sub {
        open my $in, '>', "$dir/in" or die "in: $!";
        print $in map { "@$_\n" } @_;
        close $in;
        return map { [split] } `$dir/helper < $dir/in`;
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
    return "ERROR $rest" if $type eq '-';
    return [map { reply() } 1 .. $rest] if $type eq '*';
    return if $rest == -1;

    my $bulk = '';
    while (length $bulk < $rest + 2) {
        read $sock, $bulk, $rest + 2 - length $bulk, length $bulk or die 'cut bulk';
    }

    return substr $bulk, 0, $rest;
}


# limit(KEY, COUNT, PERIOD, BURST, [COST, [MONITOR]])

sub limit {
    my ($key, $count, $period, $burst, $cost, $monitor) = @_;
    return { key => $key, n => [$count, $period, $burst], cost => $cost // 1,
             monitor => $monitor || 0 };
}


# decide(TIME or undef, REQUEST, ...), each a list of limits; gives for each
# request {admitted, fits => [], spent => []}

sub decide {
    my ($now, @requests) = @_;

    my @limits = map { @$_ } @requests;
    my $packed = $HOLDER;

    for my $r (@requests) {
        $packed .= pack 'C', scalar @$r;
        $packed .= pack 'd<4C', @{ $_->{n} }, $_->{cost}, $_->{monitor} for @$r;
    }

    my @time = defined $now ? (int $now / $UNIT, $now % $UNIT) : ();
    my $got = cmd('EVALSHA', $now ? $timed_sha : $sha, scalar @limits,
                  map({ $_->{key} } @limits), $CALL, $packed, @time);

    return $got if $got =~ /^ERROR/;

    my @out;
    my $pos = 8;

    for my $r (@requests) {
        my %v = (admitted => unpack 'C', substr $got, $pos++, 1);

        for (@$r) {
            my ($fits, $spent, $total) = unpack 'Cd<d<', substr $got, $pos, 17;
            push @{ $v{fits} }, $fits;
            push @{ $v{spent} }, whole($spent);
            push @{ $v{total} }, $total;
            $pos += 17;
        }

        push @out, \%v;
    }

    die 'reply of another length' if $pos != length $got;
    die 'reply of another call' if substr($got, 0, 8) ne $CALL;

    return wantarray ? @out : $out[0];
}


sub admitted { return join '', map { $_->{admitted} } decide(@_) }
sub fresh    { cmd('FLUSHALL'); return }
sub stored   { return map { whole($_) } unpack 'd<*', cmd('GET', $_[0]) // return }
sub whole    { return sprintf '%.0f', $_[0] }
sub keys_now { return join ' ', sort @{ cmd('KEYS', '*') } }

sub store {
    my ($key, $spent, $at) = @_;
    return cmd('SET', $key, bucket($spent, $at), 'PX', 3600_000);
}

sub bucket {
    my ($spent, $at, $total, $ends) = @_;
    return pack 'd<4', $spent, $at, $total // 0, $ends // 8_000_000_000_000_082;
}

sub without_ttl { return grep { cmd('PTTL', $_) < 1 } @{ cmd('KEYS', '*') } }


# ---- the facts -------------------------------------------------------------

sub echo {
    my $got = cmd('EVALSHA', $sha, 1, 'k', $CALL, $HOLDER . pack 'Cd<4C', 1, 1, 1, 1, 1, 0);

    is(substr($got, 0, 8), $CALL, 'the number of the call comes back whatever its bytes');
    is(length $got, 8 + 1 + 17, 'then one verdict and one limit');
    fresh();
}


sub burst {
    my @r = map { [limit('k', 60, 60, 3)] } 1 .. 5;

    is(join('', map { admitted($NOW, $_) } @r), '11100', 'burst counts the first request');

    my $v = decide($NOW, [limit('k', 60, 60, 3)]);
    is("@{$v->{fits}} @{$v->{spent}}", '0 ' . 3 * $UNIT, 'a refusal tells what is spent');

    $v = decide($NOW, [limit('other', 60, 60, 3)]);
    is("@{$v->{fits}} @{$v->{spent}}", "1 $UNIT", 'and so does an admission, after it');
    fresh();
}


sub refill {
    my @r = [limit('k', 20, 1, 2)];

    is(admitted(undef, @r, @r, @r), '110', 'by the time of Redis');

    my $got = '';
    for (1 .. 500) {
        $got = admitted(undef, @r);
        last if $got eq '1';
        usleep 10_000;
    }
    is($got, '1', 'one more fits when one has drained');
    fresh();
}


sub together {
    decide($NOW, [limit('b', 1, 60, 1)]);
    my $before = cmd('GET', 'b');

    cmd('PEXPIRE', 'b', 5_000_000);
    my $v = decide($NOW, [limit('a', 9, 60, 9), limit('b', 1, 60, 1), limit('c', 9, 60, 9)]);

    is($v->{admitted}, 0, 'C07 one limit that does not fit refuses the request');
    is("@{$v->{fits}}", '1 0 1', 'C07 each limit tells whether it fitted');
    is("@{$v->{spent}}", "0 $UNIT 0", 'C07 and what is spent without the request');
    is(keys_now(), 'b', 'C07 no limit of a refused request is charged');
    is(cmd('GET', 'b'), $before, 'C07 a refused request writes nothing');
    cmp_ok(cmd('PTTL', 'b'), '>', 4_000_000, 'C07 not even a TTL');

    $v = decide($NOW, [limit('a', 9, 60, 9), limit('c', 9, 60, 9)]);
    is("$v->{admitted} @{$v->{fits}} @{$v->{spent}}", "1 1 1 $UNIT $UNIT",
       'C07 all limits of an admitted request are charged');
    is(keys_now(), 'a b c', 'C07 and written');
    fresh();
}


sub twice {
    my @r = map { [limit('k', 60, 60, 3)] } 1 .. 5;

    is(admitted($NOW, @r), '11100', 'C09 a key that stands in a call again finds what was charged');
    is((stored('k'))[0], 3 * $UNIT, 'and is written once, as it is at the end');

    @r = map { [limit("a$_", 60, 60, 9), limit('shared', 60, 60, 2)] } 1 .. 4;
    is(admitted($NOW, @r), '1100', 'so does one shared by requests of several limits');
    is(keys_now(), 'a1 a2 k shared', 'only those admitted are written');

    is(admitted($NOW, [limit('d', 60, 60, 3), limit('d', 60, 60, 3)],
                [limit('d', 60, 60, 3), limit('d', 60, 60, 3)]),
       '10', 'a key twice in one request is charged twice');
    is((stored('d'))[0], 2 * $UNIT, 'or not at all');
    fresh();
}


sub taken_back {
    my @v = decide($NOW, [limit('a', 60, 60, 9, 2)],
                   [limit('a', 60, 60, 9, 4), limit('b', 60, 60, 9, 1), limit('c', 60, 60, 1, 2)],
                   [limit('a', 60, 60, 9, 3)]);

    is(join('', map { $_->{admitted} } @v), '101', 'one refusal among three requests');
    is("@{$v[1]{spent}}", 2 * $UNIT . ' 0 0', 'takes back its own charges');
    is((stored('a'))[0], 5 * $UNIT, 'and leaves those of the others');
    is(keys_now(), 'a', 'nothing else is written');

    fresh();
    decide($NOW, [limit('a', 60, 60, 9, 2)], [limit('a', 60, 60, 9), limit('c', 60, 60, 1, 2)]);
    is((stored('a'))[0], 2 * $UNIT, 'an earlier charge is written though a later one is taken back');
    fresh();
}


sub looking {
    my $v = decide($NOW, [limit('k', 60, 60, 3, 0)]);

    is("$v->{admitted} @{$v->{fits}} @{$v->{spent}}", '1 1 0', 'C10 cost 0 fits');
    is(keys_now(), '', 'C10 and writes nothing');

    decide($NOW, [limit('k', 60, 60, 3, 3)]);
    my $before = cmd('GET', 'k');
    $v = decide($NOW + $UNIT, [limit('k', 60, 60, 3, 0)]);
    is("$v->{admitted} @{$v->{fits}} @{$v->{spent}}", '1 1 ' . 2 * $UNIT, 'C10 it sees what has drained');
    is(cmd('GET', 'k'), $before, 'C10 and leaves the bucket alone');

    $v = decide($NOW, [limit('x', 60, 60, 3, 4)]);
    is("$v->{admitted} @{$v->{fits}} @{$v->{spent}}", '0 0 0', 'a cost over the burst never fits');
    is(keys_now(), 'k', 'and writes nothing');

    is(admitted($NOW, [limit('y', 60, 60, 3, 3)], [limit('y', 60, 60, 3)]), '10',
       'a cost of the whole burst fits once');
    fresh();
}


sub monitor {
    decide($NOW, [limit('m', 60, 60, 1)]);
    my $before = cmd('GET', 'm');
    my $v = decide($NOW, [limit('m', 60, 60, 1, 1, 1), limit('k', 60, 60, 2)]);

    is("$v->{admitted} @{$v->{fits}}", '1 0 1', 'C16 a monitored limit that is over refuses nobody');
    is(cmd('GET', 'm'), $before, 'C16 and is not charged');
    is((stored('k'))[0], $UNIT, 'C16 the others are');

    $v = decide($NOW, [limit('n', 60, 60, 1, 1, 1), limit('k', 60, 60, 2)]);
    is((stored('n'))[0], $UNIT, 'C16 one that fits is charged');

    $v = decide($NOW, [limit('o', 60, 60, 1, 1, 1), limit('m', 60, 60, 1, 1, 1), limit('k', 60, 60, 2)]);
    is("$v->{admitted} @{$v->{fits}} @{$v->{spent}}", "0 1 0 0 0 $UNIT " . 2 * $UNIT,
       'C16 but not if another limit refuses');
    is(keys_now(), 'k m n', 'C16 nothing is written then');
    fresh();
}


sub numbers {
    decide($NOW, [limit('k', 10, 60, 10, 10)]);

    my $v = decide($NOW, [limit('k', 100, 60, 100, 5)]);
    is("$v->{admitted} @{$v->{spent}}", '1 ' . 15 * $UNIT, 'new numbers apply at once, what was spent stays');

    $v = decide($NOW, [limit('k', 10, 60, 10)]);
    is("$v->{admitted} @{$v->{spent}}", '0 ' . 15 * $UNIT, 'also when they are smaller');

    is(admitted($NOW + 36 * $UNIT - 1, [limit('k', 10, 60, 10)]), '0', 'and it has to drain');
    is(admitted($NOW + 36 * $UNIT, [limit('k', 10, 60, 10)]), '1', 'to the microsecond');
    fresh();
}


sub clock {
    store('k', 3 * $UNIT, $NOW + 3600 * $UNIT);

    is(admitted($NOW, [limit('k', 60, 60, 3)]), '0', 'C14 a clock set back drains nothing');

    store('k', 3 * $UNIT, $NOW + 3600 * $UNIT);
    my $v = decide($NOW, [limit('k', 60, 60, 5)]);
    is("$v->{admitted} @{$v->{spent}}", '1 ' . 4 * $UNIT, 'C14 keeps what was spent');
    is((stored('k'))[1], $NOW, 'C14 and goes on from the new time: nobody is locked out');

    store('k', 3 * $UNIT, $NOW);
    is(admitted($NOW + 10 * 365 * 86400 * $UNIT, map { [limit('k', 60, 60, 3)] } 1 .. 5), '11100',
       'C14 ten years forward give one burst');
    fresh();
}


sub foreign {
    my $inf = 9**9**9;
    my $nan = -sin $inf;
    my $b = \&bucket;
    my $old = sub { pack 'ad<d<d<', @_, 8e15 };
    my %value = (
        'nothing'        => '',                    'a word'          => 'foreign',
        'a number'       => '1234567890123456789012345',
        'a long number'  => '12345678901234567890123456789012',
        'a hash of hex'  => '9b74c9897bac770ffc029102a200c5de',
        'another tag'    => $b->(5, $NOW, 0, 8_000_000_000_000_083),
        'another old tag' => $old->('S', 5, $NOW),
        'a byte less'    => substr($b->(5 * $UNIT, $NOW), 0, 31),
        'a byte more'    => $b->(5 * $UNIT, $NOW) . 'x',
        'an old one cut' => substr($old->('R', 5 * $UNIT, $NOW), 0, 24),
        'a million bytes' => 'R' x 1_000_000,      'spent NaN'       => $b->($nan, $NOW),
        'spent -1'       => $b->(-1, $NOW),        'spent infinite'  => $b->($inf, $NOW),
        'spent 1e300'    => $b->(1e300, $NOW),     'spent -infinite' => $b->(-$inf, $NOW),
        'at NaN'         => $b->(5 * $UNIT, $nan),
        'at -1'          => $b->(5 * $UNIT, -1),
        'at -infinite'   => $b->(5 * $UNIT, -$inf),
        'total NaN'      => $b->(5 * $UNIT, $NOW, $nan),
        'total infinite' => $b->(5 * $UNIT, $NOW, $inf),
        'total -1'       => $b->(5 * $UNIT, $NOW, -1),
        'end NaN'        => $b->(5 * $UNIT, $NOW, 0, $nan),
        'end infinite'   => $b->(5 * $UNIT, $NOW, 0, $inf),
        'old spent NaN'  => $old->('R', $nan, $NOW),
        'old at -1'      => $old->('R', 5 * $UNIT, -1),
    );
    my @r = ([limit('before', 60, 60, 3)], [limit('k', 60, 60, 3)], [limit('behind', 60, 60, 3)]);

    for my $what (sort keys %value) {
        cmd('SET', 'k', $value{$what});
        is(join(' ', map { "$_->{admitted} @{$_->{spent}}" } decide($NOW, @r)),
           "1 $UNIT 1 $UNIT 1 $UNIT", "G11 $what in a key is a new bucket");
        is_deeply([(stored('k'))[0, 1]], [$UNIT, $NOW], "G11 $what is replaced");
        is(without_ttl(), 0, "G11 $what leaves no key without TTL");
        fresh();
    }

    for (['RPUSH', 'k', 'x'], ['HSET', 'k', 'a', 'b'], ['SADD', 'k', 'x'], ['ZADD', 'k', 1, 'x'],
         ['XADD', 'k', '*', 'a', 'b'])
    {
        cmd(@$_);
        is(admitted($NOW, @r), '111', "G11 the type of $_->[0] in a key is a new bucket");
        is_deeply([(stored('k'))[0, 1]], [$UNIT, $NOW], "G11 the type of $_->[0] is replaced");
        is(without_ttl(), 0, "G11 the type of $_->[0] leaves no key without TTL");
        fresh();
    }

    cmd('SET', 'k', $old->('R', 2 * $UNIT, $NOW - $UNIT));
    is(join(' ', map { "@{$_->{spent}} @{$_->{total}}" } decide($NOW, [limit('k', 1, 1, 3)])),
       2 * $UNIT . ' 1', 'a bucket of the older form is understood');
    is_deeply([stored('k')], [2 * $UNIT, $NOW, 1, (stored('k'))[3]], 'and written in the newer one');
    is(without_ttl(), 0, 'C15 with a TTL');

    store('k', 3 * $UNIT, $inf);
    is(admitted($NOW, @r), '101', 'G11 an infinite time is now');

    decide($NOW, @r);
    fresh();
    is(admitted($NOW, @r), '111', 'G11 FLUSHALL starts new buckets');
    fresh();
}


sub largest {
    my $year = 366 * 86400;
    my $v = decide($NOW, [limit('k', 1, $year, 1e9, 1e9)]);

    is("$v->{admitted} @{$v->{spent}}", '1 1000000000000000', 'the longest time to full is accepted');
    is(without_ttl(), 0, 'and has a TTL');

    $v = decide($NOW, [limit('f', 1e9, 1, 1e9, 1e9)], [limit('f', 1e9, 1, 1e9)]);
    is($v->{admitted}, 1, 'the fastest rate');
    is(without_ttl(), 0, 'the fastest has one, too');
    fresh();
}


sub full_call {
    my @r = map { [limit("k$_", 60, 60, 3)] } 1 .. 128;

    is(admitted($NOW, @r), '1' x 128, '128 requests in a call');
    is(admitted($NOW, [map { @$_ } @r[0 .. 127]]), '1', '128 limits of one request');
    is(cmd('DBSIZE'), 128, 'are 128 keys');
    is(join(' ', map { (stored("k$_"))[0] } 1, 64, 128), join(' ', (2 * $UNIT) x 3), 'all charged');
    fresh();
}


# The TTL of a bucket is made for the numbers of its last charge.

sub slower {
    decide(undef, [limit('s', 20, 5, 20, 20)]);
    my $ms = cmd('PTTL', 's');
    cmp_ok($ms, '<=', 9500, 'a bucket lives about as long as it drains');

    my $v = decide(undef, [limit('s', 20, 86400, 20, 1)]);
    is($v->{admitted}, 0, 'slower numbers refuse');
    $ms = cmd('PTTL', 's');
    cmp_ok($ms, '>', 80_000_000, 'and what was spent is kept for as long as it now drains');

    my $value = cmd('GET', 's');
    decide(undef, [limit('s', 20, 86400, 20, 1)]);
    is(cmd('GET', 's'), $value, 'which is written once');
    fresh();

    decide(undef, [limit('s', 20, 5, 20, 20)]);
    decide(undef, [limit('s', 20, 86400, 20, 0)]);
    cmp_ok(cmd('PTTL', 's'), '>', 80_000_000, 'also when it is only looked at');
    fresh();

    decide(undef, [limit('s', 20, 5, 20, 10)], [limit('full', 1, 86400, 1, 1)]);
    decide(undef, [limit('s', 20, 86400, 20, 1), limit('full', 1, 86400, 1, 1)]);
    cmp_ok(cmd('PTTL', 's'), '>', 40_000_000, 'and when another limit refuses');
    fresh();
}


sub ttl {
    my @ms = map {
        decide(undef, [limit('t', @$_)]);
        my $ms = cmd('PTTL', 't');
        fresh();
        $ms
    } [60, 60, 10, 7], [100, 1, 100, 1], [1, 86400, 1, 1], [1000, 1, 1000, 1], [1e9, 1, 10, 1];

    cmp_ok($ms[0], '<=', 12_500, 'C15 a key lives half as long again as its bucket takes to fill');
    cmp_ok($ms[0], '>', 7000, 'C15 and no less than that');
    cmp_ok($ms[1], '<=', 2015, 'C15 a fast one shortly');
    cmp_ok($ms[2], '>', 86_399_000, 'C15 a slow one long');
    cmp_ok($ms[3], '!=', -1, "C15 a very fast one has a TTL or is gone ($_)") for $ms[3];
    cmp_ok($ms[4], '!=', -1, "C15 the fastest too ($_)") for $ms[4];

    srand 7;
    my $bad = 0;

    for (1 .. 300) {
        my @r = map {
            [map { limit('key' . int rand 30, 1 + int rand 1000, 1 + int rand 3600, 1 + int rand 1000,
                         int rand 20, rand() < 0.2) } 1 .. 1 + int rand 3]
        } 1 .. 1 + int rand 10;

        decide(undef, @r);
        $bad += grep { cmd('PTTL', $_) == -1 } @{ cmd('KEYS', '*') };
    }

    is($bad, 0, 'C15 no key is ever without TTL');
    fresh();
}


# Each operation from a bucket of its own, so that differences cannot add up

sub agreement {
    srand 11;
    my (@in, @got);

    for (1 .. 2000) {
        my $count = 1 + int rand 10**(1 + int rand 9);
        my $period = 1 + int rand(rand() < 0.5 ? 3600 : 366 * 86400);
        redo if $count * $period > 9e15;

        my $burst = rand() < 0.5 ? $count : 1 + int rand 1e9;
        my $cost = rand() < 0.5 ? int rand 3 : int rand $burst * 1.2;
        my $spent = int rand(rand() < 0.8 ? $burst * $UNIT : 9e15);
        my $dt = int rand(rand() < 0.5 ? $spent / $count * $period * 1.1 : 10**int rand 15);
        $dt = int rand 1e15 if $dt > 1e15;

        my $at = $NOW - $dt;
        store('k', $spent, $at);

        my $v = decide($NOW, [limit('k', $count, $period, $burst, $cost)]);
        my ($s, $a) = $v->{admitted} && $cost ? (stored('k'))[0, 1] : ();

        push @in, [map { whole($_) } $count, $period, $burst, $cost, $spent, $at, $NOW];
        push @got, [$v->{fits}[0], $v->{spent}[0], $s, $a];
    }

    my @want = $arithmetic->(@in);
    my (%n, @off);

    for my $i (0 .. $#in) {
        my ($fits, $spent, $s, $at) = @{ $got[$i] };
        my ($count, $period, $burst, $cost) = @{ $in[$i] };
        my ($w_fits, $w_spent, $w_at) = @{ $want[$i] };

        # where a millionth decides, either verdict is right
        my $edge = abs(($w_fits ? $w_spent : $w_spent + $cost * $UNIT) - $burst * $UNIT) <= 1;

        next if $edge && $fits != $w_fits;

        $n{$fits ? 'fits' : 'does not'}++;
        push @off, "@{$in[$i]}: $fits $spent, not $w_fits $w_spent"
            if $fits != $w_fits || abs($spent - $w_spent) > 1;

        next if !defined $s;
        push @off, "@{$in[$i]}: stored $s $at, not $w_spent $w_at"
            if $s != $spent || abs($at - $w_at) > 1;
    }

    is("@off[0 .. ($#off > 4 ? 4 : $#off)]", '', '2000 random operations agree within a millionth');
    cmp_ok($n{fits}, '>', 500, 'of which many fit');
    cmp_ok($n{'does not'}, '>', 300, 'and many do not');
    fresh();
}


# Random calls of many requests, against the rules written down once more

sub model {
    srand 13;
    my %bucket;
    my $now = $NOW;
    my @off;
    my %n;

    for my $round (1 .. 400) {
        $now += int rand(rand() < 0.3 ? 20 * $UNIT : 1000);

        my @r = map {
            [map { limit("k$_", 10 * $_, 7, 5 * $_, int rand 4, rand() < 0.2 ? 1 : 0) }
             grep { rand() < 0.4 } 1 .. 4]
        } 1 .. 1 + int rand 8;
        @r = grep { @$_ } @r or next;

        my @v = decide($now, @r);
        my %work = map { $_ => [@{ $bucket{$_} }] } keys %bucket;

        for my $i (0 .. $#r) {
            my %after = map { $_ => [@{ $work{$_} }] } keys %work;
            my @charged;
            my $admit = 1;
            my @fits;

            for my $l (@{ $r[$i] }) {
                my ($count, $period, $burst) = @{ $l->{n} };
                my $b = $after{ $l->{key} } ||= [0, $now];
                my $parts = ($now - $b->[1]) * $count;
                my $drain = int $parts / $period;

                @$b = $drain >= $b->[0] ? (0, $now)
                    : ($b->[0] - $drain, $now - int(($parts - $drain * $period) / $count));
                $work{ $l->{key} } = [@$b];

                push @fits, $l->{cost} == 0 || $b->[0] + $l->{cost} * $UNIT <= $burst * $UNIT ? 1 : 0;
                if ($fits[-1] && $l->{cost}) {
                    $b->[0] += $l->{cost} * $UNIT;
                    push @charged, $l->{key};
                }

                $admit = 0 if !$fits[-1] && !$l->{monitor};
            }

            %work = %after if $admit;
            $bucket{$_} = $work{$_} for $admit ? @charged : ();
            $n{$admit}++;

            my @spent = map { $work{ $_->{key} }[0] } @{ $r[$i] };
            my $want = "$admit @fits @spent";
            my $got = "$v[$i]{admitted} @{$v[$i]{fits}} @{$v[$i]{spent}}";
            push @off, "round $round request $i: $got, not $want" if $got ne $want;
        }
    }

    is("@off[0 .. ($#off > 2 ? 2 : $#off)]", '', 'random calls decide by the rules');
    cmp_ok($n{0}, '>', 100, 'many refused');
    cmp_ok($n{1}, '>', 100, 'many admitted');
    is(without_ttl(), 0, 'C15 and no key without TTL');
    fresh();
}
