#!/usr/bin/perl

# The other ways to tell the client: Forwarded, the PROXY protocol, a header
# with one address.  127.0.0.1 is trusted here, 127.0.0.9 is not.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
large_client_header_buffers 8 64k;
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_trusted_proxies 127.0.0.1 10.0.0.0/8 2001:db8:9::/48;

server {
    listen 127.0.0.1:%%PORT0%%;
    readiness_client_header Forwarded;
    location / { return 200 "$readiness_client_addr $readiness_scheme"; }
}

server {
    listen 127.0.0.1:%%PORT1%% proxy_protocol;
    readiness_client_header proxy_protocol;
    location / {
        return 200 "$remote_addr $remote_port $readiness_peer_addr";
    }
    location /app { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT2%%;
    readiness_client_header CF-Connecting-IP;
    location / { return 200 "$readiness_client_addr $readiness_scheme"; }
    location /app { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    readiness_client_header x-edge_client;
    underscores_in_headers on;
    location / { return 200 "$readiness_client_addr"; }
    location /app { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT4%% proxy_protocol;
    readiness_client_header X-Forwarded-For;
    location / { return 200 "$readiness_client_addr $readiness_peer_addr"; }
}

server {
    listen 127.0.0.1:%%PORT5%%;
    readiness_client_header proxy_protocol;
    location / { return 200 "$readiness_client_addr $readiness_scheme"; }
}
CONF

forwarded();
forwarded_refused();
proxy_protocol();
proxy_protocol_none();
single();

$t->done;


sub told {
    my ($port, $name, $value, %o) = @_;
    my @lines = ref $value ? @$value : ($value);

    return $t->get('/', %o, port => $port,
        headers => [(map { ($name, $_) } @lines), @{ $o{headers} || [] }])
        ->body;
}

sub by { my ($v, @o) = @_; return told(0, 'Forwarded', $v, @o) =~ s/ .*//r }


sub forwarded {
    is(by('for=203.0.113.7'), '203.0.113.7', 'A11 one element');
    is(by('for=6.6.6.6, for=203.0.113.7, for=10.0.0.1'), '203.0.113.7',
        'A11 A02 the first untrusted one from the right');
    is(by(['for=6.6.6.6', 'for=203.0.113.7,for=10.0.0.1']), '203.0.113.7',
        'A11 A03 lines are one list');
    is(by('for=203.0.113.7', bind => '127.0.0.9'), '127.0.0.9',
        'A01 not from an untrusted peer');
    is(by('for="[2001:db8::7]:443"'), '2001:db8::7',
        'A11 IPv6 with a port, quoted');
    is(by('for="203.0.113.7:80"'), '203.0.113.7', 'A11 IPv4 with a port');
    is(by('for="203.0.113.7:_x"'), '203.0.113.7', 'A11 a port that is hidden');
    is(by('FOR=203.0.113.7;Proto=HTTPS;By=10.0.0.1'), '203.0.113.7',
        'A11 names in any letter case');
    is(by('by="[::1]";for=203.0.113.7;host="a:80";other=1'), '203.0.113.7',
        'A11 other parameters before and behind');
    is(by('for="203\.0.113.\7"'), '203.0.113.7', 'A11 quoted pairs');
    is(by('for="::ffff:203.0.113.7"'), '127.0.0.1',
        'A11 IPv6 without brackets is none');
    is(by('for="[::ffff:203.0.113.7]"'), '203.0.113.7',
        'A07 mapped is IPv4');
    is(by('for=203.0.113.7;;,,  ,for=10.0.0.2,'), '203.0.113.7',
        'A11 empty elements and pairs are skipped');

    for my $bad ('for=unknown', 'for=_hidden', 'for="unknown:12"', 'by=1.1.1.1',
                 'proto=https', 'for=010.0.0.1', 'for="1.2.3.4:0"', 'for=a.b')
    {
        is(by("for=6.6.6.6, $bad, for=10.0.0.2"), '10.0.0.2',
            "A11 $bad ends the walk");
    }

    is(by(['for=203.0.113.7'], headers => ['X-Forwarded-For' => '9.9.9.9']),
        '203.0.113.7', 'A12 X-Forwarded-For does not count');
    is(told(0, 'X-Forwarded-For', '9.9.9.9'), '127.0.0.1 http',
        'A12 not even alone');

    is(told(0, 'Forwarded', 'for=203.0.113.7;proto=https'),
        '203.0.113.7 https', 'the scheme of the same element');
    is(told(0, 'Forwarded', 'for=6.6.6.6;proto=https, for=203.0.113.7'),
        '203.0.113.7 http', 'not of another one left of it');
    is(told(0, 'Forwarded', 'for=203.0.113.7;proto=http, '
            . 'for=10.0.0.1;proto=https'), '203.0.113.7 http',
        'nor right of it');
    is(told(0, 'Forwarded', 'for=203.0.113.7',
            headers => ['X-Forwarded-Proto' => 'https']), '203.0.113.7 http',
        'A12 X-Forwarded-Proto does not count');
    is(told(0, 'Forwarded', 'for=203.0.113.7;proto=https',
            bind => '127.0.0.9'), '127.0.0.9 http',
        'A18 nor does an untrusted peer');
    is(told(0, 'Forwarded', 'for=203.0.113.7;proto=wss'), '203.0.113.7 http',
        'other schemes are not believed');
}


sub forwarded_refused {
    for my $bad ('for=1.1.1.1;for=2.2.2.2', 'proto=http;proto=http', '"',
        'by=[::1]', 'for=[::1]', 'for="1.1.1.1', 'for = 1.1.1.1',
        'for=1.1.1.1; proto=http', 'for=1.1.1.1 ;proto=http', 'for', '=1.1.1.1',
        'for=', 'for=""x', 'for="1.1.1.1\\', "for=\"a\x01\"", 'f@r=1',
        'FOR=1.1.1.1;for=2.2.2.2',
        join(';', map { "p$_=1" } 1 .. 20), 'x=' . 'y' x 9000)
    {
        my $name = length $bad > 40 ? substr($bad, 0, 30) . '...' : $bad;

        is(by("for=203.0.113.7, $bad"), '127.0.0.1',
            "A11 $name: nothing of it counts");
    }

    is(by([map { "for=10.0.0.$_" } 1 .. 100]), '127.0.0.1',
        'A10 a hundred lines count for nothing');
    is(by('for=6.6.6.6,' . join ',', map { "for=10.0.0.$_" } 1 .. 200),
        '10.0.0.169', 'A10 the walk ends at the 32nd hop');
}


sub proxy_protocol {
    my $get = sub { $t->get('/', port => 1, proxy => @_)->body };

    is($get->(proxy_v1('203.0.113.7', undef, 5555)),
        '203.0.113.7 5555 127.0.0.1', 'A17 version 1');
    is($get->(proxy_v2('203.0.113.7', undef, 5555)),
        '203.0.113.7 5555 127.0.0.1', 'A17 version 2');
    is($get->(proxy_v1('2001:db8::7', undef, 5555)),
        '2001:db8::7 5555 127.0.0.1', 'A17 IPv6, version 1');
    is($get->(proxy_v2('2001:db8::7', undef, 5555)),
        '2001:db8::7 5555 127.0.0.1', 'A17 IPv6, version 2');
    is($get->(proxy_v2('::ffff:203.0.113.7', undef, 5555)),
        '203.0.113.7 5555 127.0.0.1', 'A07 A17 mapped');
    like($get->(proxy_v1('203.0.113.7'), bind => '127.0.0.9'),
        qr/^127\.0\.0\.9 \d+ 127\.0\.0\.9$/, 'A17 an untrusted peer is itself');

    my $c = $t->conn(port => 1, proxy => proxy_v1('203.0.113.7', undef, 5555));
    is(join(' ', map { $c->get('/')->body } 1 .. 3),
        join(' ', ('203.0.113.7 5555 127.0.0.1') x 3),
        'A17 for each request of the connection');

    my $r = $c->get('/app', headers => ['X-Forwarded-For' => '6.6.6.6',
        'X-Forwarded-Proto' => 'https', Forwarded => 'for=6.6.6.6']);
    is(join('|', map { $r->seen($_) } qw(X-Forwarded-For X-Forwarded-Proto
                                         X-Real-IP)),
        '203.0.113.7|http|203.0.113.7', 'A17 headers are of the client then');
    $c->close;
}


sub proxy_protocol_none {
    my $magic = "\r\n\r\n\0\r\nQUIT\n";
    my %none = (
        'version 1 UNKNOWN' => "PROXY UNKNOWN\r\n",
        'UNKNOWN with words' => "PROXY UNKNOWN a b c d\r\n",
        'LOCAL' => proxy_v2(),
        'LOCAL with addresses' => $magic . pack('CCn', 0x20, 0x11, 12)
            . pack('C4C4nn', 6, 6, 6, 6, 1, 1, 1, 1, 1, 1),
        'unspecified' => $magic . pack('CCn', 0x21, 0, 0),
        'unix addresses' => $magic . pack('CCn', 0x21, 0x31, 216)
            . pack('a108a108', '/a', '/b'));

    for my $name (sort keys %none) {
        like($t->get('/', port => 1, proxy => $none{$name})->body,
            qr/^127\.0\.0\.1 \d+ 127\.0\.0\.1$/, "A17 $name: the peer");
    }

    is($t->get('/', port => 5, headers => ['X-Forwarded-For' => '6.6.6.6',
            'X-Forwarded-Proto' => 'https'])->body, '127.0.0.1 http',
        'A17 a listener without the protocol: the peer, and no header counts');
    is($t->get('/', port => 4, proxy => proxy_v1('203.0.113.7'))->body,
        '127.0.0.1 127.0.0.1', 'A17 it does not count where a header does');
    is($t->get('/', port => 4, proxy => proxy_v1('203.0.113.7'),
               headers => ['X-Forwarded-For' => '203.0.113.8'])->body,
        '203.0.113.8 127.0.0.1', 'A17 but the header does');
}


sub single {
    my $cf = sub { told(2, 'CF-Connecting-IP', @_) =~ s/ .*//r };

    is($cf->('203.0.113.7'), '203.0.113.7', 'a single address');
    is($cf->('2001:db8::7'), '2001:db8::7', 'of IPv6');
    is($cf->('[2001:db8::7]:4711'), '2001:db8::7', 'with a port');
    is($cf->('203.0.113.7', bind => '127.0.0.9'), '127.0.0.9',
        'A01 not from an untrusted peer');
    is($cf->(['203.0.113.7', '203.0.113.7']), '127.0.0.1',
        'two lines are nobody\'s word');
    is($cf->($_), '127.0.0.1', "A09 \"$_\" is no address")
        for '1.1.1.1, 2.2.2.2', '', 'unknown', '1.1.1.1 ,', '0x1.1.1.1';
    is($cf->('10.0.0.3'), '10.0.0.3', 'a trusted address may be the client');
    is($cf->('203.0.113.7', headers => ['X-Forwarded-For' => '9.9.9.9',
                                        Forwarded => 'for=9.9.9.9']),
        '203.0.113.7', 'A12 no other header counts');
    is(told(2, 'X-Forwarded-For', '9.9.9.9'), '127.0.0.1 http',
        'A12 not even alone');
    is(told(2, 'CF-Connecting-IP', '203.0.113.7',
            headers => ['X-Forwarded-Proto' => 'http, https']),
        '203.0.113.7 https', 'the scheme is that of X-Forwarded-Proto');

    my $r = $t->get('/app', port => 2, headers => [
        'CF-Connecting-IP' => '203.0.113.7', 'CF-Connecting-IPv6' => '::1']);
    is(join('|', $r->seen('X-Real-IP'), scalar grep { $_->[0] =~ /^cf/i }
            @{ $r->json->{headers} }), '203.0.113.7|0',
        'the application gets it under the usual names only');

    is(told(3, 'X-Edge_Client', '203.0.113.7'), '203.0.113.7',
        'a name of one\'s own');
    is(told(3, 'X-Edge-Client', '203.0.113.7'), '127.0.0.1',
        'A14 and not its twin');

    $r = $t->get('/app', port => 3, bind => '127.0.0.9', headers => [
        'X-Edge-Client' => '6.6.6.6', 'X-Edge_Client' => '6.6.6.6',
        'x_edge_client' => '6.6.6.6', 'X-Edge-Clients' => 'stays']);
    is(join('|', map { $_->[0] } grep { $_->[0] =~ /edge/i }
            @{ $r->json->{headers} }), 'X-Edge-Clients',
        'A14 which do not reach the application either');
}
