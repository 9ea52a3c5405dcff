#!/usr/bin/perl

# Whose bucket it is: key parts never run together, secrets and long texts are
# digests, and whatever a client does to its path lands in the same bucket.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Test::More;

use Readiness;

my $t = Readiness->new;

my ($rates, $locations) = ('', '');

for (['z', ''], ['r', 'redis=main']) {
    my ($s, $redis) = @$_;

    $rates .= <<"CONF";
readiness_rate ${s}one key=\$arg_a rate=5r/d $redis;
readiness_rate ${s}two key=\$arg_a key=\$arg_b rate=5r/d $redis;
readiness_rate ${s}text key=\$arg_a:\$arg_b rate=5r/d $redis;
readiness_rate ${s}skip key=\$arg_a key=\$arg_b rate=5r/d empty=skip $redis;
readiness_rate ${s}share key=\$arg_a key=\$arg_b rate=5r/d empty=share $redis;
readiness_rate ${s}refuse key=\$arg_a key=\$arg_b rate=5r/d empty=refuse $redis;
readiness_rate ${s}all key=all rate=50r/d $redis;
readiness_rate ${s}auth key=\$http_authorization rate=5r/d $redis;
readiness_rate ${s}cookie key=\$cookie_sid key=\$arg_a rate=5r/d $redis;
readiness_rate ${s}header key=\$http_x_key rate=5r/d $redis;
readiness_rate ${s}ip key=\$readiness_client_key rate=50r/d $redis;
readiness_rate ${s}8 key=\$arg_a key=\$arg_b key=\$arg_c key=\$arg_d key=5
    key=6 key=7 key=8 rate=5r/d $redis;
CONF

    $locations .= "location /$s/$_ { readiness_limit ${s}$_;"
                . " proxy_pass http://%%APP%%; }\n"
        for qw(one two text skip share auth cookie header ip 8);

    $locations .= "location /$s/refuse { readiness_limit ${s}refuse;"
                . " readiness_limit ${s}all; proxy_pass http://%%APP%%; }\n"
                . "location /$s/tried { readiness_limit ${s}refuse monitor;"
                . " readiness_limit ${s}all; proxy_pass http://%%APP%%; }\n";
}

$t->conf(<<"CONF")->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
$rates
readiness on;
readiness_log %%DIR%%/decision.log;
large_client_header_buffers 4 128k;
readiness_trusted_proxies 127.0.0.1;
server {
    listen 127.0.0.1:%%PORT0%%;
    $locations
}
server {
    listen 127.0.0.1:%%PORT1%%;
    readiness_client_prefix ipv4=24 ipv6=48;
    $locations
}
server {
    listen 127.0.0.1:%%PORT2%% http2;
    $locations
}
CONF

for my $s (qw(z r)) {
    parts($s);
    empty($s);
    secrets($s);
    paths($s);
    methods($s);
    networks($s);
}

in_redis();
foreign_values();
spent_key();

$t->done;


sub left {
    my ($r) = @_;
    my ($n) = ($r->header('RateLimit') || '') =~ /r=(\d+)/;
    return defined $n ? $n : 'none';
}


# Each of these has a bucket of its own.

sub parts {
    my ($s) = @_;
    my $long = 'x' x 100;

    my @two = (
        ['a', 'bc'], ['ab', 'c'], ['abc', 'abc'], ['a:b', 'c'], ['a', 'b:c'],
        ['a|b', 'c'], ['a', 'b|c'], ['a%00', 'b'], ['a', '%00b'], ['a%00b', 'c'],
        ['{a}', 'b'], ['{a', 'b}'], ['a}{', 'b'], ['a', 'B'], ['A', 'b'],
        ['a b' =~ s/ /%20/r, 'c'], ["\xc3\xa9", 'c'], ["\xe9", 'c'],
        [$long, 'c'], ["${long}y", 'c'], ["${long}z", 'c'],
        ['y' x 64, 'c'], ['y' x 65, 'c'], ['*', 'c'], ["'", 'c'],
    );

    is(join(' ', map { left($t->get("/$s/two?a=$_->[0]&b=$_->[1]")) } @two),
        join(' ', map { 4 } @two), "$s C05: different parts, different keys");
    is(join(' ', map { left($t->get("/$s/two?a=$_->[0]&b=$_->[1]")) } @two),
        join(' ', map { 3 } @two), "$s C05: the same parts, the same key");

    is(left($t->get("/$s/text?a=x:y&b=z")) . left($t->get("/$s/text?a=x&b=y:z")),
        '43', "$s C05: one expression is one text");

    is(left($t->get("/$s/8?a=1&b=2&c=3&d=4"))
        . left($t->get("/$s/8?a=1&b=2&c=3&d=5"))
        . left($t->get("/$s/8?a=1&b=2&c=3&d=4")), '443', "$s: eight parts");

    my $huge = 'h' x 100_000;
    is(left($t->get("/$s/header", headers => ['X-Key' => $huge]))
        . left($t->get("/$s/header", headers => ['X-Key' => $huge]))
        . left($t->get("/$s/header", headers => ['X-Key' => "${huge}i"])),
        '434', "$s C05: parts of 100 kB");

    my $digest = '#' . substr(sha256_hex('{q}'), 0, 32);
    is(left($t->get("/$s/header", headers => ['X-Key' => '{q}']))
        . left($t->get("/$s/header", headers => ['X-Key' => $digest])), '44',
        "$s C05: a part that looks like another one's digest");

    my $bytes = join '', map { chr } grep { $_ != 0x7f } 0x21 .. 0xff;
    is(left($t->get("/$s/header", headers => ['X-Key' => $bytes]))
        . left($t->get("/$s/header", headers => ['X-Key' => $bytes])), '43',
        "$s C05: odd bytes");
    return;
}


sub empty {
    my ($s) = @_;

    for my $q ('', 'a=1', 'b=1', 'a=&b=1') {
        is(left($t->get("/$s/skip?$q")), 'none', "$s: empty=skip: $q");
    }

    is(left($t->get("/$s/skip?a=1&b=1")), 4, "$s: empty=skip: not empty");
    is($t->get("/$s/skip?a=1")->status, 200, "$s: empty=skip passes");

    is(join(' ', map { left($t->get("/$s/share?$_")) }
        'a=1', 'a=1&b=', 'b=1', 'b=1', '', 'x', 'a=1&b=1'), '4 3 4 3 4 3 4',
        "$s C05: empty=share: an empty part is a value of its own");

    for my $q ('', 'a=1', 'b=1') {
        my $r = $t->get("/$s/refuse?$q");
        is($r->status, 429, "$s: empty=refuse: $q");
        is($r->header('Retry-After'), 1, "$s C12: with Retry-After");
        is($r->header('RateLimit'), undef, "$s C12: no invented numbers");
    }

    my $r = $t->get("/$s/refuse?a=1&b=1");
    is($r->status, 200, "$s: empty=refuse: not empty");
    like($r->header('RateLimit'), qr/"${s}all";r=49;/,
        "$s C07: those refused were charged nothing else");

    $r = $t->get("/$s/tried");
    is($r->status, 200, "$s C16: empty=refuse monitor passes");
    like($r->header('RateLimit'), qr/^"${s}all";r=48;/,
        "$s C16: and the other one is charged");

    my ($l) = $t->lines('decision.log', 'url.path' => "/$s/refuse");
    is_deeply([grep { defined $l->{'readiness.limits'}[0]{$_} }
               qw(limit remaining reset_s)], [], "$s: no numbers in the log");
    is($l->{'readiness.reason'}, 'rate_limited', "$s: but the reason");
    return;
}


sub secrets {
    my ($s) = @_;

    my $get = sub {
        my ($uri, @h) = @_;
        return left($t->get("/$s/$uri", headers => [@h]));
    };

    is($get->('auth', Authorization => 'Bearer sesame')
        . $get->('auth', Authorization => 'Bearer sesame')
        . $get->('auth', Authorization => 'Bearer sesamE'), '434',
        "$s: keys from Authorization");
    is($get->('cookie?a=1', Cookie => 'sid=opensesame')
        . $get->('cookie?a=1', Cookie => 'x=1; sid=opensesame')
        . $get->('cookie?a=2', Cookie => 'sid=opensesame'), '434',
        "$s: keys from a cookie");
    return;
}


# nginx itself folds these into the same location.

sub paths {
    my ($s) = @_;
    my $at = '127.0.0.1';
    my $n = 49;

    for my $uri ("/$s/ip", "/$s/x/../ip", "/$s/%69p", "//$s//ip", "/$s/./ip",
        "/$s/ip%2fx", "/$s/ip;a", "/$s/ip/", "/$s/ip%20", "/$s/ip#frag",
        "http://localhost/$s/ip", "http://evil/$s/ip", "/$s/ip?a=1&a=2",
        "/x/../$s/ip", "/%2e%2e/$s/ip", "/$s/ip/..%2fip")
    {
        my $r = $t->get($uri);
        is(left($r), $r->status == 200 ? $n-- : 'none', "$s C01: $uri");
        is($r->status, $uri =~ /%2e%2e/ ? 400 : 200, "$s C01: $uri: status");
    }

    return;
}


sub methods {
    my ($s) = @_;
    my $from = left($t->get("/$s/ip"));
    my $h2 = $t->h2(port => 2);
    my @r = map { $t->request($_, "/$s/ip") }
            qw(HEAD OPTIONS PURGE PUT DELETE X-ODD PROPFIND);

    push @r, $t->get("/$s/ip", version => '1.0');
    push @r, $t->get("/$s/ip", headers => [Host => 'other']);
    push @r, $h2->get("/$s/ip");
    push @r, $h2->get("/$s/ip", scheme => 'https', host => 'a.example');
    push @r, $h2->request('HEAD', "/$s/ip", host => 'b.example');

    is(join(' ', map { left($_) } @r),
        join(' ', map { $from - $_ } 1 .. @r),
        "$s C03: methods, versions and hosts share the bucket");

    is($t->raw("get /$s/ip HTTP/1.1\r\nHost: a\r\n\r\n")->status, 400,
        "$s C03: a method in lower case");
    is(left($t->get("/$s/ip")), $from - @r - 1, "$s C03: charges nothing");
    return;
}


sub networks {
    my ($s) = @_;

    my $from = sub {
        my ($addr, @o) = @_;
        return left($t->get("/$s/ip", headers => ['X-Forwarded-For' => $addr],
                            @o));
    };

    is(join(' ', map { $from->(sprintf '2001:db8:1:2:%x:%x::%x',
                              $_ * 97 % 65536, $_, 65535 - $_) } 1 .. 20),
        join(' ', reverse 30 .. 49), "$s C04: a /64 is one client");
    is($from->('2001:db8:1:3::1'), 49, "$s C04: the next /64 is another");
    is($from->('2001:db8:1:2::'), 29, "$s C04: the first is still there");
    is($from->('2001:DB8:0001:0002:0:0:0:1'), 28, "$s C04: in any spelling");
    is($from->('192.0.2.1') . $from->('192.0.2.2') . $from->('192.0.2.1'),
        '494948', "$s C04: an IPv4 address is one client");
    is($from->('::ffff:192.0.2.1'), 47, "$s A07: also when mapped");

    is($from->('2001:db8:8:1::1', port => 1)
        . $from->('2001:db8:8:2::1', port => 1)
        . $from->('2001:db8:9:1::1', port => 1), '494849', "$s C04: a /48");
    is($from->('198.51.100.1', port => 1) . $from->('198.51.100.200', port => 1)
        . $from->('198.51.101.1', port => 1), '494849', "$s C04: a /24");
    return;
}


sub in_redis {
    # but for the heartbeat of this nginx, whose name no rate has

    my @keys = grep { $_ ne 'rdy::{nginx}' } $t->redis->keys;

    my %want = map { $_ => 1 } (
        'rdy:rtwo:{a|bc}', 'rdy:rtwo:{ab|c}', 'rdy:rtwo:{a:b|c}',
        'rdy:rtwo:{a|b:c}', 'rdy:rtext:{x:y:z}', 'rdy:rshare:{1|}',
        'rdy:rshare:{|1}', 'rdy:rshare:{|}', 'rdy:rall:{all}',
        'rdy:rip:{2001:db8:1:2::}', 'rdy:rip:{192.0.2.1}',
        'rdy:r8:{1|2|3|4|5|6|7|8}',
        'rdy:rtwo:{' . ('y' x 64) . '|c}',
        map { 'rdy:' . $_->[0] . ':{#' . substr(sha256_hex($_->[1]), 0, 32)
              . ($_->[2] || '') . '}' }
            ['rauth', 'Bearer sesame'], ['rcookie', 'opensesame', '|1'],
            ['rtwo', 'y' x 65, '|c'], ['rtwo', 'a|b', '|c'],
            ['rtwo', '{a}', '|b'], ['rtwo', 'a%00', '|b'],
            ['rheader', 'h' x 100_000],
    );

    my %have = map { $_ => 1 } @keys;
    is(join("\n", grep { !$have{$_} } sort keys %want), '',
        'C05: <prefix><rate>:{<key>}, digests where parts are long or odd')
        or diag(join "\n", @keys);
    is(grep({ !/^rdy:[\w.-]+:\{[A-Za-z0-9._:\@|#-]*\}\z/ } @keys), 0,
        'C05: no key has a brace or an odd byte of a client');
    is(grep({ length > 600 } @keys), 0, 'C02: nor is it long');
    is(grep({ /sesame/ } @keys), 0, 'B08: no secret among them');
    is(grep({ $t->redis->cli('PTTL', $_) <= 0 } @keys), 0,
        'C15: each has a time to live');
    is(grep({ $t->redis->cli('PTTL', $_) > 86400_000 } @keys), 0,
        'C15: not longer than the bucket takes to be full');
    is(grep({ length $t->redis->cli('GET', $_) > 32 } @keys), 0,
        'C02: and a small value');
    return;
}


sub foreign_values {
    my $redis = $t->redis;

    my %made = (
        list => ['RPUSH', 'x'], hash => ['HSET', 'f', 'v'], text => ['SET', 'x'],
        long => ['SET', 'R' x 100_000], empty => ['SET', ''],
        wrong => ['SET', 'Q' . "\0" x 16], 'nan' => ['SET', 'R' . "\xff" x 16],
        huge => ['SET', 'R' . pack('d<2', 1e300, 1)], set => ['SADD', 'x'],
    );

    for (sort keys %made) {
        my ($cmd, @v) = @{ $made{$_} };
        $redis->cli($cmd, "rdy:rone:{$_}", @v);
        is(left($t->get("/r/one?a=$_")), 4, "G11: a foreign value: $_");
        is(left($t->get("/r/one?a=$_")), 3, "G11: is a new window: $_");
    }

    is(left($t->get('/r/one?a=flush')), $_, "G11: $_ left") for 4, 3;
    $redis->flush;
    is(left($t->get('/r/one?a=flush')), 4, 'G11: FLUSHALL: a new window');
    $redis->cli('DEL', 'rdy:rone:{flush}');
    is(left($t->get('/r/one?a=flush')), 4, 'G11: a key that was evicted');
    $redis->cli('SCRIPT', 'FLUSH');
    is(left($t->get('/r/one?a=flush')), 3, 'G08: the script is loaded again');
    is(join(' ', map { $_->{'readiness.limits'}[0]{source} }
            $t->lines('decision.log', 'url.path' => '/r/one')),
        join(' ', map { 'redis' } 1 .. 9 * 2 + 5), 'G11: Redis decided all');
    return;
}


# A key that was refused here is not asked for; but it is again soon, whatever
# its end, so that a counter that was deleted is seen.

sub spent_key {
    my $redis = $t->redis;
    my $n = () = $t->lines('decision.log', 'url.path' => '/r/one');

    is(join('', map { left($t->get('/r/one?a=spent')) } 1 .. 5), '43210',
        'G11: spent');
    my $last = my $known = now();
    is($redis->cli('DEL', 'rdy:rone:{spent}'), 1, 'G11: deleted in Redis');
    my $calls = $redis->calls('evalsha');

    wait_for {
        my $asked = now();
        my $r = $t->get('/r/one?a=spent');
        return left($r) eq '4' if $r->status == 200;
        $last = $asked;
        return 0;
    } 20, 'G11: a new window';

    cmp_ok($last - $known, '<', 5, 'G11: refused for 5 seconds at most');
    cmp_ok($last - $known, '>', 3, 'G11: but known to be spent until then');

    my @l = $t->lines('decision.log', 'url.path' => '/r/one');
    my %source;
    push @{ $source{$_->{'readiness.limits'}[0]{source}} },
        $_->{'http.response.status_code'} || 200 for @l[$n .. $#l];

    is(join(' ', @{ $source{redis} }), '200 200 200 200 200 200',
        'Redis decided what passed');
    is(grep({ $_ != 429 } @{ $source{refusal_cache} }), 0,
        'the refusals came from here');

    # besides the last one there are heartbeats

    $calls = $redis->calls('evalsha') - $calls;
    my $refused = @{ $source{refusal_cache} };
    cmp_ok($calls, '<', 5, "Redis was not asked for them ($refused)");
    cmp_ok($refused, '>', 10, 'which would have been many');
    return;
}
