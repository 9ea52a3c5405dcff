package Readiness::Response;

# One response, or what came instead of it.  A request that failed has status 0
# and error: 'connect', 'timeout', 'closed', 'reset', 'refused stream'.

use strict;
use warnings;

use JSON::XS ();

sub new {
    my ($class, %f) = @_;

    return bless {
        status => 0, reason => '', version => '', headers => [], body => '',
        raw => '', error => '', interim => [], trailers => [], %f
    }, $class;
}

sub status   { return $_[0]{status} }
sub reason   { return $_[0]{reason} }
sub version  { return $_[0]{version} }
sub headers  { return $_[0]{headers} }              # [[name, value], …]
sub body     { return $_[0]{body} }
sub raw      { return $_[0]{raw} }
sub error    { return $_[0]{error} }
sub interim  { return $_[0]{interim} }              # 1xx that came before
sub trailers { return $_[0]{trailers} }
sub seconds  { return $_[0]{seconds} }
sub code     { return $_[0]{code} }                 # of an HTTP/2 RST_STREAM


# header: the first value or undef; values: all of them, in order.

sub header { my ($v) = $_[0]->values($_[1]); return $v }

sub values {
    my ($self, $name) = @_;
    return map { $_->[1] }
           grep { lc $_->[0] eq lc $name } @{ $self->{headers} };
}

sub names { return map { lc $_->[0] } @{ $_[0]{headers} } }

sub count { return scalar(my @v = $_[0]->values($_[1])) }


# The body as JSON; undef when it is not.

sub json {
    my ($self) = @_;
    my $v = eval { JSON::XS->new->utf8->allow_nonref->decode($self->{body}) };
    return $v;
}


# What the test application saw (its echo), by header name.

sub seen {
    my ($self, $name) = @_;
    my $echo = $self->json;

    return if ref $echo ne 'HASH' || ref $echo->{headers} ne 'ARRAY';

    my @v = map { $_->[1] }
            grep { lc $_->[0] eq lc $name } @{ $echo->{headers} };

    return wantarray ? @v : $v[0];
}

1;
