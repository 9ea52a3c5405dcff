#!/usr/bin/perl

# One client request is charged once, whatever nginx makes of it: C08, E02, and
# what stays on the connection behind a refusal: C11.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

mkdir $t->path('html');
mkdir $t->path("html/$_") for qw(files index ssi add auth);
$t->file("html/$_->[0]", $_->[1])
    for ['files/a', 'file a'], ['index/index.html', 'the index'],
        ['ssi/page.html', '<!--#include virtual="/sub?k=$arg_k" -->'
                          . '<!--#include virtual="/sub?x" -->!'],
        ['add/page.txt', 'text'], ['auth/page', 'page'], ['big', 'b' x 5000];

$t->conf(<<'CONF')->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }

readiness_rate z key=$arg_k rate=9r/d;
readiness_rate r key=$arg_k rate=9r/d redis=main;
readiness_rate other key=$arg_k rate=9r/d;
readiness_rate one key=$arg_k rate=1r/d;
readiness_rate rone key=$arg_k rate=1r/d redis=main;
readiness_rate small key=$arg_k rate=2r/d redis=main;

readiness on;
readiness_log %%DIR%%/decision.log;
root %%DIR%%/html;

server {
    listen 127.0.0.1:%%PORT0%%;
    readiness_limit z;
    readiness_limit r;
    client_max_body_size 4m;
    lingering_timeout 10s;

    location /plain { proxy_pass http://%%APP%%; }
    location /files/ { try_files /none $uri @app; }
    location /index/ { index index.html; }
    location /last { rewrite ^ /plain last; }
    location /break { rewrite ^ /plain break; proxy_pass http://%%APP%%; }
    location /set { set $x 1; if ($x) { set $y 2; } proxy_pass http://%%APP%%; }
    location /twice { rewrite ^ /last last; }
    location @app { proxy_pass http://%%APP%%; }
    location /named { error_page 404 = @app; root %%DIR%%/nowhere; }
    location /upstream { proxy_intercept_errors on;
                         error_page 404 = /plain; proxy_pass http://%%APP%%; }
    location /ssi/ { ssi on; }
    location /sub { proxy_pass http://%%APP%%; }
    location /auth/ { auth_request /sub; }
    location /mirror { mirror /sub; proxy_pass http://%%APP%%; }
    location /add/ { add_before_body /sub; add_after_body /sub;
                     addition_types text/plain; }
    location /slice { slice 1k; proxy_pass http://%%APP%%/sliced;
                      proxy_set_header Range $slice_range; }
    location /accel { proxy_pass http://%%APP%%; }
    location /inner/ { internal; alias %%DIR%%/html/files/; }
    location /post { post_action /sub; proxy_pass http://%%APP%%; }
    location /return { return 204; }

    location /more/ { readiness_limit other; alias %%DIR%%/html/files/; }
    location /strict/ { readiness_limit off; readiness_limit one;
                        alias %%DIR%%/html/files/; }
    location /rstrict/ { readiness_limit off; readiness_limit rone;
                         alias %%DIR%%/html/files/; }
}

server {
    listen 127.0.0.1:%%PORT1%%;
    readiness_limit small;
    client_max_body_size 4m;

    location /plain { proxy_pass http://%%APP%%; }
    location /uri { error_page 429 /errors/page; proxy_pass http://%%APP%%; }
    location /ok { error_page 429 =200 /errors/page;
                   proxy_pass http://%%APP%%; }
    location /atbusy { error_page 429 @busy; proxy_pass http://%%APP%%; }
    location /limited { error_page 429 /plain; proxy_pass http://%%APP%%; }
    location /loop { recursive_error_pages on; error_page 429 /loop;
                     proxy_pass http://%%APP%%; }
    location /missing { error_page 429 /nowhere; proxy_pass http://%%APP%%; }
    location /redirect { error_page 429 http://localhost/busy;
                         proxy_pass http://%%APP%%; }
    location /html { readiness_problem off; proxy_pass http://%%APP%%; }
    location /errors/ { alias %%DIR%%/html/files/; try_files $uri /files/a; }
    location /nowhere { alias %%DIR%%/nothere; }
    location @busy { return 429 "named"; }
}

server {
    listen 127.0.0.1:%%PORT2%%;
    location /watch { readiness monitor; readiness_limit one;
                      readiness_limit rone; proxy_pass http://%%APP%%; }
    location /quiet { readiness_limit one monitor; readiness_limit rone monitor;
                      proxy_pass http://%%APP%%; }
    location /strict/ { readiness_limit other; alias %%DIR%%/html/files/; }
    location /same/ { readiness_limit one; alias %%DIR%%/html/files/; }
    location /z { readiness_limit z; proxy_pass http://%%APP%%; }
    location /rone/ { readiness_limit other; readiness_limit rone;
                      alias %%DIR%%/html/files/; }
}
CONF

charged_once();
second_location();
watched_first();
error_pages();
bodies();

$t->done;


# What remains, by name.

sub left {
    my ($r) = @_;
    my %left = ($r->header('RateLimit') || '') =~ /"(\w+)";r=(\d+)/g;
    return \%left;
}


sub charged_once {
    my @uris = ('/plain', '/files/a', '/files/none', '/index/',
        '/index/index.html', '/last', '/twice', '/break', '/set', '/named',
        '/upstream?app_status=404', '/ssi/page.html', '/auth/page', '/mirror',
        '/add/page.txt', '/accel?app_accel=/inner/a', '/big', '/post',
        '/slice');

    $t->app->set('/sliced', { status => 206, length => 1024, headers =>
        [['Content-Range', 'bytes 0-1023/1024'], ['ETag', '"a"']] });

    for my $uri (@uris) {
        my $key = 'k' . $uri =~ s/\W/_/gr;
        my $join = $uri =~ /\?/ ? '&' : '?';
        my $r = $t->get("$uri${join}k=$key");

        cmp_ok($r->status, '<', 300, "C08: $uri");
        is_deeply(left($r), { z => 8, r => 8 }, "C08: $uri: charged once");
        is_deeply(left($t->get("/plain?k=$key")), { z => 7, r => 7 },
            "C08: $uri: and not behind our back");
    }

    $t->get('/return?k=ret');
    is_deeply(left($t->get('/plain?k=ret')), { z => 8, r => 8 },
        'C08: return is never gated, nor charged');

    my $n = scalar $t->lines('decision.log');
    is($n, 2 * @uris + 2, 'O2: one decision line for each request');
    return;
}


sub second_location {
    my $r = $t->get('/accel?k=s&app_accel=/more/a%3Fk=s');
    is($r->body, 'file a', 'X-Accel-Redirect is followed');
    is_deeply(left($r), { z => 8, r => 8, other => 8 },
        'C08: a limit met there is charged there, the others once');

    for my $one (qw(strict rstrict)) {
        is($t->get("/accel?k=$one&app_accel=/$one/a%3Fk=$one")->status, 200,
            "$one: the first passes");
        $r = $t->get("/accel?k=$one&app_accel=/$one/a%3Fk=$one");
        is($r->status, 429, "$one: a stricter location refuses the second");
        unlike($r->body, qr/file a/, "$one: and its file is not sent");

        is_deeply(left($t->get("/plain?k=$one")), { z => 6, r => 6 },
            "$one: what the application was called for stays charged");

        my @l = $t->lines('decision.log', 'url.path' => qr{^/(accel|$one)});
        is(grep({ $_->{'readiness.revised'} } @l), 1 + ($one eq 'rstrict'),
            "$one: a line says that the decision was revised");
    }

    return;
}


# What was only watched on the way is no excuse later on.

sub watched_first {
    my @o = (port => 2);

    $t->get('/watch?k=w', @o) for 1 .. 2;
    my $r = $t->get('/watch?k=w&app_accel=/strict/a%3Fk=w', @o);
    is($r->status, 200, 'C16: spent where readiness only monitors');
    is(left($r)->{other}, 8, 'the next location charges its limits');
    $t->get('/watch?k=w&app_accel=/strict/a%3Fk=w', @o) for 1 .. 8;
    is($t->get('/watch?k=w&app_accel=/strict/a%3Fk=w', @o)->status, 429,
        'and refuses by them');

    is($t->get('/watch?k=w&app_accel=/same/a%3Fk=w', @o)->status, 429,
        'the same limit enforced in the next location refuses');

    $t->get('/quiet?k=q', @o);
    is($t->get('/quiet?k=q', @o)->status, 200, 'C16: a watched limit is spent');
    $r = $t->get('/quiet?k=q&app_accel=/same/a%3Fk=q', @o);
    is($r->status, 429, 'and refuses where it is not watched');
    is($r->header('RateLimit') =~ s/t=\d+//r, '"one";r=0;',
        'which is told');
    is($t->get('/quiet?k=q&app_accel=/inner/a', @o)->status, 404, 'elsewhere');

    $t->get('/z?k=g&app_accel=/rone/a%3Fk=g', @o) for 1 .. 2;
    is(left($t->get('/z?k=g', @o))->{z}, 6,
        'C07: a first location is not given back what the second refuses');
    $t->get('/z?k=g2&app_accel=/rone/a%3Fk=g2', @o) for 1 .. 2;
    is(left($t->get('/z?k=g2&app_accel=/strict/a%3Fk=g2', @o))->{other}, 7,
        'C07: but the second gets back its own');
    return;
}


sub error_pages {
    my @o = (port => 1);

    my %want = (uri => [429, 'file a'], ok => [200, 'file a'],
        atbusy => [429, 'named'], limited => [429, '{"'],
        loop => [429, ''], missing => [404, '<html>'], redirect => [302, '']);

    for my $where (sort keys %want) {
        $t->get("/plain?k=$where", @o) for 1 .. 2;
        my $seen = $t->app->count;
        my $r = $t->get("/$where?k=$where", @o);

        is($r->status, $want{$where}[0], "E02: error_page 429: $where");
        like($r->body, qr/^\Q$want{$where}[1]\E/, "E02: $where: the body");
        is(left($r)->{small}, 0, "E02: $where: the limit is still told");
        is($t->app->count - $seen, $where =~ /^l/ ? 1 : 0,
            "E02: $where: only the error page is fetched");
        is($r->count('Retry-After'), $r->status == 429 ? 1 : 0,
            "E02: $where: Retry-After");

        my @l = $t->lines('decision.log', 'url.path' => qr{^/$where});
        is(@l . $l[0]{'readiness.reason'}, '1rate_limited',
            "E02: $where: one line, and it is the refusal");
        is($t->redis->cli('GET', "rdy:small:{$where}") ne '', 1,
            "E02: $where: no second charge");
    }

    return;
}


sub bodies {
    my $big = 'x' x 1_000_000;
    my @chunks = map { 'y' x 10_000 } 1 .. 100;

    my %post = (
        'Content-Length' => [body => 'a' x 1000],
        '1 MB' => [body => $big],
        'chunked' => [chunks => ['a' x 1000, 'b']],
        'chunked 1 MB' => [chunks => [@chunks]],
        'empty' => [body => ''],
    );

    for my $uri ('/plain', '/html', '/uri') {
        $t->get("/plain?k=body", port => 1) for 1 .. 2;

        for my $name (sort keys %post) {
            my $c = $t->conn(port => 1);

            for (1 .. 2) {
                my $r = $c->request('POST', "$uri?k=body", @{ $post{$name} });
                is($r->status, 429, "C11: $uri: $name");
            }

            my $r = $c->get("$uri?k=" . ($uri . $name) =~ s/\W/_/gr);
            is($r->status . $r->error, '200',
                "C11: $uri: $name: the next request is understood");
            $c->close;
        }

        my $c = $t->conn(port => 1);
        $c->write("POST $uri?k=body HTTP/1.1\r\nHost: a\r\n"
                  . "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n");
        my $r = $c->response;
        is($r->status . @{ $r->interim }, '4290',
            "C11: $uri: Expect is answered by 429 alone");
        $c->write("0123456789GET $uri?k=" . ($uri =~ s/\W/_/gr)
                  . "e HTTP/1.1\r\nHost: a\r\n\r\n");
        my $next = $c->response;
        ok($next->status == 200 || $next->error,
            "C11: $uri: and the body is no request")
            or diag($next->status);
        $c->close;

        my @r = $t->raw("POST $uri?k=body HTTP/1.1\r\nHost: a\r\n"
            . "Content-Length: 40\r\n\r\n"
            . "GET $uri?k=smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            . "GET $uri?k=" . ($uri =~ s/\W/_/gr)
            . "t HTTP/1.1\r\nHost: a\r\n\r\n",
            port => 1, count => 2);
        like(join(' ', map { $_->status } @r), qr/^429 (200|400)/,
            "C11: $uri: a body that looks like a request");
        is($t->app->count(qr/smuggled/), 0, "C11: $uri: is not one");
    }

    my $c = $t->conn(port => 1);
    is($c->request('POST', '/plain?k=full', body => $big)->status, 200,
        'C11: a body that may pass does');
    is($t->app->last->{body_length}, 1_000_000, 'C11: in full');
    $c->close;
    return;
}
