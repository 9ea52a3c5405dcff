package Readiness::HTTP;

# An HTTP/1.x connection, byte by byte if need be.  Nothing here dies: what went
# wrong is in error of the connection and of the response.

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Select ();
use IO::Socket::IP ();
use IO::Socket::UNIX ();
use Readiness::Request qw(format_request);
use Readiness::Response ();
use Readiness::Util qw(now scaled);
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);


# host, port | unix; bind => source address; proxy => bytes sent first;
# tls => 1 or { SSL_… options }; alpn => [protocols]; timeout => seconds;
# rcvbuf => bytes.

sub new {
    my ($class, %o) = @_;
    my $self = bless { timeout => 15, in => '', error => '', %o }, $class;

    my $timeout = scaled($self->{timeout});

    my $sock = defined $o{unix}
        ? IO::Socket::UNIX->new(Peer => $o{unix}, Timeout => $timeout)
        : IO::Socket::IP->new(
              PeerHost => $o{host} || '127.0.0.1', PeerPort => $o{port},
              Timeout => $timeout,
              $o{bind} ? (LocalHost => $o{bind}) : (),
              $o{rcvbuf}
                  ? (Sockopts => [[SOL_SOCKET, Socket::SO_RCVBUF(),
                                   pack 'i', $o{rcvbuf}]]) : ());

    if (!$sock) {
        $self->{error} = 'connect';
        return $self;
    }

    $sock->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1) if !defined $o{unix};
    $self->{sock} = $sock;

    $self->write($o{proxy}) if defined $o{proxy};
    $self->_tls($timeout) if $o{tls};

    $sock->blocking(0);
    return $self;
}


sub _tls {
    my ($self, $timeout) = @_;
    my %tls = ref $self->{tls} ? %{ $self->{tls} } : ();

    require IO::Socket::SSL;
    $self->{sock}->blocking(1);

    my $ok = IO::Socket::SSL->start_SSL($self->{sock},
        SSL_verify_mode => 0,
        SSL_hostname => 'localhost',
        Timeout => $timeout,
        $self->{alpn} ? (SSL_alpn_protocols => $self->{alpn}) : (),
        %tls);

    if (!$ok) {
        $self->{error} = 'tls';
        close $self->{sock};
        delete $self->{sock};
    }

    return;
}


sub sock  { return $_[0]{sock} }
sub error { return $_[0]{error} }

sub local_port { return $_[0]{sock} ? $_[0]{sock}->sockport : 0 }


sub _wait {
    my ($self, $how, $until) = @_;
    my $left = $until - now();
    my $set = IO::Select->new($self->{sock});

    $left = 0 if $left < 0;
    return $how eq 'read' ? $set->can_read($left) : $set->can_write($left);
}


# True when all bytes are with the kernel.

sub write {
    my ($self, $bytes) = @_;
    my $until = now() + scaled($self->{timeout});
    my $off = 0;

    return 0 if !$self->{sock};

    while ($off < length $bytes) {
        my $n = syswrite $self->{sock}, $bytes, 65536, $off;

        if (defined $n) {
            $off += $n;
            next;
        }

        next if $!{EINTR};

        if ($!{EAGAIN} || $!{EWOULDBLOCK}) {
            next if $self->_wait('write', $until) || now() < $until;
            $self->{error} = 'timeout';
            return 0;
        }

        $self->{error} = 'reset';
        return 0;
    }

    return 1;
}


# More input into the buffer: 1, or 0 with error set.

sub fill {
    my ($self, $until) = @_;

    return 0 if !$self->{sock} || $self->{eof};

    while (1) {
        my $n = sysread $self->{sock}, $self->{in}, 65536, length $self->{in};

        return 1 if $n;

        if (defined $n) {
            $self->{eof} = 1;
            $self->{error} = 'closed';
            return 0;
        }

        next if $!{EINTR};

        if (!$!{EAGAIN} && !$!{EWOULDBLOCK}) {
            $self->{eof} = 1;
            $self->{error} = 'reset';
            return 0;
        }

        if (!$self->_wait('read', $until) && now() >= $until) {
            $self->{error} = 'timeout';
            return 0;
        }
    }
}


# One request: request(METHOD, URI, headers => [N => V, …], body => …).

sub request {
    my ($self, $method, $uri, %o) = @_;

    $self->write(format_request($method, $uri, %o));
    return $self->response(method => $method, %o);
}


sub get { my ($self, $uri, %o) = @_; return $self->request('GET', $uri, %o) }


# Reads one response (method => 'HEAD' when it has no body).

sub response {
    my ($self, %o) = @_;
    my $start = now();
    my $until = $start + scaled($o{timeout} || $self->{timeout});
    my @interim;

    while (1) {
        my $r = $self->_one($until, $o{method} || 'GET');

        $r->{interim} = [@interim];
        $r->{seconds} = now() - $start;

        return $r if $r->{error} || $r->{status} >= 200 || $r->{status} == 101
                     || $r->{version} eq '0.9';
        push @interim, $r;
    }
}


sub _one {
    my ($self, $until, $method) = @_;
    my $r = Readiness::Response->new;

    while ($self->{in} !~ /\r?\n\r?\n/) {
        last if length $self->{in} >= 5 && $self->{in} !~ m{^HTTP/};
        $self->fill($until) or last;
    }

    if ($self->{in} ne '' && $self->{in} !~ m{^HTTP/\d}) {      # HTTP/0.9
        1 while $self->fill($until);
        @$r{qw(version body raw)} = ('0.9', $self->{in}, $self->{in});
        $r->{error} = $self->{error} if $self->{error} eq 'timeout';
        $self->{in} = '';
        return $r;
    }

    if ($self->{in} !~ s/^(HTTP.*?\r?\n\r?\n)//s) {
        $r->{raw} = $self->{in};
        $r->{error} = $self->{error} || 'closed';
        return $r;
    }

    my $head = $r->{raw} = $1;
    my ($first, @lines) = split /\r?\n/, $head;

    @$r{qw(version status reason)} =
        $first =~ m{^HTTP/(\d\.\d) (\d{3}) ?(.*)\z};
    $r->{headers} = [map { [/^([^:]*):[ \t]*(.*?)[ \t]*\z/s] } @lines];

    return $r if $r->{status} < 200 || $r->{status} == 204
                 || $r->{status} == 304 || $method eq 'HEAD';

    $self->_body($r, $until);
    return $r;
}


sub _body {
    my ($self, $r, $until) = @_;
    my ($te, $cl) = ($r->header('Transfer-Encoding'),
                     $r->header('Content-Length'));

    if (defined $te && lc $te eq 'chunked') {
        return if $self->_chunks($r, $until);

    } elsif (defined $cl) {
        while (length $self->{in} < $cl) { $self->fill($until) or last }
        $r->{body} = substr $self->{in}, 0, $cl, '';
        $r->{raw} .= $r->{body};
        return if length $r->{body} == $cl;

    } else {
        1 while $self->fill($until);
        $r->{raw} .= $r->{body} = $self->{in};
        $self->{in} = '';
        return if $self->{error} eq 'closed';
    }

    $r->{error} = $self->{error};
    return;
}


sub _line {
    my ($self, $r, $until) = @_;

    while ($self->{in} !~ /\n/) { $self->fill($until) or return }
    $self->{in} =~ s/^(.*?\n)//s;
    $r->{raw} .= $1;

    return $1 =~ s/\r?\n\z//r;
}


sub _chunks {
    my ($self, $r, $until) = @_;

    while (1) {
        my $line = $self->_line($r, $until);
        return 0 if !defined $line || $line !~ /^([0-9a-f]+)/i;

        my $size = hex $1;
        last if $size == 0;

        while (length $self->{in} < $size + 2) {
            $self->fill($until) or return 0;
        }

        my $chunk = substr $self->{in}, 0, $size + 2, '';
        $r->{raw} .= $chunk;
        $r->{body} .= substr $chunk, 0, $size;
    }

    while (defined(my $line = $self->_line($r, $until))) {
        return 1 if $line eq '';
        push @{ $r->{trailers} }, [split /:\s*/, $line, 2];
    }

    return 0;
}


# Everything until the peer closes.

sub drain {
    my ($self, $seconds) = @_;
    my $until = now() + scaled($seconds || $self->{timeout});

    1 while $self->fill($until);
    my $in = $self->{in};
    $self->{in} = '';

    return $in;
}


# True when the peer closes within this time (what it sends first is kept).

sub closed_within {
    my ($self, $seconds) = @_;
    my $until = now() + scaled($seconds);

    1 while $self->fill($until);
    return $self->{eof} ? 1 : 0;
}


sub shut_write { my ($self) = @_; shutdown $self->{sock}, 1; return }

sub close {
    my ($self) = @_;
    close delete $self->{sock} if $self->{sock};
    return;
}

sub reset {
    my ($self) = @_;
    return if !$self->{sock};

    setsockopt $self->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    return $self->close;
}

1;
