#!/usr/bin/perl

# readiness_tenant: who is a tenant, and who is not.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_rate one key=$readiness_tenant key=$arg_user rate=9r/d;
large_client_header_buffers 4 64k;
add_header X-Is "$readiness_tenant" always;
map $host $by_host { default ""; acme.example acme; shop.example shop; }
map $http_x_tenant $mapped { default $http_x_tenant; }
map $readiness_tenant $again { default "<$readiness_tenant>"; }

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness_tenant $http_x_tenant;
    location / { proxy_pass http://%%APP%%; }
    location /optional { readiness_tenant $http_x_tenant optional;
                         proxy_pass http://%%APP%%; }
    location /off { readiness_tenant off; proxy_pass http://%%APP%%; }
    location /limit { readiness_limit one; proxy_pass http://%%APP%%; }
    location /arg { readiness_tenant $arg_t; proxy_pass http://%%APP%%; }
    location ~ ^/of/(?<who>.*)$ { readiness_tenant $who; proxy_pass http://%%APP%%; }
    location ~ ^/raw/(?<raw>[^/]*)$ { readiness_tenant $raw; proxy_pass http://%%APP%%; }
    location ~ ^/end/(?<end>[^/]*)$ { readiness_tenant $end pattern=acme|(?m:b$);
                                      proxy_pass http://%%APP%%; }
    location /own { readiness_tenant $arg_t "pattern=org:[0-9]{1,4}|x";
                    proxy_pass http://%%APP%%; }
    location /any { readiness_tenant $arg_t pattern=.* optional;
                    proxy_pass http://%%APP%%; }
    location /part { readiness_tenant $arg_t "pattern=ac(*ACCEPT)x";
                     proxy_pass http://%%APP%%; }
    location /slow { readiness_tenant $arg_t "pattern=(a+|a.?)+[bc]";
                     proxy_pass http://%%APP%%; }
    location /keep { readiness_tenant $arg_t 'pattern=x\Kacme';
                     proxy_pass http://%%APP%%; }
    location /fixed { readiness_tenant acme; proxy_pass http://%%APP%%; }
    location /two { readiness_tenant $http_x_tenant$http_x_other;
                    proxy_pass http://%%APP%%; }
    location /map { readiness_tenant $mapped; proxy_pass http://%%APP%%; }
    location /loop { readiness_tenant $again; proxy_pass http://%%APP%%; }
    location /early { set $early "$readiness_tenant"; readiness_tenant $http_x_tenant;
                      add_header X-Early $early always;
                      proxy_pass http://%%APP%%; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    underscores_in_headers on;
    ignore_invalid_headers off;
    readiness_tenant $http_x_tenant optional;
    location / { proxy_pass http://%%APP%%; }
}
server {
    listen 127.0.0.1:%%PORT3%%;
    readiness_tenant $by_host;
    location / { proxy_pass http://%%APP%%; }
}
CONF

my $app = $t->app;
my ($missing, $invalid) = ('403 tenant_missing -', '403 tenant_invalid -');

taken();
values_of_d02();
two_headers();
twins();
own_pattern();
by_host();
same_user();
read_early();
answered();

$t->done;


# "status reason tenant", and what the application saw

sub verdict {
    my ($uri, $tenant, %o) = @_;
    my @h = map { ('X-Tenant' => $_) }
            ref $tenant ? @$tenant : defined $tenant ? $tenant : ();
    my $before = $app->count;
    my $r = $t->get($uri, headers => [@h, @{ delete $o{more} || [] }], %o);
    my $reason = $r->status == 403 ? $r->json->{reason} : '-';
    my $is = $r->header('X-Is');

    is($app->count - $before, $r->status == 200 ? 1 : 0,
        'the application sees those that pass only') if $r->status != 200;

    return join ' ', $r->status, $reason, defined $is ? $is : '-';
}

sub taken {
    for my $name ('acme', 'A', '0', 'a.b_c-d', 'x' x 64, 'a..b', 'nulls',
                  '019ac9b2-5d3c-7e6c-8a51-2f7d1b0e9c44')
    {
        is(verdict('/', $name), "200 - $name", "a tenant: $name");
        is(verdict('/optional', $name), "200 - $name", "optional: $name");
    }

    is(verdict('/', 'ACME'), '200 - ACME', 'D02 A is not a: passed as it is');
    is(verdict('/fixed', 'shop'), '200 - acme', 'a constant, whoever asks');
    is(verdict('/off', undef), '200 - -', 'off: nobody is asked');
    is(verdict('/off', '*'), '200 - -', 'off: nor looked at');
    is(verdict('/of/acme', undef), '200 - acme', 'by a capture');
    return;
}


sub values_of_d02 {
    my %value = (
        missing => undef, empty => '', null => 'null', undefined => 'undefined',
        'Null' => 'Null', 'UNDEFINED' => 'UNDEFINED', nil => 'nil',
        'None' => 'None', star => '*', dot => '.', dots => '../b',
        slash => 'a/b', encoded => 'a%00b', inner => 'a b',
        lookalike => "\xd0\xb0cme", bytes => "\xff\xfe", '10 kB' => 'a' x 10_000,
        '65 bytes' => 'a' x 65, 'list of two' => 'acme, shop',
        comma => 'acme,shop', quoted => '"acme"', tab => "a\tb",
        first => '-acme', semicolon => 'acme;shop', brace => '{acme}',
        '0x01' => "a\x01b", colon => 'a:b', at => 'a@b',
    );

    for my $name (sort keys %value) {
        my $v = $value{$name};
        my $none = !defined $v || $v eq '';

        is(verdict('/', $v), $none ? $missing : $invalid, "D02 $name");
        is(verdict('/optional', $v), $none ? '200 - -' : $invalid,
            "D02 $name, optional");
        is(verdict('/map', $v), $none ? $missing : $invalid,
            "D02 $name, by a map");
    }

    # what is no header value: nginx trims those

    is(verdict('/', 'acme  '), '200 - acme', 'D02 blanks round a header');
    is(verdict('/arg?t=acme%20', undef), $invalid, 'D02 trailing space: raw');
    is(verdict('/of/acme%20', undef), $invalid, 'D02 trailing space: decoded');
    is(verdict('/raw/acme%0a', undef), $invalid, 'D02 trailing LF');
    is(verdict('/end/acme%0a', undef), $invalid, 'D02 trailing LF, a pattern');
    is(verdict('/end/b%0a', undef), $invalid, 'D02 trailing LF, by lines');
    is(verdict('/end/acme', undef), '200 - acme', 'what the pattern takes');
    is(verdict('/of/a%0d', undef), $invalid, 'D02 trailing CR');
    is(verdict('/of/../b', undef), $missing, 'D02 ../b: another location');
    is(verdict('/of/', undef), $missing, 'D02 an empty capture');
    is(verdict('/arg?t=', undef), $missing, 'D02 an empty argument');
    is(verdict('/loop', undef), $invalid, 'E09 one that asks for itself');
    return;
}


sub two_headers {
    for my $two (['acme', 'shop'], ['acme', 'acme'], ['acme', ''], ['', 'acme'],
                 ['', ''])
    {
        for my $uri ('/', '/optional', '/two') {
            is(verdict($uri, $two), $invalid, "D02 two headers: @$two, $uri");
        }

        my $h2 = $t->h2(port => 1);
        my $r = $h2->get('/', headers => [map { ('x-tenant' => $_) } @$two]);
        is($r->status, 403, "D02 two headers, HTTP/2: @$two");
        like($r->body, qr/"reason":"tenant_invalid"/, 'D02 and why');
    }

    is($t->h2(port => 1)->get('/', headers => ['x-tenant' => 'acme'])->status,
        200, 'one of them passes, HTTP/2');
    is(verdict('/', 'acme', more => ['x-tenant' => 'shop']), $invalid,
        'D02 in another letter case');
    is(verdict('/two', 'acme', more => ['X-Other' => '2']), '200 - acme2',
        'two headers of different names');
    is(verdict('/two', 'acme', more => ['X-Other' => '2', 'X-Other' => '3']),
        $invalid, 'D02 the second one twice');
    return;
}


# A14: what an application may take for the same header

sub twins {
    my $get = sub { verdict('/', $_[0], port => 2, more => [$_[1] => $_[2]]) };

    is(verdict('/', 'acme', port => 2), '200 - acme', 'A14 no twin');
    is($get->('acme', 'X_Tenant', 'shop'), $invalid, 'A14 X_Tenant beside it');
    is($get->('acme', 'x.tenant', 'shop'), $invalid, 'A14 x.tenant beside it');
    is($get->(undef, 'X_Tenant', 'shop'), $invalid, 'A14 X_Tenant alone');
    is($get->(undef, 'X_TENANT', 'shop'), $invalid, 'A14 X_TENANT alone');
    is($get->('acme', 'X-Tenants', 'shop'), '200 - acme', 'A14 another name');
    is(verdict('/', 'acme', more => ['X_Tenant' => 'shop']), '200 - acme',
        'A14 one that nginx has dropped');
    return;
}


sub own_pattern {
    my %want = ('org:1' => 1, 'org:1234' => 1, x => 1, 'org:12345' => 0,
        'xx' => 0, 'org:' => 0, 'org:1x' => 0, acme => 0, 'x%0a' => 0);

    for my $v (sort keys %want) {
        is(verdict("/own?t=$v", undef), $want{$v} ? "200 - $v" : $invalid,
            "a pattern matches as a whole: $v");
    }

    is(verdict('/any?t=a/b%20', undef), '200 - a/b%20', 'any pattern');
    is(verdict("/any?t=$_", undef), $invalid, "but never $_")
        for qw(null NIL None undefined);
    is(verdict('/any?t=' . 'y' x 255, undef), '200 - ' . 'y' x 255, '255 bytes');
    is(verdict('/any?t=' . 'y' x 256, undef), $invalid, 'and not one more');
    is(verdict('/any?t=', undef), '200 - -', 'none, optional');
    is(verdict('/part?t=acme', undef), $invalid, 'no (*ACCEPT) of a part');
    is(verdict('/part?t=ac', undef), '200 - ac', 'of the whole it is');
    is(verdict('/keep?t=xacme', undef), $invalid, 'nor a \K');

    is(verdict('/slow?t=aab', undef), '200 - aab', 'a pattern that backtracks');
    my $started = now();
    is(verdict('/slow?t=' . 'a' x 200, undef), $invalid, 'has its bounds')
        for 1 .. 40;
    cmp_ok(now() - $started, '<', 3, 'and costs next to nothing');
    return;
}


# D01: a tenant by host is nothing that a header could change

sub by_host {
    my $host = sub {
        my ($name, @h) = @_;
        my $r = $t->get('/', port => 3, headers => [Host => $name, @h]);
        return join ' ', $r->status, $r->header('X-Is') // '-';
    };

    is($host->('acme.example'), '200 acme', 'D01 by host');
    is($host->('acme.example', 'X-Tenant' => 'shop'), '200 acme',
        'D01 whatever a header says');
    is($host->('ACME.example:80'), '200 acme', 'D01 the host as nginx has it');
    is($host->('evil.example'), '403 -', 'D01 a host of nobody');
    is($t->get('http://shop.example/', port => 3,
               headers => [Host => 'acme.example'])->header('X-Is'), 'shop',
        'E08 the absolute form decides, as for routing');
    return;
}


sub same_user {
    my $left = sub {
        my $r = $t->get("/limit?user=$_[1]", headers => ['X-Tenant' => $_[0]]);
        return ($r->header('RateLimit') // '') =~ /r=(\d+)/ ? $1 : '-';
    };

    is(join(' ', map { $left->(@$_) } ['acme', 'u'], ['shop', 'u'],
            ['acme', 'u'], ['acme', 'v'], ['shop', 'u']), '8 8 7 8 7',
        'C06 tenants with the same user name have buckets of their own');
    is($left->('*', 'u'), '-', 'a limit of an identity that failed: no key');
    is($left->('acme', 'u'), 6, 'C06 and nobody was charged');
    return;
}


sub read_early {
    my $r = $t->get('/early', headers => ['X-Tenant' => 'acme']);
    is($r->header('X-Early'), 'acme', 'known before the checks');

    $r = $t->get('/early', headers => ['X-Tenant' => '*']);
    is($r->header('X-Early') // '', '', 'as the checks would have it');
    return;
}


sub answered {
    my $r = $t->get('/');
    my $p = $r->json;

    is($r->header('Content-Type'), 'application/problem+json', 'a problem');
    is("$p->{status} $p->{title}", '403 Forbidden', 'what it says');
    is($r->header('WWW-Authenticate'), undef, 'nothing to log in with');

    my ($l) = reverse $t->lines('decision.log', 'url.path' => '/');
    is("$l->{'readiness.decision'} $l->{'readiness.reason'}"
       . " $l->{severity_text} $l->{'http.response.status_code'}",
        'deny tenant_missing WARN 403', 'the log');
    is($l->{'tenant.id'}, undef, 'no tenant.id');

    my @seen = grep { $_->{'url.path'} eq '/fixed' } $t->lines('decision.log');
    is($seen[0]{'tenant.id'}, 'acme', 'tenant.id of one who passed');
    is(grep({ defined $_->{'tenant.id'} && $_->{'readiness.reason'} ne 'ok' }
            $t->lines('decision.log')), 0, 'nobody refused has one');
    return;
}
