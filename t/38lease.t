#!/usr/bin/perl

# lease=N: a hot key is served by permits that were fetched together, the
# workers share them, and what nobody used after a second is given back.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Many;

my $t = Readiness->new;
my $redis = $t->redis;
my $other = Readiness->new->subst(REDIS => $redis->addr);

my $conf = <<'CONF';
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
readiness_rate hot key=$arg_k rate=100000r/s lease=16 redis=main
    on_redis_error=deny;
readiness_rate slow key=$arg_k rate=1r/m burst=400 lease=16 redis=main
    on_redis_error=deny;
readiness_rate cap key=$arg_cap rate=1r/h redis=main on_redis_error=deny;
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    keepalive_requests 1000000;
    location /hot { readiness_limit hot; alias %%DIR%%/page; }
    location /slow { readiness_limit slow cost=$arg_c; alias %%DIR%%/page; }
    location /both { readiness_limit slow; readiness_limit cap;
                     alias %%DIR%%/page; }
}
CONF

for ($t, $other) {
    $_->file('page', "page\n");
    $_->conf($conf, workers => $_ == $t ? 2 : 1)->run;
}

hot($other, 0.07, 'one worker');
hot($t, 0.14, 'two workers, that miss together');
given_back();
not_after_a_reconnect();
another_cost();
put_back();
reload();

$t->done;


sub hot {
    my ($nginx, $most, $who) = @_;
    my ($n, $i, %got) = (8000, 0);
    my $before = $redis->calls('evalsha');

    is(Readiness::Many::run($nginx, h1 => 4, depth => 1,
        next => sub { return $i++ < $n ? '/hot?k=a' : () },
        got => sub { $got{ $_[1] }++ }), '', "$who: a hot key");

    my $calls = $redis->calls('evalsha') - $before;

    is($got{200}, $n, "$who: all pass");
    cmp_ok($calls, '<=', $most * $n, "$who: by $calls calls");

    my %source;
    $source{ $_->{'readiness.limits'}[0]{source} }++
        for $nginx->wait_lines('decision.log', $n);
    cmp_ok($source{lease}, '>', 0.7 * $n, "$who: source lease");
    is($source{lease} + $source{redis}, $n, "$who: or redis");
    return;
}


# How many are left in Redis, as another nginx sees it.

sub left {
    my ($k) = @_;
    my $r = $other->get("/slow?k=$k&c=0");
    return $r->header('RateLimit') =~ /r=(\d+)/ ? $1 : -1;
}


# Requests in quick succession until permits are held: how many passed, and how
# many are held.

sub hold {
    my ($k) = @_;
    my ($n, $held) = (0, 0);
    my $conn = $t->conn;

    while ($held < 5 && $n < 300) {
        $n++ if $conn->request('GET', "/slow?k=$k")->status == 200;
        $held = 400 - $n - left($k) if $n > 4;
    }

    $conn->close;
    cmp_ok($held, '>=', 5, "$k: after $n requests $held are held");
    return ($n, $held);
}


sub given_back {
    my ($n, $held) = hold('back');
    my $start = now();

    # of each of two dates one may be refilled meanwhile, and is not returned

    ok((wait_for { left('back') >= 400 - $n - 2 } 10),
        'unused permits are given back');
    cmp_ok(now() - $start, '>', 0.3, 'not before they are old');
    cmp_ok(now() - $start, '<', 5, 'and soon then');
    wait_for { now() - $start > 2.5 } 10;
    cmp_ok(left('back'), '<=', 400 - $n + 1, 'once');
    return;
}


sub not_after_a_reconnect {
    my ($n, $held) = hold('lost');
    my $start = now();

    $redis->cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

    my $left = left('lost');
    wait_for { now() - $start > 2 } 10;
    cmp_ok(left('lost'), '<=', $left + 1,
        'nobody knows what was charged before a lost connection: nothing is '
        . 'given back');
    return;
}


sub decided {
    my ($conn, $uri) = @_;
    my $n = $t->lines;
    my $status = $conn->request('GET', $uri)->status;
    my @l = $t->wait_lines('decision.log', $n + 1);

    return join ' ', $status,
        map { "$_->{name}=$_->{source}" } @{ $l[-1]{'readiness.limits'} };
}


sub another_cost {
    my ($n, $held) = hold('cost');
    my $conn = $t->conn;
    my $before = $redis->calls('evalsha');
    my $r = $conn->request('GET', '/slow?k=cost&c=3');

    is($r->status . ' ' . ($redis->calls('evalsha') - $before), '200 0',
        'another cost takes from what is held');
    $conn->close;
    return;
}


# Many limits: what was taken from a lease is put back when another refuses.

sub put_back {
    my $conn = $t->conn;

    is($conn->request('GET', '/both?k=both&cap=x')->status, 200, 'both fit');

    my ($n, $held) = hold('both');
    my $before = $redis->calls('evalsha');
    my @got = map { $conn->request('GET', '/both?k=both&cap=x')->status }
        1 .. 10;
    my $calls = $redis->calls('evalsha') - $before;

    is("@got", join(' ', (429) x 10), 'one of two limits refuses');
    is($calls, 0, 'known here, as the permits of the other are');

    $before = $redis->calls('evalsha');
    @got = map { $conn->request('GET', '/slow?k=both')->status } 1 .. 4;
    is("@got " . ($redis->calls('evalsha') - $before), '200 200 200 200 0',
        'which were put back');
    $conn->close;
    return;
}


sub reload {
    my ($found, $n) = ('', 0);

    for (1 .. 5) {
        hold("hup$_");
        $t->reload;

        my $before = $redis->calls('evalsha');
        my $conn = $t->conn;
        my $status = $conn->request('GET', "/slow?k=hup$_")->status;
        $found = $status . ' ' . ($redis->calls('evalsha') - $before);
        $conn->close;
        last if $found eq '200 0';
    }

    is($found, '200 0', 'new workers use the permits that are in the zone');
    return;
}
