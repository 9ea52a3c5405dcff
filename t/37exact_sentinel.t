#!/usr/bin/perl

# C09, G15: three nginx of two workers each on a Redis that three sentinels
# watch: exactly the limit in twenty windows, and after the master was killed;
# across that at most one bucket more.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;
use Readiness::Util qw(pause wait_for);

my $e = Readiness::Exact->new(3);
my $t = $e->t;
my $master = $t->redis(0);
my $replica = $t->redis(1, conf => ['replicaof 127.0.0.1 ' . $master->port]);
my @sentinels = $t->sentinels(2, 3, 'limits', $master, [$replica]);

my %rate = (kind => 'rate', period => 1,
            more => 'redis=main on_redis_error=deny');

$e->run(workers => 2,
    subst => { map { ("SENTINEL$_" => $sentinels[$_]->addr) } 0 .. 2 },
    http => 'readiness_redis main { server %%SENTINEL0%%; '
            . 'server %%SENTINEL1%%; server %%SENTINEL2%%; '
            . 'topology sentinel limits; timeout 2s; connect_timeout 2s; }',
    rates => {
        plain => { %rate, n => 10, burst => 10 },
        burst => { %rate, n => 5, burst => 40 },
        slow  => { %rate, n => 2, burst => 4 },
        wide  => { %rate, n => 6, burst => 12 },
    },
    at => { '/plain' => ['plain'], '/burst' => ['burst'],
            '/both' => ['slow', 'wide'], '/wide' => ['wide'] });

$e->failover(sub {
    my ($key) = @_;

    pause(2);
    $master->kill;
    wait_for { $replica->info('replication')->{role} eq 'master' } 30,
        'G15: the replica is promoted';
    wait_for { $t->get("/plain?k=$key")->status == 429 } 20,
        'G15: and decides';
    pause(2);
});

$t->done;
