#!/usr/bin/perl

# A Redis that answers late, twice, out of order, too much or nonsense: no
# verdict ever goes to another request, the policy decides, and all is well
# again afterwards without a reload.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;
$t->fake;

# The cost decides: 1 always fits, 5000 never does.  With "deny" a request
# that Redis did not answer is a 503, so that every other verdict is Redis'.

$t->conf(<<'CONF')->run;
readiness_redis main { server %%FAKE%%; timeout 60ms; }
readiness_rate api key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_rate two key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    location / {
        readiness on;
        readiness_limit api cost=$arg_cost;
        proxy_pass http://%%APP%%;
    }
    location /two/ {
        readiness on;
        readiness_limit api cost=$arg_cost;
        readiness_limit two cost=$arg_cost;
        proxy_pass http://%%APP%%/;
    }
}
CONF

my $fake = $t->fake;
my $n = 0;

sub uri {
    my ($fits, $where) = @_;
    return ($where || '/') . '?key=k' . $n++ . '&cost=' . ($fits ? 1 : 5000);
}

sub normal {
    my ($name) = @_;
    $fake->pass;
    ok((wait_for { $t->get(uri(1))->status == 200 } 10), "$name: normal again");
    ok((wait_for { $t->get(uri(0))->status == 429 } 10),
       "$name: and refusing again");
}

# Streams of one connection at once, right and wrong ones mixed; returns how
# many of each status, and how many verdicts went to the wrong request.

sub mixed {
    my ($count) = @_;
    my (%status, %fits, $swapped);
    my $c = $t->h2(port => 1);
    my $all = '';
    for (1 .. $count) {
        my $fits = int rand 2;
        my ($id, $bytes) = $c->open('GET', uri($fits, rand() < 0.5 && '/two/'),
                                    hold => 1);
        $fits{$id} = $fits;
        $all .= $bytes;
    }
    $c->bytes($all);
    $swapped = 0;
    for my $id (sort { $a <=> $b } keys %fits) {
        my $status = $c->wait($id)->status;
        $status{$status}++;
        $swapped++ if $status != 503 && $status != ($fits{$id} ? 200 : 429);
    }
    $c->close;
    return ($swapped, \%status);
}

sub rounds {
    my ($name, $rounds, @rule) = @_;
    my ($swapped, %sum) = (0);
    for (1 .. $rounds) {
        $fake->set(@rule);
        my ($s, $status) = mixed(40);
        $swapped += $s;
        $sum{$_} += $status->{$_} for keys %$status;
    }
    is($swapped, 0, "$name: no verdict goes to another request");
    is_deeply([grep { !/^(?:200|429|503)$/ } keys %sum], [],
              "$name: each request gets one of the three answers");
    normal($name);
    return \%sum;
}

srand 4711;
normal('at first');

# G01
rounds('G01 jitter up to twice the timeout', 12, delay => [0, 120],
       on => 'EVALSHA');
my $late = rounds('G01 always too late', 2, delay => 130, on => 'EVALSHA');
ok($late->{503}, 'G01 always too late: the policy decides');

# G02
$fake->set(delay => 400, on => ['AUTH', 'SELECT', 'SCRIPT LOAD']);
$fake->close_all;
rounds('G02 a prelude that is late', 2, delay => 400, on => 'SCRIPT LOAD');

# G03
rounds('G03 doubled replies', 4, dup => on => 'EVALSHA');
rounds('G03 swapped replies', 4, swap => on => 'EVALSHA');
rounds('G03 swallowed replies', 3, swallow => on => 'EVALSHA', times => 1);
rounds('G03 unasked-for bytes', 3, extra => "+OK\r\n", on => 'EVALSHA',
       times => 1);

$t->get(uri(1));
$fake->push(":1\r\n");
ok((wait_for { $fake->stats->{closed_by_peer} } 10),
   'G03 a byte on an idle connection closes it');
normal('G03 a byte on an idle connection');

# G06
rounds('G06 each byte in a segment of its own', 2, split => 'each',
       on => 'EVALSHA');
rounds('G06 several replies in one segment', 2, merge => 2, on => 'EVALSHA');

$t->get(uri(1));
for my $at (1 .. 40) {
    $fake->set(split => $at, on => 'EVALSHA');
    my ($ok, $no);
    for (1 .. 20) {
        # a busy machine may miss the deadline, never the verdict
        ($ok, $no) = ($t->get(uri(1))->status, $t->get(uri(0))->status);
        last if $ok != 503 && $no != 503;
    }
    next if $ok == 200 && $no == 429;
    fail("G06 split at byte $at: $ok, $no");
}
normal('G06 split at every byte');

# G07
my %garbage = (
    'G07 garbage' => "what is this\r\n",
    'G07 a bulk string of 512 MB' => "\$536870912\r\n",
    'G07 an array of 2^31 elements' => "*2147483647\r\n",
    'G07 a length below -1' => "\$-2\r\n",
    'G07 nested arrays' => '*1' . "\r\n*1" x 20000 . "\r\n:1\r\n",
    'G07 an integer out of range' => ":99999999999999999999999\r\n",
    'G07 nil' => "\$-1\r\n",
    'G07 another type' => "+OK\r\n",
    'G07 a push of RESP3' => ">2\r\n+a\r\n+b\r\n",
    'G07 a double of RESP3' => ",1.5\r\n",
    'G07 too short a string' => "\$3\r\nabc\r\n",
    'G07 a string of zeros' => "\$64\r\n" . "\0" x 64 . "\r\n",
);

for my $name (sort keys %garbage) {
    $fake->set(reply => $garbage{$name}, on => 'EVALSHA', times => 1);
    is($t->get(uri(1))->status, 503, "$name: the policy decides");
    normal($name);
}

for my $bytes (0, 1, 5, 20) {
    $fake->set(close => $bytes, on => 'EVALSHA', times => 1);
    is($t->get(uri(1))->status, 503, "G07 closed after $bytes bytes");
    $fake->set(rst => $bytes, on => 'EVALSHA', times => 1);
    wait_for { $t->get(uri(1))->status } 10;
    normal("G07 closed after $bytes bytes");
}

$t->done;
