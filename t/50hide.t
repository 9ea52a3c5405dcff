#!/usr/bin/perl

# readiness_hide_header: what tells which software runs behind is not told.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;

my @owasp = ('$wsep', qw(Host-Header K-Proxy-Request Liferay-Portal
    OracleCommerceCloud-Version Pega-Host Powered-By Product Server SourceMap
    X-AspNet-Version X-AspNetMvc-Version X-Atmosphere-error
    X-Atmosphere-first-request X-Atmosphere-tracking-id X-B3-ParentSpanId
    X-B3-Sampled X-B3-SpanId X-B3-TraceId X-BEServer X-Backside-Transport
    X-CF-Powered-By X-CMS X-CalculatedBETarget X-Cocoon-Version
    X-Content-Encoded-By X-Datadog-Origin X-Datadog-Parent-Id
    X-Datadog-Sampling-Priority X-Datadog-Tags X-Datadog-Trace-Id X-DiagInfo
    X-Envoy-Attempt-Count X-Envoy-External-Address X-Envoy-Internal
    X-Envoy-Original-Dst-Host X-Envoy-Upstream-Service-Time X-FEServer
    X-Framework X-Generated-By X-Generator X-Gitlab-Meta X-Jitsi-Release
    X-Joomla-Version X-Kong-Admin-Latency X-Kong-Client-Latency
    X-Kong-Proxy-Latency X-Kong-Response-Latency
    X-Kong-Third-Party-Latency X-Kong-Total-Latency X-Kong-Upstream-Latency
    X-Kong-Request-Id X-Kong-Upstream-Status X-Kubernetes-PF-FlowSchema-UI
    X-Kubernetes-PF-PriorityLevel-UID X-LiteSpeed-Cache X-LiteSpeed-Purge
    X-LiteSpeed-Tag X-LiteSpeed-Vary X-Litespeed-Cache-Control
    X-Mod-Pagespeed X-Nextjs-Cache X-Nextjs-Matched-Path X-Nextjs-Page
    X-Nextjs-Redirect X-OWA-Version X-Old-Content-Length
    X-OneAgent-JS-Injection X-Page-Speed X-Php-Version X-Powered-By
    X-Powered-By-Plesk X-Powered-CMS X-Redirect-By X-Server-Powered-By
    X-SourceFiles X-SourceMap X-Turbo-Charged-By X-Tyk-Trace-Id
    X-Umbraco-Version X-Varnish-Backend X-Varnish-Server
    X-Woodpecker-Version X-dtAgentId X-dtHealthCheck X-dtInjectedServlet
    X-ruxit-JS-Agent));

$t->file('html/page.html', '<p>page</p>') if mkdir $t->path('html');

$t->conf(<<'CONF')->run;
readiness on;
readiness_hide_header X-Outer;
proxy_buffer_size 32k;
proxy_buffers 8 32k;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;

    location / { proxy_pass http://%%APP%%; }

    location /owasp/ {
        readiness_hide_header owasp;
        proxy_pass http://%%APP%%/;
        proxy_pass_header Server;
        add_header X-Powered-By nginx always;
        add_header x-cms theirs always;
    }

    location /some/ {
        readiness_hide_header ETag Last-Modified Cache-Control Link;
        readiness_hide_header X-Frame-Options X-Added;
        proxy_pass http://%%APP%%/;

        location /some/off/ {
            readiness_hide_header off;
            readiness_hide_header X-Added;
            proxy_pass http://%%APP%%/;
        }
    }

    location /file/ {
        alias %%DIR%%/html/;
        readiness_hide_header Server ETag Last-Modified;
    }

    location /server/ {
        readiness_hide_header owasp;
        readiness_header Server ours;
        readiness_header X-Powered-By us;
        proxy_pass http://%%APP%%/;
    }
}
CONF

$t->app->set('/told', {
    headers => [(map { [$_ => 'told'] } @owasp),
                (map { [uc $_ => 'TOLD'], [lc $_ => 'told'] } @owasp),
                ['X-Powered' => 'stays'], ['X-CMS-Other' => 'stays']],
});

for (['HTTP/1.1', sub { $t->get(@_) }],
     ['HTTP/1.0', sub { $t->get(@_, version => '1.0') }],
     ['HTTP/2', sub { $t->h2(port => 1)->get(@_) }])
{
    my ($version, $get) = @$_;
    my $r = $get->('/told');

    # nginx itself keeps the Server of the application from the client
    my @plain = grep { $_ ne 'Server' && $r->count($_) < 3 } @owasp;
    is("@plain", '', "without owasp all of it is told, $version");
    like($r->header('Server'), qr/nginx/, "and nginx names itself, $version");

    $r = $get->('/owasp/told');
    is($r->status, 200, "owasp, $version");
    is(join(' ', grep { $r->count($_) } @owasp), '',
        "owasp: no name of the list is left, $version");
    is($r->header('X-Powered') . $r->header('X-CMS-Other'), 'staysstays',
        "nor is another one taken, $version");

    is($get->('/owasp/x?app_status=500')->count('Server'), 0,
        "owasp: on errors, too, $version");
    is($get->('/file/none')->count('Server'), 0, "on nginx's, too, $version");
}

is(@owasp, 87, 'the list is whole');

is($t->raw("GET / HTTP/1.1\r\n\r\n")->status, 400, 'an early error');
my $r = $t->get('/file/page.html');
is($r->status, 200, 'a file');
is($r->count('Server') + $r->count('ETag') + $r->count('Last-Modified'), 0,
    'without what nginx would write itself');
$r = $t->get('/file/page.html', headers => [Range => 'bytes=100-']);
is($r->status . $r->count('Server'), '4160', 'nor on its second header pass');

my $query = join '&', map { "app_header=$_" } 'ETag:%20%22x%22', 'Link:%20x',
    'Last-Modified:%20Fri,%2002%20Jan%202026%2000:00:00%20GMT', 'X-Kept:%20x',
    'Cache-Control:%20public', 'cache-control:%20max-age=1', 'X-Added:%20x',
    'X-Frame-Options:%20theirs', 'X-Outer:%20x';

$r = $t->get("/some/x?$query");
is($r->count($_), 0, "hidden by name: $_")
    for qw(ETag Last-Modified Cache-Control Link X-Added X-Outer);
is($r->header('X-Kept'), 'x', 'others stay');
is_deeply([$r->values('X-Frame-Options')], ['SAMEORIGIN'],
    'our own copy is ours to send');

$r = $t->get("/some/off/x?$query");
is($r->count($_), $_ eq 'Cache-Control' ? 2 : 1, "off: $_ is back")
    for qw(ETag Last-Modified Cache-Control Link X-Outer);
is($r->count('X-Added'), 0, 'while the line beside it stays');

$r = $t->get('/server/told');
is_deeply([$r->values('Server'), $r->values('X-Powered-By')], ['ours', 'us'],
    'hidden, and set by us: ours is sent');

$t->done;
