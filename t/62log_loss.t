#!/usr/bin/perl

# B09, B10: a log that takes nothing more, be it full, unread or stopped, holds
# up no request; what is lost is counted.

use strict;
use warnings;

use Fcntl qw(O_RDONLY O_NONBLOCK);
use POSIX ();
use Test::More;

# a mount of our own, which ends with us

BEGIN {
    if (!$ENV{READINESS_UNSHARED}) {
        local $ENV{READINESS_UNSHARED} = 1;
        my @ns = ('unshare', '--mount', '--propagation', 'private');

        if (system("@ns true 2>/dev/null") == 0) {
            exec @ns, $^X, (map { "-I$_" } @INC), $0, @ARGV;
        }
    }
}

use Readiness;
use Readiness::Log qw(bad_json_lines parse_lines strict_json);

my $t = Readiness->new;
my $full = $t->path('full');

mkdir $full;
my ($code, $why) = (1, 'no mount namespace of our own');
($code, $why) = $t->command('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs',
                            $full) if $ENV{READINESS_UNSHARED};

POSIX::mkfifo($t->path($_), 0600) or die "mkfifo: $!"
    for qw(unread stopped buffered);

$t->conf(<<'CONF', workers => 2)->run;
readiness on;
upstream app { server %%APP%%; }

server {
    listen 127.0.0.1:%%PORT0%%;
    location / { proxy_pass http://app; }
    location /none { readiness_log /dev/full; proxy_pass http://app; }
    location /full { readiness_log %%DIR%%/full/a.log; return 204; }
    location /packed {
        readiness_log %%DIR%%/full/b.log buffer=8k;
        return 204;
    }
    location /unread { readiness_log %%DIR%%/unread; return 204; }
    location /stopped { readiness_log %%DIR%%/stopped; return 204; }
    location /buffered {
        readiness_log %%DIR%%/buffered buffer=8k;
        return 204;
    }
}
CONF

$t->allow_bad_lines($_)
    for qw(/dev/full full/a.log full/b.log unread stopped buffered);

my $n = 0;

nothing_fits();

SKIP: {
    skip "no small file system: $why", 1 if $code != 0;
    disk('full/a.log', '/full');
    disk('full/b.log', '/packed');
}

unread();
stopped();
buffered();

$t->stop;
unmount();
$t->done;

END { unmount() }


sub unmount {
    local $?;
    system 'umount', '-l', $full if $code == 0 && -d $full;
    $code = 1;
    return;
}


# N pipelined requests on each of four connections; the first ID and how many.

sub load {
    my ($name, $uri, $each) = @_;
    my @conn = map { $t->conn(timeout => 60) } 1 .. 4;
    my $ok = 0;

    for (my $left = $each; $left > 0; $left -= 50) {
        my $now = $left < 50 ? $left : 50;

        $_->write(format_request('GET', $uri) x $now) for @conn;

        for my $c (@conn) {
            $ok += ($c->response->status || 0) =~ /^20[04]\z/ for 1 .. $now;
        }
    }

    $_->close for @conn;
    is($ok, 4 * $each, "$name: every request is answered");
    return;
}

sub told {                              # what the error log says of a sink
    my ($sink) = @_;
    return $t->error_log =~ /\[error\][^\n]* readiness_log "\Q$sink\E": /g;
}

sub prompt {
    my ($name) = @_;
    my $r = $t->get('/');

    is($r->status, 200, "$name: others are served");
    cmp_ok($r->seconds, '<', 5, "$name: at once");
    return;
}


sub nothing_fits {
    load('B09 a full device', '/none', 25);
    prompt('B09 a full device');
    is(() = told('/dev/full'), 1, 'B09 the error log says it once');
    like($t->error_log, qr{/dev/full": 1 lines dropped \(28: }, 'B09 and why');

    return;
}


sub disk {
    my ($file, $uri) = @_;
    my $path = $t->path($file);
    my $good = sub { return scalar parse_lines($path) };

    spew($t->path('full/ballast'), 'x' x 32768);

    load("B09 $file, until it is full", $uri, 100);
    prompt("B09 $file");
    my $fit = $good->();
    cmp_ok($fit, '>', 20, 'B09 as many lines as fit');
    cmp_ok($fit, '<', 400, 'B09 and not all');
    is(() = told($path), 1, 'B09 the error log says once that it is full');

    unlink $t->path('full/ballast');
    load("B09 $file, with room again", $uri, 6);
    $t->reload;
    $t->wait_old_workers;

    # what a buffer held when it was full may be lost, in part

    my $new = $good->() - $fit;
    $uri eq '/full' ? is($new, 24, 'B09 all new lines are written')
                    : cmp_ok($new, '>', 8, 'B09 new lines are written');
    my @bad = bad_json_lines($path);
    cmp_ok(@bad, '<=', 1, 'B09 one broken line at most') or diag(@bad);
    is(() = told($path), 1, 'B09 and no more is said within the minute');

    load("B09 $file, until it is full again", $uri, 100);
    truncate $path, 0;
    load("B09 $file, emptied", $uri, 2);
    $t->reload;
    $t->wait_old_workers;
    like(slurp($path), qr/\A\{/, 'B09 an emptied log begins with a line');
    is(bad_json_lines($path), 0, 'B09 and all in it are whole');

    unlink $path;
    return;
}


sub spew {
    my ($file, $data) = @_;

    open my $fh, '>', $file or die "$file: $!";
    print $fh $data;
    close $fh;

    return;
}


sub take {                              # all that is in a FIFO
    my ($fh) = @_;
    my $all = '';

    1 while sysread $fh, $all, 65536, length $all;
    return $all;
}

sub whole {
    my ($name, $data, $broken) = @_;
    my @lines = split /\n/, $data;
    my @bad = grep { (strict_json($_))[1] } @lines;

    cmp_ok(@bad, '<=', $broken, "$name: lines are whole") or diag(@bad);
    return @lines - @bad;
}

sub reader {
    my ($fifo) = @_;

    sysopen my $fh, $t->path($fifo), O_RDONLY | O_NONBLOCK or die "$fifo: $!";
    return $fh;
}


sub unread {
    my ($done, $text) = $t->nginx_t(
        'server { listen 127.0.0.1:%%PORT1%%; readiness on;'
        . ' readiness_log %%DIR%%/unread; }', timeout => 15);
    is($done, 0, 'B10 nginx -t does not wait for a reader') or diag($text);

    load('B10 nobody reads', '/unread', 100);
    prompt('B10 nobody reads');
    is(() = told($t->path('unread')), 1, 'B10 the error log says it once');

    my $fh = reader('unread');
    cmp_ok(whole('B10 nobody read', take($fh), 0), '>', 50,
        'B10 what the pipe held is there');

    load('B10 a reader has come', '/unread', 5);
    is(whole('B10 a reader', take($fh), 0), 20, 'B10 it gets all new lines');
    close $fh;

    load('B10 and left', '/unread', 5);
    is(whole('B10 the next one', take(reader('unread')), 0), 20,
        'B10 what came meanwhile waits for the next');

    return;
}


sub stopped {
    my $out = $t->path('stopped.out');
    my $cat = Readiness::Process::spawn(['cat', $t->path('stopped')],
                                        out => $out, dir => $t->dir);

    load('B10 a reader', '/stopped', 2);
    ok((wait_for { parse_lines($out) == 8 } 10), 'B10 it reads');

    kill 'STOP', $cat;
    load('B10 a stopped reader', '/stopped', 100);
    prompt('B10 a stopped reader');

    kill 'CONT', $cat;
    my $had = 0;
    wait_for {
        my $now = parse_lines($out);
        my $same = $now == $had && $now > 58;
        $had = $now;
        $same;
    } 10;
    cmp_ok($had, '>', 58, 'B10 it goes on reading');

    load('B10 going on', '/stopped', 5);
    ok((wait_for { parse_lines($out) >= $had + 20 } 10),
        'B10 and misses nothing more');
    is(bad_json_lines($out), 0, 'B10 each line it read is whole');

    Readiness::Process::stop_pid($cat, 5, 'KILL');
    return;
}


sub buffered {
    load('B10 nobody reads, buffered', '/buffered', 100);
    prompt('B10 nobody reads, buffered');

    my $fh = reader('buffered');
    my $data = take($fh);
    load('B10 a reader of buffers', '/buffered', 5);
    $t->reload;
    $t->wait_old_workers;
    $data .= take($fh);

    cmp_ok(whole('B10 a broken buffer is mended', $data, 1), '>=', 50,
        'B10 and the rest is there');

    return;
}
