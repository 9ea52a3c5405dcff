package Readiness::Loop;

# A small event loop for the servers that tests put behind nginx.

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Poll qw(POLLIN POLLOUT POLLHUP POLLERR POLLNVAL);
use Readiness::Util qw(now);

sub new {
    my ($class) = @_;
    return bless { poll => IO::Poll->new, io => {}, timers => [] }, $class;
}


# reader => sub or undef, writer => sub or undef; both undef: forgotten.

sub watch {
    my ($self, $fh, $reader, $writer) = @_;
    my $mask = ($reader ? POLLIN : 0) | ($writer ? POLLOUT : 0);

    $self->{poll}->mask($fh => $mask);

    if ($mask) {
        $self->{io}{fileno $fh} = [$fh, $reader, $writer];
    } else {
        $self->{poll}->remove($fh);
        delete $self->{io}{fileno $fh};
    }

    return;
}


sub after {
    my ($self, $seconds, $code) = @_;
    my $at = now() + $seconds;
    my $list = $self->{timers};
    my $i = @$list;

    $i-- while $i > 0 && $list->[$i - 1][0] > $at;
    splice @$list, $i, 0, [$at, $code];

    return;
}


sub run {
    my ($self) = @_;

    while (1) {
        my $list = $self->{timers};

        while (@$list && $list->[0][0] <= now()) {
            my $t = shift @$list;
            $t->[1]->();
        }

        my $left = @$list ? $list->[0][0] - now() : 1;
        $self->{poll}->poll($left > 0 ? $left + 0.0005 : 0);

        my @watched = values %{ $self->{io} };

        for my $io (@watched) {
            my ($fh, $reader, $writer) = @$io;
            my $n = fileno $fh;
            next if !defined $n || !$self->{io}{$n} || $self->{io}{$n} != $io;

            my $ev = $self->{poll}->events($fh) or next;

            if ($writer && $ev & (POLLOUT | POLLERR | POLLHUP | POLLNVAL)) {
                $writer->();
                next if !defined fileno $fh;
            }

            if ($reader && $ev & (POLLIN | POLLERR | POLLHUP | POLLNVAL)) {
                $reader->();
            }

            # asked for nothing, yet the peer is gone: do not spin on it

            if (!$reader && !$writer && defined fileno $fh) {
                $self->watch($fh);
            }
        }
    }

    return;
}


# One read into a buffer: bytes read, 0 at the end or a reset, -1 for "later".

sub take {
    my ($self, $fh, $buf) = @_;
    my $n = sysread $fh, $$buf, 65536, length $$buf;

    return $n if defined $n;
    return -1 if $!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR};
    return 0;
}


# One write from a buffer: bytes taken, -1 for "later", undef when broken.

sub give {
    my ($self, $fh, $buf) = @_;
    my $n = syswrite $fh, $$buf;

    if (defined $n) {
        substr $$buf, 0, $n, '';
        return $n;
    }

    return -1 if $!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR};
    return;
}

1;
