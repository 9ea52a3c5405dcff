#!/usr/bin/perl

# Every way nginx can run its processes and its events: the same results.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;
my $n = 0;

my @modes = (
    ['one worker'],
    ['four workers', workers => 4],
    ['accept_mutex on', workers => 4,
     events => 'accept_mutex on; accept_mutex_delay 20ms; multi_accept on;'],
    ['reuseport', workers => 4, listen => 'reuseport'],
    ['master_process off', main => 'master_process off;'],
    ['daemon off', main => 'daemon off;', workers => 2],
    ['daemon off, master_process off',
     main => "daemon off;\nmaster_process off;"],
    ['use poll', events => 'use poll;', workers => 2],
    ['use select', events => 'use select;', workers => 2],
    ['threads',
     main => "thread_pool default threads=4;\ntimer_resolution 50ms;",
     http => 'aio threads; sendfile on;', workers => 2],
);

mkdir $t->path('www');
$t->file('www/page', 'hello' x 1000);

for my $mode (@modes) {
    my ($name, %o) = @$mode;
    my $conf = conf(listen => delete $o{listen}, http => delete $o{http});
    my ($code, $said) = $t->nginx_t($conf, %o);

  SKIP: {
        skip("H08 $name: this nginx has no such method", 1)
            if $said =~ /invalid event type|requires? the .* module/;
        is($code, 0, "H08 $name: nginx -t") or diag($said);

        unlink $t->path('decision.log');
        $t->conf($conf, %o)->run;
        same_results($name, $o{workers} || 1);
        ok($t->stop, "H08 $name: stops");
    }
}

$t->done;


sub conf {
    my (%o) = @_;
    my ($listen, $http) = map { $o{$_} || '' } qw(listen http);

    return <<"CONF";
$http
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 5s; }
readiness_trusted_proxies 127.0.0.1;
readiness_rate zone key=\$arg_key rate=10r/d;
readiness_rate far key=\$arg_key rate=10r/d redis=main on_redis_error=deny;
readiness_rate who key=\$readiness_client_key rate=2r/d;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%% $listen;
    listen 127.0.0.1:%%PORT1%% http2 $listen;
    readiness on;
    location /zone { readiness_limit zone; proxy_pass http://%%APP%%; }
    location /far { readiness_limit far; proxy_pass http://%%APP%%; }
    location /who { readiness_limit who; proxy_pass http://%%APP%%; }
    location /file { readiness_limit far; root %%DIR%%/www;
                     try_files /page =404; }
}
CONF
}


sub statuses {
    my %count;
    $count{ $_->status }++ for @_;
    return join ' ', map { "$count{$_}x$_" } sort keys %count;
}

sub same_results {
    my ($name, $workers) = @_;
    my $key = 'k' . ++$n;

    is(statuses($t->burst(16, "/$_?key=$key")), '10x200 6x429',
       "H08 $name: $_: ten of sixteen") for qw(zone far);

    my $h2 = $t->h2(port => 1);
    my @ids = map { scalar $h2->open('GET', "/file?key=$key-h2") } 1 .. 16;
    is(statuses($h2->wait_all(@ids)), '10x200 6x429',
       "H08 $name: HTTP/2, a file");
    $h2->close;

    my $xff = "10.9.$n.";
    my @got = map { $t->get('/who', headers => ['X-Forwarded-For', $_]) }
              ("${xff}1") x 3, "${xff}2";
    is(join(' ', map { $_->status } @got), '200 200 429 200',
       "H08 $name: by client address");
    is($got[0]->seen('X-Real-IP'), "${xff}1", "H08 $name: which is passed on");

    # a client that leaves, one that sends the next request already

    my $gone = $t->conn;
    $gone->write(format_request('GET', "/far?key=$key-gone"));
    $gone->close;

    my $c = $t->conn;
    $c->write(join '', map { format_request('GET', "/far?key=$key-pipe") }
                       1 .. 12);
    is(statuses(map { $c->response } 1 .. 12), '10x200 2x429',
       "H08 $name: pipelined");
    $c->close;

    my $body = $t->post("/far?key=$key-post", 'x' x 50000);
    is($body->json->{body_length}, 50000, "H08 $name: a body");

    my @lines = $t->wait_lines('decision.log', 16 * 3 + 4 + 1 + 12 + 1);
    is(scalar @lines, 16 * 3 + 4 + 1 + 12 + 1, "H08 $name: one line each");
    is(scalar(grep { ($_->{'client.address'} || '') eq "${xff}1" } @lines), 3,
       "H08 $name: with the client's address");
    is(scalar(grep { $_->{'readiness.reason'} eq 'rate_limited' } @lines), 21,
       "H08 $name: with their reasons");
    return;
}
