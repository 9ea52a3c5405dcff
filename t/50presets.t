#!/usr/bin/perl

# The three presets of security headers: byte for byte, each exactly once, on
# whatever is answered by whomever.

use strict;
use warnings;
use Readiness;
use Test::More;

my $permissions = join ', ', (map { "$_=()" } qw(accelerometer autoplay camera
    cross-origin-isolated display-capture encrypted-media fullscreen
    geolocation gyroscope keyboard-map magnetometer microphone midi payment
    picture-in-picture publickey-credentials-get screen-wake-lock)),
    'sync-xhr=(self)', (map { "$_=()" } qw(usb web-share xr-spatial-tracking
    clipboard-read clipboard-write gamepad hid idle-detection interest-cohort
    serial unload));

my %strict = (
    'X-Content-Type-Options' => 'nosniff',
    'X-Frame-Options' => 'DENY',
    'Referrer-Policy' => 'no-referrer',
    'Permissions-Policy' => $permissions,
    'Cross-Origin-Opener-Policy' => 'same-origin',
    'Cross-Origin-Resource-Policy' => 'same-origin',
    'X-Permitted-Cross-Domain-Policies' => 'none',
    'X-DNS-Prefetch-Control' => 'off',
);

my %document = (
    'Content-Security-Policy' => "default-src 'self'; form-action 'self'; "
        . "base-uri 'self'; object-src 'none'; frame-ancestors 'none'; "
        . 'upgrade-insecure-requests',
    'Cross-Origin-Embedder-Policy' => 'require-corp',
);

my %baseline = (
    'X-Content-Type-Options' => 'nosniff',
    'X-Frame-Options' => 'SAMEORIGIN',
    'Referrer-Policy' => 'strict-origin-when-cross-origin',
);

my %api = (
    'X-Content-Type-Options' => 'nosniff',
    'Content-Security-Policy' => "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy' => 'same-origin',
    'Referrer-Policy' => 'no-referrer',
    'Cache-Control' => 'no-store',
);

my $hsts = 'Strict-Transport-Security';
my @names = sort keys %{{ %strict, %document, %api, $hsts => 1,
                          'Clear-Site-Data' => 1 }};

my $t = Readiness->new;

$t->file('html/page.html', '<p>page</p>') if mkdir $t->path('html');
$t->app->set('/page', { type => 'text/html', body => '<p>page</p>' });

$t->conf(<<'CONF')->run;
readiness on;
readiness_rate two key=$readiness_route rate=2r/d;
readiness_log %%DIR%%/decision.log;
proxy_cache_path %%DIR%%/cache keys_zone=cache:1m;
client_max_body_size 1k;
large_client_header_buffers 4 2k;
proxy_read_timeout 300ms;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    listen 127.0.0.1:%%PORT2%% ssl;
    ssl_certificate %%CERT%%;
    ssl_certificate_key %%KEY%%;
    default_type text/plain;

    readiness_headers strict;

    location / { proxy_pass http://%%APP%%; }
    location /html/ { root %%DIR%%; default_type text/html; }
    location /moved { return 301 /elsewhere; }
    location /nothing { return 204; }
    location /text { return 200 text; }
    location /limited { readiness_limit two; proxy_pass http://%%APP%%; }
    location /dead { proxy_pass http://127.0.0.1:%%PORT9%%; }

    location /cached {
        proxy_pass http://%%APP%%;
        proxy_cache cache;
        proxy_cache_valid 1m;
        add_header X-Cache $upstream_cache_status;
    }

    location /doubled/ {
        add_header X-Frame-Options ALLOWALL always;
        add_header x-frame-options SAMEORIGIN always;
        add_header X-FRAME-OPTIONS "" always;
        proxy_pass http://%%APP%%/;
    }

    location /baseline/ {
        readiness_headers baseline;
        proxy_pass http://%%APP%%/;
    }
    location /api/ { readiness_headers api; proxy_pass http://%%APP%%/; }
    location /none/ { readiness_headers off; proxy_pass http://%%APP%%/; }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    location / { return 200 text; }
}
CONF

values_by_preset();
statuses();
versions();
early();
copies();

$t->done;


# The preset's headers and no other of the names we know.

sub exactly {
    my ($r, $status, $want, $fact) = @_;
    my @got = map { my $n = $_; map { "$n: $_" } $r->values($n) } @names;
    my @want = map { defined $want->{$_} ? "$_: $want->{$_}" : () } @names;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is(join("\n", $r->status, @got), join("\n", $status, @want), $fact);
}


sub values_by_preset {
    my %tls = (port => 2, tls => 1);

    exactly($t->get('/baseline/page'), 200, \%baseline, 'baseline');
    exactly($t->get('/baseline/page', %tls), 200,
        { %baseline, $hsts => 'max-age=31536000' }, 'baseline, over https');
    exactly($t->get('/', port => 3), 200, \%baseline, 'which is the default');

    exactly($t->get('/page'), 200, { %strict, %document }, 'strict, a page');
    exactly($t->get('/json'), 200, \%strict, 'strict, JSON');
    exactly($t->get('/page', %tls), 200, { %strict, %document,
        $hsts => 'max-age=63072000; includeSubDomains' },
        'strict, over https');

    exactly($t->get('/api/json'), 200, \%api, 'api');
    exactly($t->get('/api/page', %tls), 200,
        { %api, $hsts => 'max-age=31536000' }, 'api, a page over https');
    exactly($t->get('/api/x?app_header=Cache-Control:%20max-age=5'), 200,
        { %api, 'Cache-Control' => 'max-age=5' },
        'api leaves the application its Cache-Control');

    exactly($t->get('/none/page'), 200, {}, 'off');
}


# hazard E07: whatever the status, whoever made it

sub statuses {
    my %page = (%strict, %document);
    my ($r, $last);

    exactly($t->get("/x?app_status=$_"), $_, \%strict,
        "E07 $_ of the application")
        for qw(201 204 301 304 400 401 403 404 409 500 502 503);

    exactly($t->get('/nothing'), 204, \%strict, 'E07 204 of nginx');
    exactly($t->get('/text'), 200, \%strict, 'E07 200 of return');
    exactly($t->get('/moved'), 301, \%page, 'E07 301 of nginx');
    exactly($t->get('/html/none'), 404, \%page, 'E07 404 of nginx');
    exactly($t->get('/dead'), 502, \%page, 'E07 502 of nginx');
    exactly($t->get('/x?app_broken=hang'), 504, \%page, 'E07 504 of nginx');
    exactly($t->post('/x', 'x' x 2000), 413, \%page, 'E07 413 of nginx');
    exactly($t->request('TRACE', '/x'), 405, \%page, 'E07 405 of nginx');

    $r = $t->get('/html/page.html');
    exactly($r, 200, \%page, 'E07 200, a file');
    $last = $r->header('Last-Modified');

    exactly($t->get('/html/page.html', headers =>
        ['If-Modified-Since' => $last]), 304, \%strict,
        'E07 304 of nginx, no document');
    exactly($t->get('/html/page.html', headers =>
        ['If-Match' => '"other"']), 412, \%page, 'E07 412 of nginx');

    $r = $t->get('/html/page.html', headers => [Range => 'bytes=1-3']);
    exactly($r, 206, \%page, 'E07 206, a file');
    is($r->body, 'p>p', 'and its range');

    $r = $t->get('/html/page.html', headers => [Range => 'bytes=100-']);
    exactly($r, 416, \%page, 'E07 416: once, though filters run twice');
    is($r->count('X-Request-Id'), 1, 'and one request ID');

    $t->get('/limited') for 1 .. 2;
    exactly($t->get('/limited'), 429,
        { %strict, 'Cache-Control' => 'no-store' }, 'E07 429 of ours');
}


sub versions {
    my %page = (%strict, %document);

    exactly($t->head('/page'), 200, \%page, 'E07 HEAD');
    exactly($t->head('/html/none'), 404, \%page, 'E07 HEAD, refused');
    exactly($t->get('/page', version => '1.0'), 200, \%page, 'E07 HTTP/1.0');

    my $h2 = $t->h2(port => 1);
    my $r = $h2->get('/page');
    exactly($r, 200, \%page, 'E07 HTTP/2');
    is((grep { $_->[0] =~ /[A-Z]/ } @{ $r->headers }), 0,
        'all names in lower case');
    exactly($h2->get('/html/none'), 404, \%page, 'E07 HTTP/2, refused');
    exactly($h2->request('HEAD', '/page'), 200, \%page, 'E07 HTTP/2, HEAD');

    $t->app->set('/cached', { type => 'text/html', body => 'x',
        headers => [['X-Frame-Options', 'ALLOWALL']] });
    my @got = map { $t->get('/cached') } 1 .. 2;
    is($got[1]->header('X-Cache'), 'HIT', 'the second comes from the cache');
    exactly($_, 200, \%page, 'E07 proxy_cache') for @got;
    isnt($got[0]->header('X-Request-Id'), $got[1]->header('X-Request-Id'),
        'a cached answer has a request ID of its own');
}


# before nginx knows a location, or even a server

sub early {
    my %page = (%strict, %document);
    my @bad = (
        ['a line that is no request', "BAD\r\n\r\n", 400],
        ['no Host', "GET / HTTP/1.1\r\n\r\n", 400],
        ['two Hosts', "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
        ['a bad Host', "GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n", 400],
        ['a NUL in the path', "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
        ['a path out of the root', "GET /../ HTTP/1.1\r\nHost: a\r\n\r\n",
         400],
        ['an obs-fold', "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400],
        ['414: a URI too long', 'GET /' . 'a' x 9000
         . " HTTP/1.1\r\nHost: a\r\n\r\n", 414],
        ['494: a header too large', "GET / HTTP/1.1\r\nHost: a\r\nX: "
         . 'a' x 9000 . "\r\n\r\n", 400],
        ['413: a length too large', "POST / HTTP/1.1\r\nHost: a\r\n"
         . "Content-Length: 5000\r\n\r\n", 413],
        ['an unknown version', "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505],
        ['an unknown coding', "POST / HTTP/1.1\r\nHost: a\r\n"
         . "Transfer-Encoding: x\r\n\r\n", 501],
    );

    for (@bad) {
        my ($fact, $bytes, $status) = @$_;
        my $r = $t->raw($bytes);
        exactly($r, $status, \%page, "E07 early: $fact");
        like($r->header('X-Request-Id') || '', qr/^[0-9a-f-]{36}$/,
            'with a request ID');
    }

    exactly($t->get('/', port => 2), 400, \%page,
        'E07 early: plain http to a TLS port');
    exactly($t->h2(port => 1)->request('GET', '/',
        pseudo => [':method' => 'GET']), 400, \%page,
        'E07 early: HTTP/2, no path');
}


sub copies {
    my @theirs = map { ("app_header=$_:%20theirs",
                        'app_header=' . uc($_) . ':%20other',
                        'app_header=' . lc($_) . ':') } @names;
    my $query = join '&', 'app_type=text/html', @theirs;
    my %page = (%strict, %document);

    my $r = $t->get("/x?$query");
    is_deeply([$r->values($_)], [defined $page{$_} ? $page{$_} : ()],
        "E07 upstream's copies are replaced: $_")
        for grep { !/^(?:Cache-Control|Clear-Site-Data)$/ } @names;
    is_deeply([grep { $_ ne '' } $r->values($_)], ['theirs', 'other'],
        "what is not in the preset stays: $_")
        for qw(Cache-Control Clear-Site-Data);

    exactly($t->get('/doubled/page'), 200, \%page,
        'E07 the copies of add_header are replaced');
    exactly($t->get('/doubled/x?app_status=500&app_header=X-Frame-Options:b'),
        500, \%strict, 'E07 and those of both together');

    $r = $t->h2(port => 1)->get('/doubled/page');
    exactly($r, 200, \%page, 'E07 the same over HTTP/2');
}
