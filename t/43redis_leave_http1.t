#!/usr/bin/perl

# HTTP/1.1 clients that leave, half close, hurry or dawdle while Redis is being
# asked, and replies that come in the very turn of the event loop in which the
# client goes.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;
$t->fake;

$t->conf(<<'CONF', connections => 1024)->run;
readiness_redis main { server %%FAKE%%; timeout 8s; }
readiness_rate api key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness on;
    readiness_limit api cost=$arg_cost;
    location / { proxy_pass http://%%APP%%; }
    location /hasty/ {
        proxy_pass http://%%APP%%;
        client_body_timeout 200ms;
        send_timeout 200ms;
        lingering_timeout 200ms;
        lingering_time 1s;
        keepalive_timeout 200ms;
    }
}
CONF

my $fake = $t->fake;
my ($worker) = $t->workers;
my ($sent, %wanted) = (0);

srand 4711;

sub uri {
    my ($fits, $where) = @_;
    my $path = ($where || '/') . 'r' . ++$sent;
    $wanted{$path} = 1;
    return "$path?key=k$sent&cost=" . ($fits ? 1 : 5000);
}

sub bytes { return format_request('GET', uri(@_)) }

sub in_step {
    my ($name) = @_;
    $fake->pass;
    my $c = $t->conn;
    my @fits = map { int rand 2 } 1 .. 20;
    $c->write(join '', map { bytes($_) } @fits);
    is(join(' ', map { $c->response->status } @fits),
       join(' ', map { $_ ? 200 : 429 } @fits),
       "$name: replies are still in step (O3)");
    $c->close;
}

sub once {
    my ($name) = @_;
    my %seen;
    $t->wait_lines('decision.log', $sent, 30);
    $seen{ $_->{'url.path'} }++ for $t->lines;
    my @bad = grep { ($seen{$_} || 0) != 1 } sort keys %wanted;
    is("@bad", '', "$name: each request has exactly one line (O2)");
}

# Waits until N more calls have reached Redis.

my $asked = 0;

sub pending {
    my ($n) = @_;
    $fake->wait_count('EVALSHA', $asked + $n) or die 'no lookup';
    $asked = $fake->count('EVALSHA');
}

sub from_here { $asked = $fake->count('EVALSHA') }

sub line_of {
    my ($path, $name) = @_;
    wait_for { $t->lines('decision.log', 'url.path' => $path) } 10;
    my @l = $t->lines('decision.log', 'url.path' => $path);
    is(scalar @l, 1, "$name: one line");
    return $l[0];
}

in_step('at first');
my $fds = keys %{ $t->fds($worker) };


# F03

for my $how (qw(close reset shut_write)) {
    $fake->set(delay => 400, on => 'EVALSHA');
    from_here();
    my $c = $t->conn;
    $c->write(bytes(1));
    pending(1);
    $c->$how;
    my $line = line_of("/r$sent", "F03 $how");
    is($line->{'http.response.status_code'}, 499, "F03 $how: is a 499");
    is($line->{'readiness.decision'}, 'none', "F03 $how: nothing was decided");
    in_step("F03 $how");
}

$fake->set(delay => 150, on => 'EVALSHA');
from_here();
my $c = $t->conn;
my @fits = (1, 0, 0, 1, 0, 1, 1, 0);
my @bytes = map { bytes($_) } @fits;
$c->write(shift @bytes);
pending(1);
$c->write(join '', @bytes);
is(join(' ', map { $c->response->status } @fits),
   join(' ', map { $_ ? 200 : 429 } @fits),
   'F03 the next request is there already: the order is kept');
$c->close;

for my $how (qw(close reset)) {
    $fake->set(delay => 150, on => 'EVALSHA');
    from_here();
    $c = $t->conn;
    my $first = bytes(1);
    my $path = "/r$sent";
    $c->write($first);
    pending(1);
    $c->write(format_request('GET', '/pipelined?cost=1&key=never'));
    $c->$how;
    line_of($path, "F03 pipelined, then $how");
    in_step("F03 pipelined, then $how");
}

# a body that is on its way, none of which is read before the verdict

$fake->set(delay => 150, on => 'EVALSHA');
from_here();
$c = $t->conn;
$c->write(format_request('POST', uri(1), body => 'x' x 100000) . bytes(0));
is($c->response->status, 200, 'F03 a body behind the lookup is passed on');
is($t->app->last->{body_length}, 100000, 'F03 as a whole');
is($c->response->status, 429, 'F03 and the next request is understood');
$c->close;

$c = $t->conn;
$c->write(format_request('POST', uri(0), body => 'x' x 100000) . bytes(1));
is($c->response->status, 429, 'F03 a refused body');
is($c->response->status, 200, 'F03 is skipped');
$c->close;


# F04: every timeout of the client is shorter than the lookup

$fake->set(delay => 700, on => 'EVALSHA');
$c = $t->conn;
$c->write(format_request('GET', uri(1, '/hasty/')));
is($c->response->status, 200, 'F04 no timeout of the client counts meanwhile');
$c->close;

$c = $t->conn;
$c->write(substr format_request('POST', uri(1, '/hasty/'), body => 'x' x 99),
          0, -1);
is($c->response->error, 'closed', 'F04 client_body_timeout closes, after it');
is(line_of("/hasty/r$sent", 'F04')->{'readiness.decision'}, 'allow',
   'F04 the verdict was there before');
$c->close;

$c = $t->conn;
$c->write(substr format_request('POST', uri(0, '/hasty/'), body => 'x' x 99),
          0, -1);
is($c->response->status, 429, 'F04 a refusal does not wait for the body');
ok($c->closed_within(10), 'F04 and lingers no longer than it may');
$c->close;
in_step('F04');


# F05: the worker is stopped, and finds both when it goes on.  Batches of
# several, of which some have gone.

sub same_turn {
    my ($reply_first, $how, $http2) = @_;
    my $name = 'F05 ' . ($reply_first ? "the reply, then $how"
                                      : "$how, then the reply")
               . ($http2 ? ', HTTP/2' : '');

    $fake->set(delay => 60, on => 'EVALSHA');
    from_here();
    my @conn = map { $t->conn } 1 .. 12;
    $_->write(bytes(1)) for @conn;
    my $h2 = $t->h2(port => 1);
    my @ids = map { scalar $h2->open('GET', uri(1)) } 1 .. 30;
    my $stay = $t->conn;
    $stay->write(bytes(0));
    pending(1);

    my $replies = $fake->stats->{replies};
    $t->signal('STOP', $worker);
    my $reply = sub { wait_for { $fake->stats->{replies} > $replies } 10 };
    $reply->() if $reply_first;
    $conn[$_]->$how for 0 .. 7;
    if ($http2) { $h2->$how }
    else { $h2->rst($_) for @ids[0 .. 20] }
    $reply->() if !$reply_first;
    $t->signal('CONT', $worker);

    $fake->pass;
    is(join(' ', map { $_->response->status } @conn[8 .. 11], $stay),
       '200 200 200 200 429', "$name: who stays gets its verdict");
    $_->close for @conn, $stay;
    $h2->close;
    return $name;
}

my $name;
for my $round (1 .. 3) {
    for my $how (qw(close reset)) {
        $name = same_turn($_, $how, $round == 2) for 0, 1;
    }
}
in_step($name);


# the same at random

for (1 .. 25) {
    $fake->set(delay => [4, 12], on => 'EVALSHA');
    my @conn = map { $t->conn } 1 .. 8;
    $_->write(bytes(1)) for @conn;
    my $how = (qw(close reset))[rand 2];
    pause(0.002 + rand 0.012);
    $_->$how for @conn[0 .. 6];
    is($conn[7]->response->status, 200, 'F05 at random') if $_ == 25;
}
in_step('F05 at random');

once('at the end');
wait_for { keys %{ $t->fds($worker) } <= $fds + 1 } 10;
cmp_ok(scalar keys %{ $t->fds($worker) }, '<=', $fds + 1,
       'no descriptor is left but one to the application (O5)');
is($fake->stats->{accepted}, 1, 'one connection to Redis did it all');
is_deeply([$t->workers], [$worker], 'in one worker (O1)');

$t->done;
