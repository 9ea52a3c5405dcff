#!/usr/bin/perl

# Slots of concurrent limits, one by one: what they cost, who only watches, late
# replies, a Redis that has forgotten them, workers that end, HTTP/2, redirects.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;
my %store = (near => '', far => 'redis=main on_redis_error=deny',
             late => 'redis=late on_redis_error=deny',
             here => 'redis=late on_redis_error=local');
my ($rates, $locations) = ('', '');

for (sort keys %store) {
    $rates .= "readiness_rate $_ key=\$arg_k concurrent=3 $store{$_};\n";
    $locations .= <<"CONF";
location /$_ { readiness_limit $_; proxy_pass http://%%APP%%; }
location /$_/cost { readiness_limit $_ cost=\$arg_c;
                    proxy_pass http://%%APP%%; }
location /$_/watch { readiness_limit $_ monitor; proxy_pass http://%%APP%%; }
location /$_/monitor { readiness monitor; readiness_limit $_;
                       proxy_pass http://%%APP%%; }
location /$_/try { readiness_limit $_; root %%DIR%%;
                   try_files /none \@$_; }
location \@$_ { readiness_limit $_; proxy_pass http://%%APP%%; }
CONF
}

$t->allow(qr/readiness_redis "(?:main|late)"/);
$t->fake;

$t->conf(<<"CONF", workers => 2)->run;
readiness_redis main { server %%REDIS%%; timeout 5s; connect_timeout 5s; }
readiness_redis late { server %%FAKE%%; timeout 300ms; connect_timeout 5s;
                       breaker failures=100 retry=200ms; }
$rates
readiness on;
readiness_log %%DIR%%/decision.log;
proxy_read_timeout 10m;
proxy_http_version 1.1;
proxy_set_header Connection \$http_connection;
proxy_set_header Upgrade \$http_upgrade;
server {
    listen 127.0.0.1:%%PORT0%% reuseport;
    listen 127.0.0.1:%%PORT1%% http2;
    $locations
    location /inner { internal; readiness_limit near; readiness_limit far;
                      proxy_pass http://%%APP%%; }
}
CONF

my $unique = 0;

for (qw(near far)) {
    costs($_);
    watched($_);
    passed_on($_);
    http2($_);
    reloaded($_);
    worker_ends($_);
}

late();
forgotten();

$t->done;


# How many there are left, by a request that costs nothing; undef: it was
# refused.

sub left {
    my ($kind, $k) = @_;
    my ($n) = ($t->get("/$kind/cost?k=$k&c=0")->header('RateLimit') || '')
        =~ /r=(\d+)/;
    return $n;
}

sub comes {
    my ($kind, $k, $n, $fact) = @_;
    my $got;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    wait_for { $got = left($kind, $k); defined $got && $got == $n } 15;
    return is($got, $n, "$kind: $fact");
}


# A connection that holds its slots until it is closed; undef: refused.

sub hold {
    my ($uri) = @_;
    my $c = $t->conn;

    $c->write(format_request('GET', "$uri&app_upgrade=1",
        headers => [Connection => 'upgrade', Upgrade => 'websocket']));
    $c->fill(now() + 10) while $c->{in} !~ /\r\n\r\n/ && !$c->error;
    return $c->{in} =~ m{^HTTP/1\.1 101 } ? $c : undef;
}


sub costs {
    my ($kind) = @_;
    my $two = hold("/$kind/cost?k=c&c=2");

    comes($kind, 'c', 1, 'cost=2 takes two');
    is($t->get("/$kind/cost?k=c&c=2")->status, 429, "$kind: two do not fit");
    is($t->get("/$kind/cost?k=c&c=1")->status, 200, "$kind: one does");
    is($t->get("/$kind/cost?k=c&c=0")->status, 200, "$kind: cost=0 looks");

    comes($kind, 'c', 1, 'and takes none');
    is($t->get("/$kind/cost?k=c&c=4")->status, 429,
        "$kind: more than there are");
    $two->close;
    comes($kind, 'c', 3, 'both are left at once');
    return;
}


sub watched {
    my ($kind) = @_;
    my @held = map { hold("/$kind?k=m") } 1 .. 3;
    my @more = (hold("/$kind/watch?k=m"), hold("/$kind/monitor?k=m"));

    is(scalar(@held), 3, "$kind: all are held");
    is((grep { $_ } @more), 2, "$kind C16: who is watched passes");
    comes($kind, 'm', 0, 'C16: and holds none of them');
    $_->close for splice(@held, 0, 2), @more;
    comes($kind, 'm', 2, 'C16: nor leaves one');

    my $watched = hold("/$kind/watch?k=m");
    comes($kind, 'm', 1, 'C16: it is counted where it fits');
    $watched->close;
    $held[0]->close;
    comes($kind, 'm', 3, 'all are free');
    return;
}


# try_files, and the application's own redirects: one slot, until the end.

sub passed_on {
    my ($kind) = @_;
    my $c = hold("/$kind/try?k=p");

    comes($kind, 'p', 2, 'C08: one for a request that was passed on');
    $c->close;
    comes($kind, 'p', 3, 'C08: which is left once');

    my $inner = "/inner%3Fk=p";
    is($t->get("/$kind?k=p&app_header=X-Accel-Redirect:%20$inner")->status, 200,
        "$kind: X-Accel-Redirect");
    comes($kind, 'p', 3, 'C08: the slots of both locations are left');
    return;
}


# Streams that are reset, one by one and with their connection.

sub http2 {
    my ($kind) = @_;
    my $h2 = $t->h2(port => 1);
    my @id = map { $h2->open('GET', "/$kind?k=h&app_drip=20&app_length=5000"
                . '&app_header=X-Accel-Buffering:%20no') } 1 .. 3;

    comes($kind, 'h', 0, 'F01: three streams');
    $h2->rst($id[0]);
    comes($kind, 'h', 1, 'F01: one is reset');
    $h2->reset;
    comes($kind, 'h', 3, 'F01: and the connection');

    # all at once, none of them waited for

    for (1 .. 10) {
        $h2 = $t->h2(port => 1);
        $h2->rst($h2->open('GET', "/$kind?k=h&app_delay=1000")) for 1 .. 10;
        $h2->close;
    }

    comes($kind, 'h', 3, 'F01: a hundred that were reset');
    return;
}


sub reloaded {
    my ($kind) = @_;
    my @held = map { hold("/$kind?k=r") } 1 .. 3;

    $t->reload;
    is(left($kind, 'r'), 0, "$kind H01: held by old workers");
    $_->close for @held;
    comes($kind, 'r', 3, 'H01: until they end');
    $t->wait_old_workers;
    return;
}


# A worker that is told to end at once takes its connections with it, and
# leaves their slots: not after a minute only.

sub worker_ends {
    my ($kind) = @_;
    my @held = map { hold("/$kind?k=e") } 1 .. 3;
    my @worker = $t->workers;

    is(left($kind, 'e'), 0, "$kind H02: all are held");
    kill 'TERM', @worker;
    wait_for { my %new = map { $_ => 1 } $t->workers;
               keys %new == 2 && !grep { $new{$_} } @worker } 15;
    comes($kind, 'e', 3, 'H02: and free when their workers have ended');
    $_->close for @held;
    return;
}


# Redis grants a slot when nobody waits for it any more.

sub late {
    my $fake = $t->fake;

    for my $kind (qw(late here)) {
        left($kind, 'l');

        for my $rule ([delay => 900], ['swallow'], [close => 3]) {
            $fake->set(@$rule, on => 'EVALSHA', times => 1);
            my $status = $t->get("/$kind?k=l")->status;
            is($status, $kind eq 'late' ? 503 : 200, "$kind G01: @$rule");
            $fake->pass;
            comes($kind, 'l', 3, "G01: @$rule: nobody holds what came late");
        }

        # nor is one kept that nobody heard was left

        $fake->clear;
        my $left = hold("/$kind?k=l");
        comes($kind, 'l', 2, 'G01: one is held');
        $fake->set('ignore', on => 'EVALSHA', times => 1);
        $left->close;
        wait_for { ($fake->stats->{did}{ignore} || 0) > 0 } 10,
            "$kind G01: that it is left is lost";
        comes($kind, 'l', 3, 'G01: it is left');
        $fake->pass;

        # and what was decided here meanwhile is told afterwards

        next if $kind eq 'late';
        $fake->set('swallow', on => 'EVALSHA', times => 1);
        my $c = hold("/$kind?k=l");
        $fake->pass;
        comes($kind, 'l', 2, 'G01: held since before Redis answered again');
        $c->close;
        comes($kind, 'l', 3, 'G01: and left');
    }

    return;
}


# Redis is restarted and knows nothing: it is told before it is asked.

sub forgotten {
    my @held = map { hold("/far?k=$_") } qw(f f g);
    my ($old) = $t->redis->pid;

    for my $n (1, 2) {
        $t->redis->restart;

        my $more = 0;
        wait_for { my $l = left('far', 'f'); defined $l && $l == 1 } 15,
            "G14: restart $n: two are held";
        for (1 .. 40) {
            my $l = left('far', 'f');
            $more++ if defined $l && $l != 1;
        }
        is($more, 0, 'G14: whichever worker asks');
        comes('far', 'g', 2, 'G14: and one of another key');
    }

    (shift @held)->close;
    comes('far', 'f', 2, 'G14: one ends');
    $_->close for @held;
    comes('far', $_, 3, 'G14: all end') for qw(f g);

    my @keys = $t->redis->keys('*');
    my @slots = grep { /far/ } @keys;
    is((grep { $t->redis->cli('PTTL', $_) < 0 } @slots), 0, 'C15: none stays');
    return;
}
