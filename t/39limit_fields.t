#!/usr/bin/perl

# What clients are told of rates, quotas and slots, in each of the forms there
# are, of the zone and of Redis.  C12.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

my ($rates, $locations) = ('', '');

for (['z', ''], ['r', 'redis=main']) {
    my ($s, $redis) = @$_;

    $rates .= <<"CONF";
readiness_rate ${s}rate key=\$arg_k rate=10r/m burst=5 $redis;
readiness_rate ${s}quota key=\$arg_k quota=4/90s $redis;
readiness_rate ${s}slots key=\$arg_k concurrent=3 $redis;
CONF

    for my $kind (qw(rate quota slots)) {
        $locations .= "location /$s/$kind { readiness_limit $s$kind "
                    . "cost=\$arg_c; proxy_pass http://%%APP%%; }\n";
    }

    $locations .= <<"CONF";
location /$s/all { readiness_limit ${s}slots; readiness_limit ${s}quota;
                   readiness_limit ${s}rate; proxy_pass http://%%APP%%; }
location /$s/watch { readiness_limit ${s}slots monitor;
                     readiness_limit ${s}quota; proxy_pass http://%%APP%%; }
location /$s/off { readiness_limit ${s}slots; readiness_limit_headers off;
                   proxy_pass http://%%APP%%; }
location /$s/problem { readiness_limit ${s}quota cost=9; readiness_problem on;
                       proxy_pass http://%%APP%%; }
CONF
}

$t->conf(<<"CONF")->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
$rates
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_limit_headers standard legacy x-ratelimit;
proxy_read_timeout 5m;
server {
    listen 127.0.0.1:%%PORT0%%;
    $locations
}
server {
    listen 127.0.0.1:%%PORT1%% http2;
    $locations
}
CONF

my %policy = (rate => 'q=5;w=30', quota => 'q=4;w=90',
              slots => 'q=3;qu="concurrent-requests"');
my %limit = (rate => 5, quota => 4, slots => 3);

# seconds until one more, the same when refused (100 ms later at most, rounded
# up), and until all of it, after one was charged and after the last: a 60th of
# a quota's window later at most

my %more = (rate => [5, 6], quota => [90, 92]);
my %retry = (rate => [5, 7], quota => [90, 92], slots => [1, 1]);
my %full = (rate => [5, 6], quota => [90, 92], slots => [60, 60]);
my %empty = (rate => [29, 30], quota => [90, 92], slots => [60, 60]);

for my $s (qw(z r)) {
    for my $kind (qw(rate quota slots)) {
        admits($s, $kind);
        refuses($s, $kind);
    }
    several($s);
}

$t->done;


sub between {
    my ($n, $range, $fact) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(defined $n && $n =~ /^\d+\z/ && $n >= $range->[0] && $n <= $range->[1],
        $fact) or diag($n // 'undef');
    return;
}

sub fields {
    my ($r) = @_;
    return map { my $h = $_;
                 ($h => join ' | ', $r->header($h) // '') }
        qw(RateLimit-Policy RateLimit RateLimit-Limit RateLimit-Remaining
           RateLimit-Reset X-RateLimit-Limit X-RateLimit-Remaining
           X-RateLimit-Reset Retry-After);
}


sub h2 {
    my ($uri) = @_;
    my $h2 = $t->h2(port => 1);
    my $r = $h2->get($uri);
    $h2->close;
    return $r;
}

sub ways {
    my ($uri) = @_;
    return (['GET', sub { $t->get($uri) }], ['HEAD', sub { $t->head($uri) }],
            ['HTTP/2', sub { h2($uri) }]);
}


# Its numbers after one of it was charged, by requests that cost nothing but,
# of slots, their own.

sub admits {
    my ($s, $kind) = @_;
    my $uri = "/$s/$kind?k=a$kind";
    my $c = $kind eq 'slots' ? 1 : 0;

    $t->get("$uri&c=1") if !$c;

    for (ways("$uri&c=$c")) {
        my ($way, $get) = @$_;
        my $r = $get->();
        my %h = fields($r);
        my $name = "$s $kind, $way";

        is($r->status, 200, "$name: admitted");
        is($h{'RateLimit-Policy'}, qq("$s$kind";$policy{$kind}),
            "$name: the policy");

        my ($left, $seconds) = $h{RateLimit}
            =~ /^"$s$kind";r=(\d+)(?:;t=(\d+))?\z/;
        is($left, $limit{$kind} - 1, "$name: what remains");
        $kind eq 'slots'
            ? is($seconds, undef, "$name: nobody knows when there is more")
            : between($seconds, $more{$kind}, "$name: when there is one more");

        for my $x ('', 'X-') {
            is($h{"${x}RateLimit-Limit"}, $limit{$kind}, "$name: ${x}Limit");
            is($h{"${x}RateLimit-Remaining"}, $limit{$kind} - 1,
                "$name: ${x}Remaining");
            my $reset = $h{"${x}RateLimit-Reset"};
            $reset -= time if $x;
            between($reset, [$full{$kind}[0] - 1, $full{$kind}[1] + 1],
                "$name: ${x}Reset");
        }

        is($h{'Retry-After'}, '', "$name: no Retry-After");
    }

    return;
}


# A connection that holds slots until it is closed.

sub hold {
    my ($uri) = @_;
    my $c = $t->conn;

    $c->write(format_request('GET', "$uri&app_upgrade=1",
        headers => [Connection => 'upgrade', Upgrade => 'websocket']));
    $c->fill(now() + 10) while $c->{in} !~ /\r\n\r\n/ && !$c->error;
    die "not upgraded: $c->{in}" if $c->{in} !~ m{^HTTP/1\.1 101 };
    return $c;
}


sub refuses {
    my ($s, $kind) = @_;
    my $uri = "/$s/$kind?k=r$kind";
    my $c = hold("$uri&c=$limit{$kind}");

    for (ways("$uri&c=1")) {
        my ($way, $get) = @$_;
        my $r = $get->();
        my %h = fields($r);
        my $name = "$s $kind, $way";

        is($r->status, 429, "$name: refused");

        my ($seconds) = $h{RateLimit} =~ /^"$s$kind";r=0;t=(\d+)\z/;
        cmp_ok($seconds // 0, '>=', 1, "$name: nothing remains")
            or diag($h{RateLimit});
        is($h{'Retry-After'}, $seconds, "$name: Retry-After says the same");
        between($seconds, $retry{$kind}, "$name: the time of one");

        for my $x ('', 'X-') {
            is($h{"${x}RateLimit-Remaining"}, 0, "$name: ${x}Remaining");
            my $reset = $h{"${x}RateLimit-Reset"};
            $reset -= time if $x;
            between($reset, [$empty{$kind}[0] - 2, $empty{$kind}[1] + 1],
                "$name: ${x}Reset");
        }
    }

    $c->close;
    return;
}


sub several {
    my ($s) = @_;
    my $r = $t->get("/$s/all?k=all");
    my %h = fields($r);

    is($h{'RateLimit-Policy'},
        qq("${s}slots";$policy{slots}, "${s}quota";$policy{quota}, )
        . qq("${s}rate";$policy{rate}), "$s: several policies in one field");
    like($h{RateLimit},
        qr/^"${s}slots";r=2, "${s}quota";r=3;t=9[0-2], "${s}rate";r=4;t=[56]\z/,
        "$s: and what remains of each");
    is("$h{'RateLimit-Limit'} $h{'RateLimit-Remaining'}", '3 2',
        "$s: the smallest share in the forms with one value");

    # one refuses: that one is spoken of, and the others were not charged

    my $c = hold("/$s/slots?k=all&c=3");
    %h = fields($t->get("/$s/all?k=all"));
    is("$h{'RateLimit-Limit'} $h{'RateLimit-Remaining'} $h{'Retry-After'}",
        '3 0 1', "$s: then the one that refuses");
    like($h{RateLimit},
        qr/^"${s}slots";r=0;t=1, "${s}quota";r=3;t=9[0-2], "${s}rate";r=4;/,
        "$s: the others are not charged");

    %h = fields($t->get("/$s/watch?k=all"));
    like($h{RateLimit}, qr/^"${s}quota";r=2;t=9[0-2]\z/,
        "$s C16: of one that is watched nothing is told");
    $c->close;

    %h = fields($t->get("/$s/off?k=off"));
    is(join('', values %h), '', "$s: nothing at all, with off");

    $r = $t->get("/$s/problem?k=much");
    is_deeply($r->json->{'violated-policies'}, ["${s}quota"],
        "$s: a problem names the quota");
    between($r->header('Retry-After'), [90, 92],
        "$s: more than there ever is: the whole window");
    return;
}
