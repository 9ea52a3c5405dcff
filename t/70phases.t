#!/usr/bin/perl

# nginx's phases: ways round the checks, and what each of them comes to.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;

mkdir $t->path($_) for qw(html html/dir html/list html/tried html/limited html/a
                           html/a/sub);
$t->file('html/dir/index.html', 'index of dir');
$t->file('html/list/one', '1');
$t->file('html/tried/there', 'there');
$t->file('html/page.shtml', '<!--# include virtual="/limited/part" -->'
    . '<!--# include virtual="/limited/part" -->end');
$t->file('html/limited/part', 'part ');
$t->file('html/added', 'added');

# Each server has zones of its own: what one test spends, no other misses.

$t->conf(<<'CONF')->run;
readiness on;
readiness_rate spent key=$host rate=1r/d;
readiness_rate a key=$host rate=100r/d;
readiness_rate b key=$host rate=100r/d;
readiness_log %%DIR%%/decision.log;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    root %%DIR%%/html;
    default_type text/plain;

    location / { readiness_limit a; proxy_pass http://%%APP%%; }
    location /limited/ { readiness_limit spent; }
    location /a/ { readiness_limit a; }

    # E01
    location = /page.shtml { readiness_limit a; ssi on; ssi_types *; }
    location /ask/ {
        readiness_limit a;
        auth_request /ask-it;
        proxy_pass http://%%APP%%;
    }
    location = /ask-it {
        internal;
        readiness_limit spent;
        proxy_pass http://%%APP%%/asked?app_status=$http_say;
    }
    location /mirrored/ {
        readiness_limit a;
        mirror /mirror;
        proxy_pass http://%%APP%%;
    }
    location = /mirror {
        internal;
        readiness_limit spent;
        proxy_pass http://%%APP%%/copy;
    }
    location /adding/ {
        readiness_limit a;
        add_before_body /limited/part;
        addition_types *;
        proxy_pass http://%%APP%%;
    }

    location /sliced/ {
        readiness_limit a;
        slice 4;
        proxy_set_header Range $slice_range;
        proxy_pass http://127.0.0.1:%%PORT0%%/plain/;
    }
    location /plain/ { readiness off; alias %%DIR%%/html/; }

    # E03
    location /tried/ {
        readiness_limit a;
        try_files $uri /none @tried;
    }
    location @tried {
        readiness_limit a;
        readiness_limit b;
        proxy_pass http://%%APP%%;
    }
    location /dir/ { readiness_limit a; }
    location = /dir/index.html { readiness_limit a; readiness_limit b; }
    location /list/ { readiness_limit a; autoindex on; }
    location /rewritten/ {
        readiness_limit spent;
        rewrite ^ /b/x last;
    }
    location /b/ { readiness_limit b; proxy_pass http://%%APP%%; }
    location /tried-limited/ {
        readiness_limit a;
        try_files /none /limited/part;
    }
    location /index-limited/ {
        alias %%DIR%%/html/;
        index /limited/part;
    }

    # E04
    location /any/ {
        readiness_limit spent;
        satisfy any;
        allow all;
        auth_basic any;
        auth_basic_user_file %%DIR%%/users;
        proxy_pass http://%%APP%%;
    }
    location /any403/ {
        readiness_limit spent;
        readiness_limit_status 403;
        readiness_problem off;
        satisfy any;
        allow all;
        proxy_pass http://%%APP%%;
    }
    location /all/ {
        readiness_limit a;
        auth_basic all;
        auth_basic_user_file %%DIR%%/users;
        proxy_pass http://%%APP%%;
    }
    location /denied/ { readiness_limit a; deny all; }

    # E05
    location /accel/ { readiness_limit a; proxy_pass http://%%APP%%/x; }
    location /inner/ {
        internal;
        readiness_limit a;
        readiness_limit spent;
        readiness_header X-Inner yes;
        alias %%DIR%%/html/;
    }
    location /return { readiness_limit spent; return 200 returned; }
    location /method/ {
        readiness_limit spent;
        limit_except GET { deny all; }
        proxy_pass http://%%APP%%;
    }
    location /if/ {
        readiness_limit spent;
        if ($arg_if) { set $nothing 1; }
        proxy_pass http://%%APP%%;
    }
    location ~ ^/re(gex)/ {
        readiness_limit spent;
        location ~ ^/regex/in { proxy_pass http://%%APP%%; }
        proxy_pass http://%%APP%%;
    }
    location = /exact { readiness_limit b; proxy_pass http://%%APP%%; }
    location /exact { readiness_limit spent; proxy_pass http://%%APP%%; }
    location = /internal { internal; readiness_limit spent; }
}
CONF

$t->file('users', "user:{PLAIN}pass\n");
my $hosts = 0;

subrequests();
redirects();
satisfy();
into_stricter();
before_and_within();

$t->done;


# A host of one's own: counters of one's own.

sub host { return 'h' . ++$hosts }

sub ask {
    my ($host, $uri, $method, %o) = @_;
    push @{ $o{headers} }, Host => $host;
    return $t->request($method || 'GET', $uri, %o);
}

# The limits that a response speaks of: "a 99, spent 0"

sub charged {
    my ($r) = @_;
    return join ', ', ($r->header('RateLimit') || '')
                      =~ s/"(\w+)";r=(\d+);t=\d+/$1 $2/gr;
}

sub lines {
    my ($r, $n) = @_;
    my @id = ('http.request.id' => $r->header('X-Request-Id'));

    wait_for { $t->lines('decision.log', @id) >= ($n || 1) } 10;
    return $t->lines('decision.log', @id);
}

sub told {
    my ($r, $n) = @_;
    return join ' ', map { $_->{'readiness.decision'} } lines($r, $n);
}


# hazard E01: subrequests are not checked, and cost nothing: what guards them
# is the request that they belong to

sub subrequests {
    my $h = host();
    my $r = ask($h, '/page.shtml');
    is($r->body, 'part part end', 'E01 SSI');
    is(charged($r), 'a 99', 'E01 SSI: the main request is charged once');
    is(told($r), 'allow', 'E01 SSI: one line');
    is($r->count('X-Request-Id'), 1, 'E01 SSI: one request ID');
    is(charged(ask($h, '/limited/part')), 'spent 0',
        'E01 SSI: the limit of its parts is whole');

    $h = host();
    $r = ask($h, '/ask/', 'GET', headers => [Say => 204]);
    is($r->status . ' ' . charged($r), '200 a 99', 'E01 auth_request');
    is(told($r), 'allow', 'E01 auth_request: one line');

    for my $no (401, 403) {
        $r = ask($h, '/ask/', 'GET', headers => [Say => $no]);
        is($r->status, $no, "E01 auth_request: $no");
        is(told($r), 'allow', 'one line: we had let it through');
        is($r->header('X-Frame-Options'), 'SAMEORIGIN', 'with our headers');
    }

    $r = ask($h, '/mirrored/');
    is(charged($r), 'a 96', 'E01 mirror: charged once');
    is(told($r), 'allow', 'E01 mirror: one line');
    ok((wait_for { $t->app->count(qr/^\/copy/) == 1 } 10),
        'E01 mirror: it was asked');

    $r = ask($h, '/adding/?app_type=text/plain&app_body=it');
    is($r->body, 'part it', 'E01 addition');
    is(told($r) . ', ' . charged($r), 'allow, a 95', 'E01 one line, one cost');
    $r = ask($h, '/sliced/dir/index.html');
    is($r->body, 'index of dir', 'E01 slice');
    is(told($r) . ', ' . charged($r), 'allow, a 94', 'E01 one line, one cost');
    is(charged(ask($h, '/limited/part')), 'spent 0',
        'E01 and no subrequest was charged');
}


# hazard E03: the final location's checks apply, each limit costs one

sub redirects {
    my $h = host();
    is(charged(ask($h, '/tried/there')), 'a 99', 'E03 try_files: a file');

    my $r = ask($h, '/tried/none');
    is($r->status . ' ' . charged($r), '200 a 98, b 99',
        'E03 try_files into a location with a limit more');
    is(told($r), 'allow', 'E03 one line');
    is((lines($r))[0]{'http.route'}, '@tried', 'E03 of the last location');

    $r = ask($h, '/dir/');
    is($r->body . ' ' . charged($r), 'index of dir a 97, b 98', 'E03 index');
    is(told($r), 'allow', 'E03 index: one line');

    $r = ask($h, '/list/');
    like($r->body, qr/href="one"/, 'E03 autoindex');
    is(told($r) . ' ' . charged($r), 'allow a 96', 'E03 autoindex: charged');

    $r = ask($h, '/a/sub');
    is($r->status, 301, 'E03 a directory without its slash');
    is(told($r), 'allow', 'E03 is one line');

    $r = ask($h, '/rewritten/');
    is(charged($r), 'b 97', 'E03 rewrite: the location it comes to');
    is(told($r), 'allow', 'E03 rewrite: one line');

    for my $way ('/tried-limited/', '/index-limited/') {
        $h = host();
        is(ask($h, $way)->body, 'part ', "E03 $way into a stricter location");
        $r = ask($h, $way);
        is($r->status, 429, 'E03 where it is refused, once spent');
        is(told($r), 'deny', 'E03 one line');
        is($r->header('Retry-After') > 0, 1, 'E03 with Retry-After');
    }
}


# hazard E04: we are not of the access phase

sub satisfy {
    my $h = host();
    is(ask($h, '/any/')->status, 200, 'E04 satisfy any');
    is(ask($h, '/any/')->status, 429, 'E04 does not void our refusal');
    my @user = (Authorization => 'Basic dXNlcjpwYXNz');
    is(ask($h, '/any/', 'GET', headers => \@user)->status, 429,
        'E04 nor does a good password');

    # a 403 of the access phase would be forgotten for the "allow" after it

    is(ask($h, '/any403/')->status, 403, 'E04 nor an allow, though it is 403');

    my $r = ask($h, '/all/');
    is($r->status, 401, 'E04 allowed by us is not allowed by all');
    is($r->header('X-Frame-Options'), 'SAMEORIGIN', 'E04 401: our headers');
    is(told($r), 'allow', 'E04 401: one line');
    is((lines($r))[0]{'http.response.status_code'}, 401,
        'E04 with the status, since it reached no content');

    $r = ask($h, '/denied/');
    is($r->status . ' ' . charged($r), '403 a 98',
        'E04 deny comes after us: charged');
}


# hazard E05: X-Accel-Redirect

sub into_stricter {
    my $h = host();
    my $r = ask($h, '/accel/?app_accel=/inner/added');
    is($r->body, 'added', 'E05 X-Accel-Redirect');
    is(charged($r), 'a 99, spent 0', 'E05 each limit is charged once');
    is($r->header('X-Inner'), 'yes', 'E05 with the headers it came to');
    is(told($r), 'allow', 'E05 one line');

    $r = ask($h, '/accel/?app_accel=/inner/added');
    is($r->status, 429, 'E05 into a stricter location: refused');
    is($r->json->{reason}, 'rate_limited', 'E05 with our body');
    is($r->count('Content-Length'), 1, 'E05 of one length');
    is(told($r, 2), 'allow deny', 'E05 a second line');
    my @lines = lines($r, 2);
    ok(!exists $lines[0]{'readiness.revised'}, 'E05 the first as ever');
    ok($lines[1]{'readiness.revised'}, 'E05 the second is marked');

    $r = $t->h2(port => 1)->get('/accel/?app_accel=/inner/added', host => $h);
    is($r->status . $r->json->{reason}, '429rate_limited', 'E05 HTTP/2');
    is(ask($h, '/inner/added')->status, 404, 'E05 internal is internal');
}


sub before_and_within {
    my $h = host();

    # return answers before any check: README says so

    for (1 .. 2) {
        my $r = ask($h, '/return');
        is($r->status . $r->body, '200returned', 'E05 return comes before us');
        is(told($r), 'none', 'E05 and is told as not evaluated');
        is(charged($r), '', 'E05 nor charged');
        is($r->header('X-Frame-Options'), 'SAMEORIGIN', 'E05 our headers');
    }

    my $r = ask($h, '/method/', 'POST', body => 'x');
    is($r->status . ' ' . charged($r), '403 spent 0',
        'E05 limit_except: the limit applies within');
    is(ask($h, '/method/')->status, 429, 'E05 limit_except: and without');
    is(ask($h, '/method/', 'POST', body => 'x')->status, 429,
        'E05 limit_except: a refusal comes before deny');

    $h = host();
    is(ask($h, '/if/?if=1')->status, 200, 'E05 if');
    is(ask($h, "/if/$_")->status, 429, "E05 if: the same limit /if/$_")
        for '?if=1', '';

    $h = host();
    is(ask($h, '/regex/in')->status, 200, 'E05 a nested regex location');
    is(ask($h, $_)->status, 429, "E05 shares the limit: $_")
        for '/regex/in', '/regex/out';

    $h = host();
    is(charged(ask($h, '/exact')), 'b 99', 'E05 location = beside its prefix');
    is(charged(ask($h, '/exact/x')), 'spent 0', 'E05 each has its own');

    $r = ask($h, '/internal');
    is($r->status, 404, 'E05 an internal location from outside');
    is(told($r), 'none', 'E05 is not evaluated');
}
