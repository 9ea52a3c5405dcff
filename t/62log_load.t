#!/usr/bin/perl

# O2 over a mixed load: nginx's own log and the decision log know the same
# requests, each once, and the answers carry the same IDs.  READINESS_SEED
# repeats a run.

use strict;
use warnings;

use Test::More;
use Readiness;

my $seed = $ENV{READINESS_SEED} || time ^ $$;
srand $seed;
diag("READINESS_SEED=$seed");

my $t = Readiness->new;
mkdir $t->path('www');
mkdir $t->path('www/dir');
$t->file("www/$_", "text\n") for qw(a.html dir/index.html);

$t->conf(<<'CONF', workers => 2)->run;
log_format own escape=json '{"id":"$readiness_request_id","status":$status}';
readiness_rate tight key=$arg_k rate=5r/m;
limit_req_zone $arg_k zone=z:1m rate=60r/m;
keepalive_requests 100000;
large_client_header_buffers 4 4k;
readiness on;

server {
    listen 127.0.0.1:%%PORT0%%;
    root %%DIR%%/www;
    access_log %%DIR%%/access.log own;
    readiness_log %%DIR%%/decision.log;
    readiness_log %%DIR%%/buffer.log buffer=8k;
    client_max_body_size 100;

    location / { }
    location /app/ { proxy_pass http://%%APP%%; }
    location /limited/ { readiness_limit tight; proxy_pass http://%%APP%%; }
    location /watched/ {
        readiness monitor;
        readiness_limit tight;
        return 204;
    }
    location /slow/ {
        limit_req zone=z burst=2 nodelay;
        proxy_pass http://%%APP%%;
    }
    location /try/ { try_files $uri @app; }
    location @app { proxy_pass http://%%APP%%; }
    location /return/ { return 204; }
    location /page/ { error_page 404 /a.html; }
    location /inner/ { internal; readiness_limit tight; alias %%DIR%%/www/; }
    location /off/ { readiness off; access_log off; return 204; }
}
server {
    listen 127.0.0.1:%%PORT1%% http2;
    root %%DIR%%/www;
    access_log %%DIR%%/access.log own;
    readiness_log %%DIR%%/decision.log;
    readiness_log %%DIR%%/buffer.log buffer=8k;
    location / { }
    location /limited/ { readiness_limit tight; return 204; }
}
CONF

my @good = (
    sub { '/a.html' }, sub { '/dir/' }, sub { '/none' }, sub { '/app/x' },
    sub { '/limited/x?k=' . int rand 9 }, sub { '/watched/?k=' . int rand 9 },
    sub { '/slow/x?k=' . int rand 4 }, sub { '/try/x' }, sub { '/return/' },
    sub { '/page/x' }, sub { '/off/' },
    sub { '/app/x?app_accel=/inner/a.html%3Fk=' . int rand 9 },
    sub { '/app/x?app_status=' . (200, 404, 500)[rand 3] },
    sub { '/' . join '', map { chr(33 + rand 94) } 1 .. rand 40 },
);
my @bad = (
    sub { "BAD\r\n\r\n" }, sub { "GET /a.html\r\n" },
    sub { "GET /../x HTTP/1.1\r\nHost: a\r\n\r\n" },
    sub { "GET /a.html HTTP/1.1\r\n\r\n" },
    sub { "GET /a.html HTTP/1.1\r\nHost: a\r\nX: " . 'x' x 9000 . "\r\n\r\n" },
    sub { 'GET /' . 'x' x 9000 . " HTTP/1.1\r\nHost: a\r\n\r\n" },
    sub { "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n" },
    sub { join '', map({ chr rand 256 } 1 .. 60), "\r\n\r\n" },
);

my ($answers, %id) = (0);

for (1 .. 25) {
    pipeline() for 1 .. 2;
    streams();
    broken() for 1 .. 3;
    hasty();
}

agree();
$t->done;


sub note_answer {
    my ($r) = @_;

    $answers++ if $r->status;
    $id{$_}++ for $r->values('X-Request-Id');
    return;
}

sub pipeline {
    my $c = $t->conn(timeout => 60);
    my $n = 1 + int rand 40;
    my @uris = map { $good[rand @good]->() } 1 .. $n;

    $c->write(join '', map { format_request('GET', $_) } @uris);

    for (@uris) {
        my $r = $c->response;
        last if !$r->status;
        note_answer($r);
        last if lc($r->header('Connection') || '') eq 'close';
    }

    $c->close;
    return;
}

sub streams {
    my $h = $t->h2(port => 1, timeout => 60);
    my @ids = map { $h->open('GET', rand() < 0.5 ? '/a.html'
                             : '/limited/?k=' . int rand 9) } 1 .. rand 30;
    my @cut = grep { rand() < 0.2 } @ids;
    my %cut = map { $_ => 1 } @cut;

    $h->rst($_) for @cut;
    note_answer($_) for $h->wait_all(grep { !$cut{$_} } @ids);
    $h->close;
    return;
}

sub broken {
    note_answer(scalar $t->raw($bad[rand @bad]->(), shut => 1));
    return;
}

sub hasty {                             # gone before the answer
    my $c = $t->conn;
    $c->write(format_request('GET', '/app/x?app_delay=20'));
    rand() < 0.5 ? $c->close : $c->reset;
    return;
}


sub agree {
    $t->stop;

    my %own = map { $_->{id} => $_->{status} } $t->lines('access.log');
    my (%line, %revised, @wrong);

    for my $l ($t->lines('decision.log')) {
        my $id = $l->{'http.request.id'};
        my $status = $l->{'http.response.status_code'};

        $l->{'readiness.revised'} ? $revised{$id}++ : $line{$id}++;
        push @wrong, $id if $status && $status != ($own{$id} || 0);
    }

    cmp_ok($answers, '>', 1000, "a thousand answers and more: $answers");
    is(scalar $t->lines('access.log'), scalar(keys %own), 'each with its ID');
    is(join(' ', grep { !$line{$_} } sort keys %own), '',
        'O2 each request of nginx has a decision line');
    is(join(' ', grep { !exists $own{$_} } sort keys %line), '',
        'O2 each decision line is of a request');
    is(join(' ', grep { $line{$_} != 1 } sort keys %line), '',
        'O2 and the only one');
    is(join(' ', grep { !$line{$_} || $own{$_} != 429 } sort keys %revised),
        '', 'O2 but for those that say what was refused later');
    cmp_ok(keys %revised, '>', 0, 'O2 of which there are some');
    is("@wrong", '', 'the status is that of nginx');
    is(join(' ', grep { !$line{$_} } sort keys %id), '',
        'O2 each answer has the ID of a line');
    is(join(' ', grep { $id{$_} != 1 } sort keys %id), '',
        'and no two the same');

    my ($plain, $buffer) = map { join ' ', sort map {
        "$_->{'http.request.id'} $_->{'readiness.decision'}" } $t->lines($_)
    } 'decision.log', 'buffer.log';
    is(length $buffer, length $plain, 'a buffered log has as much');
    ok($buffer eq $plain, 'and the same');

    return;
}
