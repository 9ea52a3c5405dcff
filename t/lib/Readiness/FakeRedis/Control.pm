package Readiness::FakeRedis::Control;

# What a test tells the fake server while it runs: one JSON line each way.

use strict;
use warnings;

use IO::Socket::INET ();
use JSON::XS ();
use Readiness::Util qw(listener);

my $json = JSON::XS->new->ascii->canonical;         # bytes in, bytes out


sub _control {
    my ($self, $fh) = @_;
    my $in = '';
    $fh->blocking(1);

    $self->{loop}->watch($fh, sub {
        if ($self->{loop}->take($fh, \$in) == 0) {
            $self->{loop}->watch($fh);
            return close $fh;
        }

        while ($in =~ s/^(.*?)\n//s) {
            my ($op, @args) = @{ $json->decode($1) };
            my $code = $self->can("op_$op");
            my $answer = $code ? $self->$code(@args) : { error => "no op $op" };
            syswrite $fh, $json->encode(ref $answer ? $answer : {}) . "\n";
        }
    });

    return;
}

my %knows = map { $_ => 1 } qw(pass delay swallow ignore dup swap extra split
                               merge close rst hangup reply replace cut);

sub op_rules { $_[0]{rules} = []; return }
sub op_clear { $_[0]->_clear; return }
sub op_log   { return $_[0]{log} }

sub op_rule {
    my ($self, $rule) = @_;

    return { error => "unknown behaviour: $rule->{do}" }
        if !$knows{ $rule->{do} };

    if (defined $rule->{on}) {
        my @on = ref $rule->{on} ? @{ $rule->{on} } : $rule->{on};
        $rule->{names} = { map { uc $_ => 1 } @on };
    }

    push @{ $self->{rules} }, $rule;
    return;
}

sub op_stats {
    my ($self) = @_;
    return { %{ $self->{stats} }, open => scalar keys %{ $self->{conns} } };
}

sub op_down {
    my ($self, $rst) = @_;

    if (my $fh = delete $self->{listen}) {
        $self->{loop}->watch($fh);
        close $fh;
    }

    delete $self->{filler};
    return $self->op_close_all($rst);
}

sub op_up {
    my ($self) = @_;
    $self->op_down(0) if $self->{filler};
    $self->_listen(listener($self->{port})) if !$self->{listen};
    return;
}

sub op_close_all {
    my ($self, $rst) = @_;
    $self->_end($_, $rst) for values %{ $self->{conns} };
    return;
}

sub op_push {
    my ($self, $bytes) = @_;
    $self->_put($_, [$bytes, 0]) for values %{ $self->{conns} };
    return;
}

sub op_deaf {
    my ($self, $on) = @_;
    $self->{deaf} = $on;
    $self->_arm($_) for values %{ $self->{conns} };
    return;
}

# A listening socket whose queue is full: SYNs get no answer at all.

sub op_blackhole {
    my ($self) = @_;
    my $fh = $self->{listen} or return { error => 'not listening' };

    $self->op_close_all(0);
    $self->{loop}->watch($fh);
    listen $fh, 0;

    for (1 .. 4) {
        push @{ $self->{filler} }, IO::Socket::INET->new(Proto => 'tcp',
            PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Blocking => 0);
    }

    return;
}

1;
