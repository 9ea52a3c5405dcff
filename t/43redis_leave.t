#!/usr/bin/perl

# HTTP/2 clients that leave while Redis is being asked: their lookups are
# detached, each has its one line, and nobody gets another one's verdict.

use strict;
use warnings;
use List::Util qw(shuffle);
use Test::More;
use Readiness;

my $t = Readiness->new;
$t->fake;
$t->app(0);

# The cost decides: 1 fits, 5000 never does.

$t->conf(<<'CONF', connections => 2048)->run;
readiness_redis main { server %%FAKE%%; timeout 5s; }
readiness_rate api key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_rate two key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%% http2;
    readiness on;
    location / {
        readiness_limit api cost=$arg_cost;
        root %%DIR%%/www;
        try_files /page =404;
    }
    location /accel/ {
        readiness_limit api cost=$arg_cost;
        proxy_pass http://%%APP%%/?app_accel=/second/page;
    }
    location /second/ {
        internal;
        readiness_limit two;
        root %%DIR%%/www;
        try_files /page =404;
    }
}
CONF

mkdir $t->path('www');
$t->file('www/page', 'x' x 3000);

my $fake = $t->fake;
my ($worker) = $t->workers;
my $sent = 0;
my %wanted;

srand 4711;


# The next request: its path is its own, so that its line can be found.

sub uri {
    my ($fits, $where) = @_;
    my $path = ($where || '/') . 'r' . ++$sent;
    $wanted{$path} = 1;
    return "$path?key=k$sent&cost=" . ($fits ? 1 : 5000);
}

sub once {
    my ($name) = @_;
    my %seen;
    my $log = $t->path('decision.log');
    wait_for { (slurp($log) =~ tr/\n//) >= $sent } 30;
    $seen{$_}++ for slurp($log) =~ /"url\.path":"([^"]*)"/g;
    my @bad = grep { ($seen{$_} || 0) != 1 } sort keys %wanted;
    is(scalar @bad, 0, "$name: each request has exactly one line (O2)")
        or diag("such as @bad[0 .. ($#bad > 5 ? 5 : $#bad)]");
    is(scalar(grep { !$wanted{$_} } keys %seen), 0, "$name: and no other");
}

sub in_step {
    my ($name) = @_;
    my $c = $t->h2;
    my (%fits, $all);
    for (1 .. 40) {
        my $fits = int rand 2;
        my ($id, $bytes) = $c->open('GET', uri($fits), hold => 1);
        $fits{$id} = $fits;
        $all .= $bytes;
    }
    $c->bytes($all);
    my @wrong = grep { $c->wait($_)->status != ($fits{$_} ? 200 : 429) }
                sort { $a <=> $b } keys %fits;
    is("@wrong", '', "$name: replies are still in step (O3)");
    $c->close;
}

sub level {
    my ($name, $rss, $fds) = @_;
    wait_for { keys %{ $t->fds($worker) } <= $fds } 20;
    my $now = keys %{ $t->fds($worker) };
    cmp_ok($now, '<=', $fds, "$name: no descriptor is left (O5)");

  SKIP: {
        skip('a sanitizer keeps what was freed', 1)
            if $t->built =~ /-fsanitize/ || $ENV{READINESS_WRAPPER};
        cmp_ok($t->rss($worker) - $rss, '<', 3 * 1024,
               "$name: memory is back (O5)");
    }
}


# One hundred streams on each of COUNT connections, all but one of which leave
# about the time that their reply comes.

sub rapid_reset {
    my ($count) = @_;
    my ($wrong, @open) = (0);

    for my $n (1 .. $count) {
        my $c = $t->h2;
        my ($all, @ids, $fits) = ('');
        for (1 .. 100) {
            $fits = int rand 2;
            my ($id, $bytes) = $c->open('GET', uri($fits), hold => 1);
            push @ids, $id;
            $all .= $bytes;
        }
        $c->bytes($all);
        push @open, [$c, pop @ids, $fits, join '',
                     map { $c->frame_bytes(3, 0, $_, pack 'N', 8) }
                     shuffle @ids];
        if (@open >= 4) {
            my $x = splice @open, int rand @open, 1;
            $x->[0]->bytes($x->[3]);
            $wrong += $x->[0]->wait($x->[1])->status != ($x->[2] ? 200 : 429);
            $x->[0]->close;
        }
    }

    for my $x (@open) {
        $x->[0]->bytes($x->[3]);
        $wrong += $x->[0]->wait($x->[1])->status != ($x->[2] ? 200 : 429);
        $x->[0]->close;
    }

    return $wrong;
}

in_step('at first');
$fake->set(delay => [0, 20], on => 'EVALSHA');
rapid_reset(10);
wait_for { keys %{ $t->fds($worker) } <= 40 } 10;

my $rss = $t->rss($worker);
my $fds = keys %{ $t->fds($worker) };
my $before = $sent;

is(rapid_reset(60), 0, 'F01 a stream that stays gets its own verdict (O3)');
$fake->pass;
once('F01 rapid reset');
my @none = grep { /"readiness\.decision":"none"/ }
           split /\n/, slurp($t->path('decision.log'));
my $gone = @none;
cmp_ok($gone, '>=', ($sent - $before) / 4,
       "F01 $gone of $sent lookups were abandoned");
is(scalar(grep { !/"http\.response\.status_code":499/ } @none), 0,
   'F01 they are told as 499, without a decision');
in_step('F01 rapid reset');
level('F01 rapid reset', $rss, $fds);


# Whole connections that go, with a hundred lookups each.

$fake->set(delay => [0, 10], on => 'EVALSHA');
for my $n (1 .. 20) {
    my $c = $t->h2;
    $c->bytes(join '', map { ($c->open('GET', uri(1), hold => 1))[1] }
                       1 .. 100);
    $c->ping if $n % 2;
    $n % 3 ? $c->reset : $c->close;
}
$fake->pass;
in_step('F01 connections that are reset or closed');


# F02: what else may come on a stream or a connection that waits

my %does = (
    'F02 DATA after RST_STREAM' => sub {
        my ($c) = @_;
        my $id = $c->open('POST', uri(1), end => 0);
        $c->rst($id);
        $c->data($id, 'x' x 100, force => 1);
    },
    'F02 half a body, then RST_STREAM' => sub {
        my ($c) = @_;
        my $id = $c->open('POST', uri(1), end => 0,
                          headers => ['content-length' => 2000]);
        $c->data($id, 'x' x 1000, end => 0);
        $c->rst($id);
    },
    'F02 GOAWAY' => sub {
        my ($c) = @_;
        $c->open('GET', uri(1)) for 1 .. 5;
        $c->goaway;
    },
    'F02 a flood of SETTINGS' => sub {
        my ($c) = @_;
        $c->open('GET', uri(1)) for 1 .. 5;
        $c->settings(4 => 65535 - $_) for 1 .. 200;
    },
    'F02 window 0' => sub {
        my ($c) = @_;
        $c->settings(4 => 0);
        my @ids = map { scalar $c->open('GET', uri(1)) } 1 .. 5;
        $c->rst($_) for @ids[0, 1, 2];
    },
    'F02 CONTINUATION' => sub {
        my ($c) = @_;
        my $id = $c->open('GET', uri(1), split => 7);
        $c->rst($id);
    },
    'F02 WINDOW_UPDATE beyond the limit' => sub {
        my ($c) = @_;
        my $id = $c->open('GET', uri(1));
        $c->open('GET', uri(1));
        $c->open_window($id, 0x7fffffff) for 1 .. 2;
    },
    'F02 a broken frame' => sub {
        my ($c) = @_;
        $c->open('GET', uri(1)) for 1 .. 5;
        $c->frame(8, 0, 1, 'xx');
    },
);

for my $name (sort keys %does) {
    $fake->set(delay => [5, 15], on => 'EVALSHA');
    for (1 .. 15) {
        my $c = $t->h2;
        $does{$name}->($c);
        $c->ping if rand() < 0.5;
        rand() < 0.5 ? $c->close : $c->reset;
    }
    $fake->pass;
    in_step($name);
}


# F07: the second lookup of a request, in the location it was redirected to

$fake->set(delay => [0, 10], on => 'EVALSHA');
for (1 .. 10) {
    my $c = $t->h2;
    my @ids = map { scalar $c->open('GET', uri(1, '/accel/')) } 1 .. 20;
    is($c->wait($ids[0])->status, 200, 'F07 two lookups, one answer')
        if $_ == 1;
    $c->wait($ids[1]);
    $c->rst($_) for @ids[2 .. 19];
    $c->close;
}
$fake->pass;
in_step('F07 two lookups in one request');

once('at the end');
level('at the end', $rss, $fds);
is($fake->stats->{accepted}, 1, 'one connection to Redis did it all');
is_deeply([$t->workers], [$worker], 'in one worker (O1)');

$t->done;
