#!/usr/bin/perl

# TLS to sentinels and to the master that they name.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;
my $tls = $t->tls;

# The plain port of the master is for the test; sentinels are told of the other.

my $master = $t->redis(0, tls => $tls->{server},
                       conf => ['tls-replication yes']);
my $tport = $master->tls_port;
my $sentinel = $t->redis(1, sentinel => 1, tls => $tls->{server},
    conf => ['tls-replication yes', "sentinel monitor main 127.0.0.1 $tport 1"]);

$t->subst(SPORT => $sentinel->tls_port);

$t->conf(<<'CONF')->run;
readiness_redis main { server 127.0.0.1:%%SPORT%%; topology sentinel main;
                       ssl on; ssl_trusted_certificate %%CA%%;
                       timeout 10s; connect_timeout 10s; }
readiness_rate main key=$arg_k rate=2r/d redis=main on_redis_error=deny;
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    location / { readiness_limit main; proxy_pass http://%%APP%%; }
}
CONF

ok((wait_for { $t->get('/?k=first')->status == 200 } 20), 'at first');
is(join(' ', map { $t->get('/?k=a')->status } 1 .. 3), '200 200 429',
   'counted by the master');

for ([$master, 'the master'], [$sentinel, 'the sentinel']) {
    my ($redis, $name) = @$_;
    my ($plain, $secure) = ($redis->port, $redis->tls_port);
    my @clients = split /\n/, $redis->cli('CLIENT', 'LIST');
    is(scalar(grep { / laddr=\S+:$plain / } @clients), 1,
       "$name was asked by nobody in plain text");
    cmp_ok(scalar(grep { / laddr=\S+:$secure / } @clients), '>=', 1,
       "$name was asked");
}

$t->done;
