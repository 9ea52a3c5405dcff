package Readiness::Topology;

# Several Redis as one: a cluster, a sentinel.

use strict;
use warnings;

use Readiness::Util qw(wait_for);


# Gives each node its share of the slots and waits until all agree.

sub join_cluster {
    my @nodes = @_;
    my $share = 16384 / @nodes;

    for my $i (0 .. $#nodes) {
        my $node = $nodes[$i];
        $node->cli('CLUSTER', 'SET-CONFIG-EPOCH', $i + 1);
        $node->cli('CLUSTER', 'ADDSLOTSRANGE', int($share * $i),
                   int($share * ($i + 1)) - 1);
        $node->cli('CLUSTER', 'MEET', '127.0.0.1', $nodes[0]->port,
                   $nodes[0]->bus) if $i;
    }

    wait_for {
        @nodes == grep {
            my $info = $_->cli('CLUSTER', 'INFO');
            $info =~ /cluster_state:ok/ && $info =~ /cluster_slots_ok:16384/
                && $info =~ /cluster_known_nodes:${\ scalar @nodes}\b/;
        } @nodes;
    } 30 or die "the cluster does not agree:\n"
                . $nodes[0]->cli('CLUSTER', 'INFO');

    return @nodes;
}


sub sentinel_conf {
    my ($name, $master) = @_;

    return ("sentinel monitor $name 127.0.0.1 " . $master->port . ' 1',
        "sentinel down-after-milliseconds $name 500",
        "sentinel failover-timeout $name 3000");
}

1;
