#!/usr/bin/perl

# Refused on one worker while the other throws that very cell out of a zone that
# is far too small, with Redis there, slow and gone; clients leave meanwhile.
# F08.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Many;

my $t = Readiness->new;
my $fake = $t->fake;

$t->conf(<<'CONF', workers => 2, connections => 1024)->run;
readiness_zone 64k;
readiness_redis main { server %%FAKE%%; timeout 5s; connect_timeout 200ms; }
readiness_rate zone key=$arg_key rate=2r/d;
readiness_rate other key=$arg_key rate=2r/d;
readiness_rate local key=$arg_key rate=2r/d redis=main;
readiness_rate deny key=$arg_key rate=2r/d redis=main on_redis_error=deny;
readiness on;
readiness_problem off;
keepalive_requests 1000000;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness_log %%DIR%%/decision.log;
    location /zone/ { readiness_limit zone; empty_gif; }
    location /both/ { readiness_limit zone; readiness_limit other; empty_gif; }
    location /local/ { readiness_limit local; empty_gif; }
    location /deny/ { readiness_limit deny; empty_gif; }
    location /all/ { readiness_limit zone; readiness_limit local; empty_gif; }
}
CONF

my @worker = sort $t->workers;
my ($sent, $lost) = (0, 0);
my @places = qw(zone both local all);

srand 4711;


# Few keys that are refused all the time, between many that push them out.

sub flood {
    my ($name, $n, @at) = @_;
    my $left = $n;
    my %got;

    my $error = Readiness::Many::run($t, h1 => 12, h2 => 4, depth => 25,
        next => sub {
            return if $left-- <= 0;
            $sent++;
            my $key = rand() < 0.4 ? 'hot' . int rand 5 : "cold$sent";
            return "/$at[rand @at]/r$sent?key=$key";
        },
        got => sub { $got{$_[1]}++ });

    is($error, '', "$name: each request has an answer (O2)");
    is_deeply([grep { !/^(?:200|429)\z/ } keys %got], [],
              "$name: one of the two");
    ok($got{200} && $got{429}, "$name: $got{200} admitted, $got{429} refused");
    return;
}

# Who asks for a key that is refused, and leaves; others need its cell.

sub leave {
    my ($rounds) = @_;

    for (1 .. $rounds) {
        my $c = $t->h2(port => 1);
        my @ids = map {
            $sent++;
            my $key = $_ % 2 ? 'hot' . $_ % 5 : "gone$sent";
            scalar $c->open('GET', "/$places[$_ % 4]/r$sent?key=$key");
        } 1 .. 60;
        $c->rst($_) for @ids[0 .. 49];
        pause(rand 0.01);

        # what nginx had not read of a connection that is reset is lost

        if (rand() < 0.5) { $c->reset; $lost += @ids }
        else              { $c->close }
    }

    return;
}


flood('F08 Redis is there', 4000, @places);
$fake->set(delay => [0, 20], on => 'EVALSHA');
leave(20);
flood('F08 Redis is slow', 2000, @places);
$fake->down(rst => 1);
leave(20);
flood('F08 Redis is gone', 6000, @places);
$fake->up;
$fake->pass;

my $n = 0;
ok((wait_for {
        $sent++;
        $t->get("/deny/r$sent?key=new" . ++$n)->status == 200;
    } 10), 'F08 Redis decides again (O5)');

# a key that nobody pushes out is counted as ever

is(join(' ', map { $sent++; $t->get("/zone/r$sent?key=calm")->status } 1 .. 4),
   '200 200 429 429', 'F08 the zone counts');

is_deeply([sort $t->workers], \@worker, 'F08 no worker is lost (O1)');

my %seen;
my $log = $t->path('decision.log');
my $least = $sent - $lost;
wait_for { (slurp($log) =~ tr/\n//) >= $least } 20;
$seen{$_}++ for slurp($log) =~ /"url\.path":"([^"]*)"/g;
is(scalar(grep { $_ > 1 } values %seen), 0, 'F08 no request has two lines');
cmp_ok(scalar keys %seen, '>=', $least, 'F08 each that was read has one (O2)');

$t->done;
