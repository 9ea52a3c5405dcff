#!/usr/bin/perl

# All that nginx does between a verdict and its answer, while Redis takes its
# time: limit_rate, sendfile, threads, a cache that is filled once, connections
# to the application that are kept.  The bytes are the same as without us, and
# clients that leave in the middle break nothing.  F09.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Test::More;

use Readiness;

my $t = Readiness->new;
my $fake = $t->fake;
my $threads = $t->has('threads');

$t->subst(AIO => $threads ? 'aio threads; directio off;' : '');

$t->conf(<<'CONF', connections => 1024, workers => 2)->run;
readiness_redis main { server %%FAKE%%; timeout 10s; }
readiness_rate api key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
proxy_cache_path %%DIR%%/cache keys_zone=c:1m;
upstream app { server %%APP%%; keepalive 4; }
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    root %%DIR%%/www;
    sendfile on;
    tcp_nopush on;
    sendfile_max_chunk 16k;
    %%AIO%%
    output_buffers 2 8k;
    client_body_buffer_size 1k;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffers 4 4k;
    readiness_headers off;
    readiness_limit_headers off;

    location /plain/ { alias %%DIR%%/www/; }
    location /file/ { readiness on; readiness_limit api; alias %%DIR%%/www/; }
    location /slow/ { readiness on; readiness_limit api; alias %%DIR%%/www/;
                      limit_rate 300k; limit_rate_after 100k; }
    location /app/ { readiness on; readiness_limit api;
                     proxy_pass http://app/; }
    location /cached/ {
        readiness on;
        readiness_limit api;
        proxy_pass http://app/;
        proxy_cache c;
        proxy_cache_key $uri;
        proxy_cache_lock on;
        proxy_cache_lock_timeout 1s;
        proxy_cache_valid 200 1h;
        add_header X-Cache $upstream_cache_status;
    }
}
CONF

mkdir $t->path('www');
srand 4711;
my $big = join '', map { chr int rand 256 } 1 .. 200_000;
$t->file('www/big', $big);
$t->file('www/empty', '');

my %same = map { $_ => $t->get("/plain/$_")->body } qw(big empty);
my @worker = sort $t->workers;
my $n = 0;

sub key { return 'key=k' . ++$n }

$fake->set(delay => [5, 15], on => 'EVALSHA');


# files, whole and in part

for my $place (qw(file slow)) {
    for my $file (qw(big empty)) {
        my $name = "F09 /$place/$file";
        my $uri = "/$place/$file?";
        my $h2 = $t->h2(port => 1);

        is(md5_hex($t->get($uri . key())->body), md5_hex($same{$file}),
           "$name: HTTP/1.1");
        is(md5_hex($h2->get($uri . key())->body), md5_hex($same{$file}),
           "$name: HTTP/2");
        $h2->close;

        my $r = $t->head($uri . key());
        is($r->status . ' ' . $r->header('Content-Length'),
           '200 ' . length $same{$file}, "$name: HEAD");
    }

    my $r = $t->get("/$place/big?" . key(), headers =>
                    [Range => 'bytes=70000-150000']);
    is($r->status . md5_hex($r->body), 206 . md5_hex(substr $big, 70000, 80001),
       "F09 /$place/: a range");

    my $etag = $t->get('/plain/big')->header('ETag');
    $r = $t->get("/$place/big?" . key(), headers => ['If-None-Match' => $etag]);
    is($r->status . $r->body, 304, "F09 /$place/: not modified");
}

my $from = now();
$t->get('/slow/big?' . key());
cmp_ok(now() - $from, '>=', 0.2, 'F09 limit_rate limits');

my $c = $t->conn;
$c->write(join '', map { format_request('GET', "/file/$_?" . key()) }
                   qw(big empty big empty));
is(join(' ', map { length $c->response->body } 1 .. 4), '200000 0 200000 0',
   'F09 a pipeline of files');
$c->close;


# the application: its connections are kept, bodies pass, also long ones

my $h2 = $t->h2(port => 1);
my @ids = map { scalar $h2->open('GET', "/app/x$_?app_length=50000&" . key()) }
          1 .. 40;
is(scalar(grep { length $h2->wait($_)->body != 50_000 } @ids), 0,
   'F09 40 answers of the application at once');

for my $size (0, 1, 1023, 1024, 1025, 100_000) {
    my $body = substr $big, 0, $size;
    is($t->post('/app/post?' . key(), $body)->json->{body_length}, $size,
       "F09 a body of $size bytes");
    is($h2->request('POST', '/app/post?' . key(), body => $body)
           ->json->{body_length}, $size, "F09 and by HTTP/2");
}
$h2->close;

my $before = $t->app->count;
my %conns;
$t->get("/app/kept?" . key()) for 1 .. 20;
$conns{ $_->{conn} }++ for ($t->app->requests)[$before .. $before + 19];
cmp_ok(scalar keys %conns, '<=', 10, 'F09 connections to it are kept');


# a cache that is empty: many ask, one is sent on, all get the same

my $uri = '/cached/one?app_length=60000&app_delay=100&';
my @clients = map { $t->conn } 1 .. 20;
$_->write(format_request('GET', $uri . key(), close => 1)) for @clients;
$h2 = $t->h2(port => 1);
@ids = map { scalar $h2->open('GET', $uri . key()) } 1 .. 20;
my @r = ((map { $_->response } @clients), (map { $h2->wait($_) } @ids));
is(scalar(grep { $_->status != 200 || length $_->body != 60_000 } @r), 0,
   'F09 a cache that is filled: each has its answer');
is($t->app->count(qr{^/one}), 1, 'F09 of which one was asked for');
is(scalar(grep { ($_->header('X-Cache') || '') eq 'HIT' } @r), 39,
   'F09 and the others come from the cache');
$_->close for @clients, $h2;


# who leaves: while Redis is asked, while the lock is waited for, in the middle

my $fds = keys %{ $t->fds($worker[0]) };
for my $round (1 .. 6) {
    my @places = ('/file/big?', '/slow/big?', '/app/y?app_length=50000&',
                  "/cached/r$round?app_length=60000&app_delay=30&");
    my @conn = map { $t->conn(rcvbuf => 4096) } 1 .. 12;
    my $h2 = $t->h2(port => 1);
    my $stay = $t->conn;
    $conn[$_]->write(format_request('GET', $places[$_ % 4] . key()))
        for 0 .. $#conn;
    my @ids = map { scalar $h2->open('GET', $places[$_ % 4] . key()) } 1 .. 24;
    $stay->write(format_request('GET', $places[3] . key(), close => 1));

    pause(rand 0.06);
    $_ % 2 ? $conn[$_]->close : $conn[$_]->reset for 0 .. $#conn;
    $h2->rst($_) for @ids[0 .. 19];
    my $bad = grep { $h2->wait($_)->status != 200 } @ids[20 .. 23];
    my $r = $stay->response;
    is("$bad " . $r->status . ' ' . length $r->body, '0 200 60000',
       "F09 who stays gets it all, round $round");
    $_->close for $h2, $stay;
}

$fake->pass;
wait_for { keys %{ $t->fds($worker[0]) } <= $fds + 4 } 15;
cmp_ok(scalar keys %{ $t->fds($worker[0]) }, '<=', $fds + 4,
       'F09 no descriptor is left (O5)');

my %seen;
$t->wait_lines('decision.log', $n, 20);
$seen{ $_->{'http.request.id'} }++ for $t->lines;
is(scalar(grep { $_ > 1 } values %seen), 0, 'F09 no line twice (O2)');
is(scalar keys %seen, $n, 'F09 a line for each request (O2)');
is_deeply([sort $t->workers], \@worker, 'F09 no worker is lost (O1)');

$t->done;
