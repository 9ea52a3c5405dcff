#!/usr/bin/perl

# One decision line for each client request, whichever way it takes through
# nginx, and there before the application hears of it (O2).

use strict;
use warnings;

use File::Path ();
use Test::More;
use Readiness;

my $t = Readiness->new;
my $log = $t->path('decision.log');

# it tells in a header how many lines name the request that reaches it

$t->app(0, handler => sub {
    my ($req) = @_;
    my ($id) = map { $_->[1] } grep { lc $_->[0] eq 'x-request-id' }
                               @{ $req->{headers} };
    my $told = () = slurp($log) =~ /"http\.request\.id":"\Q$id\E"/g;

    return { headers => [['X-Told', $told]] };
});

$t->app(1, handler => sub {
    return { status => $_[0]{uri} =~ /allowed/ ? 200 : 403 };
});

File::Path::make_path(map { $t->path("www/$_") }
                      qw(indexed auto closed ssi added try));
$t->file("www/$_", "text\n") for qw(a.html indexed/index.html error.html
                                    added/a.html try/there auto/a);
$t->file('www/ssi/a.html', '<!--# include virtual="/app/ssi1" -->'
                           . '<!--# include virtual="/a.html" -->');
$t->file('users', "u:{PLAIN}p\n");

$t->conf(<<'CONF', workers => 2)->run;
readiness_log %%DIR%%/decision.log;
readiness_request_id uuid7 accept=any;
readiness_rate one key=$arg_k rate=1r/h;
limit_req_zone $arg_z zone=z:1m rate=1r/m;

server {
    listen 127.0.0.1:%%PORT0%%;
    server_name www.example.com;
    root %%DIR%%/www;
    readiness on;

    location / { }
    location /app/ { proxy_pass http://%%APP%%; }
    location /auto/ { autoindex on; }
    location /try/ { try_files $uri /app/tried; }
    location /named/ { try_files $uri @named; }
    location @named { proxy_pass http://%%APP%%; }
    location /rewritten/ { rewrite ^ /app/last last; }
    location /broken/ { rewrite ^ /app/b break; proxy_pass http://%%APP%%; }
    location /return/ { return 204; }
    location /moved/ { return 302 /elsewhere; }
    location /if/ { if ($arg_b) { return 403; } proxy_pass http://%%APP%%; }

    location /missing/ { error_page 404 /error.html; }
    location = /error.html { }
    location /dead/ {
        error_page 502 /error.html;
        proxy_pass http://127.0.0.1:%%PORT9%%;
    }
    location /instead/ { error_page 404 = @named; }
    location /intercepted/ {
        proxy_intercept_errors on;
        error_page 500 /app/instead;
        proxy_pass http://%%APP%%;
    }

    location /inner/ { internal; alias %%DIR%%/www/; }
    location /strict/ {
        internal;
        readiness_limit one;
        alias %%DIR%%/www/;
    }
    location /watched/inner/ {
        internal;
        readiness monitor;
        readiness_limit one;
        alias %%DIR%%/www/;
    }

    location /basic/ {
        auth_basic x;
        auth_basic_user_file %%DIR%%/users;
        proxy_pass http://%%APP%%;
    }
    location /basic/page/ {
        auth_basic x;
        auth_basic_user_file %%DIR%%/users;
        error_page 401 /error.html;
    }
    location /basic/plain/ {
        auth_basic x;
        auth_basic_user_file %%DIR%%/users;
        error_page 401 /off/error;
    }
    location /denied/ { deny all; }
    location /asked/ {
        auth_request /verdict;
        proxy_pass http://%%APP%%;
    }
    location = /verdict { internal; proxy_pass http://%%APP1%%$request_uri; }

    location /limited/ { limit_req zone=z; proxy_pass http://%%APP%%; }
    location /ssi/ { ssi on; }
    location /added/ {
        add_before_body /app/before;
        add_after_body /a.html;
    }
    location /mirror/ { mirror /mirrored; proxy_pass http://%%APP%%; }
    location = /mirrored { internal; proxy_pass http://%%APP1%%; }
    location /after/ { post_action /posted; return 200 before; }
    location = /posted { proxy_pass http://%%APP1%%/allowed; }

    location /ours/ {
        readiness_limit one;
        proxy_pass http://%%APP%%;
    }
    location /ours/page/ {
        readiness_limit one;
        error_page 429 /app/page;
        proxy_pass http://%%APP%%;
    }
    location /ours/status/ {
        readiness_limit one;
        readiness_limit_status 503;
        proxy_pass http://%%APP%%;
    }
    location /watched/ {
        readiness monitor;
        readiness_limit one;
        proxy_pass http://%%APP%%;
    }
    location /off/ { readiness off; proxy_pass http://%%APP%%; }
}
CONF

my (%expected, $n);


# one(NAME, URI, STATUS, 'decision reason route status' of each line)

sub one {
    my ($name, $uri, $status, @want) = @_;
    my $id = sprintf 'request-%03d', ++$n;
    my $method = $uri =~ s/^([A-Z]+) // ? $1 : 'GET';
    my $r = $t->request($method, $uri, headers => ['X-Request-Id' => $id]);

    is($r->status, $status, "$name: the answer");
    is($r->header('X-Told'), 1, "$name: told before the application is called")
        if defined $r->header('X-Told') && @want;

    $expected{$id} = @want;
    wait_for { $t->lines(undef, 'http.request.id', $id) == @want } 10;

    my @got = map {
        my $l = $_;
        join ' ', map { defined $l->{$_} ? $l->{$_} : '-' }
            qw(readiness.decision readiness.reason http.route
               http.response.status_code);
    } $t->lines(undef, 'http.request.id', $id);

    is_deeply(\@got, \@want, $name);
    return $r;
}


one('proxied', '/app/x', 200, 'allow ok /app/ -');
one('HEAD', 'HEAD /app/x', 200, 'allow ok /app/ -');
one('POST', 'POST /app/x', 200, 'allow ok /app/ -');
one('OPTIONS', 'OPTIONS /app/x', 200, 'allow ok /app/ -');
one('an error of the application', '/app/x?app_status=500', 500,
    'allow ok /app/ -');
one('a broken application', '/app/x?app_broken=close', 502, 'allow ok /app/ -');
one('a file', '/a.html', 200, 'allow ok / -');
one('no file', '/nothing', 404, 'allow ok / -');
one('a file that takes no POST', 'POST /a.html', 405, 'allow ok / -');
one('index', '/indexed/', 200, 'allow ok / -');
one('a directory without its slash', '/indexed', 301, 'allow ok / -');
one('a directory without index', '/closed/', 403, 'allow ok / 403');
one('autoindex', '/auto/', 200, 'allow ok /auto/ 200');
one('try_files, a file', '/try/there', 200, 'allow ok /try/ -');
one('try_files, a redirect', '/try/not', 200, 'allow ok /app/ -');
one('try_files, a named location', '/named/x', 200, 'allow ok @named -');
one('rewrite last', '/rewritten/x', 200, 'allow ok /app/ -');
one('rewrite break', '/broken/x', 200, 'allow ok /broken/ -');
one('return', '/return/', 204, 'none not_evaluated /return/ 204');
one('return of a redirect', '/moved/', 302, 'none not_evaluated /moved/ 302');
one('if, passed', '/if/x', 200, 'allow ok /if/ -');
one('if, returned', '/if/x?b=1', 403, 'none not_evaluated /if/ 403');

one('error_page of a file', '/missing/x', 404, 'allow ok /missing/ -');
one('error_page of an upstream', '/dead/x', 502, 'allow ok /dead/ -');
one('error_page = @named', '/instead/x', 200, 'allow ok /instead/ -');
one('error_page for an answer of the application',
    '/intercepted/x?app_status=500', 500, 'allow ok /intercepted/ -');

one('X-Accel-Redirect', '/app/x?app_accel=/inner/a.html', 200,
    'allow ok /app/ -');
one('X-Accel-Redirect into a limit, passed',
    '/app/x?app_accel=/strict/a.html%3Fk=accel', 200, 'allow ok /app/ -');

one('X-Accel-Redirect into a spent limit',
    '/app/x?app_accel=/strict/a.html%3Fk=accel', 429, 'allow ok /app/ -',
    'deny rate_limited /strict/ 429');
is_deeply([map { $_->{'readiness.revised'} ? 1 : 0 }
           $t->lines(undef, 'http.request.id', sprintf 'request-%03d', $n)],
    [0, 1], 'the second line says that it revises');
one('X-Accel-Redirect into a watched limit, passed',
    '/app/x?app_accel=/watched/inner/a.html%3Fk=seen', 200, 'allow ok /app/ -');
one('X-Accel-Redirect into a watched limit that is spent',
    '/app/x?app_accel=/watched/inner/a.html%3Fk=seen', 200, 'allow ok /app/ -',
    'deny rate_limited /watched/inner/ -');
is_deeply([map { $_->{'readiness.enforced'} ? 1 : 0 }
           $t->lines(undef, 'http.request.id', sprintf 'request-%03d', $n)],
    [1, 0], 'the second line says that it was not enforced');

one('auth_basic', '/basic/x', 401, 'allow ok /basic/ 401');
one('auth_basic with a page', '/basic/page/x', 401,
    'allow ok = /error.html 401');
one('auth_basic with a page where readiness is off', '/basic/plain/x', 401,
    'allow ok /basic/plain/ 401');
one('deny', '/denied/x', 403, 'allow ok /denied/ 403');
one('auth_request, allowed', '/asked/allowed', 200, 'allow ok /asked/ -');
one('auth_request, refused', '/asked/not', 403, 'allow ok /asked/ 403');
one('limit_req, passed', '/limited/x?z=1', 200, 'allow ok /limited/ -');
one('limit_req, refused', '/limited/x?z=1', 503, 'allow ok /limited/ 503');

one('SSI', '/ssi/a.html', 200, 'allow ok /ssi/ -');
one('addition', '/added/a.html', 200, 'allow ok /added/ -');
one('mirror', '/mirror/x', 200, 'allow ok /mirror/ -');
one('post_action', '/after/x', 200, 'none not_evaluated = /posted 200');

one('a limit, passed', '/ours/x?k=1', 200, 'allow ok /ours/ -');
one('our refusal', '/ours/x?k=1', 429, 'deny rate_limited /ours/ 429');
one('our refusal with a page', '/ours/page/x?k=1', 429,
    'deny rate_limited /ours/page/ 429');
one('our refusal with another status', '/ours/status/x?k=1', 503,
    'deny rate_limited /ours/status/ 503');
one('monitor, passed', '/watched/x?k=2', 200, 'allow ok /watched/ -');
one('monitor, refused', '/watched/x?k=2', 200, 'deny rate_limited /watched/ -');
one('readiness off', '/off/x', 200);

pipeline();

my %seen;
$seen{ $_->{'http.request.id'} }++ for $t->lines;
is_deeply({ map { $_ => $seen{$_} || 0 } keys %expected }, \%expected,
    'no line came later');
is(keys %seen, (grep { $_ } values %expected),
    'and none for what was no request of a client');

$t->done;


sub pipeline {
    my $c = $t->conn;
    my @ids = map { sprintf 'pipeline-%03d', $_ } 1 .. 100;
    my @uris = ('/a.html', '/app/x', '/return/', '/ours/x?k=1', '/indexed/');

    $c->write(join '', map {
        format_request('GET', $uris[$_ % @uris],
                       headers => ['X-Request-Id' => $ids[$_]])
    } 0 .. $#ids);

    is(scalar(grep { $_->status } map { $c->response } @ids), 100,
        'a hundred pipelined requests are answered');

    my @lines;
    wait_for { @lines = $t->lines(undef, 'http.request.id', qr/^pipeline/);
               @lines == 100 } 10;
    is_deeply([map { $_->{'http.request.id'} } @lines], \@ids,
        'and told in their order');

    $expected{$_} = 1 for @ids;
    return;
}
