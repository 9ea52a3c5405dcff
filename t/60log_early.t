#!/usr/bin/perl

# B13: what never becomes a request with a location has its line, too: with
# the ID of the answer and the status of nginx's own log.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;

$t->file('www.a', "text\n");

$t->conf(<<'CONF')->run;
log_format own escape=json '{"id":"$readiness_request_id","status":$status}';
access_log %%DIR%%/access.log own;
readiness_log %%DIR%%/decision.log;
readiness on;
limit_req_zone $arg_z zone=z:1m rate=1r/m;
large_client_header_buffers 2 4k;

server {
    listen 127.0.0.1:%%PORT0%%;
    server_name www.example.com;
    client_max_body_size 10;
    location / { alias %%DIR%%/www.; }
    location /app { proxy_pass http://%%APP%%; }
    location /late { limit_req zone=z burst=5; proxy_pass http://%%APP%%; }
    location /asked { auth_request /verdict; proxy_pass http://%%APP%%; }
    location = /verdict {
        internal;
        proxy_pass http://%%APP%%/?app_delay=60000;
    }
}
server {
    listen 127.0.0.1:%%PORT1%%;
    client_header_timeout 200ms;
}
server {
    listen 127.0.0.1:%%PORT2%% ssl http2;
    server_name tls.example.com;
    ssl_certificate %%CERT%%;
    ssl_certificate_key %%KEY%%;
    location / { alias %%DIR%%/www.; }
}
server {
    listen 127.0.0.1:%%PORT3%% ssl;
    ssl_certificate %%CERT%%;
    ssl_certificate_key %%KEY%%;
    ssl_client_certificate %%CA%%;
    ssl_verify_client on;
}
server {
    listen 127.0.0.1:%%PORT4%% http2;
    location / { alias %%DIR%%/www.; }
}
CONF

my @keys = qw(readiness.decision http.response.status_code http.request.method
              url.path network.protocol.version server.address);
my $lines = 0;


# The line that one thing done makes, and its values as one text.

sub line {
    my ($name, $want, $r) = @_;

    my @lines = $t->wait_lines('decision.log', ++$lines);
    my @own = $t->wait_lines('access.log', $lines);
    my $l = $lines[-1] || {};

    is(scalar @lines, $lines, "$name: one line");
    is(join(' ', map { defined $l->{$_} ? $l->{$_} : '-' } @keys), $want,
        "$name: its values");
    is($l->{'http.request.id'}, $own[-1]{id}, "$name: the ID nginx logs");
    is($l->{'http.response.status_code'}, $own[-1]{status},
        "$name: and its status") if $l->{'http.response.status_code'};
    like($l->{'client.address'} || '', qr/^127\.0\.0\.1\z/,
        "$name: the client");

    if ($r && defined $r->header('X-Request-Id')) {
        is($r->header('X-Request-Id'), $own[-1]{id},
            "$name: and the one of the answer");
    }

    $lines = @lines;
    return $l;
}

sub raw {
    my ($name, $want, $bytes, $status, %o) = @_;
    my $r = $t->raw($bytes, %o);

    is($r->status, $status, "$name: the answer");
    return line($name, $want, $r);
}


my $host = "Host: a.example\r\n";
my $end = "${host}Connection: close\r\n\r\n";
my $none = 'www.example.com';

raw('a request, to compare', 'allow - GET /a 1.1 a.example',
    "GET /a HTTP/1.1\r\n$end", 200);

# request lines

raw('no request line', "none 400 - - - $none", "\x16\x03\x01BAD\r\n\r\n", 400);
raw('one word', "none 400 - - - $none", "BAD\r\n\r\n", 400);
raw('a method in lower case', "none 400 - - - $none",
    "get / HTTP/1.1\r\n$end", 400);
raw('no HTTP', "none 400 - /x - $none", "GET /x HTPT/1.1\r\n$end", 400);
raw('HTTP/7', "none 505 - /x - $none", "GET /x HTTP/7.1\r\n$end", 505);
raw('a bad escape', "none 400 GET /%zz 1.1 $none",
    "GET /%zz HTTP/1.1\r\n$end", 400);
raw('above the root', "none 400 GET /../x 1.1 $none",
    "GET /../x HTTP/1.1\r\n$end", 400);
raw('a URI that is too long', "none 414 - - - $none",
    'GET /' . 'x' x 5000 . " HTTP/1.1\r\n$end", 414);
raw('TRACE', 'none 405 TRACE / 1.1 a.example', "TRACE / HTTP/1.1\r\n$end",
    405);

# headers

raw('a NUL in a header', "none 400 GET /a 1.1 $none",
    "GET /a HTTP/1.1\r\nX: a\0b\r\n$end", 400);
raw('no Host', "none 400 GET /a 1.1 $none", "GET /a HTTP/1.1\r\n\r\n", 400);
raw('two Hosts', 'none 400 GET /a 1.1 a.example',
    "GET /a HTTP/1.1\r\n${host}Host: b\r\n\r\n", 400);
raw('a bad Host', "none 400 GET /a 1.1 $none",
    "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
raw('a header that is too long', "none 400 GET /a 1.1 $none",
    "GET /a HTTP/1.1\r\nX: " . 'x' x 9000 . "\r\n\r\n", 400);
raw('two lengths', 'none 400 POST /a 1.1 a.example',
    "POST /a HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
    400);
raw('length and chunks', 'none 400 POST /a 1.1 a.example',
    "POST /a HTTP/1.1\r\n${host}Content-Length: 1\r\n"
    . "Transfer-Encoding: chunked\r\n\r\n", 400);
raw('an unknown coding', 'none 501 POST /a 1.1 a.example',
    "POST /a HTTP/1.1\r\n${host}Transfer-Encoding: zip\r\n\r\n", 501);
raw('a body that is too large', 'none 413 POST /app 1.1 a.example',
    "POST /app HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\n", 413);

# older versions

raw('HTTP/0.9', "allow - GET /a 0.9 $none", "GET /a\r\n", 0);
raw('HTTP/1.0 without Host', "allow - GET /a 1.0 $none",
    "GET /a HTTP/1.0\r\n\r\n", 200);
raw('HTTP/1.0 with Host', 'allow - GET /a 1.0 a.example',
    "GET /a HTTP/1.0\r\n$end", 200);
raw('an absolute URI', 'allow - GET /a 1.1 b.example',
    "GET http://b.example/a?q=1 HTTP/1.1\r\n$end", 200);

# TLS

raw('plain HTTP to a TLS port', 'none 400 GET /a 1.1 a.example',
    "GET /a HTTP/1.1\r\n$end", 400, port => 2);
my $l = raw('no client certificate', 'none 400 GET /a 1.1 a.example',
    "GET /a HTTP/1.1\r\n$end", 400, port => 3, tls => 1);
is($l->{'url.scheme'}, 'https', 'by TLS');
$l = raw('TLS', 'allow - GET /a 1.1 a.example', "GET /a HTTP/1.1\r\n$end", 200,
    port => 2, tls => 1);
is($l->{'url.scheme'}, 'https', 'by TLS');

# clients that are slow, or gone

raw('a header that never ends', 'none 408 GET /a 1.1 -',
    "GET /a HTTP/1.1\r\nHost: a", 0, port => 1);
raw('a request line that never ends', 'none 408 - /a - -', 'GET /a HT', 0,
    port => 1);

my $c = $t->conn;
$c->write('GET /a HT');
$c->close;
line('gone within the request line', "none 400 - /a - $none");

$c = $t->conn;
$c->write("GET /a HTTP/1.1\r\nHo");
$c->close;
line('gone within the header', "none 400 GET /a 1.1 $none");

is($t->get('/late?z=1')->status, 200, 'the first is not late');
line('the first', 'allow - GET /late 1.1 localhost');

gone('gone while limit_req delays it', '/late?z=1',
    'allow 499 GET /late 1.1 localhost');
gone('gone while auth_request waits', '/asked',
    'allow 499 GET /asked 1.1 localhost');

$c = $t->conn;
$c->write(format_request('GET', '/app?app_delay=60000'));
wait_for { $t->app->count(qr/^.app.app_delay/) } 10;
$c->close;
line('gone while the application works', 'allow - GET /app 1.1 localhost');

# HTTP/2

http2('HTTP/2', 'allow - GET /a 2 h2.example', '/a');
http2('HTTP/2 without path', 'none 400 GET - 2 a', undef,
    [':method' => 'GET', ':scheme' => 'http', ':authority' => 'a']);
http2('HTTP/2 with a method in lower case', 'none 400 _OTHER - 2 -', undef,
    [':method' => 'get', ':scheme' => 'http', ':path' => '/',
     ':authority' => 'a']);
http2('HTTP/2 with a bad path', 'none 400 GET /%zz 2 -', undef,
    [':method' => 'GET', ':scheme' => 'http', ':path' => '/%zz',
     ':authority' => 'a']);
http2('HTTP/2 above the root', 'none 400 GET /../x 2 -', undef,
    [':method' => 'GET', ':scheme' => 'http', ':path' => '/../x',
     ':authority' => 'a']);
http2('HTTP/2 without Host', 'none 400 GET /a 2 -', undef,
    [':method' => 'GET', ':scheme' => 'http', ':path' => '/a']);

my $h = $t->h2(port => 4, authority => 'h2.example');
my @ids = map { $h->open('GET', '/a') } 1 .. 30;
is((grep { $_->status == 200 } $h->wait_all(@ids)), 30, 'thirty streams');
$lines += 29;
line('thirty streams', 'allow - GET /a 2 h2.example');

# what is no request

$t->conn->close;
$t->raw("nonsense\r\n", port => 2, tls => 0, shut => 1);
line('nonsense to a TLS port', 'none 400 - - - tls.example.com');
$c = $t->conn;
$c->write("GET /a HTTP/1.1\r\n$host\r\n");
$c->response;
$c->close;
line('a kept connection that ends', 'allow - GET /a 1.1 a.example');
$t->get('/a');
line('and nothing comes of its end', 'allow - GET /a 1.1 localhost');

my @own = $t->lines('access.log');
is_deeply([sort map { $_->{'http.request.id'} } $t->lines],
    [sort map { $_->{id} } @own], 'the same requests in both logs');

$t->done;


sub gone {
    my ($name, $uri, $want) = @_;
    my $away = $t->conn;
    $away->write(format_request('GET', $uri));
    $t->get('/a');
    line("$name: another one meanwhile", 'allow - GET /a 1.1 localhost');
    $away->close;

    return line($name, $want);
}


sub http2 {
    my ($name, $want, $path, $pseudo) = @_;
    my $h2 = $t->h2(port => 4, authority => 'h2.example');
    my $r = $h2->wait(scalar $h2->open('GET', $path,
                                       $pseudo ? (pseudo => $pseudo) : ()));

    cmp_ok($r->status, '>=', 200, "$name: the answer");
    $h2->close;
    return line($name, $want, $r);
}
