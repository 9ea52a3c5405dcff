#!/usr/bin/perl

# What the proofs of exactness stand on: bounds that follow from when a request
# was sent and when it was seen, against hand-made floods, right and wrong ones.

use strict;
use warnings;

use Test::More;

use Readiness::Exact qw(excess in_flight room_left silences totals windows);

my %rate = (kind => 'rate', n => 10, period => 1, burst => 10);
my %quota = (kind => 'quota', n => 10, period => 1);

# a bucket that is asked all the time: ten, then one in each 0.1 s; each is seen
# 2 ms after it was sent

my @bucket = map { at($_ < 10 ? 0 : ($_ - 9) / 10) } 0 .. 109;
my @window = map { at(int($_ / 10) * 1.01) } 0 .. 99;
my @busy = map { refused($_ / 200 + 0.001) } 0 .. 2000;

is(excess(\%rate, @bucket), 0, 'as many as the bucket has');
is(sprintf('%.2f', excess(\%rate, @bucket, at(0))), '0.98',
    'one more in the burst, but for what refills in 2 ms');
is(sprintf('%.2f', excess(\%rate, @bucket[0 .. 59, 61 .. 109], at(5.05))),
    '0.48', 'one that came half of its time too early');
is(sprintf('%.2f', excess(\%rate, map { [$_->[0], $_->[0] + 0.2] } @bucket)),
    '0.00', 'what may have been decided later is not held against it');
is(excess(\%rate), 0, 'none');

is(excess(\%quota, @window), 0, 'as many as the quota has');
is(excess(\%quota, @window, at(0.7)), 1, 'one more in a period');
is(excess(\%quota, map { at(int($_ / 10) * 0.99) } 0 .. 99), 10,
    'periods that are too short');
is(excess(\%quota, map { at(0.9) } 1 .. 20), 10, 'two at a border');

my @seen = reverse @bucket;
ok(!room_left(\%rate, refused(0.05), @seen), 'refused as the burst was spent');
ok(!room_left(\%rate, refused(4.95), @seen), 'refused between two permits');
ok(!room_left(\%rate, refused(5), @seen), 'refused while one was charged');
ok(room_left(\%rate, refused(4.95), @seen[0 .. 59, 61 .. 109]),
    'refused though one was left');
ok(room_left(\%rate, refused(4.95)), 'refused though none was charged');
ok(room_left(\%rate, refused(20), @seen), 'refused after a rest');

@seen = reverse @window;
ok(!room_left(\%quota, refused(0.9), @seen), 'refused within a period');
ok(!room_left(\%quota, refused(1.01), @seen), 'refused 1/60 of it later');
ok(room_left(\%quota, refused(10.2), @seen), 'refused in a new period');
ok(room_left(\%quota, refused(0.9), @seen[0 .. 98]), 'refused as the tenth');

is_deeply([totals(\%rate, 9.95, 10.05)], [109, 110], 'sums of a rate');
is_deeply([totals(\%rate, 9.95, 10.05, 0.9)], [109, 110],
    'a silence that the bucket bridges');
is_deeply([totals(\%rate, 9.95, 10.05, 1.1, 0.2)], [107, 110],
    'one that it does not');
is_deeply([totals(\%quota, 9.95, 10.05)], [90, 110], 'sums of a quota');
is_deeply([totals(\%quota, 9.95, 10.05, 0.3)], [70, 110],
    'of one that was not asked in time');
is(join(' ', map { sprintf '%.3f', $_ } silences(at(1), at(3), at(2.5))),
    '1.502 0.502', 'silences');

is(join(' ', map { defined ? $_ : '-' } windows(\%rate, \@bucket, \@busy)),
    join(' ', (10) x 9), 'ten in each window');
is((windows(\%rate, [@bucket, at(3.7)], \@busy))[3], 11, 'one more in one');
my @blind = grep { $_->[0] < 3 || $_->[0] > 4.2 } @busy;
is((windows(\%rate, \@bucket, \@blind))[3], undef,
    'a border that nobody saw');

is(in_flight(0.5, map { at($_ / 10) } 0 .. 40), 5, 'five in flight');
is(in_flight(0.5, (map { at($_ / 10) } 0 .. 40), at(2.01)), 6, 'one more');

done_testing();

sub at { return [$_[0] - 0.001, $_[0] + 0.001] }
sub refused { return [$_[0] - 0.001, $_[0] + 0.001] }
