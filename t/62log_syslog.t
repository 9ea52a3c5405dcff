#!/usr/bin/perl

# readiness_log to syslog and to stderr: what arrives, and what happens when
# nobody is there.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM SOL_SOCKET SO_RCVBUF);
use Test::More;

use Readiness;
use Readiness::Log qw(strict_json);

my $t = Readiness->new;
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1')
    or die "udp: $@";
setsockopt $udp, SOL_SOCKET, SO_RCVBUF, 4 << 20;
my $path = $t->path('log.sock');

my $server = 'syslog:server=127.0.0.1:' . $udp->sockport;

$t->subst(UDP => $server, TAGGED =>
    "$server,facility=local3,severity=notice,tag=rdy,nohostname");

$t->conf(<<'CONF')->run;
readiness_rate one key=$arg_k rate=1r/h;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    readiness_limit one;
    location / { proxy_pass http://%%APP%%; }
    location /udp {
        readiness_log %%UDP%%;
        readiness_log_field own "$http_x_own";
        proxy_pass http://%%APP%%;
    }
    location /tagged {
        readiness_log %%TAGGED%%;
        return 204;
    }
    location /unix {
        readiness_log syslog:server=unix:%%DIR%%/log.sock;
        return 204;
    }
    location /stderr { readiness_log stderr; proxy_pass http://%%APP%%; }
}
CONF

my $month = qr/Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec/;
my $stamp = qr/(?:$month) [ 123]\d \d\d:\d\d:\d\d/;

$udp->blocking(0);
udp();
unix();
on_stderr();

$t->done;


sub next_datagram {
    my ($sock) = @_;
    my $data;

    wait_for { defined $sock->recv($data, 65536) && length $data } 10;
    return $data // '';
}

sub flood {
    my ($name, $uri, $n) = @_;
    my $c = $t->conn(timeout => 60);
    my $ok = 0;

    $c->write(format_request('GET', $uri) x $n);
    $ok += $c->response->status == 204 for 1 .. $n;
    $c->close;

    is($ok, $n, "$name: every request is answered");
    my $r = $t->get('/');
    is($r->status, 200, "$name: others are served");
    cmp_ok($r->seconds, '<', 5, "$name: at once");
    return;
}


sub udp {
    my $r = $t->get('/udp?k=1');
    my $got = next_datagram($udp);
    my ($l, $wrong) = strict_json($got =~ s/^[^{]*//r);

    like($got, qr/^<190>$stamp \S+ nginx: \{[^\n]*\}\z/,
        'the head of RFC 3164, one line, no LF');
    is($wrong, undef, 'then JSON');
    is($l->{'http.request.id'}, $r->header('X-Request-Id'), 'of the request');

    $t->get('/udp?k=1');
    like(next_datagram($udp), qr/^<188>/, 'a refusal is a warning');

    $t->get('/tagged?k=1');
    like(next_datagram($udp), qr/^<157>$stamp rdy: \{/,
        'facility, severity, tag, nohostname');

    $t->get('/udp', headers => ['User-Agent' => "\e\"\xff" x 999,
                                'X-Own' => "\x01" x 2000]);
    $got = next_datagram($udp);
    is((strict_json($got =~ s/^[^{]*//r))[1], undef, 'a long line, too');

    close $udp;
    flood('nobody listens', '/tagged', 200);
    is(() = $t->error_log =~ /readiness_log "syslog:[^"]*rdy[^"]*": /g, 1,
        'which is told of once');

    return;
}


sub unix {
    flood('no socket', '/unix', 100);
    is(() = $t->error_log =~ /readiness_log "syslog:[^"]*unix:[^"]*": /g, 1,
        'which is told of once');

    my $sock = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path)
        or die "unix: $!";
    $sock->blocking(0);
    my $r = $t->get('/unix');
    my $got = next_datagram($sock);
    like($got, qr/"http\.request\.id":"\Q@{[$r->header('X-Request-Id')]}\E"/,
        'a listener has come');

    flood('a listener that stopped', '/unix', 500);

    my @held;
    while (defined $sock->recv(my $data, 65536)) { push @held, $data }
    cmp_ok(@held, '>', 0, 'it finds what its socket held');
    is((grep { (strict_json($_ =~ s/^[^{]*//r))[1] } @held), 0,
        'each of it whole');

    $r = $t->get('/unix');
    like(next_datagram($sock), qr/\Q@{[$r->header('X-Request-Id')]}\E/,
        'and gets what is new');

    close $sock;
    unlink $path;
    flood('a listener that left', '/unix', 20);

    $sock = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path)
        or die "unix: $!";
    $sock->blocking(0);
    $r = $t->get('/unix');
    like(next_datagram($sock), qr/\Q@{[$r->header('X-Request-Id')]}\E/,
        'and one that came back');

    return;
}


sub on_stderr {
    my $r = $t->get('/stderr');
    my $id = $r->header('X-Request-Id');
    my $file = $t->path('stderr.1');

    ok((wait_for { slurp($file) =~ /^\{.*"\Q$id\E".*\}$/m } 10),
        'stderr has the line');

    $t->reload;
    $r = $t->get('/stderr');
    $id = $r->header('X-Request-Id');
    ok((wait_for { slurp($file) =~ /^\{.*"\Q$id\E".*\}$/m } 10),
        'also after a reload');
    is((grep { (strict_json($_))[1] } slurp($file) =~ /^(\{.*)$/mg), 0,
        'whole lines');

    return;
}
