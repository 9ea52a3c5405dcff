#!/usr/bin/perl

# quota=N/PERIOD in the zone and in Redis: when what was spent comes back, what
# a reload with other numbers changes (nothing that was spent), and a zone that
# is too small.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

conf(far => '3/1d', wide => '500/1d');
$t->run;

window($_) for qw(z r);
changed($_) for qw(z r);
crowded();

$t->done;


sub conf {
    my (%n) = @_;
    my ($rates, $locations) = ('', '');

    for (['z', ''], ['r', 'redis=main']) {
        my ($s, $redis) = @$_;
        $rates .= "readiness_rate ${s}near key=\$arg_k quota=3/2s $redis;\n"
                . "readiness_rate ${s}far key=\$arg_k quota=$n{far} $redis;\n";
        $locations .= "location /$s/$_ { readiness_limit $s$_ cost=\$arg_c; "
                    . "proxy_pass http://%%APP%%; }\n" for qw(near far);
    }

    $t->conf(<<"CONF", workers => 2);
readiness_zone 256k;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
$rates
readiness_rate many key=\$arg_k quota=$n{wide};
readiness on;
keepalive_requests 1000000;
server {
    listen 127.0.0.1:%%PORT0%% reuseport;
    $locations
    location /many { readiness_limit many; empty_gif; }
}
CONF
    return;
}


sub left {
    my ($uri) = @_;
    my ($n) = ($t->get($uri)->header('RateLimit') || '') =~ /r=(\d+)/;
    return $n;
}


# One, and one second later two: one comes back after two seconds, never
# earlier and at most a 60th of them later.  What an nginx remembers of Redis
# may be 100 ms late on top.

sub window {
    my ($s) = @_;
    my $late = 2 * 61 / 60 + ($s eq 'r' ? 0.1 : 0);
    my (@sent, @seen);

    for my $n (1, 2) {
        push @sent, now();
        is($t->get("/$s/near?k=w&c=$n")->status, 200, "$s: $n at a time");
        push @seen, now();
        wait_for { now() > $seen[0] + 1 } 10 if $n == 1;
    }

    for my $i (0, 1) {
        my ($refused, $from, $back);

        wait_for {
            $from = now();
            my $status = $t->get("/$s/near?k=w&c=1")->status;
            $back = now();
            $refused = $from if $status == 429;
            $status == 200;
        } 20, "$s: is admitted again";

        cmp_ok($back - $sent[$i], '>=', 2, "$s: never early");
        ok(defined $refused && $refused - $seen[$i] <= $late,
            "$s: at most a 60th late") or diag(($refused // 0) - $seen[$i]);
    }

    return;
}


sub changed {
    my ($s) = @_;
    my $uri = "/$s/far?k=changed";

    $t->get("$uri&c=1") for 1, 2;
    is(left("$uri&c=0"), 1, "$s: two of three a day are spent");

    for (['10/1d', 8], ['10/1h', 8], ['3/300d', 1], ['1/1d', 0], ['3/15m', 1])
    {
        my ($n, $want) = @$_;
        conf(far => $n, wide => '500/1d');
        $t->reload;
        is(left("$uri&c=0"), $want, "$s: $n after a reload: so it is still");
    }

    is($t->get("$uri&c=2")->status, 429, "$s: two do not fit");
    is($t->get("$uri&c=1")->status, 200, "$s: one does");

    # what was spent a moment ago has left so short a window soon

    conf(far => '3/1s', wide => '500/1d');
    $t->reload;
    wait_for { left("$uri&c=0") == 3 } 10, "$s: 3/1s: all of it has left";
    conf(far => '3/1d', wide => '500/1d');
    $t->reload;
    is(left("$uri&c=0") >= 0, 1, "$s: and back");
    return;
}


# A zone too small for the keys of one rate: the others' are kept.

sub crowded {
    is($t->get('/z/far?k=kept&c=3')->status, 200, 'all of a quota is spent');

    my $c = $t->conn;
    my $n = 20_000;
    my ($sent, $ok) = (0, 0);

    while ($ok < $n) {
        my $batch = '';
        for (1 .. 200) {
            $sent++;
            $batch .= "GET /many?k=c$sent HTTP/1.1\r\nHost: a\r\n\r\n";
        }
        $c->write($batch);
        for (1 .. 200) {
            my $r = $c->response or last;
            $ok += $r->status == 200;
        }
        last if $c->error;
    }

    is($ok, $n, 'H06: thousands of keys of another, in a zone for hundreds');
    is($t->get('/z/far?k=kept&c=1')->status, 429,
        'H06: that one is still spent');
    is($t->get("/many?k=c$n")->status, 200, 'H06: and those are counted');
    is(left("/many?k=c$n"), 497, 'H06: one after the other');
    return;
}
