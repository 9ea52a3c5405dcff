#!/usr/bin/perl

# What stands in a decision line: keys, their order, their values; and what
# never does (B08).

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;
my $log = $t->path('decision.log');

$t->redis(0, password => 'redis-pass-4711');
$t->file('redis.password', "redis-pass-4711\n", 0600);

$t->conf(<<'CONF')->run;
readiness_log %%DIR%%/decision.log;
readiness_redis main {
    server %%REDIS%%;
    password_file %%DIR%%/redis.password;
    timeout 5s;
}
readiness_rate local key=$readiness_client_key rate=100r/m burst=7;
readiness_rate spent key=$arg_k rate=1r/m;
readiness_rate watched key=$arg_k rate=1r/m;
readiness_rate shared key=$http_authorization rate=60r/m redis=main;

readiness_policy public {
    readiness_limit local;
    readiness_log_field team "a team";
}

server {
    listen 127.0.0.1:%%PORT0%%;
    listen unix:%%SOCK0%%;
    server_name www.example.com;
    readiness on;
    readiness_trusted_proxies 127.0.0.9 unix:;
    readiness_traceparent accept;
    readiness_request_id uuid7 accept=trusted;

    location / { proxy_pass http://%%APP%%; }
    location /all/ {
        readiness_apply public;
        readiness_limit spent;
        proxy_pass http://%%APP%%;
    }
    location /monitor/ {
        readiness monitor;
        readiness_limit spent;
        proxy_pass http://%%APP%%;
    }
    location /watched/ {
        readiness_limit watched monitor;
        proxy_pass http://%%APP%%;
    }
    location /shared/ { readiness_limit shared; proxy_pass http://%%APP%%; }
    location = /exact { return 204; }
    location ~ ^/re/\d+ { proxy_pass http://%%APP%%; }
    location ^~ /prefix/ { proxy_pass http://%%APP%%; }
    location /named/ { readiness_route items; proxy_pass http://%%APP%%; }
    location /if/ { if ($arg_a) { set $b 1; } proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;


# The newest line, as (value, text).

sub line {
    my ($l) = ($t->wait_lines('decision.log', ++$n))[-1];
    my ($text) = slurp($log) =~ /([^\n]*)\n\z/;

    is(scalar $t->lines, $n, 'one line');
    return ($l, $text);
}

sub keys_of {                           # of the outer object, in their order
    my ($text) = @_;
    $text =~ s/\[.*\]/[]/;
    return [$text =~ /[{,]"([a-z._A-Z]+)":/g];
}

sub ok_line {
    my ($name, $uri, $key, $want, @o) = @_;
    my $r = $t->get($uri, @o);
    my ($l) = line();

    is($l->{$key}, $want, $name);
    return ($l, $r);
}


order();
values_of();
limits();
secrets();

$t->done;


sub order {
    my @trace = (traceparent =>
        '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
    my @head = (bind => '127.0.0.9',
        headers => [Host => 'API.Example.com:8080', @trace,
                    'X-Forwarded-For' => '203.0.113.7',
                    'X-Forwarded-Proto' => 'https', 'User-Agent' => 'ua/1.0',
                    'X-Request-Id' => 'id-of-the-proxy']);

    $t->get('/all/x?k=1', @head);
    line();
    my $r = $t->request('PROPFIND', '/all/x?k=1', @head);
    my ($l, $text) = line();

    is($r->status, 429, 'a refusal');
    is_deeply(keys_of($text), [qw(timestamp event.name severity_text
        readiness.decision readiness.enforced readiness.reason tenant.id
        readiness.policy http.route server.address http.request.id trace_id
        http.request.method http.request.method_original url.scheme url.path
        network.protocol.version user_agent.original client.address
        network.peer.address http.response.status_code readiness.limits
        readiness.duration_us team)], 'all keys, in their order');

    my $took = delete $l->{'readiness.duration_us'};
    like($took, qr/^\d{1,8}\z/, 'its duration is a number of microseconds');

    my $time = delete $l->{timestamp};
    like($time, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/, 'its time');

    my $limits = delete $l->{'readiness.limits'};
    is_deeply($l, {
        'event.name' => 'readiness.decision', 'severity_text' => 'WARN',
        'readiness.decision' => 'deny', 'readiness.reason' => 'rate_limited',
        'readiness.enforced' => JSON::XS::true(),
        'tenant.id' => undef, 'readiness.policy' => 'public',
        'http.route' => '/all/', 'server.address' => 'api.example.com',
        'http.request.id' => 'id-of-the-proxy',
        'trace_id' => '4bf92f3577b34da6a3ce929d0e0e4736',
        'http.request.method' => '_OTHER',
        'http.request.method_original' => 'PROPFIND', 'url.scheme' => 'https',
        'url.path' => '/all/x', 'network.protocol.version' => '1.1',
        'user_agent.original' => 'ua/1.0', 'client.address' => '203.0.113.7',
        'network.peer.address' => '127.0.0.9',
        'http.response.status_code' => 429, 'team' => 'a team',
    }, 'all values');

    is_deeply([map { $_->{name} } @$limits], ['local', 'spent'], 'all limits');
    like($text, qr/"http\.response\.status_code":429,/, 'numbers are numbers');
    like($text, qr/"tenant\.id":null,/, 'an unknown tenant is null');

    $r = $t->raw("GET /exact HTTP/1.0\r\n\r\n");
    ($l, $text) = line();
    is_deeply(keys_of($text), [qw(timestamp event.name severity_text
        readiness.decision readiness.reason tenant.id http.route server.address
        http.request.id http.request.method url.scheme url.path
        network.protocol.version client.address network.peer.address
        http.response.status_code)], 'what is absent is left out');
    is($l->{'readiness.reason'}, 'not_evaluated', 'nothing was evaluated');
    is($l->{severity_text}, 'INFO', 'which is no warning');

    return;
}


sub values_of {
    ok_line('the route of a prefix', '/x', 'http.route', '/');
    ok_line('of an exact location', '/exact', 'http.route', '= /exact');
    ok_line('of an expression', '/re/12', 'http.route', '~ ^/re/\d+');
    ok_line('of a preferred prefix', '/prefix/x', 'http.route', '^~ /prefix/');
    ok_line('by its own name', '/named/x', 'http.route', 'items');
    ok_line('within if', '/if/x?a=1', 'http.route', '/if/');

    ok_line('the path without its query', '/a/b?token=secret', 'url.path',
        '/a/b');
    ok_line('without its fragment', '/a/b#secret', 'url.path', '/a/b');
    ok_line('as it was sent', '/a/../b/%63//d', 'url.path', '/a/../b/%63//d');
    ok_line('of a URI without one', 'http://h.example?q=1', 'url.path', '/');
    ok_line('and its host', 'http://h.example/?q=1', 'server.address',
        'h.example');

    for my $method (qw(GET HEAD POST PUT DELETE OPTIONS PATCH)) {
        $t->request($method, '/x');
        my ($l) = line();
        is($l->{'http.request.method'}, $method, "the method $method");
    }

    my ($l) = ok_line('no name of a client is believed', '/x',
        'client.address', '127.0.0.1',
        headers => ['X-Forwarded-For' => '203.0.113.7',
                    'X-Forwarded-Proto' => 'https',
                    'X-Request-Id' => 'id-of-a-client']);
    is($l->{'url.scheme'}, 'http', 'nor his scheme');
    isnt($l->{'http.request.id'}, 'id-of-a-client', 'nor his ID');

    ($l) = ok_line('a peer on a socket', '/x', 'network.peer.address', 'unix:',
        unix => $t->value('SOCK0'));
    ($l) = ok_line('and for whom it speaks', '/x', 'client.address',
        '2001:db8::7', unix => $t->value('SOCK0'),
        headers => ['X-Forwarded-For' => '2001:DB8:0::7']);

    my ($before, $r) = ok_line('the ID', '/x', 'readiness.decision', 'allow');
    is($before->{'http.request.id'}, $r->header('X-Request-Id'),
        'is that of the answer');
    is($before->{'http.request.id'}, $r->seen('X-Request-Id'),
        'and of the application');

    return;
}


sub limits {
    my $limit = sub {
        my ($l) = line();
        return $l->{'readiness.limits'};
    };

    $t->get('/all/x?k=l');
    is_deeply($limit->(), [
        { name => 'local', limit => 7, remaining => 6, reset_s => 1,
          source => 'local' },
        { name => 'spent', limit => 1, remaining => 0, reset_s => 60,
          source => 'local' }], 'limits of an allowed request');

    $t->get('/all/x?k=l');
    my ($first, $second) = @{ $limit->() };
    is($second->{remaining}, 0, 'a spent limit');
    like($second->{retry_after_s}, qr/^(?:5\d|60)\z/, 'says when to come back');
    ok(!exists $first->{retry_after_s}, 'the other one does not');

    $t->get('/monitor/x?k=l');
    my ($l, $text) = line();
    is($l->{'readiness.decision'}, 'deny', 'monitor: would be refused');
    like($text, qr/"readiness\.enforced":false,/, 'and is not');
    ok(!exists $l->{'http.response.status_code'}, 'and has no status');
    is($l->{severity_text}, 'WARN', 'but is a warning');

    $t->get('/watched/x?k=l');
    line();
    $t->get('/watched/x?k=l');
    ($l) = line();
    is($l->{'readiness.decision'}, 'deny', 'a watched limit would refuse');
    ok(!$l->{'readiness.enforced'}, 'and does not');
    ok($l->{'readiness.limits'}[0]{monitor}, 'and says that it is watched');

    return;
}


sub secrets {
    my @secret = ('redis-pass-4711', 'bearer-0815', 'cookie-0816',
                  'query-0817', 'basic-0818', 'userinfo-0819');

    $t->get('/shared/x?token=query-0817', headers => [
        Authorization => 'Bearer bearer-0815', Cookie => 'sid=cookie-0816',
        'Proxy-Authorization' => 'Basic basic-0818']);
    my ($l) = line();
    is($l->{'readiness.limits'}[0]{source}, 'redis', 'Redis decided');

    $t->raw("GET http://u:userinfo-0819\@h.example/?query-0817 HTTP/1.1\r\n"
            . "Host: a\r\nAuthorization: bearer-0815\r\n\r\n");
    line();
    $t->redis->stop;
    $t->get('/shared/x', headers => [Authorization => 'Bearer bearer-0815']);
    line();

    my $told = slurp($log);
    my $errors = join "\n", grep { !/ request: "/ } split /\n/, $t->error_log;

    for my $secret (@secret) {
        is(index($told, $secret), -1, "B08 no $secret in the log");
        is(index($errors, $secret), -1, "B08 nor in the error log");
    }

    is(index($t->error_log, $secret[$_]), -1,
        "B08 not even where nginx quotes a request: $secret[$_]")
        for 0 .. 2, 4;

    return;
}
