#!/usr/bin/perl

# The real Redis and the misbehaving one, as a plain client sees them.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::RESP qw(encode_command parse_value);

my $t = Readiness->new(module => '');
my $redis = $t->redis;
my $fake = $t->fake;

my $script = 'return {ARGV[1], redis.call("INCR", KEYS[1])}';


protocol();
real();
real_with_options();
late();
wrong_replies();
cut_replies();
endings();
selective();
whole_server();
counters();
several();

$t->done;


sub client {
    my (%o) = @_;
    return Readiness::RESP->new(port => $fake->port, timeout => 10, %o);
}

sub text { my ($v) = @_; return ref $v eq 'ARRAY' ? "[@$v]" : "$v" }


sub protocol {
    my %good = (
        "+OK\r\n" => 'OK', ":12\r\n" => 12, "\$3\r\na\r\n\r\n" => "a\r\n",
        "*2\r\n:1\r\n*1\r\n+x\r\n" => [1, ['x']], "*0\r\n" => [],
        "%1\r\n+a\r\n:1\r\n" => ['a', 1], "\$-1\r\n" => undef, "_\r\n" => undef,
        "-ERR no\r\n" => 'ERR no',
    );

    for my $bytes (sort keys %good) {
        my ($v, $end) = parse_value(\$bytes, 0);
        my $name = $bytes =~ s/\r\n/|/gr;
        $v = "$v" if ref $v && ref $v ne 'ARRAY';
        is_deeply([$v, $end], [$good{$bytes}, length $bytes], "reads $name");

        my $early = grep { my @v = parse_value(\substr($bytes, 0, $_), 0); @v }
                    0 .. length($bytes) - 1;
        is($early, 0, "waits for all of $name");
    }

    ok(!eval { parse_value(\"hello\r\n", 0); 1 }, 'refuses what is not RESP');
    is(encode_command('GET', ''), "*2\r\n\$3\r\nGET\r\n\$0\r\n\r\n", 'encodes');
}


sub real {
    is($redis->cli('SET', 'k', "\0\xff"), 'OK', 'a command');
    is($redis->cli('GET', 'k'), "\0\xff", 'its bytes');
    is_deeply([$redis->keys], ['k'], 'keys');
    like($redis->cli('NOPE'), qr/^ERR unknown command/, 'an error');
    is(Readiness::RESP->new(unix => $redis->sock)->cmd('PING'), 'PONG',
        'by unix socket');
    cmp_ok($redis->calls('ping'), '>=', 1, 'calls are counted');

    my $c = $redis->client(timeout => 0.3);
    $redis->freeze;
    is($c->cmd('PING'), 'client: timeout', 'frozen');
    $redis->thaw;
    is($c->reply(10), 'PONG', 'and thawed');

    my $pid = $redis->pid;
    $redis->restart;
    isnt($redis->pid, $pid, 'killed and started again');
    is($redis->cli('GET', 'k'), undef, 'empty');
}


sub real_with_options {
    my $tls = $t->tls;
    my $r = $t->redis(7, password => 'secret', tls => $tls->{server},
        conf => ['user limiter on >word ~rdy:* +@all']);

    is($r->cli('PING'), 'PONG', 'with a password');
    like(Readiness::RESP->new(port => $r->port)->cmd('GET', 'a'), qr/^NOAUTH/,
        'nothing without it');
    is(Readiness::RESP->new(port => $r->port, user => 'limiter',
        password => 'word')->cmd('GET', 'rdy:a'), undef, 'with a user');
    like(Readiness::RESP->new(port => $r->port, user => 'limiter',
        password => 'word')->cmd('GET', 'b'), qr/^NOPERM/, 'and its limits');
    is(Readiness::RESP->new(port => $r->tls_port, tls => 1,
        password => 'secret')->cmd('PING'), 'PONG', 'over TLS');
    ok($r->stop, 'stops');
}


sub late {
    my $c = client();

    is(text($c->cmd('EVAL', $script, 1, 'n', 'id')), '[id 1]', 'passes');

    $fake->set(delay => 150);
    my $from = now();
    is($c->cmd('PING'), 'PONG', 'delay: it comes');
    cmp_ok(now() - $from, '>=', 0.14, 'late');

    $fake->set(delay => [0, 30]);
    $c->send('ECHO', $_) for 1 .. 30;
    is(join(' ', map { $c->reply } 1 .. 30), join(' ', 1 .. 30),
        'jitter keeps the order');
    $fake->pass;
}


sub wrong_replies {
    my $c = client();

    $fake->set(swallow => on => 'EVAL', times => 1);
    $c->send('EVAL', $script, 1, 's', 'lost');
    is($c->cmd('PING'), 'PONG', 'swallow: the reply never comes');
    is($redis->cli('GET', 's'), 1, 'though the work is done');

    $fake->set(ignore => on => 'EVAL', times => 1);
    $c->send('EVAL', $script, 1, 'i', 'lost');
    is($c->cmd('PING'), 'PONG', 'ignore: no reply');
    is($redis->cli('GET', 'i'), undef, 'and no work');

    $fake->set('dup', times => 1);
    $c->send('ECHO', 'a');
    is($c->reply . $c->reply, 'aa', 'dup: twice');

    $fake->set('swap', times => 1);
    $c->send('ECHO', $_) for qw(a b c);
    is(join('', map { $c->reply } 1 .. 3), 'bac', 'swap: the next comes first');

    $fake->set('extra', times => 1);
    is($c->cmd('ECHO', 'a') . $c->reply, 'a1', 'extra: a reply more');

    $fake->set(reply => "-NOSCRIPT none\r\n", on => 'EVALSHA');
    is($c->cmd('EVALSHA', 'x', 0), 'NOSCRIPT none', 'reply: forged');

    $fake->set(replace => "\$536870912\r\n", on => 'INCR');
    $c->send('INCR', 'r');
    wait_for { ($redis->cli('GET', 'r') || 0) == 1 } 5, 'replace: work is done';
    is($c->reply(0.2), 'client: timeout', 'but this is no reply');
    $fake->pass;

    $c = client();
    $c->cmd('PING');
    $fake->push("+hello\r\n");
    is($c->reply, 'hello', 'push: unasked');
}


sub cut_replies {
    my $c = client();
    my $whole = length "*2\r\n\$2\r\nid\r\n:1\r\n";

    for my $at (1 .. $whole - 1) {
        $fake->set(split => $at);
        is(text($c->cmd('EVAL', $script, 1, "c$at", 'id')), '[id 1]',
            "split at $at");
    }

    $fake->set(split => 5, times => 1, gap => 700);
    $c->send('ECHO', 'abcdef');
    my $conn = $c->conn;
    $conn->fill(now() + 5);
    is($conn->{in}, "\$6\r\na", 'the first segment is alone');
    is($c->reply, 'abcdef', 'the second follows');

    $fake->set(split => 'each');
    is(text($c->cmd('EVAL', $script, 1, 'each', 'id')), '[id 1]',
        'each byte its own segment');

    $fake->set(merge => 3);
    $c->send('ECHO', $_) for 1 .. 3;
    $conn->fill(now() + 5);
    is($conn->{in} =~ tr/\n//, 6, 'three replies in one segment');
    is(join('', map { $c->reply } 1 .. 3), '123', 'in order');
    $fake->pass;
}


sub endings {
    my $c = client();
    $fake->set(close => 4, times => 1);
    is($c->cmd('ECHO', 'abc'), 'client: closed', 'close after four bytes');
    is($c->conn->{in}, "\$3\r\n", 'which came');

    $c = client();
    $fake->set(rst => 0, times => 1);
    is($c->cmd('ECHO', 'abc'), 'client: reset', 'rst');

    $c = client();
    $fake->set(hangup => 'fin', on => 'INCR');
    is($c->cmd('INCR', 'h'), 'client: closed', 'hangup at the command');
    is($redis->cli('GET', 'h'), undef, 'which was never run');
    $fake->pass;

    $c = client();
    $c->cmd('PING');
    $fake->close_all;
    is($c->reply, 'client: closed', 'all closed');
}


sub selective {
    $fake->set(reply => "-A\r\n", on => ['SCRIPT LOAD', 'AUTH'], times => 2);
    $fake->rule(reply => "-B\r\n", on => 'GET', skip => 1);
    my $c = client();

    is(text($c->cmd(@$_)), $_->[0] eq 'ECHO' ? 'x' : 'A', "rule: @$_")
        for ['SCRIPT', 'LOAD', 'return 1'], ['ECHO', 'x'], ['AUTH', 'p'];
    is(length $c->cmd('SCRIPT', 'LOAD', 'return 1'), 40, 'only twice');
    is($c->cmd('GET', 'none'), undef, 'the first is skipped');
    is($c->cmd('GET', 'none'), 'B', 'not the second');

    my $id = $fake->stats->{accepted};
    $fake->set(reply => "+second\r\n", conn => $id + 2);
    my @two = (client(), client());
    is($two[0]->cmd('PING') . $two[1]->cmd('PING'), 'PONGsecond',
        'on one connection only');

    ok(!eval { $fake->set('nonsense'); 1 }, 'an unknown behaviour is refused');
    $fake->pass;
}


sub whole_server {
    my $c = client();
    $c->cmd('PING');

    $fake->down(rst => 1);
    is($c->reply, 'client: reset', 'down: connections are reset');
    is(client()->conn->error, 'connect', 'and refused');
    $fake->up;
    is(client()->cmd('PING'), 'PONG', 'up');

    $c = client(timeout => 0.2);
    $fake->deaf;
    is($c->cmd('PING'), 'client: timeout', 'deaf: nothing is read');
    my $new = client(timeout => 0.2);
    is($new->conn->error, '', 'but connections are accepted');
    $fake->hearing;
    is($c->reply(5), 'PONG', 'and answered when it hears again');

    $fake->blackhole;
    is(client(timeout => 0.3)->conn->error, 'connect',
        'blackhole: no answer even to a SYN');
    $fake->up;
    is(client()->cmd('PING'), 'PONG', 'until up');
}


sub counters {
    $fake->clear;
    my $c = client();
    $c->cmd('ECHO', "x\xff") for 1 .. 3;

    my $s = $fake->stats;
    is($s->{accepted}, 1, 'connections are counted');
    is($s->{commands}{ECHO}, 3, 'and commands by name');
    is($s->{replies}, 3, 'and replies');
    is_deeply([(map { @$_[2, 3] } $fake->log)[0, 1]], ['ECHO', "x\xff"],
        'and written down');

    $c->close;
    ok((wait_for { $fake->stats->{closed_by_peer} } 5), 'and who closed');

    $c = client();
    my $from = now();
    $c->send('INCR', 'load') for 1 .. 5000;
    $c->reply for 1 .. 5000;
    is($redis->cli('GET', 'load'), 5000, 'five thousand in a pipeline');
    note(sprintf '%.0f commands a second', 5000 / (now() - $from));
}


sub several {
    my @nodes = $t->cluster(10, 3);
    my %moved = map { my $r = $nodes[0]->cli('SET', $_, 1);
                      ("$r" =~ /^(\w+)/)[0] => 1 } 'a' .. 'z';
    is_deeply([sort keys %moved], ['MOVED', 'OK'], 'a cluster of three');

    my $master = $t->redis(20);
    my $replica = $t->redis(21, conf => ['replicaof 127.0.0.1 '
                                         . $master->port]);
    my $sentinel = $t->sentinel(22, 'main', $master);

    wait_for { $replica->info('replication')->{master_link_status} eq 'up'
               && $sentinel->cli('SENTINEL', 'REPLICAS', 'main')->[0] } 20,
        'a sentinel that knows a replica';

    my $where = sub {
        $sentinel->cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main')->[1];
    };
    is($where->(), $master->port, 'and says who is master');

    $master->kill;
    wait_for { $where->() == $replica->port } 30, 'the replica takes over';
}
