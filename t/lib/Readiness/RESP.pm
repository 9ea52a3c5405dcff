package Readiness::RESP;

# The Redis protocol: encode, parse, and a small blocking client.

use strict;
use warnings;

use Exporter qw(import);
use Readiness::HTTP ();
use Readiness::Util qw(now scaled);

our @EXPORT_OK = qw(encode_command parse_value);


sub encode_command {
    return join '', '*', scalar(@_), "\r\n",
                    map { ('$', length $_, "\r\n", $_, "\r\n") } @_;
}


# parse_value(\$bytes, $offset): (value, offset after it), nothing when it is
# not all there yet; dies at what is not RESP.  Errors are blessed strings.

sub parse_value {
    my ($buf, $pos) = @_;
    my $end = index $$buf, "\r\n", $pos;

    if ($end < 0) {
        my $first = substr $$buf, $pos, 1;
        die "not RESP: '$first'\n"
            if $first ne '' && $first !~ /^[-+:\$*_#,(!=%~>|]/;
        return;
    }

    my $type = substr $$buf, $pos, 1;
    my $line = substr $$buf, $pos + 1, $end - $pos - 1;
    my $next = $end + 2;

    return ($line, $next) if $type =~ /^[+:,(]/;
    return (Readiness::RESP::Error->new($line), $next) if $type eq '-';
    return (undef, $next) if $type eq '_';
    return ($line eq 't' ? 1 : 0, $next) if $type eq '#';

    die "not RESP: '$type$line'\n" if $line !~ /^-?\d+\z/;
    return (undef, $next) if $line < 0;

    if ($type =~ /^[\$!=]/) {
        return if length($$buf) < $next + $line + 2;
        my $s = substr $$buf, $next, $line;
        $s = Readiness::RESP::Error->new($s) if $type eq '!';
        return ($s, $next + $line + 2);
    }

    die "not RESP: '$type'\n" if $type !~ /^[*%~>|]/;

    my @list;
    my $count = $type =~ /[%|]/ ? 2 * $line : $line;
    for (1 .. $count) {
        my ($v, $p) = parse_value($buf, $next) or return;
        push @list, $v;
        $next = $p;
    }

    return (\@list, $next);
}


# new(port => N | unix => PATH, password =>, user =>, timeout =>)

sub new {
    my ($class, %o) = @_;
    my $self = bless { conn => Readiness::HTTP->new(%o),
                       timeout => $o{timeout} || 15 }, $class;

    if (defined $o{password}) {
        $self->cmd('AUTH', defined $o{user} ? $o{user} : (), $o{password});
    }

    return $self;
}


sub send {
    my ($self, @c) = @_;
    return $self->{conn}->write(encode_command(@c));
}

sub cmd  { my ($self, @c) = @_; $self->send(@c); return $self->reply }

sub conn { return $_[0]{conn} }


# One reply; an Error that starts with "client:" when none came.

sub reply {
    my ($self, $seconds) = @_;
    my $conn = $self->{conn};
    my $until = now() + scaled($seconds || $self->{timeout});

    while (1) {
        my @got = eval { parse_value(\$conn->{in}, 0) };

        return Readiness::RESP::Error->new("client: $@") if $@;

        if (@got) {
            substr $conn->{in}, 0, $got[1], '';
            return $got[0];
        }

        $conn->fill($until)
            or return Readiness::RESP::Error->new('client: ' . $conn->error);
    }
}


# Bytes that came without being asked for, within this time.

sub stray {
    my ($self, $seconds) = @_;
    my $until = now() + $seconds;

    1 while $self->{conn}->fill($until);
    return $self->{conn}{in};
}

sub close { $_[0]{conn}->close; return }


package Readiness::RESP::Error;

use overload '""' => sub { ${ $_[0] } }, fallback => 1;

sub new { my ($class, $text) = @_; return bless \$text, $class }

1;
