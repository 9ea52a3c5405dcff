#!/usr/bin/perl

# Mistakes in the directives of the client, and the edges of the list of
# trusted proxies (A20).

use strict;
use warnings;

use IO::Socket::IP;
use Test::More;

use Readiness;
use Readiness::Conf;

my $t = Readiness->new;
my $trust = 'readiness_trusted_proxies';

sub network {
    my ($text) = @_;
    return ["$trust $text;" => qq(invalid network "$text" in "$trust": use )
            . 'ADDRESS, ADDRESS/BITS, unix: or file=PATH'];
}

sub everyone {
    my ($text) = @_;
    return ["$trust $text;" =>
        qq("$text" in "$trust" trusts every client; list your load balancers)];
}

mistakes($t, \&in_http,
    (map { network($_) }
        qw(localhost 10.0.0.1/33 10.0.0.0/ 10.0.0.0/-1 10.0.0.0/08 10.0.0/8
           10.0.0.0/8/8 10.0.0.0-10.0.0.9 256.1.1.1 010.0.0.1 0x7f.0.0.1
           10.0.0.0/255.0.0.0 10.0.0.1:80 2001:db8::/129 [::1] :::1
           fe80::1%eth0 ::ffff:10.0.0.0/95 on off $remote_addr * file),
        '10.0.0.1,'),
    ["$trust \"\";" => qr/invalid network "" in "$trust": use ADDRESS/],
    ["$trust '10.0.0.0/8 192.168.0.0/16';" =>
        qr{invalid network "10.0.0.0/8 192.168.0.0/16" in "$trust": use ADDR}],

    (map { everyone($_) } qw(0.0.0.0/0 0.0.0.0/1 128.0.0.0/2 ::/0 8000::/1
                             c000::/2)),

    ["$trust file=;" => qr/empty "file=" in "$trust": write file=PATH/],
    ["$trust file=none.txt;" =>
        qr{cannot use file "\S+/none.txt" of "$trust": No such file}],
    ["$trust file=/;" =>
        qr{cannot use file "/" of "$trust": not a regular file}],
    ["$trust;" => qr/number of arguments in "$trust"/],

    ['readiness_client_header "";' => 'invalid name "" in '
        . '"readiness_client_header": use X-Forwarded-For, Forwarded, '
        . 'proxy_protocol or the name of a header'],
    ['readiness_client_header "X-Real IP";' =>
        'invalid name "X-Real IP" in "readiness_client_header": use X-Forw'],
    ['readiness_client_header X-Real-IP:;' =>
        'invalid name "X-Real-IP:" in "readiness_client_header": use X-Forw'],
    ['readiness_client_header A B;' => 'arguments in "readiness_client_heade'],

    ['readiness_forwarded on;' => 'invalid value "on" in '
        . '"readiness_forwarded": use rewrite or pass'],
    ['readiness_forwarded "";' =>
        'invalid value "" in "readiness_forwarded": use rewrite or pass'],
    ['readiness_forwarded rewrite host=yes;' => 'invalid parameter "host=yes"'
        . ' in "readiness_forwarded": the only one is host=trusted'],
    ['readiness_forwarded host=trusted;' =>
        'invalid value "host=trusted" in "readiness_forwarded": use rewrite'],
    ['readiness_forwarded pass host=trusted;' => '"host=trusted" in '
        . '"readiness_forwarded" does nothing with pass: use rewrite'],
    ['readiness_forwarded rewrite host=trusted x;' => 'arguments in'],

    (map { ["readiness_client_prefix $_;" => qq(invalid length "$_" in )
            . '"readiness_client_prefix": use 1 to 32 bits'] }
        qw(ipv4=0 ipv4=33 ipv4= ipv4=x ipv4=-1 ipv4=/24 ipv4=1.5)),
    (map { ["readiness_client_prefix $_;" => qq(invalid length "$_" in )
            . '"readiness_client_prefix": use 1 to 128 bits'] }
        qw(ipv6=0 ipv6=129 ipv6=99999999999999999999)),
    ['readiness_client_prefix 24;' => 'invalid parameter "24" in '
        . '"readiness_client_prefix": use ipv4=BITS ipv6=BITS'],
    ['readiness_client_prefix ipv4=24 ipv4=16;' =>
        'second "ipv4=16" in "readiness_client_prefix": keep one of them'],
    ['readiness_client_prefix;' => 'arguments in "readiness_client_prefix"'],

    ['readiness_request_id on;' => 'invalid format "on" in '
        . '"readiness_request_id": use uuid7, uuid4, hex or off'],
    ['readiness_request_id "";' =>
        'invalid format "" in "readiness_request_id": use uuid7, uuid4'],
    ['readiness_request_id header=X-Id;' => 'invalid format "header=X-Id" in'
        . ' "readiness_request_id": use uuid7, uuid4, hex or off'],
    ['readiness_request_id hex name=X-Id;' => 'invalid parameter "name=X-Id" '
        . 'in "readiness_request_id": use header=NAME or '
        . 'accept=trusted|any|never'],
    ['readiness_request_id hex accept=all;' => 'invalid parameter '
        . '"accept=all" in "readiness_request_id": use header=NAME or accept'],
    ['readiness_request_id hex accept=any accept=never;' =>
        'second "accept=never" in "readiness_request_id": keep one of them'],
    ['readiness_request_id hex header=X-A header=X-B;' =>
        'second "header=X-B" in "readiness_request_id": keep one of them'],
    (map { ["readiness_request_id hex \"header=$_\";" =>
            qq(invalid header name "$_" in "readiness_request_id": use one of )
            . 'its own, such as header=X-Request-Id'] }
        '', 'X Id', 'X-Id:', 'X-Forwarded-For', 'X_Real_IP', 'Host',
        'content-length', 'Transfer-Encoding', 'Connection', 'Set-Cookie',
        'Cookie', 'Authorization', 'Location'),
    ['readiness_request_id hex header=' . 'X' x 64 . ';' =>
        qr/too long header name "X{64}" in "readiness_request_id": use 63 by/],

    ['readiness_traceparent on;' => 'invalid value "on" in '
        . '"readiness_traceparent": use off, accept or generate'],
    ['readiness_traceparent "";' =>
        'invalid value "" in "readiness_traceparent": use off, accept'],

    (map { my ($name) = /(\w+)/;
           ["$_\n$_ #!" => qq("$name" is given twice in one block: keep one),
            "$name twice in one block"] }
        'readiness_client_header Forwarded;', 'readiness_forwarded pass;',
        'readiness_client_prefix ipv6=56;', 'readiness_request_id hex;',
        'readiness_traceparent off;'));

for (qw(trusted_proxies client_header forwarded client_prefix request_id
        traceparent))
{
    refused($t, in_location("readiness_$_ x;"),
        qq("readiness_$_" directive is not allowed here),
        "readiness_$_ in a location");
}

warned($t, in_http("$trust 10.1.2.3/8;"),
    qq(low address bits of "10.1.2.3/8" in "$trust" are meaningless));
warned($t, in_http("$trust 2001:db8::1/32;"),
    qq(low address bits of "2001:db8::1/32" in "$trust" are meaningless));

for (qw(10.0.0.0/7 32.0.0.0/3 2000::/15 2000::/3)) {
    warned($t, in_http("$trust $_;"),
        qq("$_" in "$trust" is very wide: list your load balancers));
}

accepted($t, in_http($_)) for
    "$trust 10.0.0.0/8 192.0.2.1 192.0.2.1/32 2001::/16 ::1 ::1/128 unix:;",
    "$trust 10.0.0.0/8 10.0.0.0/8 10.1.0.0/16;",
    "$trust ::ffff:10.0.0.0/104;",
    'readiness_client_header CF-Connecting-IP;',
    'readiness_client_prefix ipv6=128 ipv4=1;',
    'readiness_request_id hex header=' . 'X' x 63 . ' accept=never;';

files();
matches();

$t->done;


sub files {
    for my $line ('10.0.0.0/8 192.168.0.0/16', '10.0.0.300', "a\tb", 'unix:',
                  '10.0.0.0/8;')
    {
        $t->file('proxies.txt', "# ours\n\n$line\n10.0.0.1\n");
        refused($t, in_http("$trust file=%%DIR%%/proxies.txt;"),
            qr/file "\S+\/proxies.txt" of "$trust": line 3: invalid network /
            . qr/"\Q$line\E": use ADDRESS/,
            "A20 the line of a malformed file: $line");
    }

    $t->file('proxies.txt', "10.0.0.0/8\r\n0.0.0.0/0 # all\r\n");
    refused($t, in_http("$trust file=proxies.txt;"),
        qr/of "$trust": line 2: "0.0.0.0\/0" trusts every client; list your/,
        'A20 a file that trusts everyone');

    $t->file('empty.txt', "# nobody yet\n");
    accepted($t, in_http("$trust file=empty.txt;"), 'A20 a file of comments');

    $t->file('large.txt', "10.0.0.1\n" x (16 * 1024 * 1024 / 9 + 1));
    refused($t, in_http("$trust file=large.txt;"),
        qr/file "\S+\/large.txt" of "$trust": larger than 16777216 bytes/,
        'a file of more than 16 MB');
    unlink $t->path('large.txt');

    SKIP: {
        skip 'only root can become another user', 1 if $> != 0;
        $t->file('secret.txt', "10.0.0.1\n", 0600);
        refused($t, in_http("$trust file=secret.txt;"),
            qr/file "\S+\/secret.txt" of "$trust": Permission denied/,
            'a file that may not be read', as => 'nobody');
    }
}


# Who is believed, asked of a running nginx: the peer is bind => ADDRESS.

sub matches {
    $t->file('many.txt', join '', map {
        sprintf "127.%d.%d.%d/31\n", 100 + $_ / 5000, $_ / 20 % 250, $_ % 20 * 8
    } 0 .. 9999);

    $t->conf(<<'CONF')->run;
    readiness on;
    server {
        listen 127.0.0.1:%%PORT0%%;
        readiness_trusted_proxies 127.0.0.9/32 127.0.0.9 127.0.1.77/24
                                  127.0.0.8/30 127.0.0.10;
        location / { return 200 $remote_addr; }
    }
    server {
        listen 127.0.0.1:%%PORT1%%;
        readiness_trusted_proxies file=many.txt;
        location / { return 200 $remote_addr; }
    }
    server {
        listen 127.0.0.1:%%PORT2%%;
        location / { return 200 $remote_addr; }
    }
    server {
        listen [::1]:%%PORT3%%;
        readiness_trusted_proxies ::1/128;
        location / { return 200 $remote_addr; }
    }
CONF

    my $told = sub {
        my ($peer, $port) = @_;
        return $t->get('/', port => $port, bind => $peer,
            headers => ['X-Forwarded-For' => '192.0.2.1'])->body;
    };

    is($told->('127.0.0.9', 0), '192.0.2.1', 'A20 a /32, given twice');
    is($told->('127.0.0.8', 0), '192.0.2.1', 'A20 first of a /30');
    is($told->('127.0.0.11', 0), '192.0.2.1', 'A20 last of a /30');
    is($told->('127.0.0.12', 0), '127.0.0.12', 'A20 one after it');
    is($told->('127.0.0.7', 0), '127.0.0.7', 'A20 one before it');
    is($told->('127.0.1.0', 0), '192.0.2.1', 'A20 host bits do not narrow');
    is($told->('127.0.1.255', 0), '192.0.2.1', 'A20 nor move the network');
    is($told->('127.0.2.0', 0), '127.0.2.0', 'A20 nor widen it');

    is($told->('127.100.0.0', 1), '192.0.2.1', 'A20 first of 10 000');
    is($told->('127.100.0.1', 1), '192.0.2.1', 'A20 its other address');
    is($told->('127.100.0.2', 1), '127.100.0.2', 'A20 a gap between two');
    is($told->('127.101.249.153', 1), '192.0.2.1', 'A20 last of 10 000');
    is($told->('127.101.249.154', 1), '127.101.249.154', 'A20 one after it');
    is($told->('127.0.0.1', 1), '127.0.0.1', 'A20 one before all');

    is($told->('127.0.0.9', 2), '127.0.0.9', 'A20 nobody is the default');

    SKIP: {
        my $conn = eval { IO::Socket::IP->new(PeerHost => '::1',
                                              PeerPort => $t->port(3)) };
        skip 'there is no ::1 here', 1 if !$conn;
        print {$conn} "GET / HTTP/1.0\r\nX-Forwarded-For: 2001:db8::7\r\n\r\n";
        like(join('', <$conn>), qr/\r\n\r\n2001:db8::7\z/, 'A20 a /128');
    }
}
