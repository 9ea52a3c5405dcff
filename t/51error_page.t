#!/usr/bin/perl

# Our refusal is final through error_page, whatever its form: the decision
# stands, nothing is charged again, and the response says that it is a refusal.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;

$t->file('html/429.html', 'slow down') if mkdir $t->path('html');

$t->conf(<<'CONF')->run;
readiness on;
readiness_rate spent key=$readiness_route rate=1r/d;
readiness_rate pages key=pages rate=100r/d;
readiness_log %%DIR%%/decision.log;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    root %%DIR%%/html;
    default_type text/html;

    location / { proxy_pass http://%%APP%%; }

    location /file/ {
        readiness_limit spent;
        error_page 429 /429.html;
        proxy_pass http://%%APP%%;
    }
    location /status/ {
        readiness_limit spent;
        error_page 429 =200 /429.html;
        proxy_pass http://%%APP%%;
    }
    location /named/ {
        readiness_limit spent;
        error_page 429 @named;
        proxy_pass http://%%APP%%;
    }
    location /returned/ {
        readiness_limit spent;
        error_page 429 = @returned;
        proxy_pass http://%%APP%%;
    }
    location /elsewhere/ {
        readiness_limit spent;
        error_page 429 http://other.example/slow;
        proxy_pass http://%%APP%%;
    }
    location /other/ {
        readiness_limit spent;
        error_page 404 503 /429.html;
        proxy_pass http://%%APP%%;
    }
    location /dark/ {
        readiness_limit spent;
        readiness_headers strict;
        error_page 429 /dark.html;
        proxy_pass http://%%APP%%;
    }
    location /proxied/ {
        readiness_limit spent;
        error_page 429 /maker/page;
        proxy_pass http://%%APP%%;
    }
    location /missing/ {
        readiness_limit spent;
        error_page 429 /none/429.html;
        recursive_error_pages on;
        proxy_pass http://%%APP%%;
    }
    location /again/ {
        readiness_limit spent;
        error_page 429 /again/page;
        recursive_error_pages on;
        proxy_pass http://%%APP%%;
    }
    location /intercept/ {
        error_page 429 /429.html;
        proxy_intercept_errors on;
        proxy_pass http://%%APP%%;
    }

    location = /429.html { internal; readiness_limit pages; }
    location @named { readiness_limit pages; return 429 named; }
    location @returned { return 403 returned; }
    location = /dark.html {
        internal;
        readiness off;
        alias %%DIR%%/html/429.html;
    }
    location /none/ { }
    location /maker/ { readiness_limit pages; proxy_pass http://%%APP%%; }
    location /light/ { readiness off; alias %%DIR%%/html/; }
    location /probe { readiness_limit pages; return 204; }
    location /probed { readiness_limit pages; proxy_pass http://%%APP%%; }
}
CONF

for my $route (qw(file status named returned elsewhere other dark proxied
                  missing again))
{
    $t->get("/$route/");
}

$t->app->set('/maker/page', { type => 'text/html', body => 'made',
    headers => [['Cache-Control', 'public'], ['Retry-After', '999']] });
my $seen = $t->app->count;

# route, status, body, Retry-After of ours

for (['file', 429, qr/^slow down$/, 1], ['status', 200, qr/^slow down$/, 0],
     ['named', 429, qr/^named$/, 1], ['returned', 403, qr/^returned$/, 0],
     ['elsewhere', 302, qr/302 Found/, 0],
     ['other', 429, qr/"reason":"rate_limited"/, 1],
     ['dark', 429, qr/^slow down$/, 1], ['proxied', 429, qr/^made$/, 1],
     ['missing', 404, qr/404 Not Found/, 0])
{
    my ($route, $status, $body, $later) = @$_;

    for my $r ($t->get("/$route/"), $t->h2(port => 1)->get("/$route/")) {
        my $fact = "E02 /$route/, HTTP/" . $r->version;
        my @line = lines($r);

        is($r->status, $status, "$fact: $status");
        like($r->body, $body, 'its body');
        is_deeply([$r->values('Cache-Control')], ['no-store'],
            'not to be stored');
        is_deeply([map { /^(?!999)\d+$/ ? 'ours' : $_ }
                       $r->values('Retry-After')], [$later ? 'ours' : ()],
            $later ? 'with our Retry-After' : 'no 429: no Retry-After');
        like($r->header('RateLimit') || '', qr/^"spent";r=0;t=\d+$/,
            'told of the limit that refused, and of no other');
        is(@line, 1, 'one line');
        is($line[0]{'readiness.decision'}, 'deny', 'the decision stands');
        is($line[0]{'readiness.reason'}, 'rate_limited', 'with its reason');
        is($line[0]{'http.route'}, "/$route/", 'and its route');
        is($line[0]{'http.response.status_code'}, 429, 'and its status');
    }
}

is($t->app->count(qr{^/(?!maker)}), $seen,
    'E02 nothing protected was asked for');
is($t->app->count(qr{^/maker}), 2, 'E02 but for the page of /proxied/');

my $r = $t->get('/again/');
is($r->status, 429, 'E02 a page that is refused itself is no loop');
is($r->count('Retry-After'), 1, 'and the refusal stands');

# what the pages' own limit was charged: only by this request

like($t->get('/probed')->header('RateLimit'), qr/^"pages";r=99;/,
    'E02 the limit of an error page is not charged');

# a page in a location that is off still speaks for the one that refused

$r = $t->get('/dark/');
is($r->header('X-Frame-Options'), 'DENY', 'off: the headers of the refusal');
like($r->header('X-Request-Id'), qr/^[0-9a-f-]{36}$/, 'and its request ID');
$r = $t->get('/light/429.html');
is($r->status . $r->count('X-Frame-Options') . $r->count('X-Request-Id'),
    '20000', 'off: elsewhere it is off');

# 429 of the application is the application's

$r = $t->get('/intercept/x?app_status=429');
is($r->status . $r->body, '429slow down', "the application's 429, intercepted");
is($r->count('Retry-After') + $r->count('Cache-Control'), 0,
    'is no refusal of ours');
is((lines($r))[0]{'readiness.decision'}, 'allow', 'it was let through');

$t->done;


sub lines {
    my ($r) = @_;
    my @id = ('http.request.id' => $r->header('X-Request-Id'));

    wait_for { $t->lines('decision.log', @id) } 10;
    return $t->lines('decision.log', @id);
}
