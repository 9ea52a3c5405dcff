#!/usr/bin/perl

# C09, G15: three nginx of two workers each on a Redis Cluster of 3 + 3 nodes:
# exactly the limit in twenty windows, and after a master was killed; across
# that at most one bucket more.

use strict;
use warnings;

use Test::More;

use Readiness::Exact;
use Readiness::Topology;
use Readiness::Util qw(pause wait_for);

my $e = Readiness::Exact->new(3);
my $t = $e->t;
my @masters = $t->cluster(0, 3);
my @replicas = $t->replicas(3, @masters);
my %rate = (kind => 'rate', period => 1,
            more => 'redis=main on_redis_error=deny');

$e->run(workers => 2,
    subst => { SEED0 => $masters[0]->addr, SEED1 => $replicas[1]->addr },
    http => 'readiness_redis main { server %%SEED0%%; server %%SEED1%%; '
            . 'topology cluster; timeout 2s; connect_timeout 2s; }',
    rates => {
        plain => { %rate, n => 10, burst => 10 },
        burst => { %rate, n => 5, burst => 40 },
        slow  => { %rate, n => 2, burst => 4 },
        wide  => { %rate, n => 6, burst => 12,
                   more => "key=x $rate{more}" },        # on another slot
    },
    at => { '/plain' => ['plain'], '/burst' => ['burst'],
            '/both' => ['slow', 'wide'], '/wide' => ['wide'] });

$e->failover(sub {
    my ($key) = @_;
    my $slot = $masters[0]->cli('CLUSTER', 'KEYSLOT', "rdy:plain:{$key}");
    my $dead = Readiness::Topology::owner($slot, @masters);
    my ($i) = grep { $masters[$_] == $dead } 0 .. 2;

    pause(2);
    $dead->kill;
    wait_for { $replicas[$i]->info('replication')->{role} eq 'master' } 30,
        'G15: the replica is promoted';
    wait_for { $t->get("/plain?k=$key")->status == 429 } 20,
        'G15: and decides';
    pause(2);
});

$t->done;
