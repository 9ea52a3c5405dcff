#!/usr/bin/perl

# readiness_log: several sinks, only=, sample=, if=, path=, buffer=; and
# readiness_log_field over the layers.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF', workers => 2)->run;
readiness_rate one key=$arg_k rate=1r/h;
readiness_log %%DIR%%/outer.log;
readiness_log_field a "http a";
readiness_log_field b "http b";

map $arg_log $wanted { default 0; yes 1; no 0; }

readiness_policy far { readiness_log_field a "far a"; }
readiness_policy near { readiness_log_field c "near c"; }

server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    readiness_limit one;

    location / { proxy_pass http://%%APP%%; }
    location /two/ {
        readiness_log %%DIR%%/two.log;
        readiness_log %%DIR%%/route.log path=route;
        readiness_log %%DIR%%/refused.log only=refused;
        proxy_pass http://%%APP%%;
        location /two/inner/ {
            readiness_log %%DIR%%/inner.log;
            proxy_pass http://%%APP%%;
        }
        location /two/off/ { readiness_log off; proxy_pass http://%%APP%%; }
        location /two/limits/ { limit_except GET { deny all; } return 204; }
    }
    location /same/ {
        readiness_log %%DIR%%/same.log;
        readiness_log %%DIR%%/same.log only=refused;
        readiness_log same.log;
        proxy_pass http://%%APP%%;
    }
    location /if/ {
        readiness_log %%DIR%%/if.log if=$wanted;
        proxy_pass http://%%APP%%;
    }
    location /sample/ {
        readiness_log %%DIR%%/sample.log sample=0.25;
        readiness_log %%DIR%%/small.log sample=0.05;
        readiness_log %%DIR%%/all.log sample=1;
        proxy_pass http://%%APP%%;
    }
    location /watch/ {
        readiness monitor;
        readiness_log %%DIR%%/watch.log sample=0.000001 only=refused;
        proxy_pass http://%%APP%%;
    }
    location /buffer/ {
        readiness_log %%DIR%%/buffer.log buffer=64k;
        readiness_log %%DIR%%/flush.log buffer=64k flush=50ms;
        readiness_log %%DIR%%/full.log buffer=1k;
        proxy_pass http://%%APP%%;
    }

    location /fields/ {
        readiness_log %%DIR%%/fields.log;
        readiness_log_field b "location b";
        readiness_log_field d "$arg_d";
        proxy_pass http://%%APP%%;
        location /fields/inner/ {
            readiness_apply near;
            readiness_log_field a "inner a";
            proxy_pass http://%%APP%%;
        }
        location /fields/off/ {
            readiness_log_field off;
            readiness_log_field e "own";
            proxy_pass http://%%APP%%;
        }
    }
}

server {
    listen 127.0.0.1:%%PORT1%%;
    readiness on;
    readiness_apply far;
    readiness_log %%DIR%%/same.log;
    readiness_log_field b "server b";
    location /near/ { readiness_apply near; proxy_pass http://%%APP%%; }
    location / { proxy_pass http://%%APP%%; }
}
CONF


# How many lines each of these logs has, once the first has as many as told.

sub counts {
    my ($name, $want, @logs) = @_;
    my @want = split ' ', $want;

    wait_for { $t->lines("$logs[0].log") >= $want[0] } 10;
    is(join(' ', map { scalar $t->lines("$_.log") } @logs), $want, $name);
    return;
}

sub fields {
    my ($uri, $log, $want, @o) = @_;
    my @before = $t->lines("$log.log");

    $t->get($uri, @o);
    my $l = ($t->wait_lines("$log.log", @before + 1))[-1];
    is_deeply({ map { $_ => $l->{$_} } grep { /^[a-z]\z/ } keys %$l }, $want,
        "the fields of $uri");
    return;
}


$t->get('/');
counts('one outer log', '1 0', 'outer', 'two');
$t->get('/two/x?k=1');
counts('inner lines replace the outer ones', '1 1 0 1', 'two', 'route',
    'refused', 'outer');
$t->get('/two/x?k=1');
counts('only=refused', '2 2 1', 'two', 'route', 'refused');
$t->get('/two/inner/x');
counts('and those of a nested location', '1 2', 'inner', 'two');
$t->get('/two/off/x');
$t->request('POST', '/two/limits/x');
counts('off, and limit_except', '3 1 1', 'two', 'inner', 'outer');

is((grep { exists $_->{'url.path'} } $t->lines('route.log')), 0,
    'path=route: no path');
is((grep { $_->{'url.path'} && $_->{'http.route'} } $t->lines('two.log')), 3,
    'as the others have');
is_deeply([sort map { $_->{'http.request.id'} } $t->lines('route.log')],
    [sort map { $_->{'http.request.id'} } $t->lines('two.log')],
    'and their IDs');

$t->get('/same/x?k=2');
$t->get('/same/x?k=2');
$t->get('/x', port => 1);
counts('the same file thrice in a block, and in two servers', '3', 'same');

$t->get("/if/x?log=$_") for qw(yes no yes maybe yes);
counts('if=', '3', 'if');

sampled();
buffered();

fields('/fields/x', 'fields', { a => 'http a', b => 'location b' });
fields('/fields/x?d=7', 'fields',
    { a => 'http a', b => 'location b', d => 7 });
fields('/fields/inner/x?d=8', 'fields',
    { a => 'inner a', b => 'location b', c => 'near c', d => 8 });
fields('/fields/off/x', 'fields', { e => 'own' });
fields('/x', 'same', { a => 'far a', b => 'server b' }, port => 1);
fields('/near/x', 'same', { a => 'far a', b => 'server b', c => 'near c' },
    port => 1);

mistakes();

$t->done;


sub sampled {
    my $c = $t->conn;
    $t->get('/sample/refused?k=3');

    for (1 .. 10) {
        $c->write(format_request('GET', '/sample/x') x 100);
        $c->response for 1 .. 100;
    }
    $c->close;
    $t->get('/sample/refused?k=3') for 1 .. 40;

    $t->wait_lines('all.log', 1041);
    my @all = $t->lines('all.log');
    my @some = $t->lines('sample.log', 'readiness.decision', 'allow');
    my @few = $t->lines('small.log', 'readiness.decision', 'allow');

    is(@all, 1041, 'sample=1 has all');

    # 250 ± 6 σ, 50 ± 6 σ

    cmp_ok(@some, '>', 168, 'sample=0.25 has about a quarter');
    cmp_ok(@some, '<', 333, 'and not more');
    cmp_ok(@few, '>', 8, 'sample=0.05 has a few');
    cmp_ok(@few, '<', 93, 'and not more');

    my %in = map { $_->{'http.request.id'} => 1 } @some;
    is((grep { !$in{ $_->{'http.request.id'} } } @few), 0,
        'the smaller sample is a part of the larger');

    for my $log ('sample.log', 'small.log') {
        is(scalar $t->lines($log, 'readiness.decision', 'deny'), 40,
            "refusals are never sampled: $log");
    }

    $t->get('/watch/x?k=4') for 1 .. 5;
    is(scalar $t->wait_lines('watch.log', 4), 4, 'nor are those of monitor');

    return;
}


sub buffered {
    my $log = sub { return scalar $t->lines("$_[0].log") };

    $t->get('/buffer/x');
    $t->wait_lines('flush.log', 1);
    is($log->('flush'), 1, 'flush= writes a buffer that is not full');
    is($log->('buffer'), 0, 'without it the buffer waits');

    $t->get('/buffer/x') for 1 .. 20;
    $t->wait_lines('flush.log', 21);
    cmp_ok($log->('full'), '>=', 16, 'a small one is written when full');
    is($log->('buffer'), 0, 'and a large one waits');

    $t->reload;
    $t->wait_old_workers;
    is($log->($_), 21, "and all are there after a reload: $_")
        for qw(flush full buffer);

    return;
}


sub mistakes {
    my @mistakes = (
        'only=all' => 'only=refused', 'sample=0' => 'over 0 and up to 1',
        'sample=1.5' => 'over 0 and up to 1', 'buffer=1' => 'from 1k to 64m',
        'flush=1s' => 'add buffer=SIZE', 'path=none' => 'full or route',
        'if=' => 'if=EXPR', 'x=1' => 'unknown',
        'only=refused only=refused' => 'second');

    while (my ($option, $says) = splice @mistakes, 0, 2) {
        my ($code, $text) = $t->nginx_t(
            "readiness_log %%DIR%%/t.log $option; server { readiness on; }");
        isnt($code, 0, "readiness_log $option is refused");
        like($text, qr/\Q$says\E.* in \S+nginx-t\.conf:\d+/s,
            'and nginx -t says what to write');
    }

    for my $path ('/nowhere/x.log', '%%DIR%%', '%%DIR%%/$host.log') {
        my ($code) = $t->nginx_t("readiness_log $path;");
        isnt($code, 0, "and so is $path");
    }

    return;
}
