#!/usr/bin/perl

# No connection and no descriptor left for Redis: the policy decides, nothing
# passes that was to be refused, and all is well when there are some again.

use strict;
use warnings;
use Test::More;
use Readiness;

my $conf = <<'CONF';
readiness_redis main { server %%FAKE%%; timeout 2s; }
readiness_rate deny key=$arg_key rate=2r/d redis=main on_redis_error=deny;
readiness_rate allow key=$arg_key rate=2r/d redis=main on_redis_error=allow;
readiness_rate local key=$arg_key rate=2r/d redis=main;
readiness_rate zone key=$arg_key rate=2r/d;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    client_header_timeout 60s;
    location /deny { readiness_limit deny; empty_gif; }
    location /allow { readiness_limit allow; empty_gif; }
    location /local { readiness_limit local; empty_gif; }
    location /zone { readiness_limit zone; empty_gif; }
}
CONF

exhaust('worker_connections', qr/worker_connections are not enough/,
        connections => 16);
exhaust('worker_rlimit_nofile', qr/Too many open files/,
        main => 'worker_rlimit_nofile 24;');


Readiness->done;


# All connections of the worker are taken by clients that have begun to ask.

sub exhaust {
    my ($name, $error, %o) = @_;
    my $t = Readiness->new;
    my $fake = $t->fake;

    $t->allow($error);
    $fake->down;
    $t->conf($conf, %o)->run;

    my ($worker) = $t->workers;
    my $start = "GET /deny?key=a HTTP/1.1\r\nHost: h\r\nX-Pad: ";
    my $fds = keys %{ $t->fds($worker) };
    my @conn = map { my $c = $t->conn; $c->write($start); $c } 1 .. 30;

    ok($t->wait_error($error), "H07 $name: all are taken");
    $fake->up;

    # one that was let in goes on, and never stands idle

    my $c = $conn[0];
    my $ask = sub {
        my ($next) = @_;
        $c->write("x\r\n\r\nGET $next HTTP/1.1\r\nHost: h\r\nX-Pad: ");
        return $c->response;
    };

    my @uris = (('/deny?key=a') x 3, ('/allow?key=a') x 4,
                ('/local?key=a') x 4, ('/zone?key=a') x 4);
    my @got = map { $ask->($uris[$_ + 1]) } 0 .. $#uris - 1;
    my @status = map { $_->status } @got;

    is("@status[0 .. 2]", '503 503 503', "H07 $name: deny refuses");
    is("@status[3 .. 6]", '200 200 200 200', "H07 $name: allow lets pass");
    is("@status[7 .. 10]", '200 200 429 429', "H07 $name: local counts");
    is("@status[11 .. 13]", '200 200 429', "H07 $name: so does the zone");
    is($fake->stats->{accepted}, 0, "H07 $name: Redis was out of reach");

    my @lines = $t->wait_lines('decision.log', 14);
    is($lines[0]{'readiness.reason'}, 'limiter_unavailable',
       "H07 $name: the log says why");
    is($lines[0]{'readiness.limits'}[0]{source}, 'unavailable',
       "H07 $name: and from where");
    is($lines[8]{'readiness.limits'}[0]{source}, 'fallback',
       "H07 $name: and who counted");

    $_->close for @conn;

    ok((wait_for { $t->get('/deny?key=b' . int rand 1e6)->status == 200 } 15),
       "H07 $name: normal again (O5)");
    is(join(' ', map { $t->get('/deny?key=c')->status } 1 .. 3), '200 200 429',
       "H07 $name: and counting");
    wait_for { keys %{ $t->fds($worker) } <= $fds + 1 } 15;
    cmp_ok(scalar keys %{ $t->fds($worker) }, '<=', $fds + 1,
           "H07 $name: descriptors are back, one is Redis");
    is_deeply([$t->workers], [$worker], "H07 $name: the worker lives (O1)");
    return;
}
