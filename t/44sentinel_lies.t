#!/usr/bin/perl

# Sentinels that lie, stall or send nonsense: what they name is asked for its
# role before any call, nothing they send is believed or kept, and the others
# are asked.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;

my $master = $t->redis(1);
my $replica = $t->redis(2, conf => ['replicaof 127.0.0.1 ' . $master->port]);
my ($honest) = $t->sentinels(11, 1, 'm', $master, [$replica]);
my $front = $t->fake(1);                 # of the master
my $liar = $t->fake(2);                  # a sentinel
my $split = $t->fake(11);                # of the honest one

sub names {
    my ($host, $port) = @_;
    return join '', "*2\r\n", map { '$' . length($_) . "\r\n$_\r\n" } $host,
                                                                     $port;
}

my $true = names('127.0.0.1', $front->port);

sub says { return $liar->set(reply => $_[0], on => 'SENTINEL') }

says(names('127.0.0.1', $replica->port));

$t->conf(<<"CONF")->run;
readiness_redis liar { server ${\ $liar->addr }; topology sentinel m;
                       timeout 200ms; connect_timeout 300ms;
                       breaker failures=1000 retry=50ms; }
readiness_redis both { server ${\ $liar->addr }; server ${\ $honest->addr };
                       topology sentinel m; timeout 200ms;
                       connect_timeout 300ms; }
readiness_redis bits { server ${\ $split->addr }; topology sentinel m;
                       timeout 500ms; connect_timeout 2s;
                       breaker failures=1000 retry=50ms; }
readiness_rate liar key=\$arg_key rate=1000r/d redis=liar on_redis_error=deny;
readiness_rate both key=\$arg_key rate=1000r/d redis=both on_redis_error=deny;
readiness_rate bits key=\$arg_key rate=1000r/d redis=bits on_redis_error=deny;
readiness_rate local key=\$arg_key rate=2r/d redis=liar;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location /liar  { readiness_limit liar; proxy_pass http://%%APP%%; }
    location /both  { readiness_limit both; proxy_pass http://%%APP%%; }
    location /bits  { readiness_limit bits; proxy_pass http://%%APP%%; }
    location /local { readiness_limit local; proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;
my ($worker) = $t->workers;

sub get { return $t->get("/$_[0]?key=" . ($_[1] // 'k' . $n++))->status }

sub normal {
    my ($name, $where) = @_;
    ok((wait_for { get($where || 'liar') == 200 } 10), "$name: normal again");
    return;
}


# a replica

ok($t->wait_error(qr/\[error\].*"liar" at \S+:${\ $replica->port}: a sentinel /
                  . qr/calls it the master, but it is a replica/),
   'a replica is found out');
is(get('liar'), 503, 'a replica: the policy decides');
is_deeply([map { get('local', 'x') } 1 .. 3], [200, 200, 429],
          'or this nginx counts');
ok((wait_for { get('both') == 200 } 10), 'another sentinel knows better');
my $calls = $replica->calls('evalsha') + $replica->calls('eval');
is($calls, 0, 'a replica is sent no call');

$liar->clear;
my $until = now() + 2;
while (now() < $until) { get('liar'); pause(0.02) }
my $asked = $liar->count('SENTINEL');
cmp_ok($asked, '<=', 60, "and it is not asked all the time: $asked in 2 s");
cmp_ok($asked, '>=', 1, 'but again');
says($true);
normal('a replica');


# G07: each is put in the place of the answer after the connection to the
# master was lost

my %garbage = (
    'garbage' => "what is this\r\n",
    'a bulk string of 512 MB' => "*2\r\n\$536870912\r\n",
    'an array of 2^31 elements' => "*2147483647\r\n",
    'an array of 7000 elements' => "*7000\r\n" . "\$1\r\na\r\n" x 7000,
    'as many as there is room for, and more' => "*7281\r\n" . ":1\r\n" x 7281,
    'two strings of 64 KB' => "*2\r\n" . ("\$65535\r\n" . 'a' x 65535 . "\r\n")
                              x 2,
    'a length below -1' => "*-2\r\n",
    'nested arrays' => '*1' . "\r\n*1" x 20000 . "\r\n:1\r\n",
    'arrays of arrays' => "*2\r\n*2\r\n*2\r\n*0\r\n*0\r\n*0\r\n*0\r\n",
    'an integer out of range' => "*2\r\n:99999999999999999999999\r\n:1\r\n",
    'an array of nil' => "*2\r\n\$-1\r\n\$-1\r\n",
    'an error within' => "*2\r\n-ERR a\r\n-ERR b\r\n",
    'a string' => "\$14\r\n127.0.0.1:6379\r\n",
    'a status' => "+OK\r\n",
    'an integer' => ":6379\r\n",
    'a map of RESP3' => "%1\r\n+a\r\n+b\r\n",
    'a push of RESP3' => ">2\r\n+a\r\n+b\r\n",
    'one element' => "*1\r\n\$9\r\n127.0.0.1\r\n",
    'three elements' => "*3\r\n" . "\$1\r\na\r\n" x 3,
    'no port' => names('127.0.0.1', ''),
    'port 0' => names('127.0.0.1', 0),
    'port 65536' => names('127.0.0.1', 65536),
    'no host' => names('', 6379),
    'a path' => names('unix:/tmp/sock', 6379),
    'a host with a newline' => names("a\nb", 6379),
    'nil' => "*-1\r\n",
    'an error' => "-ERR no such thing\r\n",
    'a host name' => names('redis.internal', 6379),
    'itself' => names('127.0.0.1', $liar->port),
    'a sentinel' => names('127.0.0.1', $honest->port),
    'nobody' => names('127.0.0.1', $t->port(9)),
    'an address that is none' => names('::1%lo', 6379),
    'no way there' => names('224.0.0.1', 6379),
);

my $rss = $t->rss($worker);
my $fds = keys %{ $t->fds($worker) };

sub bad_answer {
    my ($name) = @_;
    $liar->clear;
    $front->close_all;
    $liar->wait_count('SENTINEL', 2);
    ok((wait_for { get('liar') == 503 } 10), "$name: the policy decides");
    says($true);
    normal($name);
    return;
}

for my $name (sort keys %garbage) {
    says($garbage{$name});
    bad_answer("G07 $name");
}

# a true answer and bytes behind it: what is true is used, the rest is nobody's

says("$true$true");
$liar->clear;
$front->close_all;
ok((wait_for { $liar->stats->{closed_by_peer} } 10),
   'G03 bytes behind an answer: the connection is closed');
says($true);
normal('G03 bytes behind an answer');

my $more = $t->rss($worker) - $rss;
SKIP: {
    skip('the sanitizer or valgrind has its own malloc', 1)
        if $t->built =~ /-fsanitize/ || $ENV{READINESS_WRAPPER};
    cmp_ok($more, '<', 4096, "G07 no memory is left of it ($more KiB)");
}

wait_for { keys %{ $t->fds($worker) } <= $fds } 10;
cmp_ok(scalar keys %{ $t->fds($worker) }, '<=', $fds, 'G07 nor a descriptor');

$t->wait_error(qr/"liar" at redis\.internal:6379: a sentinel calls this host /
               . qr/the master: add "resolver" to http\{\}/);
like($t->error_log, qr/"liar" at redis\.internal:6379: a sentinel calls this /,
     'a host name needs a resolver, and that is said');
like($t->error_log, qr/"liar" at \S+: a sentinel calls it .*, but it is a sent/,
     'what is no Redis is named');


# half an answer and then nothing, or the end

for my $len (0, 1, 3, 4, 10, length($true) - 3, length($true) - 1) {
    my $half = substr $true, 0, $len;
    $len ? says($half) : $liar->set(ignore => on => 'SENTINEL');
    bad_answer("G05 silent after $len bytes");
}


# G06

for my $at ('each', 1 .. length($true) - 1) {
    $split->set(split => $at, on => 'SENTINEL');
    $split->close_all;
    $master->cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    $split->wait_count('SENTINEL', 1);
    wait_for { get('bits') == 200 } 10 or fail("G06 an answer split at $at");
    $split->clear;
}

pass('G06 an answer split at each byte, and at all of them');

# with a replica in it

like($master->cli('ROLE')->[2][0][1], qr/^\d+\z/, 'the role tells of replicas');

for my $at ('each', 1 .. 60) {
    $front->set(split => $at, on => 'ROLE');
    $front->clear;
    $front->close_all;
    $front->wait_count('ROLE', 1);
    wait_for { get('liar') == 200 } 10 or fail("G06 a role split at $at");
}

pass('G06 a role split at each byte, and at all of them');

$t->done;
