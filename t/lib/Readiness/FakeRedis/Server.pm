package Readiness::FakeRedis::Server;

# The man in the middle.  Commands and replies are parsed, matched in order, and
# each command's rule decides about its reply:
#
#   delay => MS or [LO, HI]     later; everything behind it waits too
#   swallow                     the backend answers, nobody hears it
#   ignore                      the backend never sees the command
#   dup                         twice
#   swap                        after the reply that follows it
#   extra => BYTES (":1\r\n")   with unasked-for bytes behind it
#   split => N or 'each'        in two segments at byte N (negative: from the
#                               end); or each byte in its own
#   merge => N                  together with the next N-1 replies, one segment
#   close => N, rst => N        only N bytes of it, then FIN or RST
#   hangup => 'fin' or 'rst'    at the command: it never reaches the backend
#   reply => BYTES              these bytes, the backend never sees the command
#   replace => BYTES            these bytes, the backend did its work
#   cut => N                    the first N bytes of a bulk reply's text, well
#                               formed
#
# and for each: on => NAME or [NAMES] ("SCRIPT LOAD" works), times => N of them,
# skip => N first, conn => K: on the K-th connection only (from 1),
# chance => P: only so often, else the next rule is looked at,
# delay_ms => MS or [LO, HI] besides; gap => MS between two segments (3).

use strict;
use warnings;

use parent -norequire, 'Readiness::FakeRedis::Control';

use IO::Socket::INET ();
use Readiness::FakeRedis::Control ();
use Readiness::Loop ();
use Readiness::RESP qw(parse_value);
use Readiness::Util qw(now);
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);


sub new {
    my ($class, %o) = @_;
    my $self = bless { %o, loop => Readiness::Loop->new, conns => {},
                       rules => [], log => [], total => 0 }, $class;
    $self->_clear;
    return $self;
}

sub _clear {
    my ($self) = @_;
    $self->{stats} = { accepted => 0, replies => 0, closed_by_peer => 0,
                       max_open => 0, commands => {}, did => {} };
    $self->{log} = [];
    return;
}


sub serve {
    my ($self, $listen, $control) = @_;

    $self->_listen($listen);
    $self->{loop}->watch($control, sub {
        while (my $fh = $control->accept) { $self->_control($fh) }
    });

    return $self->{loop}->run;
}


# --- connections

sub _listen {
    my ($self, $fh) = @_;
    $self->{listen} = $fh;

    $self->{loop}->watch($fh, sub {
        while (my $c = $fh->accept) { $self->_accept($c) }
    });

    return;
}


sub _accept {
    my ($self, $fh) = @_;
    my $stats = $self->{stats};
    my $c = { id => ++$self->{total}, fh => $fh, in => '', out => [],
              wait => [], back_in => '', back_out => '' };

    $fh->blocking(0);
    setsockopt $fh, IPPROTO_TCP, TCP_NODELAY, 1;
    $stats->{accepted}++;

    if (defined $self->{backend}) {
        my $back = IO::Socket::INET->new(Proto => 'tcp',
            PeerAddr => '127.0.0.1', PeerPort => $self->{backend},
            Timeout => 5);
        return close $fh if !$back;

        $back->blocking(0);
        setsockopt $back, IPPROTO_TCP, TCP_NODELAY, 1;
        $c->{back} = $back;
        $self->{loop}->watch($back, sub { $self->_from_back($c) });
    }

    $self->{conns}{ $c->{id} } = $c;
    my $open = keys %{ $self->{conns} };
    $stats->{max_open} = $open if $stats->{max_open} < $open;

    return $self->_arm($c);
}


sub _arm {
    my ($self, $c) = @_;
    return if !$c->{fh};

    my $reader = $self->{deaf} ? undef : sub { $self->_from_client($c) };
    my $writer = sub { $c->{stuck} = 0; $self->_write($c) };
    $writer = undef if !$c->{stuck};

    return $self->{loop}->watch($c->{fh}, $reader, $writer);
}


sub _end {
    my ($self, $c, $rst) = @_;
    return if !delete $self->{conns}{ $c->{id} };

    for my $fh (grep { defined } delete $c->{fh}, delete $c->{back}) {
        $self->{loop}->watch($fh);
        setsockopt $fh, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $rst;
        close $fh;
    }

    return;
}


# --- commands

sub _from_client {
    my ($self, $c) = @_;

    if ($self->{loop}->take($c->{fh}, \$c->{in}) == 0) {
        $self->{stats}{closed_by_peer}++;
        return $self->_end($c);
    }

    while ($c->{fh}) {
        my ($args, $len) = eval { parse_value(\$c->{in}, 0) };
        return $self->_end($c) if $@;
        last if !defined $len;

        my $bytes = substr $c->{in}, 0, $len, '';
        $self->_command($c, $bytes, ref $args ? @$args : $args);
    }

    return $self->_push_back($c) if $c->{fh};
}


sub _command {
    my ($self, $c, $bytes, @args) = @_;
    my $name = uc $args[0];
    my $long = @args > 1 ? uc "$args[0] $args[1]" : $name;
    my $count = $self->{stats}{commands};

    $count->{$name}++;
    $count->{$long}++ if $name =~ /^(SCRIPT|CLIENT|CONFIG|CLUSTER|SENTINEL)\z/;

    my $log = $self->{log};
    push @$log, [$c->{id}, sprintf('%.4f', now()), $name, @args[1 .. $#args]];
    shift @$log if @$log > 5000;

    my $rule = $self->_rule_for($c, $name, $long);
    my $do = $rule->{do};

    $self->{stats}{did}{$do}++;

    return if $do eq 'ignore';
    return $self->_end($c, $rule->{arg} eq 'rst') if $do eq 'hangup';

    my $entry = { rule => $rule };
    push @{ $c->{wait} }, $entry;

    if ($do eq 'reply' || !$c->{back}) {
        my $answer = $do eq 'reply' ? $rule->{arg} : "+OK\r\n";
        return $self->_answered($c, $entry, $answer);
    }

    $c->{back_out} .= $bytes;
    return;
}


sub _rule_for {
    my ($self, $c, $name, $long) = @_;

    for my $rule (@{ $self->{rules} }) {
        next if $rule->{names} && !$rule->{names}{$name}
                && !$rule->{names}{$long};
        next if $rule->{conn} && $rule->{conn} != $c->{id};
        next if $rule->{skip} && $rule->{skip}-- > 0;
        next if defined $rule->{chance} && rand() >= $rule->{chance};
        next if defined $rule->{times} && $rule->{times}-- <= 0;
        return $rule;
    }

    return { do => 'pass' };
}


sub _push_back {
    my ($self, $c) = @_;
    my $back = $c->{back} or return;

    while ($c->{back_out} ne '') {
        my $n = $self->{loop}->give($back, \$c->{back_out});
        return $self->_end($c) if !defined $n;
        last if $n < 0;
    }

    return $self->{loop}->watch($back, sub { $self->_from_back($c) },
        $c->{back_out} eq '' ? undef : sub { $self->_push_back($c) });
}


# --- replies

sub _from_back {
    my ($self, $c) = @_;

    return $self->_end($c)
        if $self->{loop}->take($c->{back}, \$c->{back_in}) == 0;

    while ($c->{fh}) {
        my (undef, $len) = eval { parse_value(\$c->{back_in}, 0) };
        last if !defined $len;

        my $bytes = substr $c->{back_in}, 0, $len, '';
        my ($entry) = grep { !defined $_->{bytes} } @{ $c->{wait} };

        if ($entry) { $self->_answered($c, $entry, $bytes) }
        else        { $self->_put($c, [$bytes, 0]) }
    }

    return;
}


sub _ms {
    my ($v) = @_;
    return ref $v ? $v->[0] + rand($v->[1] - $v->[0]) : $v || 0;
}


sub _answered {
    my ($self, $c, $entry, $bytes) = @_;
    my $rule = $entry->{rule};
    my $ms = _ms($rule->{do} eq 'delay' ? $rule->{arg} : $rule->{delay_ms});

    $entry->{bytes} = $bytes;
    $entry->{due} = now() + $ms / 1000;
    $self->{loop}->after($ms / 1000, sub { $self->_emit($c) }) if $ms;

    return $self->_emit($c);
}


# Everything that is due, in the order of the commands.

sub _emit {
    my ($self, $c) = @_;
    my $wait = $c->{wait};

    while ($c->{fh} && @$wait && defined $wait->[0]{bytes}
           && $wait->[0]{due} <= now())
    {
        my $entry = shift @$wait;
        my @out = $self->_bend($c, $entry->{rule}, $entry->{bytes});

        if (@out && defined $c->{swapped}) {
            push @out, [delete $c->{swapped}, 0];
        }

        $self->{stats}{replies}++;
        $self->_put($c, @out);
    }

    return;
}


# The segments of a reply under a rule: [bytes, seconds to wait after them],
# 'fin' or 'rst' for the end.

sub _bend {
    my ($self, $c, $rule, $bytes) = @_;
    my ($do, $arg) = @$rule{qw(do arg)};

    my $gap = (defined $rule->{gap} ? $rule->{gap} : 3) / 1000;

    return () if $do eq 'swallow';
    return [$bytes . $bytes, 0] if $do eq 'dup';
    return [$arg, 0] if $do eq 'replace';

    if ($do eq 'cut' && $bytes =~ /^\$\d+\r\n(.*)\r\n\z/s) {
        my $text = substr $1, 0, $arg;
        return ['$' . length($text) . "\r\n$text\r\n", 0];
    }

    return [$bytes . (defined $arg ? $arg : ":1\r\n"), 0] if $do eq 'extra';

    if ($do eq 'swap') {
        return [$bytes, 0] if defined $c->{swapped};
        $c->{swapped} = $bytes;
        return ();
    }

    if ($do eq 'merge') {
        $c->{merged} .= $bytes;
        return () if ++$c->{merges} < $arg;
        $c->{merges} = 0;
        return [delete $c->{merged}, 0];
    }

    return map { [$_, $gap] } split //, $bytes
        if $do eq 'split' && $arg eq 'each';

    if ($do eq 'split') {
        my $at = $arg < 0 ? length($bytes) + $arg : $arg;
        return [$bytes, 0] if $at <= 0 || $at >= length $bytes;
        return ([substr($bytes, 0, $at), $gap], [substr($bytes, $at), 0]);
    }

    return ([substr($bytes, 0, $arg || 0), $gap], $do eq 'rst' ? 'rst' : 'fin')
        if $do eq 'close' || $do eq 'rst';

    return [$bytes, 0];
}


sub _put {
    my ($self, $c, @segments) = @_;
    push @{ $c->{out} }, @segments;
    return $self->_write($c);
}


sub _write {
    my ($self, $c) = @_;
    my $out = $c->{out};

    while ($c->{fh} && @$out && !$c->{stuck} && !$c->{resting}) {
        return $self->_end($c, $out->[0] eq 'rst') if !ref $out->[0];

        if ($out->[0][0] ne '') {
            my $n = $self->{loop}->give($c->{fh}, \$out->[0][0]);
            return $self->_end($c) if !defined $n;

            $c->{stuck} = 1 if $n < 0;
            next if $out->[0][0] ne '';
        }

        my $rest = (shift @$out)->[1] or next;
        $c->{resting} = 1;
        $self->{loop}->after($rest, sub {
            $c->{resting} = 0;
            $self->_write($c);
        });
    }

    return $self->_arm($c) if $c->{fh};
}

1;
