#!/usr/bin/perl

# The route's default name, and E05: what each kind of location inherits.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->file('page.html', "page\n");
mkdir $t->path('dir');
$t->file('dir/index.html', "index\n");

$t->conf(<<'CONF')->run;
    readiness_rate all key=$request_id rate=100r/s;
    readiness_rate own key=$request_id rate=100r/s;
    readiness_rate spent key=x rate=1r/d;
    readiness_header X-Route $readiness_route;
    readiness_log %%DIR%%/decision.log;

    server {
        listen 127.0.0.1:%%PORT0%%;
        readiness on;
        readiness_limit all;
        readiness_header X-All yes;
        recursive_error_pages on;

        location /api/ { proxy_pass http://%%APP%%; }
        location /api/own { readiness_limit own; readiness_header X-Own yes;
                            proxy_pass http://%%APP%%; }
        location = /x { proxy_pass http://%%APP%%; }
        location =/tight { proxy_pass http://%%APP%%; }
        location /x { readiness_limit own; proxy_pass http://%%APP%%; }
        location ~ ^/a\d+$ { proxy_pass http://%%APP%%; }
        location ~* "^/b{2}x" { proxy_pass http://%%APP%%; }
        location ^~ /y { proxy_pass http://%%APP%%; }
        location "/with blank/" { proxy_pass http://%%APP%%; }
        location /named { try_files /none @app; }
        location @app { readiness_limit own; proxy_pass http://%%APP%%; }
        location /given { readiness_route mine; proxy_pass http://%%APP%%;
            location /given/inner { proxy_pass http://%%APP%%; }
            location /given/other { readiness_route theirs;
                                    proxy_pass http://%%APP%%; }
        }
        location /outer/ {
            readiness_limit own;
            readiness_header X-Own yes;
            proxy_pass http://%%APP%%;
            location /outer/plain { proxy_pass http://%%APP%%; }
            location ~ /deep\.(?<ext>\w+)$ { proxy_pass http://%%APP%%;
                location ~ \.gif$ { proxy_pass http://%%APP%%; }
            }
            location = /outer/exact { proxy_pass http://%%APP%%; }
            location /outer/off { readiness off; proxy_pass http://%%APP%%; }
        }
        location /if {
            readiness_limit own;
            readiness_header X-Own yes;
            proxy_pass http://%%APP%%;
            if ($arg_in) { proxy_pass http://%%APP%%; }
            if ($arg_status) { return 418; }
        }
        location /except {
            readiness_limit own;
            readiness_header X-Own yes;
            proxy_pass http://%%APP%%;
            limit_except GET { deny 127.0.0.9; }
        }
        location /except-spent {
            readiness_limit spent;
            proxy_pass http://%%APP%%;
            limit_except GET { allow all; }
        }
        location /if-spent {
            readiness_limit spent cost=2;
            if ($arg_in) { proxy_pass http://%%APP%%; }
            proxy_pass http://%%APP%%;
        }
        location /inside { internal; readiness_limit own;
                           readiness_header X-Own yes; alias %%DIR%%/; }
        location /accel { proxy_pass http://%%APP%%; }
        location /return { readiness_header X-Own yes; return 204; }
        location /rewrite { rewrite ^ /outer/exact last; }
        location /files/ { alias %%DIR%%/dir/; readiness_limit own; }
        location /error { error_page 404 = @app; proxy_intercept_errors on;
                          proxy_pass http://%%APP%%; }
    }

    server {
        listen 127.0.0.1:%%PORT1%%;
        readiness on;
        root %%DIR%%;
    }
CONF

my $lines = 0;

# URI, route, limits, X-Own; the line of the log says the same

for (
    ['/api/z',                 '/api/',          'all'],
    ['/api/own',               '/api/own',       'all own', 1],
    ['/x',                     '= /x',           'all'],
    ['/xy',                    '/x',             'all own'],
    ['/tight',                 '=/tight',        'all'],
    ['/a1',                    '~ ^/a\d+$',      'all'],
    ['/BBX',                   '~* ^/b{2}x',     'all'],
    ['/y1',                    '^~ /y',          'all'],
    ['/with%20blank/',         '/with blank/',   'all'],
    ['/named',                 '@app',           'all own'],
    ['/given',                 'mine',           'all'],
    ['/given/inner',           'mine',           'all'],
    ['/given/other',           'theirs',         'all'],
    ['/outer/',                '/outer/',        'all own', 1],
    ['/outer/plain',           '/outer/plain',   'all own', 1],
    ['/outer/deep.png',        '~ /deep\.(?<ext>\w+)$', 'all own', 1],
    ['/outer/deep.gif',        '~ \.gif$',       'all own', 1],
    ['/outer/exact',           '= /outer/exact', 'all own', 1],
    ['/if',                    '/if',            'all own', 1],
    ['/if?in=1',               '/if',            'all own', 1],
    ['/if?status=1',           '/if',            '',        1, 418],
    ['/except',                '/except',        'all own', 1],
    ['/accel?app_accel=/inside/page.html', '/inside', 'all own', 1],
    ['/return',                '/return',        '',        1, 204],
    ['/rewrite',               '= /outer/exact', 'all own', 1],
    ['/files/',                '/files/',        'all own'],
    ['/error?app_status=404',  '@app',           'all own', 0, 404],
    ['/error',                 '/error',         'all'],
    ['/inside/page.html',      '/inside',        '',        1, 404],
    ['/nowhere',               '',               'all',     0, 404])
{
    my ($uri, $route, $limits, $own, $status) = @$_;
    my $r = $t->get($uri);

    is($r->status, $status || 200, "E05 $uri: status");
    is($r->header('X-Route') // '', $route, "E05 $uri: route");
    is(join(' ', sort +($r->header('RateLimit-Policy') // '') =~ /"(\w+)";q/g),
       $limits, "E05 $uri: limits");
    is($r->count('X-All'), 1, "E05 $uri: the server's header, once");
    is($r->count('X-Own'), $own ? 1 : 0, "E05 $uri: the location's header");

    # an application that says 404 is asked, and told of, before it is known
    # where the request ends

    my $id = $r->header('X-Request-Id');
    my ($line, $more) = grep { $_->{'http.request.id'} eq $id }
                        $t->wait_lines('decision.log', ++$lines);
    $lines++ if $more;
    ok($line, "E05 $uri: has its line");
    is($line->{'http.route'} // '', $route, "E05 $uri: the line's route")
        if $uri !~ /^\/(?:accel|error\?)/;
}

my $r = $t->get('/outer/off');
is($r->count('X-All'), 0, 'E05 off in a nested location: no header');
is($r->header('RateLimit'), undef, 'E05 nor a limit');

$r = $t->post('/except', 'body');
is($r->count('X-Own'), 1, 'E05 limit_except: another method, the header');
is($r->header('X-Route'), '/except', 'E05 limit_except: the route');
is($r->header('RateLimit-Policy') =~ s/;.*?(?=,|$)//gr, '"all", "own"',
   'E05 limit_except: the limits');
$r = $t->post('/except', 'body', bind => '127.0.0.9');
is($r->status, 403, 'E05 limit_except refuses as before');
is($r->count('X-Own'), 1, 'E05 with the header, too');

is($t->get('/except-spent')->status, 200, 'E05 the one of the day');
is($t->post('/except-spent', 'x')->status, 429,
   'E05 another method has no other limit');
is($t->get('/if-spent?in=1')->status, 429, 'E05 nor has an if');

$r = $t->get('/page.html', port => 1);
is($r->status, 200, 'a server without locations');
is($r->header('X-Route') // '', '', 'has no route');

$t->done;
