#!/usr/bin/perl

# The harness itself, against plain nginx: what the other tests lean on holds.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Process qw(alive command fds gone);

my $t = Readiness->new(module => '');

$t->file('page.html', '<p>page</p>');

$t->conf(<<'CONF', workers => 2);
log_format line escape=json '{"uri":"$request_uri","status":"$status"}';

server {
    listen 127.0.0.1:%%PORT0%%;
    listen unix:%%SOCK0%%;
    access_log %%DIR%%/access.log line;
    server_name localhost;

    location / { proxy_pass http://%%APP%%; }
    location /inner/ { internal; alias %%DIR%%/; }
    location /peer { return 200 $remote_addr; }
    location /big { client_max_body_size 4m; proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT1%% http2;
    http2_max_concurrent_streams 256;
    client_max_body_size 4m;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT2%% ssl http2;
    ssl_certificate %%CERT%%;
    ssl_certificate_key %%KEY%%;
    location / { proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT3%% proxy_protocol;
    location / { return 200 "$proxy_protocol_addr $proxy_protocol_port"; }
}
CONF

$t->run;

application();
clients();
http2();
tls_and_proxy_protocol();
processes();
configuration();
ends();

$t->done;


sub application {
    my $app = $t->app;
    my $r = $t->post('/echo?a=1', "b\xff\0dy",
        headers => ['X-Two' => 'one', 'X-Other' => "\xe9", 'X-Two' => 'two']);

    is($r->status, 200, 'the application answers through nginx');
    is($r->json->{method}, 'POST', 'it says the method');
    is($r->json->{uri}, '/echo?a=1', 'and the uri as sent');
    is($r->json->{body_hex}, unpack('H*', "b\xff\0dy"), 'and the body');
    is_deeply([$r->seen('x-two')], ['one', 'two'], 'and all header lines');
    is($r->seen('X-Other'), "\xe9", 'and their bytes');

    my ($rec) = $app->requests(qr/^\/echo/);
    is($rec->{body_sha256}, $r->json->{body_sha256}, 'requests are recorded');
    is($app->count(qr/^\/nothing/), 0, 'and those not made are not');

    $r = $t->get('/?app_status=404&app_header=Set-Cookie:%20a&'
                 . 'app_header=Set-Cookie:%20b&app_type=text/html&app_body=no');
    is($r->status, 404, 'a request chooses its status');
    is_deeply([$r->values('set-cookie')], ['a', 'b'], 'headers of its answer');
    is($r->header('Content-Type'), 'text/html', 'its type');
    is($r->body, 'no', 'its body');

    is($t->get('/', headers => ['X-App-Status' => 503])->status, 503,
        'or by request header');
    is($t->get('/?app_accel=/inner/page.html')->body, '<p>page</p>',
        'X-Accel-Redirect is followed');
    is(length $t->get('/?app_length=300000&app_chunked=1')->body, 300000,
        'a long chunked answer');
    cmp_ok($t->get('/?app_delay=120')->seconds, '>=', 0.11, 'a late answer');

    is($t->get("/?app_broken=$_")->status, 502, "broken: $_")
        for qw(close reset);
    is($t->get('/?app_broken=short')->error, 'closed', 'broken: short');

    my $direct = Readiness::HTTP->new(port => $app->port, timeout => 0.3);
    is($direct->get('/?app_broken=hang')->error, 'timeout', 'broken: hang');

    $app->set('/fixed', { status => 418, headers => [['X-A', 'b']] });
    $r = $t->get('/fixed');
    is($r->status . $r->header('x-a'), '418b', 'a path is given an answer');
    $app->set('/fixed', undef);
    is($t->get('/fixed')->status, 200, 'and loses it');

    my @slow = $t->burst(40, '/?app_delay=200');
    is((grep { $_->status == 200 } @slow), 40, 'forty answers at a time');

    $app->clear;
    is($app->count, 0, 'the record is emptied');

    my $own = $t->app(1, handler => sub {
        return { body => "method $_[0]{method}", type => 'text/plain' };
    });
    is(Readiness::HTTP->new(port => $own->port)->get('/')->body, 'method GET',
        'a handler of the test answers');
}


sub clients {
    my $c = $t->conn;

    $c->write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
            . "HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"
            . "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    is($c->response->json->{uri}, '/1', 'first of a pipeline');
    is($c->response(method => 'HEAD')->body, '', 'a HEAD without a body');
    is($c->response->json->{uri}, '/3', 'third of a pipeline');
    is($c->get('/4')->status, 200, 'the connection is kept alive');
    is($c->request('POST', '/5', chunks => ['ab', 'c'])->json->{body_hex},
        '616263', 'a chunked body is sent');

    my @r = $t->raw("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
                  . "GET /b HTTP/1.1\r\n\r\n", count => 2);
    is($r[0]->status . $r[1]->status, '200400', 'raw bytes, two answers');
    is($t->raw("GET /peer\r\n")->body, '127.0.0.1', 'HTTP/0.9');
    is($t->raw("BAD\r\n\r\n")->status, 400, 'what is no request');

    is($t->get('/peer', bind => '127.0.0.9')->body, '127.0.0.9',
        'a source address of choice');
    is($t->get('/peer', unix => $t->value('SOCK0'))->body, 'unix:',
        'a unix socket');
    is($t->get('/', port => $t->port(9))->error, 'connect',
        'nobody there is an error, not a death');
    is($t->conn->response(timeout => 0.2)->error, 'timeout',
        'silence is an error at the deadline');

    my $expect = $t->conn;
    $expect->write("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                 . "Expect: 100-continue\r\n\r\n");
    wait_for { $expect->fill(now() + 1) } 5;
    $expect->write('x');
    my $r = $expect->response;
    is($r->interim->[0]->status, 100, 'interim responses are kept apart');
    is($r->status, 200, 'from the final one');

    my $before = $t->app->count;
    my $away = $t->conn;
    $away->write("GET /?app_delay=50 HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for { $t->app->count > $before } 5;
    $away->reset;
    cmp_ok(scalar $t->wait_lines('access.log', 60), '>=', 60,
        'lines of a JSON log');
    ok((wait_for { $t->lines('access.log', status => 499) } 5),
        'a reset connection is noticed');
    is($t->lines('access.log', uri => qr/^\/big/), 1, 'lines are chosen');
}


sub http2 {
    my $h = $t->h2(port => 1);
    my @ids = map { $h->open('GET', "/s$_", headers => ['x-n' => $_]) } 1 .. 60;
    my @got = $h->wait_all(reverse @ids);

    is((grep { $_->status == 200 } @got), 60, 'sixty streams on a connection');
    is($got[0]->json->{uri}, '/s60', 'each gets its own answer');
    is($got[59]->seen('x-n'), 1, 'and sent its own headers');
    is($got[0]->version, '2', 'by HTTP/2');

    my $r = $h->request('POST', '/up', body => 'y' x 300000);
    is($r->json->{body_length}, 300000, 'a body larger than the window');
    is(length $h->get('/?app_length=400000')->body, 400000,
        'an answer larger than the window');

    my $id = $h->open('POST', '/pad', end => 0);
    $h->data($id, 'abc', pad => 20);
    is($h->wait($id)->json->{body_hex}, '616263', 'padded DATA');

    is($h->get('/c', headers => ['x-long' => 'z' x 3000], split => 500)->status,
        200, 'HEADERS with CONTINUATION');

    my @cut = map { $h->open('GET', '/?app_delay=5') } 1 .. 20;
    $h->rst($_) for @cut;
    ok($h->ping, 'the connection outlives twenty resets');
    is($h->wait($cut[0])->error, 'reset by us', 'a stream that was cut');
    is($h->get('/after')->status, 200, 'and goes on');

    is($h->request('GET', '/', pseudo => [':method' => 'GET'])->status, 400,
        'pseudo headers of choice');

    my $half = $h->open('GET', '/?app_delay=500');
    $h->frame(Readiness::H2::DATA, 0, $half, 'x');
    is($h->wait($half)->code, 5, 'a reset by the server, with its code');

    $h->frame(Readiness::H2::DATA, 0, 0, 'x');
    ok((wait_for { !$h->ping } 5) && $h->went_away, 'GOAWAY is noticed');
    is($h->get('/late')->error, 'closed', 'nothing comes after it');
}


sub tls_and_proxy_protocol {
    my $tls = $t->tls;
    my $verify = { SSL_verify_mode => 1, SSL_ca_file => $tls->{ca} };

    is($t->get('/tls', port => 2, tls => $verify)->json->{uri}, '/tls',
        'TLS, with a certificate of our own authority');
    is($t->get('/', port => 2, tls => { SSL_verify_mode => 1,
        SSL_ca_file => $tls->{other}{cert} })->error, 'tls',
        'which others do not accept');
    is($t->h2(port => 2, tls => 1)->get('/h2')->json->{uri}, '/h2',
        'HTTP/2 over TLS');

    my ($code, $text) = $t->command('openssl', 'verify', '-CAfile',
        $tls->{ca}, $tls->{expired}{cert});
    like($text, qr/certificate has expired/, 'an expired certificate');

    is($t->get('/', port => 3, proxy => proxy_v1('192.0.2.1', undef, 77))->body,
        '192.0.2.1 77', 'PROXY protocol, version 1');
    is($t->get('/', port => 3, proxy => proxy_v2('2001:db8::1'))->body,
        '2001:db8::1 40000', 'version 2');
    is($t->get('/', port => 3, proxy => proxy_v2())->status, 200, 'and LOCAL');
}


sub processes {
    my @workers = $t->workers;
    is(@workers, 2, 'workers are known by pid');
    cmp_ok(keys %{ fds($workers[0]) }, '>', 5, 'and their descriptors');

    ok($t->reload, 'reload');
    my @new = $t->workers;
    is((grep { my $w = $_; grep { $_ == $w } @workers } @new), 0,
        'only new workers after it');
    ok($t->wait_old_workers, 'old workers end');

    my $old = $t->rotate('access.log');
    $t->get('/peer');
    is(scalar $t->wait_lines('access.log', 1), 1, 'a log is rotated');
    ok(-s $old, 'the old one is kept');

    my ($was, $is) = $t->upgrade;
    ok($was != $is && alive($was) && alive($is), 'two masters after USR2');
    $t->signal('QUIT', $was);
    ok(gone($was), 'the old one leaves');
    is($t->get('/peer')->status, 200, 'the new one serves');
}


sub configuration {
    my ($code, $text) = $t->nginx_t('server { listen 127.0.0.1:%%PORT8%%; }');
    is($code, 0, 'nginx -t accepts') or diag($text);

    ($code, $text) = $t->nginx_t("server {\n nonsense on; }");
    isnt($code, 0, 'nginx -t refuses');
    like($text, qr/unknown directive "nonsense"/, 'and says why');

    command(['mkfifo', $t->path('fifo')], out => $t->path('mkfifo.out'));
    ($code, $text) = $t->nginx_t("access_log %%DIR%%/fifo;", timeout => 0.5);
    is($code, -1, 'nginx -t that hangs is ended');

    is($t->error_log =~ /nonsense/ ? 1 : 0, 0, 'the log stays clean of them');

    my $second = Readiness->new(module => '')->conf(
        'server { listen 127.0.0.1:%%PORT0%%; return 204; }')->run;
    is($second->get('/')->status, 204, 'a second nginx');
    $second->conf('server { nonsense; }');
    ok(!$second->reload, 'reload says when nginx refused');
    $second->allow(qr/unknown directive "nonsense"/);
    is($second->get('/')->status, 204, 'and the old configuration serves on');
    $second->finish;
    ok(!-e $second->dir, 'its directory is gone');
}


# Other test files, run to see how they end.

sub ends {
    my $run = sub {
        my ($body) = @_;
        my $file = $t->file('other.t', <<"PERL" . $body);
use strict; use warnings; use Test::More; use Readiness;
my \$t = Readiness->new(module => '');
\$t->redis; \$t->fake; \$t->app;
\$t->conf('server { listen 127.0.0.1:%%PORT0%%; return 204; }')->run;
print '# ', join(' ', \$t->pid, \$t->workers, map({ \$_->pid } \$t->redis,
    \$t->fake, \$t->app)), "\\n", '# dir ', \$t->dir, "\\n";
is(\$t->get('/')->status, 204, 'it runs');
PERL
        my ($code, $text) = $t->command($^X, (map { "-I$_" } @INC), $file);
        my ($dir) = $text =~ /^# dir (.+)$/m;
        my ($pids) = $text =~ /^# (\d[\d ]+)$/m;
        my @left = grep { !gone($_, 5) } split ' ', $pids || '';

        return ($code, $text, (defined $pids && !@left && !-e $dir) ? 1 : 0);
    };

    my ($code, $text, $gone) = $run->('$t->done;');
    is($code, 0, 'a good test passes') or diag($text);
    ok($gone, 'and leaves nothing');

    ($code, $text, $gone) = $run->('');
    is($code, 0, 'also when it forgot its end') or diag($text);
    like($text, qr/no alerts, crashes.*^1\.\.\d/ms, 'with the same checks');

    ($code, $text, $gone) = $run->('die "half-way\n";');
    isnt($code, 0, 'a test that dies fails');
    ok($gone, 'and leaves nothing, too');

    ($code, $text, $gone) = $run->('kill "SEGV", $t->workers; '
        . '$t->wait_error(qr/exited on signal 11/); $t->done;');
    isnt($code, 0, 'a test whose worker crashed fails');
    like($text, qr/^not ok .* no alerts, crashes/m, 'by its last facts');

    ($code, $text, $gone) = $run->('$t->redis->freeze; '
        . 'kill "TERM", $$; pause(5);');
    isnt($code, 0, 'a test that is interrupted fails');
    ok($gone, 'and leaves nothing, even what was frozen');
}
