package Readiness::Client;

# The clients of a test: one word for one request, a connection when more is
# wanted.  port => N is an index as in %%PORTn%% (or a port above 1000).

use strict;
use warnings;

use Readiness::H2 ();
use Readiness::HTTP ();
use Readiness::Request qw(format_request);


sub _target {
    my ($self, %o) = @_;
    my $port = $self->port($o{port});

    $port = $o{port} if defined $o{port} && $o{port} > 1000;
    return (%o, port => $port,
            timeout => $o{timeout} || $self->{patience} || 15);
}

# A connection of one's own: port => index, tls, bind, unix, proxy, timeout.

sub conn {
    my ($self, %o) = @_;
    return Readiness::HTTP->new($self->_target(%o));
}

sub h2 {
    my ($self, %o) = @_;
    return Readiness::H2->new($self->_target(%o));
}


# One request on a connection of its own (or on conn => …).

sub request {
    my ($self, $method, $uri, %o) = @_;
    my $conn = delete $o{conn};

    return $conn->request($method, $uri, %o) if $conn;

    $conn = $self->conn(%o);
    my $r = $conn->request($method, $uri, close => 1, %o);
    $conn->close;

    return $r;
}

sub get  { my ($self, $uri, @o) = @_; return $self->request('GET', $uri, @o) }
sub head { my ($self, $uri, @o) = @_; return $self->request('HEAD', $uri, @o) }

sub post {
    my ($self, $uri, $body, @o) = @_;
    return $self->request('POST', $uri, body => $body, @o);
}


# Bytes as they are; count => N responses are read (default 1), method => how
# the first was asked.  Returns them (the first in scalar context).

sub raw {
    my ($self, $bytes, %o) = @_;
    my $conn = $self->conn(%o);
    my @got;

    $conn->write($bytes);
    $conn->shut_write if $o{shut};
    push @got, $conn->response(%o) for 1 .. $o{count} || 1;
    $conn->close;

    return wantarray ? @got : $got[0];
}


# N requests at the same time, each on its own connection.

sub burst {
    my ($self, $n, $uri, %o) = @_;
    my $method = $o{method} || 'GET';
    my @conn = map { $self->conn(%o) } 1 .. $n;

    $_->write(format_request($method, $uri, close => 1, %o)) for @conn;
    my @got = map { $_->response(%o, method => $method) } @conn;
    $_->close for @conn;

    return @got;
}

1;
