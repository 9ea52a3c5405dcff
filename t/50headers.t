#!/usr/bin/perl

# readiness_header: what a line sets, overrides, drops, and leaves alone, over
# all layers.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;

$t->file('html/page.html', '<p>page</p>') if mkdir $t->path('html');

$t->conf(<<'CONF')->run;
map $arg_break $broken {
    default $arg_break;
    crlf    "a\r\nX-Evil: 1";
    lf      "a\nX-Evil: 1";
    cr      "a\rX-Evil: 1";
}

readiness on;
readiness_header X-Http http;
readiness_header X-All http;

readiness_policy server {
    readiness_header X-All server-policy;
    readiness_header X-Server-Policy yes;
}

readiness_policy location {
    readiness_header X-All location-policy;
    readiness_header X-Location-Policy yes;
}

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness_header X-Server yes;
    readiness_header X-All server;
    readiness_apply server;

    location / { proxy_pass http://%%APP%%; }

    location /set/ {
        readiness_header X-Frame-Options DENY;
        readiness_header Referrer-Policy off;
        readiness_header X-Word value=off;
        readiness_header X-Blank "  a b  ";
        readiness_header X-Uri $uri;
        readiness_header X-Arg $arg_a;
        readiness_header X-Mixed "<$arg_a>";
        readiness_header Cache-Control private;
        readiness_header ETag '"ours"';
        readiness_header Server ours;
        readiness_header Last-Modified "Thu, 01 Jan 2026 00:00:00 GMT";
        readiness_header Link "</ours>; rel=preload";
        proxy_pass http://%%APP%%/;
    }

    location /missing/ {
        readiness_header X-Frame-Options DENY if_missing;
        readiness_header X-Content-Type-Options nosniff if_missing;
        readiness_header Cache-Control no-store if_missing;
        readiness_header X-Empty $arg_a if_missing;
        proxy_pass http://%%APP%%/;
    }

    location /documents/ {
        readiness_header X-Page yes documents;
        readiness_header X-Maybe ours documents if_missing;
        proxy_pass http://%%APP%%/;
    }

    location /file/ {
        alias %%DIR%%/html/;
        readiness_header ETag '"ours"';
        readiness_header Last-Modified "Thu, 01 Jan 2026 00:00:00 GMT";
        readiness_header Server ours;
    }

    location /break/ {
        readiness_header X-Broken $broken;
        readiness_header X-Upstream $upstream_http_x_theirs;
        readiness_header X-Body $request_body;
        proxy_pass http://%%APP%%/;
    }

    location /layers/ {
        readiness_apply location;
        readiness_header X-All location;
        readiness_header X-Outer yes;
        proxy_pass http://%%APP%%/;

        location /layers/nested/ {
            readiness_header X-Nested yes;
            add_header X-Add yes;
            proxy_pass http://%%APP%%/;

            location /layers/nested/drop/ {
                readiness_header X-Server off;
                readiness_header x-all nested;
                proxy_pass http://%%APP%%/;
            }

            location /layers/nested/none/ {
                readiness_header off;
                readiness_header X-Only yes;
                proxy_pass http://%%APP%%/;
            }
        }

        location /layers/if/ {
            if ($arg_if) {
                add_header X-If yes;
                proxy_pass http://%%APP%%;
            }
            proxy_pass http://%%APP%%/;
        }
    }
}
CONF

setting();
variables();
if_missing();
documents();
never_sent();
layers();

$t->done;


sub has {
    my ($r, $name, @values) = @_;
    my $fact = pop @values;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply([$r->values($name)], \@values, $fact);
}


sub theirs {
    return join '&', map { s/([^A-Za-z0-9:-])/sprintf '%%%02x', ord $1/ger
                           =~ s/^/app_header=/r } @_;
}


sub setting {
    my $theirs = theirs('X-Frame-Options: theirs', 'Referrer-Policy: theirs',
        'X-WORD: theirs', 'Cache-Control: public', 'Cache-Control: max-age=1',
        'ETag: "theirs"', 'Last-Modified: Fri, 02 Jan 2026 00:00:00 GMT',
        'Link: </theirs>', 'Expires: Fri, 02 Jan 2026 00:00:00 GMT');

    for (['a new header'], ["upstream's copy", $theirs]) {
        my ($what, $query) = @$_;
        my $r = $t->get('/set/x?' . ($query || ''));

        has($r, 'X-Frame-Options', 'DENY', "a preset's is overridden ($what)");
        has($r, 'Referrer-Policy', $query ? 'theirs' : (),
            "a preset's is dropped, not theirs ($what)");
        has($r, 'X-Word', 'off', "the word off itself ($what)");
        has($r, 'Cache-Control', 'private', "Cache-Control ($what)");
        has($r, 'ETag', '"ours"', "ETag ($what)");
        has($r, 'Server', 'ours', "Server ($what)");
        has($r, 'Link', '</ours>; rel=preload', "Link ($what)");
        has($r, 'Last-Modified', 'Thu, 01 Jan 2026 00:00:00 GMT',
            "Last-Modified ($what)");
        has($r, 'X-Blank', 'a b', "no blanks around a value ($what)");
    }

    my $r = $t->get('/file/page.html');
    has($r, 'ETag', '"ours"', 'the ETag of a file is replaced');
    has($r, 'Last-Modified', 'Thu, 01 Jan 2026 00:00:00 GMT',
        'and its Last-Modified');
    has($r, 'Server', 'ours', 'and nginx is not named');

    $r = $t->h2(port => 1)->get('/file/page.html');
    has($r, 'Server', 'ours', 'nor over HTTP/2');
    has($r, 'etag', '"ours"', 'where the ETag is replaced, too');
}


sub variables {
    my $r = $t->get('/set/x?a=1');
    has($r, 'X-Uri', '/set/x', 'a variable');
    has($r, 'X-Arg', '1', 'an argument');
    has($r, 'X-Mixed', '<1>', 'within a text');

    $r = $t->get('/set/x');
    has($r, 'X-Arg', 'an empty value is not sent');
    has($r, 'X-Mixed', '<>', 'while a text with an empty variable is');
    has($t->get('/set/x?' . theirs('X-Arg: theirs')), 'X-Arg', 'theirs',
        'an empty value replaces nothing');
}


sub if_missing {
    my $r = $t->get('/missing/x');
    has($r, 'X-Frame-Options', 'DENY', 'if_missing: there was none');
    has($r, 'X-Content-Type-Options', 'nosniff', 'nor of this');
    has($r, 'Cache-Control', 'no-store', 'nor of this');

    $r = $t->get('/missing/x?' . theirs('x-frame-options: theirs',
        'X-Frame-Options: other', 'Cache-Control: max-age=1'));
    has($r, 'X-Frame-Options', 'theirs', 'other',
        'if_missing: theirs stay, all of them');
    has($r, 'Cache-Control', 'max-age=1', 'and this');
    has($r, 'X-Content-Type-Options', 'nosniff', 'ours fills the gap');

    $r = $t->get('/missing/x?' . theirs('X-Frame-Options:'));
    has($r, 'X-Frame-Options', 'DENY', 'an empty one counts as missing');
    has($t->get('/missing/x'), 'X-Empty', 'an empty value is not sent');
}


sub documents {
    my %is = (
        'text/html' => 1, 'text/html; charset=utf-8' => 1, 'TEXT/HTML' => 1,
        'text/html;charset=x' => 1, 'application/xhtml+xml' => 1,
        'image/svg+xml' => 1, 'Image/SVG+xml; x=y' => 1,
        'application/json' => 0, 'text/plain' => 0, 'text/htmlx' => 0,
        'text/xml' => 0, 'application/xml; a=text/html' => 0,
        'image/png' => 0, 'none' => 0,
    );

    for my $type (sort keys %is) {
        $t->app->set('/page', { type => $type, body => 'x' });
        my $r = $t->get('/documents/page');

        has($r, 'X-Page', $is{$type} ? 'yes' : (), "documents: $type");
        has($r, 'X-Maybe', $is{$type} ? 'ours' : (), 'with if_missing');
    }

    $t->app->set('/page', { type => 'application/json', body => 'x',
        headers => [['X-Page', 'theirs']] });
    has($t->get('/documents/page'), 'X-Page', 'theirs',
        'documents: what else is there keeps its own');

    $t->app->set('/page', { type => 'text/html', body => 'x',
        headers => [['X-Page', 'theirs'], ['X-Maybe', 'theirs']] });
    my $r = $t->get('/documents/page');
    has($r, 'X-Page', 'yes', 'documents: a document does not');
    has($r, 'X-Maybe', 'theirs', 'unless if_missing');
}


sub never_sent {
    for my $kind (qw(crlf lf cr)) {
        my $r = $t->get("/break/x?break=$kind");
        is($r->status, 200, "a value with $kind: answered");
        has($r, 'X-Broken', 'without the header');
        unlike($r->raw, qr/Evil/, 'and none is smuggled in');
        my ($line) = $t->error_log =~ /(header "X-Broken".*break=$kind .*)/;
        like($line, qr/ is not sent: CR, LF or NUL .* "\$broken" /,
            'the log says which and why');
    }

    my $r = $t->get('/break/x?break=%0d%0aX-Evil:1');
    has($r, 'X-Broken', '%0d%0aX-Evil:1', 'an argument is not decoded');

    $r = $t->post('/break/x', "a\0b");
    is($r->status, 200, 'a value with NUL: answered');
    has($r, 'X-Body', 'without the header');
    has($t->post('/break/x', 'a b'), 'X-Body', 'a b', 'that others get');

    my $said = () = $t->error_log =~ /is not sent/g;
    is($said, 4, 'one line for each');
    has($t->get('/break/x?break=crlf&' . theirs('X-Broken: theirs')),
        'X-Broken', 'theirs', 'and the copy of the application stays');

    has($t->get('/break/x?' . theirs("X-Theirs: a\tb")), 'X-Upstream',
        "a\tb", 'a header of the application, with a tab');
}


sub layers {
    my $r = $t->get('/');
    has($r, 'X-Http', 'http', 'the http layer');
    has($r, 'X-All', 'server', 'a server before its policy before http');
    has($r, 'X-Server-Policy', 'yes', 'what only its policy says');

    $r = $t->get('/layers/x');
    has($r, 'X-All', 'location', 'a location before its policy');
    has($r, "X-$_", 'yes', "nothing is lost: $_")
        for qw(Server Server-Policy Location-Policy Outer);
    has($r, 'X-Frame-Options', 'SAMEORIGIN', 'and the preset');

    $r = $t->get('/layers/nested/x');
    has($r, "X-$_", 'yes', "E07 a nested location loses nothing: $_")
        for qw(Server Server-Policy Location-Policy Outer Nested Add);
    has($r, 'X-All', 'location', 'and has the nearest value');

    $r = $t->get('/layers/nested/drop/x');
    has($r, 'X-Server', 'one is dropped by name');
    has($r, 'X-All', 'nested', 'one is replaced by name, in any letter case');
    has($r, 'X-Outer', 'yes', 'the others stay');

    $r = $t->get('/layers/nested/none/x');
    has($r, 'X-Only', 'yes', 'off: the lines beside it stay');
    has($r, "X-$_", "and the outer ones go: $_")
        for qw(Http All Server Server-Policy Location-Policy Outer Nested);
    has($r, 'X-Frame-Options', 'SAMEORIGIN', 'but not the preset');

    for my $if ('', '?if=1') {
        $r = $t->get("/layers/if/$if");
        has($r, "X-$_", 'yes', "E05 within an if: $_")
            for qw(Server Server-Policy Location-Policy Outer),
                $if ? 'If' : ();
    }
}
