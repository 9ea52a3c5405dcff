#!/usr/bin/perl

# TLS to every node of a cluster, and each of them has to prove who it is.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;
my $tls = $t->tls;

$t->redis($_, cluster => 1, tls => $tls->{server}, conf => ['tls-cluster yes'])
    for 0 .. 2;
my @nodes = $t->cluster(0, 3);

$t->subst(TPORT => $nodes[0]->tls_port);

$t->conf(<<'CONF')->run;
readiness_redis main { server 127.0.0.1:%%TPORT%%; topology cluster;
                       ssl on; ssl_trusted_certificate %%CA%%;
                       timeout 10s; connect_timeout 10s; }
readiness_redis named { server 127.0.0.1:%%TPORT%%; topology cluster;
                        ssl on; ssl_trusted_certificate %%CA%%;
                        ssl_name redis.internal;
                        timeout 10s; connect_timeout 10s; }
readiness_rate main key=$arg_k rate=2r/d redis=main on_redis_error=deny;
readiness_rate named key=$arg_k rate=2r/d redis=named on_redis_error=deny;
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    location /main  { readiness_limit main; proxy_pass http://%%APP%%; }
    location /named { readiness_limit named; proxy_pass http://%%APP%%; }
}
CONF

for my $name (qw(main named)) {
    ok((wait_for { $t->get("/$name?k=first")->status == 200 } 20),
       "$name: at first");
    my $from = () = $t->lines;
    my (%sum, %source);
    for my $k (1 .. 60) {
        my @r = map { $t->get("/$name?k=$k")->status } 1 .. 3;
        $sum{"@r"}++;
    }
    is_deeply(\%sum, { '200 200 429' => 60 }, "$name: sixty keys are counted");

    $source{"$_->{'readiness.decision'} $_->{'readiness.limits'}[0]{source}"}++
        for splice @{ [$t->lines] }, $from;
    is_deeply(\%source, { 'allow redis' => 120, 'deny refusal_cache' => 60 },
              "$name: by Redis, until they are spent");
}

for my $i (0 .. 2) {
    my @keys = $nodes[$i]->keys;
    cmp_ok(scalar @keys, '>', 20, "node $i has its share");
    my $plain = $nodes[$i]->port;
    my @clients = grep { / laddr=\S+:$plain / }
        split /\n/, $nodes[$i]->cli('CLIENT', 'LIST');
    is(scalar @clients, 1, "node $i was asked by nobody in plain text");
}

# one of the nodes becomes somebody else

$nodes[1]->cli('CONFIG', 'SET', 'tls-cert-file', $tls->{expired}{cert},
               'tls-key-file', $tls->{expired}{key});
$nodes[1]->cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

my %status;
ok((wait_for {
    %status = ();
    $status{ $t->get("/main?k=x$_")->status }++ for 1 .. 30;
    $status{503} && $status{200};
} 20), 'a node with an expired certificate is not asked, the others are');
ok((wait_for { $t->error_log =~ /certificate has expired \(10\)/ } 10),
   'error.log says why');

$nodes[1]->cli('CONFIG', 'SET', 'tls-cert-file', $tls->{server}{cert},
               'tls-key-file', $tls->{server}{key});
ok((wait_for {
    %status = ();
    $status{ $t->get("/main?k=y$_")->status }++ for 1 .. 30;
    !$status{503};
} 20), 'it is renewed: all is well');

$t->done;
