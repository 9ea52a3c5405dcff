#!/usr/bin/perl

# Hazard E08: requests whose host or length can be read in two ways.  Whatever
# nginx answers, the line is right and no other host's limit is charged.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
readiness on;
readiness_rate host key=$host rate=100r/d;
readiness_log %%DIR%%/decision.log;
readiness_log_field host $host;
underscores_in_headers on;

server {
    listen 127.0.0.1:%%PORT0%% default_server;
    listen 127.0.0.1:%%PORT1%% http2 default_server;
    server_name good.example;
    readiness_header X-Server good;
    location / { readiness_limit host; proxy_pass http://%%APP%%; }
}
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    server_name evil.example;
    readiness_header X-Server evil;
    location / { readiness_limit host; proxy_pass http://%%APP%%; }
}
CONF

my $post = "POST / HTTP/1.1\r\nHost: good.example\r\n";
my @refused = (
    ['two Hosts', "GET / HTTP/1.1\r\nHost: good.example\r\n"
     . "Host: evil.example\r\n\r\n", 400],
    ['two equal Hosts', "GET / HTTP/1.1\r\nHost: good.example\r\n"
     . "Host: good.example\r\n\r\n", 400],
    ['two Hosts, one in odd case', "GET / HTTP/1.1\r\nHost: good.example\r\n"
     . "hOsT: evil.example\r\n\r\n", 400],
    ['no Host', "GET / HTTP/1.1\r\n\r\n", 400],
    ['a Host with a blank', "GET / HTTP/1.1\r\nHost: good.example evil\r\n\r\n",
     400],
    ['a Host with a slash', "GET / HTTP/1.1\r\nHost: good.example/x\r\n\r\n",
     400],
    ['Content-Length and Transfer-Encoding', "${post}Content-Length: 4\r\n"
     . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    ['the other way round', "${post}Transfer-Encoding: chunked\r\n"
     . "Content-Length: 4\r\n\r\n0\r\n\r\n", 400],
    ['two Content-Lengths', "${post}Content-Length: 1\r\nContent-Length: 2\r\n"
     . "\r\nx", 400],
    ['two Transfer-Encodings', "${post}Transfer-Encoding: chunked\r\n"
     . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", qr/^(?:400|501)$/],
    ['a list of codings', "${post}Transfer-Encoding: gzip, chunked\r\n\r\n"
     . "0\r\n\r\n", 501],
    ['a signed length', "${post}Content-Length: +4\r\n\r\nabcd", 400],
    ['a blank before the colon', "GET / HTTP/1.1\r\nHost : good.example\r\n"
     . "\r\n", 400],
    ['a length in HTTP/1.0 with coding', "POST / HTTP/1.0\r\nHost: "
     . "good.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
);

for (@refused) {
    my ($fact, $bytes, $status) = @$_;
    my $r = $t->raw($bytes);

    like($r->status, ref $status ? $status : qr/^$status$/, "E08 $fact");
    is($r->count('X-Server'), 1, 'with our headers');

    my @line = lines($r);
    is(@line, 1, 'one line');
    is($line[0]{'readiness.decision'}, 'none', 'nothing was evaluated');
    is($line[0]{'http.response.status_code'}, $r->status, 'its status');
    is($r->count('RateLimit'), 0, 'nothing charged');
}

is($t->app->count, 0, 'E08 the application saw none of them');

# HTTP/2: the authority and a Host beside it

my $h2 = $t->h2(port => 1);
my $r = $h2->get('/', host => 'good.example',
                 headers => [host => 'evil.example']);
my $served = $r->status == 200;                 # as versions of nginx have it
like($r->status, qr/^(?:200|400)$/, 'E08 HTTP/2: Host beside the authority');
is_deeply([$r->header('X-Server'), left($r)], ['good', $served ? 99 : 'none'],
    'E08 the authority is routed by, and charged');
$h2->close;

# $host is what nginx routes by

$r = $t->raw("GET http://evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n");
is($r->header('X-Server'), 'evil', 'E08 absolute-form: the host of the URI');
is(left($r), 99, 'E08 is charged');
my ($line) = lines($r);
is($line->{host}, 'evil.example', 'E08 and in the line');
is($line->{'server.address'}, 'evil.example', 'E08 as the server, too');

$r = $t->get('/', headers => [Host => 'good.example']);
is($r->header('X-Server') . left($r), 'good' . ($served ? 98 : 99),
    'E08 the other host was charged for its own request only');

$r = $t->get('/', headers => [Host => 'EVIL.example:1234']);
is(left($r), 98, 'E08 letter case and port make no other bucket');
$r = $t->get('/', headers => [Host => 'evil.example.']);
is(left($r), 97, 'E08 nor does a dot at the end');
$r = $t->raw("GET / HTTP/1.0\r\n\r\n");
is($r->header('X-Server') . left($r), 'good' . ($served ? 97 : 98),
    'E08 HTTP/1.0 without Host: the server that nginx takes');

$t->done;


sub left {
    my ($resp) = @_;
    return ($resp->header('RateLimit') || '') =~ /;r=(\d+);/ ? $1 : 'none';
}

sub lines {
    my ($resp) = @_;
    my @id = ('http.request.id' => $resp->header('X-Request-Id') || 'none');

    wait_for { $t->lines('decision.log', @id) } 10;
    return $t->lines('decision.log', @id);
}
