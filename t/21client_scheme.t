#!/usr/bin/perl

# The scheme, host and port that the application is told: our own, or those of
# a trusted proxy.  127.0.0.1 is trusted here, 127.0.0.9 is not.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_trusted_proxies 127.0.0.1;
ssl_certificate %%CERT%%;
ssl_certificate_key %%KEY%%;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% ssl;
    location / { proxy_pass http://%%APP%%; }
    location /scheme { return 200 $readiness_scheme; }
}

server {
    listen 127.0.0.1:%%PORT2%%;
    readiness_forwarded rewrite host=trusted;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    readiness_client_header Forwarded;
    readiness_forwarded rewrite host=trusted;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT4%% proxy_protocol;
    readiness_client_header proxy_protocol;
    location / { return 200 $readiness_scheme; }
}
CONF

scheme();
own();
host();
host_forwarded();

$t->done;


sub scheme {
    my $by = sub {
        my ($lines, %o) = @_;
        return $t->get('/scheme', %o, headers => [
            map { ('X-Forwarded-Proto' => $_) } ref $lines ? @$lines : $lines
        ])->body;
    };

    my %told = ('https' => 'https', 'http' => 'http', 'HTTPS' => 'https',
        'http, https' => 'https', 'https,http' => 'http',
        "https ,\thttps\t" => 'https', 'https,' => 'http', '' => 'http',
        'https:' => 'http', 'https://x' => 'http', 'httpss' => 'http',
        'ttps' => 'http', 'on' => 'http', 'wss' => 'http', '"https"' => 'http',
        'https http' => 'http', "https\xa0" => 'http', ',' => 'http',
        "https\x0b" => 'http', 'https;' => 'http', 'a' x 5000 => 'http');

    for my $v (sort keys %told) {
        my $name = substr $v, 0, 20;
        $name =~ s/([^ -~])/sprintf '\x%02x', ord $1/ge;

        is($by->($v), $told{$v}, "X-Forwarded-Proto \"$name\": $told{$v}");
        is($by->($v, bind => '127.0.0.9'), 'http',
            'A18 and not of an untrusted peer');
    }

    is($by->(['http', 'https']), 'https', 'the last line counts');
    is($by->(['https', 'http']), 'http', 'whichever it is');
    is($by->([], port => 1, tls => 1), 'https', 'our own TLS is https');
    is($by->('http', port => 1, tls => 1), 'http',
        'unless a trusted peer says http');
    is($by->('x', port => 1, tls => 1), 'https', 'and nothing else');
    is($by->('http', port => 1, tls => 1, bind => '127.0.0.9'), 'https',
        'A18 an untrusted peer cannot take https away');

    is($t->get('/scheme', headers => [$_ => 'https'])->body, 'http',
        "A14 A18 $_ says nothing")
        for qw(X_Forwarded_Proto X-Forwarded-Scheme X-Forwarded-Protocol
               Front-End-Https X-Url-Scheme X-Forwarded-Ssl Forwarded);

    is($t->get('/', port => 4, proxy => proxy_v1('203.0.113.7', undef, 1, 443),
               headers => ['X-Forwarded-Proto' => 'https'])->body, 'http',
        'A17 with proxy_protocol the scheme is our connection\'s');
}


sub told {
    my ($port, $headers, %o) = @_;
    my $r = $t->get('/', port => $port, headers => $headers, %o);

    return join ' ', map { scalar $r->seen("X-Forwarded-$_") // '-' }
                     qw(Proto Host Port);
}


sub own {
    my ($p0, $p1) = ($t->port(0), $t->port(1));
    my @lie = ('X-Forwarded-Host' => 'evil', 'X-Forwarded-Port' => '666');

    is(told(0, []), "http localhost $p0", 'host and port are our own');
    is(told(0, \@lie), "http localhost $p0", 'A18 whatever is said');
    is(told(0, [Host => 'A.Example:8080', @lie]),
        'http a.example:8080 8080', 'the port is that of the Host header');
    is(told(0, [Host => '[2001:db8::1]:8080']),
        'http [2001:db8::1]:8080 8080', 'also behind brackets');
    is(told(0, [Host => 'a.example', 'X-Forwarded-Proto' => 'https']),
        'https a.example 443', 'else that of the scheme we were told');
    is(told(1, [Host => 'a.example'], tls => 1), "https a.example $p1",
        'or our listener\'s');

    for my $host ('a:0', 'a:99999', 'a:80x', 'a:', 'a:080') {
        like(told(0, [Host => $host]), qr/^http a $p0$|^- - -$/,
            "Host $host tells no port");
    }

    is(told(0, [Host => 'localhost'], version => '1.0'),
        "http localhost $p0", 'HTTP/1.0');
    is(told(0, [], version => '1.0', host => ''), "http - $p0",
        'B13 HTTP/1.0 without a Host');

    my $r = $t->raw("GET http://Evil.example/ HTTP/1.1\r\n"
        . "Host: good.example\r\nConnection: close\r\n\r\n");
    is($r->seen('X-Forwarded-Host'), 'evil.example',
        'E08 the host of an absolute URI is the one nginx routes by');
    is($r->seen('Forwarded'), 'for=127.0.0.1;host=evil.example;proto=http',
        'in each notation');

    for my $host ('a.example,good.example', 'a"b', 'a b', 'a;b', "a\\b", "a\tb",
                  'a?b', 'a@b', "a\xffb", '[::1')
    {
        $r = $t->raw("GET / HTTP/1.1\r\nHost: $host\r\n"
                     . "Connection: close\r\n\r\n");
        is($r->status == 400 ? undef : $r->seen('X-Forwarded-Host'), undef,
            'A18 a Host that is no host name is not vouched for: '
            . $host =~ s/([^ -~])/sprintf '\x%02x', ord $1/ger);
    }
}


sub host {
    my $p = $t->port(2);
    my %h = (h => 'X-Forwarded-Host', p => 'X-Forwarded-Port',
             s => 'X-Forwarded-Proto');
    my $say = sub {
        my @v = @_;
        my @list;
        while (my ($k, $v) = splice @v, 0, 2) { push @list, $h{$k}, $v }
        return told(2, \@list);
    };

    is($say->(h => 'a.example'), 'http a.example 80', 'host=trusted');
    is($say->(h => 'a.example:8080'), 'http a.example:8080 8080', 'its port');
    is($say->(h => 'a.example', p => '8443'), 'http a.example 8443',
        'X-Forwarded-Port');
    is($say->(h => 'a.example', s => 'https'), 'https a.example 443',
        'else that of the scheme');
    is($say->(h => 'x.example, a.example'), 'http a.example 80',
        'the last element counts');
    is($say->(h => 'x.example', h => 'a.example'), 'http a.example 80',
        'of the last line');
    is($say->(h => '[2001:db8::1]:80'), 'http [2001:db8::1]:80 80', 'IPv6');
    is($say->(), "http localhost $p", 'nothing said: our own');

    for my $bad ('a b', 'a/b', 'a:0', 'a:66666', 'a:', ':80', '[::1', '[x]',
                 '2001:db8::1', 'a"b', 'a;b', "a\xe9", 'a,', ' ', 'a@b', 'a?b',
                 'http://a', "a\tb", 'x' x 300 . '/')
    {
        is($say->(h => $bad), "http localhost $p",
            'not believed: ' . (substr($bad, 0, 20)
                =~ s/([^ -~])/sprintf '\x%02x', ord $1/ger));
    }

    is($say->(h => 'a.example', p => $_), 'http a.example 80',
        "port \"$_\" is none")
        for '0', '66666', 'x', '', '080', '-1', '80 80', '99999999999999999999';
    is($say->(h => 'a.example', p => '1,8080'), 'http a.example 8080',
        'the last port counts');

    is(told(2, ['X-Forwarded-Host' => 'evil', 'X-Forwarded-Port' => '1'],
            bind => '127.0.0.9'), "http localhost $p",
        'A18 an untrusted peer is not asked');
    is(told(2, ['X_Forwarded_Host' => 'evil', 'X-Host' => 'evil',
                Forwarded => 'host=evil']), "http localhost $p",
        'A14 nor any other header');
}


sub host_forwarded {
    my $p = $t->port(3);
    my $say = sub { told(3, [Forwarded => $_[0]]) };

    is($say->('for=1.1.1.1;host=a.example;proto=https'),
        'https a.example 443', 'host=trusted of the element');
    is($say->('for=1.1.1.1;host="a.example:8080"'),
        'http a.example:8080 8080', 'quoted');
    is($say->('for=1.1.1.1;host=evil, for=2.2.2.2'), "http localhost $p",
        'not of an element beyond the client');
    is($say->('for=1.1.1.1;host="a\.example"'), "http localhost $p",
        'escapes are no part of a name');
    is($say->('for=1.1.1.1;host="a b"'), "http localhost $p",
        'what is no name is not believed');
    is(told(3, ['X-Forwarded-Host' => 'evil']), "http localhost $p",
        'A12 X-Forwarded-Host does not count');
}
