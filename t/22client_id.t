#!/usr/bin/perl

# Request IDs: one for each request, the same in the application, the response,
# the log and the error page.  127.0.0.1 is trusted here, 127.0.0.9 is not.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;
my $hex = qr/[0-9a-f]/;
my %form = (
    uuid7 => qr/^$hex{8}-$hex{4}-7$hex{3}-[89ab]$hex{3}-$hex{12}$/,
    uuid4 => qr/^$hex{8}-$hex{4}-4$hex{3}-[89ab]$hex{3}-$hex{12}$/,
    hex => qr/^$hex{32}$/);

$t->conf(<<'CONF')->run;
large_client_header_buffers 4 64k;
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_trusted_proxies 127.0.0.1;
readiness_rate one key=$readiness_client_key rate=1r/h;
underscores_in_headers on;
ignore_invalid_headers off;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    location / { proxy_pass http://%%APP%%; }
    location /return { return 200 $readiness_request_id; }
    location /limit { readiness_limit one; proxy_pass http://%%APP%%; }
    location /page {
        error_page 404 503 /error.html;
        proxy_intercept_errors on;
        proxy_pass http://%%APP%%;
    }
    location = /error.html {
        internal;
        return 404 "page $readiness_request_id";
    }
    location /accel { internal; proxy_pass http://%%APP%%/second; }
    location /off { readiness off; proxy_pass http://%%APP%%; }
    location /add {
        add_header X-Request-Id mine always;
        proxy_pass http://%%APP%%;
    }
}

server {
    listen 127.0.0.1:%%PORT2%%;
    readiness_request_id uuid4 accept=never;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    readiness_request_id hex header=X-Trace_No accept=any;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT4%%;
    readiness_request_id off;
    location / { proxy_pass http://%%APP%%; }
    location /return { return 200 "[$readiness_request_id]"; }
}

server {
    listen unix:%%SOCK0%%;
    readiness_trusted_proxies unix:;
    location / { return 200 $readiness_request_id; }
}
CONF

same();
formats();
accepted();
refused();
bytes();
off();

$t->done;


sub line_of {
    my ($path) = @_;
    wait_for { $t->lines('decision.log', 'url.path' => $path) } 10;
    return ($t->lines('decision.log', 'url.path' => $path))[-1];
}

sub log_id { return line_of($_[0])->{'http.request.id'} }


# the one ID, when application, response and log agree

sub agreed {
    my ($uri, %o) = @_;
    my $r = $t->get($uri, headers => ['X-Request-Id' => 'in-bound-1'], %o);
    my %id = map { $_ => 1 } $r->values('X-Request-Id'),
        $r->seen('X-Request-Id'), log_id($uri);
    my $n = $r->count('X-Request-Id');

    return join ' ', sort(keys %id), $n == 1 ? () : "$n times";
}


sub same {
    is(agreed('/same'), 'in-bound-1', 'a trusted peer\'s ID stays');
    like(agreed('/other', bind => '127.0.0.9'), $form{uuid7},
        'that of an untrusted one is replaced by a fresh one');
    is(agreed('/add'), 'in-bound-1', 'add_header makes no second one');

    my $r = $t->get('/up?app_header=X-Request-Id:%20theirs');
    is($r->count('X-Request-Id'), 1, 'nor does the application');
    is($r->header('X-Request-Id'), $r->seen('X-Request-Id'), 'ours stays');

    $r = $t->get('/page?app_status=404');
    is($r->body, 'page ' . $r->header('X-Request-Id'),
        'the error page has the ID');
    is($t->app->last->{uri} && log_id('/page'), $r->header('X-Request-Id'),
        'and so has the log');

    $r = $t->get('/x?app_accel=/accel');
    my @asked = map {
        map { $_->[1] } grep { $_->[0] eq 'X-Request-Id' } @{ $_->{headers} }
    } ($t->app->requests)[-2, -1];
    is("@asked", join(' ', ($r->header('X-Request-Id')) x 2),
        'an internal redirect keeps it');

    my @got = map { $t->get('/limit') } 1, 2;
    is($got[1]->json->{request_id}, $got[1]->header('X-Request-Id'),
        'the problem body has it');
    isnt($got[0]->header('X-Request-Id'), $got[1]->header('X-Request-Id'),
        'each request its own');

    for my $status (204, 301, 304, 404, 500) {
        $r = $t->get("/s?app_status=$status");
        like($r->header('X-Request-Id'), $form{uuid7}, "a $status has it");
    }

    like($t->head('/head')->header('X-Request-Id'), $form{uuid7}, 'HEAD');
    my $h = $t->h2(port => 1);
    $r = $h->get('/h2', headers => ['x-request-id' => 'over-http2']);
    is(join(' ', $r->header('x-request-id'), $r->seen('x-request-id'),
            log_id('/h2')), 'over-http2 over-http2 over-http2', 'HTTP/2');
    $h->close;

    my $c = $t->conn;
    my %n = map { $c->get('/return')->body => 1 } 1 .. 50;
    is(keys %n, 50, 'each request of a connection has its own');
}


sub formats {
    like($t->get('/')->header('X-Request-Id'), $form{uuid7},
        'a UUIDv7 by default');
    like($t->get('/', port => 2)->header('X-Request-Id'), $form{uuid4},
        'uuid4');
    like($t->get('/', port => 3)->header('X-Trace_No'), $form{hex}, 'hex');

    my ($high, $low) = map { hex } $t->get('/return')->body =~ /^(.{8})-(.{4})/;
    cmp_ok(abs(($high * 65536 + $low) / 1000 - time), '<', 60,
        'a UUIDv7 begins with the time');
}


sub accepted {
    for my $id ('12345678', 'a' x 128, 'Az09._+/=-', '0' x 36,
                '11111111-2222-3333-4444-555555555555', '========')
    {
        is($t->get('/', headers => ['x-REQUEST-id' => $id])
            ->seen('X-Request-Id'), $id, "accepted: $id");
    }

    is($t->get('/', unix => $t->value('SOCK0'),
               headers => ['X-Request-Id' => 'by-a-socket'])->body,
        'by-a-socket', 'a trusted unix peer');

    my @id = ('X-Request-Id' => 'in-bound-2');
    like($t->get('/', port => 2, headers => \@id)->seen('X-Request-Id'),
        $form{uuid4}, 'accept=never: not even of a trusted peer');

    my $r = $t->get('/', port => 3, bind => '127.0.0.9', headers =>
        ['X-Trace_No' => 'in-bound-3', @id]);
    is($r->seen('X-Trace_No'), 'in-bound-3', 'accept=any: of everybody');
    is($r->header('X-Trace_No'), 'in-bound-3', 'in the header of that name');
    is($r->seen('X-Request-Id'), 'in-bound-2', 'other names are none of ours');
    is($r->header('X-Request-Id'), undef, 'and are not answered');

    $r = $t->get('/', port => 3, headers => ['X-Trace-No' => 'in-bound-4']);
    like($r->seen('X-Trace_No'), $form{hex}, 'A14 a twin does not count');
    is($r->seen('X-Trace-No'), undef, 'A14 and is removed');
}


sub refused {
    my $two = sub {
        my $r = $t->get('/', headers => [map { ('X-Request-Id' => $_) } @_]);
        my @seen = $r->seen('X-Request-Id');
        return @seen == 1 && $seen[0] eq $r->header('X-Request-Id')
            ? $seen[0] : "@seen";
    };

    like($two->('in-bound-1', 'in-bound-1'), $form{uuid7},
        'B01 two lines, equal: a fresh ID');
    like($two->('in-bound-1', 'in-bound-2'), $form{uuid7},
        'B01 two lines, different');
    like($two->('in-bound-1', ''), $form{uuid7}, 'B01 one of them empty');
    like($two->('in-bound-1', 'x'), $form{uuid7}, 'B01 one of them bad');

    is($t->get('/', headers => ['X-Request-Id' => 'in-bound-1',
        'X_Request_Id' => 'in-bound-2'])->seen('X-Request-Id'), 'in-bound-1',
        'A14 a folded twin does not disturb it');
    is(scalar grep({ $_->[0] =~ /request.id/i } @{ $t->get('/', headers =>
        ['X_Request_Id' => 'in-bound-2'])->json->{headers} }), 1,
        'A14 nor reach the application');

    my %bad = ('empty' => '', 'blank' => '   ', 'a tab' => "\t",
        'short' => 'a' x 7,
        'long' => 'a' x 129, 'very long' => 'a' x 50000, 'comma' => 'aaaa,bbbb',
        'list' => 'in-bound-1, in-bound-2', 'a blank inside' => 'in bound 1',
        'quotes' => '"in-bound"', 'a backslash' => 'in\\bound1',
        'markup' => '<script>1', 'UTF-8' => "in-bound-\xc3\xa9",
        'ESC' => "in-bound\e[0m", 'a line separator' => "in-bound\xe2\x80\xa8",
        'percent' => 'in%0abound', 'semicolon' => 'in-bound;1', 'DEL' =>
        "in-bound-\x7f", 'a colon' => 'in:bound:1', 'a tab inside' =>
        "in-bound\tx");

    for my $name (sort keys %bad) {
        like($two->($bad{$name}), $form{uuid7}, "B02 $name: a fresh ID");
    }
}


# every byte there is, one at a time

sub bytes {
    my (@wrong, %by);

    for my $n (1 .. 255) {
        next if $n == 10 || $n == 13;

        my $id = 'abcd' . chr($n) . 'efgh';
        my $r = $t->get('/return', headers => ['X-Request-Id' => $id]);
        my $ok = chr($n) =~ m{[A-Za-z0-9._+/=-]};

        push @wrong, $n
            if $ok ? $r->body ne $id : $r->body !~ $form{uuid7};
        push @wrong, "log $n" if $r->header('X-Request-Id') ne $r->body;
    }

    is("@wrong", '', 'B02 of all bytes only letters, digits and ._+/=- pass');

    my $r = $t->raw("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: abcd\0efgh\r\n"
                    . "\r\n");
    is($r->status, 400, 'B02 a NUL is a bad request');
    like($r->header('X-Request-Id'), $form{uuid7}, 'B02 with an ID');
    $r = $t->raw("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: in-bound-1\r\n"
                 . "\tx\r\nConnection: close\r\n\r\n");
    unlike($r->header('X-Request-Id'), qr/[^\w.+\/=-]/,
        'B02 a folded line makes no odd one');
}


sub off {
    my $r = $t->get('/', port => 4, headers => ['X-Request-Id' => 'their own']);

    is($r->seen('X-Request-Id'), 'their own', 'off: it is not our business');
    is($r->header('X-Request-Id'), undef, 'and is not answered');
    is($t->get('/return', port => 4)->body, '[]', 'the variable is empty');

    $r = $t->get('/off', headers => ['X-Request-Id' => 'in-bound-9']);
    is($r->seen('X-Request-Id'), 'in-bound-9',
        'a location that is off: the application has it');
    is($r->header('X-Request-Id'), undef, 'the response has not');
    is($t->lines('decision.log', 'http.request.id' => 'in-bound-9'), 0,
        'nor has the log');
}
