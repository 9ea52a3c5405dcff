#!/usr/bin/perl

# Who the client is: X-Forwarded-For, read from the right and through trusted
# proxies only.  127.0.0.1 is trusted here, 127.0.0.9 is not.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF', workers => 1, connections => 256)->run;
large_client_header_buffers 8 64k;
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_trusted_proxies 127.0.0.1 10.0.0.0/8 2001:db8:9::/48;
log_format seen escape=none '$request_uri $remote_addr';
access_log %%DIR%%/access.log seen;

server {
    listen 127.0.0.1:%%PORT0%%;
    location /who {
        return 200 "$readiness_client_addr|$readiness_client_key";
    }
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen unix:%%SOCK0%%;
    location /who {
        return 200 "$readiness_client_addr|$readiness_client_key";
    }
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen unix:%%SOCK1%%;
    readiness_trusted_proxies unix: 10.0.0.0/8;
    location / { return 200 "$readiness_client_addr|$readiness_client_key"; }
}

server {
    listen [::]:%%PORT1%% ipv6only=off;
    location / {
        return 200 "$readiness_client_addr|$readiness_peer_addr|$remote_addr";
    }
}

server {
    listen 127.0.0.1:%%PORT2%%;
    underscores_in_headers on;
    location / { return 200 "$readiness_client_addr"; }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    ignore_invalid_headers off;
    location / { return 200 "$readiness_client_addr"; }
}

server {
    listen 127.0.0.1:%%PORT4%%;
    readiness_client_prefix ipv4=24 ipv6=48;
    location / { return 200 "$readiness_client_key"; }
}

server {
    listen 127.0.0.1:%%PORT5%%;
    readiness_client_prefix ipv6=128;
    location / { return 200 "$readiness_client_key"; }
}
CONF

peers();
elements();
malformed();
bounded();
twins();
keepalive();
prefixes();
spoken();

$t->done;


sub who {
    my ($xff, %o) = @_;
    my @lines = ref $xff ? @$xff : defined $xff ? ($xff) : ();
    my $name = delete $o{name} || 'X-Forwarded-For';

    my $r = $t->get('/who', %o,
        headers => [(map { ($name, $_) } @lines), @{ $o{headers} || [] }]);

    return $r->status == 200 ? $r->body =~ s/\|.*//r : $r->status;
}


sub peers {
    is(who('6.6.6.6', bind => '127.0.0.9'), '127.0.0.9',
        'A01 an untrusted peer is the client, whatever it says');
    is(who([], bind => '127.0.0.9'), '127.0.0.9', 'and without a header');
    is(who([]), '127.0.0.1', 'a trusted peer that says nothing is the client');
    is(who('203.0.113.7'), '203.0.113.7', 'a trusted peer is believed');
    is(who('6.6.6.6, 203.0.113.7'), '203.0.113.7',
        'A02 the first untrusted address from the right');
    is(who('6.6.6.6, 203.0.113.7, 10.1.2.3, 10.0.0.1'), '203.0.113.7',
        'A02 through several trusted hops');
    is(who('10.0.0.3, 10.0.0.2'), '10.0.0.3',
        'A04 all hops trusted: the leftmost');
    is(who('127.0.0.1'), '127.0.0.1', 'A04 also the peer itself');

    my %sock = map { $_ => $t->value("SOCK$_") } 0, 1;

    is(who('203.0.113.7', unix => $sock{0}), 'unix:',
        'A16 a unix peer is not trusted unless it is listed');
    is(who('203.0.113.7, 10.0.0.2', unix => $sock{1}), '203.0.113.7',
        'A16 unix: is');
    is($t->get('/', unix => $sock{1})->body, 'unix:|unix:',
        'A16 the key of a unix peer is not empty');

    my $r = $t->get('/app', unix => $sock{0},
                    headers => ['X-Forwarded-For' => '6.6.6.6']);
    is(join('|', map { scalar $r->seen($_) // '-' }
            qw(X-Forwarded-For X-Real-IP Forwarded X-Forwarded-Port)),
        '-|-|for=unknown;host=localhost;proto=http|80',
        'A16 no address is made up for the application');
}


sub elements {
    is(who(['6.6.6.6', '203.0.113.7', '10.0.0.1']), '203.0.113.7',
        'A03 several lines are one list, in order of arrival');
    is(who(['203.0.113.7', '6.6.6.6']), '6.6.6.6', 'A03 the last line first');
    is(who(['1.1.1.1, 203.0.113.7', '10.0.0.1,10.0.0.2']), '203.0.113.7',
        'A03 lists in lines');

    is(who('203.0.113.7:8080'), '203.0.113.7', 'A05 a port is dropped');
    is(who('[2001:db8::7]:443'), '2001:db8::7', 'A05 behind brackets, too');
    is(who('[2001:db8::7]'), '2001:db8::7', 'A05 brackets alone');
    is(who('2001:db8::1:80'), '2001:db8::1:80',
        'A05 without brackets no colon means a port');
    is(who('2001:DB8:0:0::0:7'), '2001:db8::7', 'one notation comes out');
    is(who('2001:db8:7::1, 2001:db8:9:1::1'), '2001:db8:7::1',
        'trusted IPv6 hops');
    is(who('fe80::1%eth0'), '127.0.0.1', 'A06 a zone is no address');
    is(who('203.0.113.7%1'), '127.0.0.1', 'A06 nor is one behind IPv4');

    is(who('::ffff:203.0.113.7'), '203.0.113.7', 'A07 a mapped client is IPv4');
    is(who('::FFFF:cb00:7107'), '203.0.113.7', 'A07 also in hex');
    is(who('203.0.113.7, ::ffff:10.0.0.1, ::ffff:a00:2'), '203.0.113.7',
        'A07 a mapped hop is trusted as the IPv4 one');
    is(who('2001:db8::1.2.3.4'), '2001:db8::102:304',
        'A08 a dotted tail is not mapped');

    is($t->get('/', port => 1)->body, '127.0.0.1|127.0.0.1|127.0.0.1',
        'A07 a mapped peer is the IPv4 address');
    is($t->get('/', port => 1, headers => ['X-Forwarded-For' => '203.0.113.7'])
        ->body, '203.0.113.7|127.0.0.1|203.0.113.7',
        'A07 and trusted as such');
    is($t->get('/', port => 1, bind => '127.0.0.9',
               headers => ['X-Forwarded-For' => '203.0.113.7'])->body,
        '127.0.0.9|127.0.0.9|127.0.0.9', 'A07 or not');

    for my $value ('X-Forwarded-For', 'close, X-Forwarded-For',
                   'x-FORWARDED-for,close')
    {
        is(who('203.0.113.7', headers => [Connection => $value]),
            '203.0.113.7', "A13 Connection: $value takes nothing away");
    }

    my $r = $t->get('/app', headers => ['X-Forwarded-For' => '203.0.113.7',
        Connection => 'close, X-Forwarded-For, X-Real-IP, X-Request-Id']);
    is($r->seen('X-Forwarded-For'), '203.0.113.7',
        'A13 it reaches the application');

    is(who('203.0.113.7', headers => [Forwarded => 'for=9.9.9.9',
           'X-Real-IP' => '8.8.8.8', 'CF-Connecting-IP' => '7.7.7.7']),
        '203.0.113.7', 'A12 no other header counts');
    is(who([], headers => [Forwarded => 'for=9.9.9.9']), '127.0.0.1',
        'A12 not even alone');
}


sub malformed {
    my @bad = ('unknown', '_hidden', 'a', '999.1.1.1', '0x7f.1', '010.0.0.1',
        '10.0.0.01', '1.2.3', '127.1', '1.2.3.4.5', '16909060', '', ' ', "\t",
        "\xc2\xa0", "\xc2\xa010.0.0.1", '10.0.0.1 10.0.0.2', '1.2.3.4:0',
        '1.2.3.4:65536', '1.2.3.4:', '[1.2.3.4', '2001:db8::1]', '[::1', ':::',
        '1::2::3', '12345::', '"1.2.3.4"', '1.2.3.4;', '10.0.0.1/8', '-',
        "\xd9\xa1.1.1.1", "1.2.3.4\x7f", "\x0b1.2.3.4", 'for=1.2.3.4');

    for my $bad (@bad) {
        my $name = $bad =~ s/([^ -~])/sprintf '\x%02x', ord $1/ger;

        is(who("6.6.6.6, $bad, 10.0.0.2"), '10.0.0.2',
            "A09 \"$name\" ends the walk at the last good hop");
    }

    is(who('203.0.113.7,'), '127.0.0.1', 'A09 an empty last element ends it');
    is(who('203.0.113.7,,10.0.0.2'), '10.0.0.2', 'A09 and one in the middle');
    is(who(['203.0.113.7', '']), '127.0.0.1', 'A09 and an empty last line');
    is(who(" \t203.0.113.7\t ,\t 10.0.0.2 \t"), '203.0.113.7',
        'blanks and tabs around elements do not matter');

    my $r = $t->raw("GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                    . "X-Forwarded-For : 203.0.113.7\r\n\r\n");
    is($r->status, 400, 'A15 a blank before the colon is refused');
    $r = $t->raw("GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                 . "X-Forwarded-For: 10.0.0.2,\r\n 203.0.113.7\r\n\r\n");
    isnt($r->body =~ /^203/, 1, 'A15 a folded line is not joined');
    $r = $t->raw("GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                 . "X-Forwarded-For: 203.0.113.7\0, 10.0.0.2\r\n\r\n");
    is($r->status, 400, 'A09 a NUL is refused');
    is($r->header('X-Request-Id') =~ tr/-//, 4, 'A15 with a request ID');

    my $line = ($t->wait_lines('decision.log', 60))[-1];
    is($line->{'http.response.status_code'}, 400, 'A15 and a line');
    is($line->{'client.address'}, '127.0.0.1', 'A15 that names the peer');
}


sub bounded {
    my $long = join ',', ('203.0.113.7') x 4000;

    is(who($long), '203.0.113.7', 'A10 four thousand elements');
    is(who('6.6.6.6, ' . join ',', map { '10.0.0.' . $_ % 256 } 0 .. 3999),
        '10.0.0.128', 'A10 the walk ends at the 32nd hop');
    is(who([map { "10.1.0.$_" } 1 .. 100]), '10.1.0.69',
        'A10 a hundred lines: the same');
    is(who(['6.6.6.6', ('') x 99]), '127.0.0.1', 'A10 or a hundred empty ones');
    is(who(['203.0.113.7', map { "10.1.0.$_" } 1 .. 31]), '203.0.113.7',
        'A10 thirty-two hops are read');
    is(who('9' x 60000), '127.0.0.1', 'A10 sixty thousand digits');
    is(who(' ' x 60000), '127.0.0.1', 'A10 blanks');
    is(who('203.0.113.7' . ' ' x 60000), '203.0.113.7',
        'A10 blanks behind an address');
    is(who(':' x 60000 . ',203.0.113.7'), '203.0.113.7',
        'A10 what is left of the client is not looked at');
}


sub twins {
    my @names = ('X_Forwarded_For', 'X-Forwarded_For', 'X.Forwarded.For',
                 'X-Forwarded-For-', 'XForwarded-For', 'X--Forwarded-For');

    for my $port (0, 2, 3) {
        for my $name (@names) {
            is(who('203.0.113.7', name => $name, port => $port), '127.0.0.1',
                "A14 $name is not X-Forwarded-For (server $port)");
        }

        is(who('203.0.113.7', port => $port,
               headers => [X_Forwarded_For => '6.6.6.6']), '203.0.113.7',
            "A14 nor does it disturb it (server $port)");
    }

    is(who('203.0.113.7', name => 'x-fOrWaRdEd-FoR'), '203.0.113.7',
        'letter case does not matter');
}


sub keepalive {
    my $c = $t->conn;
    my @xff = ('203.0.113.1', undef, '2001:db8::5', undef, '203.0.113.2, x',
               '203.0.113.3');

    my @got = map {
        my $xff = $_;
        $c->get('/who', headers => defined $xff
                    ? ['X-Forwarded-For' => $xff] : [])->body =~ s/\|.*//r;
    } @xff;

    is("@got", '203.0.113.1 127.0.0.1 2001:db8::5 127.0.0.1 127.0.0.1'
        . ' 203.0.113.3', 'the address is put back between requests');

    $c->write(join '', map { format_request('GET', "/who?$_",
                  headers => ['X-Forwarded-For' => "203.0.113.$_"]) } 1 .. 50);
    @got = map { $c->response->body =~ s/\|.*//r } 1 .. 50;
    is_deeply(\@got, [map { "203.0.113.$_" } 1 .. 50],
        'also in a pipeline of fifty');
    $c->close;

    # a line is written after its response

    my %seen;
    ok((wait_for {
        %seen = map { /\?(\d+) (\S+)/ ? ($1 => $2) : () }
            split /\n/, slurp($t->path('access.log'));
        keys %seen == 50;
    } 10), 'each is in the access log');
    is((grep { $seen{$_} eq "203.0.113.$_" } keys %seen), 50,
        'and in the access log');

    my $post = $t->conn;
    is($post->request('POST', '/body', body => 'x' x 100000,
        headers => ['X-Forwarded-For' => '203.0.113.9'])->seen('X-Real-IP'),
        '203.0.113.9', 'with a body');
    is($post->get('/app')->seen('X-Real-IP'), '127.0.0.1', 'and after it');
    $post->close;
}


sub prefixes {
    my $key = sub {
        my ($port, $xff) = @_;
        return $t->get('/', port => $port,
                       headers => ['X-Forwarded-For' => $xff])->body;
    };

    is($t->get('/who', headers => ['X-Forwarded-For' => '2001:db8:1:2:3::4'])
        ->body, '2001:db8:1:2:3::4|2001:db8:1:2::',
        'a key is the /64 of an IPv6 client');
    is($t->get('/who', headers => ['X-Forwarded-For' => '203.0.113.77'])
        ->body, '203.0.113.77|203.0.113.77', 'the whole of an IPv4 one');
    is($t->get('/who', headers => ['X-Forwarded-For' => '::ffff:203.0.113.77'])
        ->body, '203.0.113.77|203.0.113.77', 'A07 however it is written');
    is($key->(4, '203.0.113.77'), '203.0.113.0', 'cut to ipv4=24');
    is($key->(4, '2001:db8:1:2:3::4'), '2001:db8:1::', 'cut to ipv6=48');
    is($key->(4, '::ffff:203.0.113.77'), '203.0.113.0',
        'A07 a mapped one by the rule for IPv4');
    is($key->(5, '2001:db8:1:2:3::4'), '2001:db8:1:2:3::4', 'or not cut');
}


# the same client in the log and for the application

sub spoken {
    my $r = $t->get('/spoken', headers => ['X-Forwarded-For' =>
                    '6.6.6.6, 203.0.113.44']);
    wait_for { $t->lines('decision.log', 'url.path' => '/spoken') } 10;
    my ($line) = $t->lines('decision.log', 'url.path' => '/spoken');

    is($line->{'client.address'}, '203.0.113.44', 'the line has the client');
    is($line->{'network.peer.address'}, '127.0.0.1', 'and the peer');
    is(join('|', $r->seen('X-Forwarded-For')), '203.0.113.44',
        'the application is told once');
    is($r->seen('X-Real-IP'), '203.0.113.44', 'and once more');
    is($r->seen('Forwarded'), 'for=203.0.113.44;host=localhost;proto=http',
        'in each notation');

    $r = $t->get('/six', headers => ['X-Forwarded-For' => '2001:db8::7']);
    is($r->seen('Forwarded'),
        'for="[2001:db8::7]";host=localhost;proto=http', 'IPv6 is quoted');
}
