package Readiness::DNS;

# A name server for one test: it knows one answer for every name.

use strict;
use warnings;

use IO::Socket::INET ();
use JSON::XS ();
use Readiness::Process qw(fork_child stop_pid);
use Readiness::Util qw(free_port slurp spew);
use Socket qw(inet_pton AF_INET AF_INET6);

my $json = JSON::XS->new->canonical;


# dir => where it lives; name

sub new {
    my ($class, %o) = @_;
    my $self = bless { port => free_port(), name => 'fakedns', %o }, $class;

    $self->{file} = "$o{dir}/$self->{name}.answer";
    $self->start;

    return $self;
}

sub addr { return "127.0.0.1:$_[0]{port}" }
sub pid  { return $_[0]{pid} }
sub stop { return stop_pid($_[0]{pid}) }


# a => [addresses], aaaa => [addresses], rcode => 2 (SERVFAIL), 3 (NXDOMAIN),
# silent => 1, ttl => seconds.

sub set {
    my ($self, %o) = @_;
    spew($self->{file}, $json->encode(\%o));
    return $self;
}

# How many questions came.

sub asked { return -s "$_[0]{file}.asked" || 0 }


sub start {
    my ($self) = @_;
    my $sock = IO::Socket::INET->new(Proto => 'udp', ReuseAddr => 1,
        LocalAddr => '127.0.0.1', LocalPort => $self->{port})
        or die "udp $self->{port}: $@";

    $self->{pid} = fork_child(sub { $self->_serve($sock) }, keep => [$sock],
        dir => $self->{dir}, out => "$self->{dir}/$self->{name}.out");
    close $sock;

    return $self;
}


sub _serve {
    my ($self, $sock) = @_;

    while (1) {
        my $peer = $sock->recv(my $q, 4096);
        next if !defined $peer || length $q < 17;

        open my $fh, '>>', "$self->{file}.asked" or die $!;
        syswrite $fh, '.';
        close $fh;

        my $set = $json->decode(slurp($self->{file}) || '{"silent":1}');
        next if $set->{silent};

        my $end = index($q, "\0", 12) + 5;
        my $type = unpack 'n', substr $q, $end - 4, 2;
        my ($list, $af) = $type == 1 ? ($set->{a}, AF_INET)
                        : $type == 28 ? ($set->{aaaa}, AF_INET6) : ();
        my @data = map { inet_pton($af, $_) } @{ $list || [] };
        my $ttl = defined $set->{ttl} ? $set->{ttl} : 1;

        my $answer = pack 'a2nnnnn', substr($q, 0, 2),
            0x8180 | ($set->{rcode} || 0), 1, scalar @data, 0, 0;
        $answer .= substr $q, 12, $end - 12;
        $answer .= pack 'nnnNn/a*', 0xc00c, $type, 1, $ttl, $_ for @data;

        $sock->send($answer, 0, $peer);
    }

    return;
}

1;
