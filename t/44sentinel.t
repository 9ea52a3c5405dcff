#!/usr/bin/perl

# A master named by sentinels: found, left when it dies, found again where they
# say; in between the policy decides.  Real servers, real sentinels.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;

my $master = $t->redis(1);
my $replica = $t->redis(2, conf => ['replicaof 127.0.0.1 ' . $master->port]);
my @sentinels = $t->sentinels(11, 3, 'mymaster', $master, [$replica]);

my $servers = join ' ', map { 'server ' . $_->addr . ';' } @sentinels;

$t->conf(<<"CONF", workers => 2)->run;
readiness_redis main { $servers topology sentinel mymaster; timeout 200ms; }
readiness_rate deny key=\$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_rate allow key=\$arg_key rate=1000r/d redis=main on_redis_error=allow;
readiness_rate local key=\$arg_key rate=2r/d redis=main;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location /free  { proxy_pass http://%%APP%%; }
    location /deny  { readiness_limit deny; proxy_pass http://%%APP%%; }
    location /allow { readiness_limit allow; proxy_pass http://%%APP%%; }
    location /local { readiness_limit local; proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;

sub get { return $t->get("/$_[0]?key=" . ($_[1] // 'k' . $n++)) }

# All workers decide by Redis: twenty connections in a row hit both.

sub normal {
    my ($name, $seconds) = @_;
    my $from = now();
    my $row = 0;
    ok((wait_for { $row = get('deny')->status == 200 ? $row + 1 : 0;
                   $row >= 20 } $seconds || 10), $name);
    return now() - $from;
}

sub named { return $sentinels[0]->cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME',
                                      'mymaster')->[1] }

normal('the master is found');
ok((grep { /deny/ } $master->keys), 'and counts');
is($t->get('/local?key=l')->status, 200, 'a limit') for 1 .. 2;
is($t->get('/local?key=l')->status, 429, 'holds');


# the workers keep one connection to a sentinel each, and ask on it

my $clients = 0;
for my $s (@sentinels) {
    $clients += () = $s->cli('CLIENT', 'LIST')
                     =~ /cmd=sentinel\|get-master-addr-by-name/gi;
}
is($clients, 2, 'each worker keeps one connection to a sentinel');


# killed

$master->kill;

wait_for { get('deny')->status == 503 } 5;
my %seen;
my $gap = now();
my $failed = 0;
my $back = wait_for {
    $seen{free}{ get('free')->status } = 1;
    $seen{allow}{ get('allow')->status } = 1;
    $seen{local}{ get('local')->status } = 1;
    named() == $replica->port;
} 30;
ok($back, 'the sentinels name the replica');
is(join(' ', sort keys %{ $seen{$_} }), 200, "meanwhile: $_") for
    qw(free allow local);

# the sentinels' own time is over: what is ours is the pause between two
# attempts, 1 s, the time of the attempt, and the machine's

my $took = normal('decisions are Redis\' again', 20);
cmp_ok($took, '<', 5, "soon after they did ($took s)");
ok((grep { /deny/ } $replica->keys), 'by the replica that was promoted');
$t->wait_error(qr/\[notice\].*"main": the master is 127\.0\.0\.1:${\
    $replica->port} now, it was 127\.0\.0\.1:${\ $master->port}/);
like($t->error_log, qr/\[notice\].*"main": the master is \S+ now, it was/,
     'a new master is a notice');
is(scalar(() = $t->error_log =~ /\[error\].*"main" at/g) <= 6, 1,
   'and the outage a few errors at most');


# back as a replica, then a failover that is asked for: the old master is told
# to be a replica, and ends our connections

$master->start;
Readiness::Topology::agree('mymaster', [$master], @sentinels);

my @before = $master->keys;
is($sentinels[1]->cli('SENTINEL', 'FAILOVER', 'mymaster'), 'OK', 'a failover');

my ($lost, $asked) = (0, 0);
my $other = wait_for {
    $asked++;
    $lost++ if get('deny', "f$asked")->status != 200;
    grep { $_ eq "rdy:deny:{f$asked}" } $master->keys
        and $replica->info('replication')->{role} eq 'slave';
} 40;
ok($other, 'the old one is a replica, and both workers have left it');
normal('and all is well', 20);
note "$lost of $asked decisions by policy";

my @lines = $t->lines('decision.log');
is(scalar(grep { !defined $_->{'readiness.reason'} } @lines), 0,
   'every decision has its reason');

$t->done;
