#!/usr/bin/perl

# A Redis Cluster: each key is counted at the node that has its slot, by all
# nginx alike, and a slot that moves takes its counters along.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::Topology;

my @t = (Readiness->new, Readiness->new);
my $t = $t[0];
my @nodes = $t->cluster(0, 3);

$_->subst(SEED0 => $nodes[0]->addr, SEED1 => $nodes[2]->addr) for @t;
$_->conf(<<'CONF', workers => 2)->run for @t;
readiness_redis main {
    server %%SEED0%%;
    server %%SEED1%%;
    topology cluster;
    timeout 2s;
}
readiness_rate api key=$arg_k rate=5r/d redis=main on_redis_error=deny;
readiness_rate two key=$arg_k rate=4r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location /api  { readiness_limit api; proxy_pass http://%%APP%%; }
    location /two  { readiness_limit two; proxy_pass http://%%APP%%; }
    location /both { readiness_limit api; readiness_limit two;
                     proxy_pass http://%%APP%%; }
    location /api/look { readiness_limit api cost=0;
                         proxy_pass http://%%APP%%; }
    location /two/look { readiness_limit two cost=0;
                         proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;

sub get { return $t[$n++ % 2]->get($_[0])->status }

# What remains in Redis: a look is never answered from memory.

sub left {
    my ($rate, $k) = @_;
    my $r = $t[$n++ % 2]->get("/$rate/look?k=$k");
    my ($left) = ($r->header('RateLimit') || '') =~ /^"$rate";r=(\d+)/;
    return $left // $r->status;
}

sub errors {
    my ($name, @of) = @_;
    my $sum = 0;
    for my $node (@of ? @of : @nodes) {
        my $stat = $node->info('errorstats')->{"errorstat_$name"} || '';
        $sum += $1 if $stat =~ /count=(\d+)/;
    }
    return $sum;
}

sub slot { return $nodes[0]->cli('CLUSTER', 'KEYSLOT', "rdy:api:{$_[0]}") }
sub owner { return Readiness::Topology::owner(slot($_[0]), @nodes) }

# A key that has not been used, whose slot this node has.

sub key_at {
    my ($node) = @_;
    my $k;
    do { $k = 'at' . $n++ } while owner($k) != $node;
    return $k;
}

sub connections {
    return join ' ', map { $_->info('stats')->{total_connections_received} }
                     @nodes;
}

everywhere();
moved();
asked();
scripts();
connected();

$t->done;


sub everywhere {
    my @keys = ('a', 'A', '0', 'x' x 64, 'y' x 300, '%7Bb%7D', 'c%7Bd%7De',
                '%7B%7D', 'f%00g', '%C3%A9', map { "key$_" } 1 .. 60);
    my @wrong;

    for my $k (@keys) {
        my $got = join ' ', map { get("/api?k=$k") } 1 .. 7;
        push @wrong, "$k: $got" if $got ne '200 200 200 200 200 429 429';
    }

    is_deeply(\@wrong, [], 'two nginx admit the limit of each key, not more');
    is(errors('MOVED'), 0, 'no key was looked for in the wrong place');

    my @at = map { scalar(my @k = $_->keys('rdy:api:*')) } @nodes;
    is($at[0] + $at[1] + $at[2], @keys, 'each key is at one node');
    is((grep { $_ > 5 } @at), 3, "all nodes take part: @at");

    my $slot = slot('a');
    is($nodes[0]->cli('CLUSTER', 'KEYSLOT', "rdy:two:{a}"), $slot,
       'limits of one key share a slot');
    is(join(' ', map { get('/both?k=both') } 1 .. 5), '200 200 200 200 429',
       'so that they are charged together');
    is(get('/api?k=both'), 200, 'C07: or not at all');
    is(get('/api?k=both'), 429, 'C07: and the first is exact');
    return;
}


# CLUSTER SETSLOT, as redis-cli --cluster reshard does it.

sub begin_move {
    my ($slot, $from, $to) = @_;
    $to->cli('CLUSTER', 'SETSLOT', $slot, 'IMPORTING',
             $from->cli('CLUSTER', 'MYID'));
    $from->cli('CLUSTER', 'SETSLOT', $slot, 'MIGRATING',
               $to->cli('CLUSTER', 'MYID'));
    return;
}

sub move_keys {
    my ($slot, $from, $to) = @_;
    my $keys = $from->cli('CLUSTER', 'GETKEYSINSLOT', $slot, 100);
    $from->cli('MIGRATE', '127.0.0.1', $to->port, '', 0, 5000, 'KEYS', @$keys);
    return;
}

sub end_move {
    my ($slot, $to) = @_;
    my $id = $to->cli('CLUSTER', 'MYID');
    $_->cli('CLUSTER', 'SETSLOT', $slot, 'NODE', $id)
        for $to, grep { $_ != $to } @nodes;
    return;
}


sub moved {
    my ($from, $to) = @nodes[0, 1];
    my $k = key_at($from);
    my $slot = slot($k);

    is(join(' ', map { get("/api?k=$k") } 1 .. 3), '200 200 200',
       'MOVED: three before');

    begin_move($slot, $from, $to);
    move_keys($slot, $from, $to);
    end_move($slot, $to);

    is(join(' ', map { get("/api?k=$k") } 1 .. 4), '200 200 429 429',
       'MOVED: followed, and the counter went along');
    my $told = errors('MOVED', $from);
    cmp_ok($told, '>=', 1, 'MOVED: the old node said so');
    is(left('api', $k), 0, 'MOVED: it is at the new one');
    wait_for { left('api', $k); errors('MOVED') == $told } 10;
    cmp_ok($told, '<=', 8, "MOVED: and was believed ($told for 4 workers)");

    $told = errors('MOVED');
    is(join(' ', map { left('api', $k) } 1 .. 20),
        join(' ', map { 0 } 1 .. 20), 'MOVED: twenty times');
    cmp_ok(errors('MOVED') - $told, '<=', 3, 'MOVED: is remembered');

    begin_move($slot, $to, $from);
    move_keys($slot, $to, $from);
    end_move($slot, $from);
    is(left('api', $k), 0, 'MOVED: back again');
    is(get("/api?k=$k"), 429, 'MOVED: spent all the while');
    return;
}


sub asked {
    my ($from, $to) = @nodes[1, 2];
    my $k = key_at($from);
    my $slot = slot($k);

    is(join(' ', map { get("/api?k=$k") } 1 .. 3), '200 200 200',
       'ASK: three before');
    begin_move($slot, $from, $to);
    is(get("/api?k=$k"), 200, 'ASK: a key that is there still is counted there');

    my $moved = errors('MOVED');
    $to->cli('SCRIPT', 'FLUSH');
    is(join(' ', map { get("/two?k=$k") } 1 .. 3), '200 200 200',
       'ASK: a new key is counted at the other node');
    is(left('two', $k), 1, 'ASK: by all');
    cmp_ok(errors('ASK', $from), '>=', 4, 'ASK: each time anew');
    cmp_ok(errors('NOSCRIPT', $to), '>=', 1, 'G08: whose script was gone');
    is(errors('MOVED'), $moved, 'ASK: with ASKING, also with EVAL');
    is(scalar(my @two = $to->keys("rdy:two:{$k}")), 1, 'ASK: there it is');

    my $before = connections();
    is(get("/both?k=$k"), 503, 'TRYAGAIN: refused, the policy decides');
    cmp_ok(errors('TRYAGAIN', $from), '>=', 1, 'TRYAGAIN: that was why');
    is(get("/api?k=$k"), 200, 'TRYAGAIN: nothing was charged');
    is(connections(), $before, 'TRYAGAIN: connections are kept');
    like(join('', map { $_->error_log } @t), qr/refuses: TRYAGAIN/,
         'TRYAGAIN: and the log says why');

    move_keys($slot, $from, $to);
    is(left('api', $k), 0, 'ASK: the counter went along');
    end_move($slot, $to);
    is(left('api', $k), 0, 'ASK: and MOVED in the end');
    is(get("/api?k=$k"), 429, 'ASK: it refuses');
    is(join(' ', map { get("/two?k=$k") } 1 .. 3), '200 429 429',
       'ASK: for both');
    return;
}


sub scripts {
    $_->cli('SCRIPT', 'FLUSH') for @nodes;

    my $bad = grep { get('/api?k=flushed' . $_) != 200 } 1 .. 40;
    is($bad, 0, 'G08: a script that is gone is sent again, to each node');
    return;
}


# Besides them there are the test's own, and those that MIGRATE leaves.

sub connected {
    my @count = map {
        scalar(() = $_->cli('CLIENT', 'LIST') =~ /cmd=(?:eval|cluster|script)/g)
    } @nodes;
    is("@count", '4 4 4', 'one connection per node and worker');

    for my $one (@t) {
        is(scalar(my @e = $one->error_log =~ /\[error\].*readiness_redis/g),
           scalar(my @try = $one->error_log =~ /\[error\].*TRYAGAIN/g),
           'no complaint besides');
    }
    return;
}
