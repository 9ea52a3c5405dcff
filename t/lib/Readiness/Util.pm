package Readiness::Util;

# Time, polling, files and ports: what every other part of the harness needs.

use strict;
use warnings;

use Exporter qw(import);
use Fcntl qw(:flock O_RDWR O_CREAT);
use IO::Socket::INET ();
use Socket qw(SOMAXCONN);
use Test::More ();
use Time::HiRes ();

our @EXPORT_OK = qw(now scaled pause wait_for slurp spew append tail
                    free_port listener tmp_root);

# Everything that waits is stretched by this (valgrind, a crowded machine).

our $SCALE = $ENV{READINESS_TIME_SCALE} || 1;

sub now    { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }
sub scaled { return $_[0] * $SCALE }


# The only place in the tests that lets time pass: between two looks at a
# condition, or where elapsed time itself is what the test is about (a bucket
# that refills).  Never to guess that something else is done by now.

sub pause {
    my ($seconds) = @_;
    my $until = now() + $seconds;

    while ((my $left = $until - now()) > 0) {
        Time::HiRes::usleep($left * 1e6);
    }

    return;
}


# wait_for { condition } $seconds, $fact
#
# Looks until the condition is true or the time is up; returns its last value.
# With a name it is a fact of its own: ok() when true, a failure when not.

sub wait_for (&;$$) {
    my ($cond, $seconds, $name) = @_;
    my $value;
    my $gap = 0.002;
    my $until = now() + scaled(defined $seconds ? $seconds : 10);

    while (1) {
        $value = $cond->();
        last if $value || now() >= $until;
        pause($gap);
        $gap = $gap * 1.5 < 0.05 ? $gap * 1.5 : 0.05;
    }

    if (defined $name) {
        local $Test::Builder::Level = $Test::Builder::Level + 1;
        Test::More::ok($value, $name);
    }

    return $value;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or return '';
    local $/;
    my $data = <$fh>;

    return defined $data ? $data : '';
}


# Written beside and renamed: a reader never sees half of it.

sub spew {
    my ($file, $data) = @_;
    my $tmp = "$file.tmp$$";

    append($tmp, $data);
    rename $tmp, $file or die "rename $tmp: $!";

    return $file;
}


sub append {
    my ($file, $data) = @_;

    open my $fh, '>>:raw', $file or die "open $file: $!";
    print $fh $data;
    close $fh or die "write $file: $!";

    return $file;
}


# The last lines, whatever the size of the file.

sub tail {
    my ($file, $lines) = @_;

    open my $fh, '<:raw', $file or return '';
    seek $fh, -65536, 2;
    local $/;
    my $end = <$fh>;
    my @all = split /^/, defined $end ? $end : '';

    splice @all, 0, @all - $lines if @all > $lines;

    return join '', @all;
}


sub tmp_root {
    my $root = $ENV{TMPDIR} || '/tmp';
    $root =~ s{(.)/+\z}{$1};
    return $root;
}


# A port below the range that outgoing connections take theirs from, and held
# by a lock file for the life of this process: test files that run side by side
# never get the same one, and it can be closed and bound again meanwhile.

my %reserved;

sub free_port {
    my $dir = tmp_root() . "/readiness-ports-$>";
    mkdir $dir, 0700;

    for (1 .. 2000) {
        my $port = 11000 + int rand 20000;
        next if $reserved{$port};

        sysopen my $lock, "$dir/$port", O_RDWR | O_CREAT or next;
        flock $lock, LOCK_EX | LOCK_NB or next;

        my $sock = IO::Socket::INET->new(
            Proto => 'tcp', LocalAddr => '0.0.0.0', LocalPort => $port,
            Listen => 1, ReuseAddr => 1) or next;
        close $sock;

        $reserved{$port} = $lock;
        return $port;
    }

    die "no free port found";
}


sub listener {
    my ($port) = @_;

    my $sock = IO::Socket::INET->new(
        Proto => 'tcp', LocalAddr => '127.0.0.1', LocalPort => $port,
        Listen => SOMAXCONN, ReuseAddr => 1)
        or die "listen 127.0.0.1:$port: $@";
    $sock->blocking(0);

    return $sock;
}


1;
