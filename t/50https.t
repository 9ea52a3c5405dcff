#!/usr/bin/perl

# Strict-Transport-Security is sent on verified https only, whoever sets it.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;
my $hsts = 'Strict-Transport-Security';

$t->conf(<<'CONF')->run;
readiness on;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% ssl http2;
    ssl_certificate %%CERT%%;
    ssl_certificate_key %%KEY%%;
    readiness_trusted_proxies 127.0.0.2;

    location / { proxy_pass http://%%APP%%; }
    location /own/ {
        readiness_header Strict-Transport-Security max-age=7;
        proxy_pass http://%%APP%%/;
    }
    location /missing/ {
        readiness_header Strict-Transport-Security max-age=7 if_missing;
        proxy_pass http://%%APP%%/;
    }
    location /dropped/ {
        readiness_header Strict-Transport-Security off;
        proxy_pass http://%%APP%%/;
    }
    location /add/ {
        add_header strict-transport-security max-age=8 always;
        proxy_pass http://%%APP%%/;
    }
    location /off/ {
        readiness_headers off;
        proxy_pass http://%%APP%%/;
    }
}
CONF

my %tls = (port => 1, tls => 1);
my @trusted = (bind => '127.0.0.2');
my @https = (headers => ['X-Forwarded-Proto' => 'https',
                         'X-Forwarded-For' => '192.0.2.1']);
my $theirs = 'x?app_header=Strict-Transport-Security:%20max-age=1';
my $preset = 'max-age=31536000';

sent('/x', [%tls], $preset, 'our own TLS');
sent('/x', [], undef, 'plain http');
sent('/x', [@trusted, @https], $preset, 'a trusted proxy says https');
sent('/x', [@https], undef, 'anyone else says https');
sent('/x', [@trusted], undef, 'a trusted proxy says nothing');
sent('/x', [@trusted, headers => ['X-Forwarded-Proto' => $_->[0]]], $_->[1],
     "a trusted proxy says $_->[0]")
    for ['http', undef], ['ftp', undef], ['', undef], ['https, http', undef],
        ['http, https', $preset], ['HTTPS', $preset], ['https x', undef];
sent('/x', [@trusted, %tls, headers => ['X-Forwarded-Proto' => 'http']],
     undef, 'a trusted proxy over TLS says that the client is not');
sent('/x', [%tls, headers => ['X-Forwarded-Proto' => 'http']], $preset,
     'anyone else does not take it away');

sent("/$theirs", [%tls], $preset, "upstream's copy is replaced");
sent("/$theirs", [], undef, "upstream's copy goes on plain http");
sent('/add/x', [%tls], $preset, "add_header's copy is replaced");
sent('/add/x', [], undef, "add_header's copy goes on plain http");

sent('/own/x', [%tls], 'max-age=7', 'a value of ours');
sent('/own/x', [], undef, 'a value of ours, on plain http');
sent("/missing/$theirs", [%tls], 'max-age=1', 'if_missing leaves theirs');
sent("/missing/$theirs", [], undef, 'if_missing, on plain http');
sent('/missing/x', [%tls], 'max-age=7', 'if_missing, there was none');

sent("/dropped/$theirs", [], 'max-age=1', 'dropped: theirs is theirs');
sent("/off/$theirs", [], 'max-age=1', 'preset off: theirs is theirs');
sent('/off/x', [%tls], undef, 'preset off: none');

my $h2 = $t->h2(port => 1, tls => 1);
is_deeply([$h2->get("/$theirs")->values($hsts)], [$preset], 'HTTP/2');
is_deeply([$h2->get('/x?app_status=404')->values($hsts)], [$preset],
    'HTTP/2, 404');
$h2->close;

my $r = $t->get('/', port => 1);
is($r->status, 400, 'plain http to a TLS port');
is($r->count($hsts), 0, 'is not verified https');

$t->done;


sub sent {
    my ($uri, $with, $want, $fact) = @_;
    my $r = $t->get($uri, @$with);

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([$r->status, $r->values($hsts)],
        [200, defined $want ? $want : ()], $fact);
}
