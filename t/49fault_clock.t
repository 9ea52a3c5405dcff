#!/usr/bin/perl

# Clocks that are set while limits count: that of Redis, that of nginx, by an
# hour and by ten years, and back.  Nobody is locked out for longer than a
# window, nobody gets more than one window for nothing.  C14.

use strict;
use warnings;

use List::Util qw(max);
use Test::More;

use Readiness;

use constant { BURST => 4, WINDOW => 2 };           # 4 in 2 s: 2 a second

my $t = Readiness->new;
my %steps = ('+1h' => 3600, '-1h' => -3600, '+5m' => 300,
             '+10y' => 10 * 365 * 86400);
my @steps = sort { $steps{$a} <=> $steps{$b} } keys %steps;

# The wall clock of whoever has this environment is a file, of as many seconds
# as are added; how time passes is not changed.

my $lib = $t->path('clock.so');
my ($code, $said) = $t->command('cc', '-O1', '-Wall', '-Werror', '-shared',
    '-fPIC', '-o', $lib, $t->repo . '/t/lib/clock.c');
is($code . $said, '0', 'a clock to be set');

sub clock_env {
    my ($name) = @_;
    $t->file("clock.$name", pack 'q', 0);
    return { LD_PRELOAD => $lib, TEST_CLOCK => $t->path("clock.$name") };
}

sub set_clock {
    my ($name, $seconds) = @_;
    open my $fh, '+<:raw', $t->path("clock.$name") or die $!;
    syswrite $fh, pack 'q', $seconds;
    close $fh;
    return;
}


# A Redis for each step, and one whose clock is right for an nginx whose is not

my ($redis, $places) = ('', '');
for my $i (0 .. $#steps) {
    my $server = $t->redis($i, env => clock_env("redis$i"))->addr;
    $redis .= "readiness_redis r$i { server $server; timeout 5s; }\n"
        . "readiness_rate r$i key=\$arg_key rate=4r/2s redis=r$i"
        . " on_redis_error=deny;\n";
    $places .= "location /r$i/ { readiness_limit r$i; empty_gif; }\n";
}

$t->conf(<<"CONF")->run;
$redis
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    keepalive_requests 1000000;
$places
}
CONF

my @rows = map { { name => "Redis $steps[$_]", clock => "redis$_", step =>
                   $steps[$_], uri => "/r$_/", t => $t } } 0 .. $#steps;

# nginx, whose limits are in its zone and in a Redis

my @nginx;
if ($t->built !~ /-fsanitize/ && !$ENV{READINESS_WRAPPER}) {
    $t->redis(9);

    for my $i (0 .. $#steps) {
        my $n = Readiness->new(env => clock_env("nginx$i"));
        $n->subst(REDIS => $t->redis(9)->addr);
        $n->conf(<<"CONF")->run;
readiness_redis main { server %%REDIS%%; timeout 5s; }
readiness_rate zone key=\$arg_key rate=4r/2s;
readiness_rate main key=$i key=\$arg_key rate=4r/2s redis=main
               on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    keepalive_requests 1000000;
    location /zone/ { readiness_limit zone; empty_gif; }
    location /main/ { readiness_limit main; empty_gif; }
}
CONF
        push @nginx, $n;
        push @rows, map { { name => "nginx $steps[$i], $_", step => $steps[$i],
                            clock => "nginx$i", uri => "/$_/", t => $n } }
                    qw(zone main);
    }
}


# Everybody asks all the time: when each was admitted.

$_->{conn} = $_->{t}->conn for @rows;
my $from = now();

sub ask_until {
    my ($end) = @_;

    while (now() < $end) {
        $_->{conn}->write(format_request('GET', "$_->{uri}?key=busy"))
            for @rows;

        for my $row (@rows) {
            my $status = $row->{conn}->response->status;
            push @{ $row->{admitted} }, now() if $status == 200;
            push @{ $row->{odd} }, $status if $status !~ /^(?:200|429)\z/;
        }

        pause(0.02);
    }

    return;
}

# Who spent all and then asks no more, until the window is over

sub ask {
    my ($row, $key) = @_;
    return $row->{t}->get("$row->{uri}?key=$key")->status;
}

sub spend {
    my ($key) = @_;
    for my $row (@rows) { ask($row, $key) for 1 .. BURST + 1 }
    return;
}

# Redis cannot know how long ago that was once its clock was set back; from when
# it sees who asks on it can.

sub admitted_again {
    my ($key, $when, $since) = @_;
    my %no = map { $_->{name} => $_ } @rows;

    ask_until($since + WINDOW + 0.3);
    my $first = now();

    wait_for {
        ask_until(now() + 0.03);
        delete @no{ grep { ask($no{$_}, $key) == 200 } keys %no };
        !%no || now() > $first + WINDOW + 1;
    } 10;

    is(join(', ', sort keys %no), '', "C14 $when: who has asked for nothing"
       . ' meanwhile is admitted, after a window at most');
    return;
}


ask_until($from + 1.2 * WINDOW);

my @at;
for my $when ('set', 'set back') {
    my $key = 'idle' . @at;
    spend($key);
    my $spent = now();

    set_clock($_->{clock}, $when eq 'set' ? $steps{ $_->{step} } : 0)
        for @rows;
    push @at, now();
    ask_until(now() + 1.2 * WINDOW);
    admitted_again($key, $when, $spent);
    ask_until(now() + 0.3);
}

my $end = now();
my $took = $end - $from;


# That the clocks were set at all

for my $i (0 .. $#steps) {
    my ($step, $r) = ($steps[$i], $t->redis($i));
    set_clock("redis$i", $steps{$step});
    my $differs = $r->cli('TIME')->[0] - time - $steps{$step};
    cmp_ok(abs $differs, '<', 60, "C14 Redis $step: its clock was set");

    my $n = $nginx[$i] or next;
    my %minute = map { substr($_->{timestamp}, 0, 16) => 1 } $n->lines;
    cmp_ok(scalar keys %minute, '>=', 2, "C14 nginx $step: its clock was set");
}


# The gap at each step, what came in the second after it, and all in all

for my $row (@rows) {
    my @t = ($from, @{ $row->{admitted} }, $end);
    my $gap = max(map { $t[$_] - $t[$_ - 1] } 1 .. $#t);
    my $burst = max(map { my $at = $_;
                          scalar grep { $_ >= $at && $_ < $at + 1 } @t } @at);
    my $all = @{ $row->{admitted} };
    my $fair = BURST + $took * BURST / WINDOW;

    is(join(' ', @{ $row->{odd} || [] }), '', "C14 $row->{name}: decided");
    cmp_ok($gap, '<', WINDOW + 1, "C14 $row->{name}: nobody is locked out for"
           . ' longer than a window');
    cmp_ok($burst, '<=', BURST + BURST / WINDOW + 2,
           "C14 $row->{name}: no more than a window for nothing");
    cmp_ok($all, '<=', $fair + 2 * BURST + 2,
           "C14 $row->{name}: and a window for each step");
    note(sprintf '%s: %d admitted in %.1f s (%.0f are due), %d in the second'
         . ' after a step, gap at most %.2f s', $row->{name}, $all, $took,
         $fair, $burst, $gap);
}

# nothing is there for ever

for my $i (0 .. $#steps) {
    set_clock("redis$i", 0);
    my $r = $t->redis($i);
    ok(!(grep { $r->cli('PTTL', $_) == -1 } $r->keys),
       "C15 Redis $steps[$i]: each key goes away");
}

$t->done;
