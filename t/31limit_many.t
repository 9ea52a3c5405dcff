#!/usr/bin/perl

# More keys than the zone has room for: memory is bounded, full buckets go
# first, then those of the rate that holds most; nothing breaks.  C02, H06.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF', workers => 2)->run;
readiness_zone 512k;

readiness_rate slow key=$arg_k rate=5r/d;
readiness_rate flood key=$arg_k rate=5r/d;
readiness_rate free key=$arg_k rate=1000000r/s;
readiness_rate half key=$arg_k rate=5r/d;

readiness on;
readiness_problem off;
keepalive_requests 1000000;

server {
    listen 127.0.0.1:%%PORT0%%;
    location /slow { readiness_limit slow; empty_gif; }
    location /flood { readiness_limit flood; empty_gif; }
    location /half { readiness_limit half; empty_gif; }
    location /free { readiness_limit free; empty_gif; }
}
CONF

my @worker = $t->workers;
my %rss = map { $_ => $t->rss($_) } @worker;

# buckets that are full again by the time a cell is wanted

spend($_) for 'a' .. 'j';
is(many('/free', 20_000), 20_000, 'C02: 20 000 keys that refill at once');
is(join(' ', map { left("/slow?k=$_") } 'a' .. 'j'),
    join(' ', map { 1 } 1 .. 10),
    'H06: full buckets are reused first: nothing that was spent is lost');

# also when they are fewer than the others: some 3000 buckets have room

is(many('/half', 2_500), 2_500, '2 500 keys that do not refill');
is(left('/half?k=x0'), 3, 'H06: the first of them is still known');

# buckets that are not: the rate that holds most pays

is(many('/flood', 100_000), 100_000, 'C02: 100 000 keys that do not');
is(join(' ', map { left("/slow?k=$_") } 'a' .. 'j'),
    join(' ', map { 0 } 1 .. 10),
    'H06: a flood of keys of one rate costs another rate nothing');

is(left('/flood?k=x99999'), 3, 'H06: the last of the flood is known');
is(left('/flood?k=x0'), 4, 'C02: the first is forgotten: a new window');

# a rate fights itself only

spend('z', '/flood');
many('/flood', 100, 'y');
is(left('/flood?k=z'), 1, 'H06: the least recently used goes first');

is(join(' ', sort $t->workers), join(' ', sort @worker), 'no worker was lost');

for (@worker) {
  SKIP: {
        skip('a sanitizer keeps what was freed', 1)
            if $t->built =~ /-fsanitize/;
        my $grown = $t->rss($_) - $rss{$_};
        cmp_ok($grown, '<', 4096, "C02: a worker has grown by $grown kB")
    }
}

ok($t->reload, 'H06: reloaded while full');
is(left('/flood?k=x99999'), 2, 'and what is known is known still');

my ($code, $text) = $t->nginx_t(<<'CONF');
readiness_zone 16k;
readiness_rate a key=$arg_k rate=5r/d;
server { listen 127.0.0.1:%%PORT0%%; readiness on; readiness_limit a; }
CONF
ok($code && $text =~ /readiness_zone/, 'H06: a zone without room is refused')
    or diag($text);

$t->done;


sub left {
    my ($uri) = @_;
    my ($n) = ($t->get($uri)->header('RateLimit') || '') =~ /r=(\d+)/;
    return defined $n ? $n : 'none';
}

sub spend {
    my ($key, $uri) = @_;
    $t->get(($uri || '/slow') . "?k=$key") for 1 .. 3;
    return;
}


# That many keys by four pipelined connections: how many were answered 200.

sub many {
    my ($uri, $n, $mark) = @_;
    my @c = map { $t->conn(timeout => 60) } 1 .. 4;
    my ($i, $ok) = (0, 0);
    $mark ||= 'x';

    while ($i < $n) {
        for my $c (@c) {
            my $to = $i + 250 < $n ? $i + 250 : $n;
            $c->{asked} = $to - $i;
            $c->write(join '', map { "GET $uri?k=$mark$_ HTTP/1.1\r\n"
                                     . "Host: a\r\n\r\n" } $i .. $to - 1);
            $i = $to;
        }

        for my $c (@c) {
            my $in = '';
            my $left = $c->{asked};

            # each answer is a small image, which ends so

            while ($left > 0) {
                $c->fill(now() + 60) or last;
                $in .= $c->{in};
                $c->{in} = '';
                $left -= ($in =~ s/^.*?\r\n\r\nGIF89a.{36};//s) while
                    $in =~ /\r\n\r\nGIF89a.{36};/s;
            }

            $ok += $c->{asked} - $left;
        }
    }

    $_->close for @c;
    return $ok;
}
