#!/usr/bin/perl

# Stock modules and variables see the client that we found, also beside the
# stock realip module.  127.0.0.1 is trusted here, 127.0.0.9 is not.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;

plan(skip_all => 'this nginx is built without http_realip_module')
    if !$t->has('http_realip_module');

my %realip = (6 => 'X-Forwarded-For', 7 => 'X-Real-IP', 8 => 'Forwarded',
              9 => 'CF-Connecting-IP');

my $servers = join '', map { <<"CONF" } sort { $a <=> $b } keys %realip;
server {
    listen 127.0.0.1:%%PORT$_%%;
    set_real_ip_from 127.0.0.0/8;
    set_real_ip_from 10.0.0.0/8;
    real_ip_header $realip{$_};
    real_ip_recursive on;
    location / {
        set \$both "\$readiness_client_addr \$readiness_peer_addr";
        return 200 "\$remote_addr \$both";
    }
    location /again {
        set_real_ip_from 203.0.113.0/24;
        real_ip_header $realip{$_};
        proxy_pass http://%%APP%%;
    }
}
CONF

$t->conf(<<"CONF")->run;
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_trusted_proxies 127.0.0.1 10.0.0.0/8;
log_format seen '\$remote_addr [\$http_x_forwarded_for] \$request_uri';
access_log %%DIR%%/access.log seen;
limit_req_zone \$binary_remote_addr zone=one:1m rate=1r/m;
limit_conn_zone \$binary_remote_addr zone=two:1m;
limit_req_status 429;
geo \$who { default other; 203.0.113.0/24 guest; 127.0.0.0/8 loopback; }

server {
    listen 127.0.0.1:%%PORT0%%;
    location / {
        return 200 "\$remote_addr|\$remote_port|\$who|\$realip_remote_addr";
    }
    location /allow { allow 203.0.113.7; deny all; proxy_pass http://%%APP%%; }
    location /deny { deny 203.0.113.7; allow all; proxy_pass http://%%APP%%; }
    location /req { limit_req zone=one; proxy_pass http://%%APP%%; }
    location /conn { limit_conn two 1; proxy_pass http://%%APP%%; }
    location /ours {
        readiness_limit ours;
        proxy_pass http://%%APP%%;
    }
}

readiness_rate ours key=\$readiness_client_key rate=2r/m;

$servers

server {
    listen 127.0.0.1:%%PORT11%% proxy_protocol;
    readiness_client_header proxy_protocol;
    set_real_ip_from 127.0.0.0/8;
    set_real_ip_from 203.0.113.0/24;
    real_ip_header proxy_protocol;
    location / { return 200 "\$remote_addr \$readiness_client_addr"; }
}
CONF

variables();
modules();
realip();
limits();

$t->done;


sub from { return ['X-Forwarded-For' => $_[0]] }


sub variables {
    is($t->get('/', headers => from('203.0.113.7:4711'))->body,
        '203.0.113.7|4711|guest|203.0.113.7',
        '$remote_addr, $remote_port and geo see the client');
    is($t->get('/', headers => from('203.0.113.7'))->body,
        '203.0.113.7||guest|203.0.113.7', 'a port that is not known is none');
    like($t->get('/', headers => from('203.0.113.7'), bind => '127.0.0.9')
        ->body, qr/^127\.0\.0\.9\|\d+\|loopback\|/, 'of an untrusted peer, it');

    $t->get('/logged', headers => from('6.6.6.6, 203.0.113.8'));
    wait_for { slurp($t->path('access.log')) =~ m{/logged} } 10;
    like(slurp($t->path('access.log')),
        qr{^203\.0\.113\.8 \[(?:-|203\.0\.113\.8)\] /logged$}m,
        'access_log has the client, and nothing that was forged');
}


sub modules {
    my $status = sub {
        my ($uri, $xff, %o) = @_;
        return $t->get($uri, headers => from($xff), %o)->status;
    };

    is($status->('/allow', '203.0.113.7'), 200, 'allow lets the client in');
    is($status->('/allow', '203.0.113.7, 203.0.113.8'), 403,
        'and nobody who only says so');
    is($status->('/allow', '203.0.113.7', bind => '127.0.0.9'), 403,
        'A01 least of all an untrusted peer');
    is($status->('/deny', '203.0.113.7'), 403, 'deny keeps it out');
    is($status->('/deny', '1.1.1.1, 203.0.113.7'), 403, 'whatever it adds');

    is($status->('/req', '203.0.113.1'), 200, 'limit_req counts clients');
    is($status->('/req', '203.0.113.1'), 429, 'each for itself');
    is($status->('/req', '6.6.6.6, 203.0.113.1'), 429, 'not what they forge');
    is($status->('/req', '203.0.113.2'), 200, 'and not the proxy');
    is($status->('/req', '::ffff:203.0.113.2'), 429, 'A07 in any notation');

    my $slow = $t->conn;
    my $n = $t->app->count;
    $slow->write(format_request('GET', '/conn?app_delay=3000',
                                headers => from('203.0.113.3')));
    wait_for { $t->app->count > $n } 10;
    is($status->('/conn', '203.0.113.3'), 503, 'limit_conn, too');
    is($status->('/conn', '203.0.113.4'), 200, 'for each client');
    $slow->reset;
}


sub realip {
    for my $port (sort { $a <=> $b } keys %realip) {
        my $name = $realip{$port};
        my $spoof = $name eq 'Forwarded' ? 'for=6.6.6.6' : '6.6.6.6';
        my @say = $name eq 'X-Forwarded-For' ? () : ($name => $spoof);
        my $get = sub {
            my ($xff, %o) = @_;
            return $t->get('/', port => $port, %o,
                headers => [@say, defined $xff ? @{ from($xff) } : ()])->body;
        };

        is($get->('6.6.6.6, 203.0.113.7'),
            '203.0.113.7 203.0.113.7 127.0.0.1',
            "A19 realip by $name changes nothing");
        is($get->('6.6.6.6, x, 10.0.0.5'), '10.0.0.5 10.0.0.5 127.0.0.1',
            'A19 does not go on where we stopped');
        is($get->('6.6.6.6', bind => '127.0.0.9'),
            '127.0.0.9 127.0.0.9 127.0.0.9',
            'A19 does not trust whom we do not');
        is($get->(undef), '127.0.0.1 127.0.0.1 127.0.0.1',
            'A19 nor anything where we were told nothing');

        my $r = $t->get('/again', port => $port, headers =>
            [@say, @{ from('6.6.6.6, 203.0.113.7') }]);
        is(join('|', $r->seen('X-Forwarded-For'), $r->seen('X-Real-IP')),
            '203.0.113.7|203.0.113.7', 'A19 nor does it in a location');

        my $c = $t->conn(port => $port);
        my @got = map {
            $c->get('/', headers => [@say, $_ ? @{ from($_) } : ()])->body
        } '203.0.113.7', 0, '203.0.113.8', 0;
        is(join('|', map { s/ .*//r } @got),
            '203.0.113.7|127.0.0.1|203.0.113.8|127.0.0.1',
            'A19 the address is put back between requests');
        $c->close;
    }

    is($t->get('/', port => 11, proxy => proxy_v1('203.0.113.7'))->body,
        '203.0.113.7 203.0.113.7', 'A19 by proxy_protocol');
}


sub limits {
    my $status = sub {
        my ($xff, %o) = @_;
        return $t->get('/ours', headers => from($xff), %o)->status;
    };

    is(join(' ', map { $status->("$_, 203.0.113.5") } qw(1.1.1.1 1.1.1.2 x)),
        '200 200 429', 'A02 nothing forged makes a new bucket');
    is($status->('203.0.113.6'), 200, 'another client has its own');
    is($status->('::ffff:cb00:7105'), 429, 'A07 a notation has not');
    is(join(' ', map { $status->("2001:db8::$_") } 1 .. 3), '200 200 429',
        'C04 nor has an address of the same /64');
    is($status->('2001:db8:0:1::1'), 200, 'C04 but that of the next one');
    is(join(' ', map { $status->("203.0.113.$_", bind => '127.0.0.9') }
            10 .. 12), '200 200 429',
        'A01 an untrusted peer has one, whatever it says');
}
