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


# Gives each master a replica, in this order, and waits until all are in step.

sub add_replicas {
    my ($masters, @replicas) = @_;
    my @nodes = (@$masters, @replicas);

    $_->cli('CLUSTER', 'MEET', '127.0.0.1', $masters->[0]->port,
            $masters->[0]->bus) for @replicas;

    for my $i (0 .. $#replicas) {
        my $id = $masters->[$i]->cli('CLUSTER', 'MYID');
        wait_for { $replicas[$i]->cli('CLUSTER', 'REPLICATE', $id) eq 'OK' } 30
            or die 'a node cannot become a replica';
    }

    wait_for {
        @nodes == grep {
            my $list = $_->cli('CLUSTER', 'NODES');
            @replicas == (() = $list =~ /slave.* connected$/mg)
        } @nodes
        and @replicas == grep {
            $_->info('replication')->{master_link_status} eq 'up'
        } @replicas;
    } 30 or die "the replicas are not in step:\n"
                . $nodes[0]->cli('CLUSTER', 'NODES');

    return @replicas;
}


# The node, of these, that has a slot now; as the first one sees it.

sub owner {
    my ($slot, @nodes) = @_;

    my $ranges = $nodes[0]->cli('CLUSTER', 'SLOTS');

    return if ref $ranges ne 'ARRAY';

    for my $range (@$ranges) {
        my ($first, $last, $master) = @$range;
        next if $slot < $first || $slot > $last;
        my ($node) = grep { $_->port == $master->[1] } @nodes;
        return $node;
    }

    return;
}


# What a sentinel is told: the name of the master, how many have to agree that
# it is down; password => the master's, peers => that of the other sentinels.

sub sentinel_conf {
    my ($name, $master, %o) = @_;

    return ("sentinel monitor $name 127.0.0.1 " . $master->port . ' '
            . ($o{quorum} || 1),
        "sentinel down-after-milliseconds $name 500",
        "sentinel failover-timeout $name 3000",
        defined $o{password} ? "sentinel auth-pass $name $o{password}" : (),
        defined $o{peers} ? "sentinel sentinel-pass $o{peers}" : ());
}


# Waits until the sentinels know each other and the replicas, and may do a
# failover.

sub agree {
    my ($name, $replicas, @sentinels) = @_;

    for my $r (@$replicas) {
        wait_for { ($r->info('replication')->{master_link_status} || '')
                   eq 'up' } 20 or die "a replica has no link\n";
    }

    wait_for {
        @sentinels == grep {
            my $known = $_->cli('SENTINEL', 'REPLICAS', $name);
            my $others = $_->cli('SENTINEL', 'SENTINELS', $name);
            ref $known eq 'ARRAY' && ref $others eq 'ARRAY'
                && @$known == @$replicas && @$others == $#sentinels
                && !grep { my %r = @$_; $r{flags} ne 'slave'
                           || $r{'master-link-status'} ne 'ok' } @$known;
        } @sentinels;
    } 30 or die "the sentinels do not agree\n";

    return;
}

1;
