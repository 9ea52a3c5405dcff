#!/usr/bin/perl

# A rate as a client sees it, counted in this nginx and in Redis alike: how
# many pass, and what the headers say.  Periods are so long that nothing
# refills meanwhile.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

my $stores = '';

for (['z', ''], ['r', 'redis=main']) {
    my ($s, $redis) = @$_;

    $stores .= <<"CONF";
readiness_rate ${s}3 key=\$arg_k rate=3r/d $redis;
readiness_rate ${s}7 key=\$arg_k rate=7r/15m burst=10 $redis;
readiness_rate ${s}1 key=\$arg_k rate=1r/d burst=100 $redis;
readiness_rate ${s}f key=\$arg_k rate=1000r/s burst=1 $redis;
readiness_rate ${s}s key=\$arg_k rate=1r/s $redis;
readiness_rate ${s}2 key=\$arg_k rate=1r/2s $redis;
CONF
}

# what the variables say, as a header

my $vars = join ',', map { "\$readiness_$_" }
    qw(decision reason limit limit_remaining limit_reset);

my $locations = join '', map { <<"CONF" } qw(z r);
location /$_/3 { readiness_limit ${_}3; proxy_pass http://%%APP%%; }
location /$_/7 { readiness_limit ${_}7; proxy_pass http://%%APP%%; }
location /$_/1 { readiness_limit ${_}1; proxy_pass http://%%APP%%; }
location /$_/f { readiness_limit ${_}f; proxy_pass http://%%APP%%; }
location /$_/s { readiness_limit ${_}s; proxy_pass http://%%APP%%; }
location /$_/2 { readiness_limit ${_}2; proxy_pass http://%%APP%%; }
location /$_/look { readiness_limit ${_}3 cost=0; proxy_pass http://%%APP%%; }
location /$_/html { readiness_limit ${_}3; readiness_problem off;
                    proxy_pass http://%%APP%%; }
location /$_/503 { readiness_limit ${_}3; readiness_limit_status 503;
                   proxy_pass http://%%APP%%; }
location /$_/420 { readiness_limit ${_}3; readiness_limit_status 420;
                   proxy_pass http://%%APP%%; }
location /$_/legacy { readiness_limit ${_}3; readiness_limit_headers legacy;
                      proxy_pass http://%%APP%%; }
location /$_/x { readiness_limit ${_}3; readiness_limit_headers x-ratelimit;
                 proxy_pass http://%%APP%%; }
location /$_/all { readiness_limit ${_}3; proxy_pass http://%%APP%%;
                   readiness_limit_headers x-ratelimit standard legacy; }
location /$_/off { readiness_limit ${_}3; readiness_limit_headers off;
                   proxy_pass http://%%APP%%; }
location /$_/two { readiness_limit ${_}7; readiness_limit ${_}3;
                   readiness_limit_headers standard legacy;
                   proxy_pass http://%%APP%%; }
location /$_/vars { readiness_limit ${_}7; readiness_limit ${_}3;
                    add_header X-Vars "$vars" always;
                    proxy_pass http://%%APP%%; }
CONF

$t->conf(<<"CONF")->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
$stores
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    $locations
    location /none { proxy_pass http://%%APP%%; }
    location /unused { readiness_limit z3 if=\$arg_not;
                       proxy_pass http://%%APP%%; }
}
server {
    listen 127.0.0.1:%%PORT1%% http2;
    $locations
}
CONF

# Who decides what passes, and who refuses once a key is known to be spent.

my %source = (z => ['local', 'local'], r => ['redis', 'refusal_cache']);

for my $s (qw(z r)) {
    burst($s);
    rounding($s);
    old_forms($s);
    several($s);
    statuses($s);
    head_and_http2($s);
    refill($s);
    told_back($s);
    empty_key($s);
}

nothing_decided();

$t->done;


# The number of seconds, or up to half a minute less: the test itself takes
# time.

sub near {
    my ($got, $want, $name) = @_;
    my $ok = defined $got && $got =~ /^\d+\z/ && $got <= $want
             && $got > $want - 30;
    ok($ok, $name) or diag('got ' . (defined $got ? $got : 'nothing')
                           . ", wanted $want or a little less");
    return;
}


# The same of a refusal.  The ends of those that this nginx knows of are spread
# over 100 ms, which is told: that may be one second more, and no other.

sub near_refused {
    my ($s, $got, $want, $name) = @_;
    near($got, $s eq 'r' ? $want + 1 : $want, $name);
    return;
}


sub burst {
    my ($s) = @_;
    my @r = map { $t->get("/$s/3?k=burst") } 1 .. 5;

    is(join(' ', map { $_->status } @r), '200 200 200 429 429',
        "$s: the burst counts the first request");
    is($t->app->count(qr{^/$s/3\?k=burst}), 3, "$s: the application saw three");
    is($t->get("/$s/3?k=other")->status, 200, "$s: another key is fresh");

    is($_->header('RateLimit-Policy'), "\"${s}3\";q=3;w=86400",
        "$s: the policy") for @r[0, 4];
    is_deeply([map { $_->header('RateLimit') =~ /;r=(\d+);/ } @r],
        [2, 1, 0, 0, 0], "$s: what remains");

    my @next = map { $_->header('RateLimit') =~ /;t=(\d+)\z/ } @r;
    near($_, 28800, "$s: a third of a day until one more") for @next[0 .. 2];
    near_refused($s, $_, 28800, "$s: and when refused") for @next[3, 4];
    is($r[2]->count('Retry-After'), 0, "$s: no Retry-After on what passes");
    is($r[3]->header('Retry-After'), $next[3],
        "$s C12: Retry-After is t of the refused");
    is($r[3]->header('Content-Type'), 'application/problem+json',
        "$s: a problem body");
    is_deeply($r[3]->json->{'violated-policies'}, ["${s}3"],
        "$s: which names the limit");

    my @lines = $t->wait_lines('decision.log', 6);
    @lines = $t->lines('decision.log', 'url.path' => "/$s/3");
    my $l = $lines[3]{'readiness.limits'}[0];
    is($lines[3]{'readiness.reason'}, 'rate_limited', "$s: the reason");
    is("$l->{name} $l->{limit} $l->{remaining}", "${s}3 3 0",
        "$s: the limit in the log");
    is(join(' ', map { $_->{'readiness.limits'}[0]{source} } @lines),
        join(' ', map { $source{$s}[$_] } 0, 0, 0, 1, 1, 0),
        "$s: and who decided");
    is($l->{retry_after_s}, $next[3], "$s: and its Retry-After");
    near($l->{reset_s}, 86400, "$s: and when it is full");
    return;
}


sub rounding {
    my ($s) = @_;
    my $r = $t->get("/$s/7?k=a");

    is($r->header('RateLimit-Policy'), "\"${s}7\";q=10;w=1286",
        "$s: w is burst * period / count, rounded up");
    like($r->header('RateLimit'), qr/^"${s}7";r=9;t=129\z/,
        "$s: t is rounded up");

    $t->get("/$s/7?k=a") for 2 .. 10;
    $r = $t->get("/$s/7?k=a");
    is($r->status, 429, "$s: ten pass, though seven a period");
    near_refused($s, $r->header('Retry-After'), 129,
        "$s: back when one has refilled");

    $r = $t->get("/$s/1?k=a");
    is($r->header('RateLimit-Policy'), "\"${s}1\";q=100;w=8640000",
        "$s: a burst over the rate");
    near(($r->header('RateLimit') =~ /t=(\d+)/)[0], 86400,
        "$s: a day until one more");

    $r = $t->get("/$s/f?k=a");
    is($r->header('RateLimit-Policy'), "\"${s}f\";q=1;w=1",
        "$s: a window is a second at least");
    is($r->header('RateLimit'), "\"${s}f\";r=0;t=1", "$s: and so is t");
    return;
}


sub old_forms {
    my ($s) = @_;
    my $r = $t->get("/$s/legacy?k=l");

    is_deeply([map { $r->header("RateLimit-$_") } qw(Limit Remaining)],
        [3, 2], "$s: legacy");
    near($r->header('RateLimit-Reset'), 28800, "$s: seconds until full");
    is(grep({ /^(ratelimit|ratelimit-policy|x-ratelimit.*)\z/ } $r->names), 0,
        "$s: and no other form");

    $t->get("/$s/legacy?k=l") for 1 .. 2;
    $r = $t->get("/$s/legacy?k=l");
    is($r->header('RateLimit-Remaining'), 0, "$s: nothing remains");
    near($r->header('RateLimit-Reset'), 86400, "$s: Reset is until full");
    near_refused($s, $r->header('Retry-After'), 28800,
        "$s: Retry-After until one more");

    my $before = time;
    $r = $t->get("/$s/x?k=x");
    my $full = $r->header('X-RateLimit-Reset') - 28800;
    is_deeply([map { $r->header("X-RateLimit-$_") } qw(Limit Remaining)],
        [3, 2], "$s: x-ratelimit");
    ok($full >= $before - 2 && $full <= time() + 2, "$s: Reset is unix time");
    is(grep({ /^ratelimit/ } $r->names), 0, "$s: and no other form");

    $r = $t->get("/$s/all?k=all");
    is(grep({ /^(x-)?ratelimit/ } $r->names), 8, "$s: all forms at once");
    is(grep({ $r->count($_) != 1 } $r->names), 0, "$s: each header once");

    $t->get("/$s/off?k=off") for 1 .. 3;
    $r = $t->get("/$s/off?k=off");
    is(grep({ /ratelimit/ } $r->names), 0, "$s: off");
    near_refused($s, $r->header('Retry-After'), 28800,
        "$s: Retry-After all the same");
    return;
}


sub several {
    my ($s) = @_;
    my $r = $t->get("/$s/two?k=two");

    is($r->header('RateLimit-Policy'),
        "\"${s}7\";q=10;w=1286, \"${s}3\";q=3;w=86400", "$s: both policies");
    like($r->header('RateLimit'), qr/^"${s}7";r=9;t=\d+, "${s}3";r=2;t=\d+\z/,
        "$s: both limits");
    is($r->header('RateLimit-Limit') . $r->header('RateLimit-Remaining'), '32',
        "$s: one value: the smaller share, 2 of 3, is told");

    $t->get("/$s/7?k=two") for 1 .. 7;
    $r = $t->get("/$s/two?k=two");
    is($r->header('RateLimit-Limit') . $r->header('RateLimit-Remaining'), '101',
        "$s: 1 of 10 is a smaller share than 1 of 3");

    $t->get("/$s/7?k=two");
    $r = $t->get("/$s/two?k=two");
    is($r->status, 429, "$s: refused by one");
    my $other = $s eq 'z' ? qr/, "z3";r=1;t=\d+/ : qr//;
    like($r->header('RateLimit'), qr/^"${s}7";r=0;t=\d+$other\z/,
        "$s C12: the other is told where it was looked at");
    like($t->get("/$s/look?k=two")->header('RateLimit'), qr/^"${s}3";r=1;/,
        "$s C07: and was not charged");
    is($r->header('RateLimit-Limit'), 10, "$s: the one that refused is told");
    is(($r->header('RateLimit') =~ /t=(\d+)/)[0], $r->header('Retry-After'),
        "$s: its t is Retry-After");
    is_deeply($r->json->{'violated-policies'}, ["${s}7"],
        "$s: and the body names it");

    $r = $t->get("/$s/vars?k=v");
    like($r->header('X-Vars'), qr/^allow,ok,${s}3,2,28800\z/, "$s: variables");
    $t->get("/$s/3?k=v") for 1 .. 2;
    my @v = split /,/, $t->get("/$s/vars?k=v")->header('X-Vars');
    is("@v[0 .. 3]", "deny rate_limited ${s}3 0", "$s: variables of a refusal");
    near($v[4], 86400, "$s: and its reset");
    return;
}


sub statuses {
    my ($s) = @_;

    for my $code (503, 420) {
        $t->get("/$s/3?k=$code") for 1 .. 3;
        my $r = $t->get("/$s/$code?k=$code");
        is($r->status, $code, "$s: readiness_limit_status $code");
        is($r->count('Retry-After'), $code == 503 ? 1 : 0,
            "$s C12: Retry-After on $code");
        near_refused($s, ($r->header('RateLimit') =~ /r=0;t=(\d+)/)[0],
            28800, "$s: and the limit");
    }

    $t->get("/$s/3?k=html") for 1 .. 3;
    my $r = $t->get("/$s/html?k=html");
    is($r->status, 429, "$s: problem off");
    near_refused($s, $r->header('Retry-After'), 28800,
        "$s: its Retry-After");
    like($r->header('RateLimit'), qr/r=0/, "$s: its limit");
    return;
}


sub head_and_http2 {
    my ($s) = @_;
    my $c = $t->conn;
    my @r = map { $c->request('HEAD', "/$s/3?k=head") } 1 .. 4;

    is(join(' ', map { $_->status } @r), '200 200 200 429',
        "$s C12: HEAD is counted");
    near_refused($s, $r[3]->header('Retry-After'), 28800,
        "$s C12: HEAD: Retry-After");
    like($r[3]->header('RateLimit'), qr/^"${s}3";r=0;t=\d+\z/,
        "$s C12: HEAD: the limit");
    is($c->get("/$s/3?k=head2")->status, 200, "$s: the connection goes on");

    my $h2 = $t->h2(port => 1);
    @r = map { $h2->get("/$s/3?k=h2") } 1 .. 4;
    is(join(' ', map { $_->status } @r), '200 200 200 429', "$s: HTTP/2");
    near_refused($s, $r[3]->header('retry-after'), 28800,
        "$s C12: HTTP/2: Retry-After");
    is($r[3]->header('ratelimit-policy'), "\"${s}3\";q=3;w=86400",
        "$s C12: HTTP/2: the policy");
    is($h2->request('HEAD', "/$s/3?k=h2")->status, 429,
        "$s C12: HEAD over HTTP/2");
    is($t->get("/$s/3?k=h2")->status, 429,
        "$s C03: another protocol, the same bucket");
    $h2->close;
    return;
}


# The rates here that do refill.

sub refill {
    my ($s) = @_;
    my $from = now();

    is($t->get("/$s/s?k=a")->status, 200, "$s: one a second");
    my $r = $t->get("/$s/s?k=a");

    SKIP: {
        skip 'this machine took over a second for two requests', 1
            if now() - $from >= 1;
        is($r->status . ' ' . $r->header('Retry-After'), '429 1',
            "$s C12: Retry-After is one second, not none");
    }

    wait_for { $t->get("/$s/s?k=a")->status == 200 } 20, "$s: it refills";
    cmp_ok(now() - $from, '>=', 0.99, "$s C13: not before its time");
    return;
}


# Who comes when he was told is admitted, spread or not.

sub told_back {
    my ($s) = @_;
    my $from = now();
    my ($last, $back) = ($from, 0);

    is($t->get("/$s/2?k=a")->status, 200, "$s: one in two seconds");

    wait_for {
        my $asked = now();
        my $r = $t->get("/$s/2?k=a");
        return 1 if $r->status == 200;
        $last = $asked;
        $back ||= now() + $r->header('Retry-After');
        return 0;
    } 20, "$s: it refills";

    cmp_ok($last, '<', $back, "$s C12: not refused after Retry-After");
    cmp_ok(now() - $from, '>=', 1.99, "$s C13: nor admitted before its time");
    return;
}


sub empty_key {
    my ($s) = @_;
    my $r = $t->get("/$s/3");

    is($r->status, 200, "$s: an empty key is not counted");
    is(grep({ /ratelimit/ } $r->names), 0, "$s: and told nothing");
    return;
}


sub nothing_decided {
    my $r = $t->get('/none');
    is(grep({ /ratelimit|retry/ } $r->names), 0, 'no limit: no header');
    $r = $t->get('/unused?k=a');
    is(grep({ /ratelimit|retry/ } $r->names), 0, 'no limit applies: no header');
    is($t->get('/unused?k=a&not=1')->header('RateLimit-Policy'),
        '"z3";q=3;w=86400', 'but where it does');
    return;
}
