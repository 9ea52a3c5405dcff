#!/usr/bin/perl

# How a Redis Cluster is found: by an address, a name, a socket's path, past
# a Redis that is none; over TLS; by a user who may do nothing else; and by
# nodes that tell host names.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::TLS;
use Readiness::Topology;

# All that the module needs of a node.  The script calls TIME, MGET, SET and
# SETRANGE.

my @allowed = qw(+evalsha +eval +script|load +cluster|nodes +asking
                 +time +mget +set +setrange);

my $t = Readiness->new;
my $plain = $t->redis(0);
my $tls = { %{ $t->tls->{server} }, verify => 0 };
my @nodes = map {
    $t->redis($_, cluster => 1, tls => $tls,
        conf => ['tls-cluster yes', 'tls-replication yes',
                 "user limiter on >word ~rdy:* resetchannels -\@all @allowed"])
} 1 .. 3;
Readiness::Topology::join_cluster(@nodes);

$t->file('word', "word\n", 0600);
$t->subst(PLAIN => $plain->port, NODE1 => $nodes[0]->port,
    NODE2 => $nodes[1]->port, NODE3 => $nodes[2]->port,
    TLS1 => $nodes[0]->tls_port, PATH3 => $nodes[2]->sock,
    CAFILE => $t->tls->{ca});

my @names = qw(none past tls name path wrong);
my $rates = join '', map {
    "readiness_rate $_ key=\$arg_k rate=3r/d redis=$_ on_redis_error=deny;\n"
    . "location /$_ { readiness_limit $_; proxy_pass http://%%APP%%; }\n"
} @names;
my ($declared, $locations) = ('', '');
$declared .= "$_\n" for grep { /^readiness/ } split /\n/, $rates;
$locations .= "$_\n" for grep { /^location/ } split /\n/, $rates;

$t->conf(<<"CONF", workers => 2)->run;
readiness_redis none { server 127.0.0.1:%%PLAIN%%; topology cluster; }
readiness_redis past { server 127.0.0.1:%%PLAIN%%; server 127.0.0.1:%%NODE1%%;
                       topology cluster; timeout 2s; connect_timeout 2s;
                       user limiter; password_file word; breaker off; }
readiness_redis tls { server 127.0.0.1:%%TLS1%%; topology cluster; ssl on;
                      ssl_trusted_certificate %%CAFILE%%;
                      timeout 2s; connect_timeout 2s; }
readiness_redis wrong { server 127.0.0.1:%%NODE1%%; topology cluster; ssl on;
                        ssl_trusted_certificate %%CAFILE%%; }
readiness_redis name { server localhost:%%NODE2%%; topology cluster;
                       timeout 2s; connect_timeout 2s; }
readiness_redis path { server unix:%%PATH3%%; topology cluster;
                       timeout 2s; connect_timeout 2s; }
$declared
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
$locations
}
CONF

my $n = 0;

sub get { return $t->get("/$_[0]?k=$_[1]")->status }

sub exact {
    my ($name, $fact) = @_;
    my @wrong;

    for (1 .. 12) {
        my $k = 'k' . $n++;
        my $got = join ' ', map { get($name, $k) } 1 .. 5;
        push @wrong, "$k: $got" if $got ne '200 200 200 429 429';
    }

    return is_deeply(\@wrong, [], $fact);
}

found();
no_cluster();
allowed();
hosts();

$t->done;


sub found {
    exact('past', 'past a Redis that is no cluster, as a user');
    exact('tls', 'G13: TLS to all nodes, each verified');
    exact('name', 'by a name');
    exact('path', "by a socket's path");

    my $open = grep { $_->cli('CLIENT', 'LIST') =~ /cmd=evalsha/ } @nodes;
    is($open, 3, 'each of them asks all nodes');
    is(get('wrong', 'x'), 503, 'G13: TLS to a port that speaks none: refused');
    return;
}


sub no_cluster {
    is(get('none', 'x'), 503, 'a Redis that is no cluster: the policy decides');
    my $port = $plain->port;
    my $why = '"CLUSTER NODES" was refused: ERR This instance has cluster '
              . 'support disabled';
    like($t->error_log, qr/\[error\].*"none" at 127\.0\.0\.1:$port: $why/,
        'and the log says why');
    like($t->error_log, qr/\[error\].*"none": no node told of the cluster/,
        'and that nobody else knew');
    my @said = $t->error_log =~ /\[error\].*"none"/g;
    cmp_ok(scalar @said, '<=', 4, 'once for each worker: ' . @said);
    return;
}


sub allowed {
    my ($from, $to) = @nodes[0, 1];
    my $k;
    do { $k = 'a' . $n++ }
        while Readiness::Topology::owner(slot($k), @nodes) != $from;

    migrating(slot($k), $from, $to);
    is(get('past', $k), 200, 'ASK: as that user');
    is(scalar(my @there = $to->keys("rdy:past:{$k}")), 1, 'at the other node');
    $from->cli('CLUSTER', 'SETSLOT', slot($k), 'STABLE');
    $to->cli('CLUSTER', 'SETSLOT', slot($k), 'STABLE');
    is_deeply([map { @{ $_->cli('ACL', 'LOG') } } @nodes], [],
        'that user was denied nothing');

    $_->cli('ACL', 'SETUSER', 'limiter', '-cluster|nodes') for @nodes;
    $t->reload;
    ok((wait_for { get('past', 'no') == 503 } 10),
        'without CLUSTER NODES: the policy');
    ok($t->wait_error(qr/CLUSTER NODES was refused: NOPERM/),
        'and the log says why');

    $_->cli('ACL', 'SETUSER', 'limiter', '+cluster|nodes') for @nodes;
    ok((wait_for { get('past', 'yes' . $n++) == 200 } 15),
        'O5: when it is allowed, all is well');
    exact('past', 'again');
    return;
}


sub slot { return $nodes[0]->cli('CLUSTER', 'KEYSLOT', "rdy:past:{$_[0]}") }

sub migrating {
    my ($slot, $from, $to) = @_;
    $to->cli('CLUSTER', 'SETSLOT', $slot, 'IMPORTING',
             $from->cli('CLUSTER', 'MYID'));
    $from->cli('CLUSTER', 'SETSLOT', $slot, 'MIGRATING',
               $to->cli('CLUSTER', 'MYID'));
    return;
}


# MOVED with a host name that only the map explains, and with none at all.

sub hosts {
    my $i = 0;
    for my $node (@nodes) {
        $node->cli('CONFIG', 'SET', 'cluster-announce-hostname',
                   'node' . $i++ . '.invalid');
    }

    ok((wait_for {
        @nodes == grep {
            3 == (() = $_->cli('CLUSTER', 'NODES') =~ /node\d\.invalid/g)
        } @nodes
    } 20), 'all nodes know the host names');

    for my $type ('hostname', 'unknown-endpoint', 'ip') {
        $_->cli('CONFIG', 'SET', 'cluster-preferred-endpoint-type', $type)
            for @nodes;

        my ($from, $to) = @nodes[1, 2];
        my $k;
        do { $k = 'h' . $n++ }
            while Readiness::Topology::owner(slot($k), @nodes) != $from;
        my $slot = slot($k);
        my $id = $to->cli('CLUSTER', 'MYID');

        is(get('name', $k), 200, "$type: at first");
        migrating($slot, $from, $to);
        $from->cli('MIGRATE', '127.0.0.1', $to->tls_port, "rdy:name:{$k}", 0,
                   5000);
        $_->cli('CLUSTER', 'SETSLOT', $slot, 'NODE', $id)
            for $to, @nodes[0, 1];

        my $said = Readiness::RESP->new(port => $from->port)
                   ->cmd('GET', "rdy:name:{$k}");
        is(join(' ', map { get('name', $k) } 1 .. 4), '200 200 429 429',
            "$type: $said is followed");
    }

    return;
}
