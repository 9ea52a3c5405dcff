#!/usr/bin/perl

# A Redis Cluster that loses nodes: a dead seed, a master killed and its
# replica promoted, a node that hangs, one that restarts.  Until there is a
# master again the policy decides, for the slots of that node alone.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::Topology;

my $t = Readiness->new;
my @masters = $t->cluster(0, 3);
my @replicas = $t->replicas(3, @masters);
my @nodes = (@masters, @replicas);

# the first seed is a port that nobody listens on, the second is silent, the
# third a replica

$t->redis(9)->freeze;
$t->subst(SILENT => $t->redis(9)->addr, SEED => $replicas[1]->addr);

$t->conf(<<'CONF', workers => 2)->run;
readiness_redis main {
    server 127.0.0.1:%%PORT9%%;
    server %%SILENT%%;
    server %%SEED%%;
    topology cluster;
    timeout 500ms;
}
readiness_rate deny key=$arg_k rate=5r/d redis=main on_redis_error=deny;
readiness_rate allow key=$arg_k rate=5r/d redis=main on_redis_error=allow;
readiness_rate local key=$arg_k rate=5r/d redis=main on_redis_error=local;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location /deny  { readiness_limit deny; proxy_pass http://%%APP%%; }
    location /allow { readiness_limit allow; proxy_pass http://%%APP%%; }
    location /local { readiness_limit local; proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;
my $hangs;

sub get { return $t->get("/$_[0]?k=$_[1]")->status }
sub six { my ($name, $k) = @_; return join ' ', map { get($name, $k) } 1 .. 6 }

# Asked of a node that is there.

sub slot {
    my ($k) = @_;
    my ($slot) = grep { /^\d+\z/ }
                 map { $_->cli('CLUSTER', 'KEYSLOT', "rdy:deny:{$k}") }
                 grep { !$hangs || $_ != $hangs } @masters, @replicas[0, 1];
    return $slot;
}

# A key that has not been used, of a slot that this node had at first.

my %ranges;

for my $range (@{ $masters[0]->cli('CLUSTER', 'SLOTS') }) {
    push @{ $ranges{ $range->[2][1] } }, $range;
}

sub key_at {
    my ($node) = @_;
    my $list = $ranges{ $node->port };

    for (1 .. 10000) {
        my $k = 'at' . $n++;
        my $slot = slot($k);
        return $k if grep { $slot >= $_->[0] && $slot <= $_->[1] } @$list;
    }

    die 'no key found';
}

sub source {
    my ($name) = @_;
    my @l = $t->lines('decision.log', 'url.path' => "/$name");
    return $l[-1]{'readiness.limits'}[0]{source};
}

seeds();
killed();
restarted();
hangs();
gone();

$t->done;


sub seeds {
    ok((wait_for { get('deny', 'seed' . $n++) == 200 } 10),
       'dead and silent seeds: the next one tells of the cluster');
    is(six('deny', 'seeds'), '200 200 200 200 200 429',
       'and all is counted there');
    is(get('deny', key_at($_)), 200, 'at each master') for @masters;

    my $log = $t->error_log;
    my $port = $t->port(9);
    like($log, qr/127\.0\.0\.1:$port: connect\(\) failed|connect\(\).*:$port/,
         'the log names the dead seed');
    return;
}


sub killed {
    my ($dead, $new) = ($masters[0], $replicas[0]);
    my %k = map { $_ => key_at($dead) } qw(deny allow local);
    my $other = key_at($masters[1]);

    is(join(' ', map { get('deny', $k{deny}) } 1 .. 3), '200 200 200',
       'G15: three before the master dies');
    wait_for { $new->info('replication')->{slave_repl_offset}
               == $dead->info('replication')->{master_repl_offset} } 10;

    $dead->kill;

    is(get('deny', $k{deny}), 503, 'G15: then the policy decides: deny');
    is(six('allow', $k{allow}), '200 200 200 200 200 200',
       'G15: the policy decides: allow');
    is(source('allow'), 'unavailable', 'G15: and the log says so');
    is(six('local', $k{local}), '200 200 200 200 200 429',
       'G15: the policy decides: local');
    is(source('local'), 'fallback', 'G15: and the log says so');
    is(six('deny', $other), '200 200 200 200 200 429',
       'G15: other slots are not concerned');

    my $promoted = wait_for {
        $new->info('replication')->{role} eq 'master' and now()
    } 30;
    ok($promoted, 'G15: the replica is promoted');

    ok((wait_for { get('deny', $k{deny}) == 200 } 10),
       'G15: and decides');
    my $took = now() - $promoted;
    cmp_ok($took, '<', 8, "G15: soon after its promotion ($took s)");
    is(join(' ', map { get('deny', $k{deny}) } 1 .. 3), '200 429 429',
       'G15: from what it knew');
    is(six('deny', key_at($dead)), '200 200 200 200 200 429',
       'G15: exactly, as before');
    like($t->error_log, qr/\[notice\].*"main": \d+ slots of the cluster have/,
         'G15: the log tells of the new master');
    return;
}


# The old master comes back as a replica; nobody asks it.

sub restarted {
    my $old = $masters[0];
    my $k = key_at($old);

    $old->start;
    ok((wait_for { $old->info('replication')->{role} eq 'slave' } 20),
       'the old master is back as a replica');
    is(six('deny', $k), '200 200 200 200 200 429', 'and all is counted once');

    # a master that is back before anybody misses it

    $k = key_at($masters[1]);
    get('deny', $k);
    $masters[1]->restart;
    ok((wait_for { get('deny', key_at($masters[1])) == 200 } 15),
       'G14: a master restarts, and is used again');
    return;
}


sub hangs {
    my $node = $masters[2];
    my $k = key_at($node);
    my $other = key_at($masters[1]);

    is(get('deny', $k), 200, 'G04: before it hangs');
    $hangs = $node;
    $node->freeze;

    my $start = now();
    is(get('deny', $k), 503, 'G04: a node hangs: the policy decides');
    my $took = now() - $start;
    cmp_ok($took, '<', 2, "G04: by the deadline or a little more ($took s)");
    is(get('deny', $other), 200, 'G04: other slots are not concerned');

    my $new = $replicas[2];
    my $promoted = wait_for {
        $new->info('replication')->{role} eq 'master' and now()
    } 30;
    ok($promoted, 'G04: its replica is promoted');
    ok((wait_for { get('deny', key_at($node)) == 200 } 10),
       'G04: and decides');
    $took = now() - $promoted;
    cmp_ok($took, '<', 8, "G04: soon after its promotion ($took s)");

    $node->thaw;
    $hangs = undef;
    wait_for { $node->info('replication')->{role} eq 'slave' } 20;
    is(six('deny', key_at($node)), '200 200 200 200 200 429',
       'G04: the old one wakes up, and all is counted once');
    return;
}


# All of them, and back: as after a power cut.

sub gone {
    $_->kill for @nodes;

    is(get('deny', 'x'), 503, 'all nodes are gone: deny');
    is(get('allow', 'x'), 200, 'all nodes are gone: allow');
    is(six('local', 'x'), '200 200 200 200 200 429',
       'all nodes are gone: local');

    $_->start for @nodes;
    ok((wait_for { $masters[1]->cli('CLUSTER', 'INFO')
                   =~ /cluster_state:ok/ } 30), 'they are back');
    my $back = now();
    ok((wait_for { my $bad = 0;
                   $bad += get('deny', key_at($_)) != 200 for @masters;
                   !$bad } 15), 'and all of them decide');
    my $took = now() - $back;
    cmp_ok($took, '<', 6, "soon ($took s)");
    return;
}
