#!/usr/bin/perl

# What the application is told: one truthful header of each kind, no forged
# one under whatever name, everything else as it came.

use strict;
use warnings;

use JSON::XS ();
use Test::More;
use Readiness;
use Readiness::Process qw(fork_child stop_pid);
use Readiness::Util qw(listener);

my @ours = qw(x-forwarded-for x-real-ip x-forwarded-proto x-forwarded-host
              x-forwarded-port forwarded x-request-id);

my @spoofed = qw(Forwarded X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host
    X-Forwarded-Port X-Forwarded-By X-Forwarded-Server X-Forwarded-Scheme
    X-Forwarded-Ssl X-Forwarded-Uri X-Forwarded-Method X-Forwarded-Path
    X-Forwarded-Prefix X-Forwarded-Protocol X-Real-IP X-Client-IP
    X-Cluster-Client-IP True-Client-IP CF-Connecting-IP CF-Connecting-IPv6
    Fastly-Client-IP X-Original-Forwarded-For X-Original-Host X-Original-URL
    X-Original-Anything X-Rewrite-URL X-Host Front-End-Https X-Url-Scheme
    Proxy X-Request-Id);

my $t = Readiness->new;
my $fcgi_port = $t->port(9);
my $fcgi = fastcgi();

$t->subst(FCGI => "127.0.0.1:$fcgi_port");

$t->conf(<<'CONF', connections => 256)->run;
large_client_header_buffers 8 64k;
client_max_body_size 2m;
client_body_buffer_size 16k;
readiness_log %%DIR%%/decision.log;
readiness_trusted_proxies 127.0.0.1;

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    underscores_in_headers on;
    ignore_invalid_headers off;
    readiness on;
    location / { proxy_pass http://%%APP%%; }
    location /fastcgi {
        fastcgi_pass %%FCGI%%;
        fastcgi_param REMOTE_ADDR $remote_addr;
        fastcgi_param REQUEST_METHOD $request_method;
    }
    location /grpc { grpc_pass grpc://127.0.0.1:%%PORT2%%; }
    location /common {
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Request-Id $readiness_request_id;
        proxy_set_header X-Saw "$http_x_forwarded_for|$http_x_real_ip";
        proxy_pass http://%%APP%%;
    }
    location /off { readiness off; proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT2%% http2;
    underscores_in_headers on;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    underscores_in_headers on;
    ignore_invalid_headers off;
    readiness on;
    readiness_forwarded pass;
    location / { proxy_pass http://%%APP%%; }
    location /common {
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_pass http://%%APP%%;
    }
    location /who { return 200 "$readiness_client_addr $readiness_scheme"; }
}
CONF

list();
twins();
others();
protocols();
common();
passed();

stop_pid($fcgi);
$t->done;


# A FastCGI responder of one request after another: its parameters as JSON.

sub fastcgi {
    my $listen = listener($fcgi_port);
    $listen->blocking(1);

    my $pid = fork_child(sub {
        while (my $c = $listen->accept) { answer($c) }
    }, dir => $t->dir, out => $t->path('fcgi.txt'), keep => [$listen]);

    close $listen;
    return $pid;
}

sub answer {
    my ($c) = @_;
    my ($params, @got) = ('');

    while (read($c, my $head, 8) == 8) {
        my (undef, $type, undef, $len, $pad) = unpack 'CCnnC', $head;
        my $data = '';
        read $c, $data, $len + $pad if $len + $pad;
        $params .= substr $data, 0, $len if $type == 4;
        last if $type == 5 && $len == 0;
    }

    while ($params ne '') {
        my @len = map {
            my $n = unpack 'C', $params;
            $n = unpack('N', $params) & 0x7fffffff if $n > 127;
            substr $params, 0, $n > 127 ? 4 : 1, '';
            $n;
        } 1, 2;
        push @got, [map { substr $params, 0, $_, '' } @len];
    }

    my $out = "Content-Type: application/json\r\n\r\n"
              . JSON::XS->new->ascii->encode({ headers => \@got });

    my @parts = ($out =~ /(.{1,30000})/gs, '');
    my $reply = join '', map({ pack('CCnnCC', 1, 6, 1, length, 0, 0) . $_ }
                             @parts), pack 'CCnnCCNN', 1, 3, 1, 8, 0, 0, 0, 0;

    syswrite $c, $reply;
    shutdown $c, 2;
    return close $c;
}


# the names the application saw, in lower case and folded, and how often

sub seen_names {
    my ($r) = @_;
    my %n;

    $n{ lc($_->[0]) =~ s/[^a-z0-9]/-/gr }++ for @{ $r->json->{headers} };
    return \%n;
}

sub forged {
    my ($r) = @_;
    return join ' ', grep { /6\.6\.6\.6|evil/ }
                     map { "$_->[0]=$_->[1]" } @{ $r->json->{headers} };
}

sub one_each {
    my ($r, $name) = @_;
    my $n = seen_names($r);

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(join(' ', map { "$_=" . ($n->{$_} || 0) } @ours),
        join(' ', map { "$_=1" } @ours), $name);
}


sub list {
    for my $bind ('127.0.0.1', '127.0.0.9') {
        my $trusted = $bind eq '127.0.0.1' ? 'trusted' : 'untrusted';
        my $r = $t->get('/', bind => $bind, headers =>
            [map { ($_, 'evil'), (lc, 'evil') } @spoofed]);

        one_each($r, "one of each for the application ($trusted)");
        is(forged($r), '', 'no forged one is left');

        my $n = seen_names($r);
        my %ours = map { $_ => 1 } @ours;
        is(join(' ', grep { $n->{lc $_} && !$ours{lc $_} } @spoofed), '',
            'nor one of another name');
        is($r->seen('X-Forwarded-For'), $bind, 'and the peer is the client');
    }

    for my $name (@spoofed) {
        my $r = $t->get('/', headers => [$name => 'evil, evil']);
        is(forged($r), '', "A18 $name is not passed on");
    }

    one_each($t->get('/'), 'one of each where nothing was sent');
}


sub twins {
    for my $sep ('_', '.', '~', '!') {
        my @names = map { s/-/$sep/gr } grep { /-/ } @spoofed;
        my $r = $t->get('/', bind => '127.0.0.9',
                        headers => [map { ($_, 'evil') } @names]);

        is(forged($r), '', "A14 no twin with $sep is passed on");
        one_each($r, 'A14 and the truth is, once');
    }

    my $r = $t->get('/', bind => '127.0.0.9', headers => [
        'X-FORWARDED_FOR' => 'evil', 'x_Forwarded-fOR' => 'evil',
        'X_REAL_IP' => 'evil', 'x-request_ID' => 'evil',
        "X\xadForwarded-For" => 'evil']);
    is(forged($r), '', 'A14 in any letter case and mixture');
}


sub others {
    my (@sent, @kept);

    for my $i (1 .. 150) {
        push @sent, ["X-Keep-$i", "value $i"], [$spoofed[$i % @spoofed],
                                               'evil'];
        push @kept, "X-Keep-$i=value $i";
        next if $i % 10;
        push @sent, ['Cookie', "c$i=1"], ['X-Twice', $i];
        push @kept, "Cookie=c$i=1", "X-Twice=$i";
    }

    push @sent, ['X-Forwarded', 'evil'], ['X-Last_One', ' a  b '];
    push @kept, 'X-Last_One=a  b';

    my $body = join '', map { chr $_ % 256 } 1 .. 100_000;
    my $r = $t->post('/', $body, bind => '127.0.0.9', headers => \@sent);
    my @got = map { "$_->[0]=$_->[1]" } grep { $_->[0] =~ /^(X-Keep|Cookie|X-T|
                  X-Last)/x } @{ $r->json->{headers} };

    is_deeply(\@got, \@kept, 'other headers are as they came, and in order');
    is(forged($r), '', 'between hundreds of forged ones');
    one_each($r, 'and each of ours is there once');
    is($r->json->{body_length}, 100_000, 'the body is whole');
    is($r->json->{body_sha256}, Digest::SHA::sha256_hex($body), 'and the same');

    for my $n (18 .. 22, 38 .. 42) {
        $r = $t->get('/', headers => [map { ("X-Keep-$_" => $_) } 1 .. $n]);
        is(scalar grep({ $_->[0] =~ /^X-Keep/ } @{ $r->json->{headers} }), $n,
            "all of $n headers");
        one_each($r, 'and ours');
    }

    $r = $t->get('/', bind => '127.0.0.9', headers =>
        [map { ('X-Forwarded-For', '6.6.6.6') } 1 .. 900]);
    is(forged($r), '', 'A10 nine hundred forged lines');

    $r = $t->get('/off', bind => '127.0.0.9',
                 headers => ['X-Forwarded-For' => 'evil']);
    one_each($r, 'the same in a location where readiness is off');
    is(forged($r), '', 'with nothing forged');
    is($r->header('X-Request-Id'), undef, 'though nothing is answered there');
}


sub protocols {
    my @send = map { ($_, 'evil') } @spoofed, map { s/-/_/gr } @spoofed;
    my $r = $t->get('/fastcgi', bind => '127.0.0.9', headers => \@send);
    my %n;

    for (@{ $r->json->{headers} }) {
        push @{ $n{$_->[0]} }, $_->[1];
    }

    is(join(' ', grep { /6\.6\.6\.6|evil/ } map { @$_ } values %n), '',
        'FastCGI: nothing forged');
    is(join(' ', map { scalar @{ $n{ 'HTTP_' . uc s/-/_/gr } || [] } } @ours),
        '1 1 1 1 1 1 1', 'one of each parameter');
    is("@{ $n{HTTP_X_FORWARDED_FOR} } @{ $n{REMOTE_ADDR} }",
        '127.0.0.9 127.0.0.9', 'with the client');
    ok(!$n{HTTP_PROXY}, 'and no HTTP_PROXY');

    $r = $t->get('/grpc', bind => '127.0.0.9', headers => \@send);
    one_each($r, 'gRPC: one of each');
    is(forged($r), '', 'nothing forged');

    my $h = $t->h2(port => 1, bind => '127.0.0.9');
    $r = $h->get('/', headers => [map { ref ? $_ : lc } @send]);
    one_each($r, 'HTTP/2: one of each');
    is(forged($r), '', 'nothing forged');

    $r = $h->get('/', headers => ['cookie', 'a=1', 'x-keep', 'k',
                                  'x-forwarded-for', 'evil', 'cookie', 'b=2']);
    is($r->seen('Cookie'), 'a=1; b=2', 'HTTP/2: the cookie is put together');
    is(forged($r), '', 'and nothing forged');

    $r = $h->get('/', host => 'a.example', headers => [host => 'evil']);
    ok($r->status == 400 || forged($r) eq '', 'Host beside :authority')
        or diag(forged($r));
    $h->close;

    $h = $t->h2(port => 1);
    my @ids = map { $h->open('GET', "/?$_", headers =>
        ['x-forwarded-for' => "203.0.113.$_"]) } 1 .. 60;
    my @got = map { $_->seen('X-Real-IP') } $h->wait_all(@ids);
    is_deeply(\@got, [map { "203.0.113.$_" } 1 .. 60],
        'sixty clients on one HTTP/2 connection');
    is($h->get('/')->seen('X-Real-IP'), '127.0.0.1', 'and one without');
    $h->close;
}


sub common {
    my $r = $t->get('/common', headers => ['X-Forwarded-For' =>
                    '6.6.6.6, 203.0.113.7', 'X-Real-IP' => '6.6.6.6']);

    is(join('|', $r->seen('X-Forwarded-For')), '203.0.113.7',
        '$proxy_add_x_forwarded_for has the client once');
    is(join('|', $r->seen('X-Real-IP')), '203.0.113.7', '$remote_addr, too');
    like($r->seen('X-Saw'), qr/^(203\.0\.113\.7)?\|(203\.0\.113\.7)?$/,
        '$http_x_forwarded_for says nothing else');
    is(forged($r), '', 'nor is there anything forged');
    one_each($r, 'one of each');
}


sub passed {
    my @sent = map { ($_, 'v1'), (s/-/_/gr, 'v2') } @spoofed;
    my $r = $t->get('/', port => 3, headers => \@sent);
    my @got = map { ("$_->[0]", $_->[1]) }
              grep { $_->[1] =~ /^v[12]$/ } @{ $r->json->{headers} };
    my @want;

    while (my ($name, $v) = splice @sent, 0, 2) {
        push @want, $name, $v if $name !~ /request/i;
    }

    is_deeply(\@got, \@want, 'pass: all stay as they are, in order');
    is(seen_names($r)->{'x-request-id'}, 1, 'but the ID is still one');
    is(seen_names($r)->{'x-real-ip'}, 2, 'and none is added');

    is($t->get('/who', port => 3, headers => ['X-Forwarded-For' =>
        '6.6.6.6, 203.0.113.7', 'X-Forwarded-Proto' => 'https'])->body,
        '203.0.113.7 https', 'the client is worked out all the same');
    is($t->get('/common', port => 3, headers => ['X-Forwarded-For' =>
        '203.0.113.7'])->seen('X-Forwarded-For'),
        '203.0.113.7, 203.0.113.7',
        '$proxy_add_x_forwarded_for adds to what is passed');
}
