package Readiness::Flood;

# Clients that never let go: many connections to several nginx, each asking
# again as soon as it is answered, all in one process.  Every request carries
# X-Flood: a number of its own, by which the application and the log tell it
# again, and it is known between which two moments it was decided.
#
#   my $flood = Readiness::Flood->new(dir => $dir, ports => [11001, …],
#       uris => ['/a?k=x', …], conns => 48, name => 'flood',
#       rhythm => [1.5, 1.2]);          # seconds of asking, of silence
#   $flood->start;
#   my $got = $flood->stop;
#
# $got is { count => { status => n }, from => first sent, to => last answered,
# answers => [[uri number, id, sent, got, status], …] }; times are seconds of
# the machine's clock; status 0: no answer came, as the connection was closed or
# the time was up.  Of refusals (429) there is one for each uri and millisecond,
# that which was sent last.

use strict;
use warnings;

use Errno qw(EAGAIN EINTR);
use IO::Socket::INET ();
use Readiness::Process qw(alive fork_child stop_pid);
use Readiness::Util qw(append scaled slurp wait_for);
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);


sub new {
    my ($class, %o) = @_;
    my $self = bless { conns => 48, name => 'flood', %o }, $class;

    $self->{base} = "$self->{dir}/$self->{name}";
    return $self;
}


sub start {
    my ($self) = @_;

    unlink map { "$self->{base}.$_" } qw(stop began got times out);
    $self->{pid} = fork_child(sub { $self->_work }, dir => $self->{dir},
                              out => "$self->{base}.out");

    wait_for { -e "$self->{base}.began" } 20 or die "the flood does not start: "
        . slurp("$self->{base}.out") . "\n";

    return $self;
}


sub stop {
    my ($self) = @_;

    append("$self->{base}.stop", '');
    wait_for { !alive($self->{pid}) } 60;
    stop_pid($self->{pid});

    my $said = slurp("$self->{base}.out");
    die "the flood: $said\n" if $said ne '';

    my %got = (count => {}, answers => []);

    for my $line (split /\n/, slurp("$self->{base}.got")) {
        my @f = split ' ', $line;
        if ($f[0] eq 'count') { $got{count}{$f[1]} = $f[2] }
        else                  { push @{ $got{answers} }, \@f }
    }

    my ($from, $to) = slurp("$self->{base}.times") =~ /(\S+)/g;
    return { %got, from => $from, to => $to };
}


# --- in the process of the clients

sub _work {
    my ($self) = @_;
    my $n = 0;
    my $looked = time;
    my ($stop, $until);

    open $self->{out}, '>', "$self->{base}.got" or die $!;

    $self->{conn} = [map { { i => $_, port => $self->{ports}[
        $_ % @{ $self->{ports} }], turn => $_ } } 0 .. $self->{conns} - 1];
    $self->{wait} = '';

    while (1) {
        my $now = time;

        if ($now - $looked > 0.05 || !$n) {
            $looked = $now;
            if (!$stop && -e "$self->{base}.stop") {
                $stop = 1;
                $until = $now + scaled(20);
            }
        }

        my $rest = $stop || $self->_silent($now);

        for my $c (@{ $self->{conn} }) {
            $self->_ask($c, ++$n) if !$c->{sent} && !$rest;
        }

        append("$self->{base}.began", '') if $n == $self->{conns};

        last if $stop && (!grep({ $_->{sent} } @{ $self->{conn} })
                          || $now > $until);

        select my $ready = $self->{wait}, undef, undef, 0.05 or next;

        for my $c (@{ $self->{conn} }) {
            $self->_read($c) if $c->{sock} && vec $ready, $c->{fd}, 1;
        }
    }

    $self->_end($_, 0) for grep { $_->{sent} } @{ $self->{conn} };

    print { $self->{out} } grep({ defined } @{ $self->{held} }),
        map { "count $_ $self->{count}{$_}\n" } keys %{ $self->{count} };
    close $self->{out} or die $!;
    append("$self->{base}.times", "$self->{first} $self->{last}\n");
    return;
}


sub _silent {
    my ($self, $now) = @_;
    my ($on, $off) = @{ $self->{rhythm} || return 0 };
    my $t = $now - ($self->{first} || $now);

    return $t - int($t / ($on + $off)) * ($on + $off) > $on;
}


sub _ask {
    my ($self, $c, $id) = @_;

    if (!$c->{sock}) {
        return if ($c->{retry} || 0) > time;

        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $c->{port}, Proto => 'tcp', Timeout => 5);

        if (!$s) {
            $c->{retry} = time + 0.01;
            return;
        }

        setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;
        $s->blocking(0);
        @$c{qw(sock fd in)} = ($s, fileno $s, '');
        vec($self->{wait}, $c->{fd}, 1) = 1;
    }

    my $uris = $self->{uris};
    $c->{uri} = int($c->{turn}++ / @{ $self->{ports} }) % @$uris;
    $c->{id} = "$$-$id";
    $c->{sent} = time;
    $self->{first} ||= $c->{sent};

    my $request = "GET $uris->[$c->{uri}] HTTP/1.1\r\nHost: a\r\n"
                  . "X-Flood: $c->{id}\r\n\r\n";
    my $n = syswrite $c->{sock}, $request;

    # nobody reads it any more; what came before is told by the end of it

    $self->_end($c, 0) if !defined $n || $n != length $request;
    return;
}


sub _read {
    my ($self, $c) = @_;
    my $n = sysread $c->{sock}, $c->{in}, 65536, length $c->{in};

    if (!$n) {
        return if !defined $n && ($!{EAGAIN} || $!{EINTR});
        return $self->_end($c, 0);
    }

    return if $c->{in} !~ m{^HTTP/1\.1 (\d+) .*?\r\n\r\n}s;

    my ($status, $head) = ($1, $+[0]);
    my $text = substr $c->{in}, 0, $head;
    my ($len) = $text =~ /\nContent-Length: (\d+)/i;

    die "an answer without length: $text" if !defined $len;
    return if length $c->{in} < $head + $len;

    $c->{in} = '';
    return $self->_end($c, $status, $text =~ /\nConnection: close/i);
}


# What is known of a request by now is all there is.

sub _end {
    my ($self, $c, $status, $close) = @_;

    $self->_note($c, $status) if $c->{sent};
    $c->{sent} = 0;
    return if $status && !$close;

    vec($self->{wait}, $c->{fd}, 1) = 0;
    close delete $c->{sock};
    return;
}


sub _note {
    my ($self, $c, $status) = @_;
    my $uri = $c->{uri};

    $self->{last} = time;
    $self->{count}{$status}++;

    my $line = sprintf "%d %s %.6f %.6f %d\n", $uri, $c->{id}, $c->{sent},
        $self->{last}, $status;

    if ($status == 429) {
        my $slot = int $c->{sent} * 1000;
        my $held = $self->{slot}[$uri] || 0;
        return if $slot < $held;

        ($line, $self->{held}[$uri]) = ($self->{held}[$uri], $line);
        return if $slot == $held;

        $self->{slot}[$uri] = $slot;
        return if !defined $line;
    }

    print { $self->{out} } $line or die $!;
    return;
}

1;
