#!/usr/bin/perl

# B11, B12: rotated under load no line is lost or torn; what a buffer holds is
# lost only with a worker that is killed.

use strict;
use warnings;

use Test::More;
use Readiness;
use Readiness::Log qw(bad_json_lines);

my $t = Readiness->new;

$t->conf(<<'CONF', workers => 2)->run;
readiness_request_id uuid7 accept=any;
readiness on;
keepalive_requests 100000;
log_format own escape=json '{"id":"$readiness_request_id"}';

server {
    listen 127.0.0.1:%%PORT0%%;
    readiness_log %%DIR%%/plain.log;
    readiness_log %%DIR%%/packed.log buffer=16k;
    readiness_log %%DIR%%/timed.log buffer=16k flush=20ms;
    location / { return 204; }
}
server {
    listen 127.0.0.1:%%PORT1%%;
    access_log %%DIR%%/shared.log own buffer=4k;
    readiness_log %%DIR%%/shared.log buffer=8k;
    location / { return 204; }
}
CONF

my @logs = qw(plain packed timed);
my ($n, %sent) = (0);

rotated();
reloaded();
upgraded();
whole();
shared();
killed();

$t->done;


sub ids {
    my ($log) = @_;
    my %seen;

    for my $file (glob $t->path("$log.log{,.*}")) {
        my $data = slurp($file);
        $seen{$1}++ while $data =~ /"http\.request\.id":"([^"]*)"/g;
        $seen{"own $1"}++ while $data =~ /^\{"id":"([^"]*)"\}$/mg;
    }

    return \%seen;
}

sub whole {
    my @bad = map { bad_json_lines($_) } map { glob $t->path("$_.log{,.*}") }
              @logs;

    is(join("\n", @bad), '', 'B11 no line is torn');
    return;
}

# Requests on their way; called, the result says how many were answered.  nginx
# may close a kept connection at a reload: what it did not read does not count.

sub batch {
    my ($conns, $each) = @_;
    my @sent;

    for my $c (@$conns) {
        my @ids = map { sprintf 'request-%06d', ++$n } 1 .. $each;
        push @sent, map { [$c, $_] } @ids;
        $c->write(join '', map {
            format_request('GET', '/', headers => ['X-Request-Id' => $_])
        } @ids);
    }

    return sub {
        my @answered = grep { $_->[0]->response->status == 204 } @sent;
        $sent{ $_->[1] } = 1 for @answered;
        return scalar @answered;
    };
}

sub complete {
    my ($name) = @_;

    for my $log (@logs) {
        my $seen;
        wait_for { $seen = ids($log); keys %$seen >= keys %sent } 10;
        my @lost = grep { !$seen->{$_} } sort keys %sent;
        my @twice = grep { $seen->{$_} > 1 } sort keys %$seen;

        splice @lost, 5 if @lost > 5;
        is("@lost", '', "$name: no line is lost: $log");
        is("@twice", '', "$name: none is there twice: $log");
    }

    return;
}


sub rotated {
    my @conns = map { $t->conn(timeout => 60) } 1 .. 8;
    my $ok = 0;

    for my $round (1 .. 50) {
        my $answers = batch(\@conns, 10);

        rename $t->path("$_.log"), $t->path("$_.log.$round") for @logs;
        $t->signal('USR1');
        $ok += $answers->();
    }

    is($ok, 4000, 'B11 every request is answered');
    $ok = batch(\@conns, 1)->();
    is($ok, 8, 'B11 and the last ones');
    $_->close for @conns;

    ok($t->reopen, 'B11 the last buffers are written when reopening');
    complete('B11 fifty USR1 under load');

    my @old = glob $t->path('plain.log.*');
    cmp_ok(@old, '>', 10, 'B11 there are many old files');

    return;
}


sub reloaded {
    for my $round (1 .. 3) {
        my @conns = map { $t->conn(timeout => 60) } 1 .. 4;
        my $answers = batch(\@conns, 10);
        $t->reload;
        cmp_ok($answers->(), '>=', 1, 'B12 HUP under load');
        $_->close for @conns;
    }

    $t->wait_old_workers;
    complete('B12 HUP');

    return;
}


sub upgraded {
    my @conns = map { $t->conn(timeout => 60) } 1 .. 4;
    batch(\@conns, 10)->();

    my ($old) = $t->upgrade;
    $t->signal('QUIT', $old);
    cmp_ok(batch([map { $t->conn(timeout => 60) } 1 .. 4], 10)->(), '>=', 1,
        'B12 USR2 under load');
    $_->close for @conns;
    ok(Readiness::Process::gone($old, 20), 'B12 USR2, QUIT to the old one');

    $t->reload;
    $t->wait_old_workers;
    complete('B12 USR2');

    batch([map { $t->conn(timeout => 60) } 1 .. 4], 3)->();
    $t->stop;
    complete('B12 QUIT');
    $t->run;

    return;
}


# access_log and readiness_log may name one file, each with its own buffer.

sub shared {
    my @ids = map { sprintf 'shared-%03d', $_ } 1 .. 100;

    $t->get('/', port => 1, headers => ['X-Request-Id' => $_]) for @ids;
    $t->rotate('shared.log');

    my $seen = ids('shared');
    is((grep { $seen->{$_} } @ids), 100, 'B11 shared with access_log');
    is((grep { $seen->{"own $_"} } @ids), 100, 'B11 which has its lines, too');
    is(bad_json_lines($t->path('shared.log.1')), 0, 'B11 all of them whole');

    return;
}


sub killed {
    my $before = ids('packed');
    $t->allow(qr/worker process \d+ exited on signal 9/);

    my @conns = map { $t->conn(timeout => 60) } 1 .. 4;
    is(batch(\@conns, 100)->(), 400, 'B12 requests before SIGKILL');
    $_->close for @conns;

    my ($size) = sort { $b <=> $a } map { length }
                 slurp($t->path('plain.log')) =~ /^(.*\n)/mg;

    kill 'KILL', $t->workers;
    ok((wait_for { $t->error_log =~ /(?:signal 9.*){2}/s } 10), 'B12 SIGKILL');
    $t->wait_workers;

    my $plain = ids('plain');
    my $packed = ids('packed');
    my @lost = grep { !$packed->{$_} } keys %sent;

    is((grep { !$plain->{$_} } keys %sent), 0,
        'B12 an unbuffered log has every line');
    cmp_ok(@lost, '>', 0, 'B12 a buffered one lost some');
    cmp_ok(@lost * ($size - 2), '<=', 2 * 16384,
        'B12 but not more than a buffer of each worker');
    is((grep { $before->{$_} } @lost), 0, 'B12 and none that was written');
    is(bad_json_lines($t->path('packed.log')), 0, 'B12 nor is a line torn');

    is($t->get('/')->status, 204, 'B12 and it goes on');
    return;
}
