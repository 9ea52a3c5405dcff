#!/usr/bin/perl

# The name of Redis cannot be resolved, or means something else now: each
# policy's own verdict, on both protocols, and Redis' again as soon as it is
# over; what was known of it is used as long as it is good.  G12.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Faults;

my $t = Readiness->new;
my $fake = $t->fake;
my $port = $fake->port;
my $dns = $t->dns;

$dns->set(silent => 1);

# at the start there is no answer: nginx starts all the same

my $f = Readiness::Faults->new($t, server => "redis.test:$port",
    timeout => 200, connect => 200,
    http => 'resolver ' . $dns->addr . ' valid=1s; resolver_timeout 1s;');

my $here = sub { $dns->set(a => ['127.0.0.1']) };
my %no = (
    'no answer' => [silent => 1],
    'NXDOMAIN' => [rcode => 3],
    'SERVFAIL' => [rcode => 2],
    'REFUSED' => [rcode => 5],
    'no address' => [a => []],
);

for my $what (sort keys %no) {
    $dns->set(@{ $no{$what} });
    $t->restart;
    $f->row("G12 $what at the start", policy => end => $here, within => 8);
}

# what was known goes on to be used

for my $what (sort keys %no) {
    $f->row("G12 $what, an address is known", either => begin => sub {
                $dns->set(@{ $no{$what} });
                $fake->close_all;
            }, within => 8);
    ok((wait_for { $f->one('deny') == 200 } 10),
       "G12 $what, the last good address is kept");
    $here->();
}

# nowhere, then back; two addresses, one of which is good

$f->row('G12 the address changes to one that refuses', policy => begin => sub {
            $dns->set(a => ['127.0.0.9']);
            ok((wait_for { $fake->close_all; pause(0.05);
                           $f->one('deny') == 503 } 10), 'G12 it has moved');
        }, end => $here, within => 8);

$dns->set(a => ['127.0.0.9', '127.0.0.1'], aaaa => ['::9']);
$fake->close_all;
$f->recovered('G12 one of several addresses is good, IPv6 is not', 8);

$here->();
my $asked = $dns->asked;
$fake->down;
my $until = now() + 3;
while (now() < $until) { $f->one('allow'); pause(0.02) }
my $times = $dns->asked - $asked;
cmp_ok($times, '<=', 30, "G12 no storm of questions: $times in 3 s");
$fake->up;
$f->recovered('G12 after an outage');

$f->finish;
$t->done;
