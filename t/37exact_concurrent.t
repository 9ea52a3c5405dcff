#!/usr/bin/perl

# concurrent=N: never more than N in flight at the application at any moment, of
# three nginx or of the workers of one; and whatever becomes of a request, its
# place is free when it has ended.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Exact qw(in_flight);

use constant { N => 4, HOLD => 0.05 };

my $e = Readiness::Exact->new(3);
my $t = $e->t;

my %far = (kind => 'concurrent', n => N,
           more => 'redis=main on_redis_error=deny');
my %near = (%far, more => '');

$t->fake;

$e->run(workers => 2,
    subst => { SHARED => $t->redis->addr, LATE => $t->fake->addr },
    http => 'readiness_redis main { server %%SHARED%%; timeout 20s; '
            . 'connect_timeout 20s; }'
            . 'readiness_redis late { server %%LATE%%; timeout 20s; '
            . 'connect_timeout 20s; }',
    rates => { far => \%far, near => \%near,
               late => { %far, more => 'redis=late on_redis_error=deny' } },
    at => { '/far' => ['far'], '/near' => ['near'], '/late' => ['late'] });

my %of;
for my $i (0 .. 2) { $of{$_} = $i for $e->t($i)->workers }

my %where = (far => [$e->all], near => [$t]);

overload();
ends($_) for qw(far near);
abandoned();
failed();

$t->done;


sub overload {
    $t->app->set($_, { delay => 1000 * HOLD }) for qw(/far /near /late);
    my $got = $e->flood(8, undef, '/far', '/near');
    $t->app->set($_, undef) for qw(/far /near /late);

    $e->agreed($got);

    my @far = @{ $got->{seen}{'/far'} };
    is(in_flight(HOLD, @far), N, 'far: ' . @far . ' requests of three nginx: '
        . 'at most ' . N . ' in flight, and as many');
    cmp_ok(scalar(@far), '>', 0.4 * N * 8 / HOLD, 'far: slots are not left');

    for my $i (0 .. 2) {
        my @near = grep { $of{ $_->[2] } == $i } @{ $got->{seen}{'/near'} };
        is(in_flight(HOLD, @near), N, "near: the same of the zone of nginx $i");
    }

    return;
}


# Takes a place on an nginx, and holds it: the connection, once the application
# has begun to answer.  A place that was left a moment ago may not be free yet,
# so it may be asked for more than once.

sub take {
    my ($nginx, $uri, $seconds, @headers) = @_;
    my $c;

    wait_for {
        $c = $nginx->conn;
        $c->write(format_request('GET', $uri, headers => \@headers));
        $c->fill(now() + 10) while $c->{in} !~ /\r\n\r\n/ && !$c->error;
        $c->{in} =~ m{^HTTP/1\.1 (?:200|101) };
    } $seconds || 20 or return;

    return $c;
}


# The limit is free as a whole: N can be held, and no more.

sub all_free {
    my ($kind, $fact) = @_;
    my $nginx = $where{$kind};
    my $uri = stream($kind, 5000);
    my @held = grep { $_ } map { take($nginx->[$_ % @$nginx], $uri) } 1 .. N;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(@held == N && !take($nginx->[0], $uri, 0.1), $fact)
        or diag(scalar(@held), ' of ', N);
    $_->close for @held;
    return;
}

sub stream {
    my ($kind, $bytes) = @_;
    return "/$kind?k=free&app_header=X-Accel-Buffering:%20no"
           . "&app_drip=20&app_length=$bytes";
}


sub ends {
    my ($kind) = @_;
    my ($a, $b) = @{ $where{$kind} }[0, -1];
    my $ask = sub { $b->get("/$kind?k=free")->status };

    all_free($kind, "$kind: " . N . ' places, and free when clients have gone');

    # connections that were upgraded live as long as their peers want

    my @ws = map { take($a, "/$kind?k=free&app_upgrade=1", 20,
        Connection => 'upgrade', Upgrade => 'websocket') } 1 .. N;
    is(scalar(grep { $_->{in} =~ / 101 / } @ws), N,
        "$kind: upgraded connections");
    is($ask->(), 429, "$kind: hold their places");

    $ws[0]{in} = '';
    $ws[0]->write('ping');
    wait_for { $ws[0]->fill(now() + 1); $ws[0]{in} eq 'ping' } 10,
        "$kind: and work";
    is($ask->(), 429, "$kind: still");

    (shift @ws)->close;
    wait_for { $ask->() == 200 } 20, "$kind: one ends: there is room for one";
    $_->close for @ws;
    all_free($kind, "$kind: all have ended");

    # as do answers that come bit by bit

    my @slow = map { take($a, stream($kind, 5000)) } 1 .. N;
    is(scalar(@slow), N, "$kind: streams");
    is($ask->(), 429, "$kind: hold theirs");
    $_->close for @slow;
    all_free($kind, "$kind: until their clients have gone");

    @slow = map { take($a, stream($kind, 25)) } 1 .. N;
    $_->response for @slow;
    $_->close for @slow;
    all_free($kind, "$kind: or the last byte has come");

    return;
}


# The client has gone before Redis answers: whatever it says then, nothing is
# held for nobody.

sub abandoned {
    my $fake = $t->fake;

    my $asked = $fake->count('EVALSHA');

    $fake->set(delay => 500, on => 'EVALSHA');
    my @c = map { $t->conn } 1 .. 2 * N;
    $_->write("GET /late?k=gone HTTP/1.1\r\nHost: a\r\n\r\n") for @c;
    $fake->wait_count('EVALSHA', $asked + 1, 10);
    $_->close for @c;
    $fake->pass;

    wait_for { N == grep { $_->status == 200 }
               $t->burst(N, '/late?k=gone&app_delay=300') } 20,
        'F03: places of clients that went while Redis was asked are free';
    return;
}


# Nor for an application that fails.

sub failed {
    for my $kind (qw(far near)) {
        $where{$kind}[0]->get("/$kind?k=free&app_broken=$_")
            for (qw(close reset short garbage)) x 3;
        all_free($kind, "$kind: free after answers that failed");
    }
    return;
}
