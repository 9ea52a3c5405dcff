package Readiness::FakeRedis;

# Redis as one would not wish it: a process between nginx and a real
# redis-server that delays, loses, doubles, cuts and forges what passes through.
# The server side is in Readiness::FakeRedis::Server, with the list of
# behaviours; this is the handle that a test holds.

use strict;
use warnings;

use JSON::XS ();
use Readiness::FakeRedis::Server ();
use Readiness::HTTP ();
use Readiness::Process qw(fork_child stop_pid);
use Readiness::Util qw(free_port listener now scaled wait_for);

my $json = JSON::XS->new->ascii->canonical;         # bytes in, bytes out


# dir, backend => port of the real server (undef: nothing behind it).

sub new {
    my ($class, %o) = @_;
    my $self = bless { port => free_port(), name => 'fake', %o }, $class;

    $self->{control} = free_port();

    my $listen = listener($self->{port});
    my $control = listener($self->{control});

    $self->{pid} = fork_child(sub {
        Readiness::FakeRedis::Server->new(%$self)->serve($listen, $control);
    }, dir => $o{dir}, out => "$o{dir}/$self->{name}.out",
       keep => [$listen, $control]);

    close $_ for $listen, $control;
    return $self;
}

sub port { return $_[0]{port} }
sub addr { return "127.0.0.1:$_[0]{port}" }
sub pid  { return $_[0]{pid} }
sub stop { return stop_pid($_[0]{pid}) }


sub _ask {
    my ($self, @call) = @_;

    if (!$self->{line} || $self->{line}->error ne '') {
        $self->{line} = Readiness::HTTP->new(port => $self->{control});
    }

    my $line = $self->{line};
    my $until = now() + scaled(15);

    $line->write($json->encode(\@call) . "\n");
    while ($line->{in} !~ /\n/) {
        $line->fill($until) or die 'the fake redis does not answer: '
                                   . $line->error . "\n";
    }

    $line->{in} =~ s/^(.*?)\n//s;
    my $answer = $json->decode($1);

    die "$answer->{error}\n"
        if ref $answer eq 'HASH' && defined $answer->{error};
    return $answer;
}


# Behaves so from the next command on; what was told before is forgotten:
#   set('pass')   set(delay => 20, on => 'EVALSHA', times => 1)
# rule() adds one instead; the first that matches a command counts.

sub set {
    my ($self, @rule) = @_;
    $self->_ask('rules');
    return $self->rule(@rule);
}

sub rule {
    my ($self, $do, @more) = @_;
    return $self if $do eq 'pass' && !@more;
    my ($arg, %o) = @more % 2 ? @more : (undef, @more);
    $self->_ask('rule', { do => $do, arg => $arg, %o });
    return $self;
}

sub pass { return $_[0]->set('pass') }


# The whole server: gone, back, silent, or with its queue of connections full.

sub down {
    my ($self, %o) = @_;
    return $self->_ask('down', $o{rst} ? 1 : 0);
}

sub up        { return $_[0]->_ask('up') }
sub deaf      { return $_[0]->_ask('deaf', 1) }
sub hearing   { return $_[0]->_ask('deaf', 0) }
sub blackhole { return $_[0]->_ask('blackhole') }   # until up()

sub push      { my ($self, $bytes) = @_; return $self->_ask('push', $bytes) }
sub close_all { return $_[0]->_ask('close_all', 0) }
sub reset_all { return $_[0]->_ask('close_all', 1) }


# { accepted, open, closed_by_peer, commands => { NAME => n }, replies,
#   max_open, did => { BEHAVIOUR => n } }; clear() sets the counters to zero.

sub stats { return $_[0]->_ask('stats') }
sub clear { return $_[0]->_ask('clear') }

sub count {
    my ($self, $name) = @_;
    return $self->stats->{commands}{ uc $name } || 0;
}

# The last 5000 commands: [connection, seconds, NAME, args…]

sub log { return @{ $_[0]->_ask('log') } }

sub wait_count {
    my ($self, $name, $n, $seconds) = @_;
    return wait_for { $self->count($name) >= $n } $seconds || 10;
}

1;
