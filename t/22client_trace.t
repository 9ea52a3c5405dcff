#!/usr/bin/perl

# W3C trace context, and the variables of the client station where it is on,
# where a location is off, and where all is off.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
large_client_header_buffers 8 64k;
readiness_log %%DIR%%/decision.log;
readiness_trusted_proxies 127.0.0.1;

map "" $all {
    default "$client|$readiness_scheme|$ids";
}

map "" $client {
    default "$readiness_client_addr|$readiness_client_key|$readiness_peer_addr";
}

map "" $ids {
    default "$readiness_request_id|$readiness_trace_id";
}

server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    readiness_traceparent accept;
    location / { proxy_pass http://%%APP%%; }
    location /all { return 200 $all; }
}

server {
    listen 127.0.0.1:%%PORT1%%;
    readiness on;
    readiness_traceparent generate;
    location / { proxy_pass http://%%APP%%; }
    location /all { return 200 $all; }
}

server {
    listen 127.0.0.1:%%PORT2%%;
    location / { proxy_pass http://%%APP%%; }
    location /all { return 200 $all; }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    location / { proxy_pass http://%%APP%%; }
    location /all { return 200 $all; }
    location /on { readiness monitor; proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT4%%;
    readiness on;
    location / { proxy_pass http://%%APP%%; }
    location /all { readiness off; return 200 $all; }
    location /ssi { ssi on; ssi_types text/html; proxy_pass http://%%APP%%; }
}
CONF

my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
my $parent = "00-$trace-00f067aa0ba902b7-01";
my $any = qr/^00-([0-9a-f]{32})-[0-9a-f]{16}-0[0-3]$/;

taken();
not_taken();
states();
variables();
nowhere();

$t->done;


sub seen {
    my ($port, $headers, %o) = @_;
    my $r = $t->get('/', port => $port, headers => $headers, %o);

    return join '|', map { join '+', $r->seen($_) } qw(traceparent tracestate);
}


sub taken {
    is(seen(0, [traceparent => $parent, tracestate => 'a=1']), "$parent|a=1",
        'accept: a trusted peer\'s context is passed on, byte for byte');
    is(seen(1, [Traceparent => $parent]), "$parent|",
        'generate: just the same');
    is(seen(0, []), '|', 'accept: none is made');

    my ($made) = seen(1, []) =~ /^(.*)\|$/;
    like($made, $any, 'generate: one is made');
    isnt((seen(1, []) =~ $any)[0] // 'x', ($made =~ $any)[0], 'each time anew');
    is(seen(2, [traceparent => 'x', tracestate => 'y']), 'x|y',
        'off: it is none of our business');
    is(seen(4, [traceparent => 'x', tracestate => 'y']), 'x|y',
        'off is the default');

    $t->get('/traced', headers => [traceparent => $parent]);
    wait_for { $t->lines('decision.log', 'url.path' => '/traced') } 10;
    is(($t->lines('decision.log', 'url.path' => '/traced'))[0]{trace_id},
        $trace, 'the log has the trace');
}


sub not_taken {
    my %bad = ('no version' => "$trace-00f067aa0ba902b7-01",
        'upper case' => uc $parent,
        'version ff' => $parent =~ s/^00/ff/r,
        'no trace' => '00-' . '0' x 32 . '-00f067aa0ba902b7-01',
        'no parent' => "00-$trace-0000000000000000-01",
        'one byte more' => "$parent-", 'one less' => substr($parent, 0, 54),
        'garbage' => 'x' x 55, 'nothing' => '', 'very long' => 'a' x 50000);

    for my $name (sort keys %bad) {
        my @h = (traceparent => $bad{$name}, tracestate => 'a=1');

        is(seen(0, \@h), '|', "accept: $name is dropped, with its state");
        like(seen(1, \@h), qr/^00-(?!$trace)[0-9a-f]{32}-[^|]*\|$/,
            "generate: $name is replaced, without its state");
    }

    my @h = (traceparent => $parent, tracestate => 'a=1');
    is(seen(0, \@h, bind => '127.0.0.9'), '|',
        'accept: that of an untrusted peer is dropped');
    like(seen(1, \@h, bind => '127.0.0.9'), qr/^00-(?!$trace)[^|]*\|$/,
        'generate: and replaced');
    is(seen(0, [@h, traceparent => $parent]), '|', 'two lines count as none');
    is(seen(0, [tracestate => 'a=1']), '|', 'nor is there a state alone');
}


sub states {
    my $state = sub {
        return seen(0, [traceparent => $parent,
                        map { (tracestate => $_) } @_]) =~ s/^\Q$parent\E\|//r;
    };

    is($state->('a=1', 'b=2'), 'a=1+b=2', 'lines of state stay in order');
    is($state->('a=1, b=2 ,c@d=3'), 'a=1, b=2 ,c@d=3', 'and as they are');
    is($state->($_), '', "a bad state is dropped: $_")
        for 'a', 'A=1', 'a=1,a=2', 'a=1=2', "a=\xe9", '=1',
            join ',', map { "k$_=1" } 1 .. 33;
    is($state->('a=1', 'a=2'), '', 'and a key that comes twice');
    is($state->(map { "k$_=1" } 1 .. 40), '', 'and forty lines');
}


sub variables {
    my @h = ('X-Forwarded-For' => '2001:db8::7', 'X-Forwarded-Proto' => 'https',
             'X-Request-Id' => 'in-bound-1', traceparent => $parent);

    is($t->get('/all', port => 0, headers => \@h)->body,
        "2001:db8::7|2001:db8::|127.0.0.1|https|in-bound-1|$trace",
        'every variable where readiness is on');
    like($t->get('/all', port => 1)->body,
        qr/^127\.0\.0\.1\|127\.0\.0\.1\|127\.0\.0\.1\|http\|[-0-9a-f]{36}\|
           [0-9a-f]{32}$/x, 'and where nothing was sent');
    is($t->get('/all', port => 4, headers => \@h)->body,
        '2001:db8::7|2001:db8::|127.0.0.1|https|in-bound-1|',
        'also in a location where it is off');
    is($t->get('/all', port => 3, headers => \@h)->body,
        '2001:db8::7|2001:db8::|127.0.0.1|https|in-bound-1|',
        'and in a server where only another location is in monitor mode');
    is($t->get('/on', port => 3, headers => \@h)->seen('X-Real-IP'),
        '2001:db8::7', 'as in that location');
    is($t->get('/all', port => 2, headers => \@h)->body, '|||||',
        'all are empty where it is off altogether');

    my $sub = '<!--#include virtual="/all?sub" --> <!--#echo '
              . 'var="readiness_request_id" -->';
    my $r = $t->get('/ssi', port => 4, headers => [@h, 'X-App-Type' =>
                    'text/html', 'X-App-Body' => $sub]);
    is($r->body, '2001:db8::7|2001:db8::|127.0.0.1|https|in-bound-1| '
        . 'in-bound-1', 'a subrequest has those of its request');
}


sub nowhere {
    my @h = ('X-Forwarded-For' => '6.6.6.6', 'X_Real_IP' => '6.6.6.6',
             'X-Request-Id' => 'x', Forwarded => 'x');
    my $r = $t->get('/', port => 2, headers => \@h);

    is(join('|', map { $r->seen($_) // '' } qw(X-Forwarded-For X-Request-Id
            Forwarded X-Real-IP)), '6.6.6.6|x|x|',
        'where it is off altogether headers pass as without the module');
    is($r->header('X-Request-Id'), undef, 'and none is answered');
    is($t->lines('decision.log', 'http.request.id' => 'x'), 0, 'or logged');
}
