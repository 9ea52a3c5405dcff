#!/usr/bin/perl

# A reply of Redis that is well formed and too short, by every number of bytes:
# whoever finds nothing in it is answered by policy, those before it as Redis
# said, and no slot is left behind.  G06, G07.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;
my $fake = $t->fake;
my %rates = (rate => 'rate=1000r/d', quota => 'quota=1000/1d',
             slots => 'concurrent=5');
my $rates = join '', map {
    "readiness_rate $_ key=\$arg_k $rates{$_} redis=main "
    . "on_redis_error=deny;\n" } sort keys %rates;

$t->conf(<<"CONF", workers => 1)->run;
readiness_redis main { server %%FAKE%%; timeout 10s; connect_timeout 10s;
                       breaker off; }
$rates
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    location /rate { readiness_limit rate; proxy_pass http://%%APP%%; }
    location /all { readiness_limit quota; readiness_limit slots;
                    readiness_limit rate; proxy_pass http://%%APP%%; }
    location /look { readiness_limit slots cost=0; proxy_pass http://%%APP%%; }
}
CONF

# a number of 8 bytes, then what the script says: as in rdy_batch.h

use constant NUMBER => 8;

my %len = ('/rate' => 3 * 8, '/all' => 1 + 1 + 4 * 8 + 1 + 8 + 1 + 2 * 8);

for my $uri (sort keys %len) {
    is($t->get("$uri?k=first")->status, 200, "$uri: all of it");

    my @status;
    for my $n (0 .. $len{$uri} - 1) {
        $t->get('/look?k=cut');         # behind what is still told of slots
        $fake->set(cut => NUMBER + $n, on => 'EVALSHA', times => 1);
        push @status, $t->get("$uri?k=cut")->status;
    }

    is((grep { $_ == 503 } @status), $len{$uri},
        "G07: $uri: by policy, whatever is missing of $len{$uri} bytes")
        or diag("@status");

    $t->get('/look?k=cut');
    $fake->set(cut => NUMBER + $len{$uri}, on => 'EVALSHA', times => 1);
    is($t->get("$uri?k=cut")->status, 200, "$uri: nothing is missing");
    $fake->pass;
    is($t->get("$uri?k=cut")->status, 200, "$uri: and all is well");
}

free();

# of several in one call some were answered

my ($ok, $denied, $other) = (0, 0, 0);

for my $n (1 .. 60) {
    $fake->set(delay => 5, on => 'EVALSHA', times => 1);
    $fake->rule(cut => NUMBER + 2 * $n, on => 'EVALSHA', times => 1);

    for my $r ($t->burst(12, '/all?k=' . $n % 3)) {
        $r->status == 200 ? $ok++ : $r->status == 503 ? $denied++
            : $r->status == 429 ? 0 : $other++;
    }

    $fake->pass;
}

is($other, 0, 'G07: nothing but admitted, refused and unavailable');
ok($ok > 60 && $denied, "G07: $ok admitted, $denied unavailable");
free();

$t->done;


sub free {
    for my $k ('cut', 0 .. 2) {
        wait_for {
            ($t->get("/look?k=$k")->header('RateLimit') || '') =~ /r=5\z/;
        } 15, "G07: no slot of $k is left behind";
    }
    return;
}
