package Readiness::Many;

# Many requests from one process, and each answer told to the request it came
# for: pipelines of HTTP/1.1, streams of HTTP/2.
#
#   Readiness::Many::run($t, h1 => 40, h2 => 4, depth => 50,
#       next => sub { return URI, or nothing at the end },
#       got => sub { my ($uri, $status, $header_x_key) = @_ });
#
# h1, h2: connections of each kind; h1_port, h2_port: index of the port; depth:
# requests under way on each.  Returns what went wrong, '' when nothing did.

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Poll qw(POLLIN POLLOUT);
use IO::Socket::INET ();
use Readiness::HPACK qw(encode_headers);
use Readiness::Util qw(now scaled);
use Socket qw(IPPROTO_TCP TCP_NODELAY);


sub run {
    my ($t, %o) = @_;
    my $self = bless { depth => 50, seconds => 60, h1_port => 0, h2_port => 1,
        %o, poll => IO::Poll->new, conns => {}, error => '', open => 0 },
        __PACKAGE__;

    $self->_connect($t->port($self->{h1_port}), 0) for 1 .. $o{h1} || 0;
    $self->_connect($t->port($self->{h2_port}), 1) for 1 .. $o{h2} || 0;

    my $until = now() + scaled($self->{seconds});

    while ($self->{error} eq '' && keys %{ $self->{conns} }) {
        if (now() > $until) {
            $self->{error} = "$self->{open} requests have no answer";
            last;
        }

        $self->{poll}->poll(1);

        for my $c (values %{ $self->{conns} }) {
            my $ev = $self->{poll}->events($c->{fh}) or next;
            $self->_read($c) if $ev & ~POLLOUT;
            $self->_write($c) if $ev & POLLOUT;
        }
    }

    close $_->{fh} for values %{ $self->{conns} };
    return $self->{error};
}


sub _connect {
    my ($self, $port, $h2) = @_;
    my $fh = IO::Socket::INET->new(Proto => 'tcp', PeerAddr => '127.0.0.1',
                                   PeerPort => $port, Timeout => 10)
        or return $self->{error} = 'connect';

    $fh->blocking(0);
    setsockopt $fh, IPPROTO_TCP, TCP_NODELAY, 1;

    my $c = { fh => $fh, h2 => $h2, in => '', out => '', sent => 0, id => 1,
              order => [], streams => {} };

    # the window of the connection is as wide as it can be from the start

    $c->{out} = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                . pack 'CnCCNN', 0, 4, 8, 0, 0, 0x7fff0000 if $h2;

    $self->{conns}{ fileno $fh } = $c;
    $self->_fill($c);
    return;
}


# As many requests as there is room for; a connection without any is closed.

sub _fill {
    my ($self, $c) = @_;

    while ($c->{sent} < $self->{depth}) {
        my $uri = $self->{next}->();
        last if !defined $uri;

        if ($c->{h2}) {
            my $block = encode_headers(':method' => 'GET', ':path' => $uri,
                ':scheme' => 'http', ':authority' => 'localhost');
            $c->{out} .= pack('CnCCN', 0, length $block, 1, 5, $c->{id})
                         . $block;
            $c->{streams}{ $c->{id} } = $uri;
            $c->{id} += 2;
        } else {
            $c->{out} .= "GET $uri HTTP/1.1\r\nHost: localhost\r\n\r\n";
            push @{ $c->{order} }, $uri;
        }

        $c->{sent}++;
        $self->{open}++;
    }

    return $self->_end($c) if !$c->{sent};
    return $self->_write($c);
}

sub _end {
    my ($self, $c) = @_;
    $self->{poll}->remove($c->{fh});
    delete $self->{conns}{ fileno $c->{fh} };
    close $c->{fh};
    return;
}


sub _write {
    my ($self, $c) = @_;

    while ($c->{out} ne '') {
        my $n = syswrite $c->{fh}, $c->{out};
        if (!defined $n) {
            last if $!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR};
            return $self->{error} = "write: $!";
        }
        substr $c->{out}, 0, $n, '';
    }

    $self->{poll}->mask($c->{fh} => $c->{out} eq '' ? POLLIN
                                                    : POLLIN | POLLOUT);
    return;
}


sub _read {
    my ($self, $c) = @_;
    my $n = sysread $c->{fh}, $c->{in}, 65536, length $c->{in};

    if (!$n) {
        return if !defined $n && ($!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR});
        return $self->{error} = "a connection was closed with $c->{sent}"
                                . ' requests on it';
    }

    my $before = $c->{sent};
    $c->{h2} ? $self->_frames($c) : $self->_responses($c);

    return if $self->{error} ne '' || $c->{sent} == $before && $c->{out} eq '';
    return $self->_fill($c);
}


sub _responses {
    my ($self, $c) = @_;
    my $at = 0;

    while ((my $end = index $c->{in}, "\r\n\r\n", $at) >= 0) {
        my $head = substr $c->{in}, $at, $end - $at;
        my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
        my ($length) = $head =~ /\r\nContent-Length: (\d+)/;

        return $self->{error} = "no response: $head"
            if !$status || !defined $length || !@{ $c->{order} };
        last if length($c->{in}) < $end + 4 + $length;

        $at = $end + 4 + $length;
        my ($key) = $head =~ /\r\nX-Key: ([^\r]*)/;
        $self->_got($c, shift @{ $c->{order} }, $status, $key);
    }

    substr $c->{in}, 0, $at, '';
    return;
}


sub _frames {
    my ($self, $c) = @_;
    my $at = 0;
    my $all = length $c->{in};

    while ($all - $at >= 9) {
        my ($hi, $lo, $type, $flags, $id) = unpack 'CnCCN',
                                                   substr $c->{in}, $at, 9;
        my $len = ($hi << 16) + $lo;
        last if $all - $at < 9 + $len;

        if ($type == 1) {
            my $head = substr $c->{in}, $at + 9, $len < 8 ? $len : 8;
            $head =~ s/^[\x20-\x3f]+//;
            my $status = $head =~ /^\x88/ ? 200
                       : $head =~ /^.\x03(\d{3})/s ? $1 : 0;
            my $uri = delete $c->{streams}{$id};

            return $self->{error} = "a second answer on stream $id"
                if !defined $uri;
            $self->_got($c, $uri, $status);

        } elsif ($type == 4 && !($flags & 1)) {
            $c->{out} .= "\0\0\0\4\1\0\0\0\0";

        } elsif ($type == 3 || $type == 7) {
            return $self->{error} = $type == 3 ? "stream $id was reset"
                                               : 'GOAWAY';
        }

        $at += 9 + $len;
    }

    substr $c->{in}, 0, $at, '';
    return;
}


sub _got {
    my ($self, $c, @what) = @_;
    $c->{sent}--;
    $self->{open}--;
    return $self->{got}->(@what);
}

1;
