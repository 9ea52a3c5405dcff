#!/usr/bin/perl

# Requests that nginx answers before they have a location: they too have a
# client, an ID and one line.  127.0.0.1 is trusted here, 127.0.0.9 is not.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;
my $uuid = qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f-]{17}$/;

$t->conf(<<'CONF', workers => 1)->run;
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_trusted_proxies 127.0.0.1;
large_client_header_buffers 2 1k;
client_header_timeout 1s;
ssl_certificate %%CERT%%;
ssl_certificate_key %%KEY%%;
log_format seen '$remote_addr $status $readiness_request_id';
access_log %%DIR%%/access.log seen;

server {
    listen 127.0.0.1:%%PORT0%%;
    location / { proxy_pass http://%%APP%%; }
    location /all { return 200 "$remote_addr $readiness_request_id"; }
    location /slow { client_body_timeout 1s; proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT1%% ssl http2;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT2%% proxy_protocol;
    readiness_client_header proxy_protocol;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    listen unix:%%SOCK0%%;
    readiness_request_id off;
    readiness_forwarded pass;
    location / { proxy_pass http://%%APP%%; }
}
CONF

my $lines = 0;

old_versions();
refused();
timeouts();
bare();

$t->done;


# One request: the response, and the line that it made.

sub told {
    my ($bytes, %o) = @_;
    my $r = $t->raw($bytes, timeout => 10, %o);

    wait_for { $t->lines('decision.log') > $lines } 10;
    my @all = $t->lines('decision.log');
    my @new = splice @all, $lines;
    $lines += @new;

    my $l = @new == 1 ? $new[0] : { lines => scalar @new };
    return ($r, $l);
}

sub about {
    my ($l) = @_;
    return join ' ', map { $l->{$_} // '-' } qw(http.response.status_code
        client.address network.peer.address readiness.decision);
}


sub old_versions {
    my ($r, $l) = told("GET /app\r\n");
    is($r->seen('X-Forwarded-For'), '127.0.0.1', 'B13 HTTP/0.9: the client');
    is($r->seen('X-Real-IP'), '127.0.0.1', 'in each notation');
    is($r->seen('Forwarded'), 'for=127.0.0.1;proto=http', 'with no host');
    is($r->seen('X-Request-Id'), $l->{'http.request.id'}, 'an ID and a line');
    is($r->seen('X-Forwarded-Port'), $t->port(0), 'and our port');

    ($r, $l) = told("GET /all\r\n");
    like($r->body, qr/^127\.0\.0\.1 [0-9a-f-]{36}$/, 'B13 HTTP/0.9: variables');

    ($r, $l) = told("GET /app HTTP/1.0\r\n"
                    . "X-Forwarded-For: 203.0.113.7\r\n\r\n");
    is($r->seen('X-Forwarded-For'), '203.0.113.7', 'B13 HTTP/1.0 without Host');
    is($r->seen('Forwarded'), 'for=203.0.113.7;proto=http', 'has no host');
    is($r->header('X-Request-Id'), $l->{'http.request.id'}, 'an ID and a line');
}


sub refused {
    my $xff = "X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n"
              . "X-Request-Id: in-bound-1\r\n";
    my $big = 'X-Big: ' . 'x' x 3000 . "\r\n";

    # what was read before the mistake counts, and nothing behind it

    my @cases = (
        ['no request at all', "\x16\x03\x01\0\0\r\n\r\n", 400, 0],
        ['a bad request line', "GET / HTTP/1.1 x\r\n$xff\r\n", 400, 0],
        ['a long URI', 'GET /' . 'u' x 3000 . " HTTP/1.1\r\n$xff\r\n", 414, 0],
        ['no Host', "GET / HTTP/1.1\r\n$xff\r\n", 400, 1],
        ['two Hosts', "GET / HTTP/1.1\r\n${xff}Host: a\r\nHost: b\r\n\r\n",
         400, 1],
        ['a bad Host', "GET / HTTP/1.1\r\n${xff}Host: a/b\r\n\r\n", 400, 1],
        ['a bad header', "GET / HTTP/1.1\r\nHost: a\r\n${xff}X\0Y: 1\r\n\r\n",
         400, 1],
        ['a bad header before', "GET / HTTP/1.1\r\nHost: a\r\nX\0: 1\r\n"
         . "$xff\r\n", 400, 0],
        ['a long header', "GET / HTTP/1.1\r\nHost: a\r\n$xff$big\r\n", 400, 1],
        ['too many headers', "GET / HTTP/1.1\r\nHost: a\r\n$xff"
         . join('', map { "X-$_: " . 'y' x 800 . "\r\n" } 1 .. 9) . "\r\n",
         400, 1],
        ['a bad length', "POST / HTTP/1.1\r\nHost: a\r\n$xff"
         . "Content-Length: x\r\n\r\n", 400, 1],
        ['length and chunks', "POST / HTTP/1.1\r\nHost: a\r\n$xff"
         . "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 1],
        ['TRACE', "TRACE / HTTP/1.1\r\nHost: a\r\n$xff\r\n", 405, 1],
        ['an unknown coding', "POST / HTTP/1.1\r\nHost: a\r\n$xff"
         . "Transfer-Encoding: x\r\n\r\n", 501, 1]);

    for my $case (@cases) {
        my ($name, $bytes, $status, $read) = @$case;
        my ($r, $l) = told($bytes);
        my $id = $r->header('X-Request-Id') // '';

        is($r->status, $status, "B13 $name: $status");
        is($r->count('X-Request-Id'), 1, 'with an ID');
        is($l->{'http.request.id'}, $id, 'that is in its one line');
        like($l->{'client.address'}, $read ? qr/^203\.0\.113\.7$/
            : qr/^127\.0\.0\.1$/, $read ? 'with the client' : 'with the peer');
        like($id, $read ? qr/^in-bound-1$/ : $uuid, 'its own or a fresh one');

        ($r, $l) = told($bytes, bind => '127.0.0.9');
        is($l->{'client.address'}, '127.0.0.9', 'A01 and no forged one');
        like($l->{'http.request.id'}, $uuid, 'nor a forged ID');
    }

    my ($r, $l) = told("GET / HTTP/1.1\r\nHost: a\r\n$xff\r\n", port => 1);
    is($r->status, 400, 'B13 497: plain HTTP at a TLS port');
    is($l->{'client.address'}, '203.0.113.7', 'with the client');
    is($l->{'http.request.id'}, $r->header('X-Request-Id'), 'an ID and a line');

    ($r, $l) = told(proxy_v1('203.0.113.9') . "junk\r\n\r\n", port => 2);
    is($l->{'client.address'}, '203.0.113.9', 'A17 behind the PROXY protocol');

    my $h = $t->h2(port => 1, tls => 1);
    $r = $h->get('/', pseudo => [':method' => 'GET', ':path' => '/'],
                 headers => ['x-forwarded-for' => '203.0.113.7']);
    is($r->status, 400, 'B13 HTTP/2 without a scheme');
    wait_for { $t->lines('decision.log') > $lines } 10;
    is(($t->lines('decision.log'))[-1]{'client.address'}, '203.0.113.7',
        'with the client');
    $h->close;
    $lines = $t->lines('decision.log');

    my ($codes) = join ' ', map { (split)[1] }
        grep { /^203\.0\.113\.7 (4|5)\d\d in-bound-1/ }
        split /\n/, slurp($t->path('access.log'));
    is(scalar(split ' ', $codes), grep({ $_->[3] } @cases) + 1,
        'the access log has the same client and ID of each');
}


sub timeouts {
    my $xff = "X-Forwarded-For: 203.0.113.7\r\nX-Request-Id: in-bound-2\r\n";
    my %part = (
        'nothing but a method' => ['GET', '127.0.0.1'],
        'half a line' => ['GET / HT', '127.0.0.1'],
        'half of the headers' => ["GET / HTTP/1.1\r\nHost: a\r\n${xff}X-H",
                                  '203.0.113.7'],
        'no body' => ["POST /slow HTTP/1.1\r\nHost: a\r\n${xff}"
                      . "Content-Length: 5\r\n\r\nab", '203.0.113.7']);

    my %conn = map { $_ => $t->conn } keys %part;
    $conn{$_}->write($part{$_}[0]) for keys %part;

    wait_for { $t->lines('decision.log') >= $lines + keys %part } 15;
    my @new = ($t->lines('decision.log'))[$lines .. $lines + 3];
    is(join(' ', sort map { $_->{'http.response.status_code'} // '-' } @new),
        '- 408 408 408', 'B13 408, unless the line was written before');
    is(join(' ', sort map { $_->{'client.address'} // '-' } @new),
        '127.0.0.1 127.0.0.1 203.0.113.7 203.0.113.7',
        'one line each, with its client');
    is((grep { ($_->{'http.request.id'} // '') =~ $uuid } @new), 2,
        'an ID each');
    is((grep { ($_->{'http.request.id'} // '') eq 'in-bound-2' } @new), 2,
        'theirs, where it had been read');
    is($t->lines('decision.log') - $lines, 4, 'and no more lines');
    $_->close for values %conn;
    $lines = $t->lines('decision.log');

    my $away = $t->conn;
    $away->write("GET / HTTP/1.1\r\nHost: a\r\n${xff}X-H");
    $away->reset;
    is((wait_for { $t->lines('decision.log') > $lines } 10) ? 1 : 0, 1,
        'B13 a client that goes away in its headers');
    is(about(($t->lines('decision.log'))[-1]),
        '400 203.0.113.7 127.0.0.1 none', 'leaves a line');
}


# no ID, nothing rewritten: nothing to add to the list of headers

sub bare {
    is($t->raw("GET /\r\n", port => 3)->json->{method}, 'GET',
        'B13 HTTP/0.9 with nothing to tell');
    is($t->raw("GET /\r\n", unix => $t->value('SOCK0'))->json->{uri}, '/',
        'by a unix socket');
    is($t->raw("x\r\n\r\n", port => 3)->status, 400, 'and a bad request');
    is($t->get('/', port => 3)->status, 200, 'and a good one');
}
