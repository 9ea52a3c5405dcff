#!/usr/bin/perl

# concurrent=N and what dies: the places of a worker that was killed, and of a
# whole nginx, are free within 60 s, those of the living are kept for as long as
# they need them.  Takes that minute.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Exact;

use constant { N => 3, LEASE => 60 };

my $e = Readiness::Exact->new(3, timeout => 600);
my ($dies, $stays, $t) = ($e->t(1), $e->t(2), $e->t(0));

$_->allow(qr/exited on signal 9/, qr/shared memory zone .* was locked by/)
    for $e->all;

my %far = (kind => 'concurrent', n => N,
           more => 'redis=main on_redis_error=deny');
my %near = (%far, more => '');

# reuseport, for connections to come to either worker

$e->run(workers => 2, listen => 'reuseport',
    subst => { SHARED => $t->redis->addr },
    http => 'readiness_redis main { server %%SHARED%%; timeout 20s; '
            . 'connect_timeout 20s; }',
    rates => { far => \%far, near => \%near },
    at => { '/far' => ['far'], '/near' => ['near'] });

# On each key the living hold one place throughout; the two others die: with one
# worker ("worker", Redis and zone), with a whole nginx ("nginx").

my %keep;

# what an old worker holds, which has streams to finish, is renewed, too

my @old = (hold($stays, '/far?k=old'), hold($stays, '/near?k=old'));
my %old = map { $_->{worker} => 1 } @old;
$stays->reload;
wait_for { !grep { $old{$_} } $stays->workers } 20,
    'H01: a reload leaves old workers with what they hold';

my @kept = (hold($stays, '/far?k=nginx'), hold($stays, '/far?k=worker'),
            hold($t, '/near?k=worker'));
%keep = map { $_->{worker} => 1 } @kept;
my @lost = (map({ hold($dies, '/far?k=nginx') } 1, 2),
            map({ hold($t, '/far?k=worker') } 1, 2),
            map({ hold($t, '/near?k=worker') } 1, 2));

is(scalar(@kept), 3, 'three that will live');
is(scalar(@lost), 6, 'six that will die');

my %where = ('/far?k=nginx' => $stays, '/far?k=worker' => $stays,
             '/near?k=worker' => $t);
is(status($_), 429, "$_: no place is left") for sort keys %where;

my %victims = map { $_->{worker} => 1 } @lost;
my $killed = now();
kill 'KILL', $dies->pid, $dies->workers(all => 1), keys %victims;

my %free;
wait_for {
    for (sort keys %where) {
        $free{$_} ||= now() - $killed if status($_) != 429;
    }
    keys %free == 3;
} 2 * LEASE;

for (sort keys %where) {
    ok($free{$_} && $free{$_} < LEASE + 2, "$_: free again within 60 s")
        or diag($free{$_});
}

# the living were renewed, three times by now, old workers, too

%keep = ();
@where{qw(/far?k=old /near?k=old)} = ($stays, $stays);

for my $uri (sort keys %where) {
    my @more = map { hold($where{$uri}, $uri, 5) } 1 .. N;
    is(scalar(@more), N - 1, "$uri: the one that lives is still counted");
    $_->{c}->close for @more;
}

$_->{c}->close for @kept, @old;

for my $uri (sort keys %where) {
    wait_for {
        my @all = map { hold($where{$uri}, $uri, 1) } 1 .. N;
        $_->{c}->close for @all;
        @all == N;
    } 20, "$uri: all of it, at the end";
}

$t->done;


sub status { my ($uri) = @_; return $where{$uri}->get($uri)->status }


# A connection that holds a place, and the worker that has it: not one of those
# that are to live.

sub hold {
    my ($nginx, $uri, $seconds) = @_;
    my ($c, $worker);

    wait_for {
        my $mark = 'h' . rand;
        $c = $nginx->conn;
        $c->write(format_request('GET',
            "$uri&app_upgrade=1&mark=$mark", headers => [
            Connection => 'upgrade', Upgrade => 'websocket']));
        $c->fill(now() + 10) while $c->{in} !~ /\r\n\r\n/ && !$c->error;
        return 0 if $c->{in} !~ / 101 /;

        my ($r) = $t->app->requests(qr/mark=\Q$mark\E\z/);
        my %h = map { lc $_->[0] => $_->[1] } @{ $r->{headers} };
        $worker = $h{'x-worker'};
        $c->close if $keep{$worker};
        !$keep{$worker};
    } $seconds || 20 or return;

    return { c => $c, worker => $worker };
}
