#!/usr/bin/perl

# Nodes that send a call somewhere else, in circles or nowhere, and tell
# nonsense of their cluster: every request is answered by its deadline, no
# verdict goes to another one, and all is well again afterwards.

use strict;
use warnings;
use Test::More;
use Readiness;

# The one node of a cluster says that it is to be found at the fake's port.

my $t = Readiness->new;
my ($node) = $t->cluster(0, 1);
my $fake = $t->fake;
my $other = $t->fake(1, backend => $node->port);
$node->cli('CONFIG', 'SET', 'cluster-announce-port', $fake->port);

$t->conf(<<'CONF')->run;
readiness_redis main { server %%FAKE%%; topology cluster; timeout 150ms;
                       breaker off; }
readiness_rate api key=$arg_k rate=1000r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness on;
    location / { readiness_limit api cost=$arg_cost;
                 proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;
my $dead = $t->port(9);

sub uri {
    my ($fits, $k) = @_;
    $k = 'k' . $n++ if !defined $k;
    return "/?k=$k&cost=" . ($fits ? 1 : 5000);
}

sub status { return $t->get(uri(@_))->status }
sub slot { return $node->cli('CLUSTER', 'KEYSLOT', "rdy:api:{$_[0]}") }

sub normal {
    my ($name) = @_;
    $_->pass for $fake, $other;
    ok((wait_for { status(1) == 200 && status(0) == 429 } 10),
       "$name: normal again");
}

# Has the map fetched again, as after any loss of a connection.

sub fetch {
    my $count = $fake->count('CLUSTER NODES') + $other->count('CLUSTER NODES');
    $fake->close_all;
    return wait_for {
        $fake->count('CLUSTER NODES') + $other->count('CLUSTER NODES') > $count
    } 10;
}

normal('at first');

down();                     # first: complaints are told once in 10 s
circles();
nowhere();
nonsense();
large();
leaves();
silent();
jitter();

$t->done;


sub circles {
    my $slot = slot('loop');
    my %at = (itself => $fake->addr, other => $other->addr);

    for my $to (sort keys %at) {
        $fake->clear;
        $other->clear;
        $fake->set(reply => "-MOVED $slot $at{$to}\r\n", on => 'EVALSHA');
        $other->set(reply => '-MOVED ' . $slot . ' ' . $fake->addr . "\r\n",
                    on => 'EVALSHA');
        is(status(1, 'loop'), 503, "G09 MOVED to $to, in circles: the policy");
        is($fake->count('EVALSHA') + $other->count('EVALSHA'), 4,
           "G09 MOVED to $to: after three times");
        normal("G09 MOVED to $to");
    }

    for my $to (sort keys %at) {
        $fake->clear;
        $other->clear;
        $_->set(reply => "-ASK $slot $at{$to}\r\n", on => 'EVALSHA')
            for $fake, $other;
        is(status(1, 'loop'), 503, "G09 ASK for $to, in circles: the policy");
        is($fake->count('EVALSHA') + $other->count('EVALSHA'), 4,
           "G09 ASK for $to: after three times");
        is($fake->count('ASKING') + $other->count('ASKING'), 3,
           "G09 ASK for $to: with ASKING each time");
        normal("G09 ASK for $to");
    }

    $fake->clear;
    $fake->set(reply => "-MOVED $slot 127.0.0.1:" . $other->port . "\r\n",
               on => 'EVALSHA', times => 1);
    is(status(1, 'loop'), 200, 'MOVED once: followed, and decided there');
    $fake->set(reply => "-MOVED $slot :" . $other->port . "\r\n",
               on => 'EVALSHA', times => 1);
    is(status(1, 'loop'), 200, 'MOVED without a host: the same host');
    normal('MOVED once');
    return;
}


sub nowhere {
    my $slot = slot('no');
    my $wrong = ($slot + 1) % 16384;

    for my $text ('MOVED', "MOVED $slot", "MOVED $slot ?:6379",
                  "MOVED $slot 127.0.0.1", "MOVED $slot 127.0.0.1:0",
                  "MOVED $slot 127.0.0.1:99999", "MOVED 99999 127.0.0.1:1",
                  "MOVED $wrong " . $other->addr, "ASK $wrong " . $other->addr,
                  "ASK $slot no-such-host:1",
                  "MOVED $slot \x01\xff:1", 'MOVED ' . 'x' x 3000,
                  "ASK $slot", 'TRYAGAIN a slot is on its way',
                  'MASTERDOWN Link with MASTER is down')
    {
        $fake->clear;
        $fake->set(reply => "-$text\r\n", on => 'EVALSHA', times => 1);
        my $name = substr $text, 0, 30;
        $name =~ s/[^ -~]/?/g;
        is(status(1, 'no'), 503, "G09 $name");
        is($fake->stats->{closed_by_peer}, 0, "G09 $name: connection kept");
    }

    normal('G09 nowhere to go');

    ok((wait_for {
        $fake->set(reply => "-MOVED $slot no-such-host:1\r\n",
                   on => 'EVALSHA', times => 1);
        status(1, 'no') == 200;
    } 10), 'G09 MOVED to a name: the map tells where it is');

    for my $how ('MOVED', 'ASK') {
        $fake->set(reply => "-$how $slot 127.0.0.1:$dead\r\n",
                   on => 'EVALSHA', times => 1);
        is(status(1, 'no'), 503, "G09 $how to a dead node: the policy");
        ok((wait_for { status(1, 'no') == 200 } 10),
           "G09 $how to a dead node: the map is fetched again");
    }

    return;
}


# A cluster that is down says so at each call: it is not asked all the time.

sub down {
    $fake->clear;
    $fake->set(reply => "-CLUSTERDOWN The cluster is down\r\n",
               on => 'EVALSHA');
    my $until = now() + 2;
    my $count = 0;
    my $bad = 0;
    while (now() < $until) {
        $count++;
        $bad += status(1) != 503;
    }
    is($bad, 0, "G09 CLUSTERDOWN: the policy decides ($count)");
    my $asked = $fake->count('CLUSTER NODES');
    cmp_ok($asked, '>=', 1, 'G09 CLUSTERDOWN: the map is fetched');
    cmp_ok($asked, '<=', 12, "G09 CLUSTERDOWN: not too often ($asked in 2 s)");
    is($fake->stats->{closed_by_peer}, 0, 'G09 CLUSTERDOWN: connection kept');
    like($t->error_log, qr/refuses: CLUSTERDOWN/, 'G09 and the log says why');
    normal('G09 CLUSTERDOWN');
    return;
}


sub line {
    my ($port, $flags, $slots) = @_;
    return '07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:'
           . "$port\@1 $flags - 0 0 1 connected" . ($slots ? " $slots" : '')
           . "\n";
}

sub bulk { return '$' . length($_[0]) . "\r\n$_[0]\r\n" }

sub nonsense {
    my $all = line($fake->port, 'myself,master', '0-16383');

    my %map = (
        'nothing' => bulk(''),
        'words' => bulk("what is this\n"),
        'no slots' => bulk(line($fake->port, 'myself,master', '')),
        'a slot on two nodes' => bulk($all . line($dead, 'master', '7')),
        'slots that are none' => bulk(line($fake->port, 'master', '0-16384')),
        'an error' => "-ERR no\r\n",
        'a status' => "+OK\r\n",
        'an array' => "*1\r\n\$1\r\nx\r\n",
        'nil' => "\$-1\r\n",
        'too many nodes' => bulk(line($dead, 'slave', '') x 1025 . $all),
    );

    for my $name (sort keys %map) {
        $fake->set(reply => $map{$name}, on => 'CLUSTER NODES', times => 2);
        fetch();
        ok((wait_for { status(1) == 200 && status(0) == 429 } 10),
           "G07 a map of $name: the last good one counts");
    }

    $fake->set(reply => bulk(line($dead, 'myself,master', '0-16383')),
               on => 'CLUSTER NODES', times => 1);
    fetch();
    normal('a map that is wrong');
    return;
}


sub large {
    my $all = line($fake->port, 'myself,master', '0-8191 '
                   . join ' ', 8192 .. 16383);
    my $many = join '', map { line(20000 + $_, 'slave', '') } 1 .. 1000;
    my $map = bulk($all . $many);

    cmp_ok(length $map, '>', 100_000, 'a map of ' . length $map);
    $fake->clear;
    $fake->set(reply => $map, on => 'CLUSTER NODES', split => 70000);
    my $before = () = $t->error_log =~ /CLUSTER NODES|too long/g;
    fetch();
    ok((wait_for { status(1) == 200 } 10), 'a large map is taken');
    is(scalar(() = $t->error_log =~ /CLUSTER NODES|too long/g), $before,
       'without a complaint');

    for my $huge ("\$1048577\r\n", "\$99999999\r\n",
                  "\$1000000\r\n" . 'x' x 1100000)
    {
        my ($pid) = $t->workers;
        my $rss = $t->rss($pid);
        $fake->set(reply => $huge, on => 'CLUSTER NODES', times => 2);
        fetch();
        ok((wait_for { status(1) == 200 } 10),
           'G07 a map that is too large: the last good one counts');
        cmp_ok($t->rss($pid) - $rss, '<', 8192, 'G07 in bounded memory');
        is_deeply([$t->workers], [$pid], 'G07 by the same worker');
    }

    normal('large maps');
    return;
}


sub leaves {
    $_->pass for $fake, $other;
    $other->close_all;
    $fake->set(reply => bulk(line($fake->port, 'myself,master', '8192-16383')
                             . line($other->port, 'master', '0-8191')),
               on => 'CLUSTER NODES');
    fetch();
    ok((wait_for { status(1) for 1 .. 5; $other->stats->{open} == 1 } 10),
       'a node that a map has is connected to, when it is needed');
    normal('two nodes');
    fetch();
    ok((wait_for { $other->stats->{open} == 0 } 10),
       'and no more when it has left the map');
    normal('one node');
    return;
}


sub silent {
    $fake->clear;
    $fake->set(swallow => on => 'CLUSTER NODES');
    fetch();
    is((grep { my $s = status(1); $s != 200 && $s != 503 } 1 .. 20), 0,
       'G03 a map that never comes: no verdict is mistaken for it');
    normal('G03 a map that never comes');

    # nothing is known yet, and nobody tells: no request waits for long

    $fake->down;
    $t->reload;
    my $took = now();
    is(status(1), 503, 'a worker that knows of no map: the policy');
    $took = now() - $took;
    cmp_ok($took, '<', 2, "without waiting ($took s)");
    $fake->up;
    normal('a worker that knew of no map');
    return;
}


# Calls that are sent on, in a stream of others, with replies that come late.

sub jitter {
    my %sum;
    my $swapped = 0;

    for my $round (1 .. 15) {
        my $k = 'j' . $n++;
        my $how = $round % 2 ? 'MOVED' : 'ASK';
        $fake->set(reply => "-$how " . slot($k) . ' ' . $other->addr . "\r\n",
                   on => 'EVALSHA', skip => $round % 3, times => 2);
        $fake->rule(delay => [0, 200], on => ['EVALSHA', 'EVAL']);
        $other->set(delay => [0, 100], on => ['EVALSHA', 'EVAL', 'ASKING']);
        my $c = $t->h2(port => 1);
        my (%fits, $all);

        for (1 .. 20) {
            my $fits = int rand 2;

            # neither merged with others nor known to be refused

            my $cost = $fits ? 2 : 1_000_000 - $n++;
            my ($id, $bytes) = $c->open('GET', "/?k=$k&cost=$cost",
                                        hold => 1);
            $fits{$id} = $fits;
            $all .= $bytes;
        }

        $c->bytes($all);

        for my $id (sort { $a <=> $b } keys %fits) {
            my $status = $c->wait($id)->status;
            $sum{$status}++;
            $swapped++ if $status != 503
                          && $status != ($fits{$id} ? 200 : 429);
        }

        $c->close;
    }

    ok($sum{200} && $sum{429}, 'G01 calls that are sent on are decided');
    is($swapped, 0, 'G01 no verdict goes to another request');
    is_deeply([grep { !/^(?:200|429|503)\z/ } keys %sum], [],
              'G01 each request gets one of the three answers');
    normal('G01 jitter');
    return;
}
