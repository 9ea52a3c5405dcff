#!/usr/bin/perl

# What a refused request is answered: problem bodies, whom they are for, their
# headers, and a connection that stays in step.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
readiness on;
readiness_rate spent key=$readiness_route rate=1r/d;
readiness_rate other key=$readiness_route rate=9r/d;
readiness_rate away key=x rate=1r/d redis=gone on_redis_error=deny;
readiness_redis gone { server 127.0.0.1:%%PORT9%%; }
readiness_log %%DIR%%/decision.log;
client_max_body_size 2m;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    default_type text/html;

    location /ok { proxy_pass http://%%APP%%; }
    location /on/ {
        readiness_limit spent;
        readiness_limit other;
        proxy_pass http://%%APP%%;
    }
    location /terse/ {
        readiness_limit spent;
        readiness_problem terse;
        proxy_pass http://%%APP%%;
    }
    location /off/ {
        readiness_limit spent;
        readiness_problem off;
        readiness_header Cache-Control public;
        proxy_pass http://%%APP%%;
    }
    location /page/ {
        readiness_limit spent;
        error_page 429 /429.html;
        proxy_pass http://%%APP%%;
    }
    location = /429.html { internal; return 200 "<p>slow down</p>"; }

    location /away/ { readiness_limit away; proxy_pass http://%%APP%%; }
    location /away/terse/ {
        readiness_limit away;
        readiness_problem terse;
        proxy_pass http://%%APP%%;
    }
    location /503/ {
        readiness_limit spent;
        readiness_limit_status 503;
        proxy_pass http://%%APP%%;
    }
    location /418/ {
        readiness_limit spent;
        readiness_limit_status 418;
        proxy_pass http://%%APP%%;
    }
    location /444/ {
        readiness_limit spent;
        readiness_limit_status 444;
        proxy_pass http://%%APP%%;
    }
    location /no-id/ {
        readiness_limit spent;
        readiness_header X-Request-Id off;
        readiness_header Retry-After off;
        proxy_pass http://%%APP%%;
    }
}
CONF

my @routes = qw(on terse off page 503 418 444 no-id);
$t->get("/$_/") for @routes;                    # now all of them are spent
my $seen = $t->app->count;

bodies();
accept_header();
methods();
status_codes();
in_step();

is($t->app->count(qr{^/(?!ok)}), $seen, 'nothing refused was proxied');
$t->done;


# The one line of the log with this response's request ID.

sub line_of {
    my ($r) = @_;
    my $id = $r->header('X-Request-Id');
    wait_for { $t->lines('decision.log', 'http.request.id' => $id) } 10;
    my @lines = $t->lines('decision.log', 'http.request.id' => $id);

    return @lines == 1 ? $lines[0] : {};
}


# What every refusal of ours has, whatever its body.

sub refused {
    my ($r, $status, $fact) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @got = ($r->status, $r->values('Cache-Control'),
        $r->header('Retry-After') ? 'later' : (),
        line_of($r)->{'readiness.decision'} || 'no line');
    my @want = ($status, 'no-store', $status =~ /^(?:429|503)$/ ? 'later' : (),
        'deny');

    return is("@got", "@want", $fact);
}


sub bodies {
    my $r = $t->get('/on/');
    refused($r, 429, 'refused');
    is($r->header('Content-Type'), 'application/problem+json', 'its type');
    my $line = line_of($r);
    is_deeply($r->json, {
        type => 'about:blank', title => 'Too Many Requests', status => 429,
        reason => $line->{'readiness.reason'},
        request_id => $line->{'http.request.id'},
        'violated-policies' => ['spent'],
    }, 'a problem: request_id and reason are those of the log');
    is($line->{'readiness.reason'}, 'rate_limited', 'a known reason');
    is($r->header('Content-Length'), length $r->body, 'its length');
    is($r->header('X-Content-Type-Options'), 'nosniff', 'its preset');

    # hazard C12
    my ($retry) = $r->header('Retry-After');
    cmp_ok($retry, '>=', 1, 'C12 Retry-After is no less than 1');
    cmp_ok($retry, '<=', 86400, 'C12 nor more than the period');
    like($r->header('RateLimit'), qr/^"spent";r=0;t=$retry, "other";r=8;t=/,
        'C12 RateLimit says the same, and that nothing else was charged');
    is($r->header('RateLimit-Policy'),
        '"spent";q=1;w=86400, "other";q=9;w=86400', 'C12 and the policies');

    $r = $t->get('/terse/');
    refused($r, 429, 'terse: refused');
    is($r->json->{reason}, 'rate_limited', 'terse: the word');
    ok(!exists $r->json->{'violated-policies'}, 'terse: names no limit');
    is($r->json->{request_id}, $r->header('X-Request-Id'), 'terse: the ID');

    $r = $t->get('/off/');
    refused($r, 429, 'off: refused, and not to be stored');
    is($r->header('Content-Type'), 'text/html', "off: nginx's own page");
    like($r->body, qr/<h1>429 Too Many Requests/, 'with its text');

    $r = $t->get('/page/');
    refused($r, 429, 'error_page wins');
    is($r->body, '<p>slow down</p>', 'and gives the body');

    $r = $t->get('/no-id/');
    is($r->status, 429, 'without the request ID header');
    is($r->count('X-Request-Id') + $r->count('Retry-After'), 0,
        'as readiness_header said');
    like($r->json->{request_id}, qr/^[0-9a-f-]{36}$/, 'the body has it');
}


sub accept_header {
    my %html = (
        'text/html' => 1, '*/*' => 0, '' => 0, 'application/json' => 0,
        'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' => 1,
        'text/html;q=0.5, application/json' => 0,
        'text/html, application/problem+json;q=0.9' => 1,
        'application/problem+json, text/html;q=0.9' => 0,
        'text/html;q=0' => 0, 'TEXT/HTML' => 1, 'text/*' => 1,
        'image/png' => 0, 'text/html;q=2' => 0, ',,;;q=' => 0,
    );

    for my $accept (sort keys %html) {
        my $r = $t->get('/on/', headers => [Accept => $accept]);
        refused($r, 429, "Accept: $accept");
        is($r->header('Content-Type'), $html{$accept} ? 'text/html'
            : 'application/problem+json', $html{$accept} ? 'a page'
            : 'a problem');
    }

    my $r = $t->get('/on/', headers => [Accept => 'text/html;q=0.1',
                                        accept => 'application/json']);
    is($r->header('Content-Type'), 'application/problem+json',
        'two Accept lines are one list');
}


sub methods {
    my $get = $t->get('/on/');
    my $r = $t->head('/on/');
    refused($r, 429, 'C12 HEAD');
    is($r->body, '', 'HEAD: no body');
    is($r->header('Content-Length'), length $get->body, 'HEAD: its length');
    like($r->header('RateLimit'), qr/^"spent";r=0;/, 'C12 HEAD: RateLimit');

    my $h2 = $t->h2(port => 1);
    $r = $h2->get('/on/');
    refused($r, 429, 'C12 HTTP/2');
    is($r->json->{request_id}, $r->header('X-Request-Id'), 'HTTP/2: the ID');
    like($r->header('RateLimit'), qr/^"spent";r=0;/, 'C12 HTTP/2: RateLimit');
    $r = $h2->request('HEAD', '/on/');
    refused($r, 429, 'HTTP/2, HEAD');
    is($r->body, '', 'HTTP/2, HEAD: no body');
    refused($h2->request('POST', '/on/', body => 'x' x 200000), 429,
        'C11 HTTP/2, POST');
    is($h2->get('/ok')->status, 200, 'C11 the connection goes on');

    $r = $t->get('/on/', version => '1.0');
    refused($r, 429, 'HTTP/1.0');
    is($r->json->{status}, 429, 'HTTP/1.0: the body');
}


sub status_codes {
    my $r = $t->get('/503/');
    refused($r, 503, 'limit_status 503, with Retry-After');
    is_deeply([@{ $r->json }{qw(status title reason)}],
        [503, 'Service Unavailable', 'rate_limited'], 'and its body');

    $r = $t->get('/418/');
    refused($r, 418, 'limit_status 418');
    is_deeply([@{ $r->json }{qw(status title reason)}],
        [418, 'Too Many Requests', 'rate_limited'], 'and its body');
    is(line_of($r)->{'http.response.status_code'}, 418, 'and its line');

    $r = $t->get('/444/');
    is($r->error, 'closed', 'limit_status 444 closes the connection');

    $r = $t->get('/away/');
    refused($r, 503, 'limiter_unavailable');
    is($r->json->{reason}, 'limiter_unavailable', 'its body');
    is($r->count('RateLimit'), 0, 'C12 and no invented numbers');
    is($t->get('/away/terse/')->json->{reason}, 'unavailable', 'terse');
}


# hazard C11: a body that nobody reads

sub in_step {
    my $big = 'x' x 1_000_000;
    my @kinds = (
        ['a body', body => 'x'],
        ['a large body', body => $big],
        ['a chunked body', chunks => ['abc', 'def']],
        ['a large chunked body', chunks => [map { 'y' x 10000 } 1 .. 100]],
        ['a body that looks like a request',
         body => "GET /ok?smuggled HTTP/1.1\r\nHost: a\r\n\r\n"],
    );

    for (@kinds) {
        my ($fact, @body) = @$_;

        for my $route ('on', 'off', 'page') {
            my $c = $t->conn;
            my $r = $c->request('POST', "/$route/", @body);
            is($r->status, 429, "C11 $fact, /$route/");
            is($c->get('/ok?next')->json->{uri}, '/ok?next', 'in step');
            $c->close;
        }
    }

    my $c = $t->conn;
    $c->write("POST /on/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            . "Expect: 100-continue\r\n\r\n");
    my $r = $c->response;
    is($r->status, 429, 'C11 Expect: refused');
    is(@{ $r->interim }, 0, 'C11 without a 100 before it');
    $c->write("hello");
    is($c->get('/ok?expect')->json->{uri}, '/ok?expect', 'in step');
    $c->close;

    $c = $t->conn;
    $c->write(join '', map { format_request('POST', '/on/', body => "b$_")
                             . format_request('GET', "/ok?$_") } 1 .. 20);
    my @got = map { ($c->response->status, $c->response->json->{uri}) }
              1 .. 20;
    is("@got", join(' ', map { "429 /ok?$_" } 1 .. 20), 'C11 a pipeline');

    is($t->app->count(qr/smuggled/), 0, 'C11 nothing is smuggled');
}
