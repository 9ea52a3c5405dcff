package Readiness::Exact;

# Several nginx in front of one application, asked for far more than their
# limits admit, and what must be true of that: never one more than the limit in
# any stretch of time, and no refusal while there was room.
#
#   my $e = Readiness::Exact->new(3);               # nginx
#   $e->run(workers => 2, http => $redis_and_others, subst => { … },
#       rates => { a => { kind => 'rate', n => 10, period => 1, burst => 20,
#                         more => 'redis=main' } },
#       at => { '/a' => ['a'] });                   # location => its limits
#   my $got = $e->flood(20, sub { … meanwhile … });
#   $e->agreed($got); $e->exact($got, 'a'); $e->t->done;
#
# A request is known to be decided after the client sent it and before the
# application saw it (or the client its refusal).  All of what is said here
# follows from that alone, so that a busy machine makes it weaker, never wrong.
#
# A rate is of the kind "rate" (n per period, burst, lease), "quota" (n in any
# period) or "concurrent" (n in flight).

use strict;
use warnings;

use Exporter qw(import);
use List::Util qw(max sum0);
use POSIX ();
use Readiness ();
use Readiness::Flood ();
use Readiness::Util qw(now pause);
use Test::More ();

our @EXPORT_OK = qw(excess in_flight room_left silences totals windows);

use constant TINY => 1e-6;

# Refusals of more than a second that an nginx remembers end up to so much later
# than they might: not all at once.

use constant SPREAD => 0.1;


# --- what follows from when requests were sent and seen: [sent, seen] each

# The most that any stretch of time had above what it may have.

sub excess {
    my ($rate, @set) = @_;
    my $most = 0;
    my @later;                          # sent later than this one, as seen

    for my $from (sort { $b->[0] <=> $a->[0] } @set) {
        my $i = @later;
        $i-- while $i && $later[$i - 1] > $from->[1];
        splice @later, $i, 0, $from->[1];

        my $n = 0;
        for my $seen (@later) {
            my $may = _may($rate, $seen - $from->[0]);
            $most = max($most, ++$n - $may);
        }
    }

    return $most < TINY ? 0 : $most;
}

sub _may {
    my ($rate, $t) = @_;

    return $rate->{n} * int(1 + ($t - TINY) / $rate->{period})
        if $rate->{kind} eq 'quota';
    return $rate->{burst} + $t * $rate->{n} / $rate->{period} + TINY;
}


# The most that the application held at one moment, if it answers after so many
# seconds: it may have held more, never fewer.

sub in_flight {
    my ($hold, @set) = @_;
    my ($most, @open) = (0);

    for my $seen (sort { $a <=> $b } map { $_->[1] } @set) {
        shift @open while @open && $open[0] + $hold <= $seen + TINY;
        push @open, $seen;
        $most = max($most, scalar @open);
    }

    return $most;
}


# By how much the end of a refusal may be late: nginx knows of a key in Redis
# until when it is spent, and spreads ends that are over a second away.

sub spread {
    my ($rate) = @_;
    my $longest = $rate->{kind} eq 'quota' ? $rate->{period} * 61 / 60
                                           : $rate->{period} / $rate->{n};

    return ($rate->{more} || '') =~ /redis=/ && $longest > 1 ? 0.1 : 0;
}


# Was there room, for certain, for a request that was refused?  @seen are those
# that were charged, the last seen first.

sub room_left {
    my ($rate, $refused, @seen) = @_;
    my ($sent, $got) = @$refused;
    my $n = 0;

    $sent -= spread($rate);

    if ($rate->{kind} eq 'quota') {
        my $spread = ($rate->{more} || '') =~ /redis=/ ? SPREAD : 0;
        my $since = $sent - $rate->{period} * 61 / 60 - $spread - TINY;
        return $rate->{n}
            > grep { $_->[1] >= $since && $_->[0] <= $got } @seen;
    }

    for my $s (grep { $_->[0] <= $got } @seen) {
        my $gone = max(0, $sent - $s->[1]) * $rate->{n} / $rate->{period};
        return 0 if ++$n - $gone > $rate->{burst} - 1 - TINY;
    }

    return 1;
}


# (at least, at most) in a flood that began and ended at these times, with such
# silences between any two that were decided: a bucket that is not asked may be
# full, and what it would have refilled then is lost.

sub totals {
    my ($rate, $shortest, $longest, @silent) = @_;
    my ($n, $period, $burst) = @$rate{qw(n period burst)};

    return ($n * int($shortest / ($period * 61 / 60 + spread($rate)
                                  + max(0, @silent))),
            $n * (1 + int($longest / $period)))
        if $rate->{kind} eq 'quota';

    my $lost = sum0(map { max(0, $_ * $n / $period - $burst + 1) } @silent);
    my ($least, $most) = map { $burst + int($_ * $n / $period + TINY) }
                         $shortest, $longest;

    return (max(0, $least - POSIX::ceil($lost)), $most);
}


# The longest that may have passed from each request to the next that was
# decided.

sub silences {
    my @set = sort { $a->[0] <=> $b->[0] } @_;
    return map { $set[$_][1] - $set[$_ - 1][0] } 1 .. $#set;
}


# Counts of one period each, from the burst on, between moments when there was
# just no room.  Permits come one by one since the first was charged; a border
# lies amid two of them, at a refusal there.  undef: no refusal was near enough
# to tell.

sub windows {
    my ($rate, $seen, $refused) = @_;
    my @seen = sort { $a->[1] <=> $b->[1] } @$seen;
    my $gap = $rate->{period} / $rate->{n};
    my (@border, @count);

    my $first = $seen[0];
    my $next = $first->[0] + $gap / 2;
    my $last = $refused->[-1][1];

    for my $r (sort { $a->[0] <=> $b->[0] } @$refused) {
        next if $r->[0] < $next;
        push @border, $r->[1] - $next < $gap / 4 ? $r : undef;
        $next += $rate->{period};
        last if $next > $last;
    }

    my $quiet = $first->[1] - $first->[0] < $gap / 4;

    for my $i (1 .. $#border) {
        my ($from, $to) = @border[$i - 1, $i];
        my $n;

        if ($quiet && $from && $to) {
            my $sure = grep { $_->[0] >= $from->[1] && $_->[1] <= $to->[0] }
                            @seen;
            my $may = grep { $_->[1] >= $from->[0] && $_->[0] <= $to->[1] }
                           @seen;
            $n = $sure if $sure == $may;
        }

        push @count, $n;
    }

    return @count;
}


# --- the nginx

sub new {
    my ($class, $n, %o) = @_;
    return bless { t => [map { Readiness->new(%o) } 1 .. $n] }, $class;
}

sub t { my ($self, $i) = @_; return $self->{t}[$i || 0] }
sub all { return @{ $_[0]{t} } }


# Writes the configurations and starts or, later, only writes them.

sub conf {
    my ($self, %o) = @_;
    %$self = (%$self, %o);

    my $rates = join '', map {
        my $r = $self->{rates}{$_};
        my $what = $r->{kind} eq 'concurrent' ? "concurrent=$r->{n}"
            : $r->{kind} eq 'quota' ? "quota=$r->{n}/$r->{period}s"
            : "rate=$r->{n}r/$r->{period}s burst=$r->{burst}"
              . ($r->{lease} ? " lease=$r->{lease}" : '');
        "readiness_rate $_ key=\$arg_k $what $r->{more};\n";
    } sort keys %{ $self->{rates} };

    my $locations = join '', map {
        my $at = $_;
        "    location $at { "
            . join('', map { "readiness_limit $_; " } @{ $self->{at}{$at} })
            . "proxy_pass http://app; }\n";
    } sort keys %{ $self->{at} };

    my $listen = $self->{listen} || '';

    for my $t ($self->all) {
        $t->subst(UP => $self->t->app->addr, %{ $self->{subst} || {} });
        $t->conf(<<"CONF", workers => $self->{workers});
$self->{http}
$rates
map \$readiness_decision \$flood_admitted { allow 1; default ""; }
readiness_log %%DIR%%/decision.log if=\$flood_admitted;
readiness_log_field flood.id \$http_x_flood;
readiness_problem off;
readiness_limit_headers off;
keepalive_requests 1000000;
upstream app { server %%UP%%; keepalive 16; }
proxy_http_version 1.1;
proxy_set_header Connection \$http_connection;
proxy_set_header Upgrade \$http_upgrade;
proxy_set_header X-Worker \$pid;
proxy_read_timeout 10m;
server {
    listen 127.0.0.1:%%PORT0%% $listen;
    readiness on;
$locations}
CONF
    }

    return $self;
}

sub run {
    my ($self, %o) = @_;

    $self->conf(%o);
    $_->run for $self->all;
    return $self;
}


# Asks for all locations, or these, for that long, with a key that nobody used
# before; code runs meanwhile.  What is returned is for the words below.

sub flood {
    my ($self, $seconds, $code, @at) = @_;
    @at = sort keys %{ $self->{at} } if !@at;

    my $key = 'k' . ++$self->{floods};
    my $name = "flood$self->{floods}";

    my $flood = Readiness::Flood->new(dir => $self->t->dir, name => $name,
        ports => [map { $_->port } $self->all],
        uris => [map { "$_?k=$key" } @at], conns => $self->{conns} || 48,
        rhythm => $self->{rhythm});

    my $from = now();
    $flood->start;
    $code->($key) if $code;
    pause(max(0, $seconds - (now() - $from)));
    my $answers = $flood->stop;

    my %got = (%$answers, seen => {}, refused => {}, lost => {}, said => {});

    for my $a (@{ delete $got{answers} }) {
        my ($uri, $id, $sent, $back, $status) = @$a;
        my $at = $at[$uri];
        $got{said}{$id} = $status;
        push @{ $got{refused}{$at} }, [$sent, $back] if $status == 429;
        push @{ $got{lost}{$at} }, [$sent, $back] if !$status || $status == 503;
        $got{sent}{$id} = $sent;
    }

    for my $r ($self->t->app->requests(qr/\?k=$key\z/)) {
        my %h = map { lc $_->[0] => $_->[1] } @{ $r->{headers} };
        my ($at) = $r->{uri} =~ /^([^?]*)/;
        my $id = $h{'x-flood'};
        my $sent = defined $id ? $got{sent}{$id} : $got{from};
        push @{ $got{seen}{$at} }, [$sent, $r->{at}, $h{'x-worker'}];
        $got{app}{$id}++ if defined $id;
        $got{workers}{ $h{'x-worker'} }++;
    }

    for my $t ($self->all) {
        $got{logged}{ $_->{'flood.id'} }++
            for grep { exists $got{said}{ $_->{'flood.id'} || '' } }
                $t->lines('decision.log');
    }

    return \%got;
}


# The client, the application and the log tell the same.  closed => 1: some
# connections were closed just as a request came, which nobody read then;
# killed => 1: and some that were decided were lost with their worker.
# also => 503: another answer there may be.

sub agreed {
    my ($self, $got, %o) = @_;
    my $name = $o{name} || 'the flood';
    my $limit = sum0(map { $_->{n} / $_->{period} }
                     grep { $_->{period} } values %{ $self->{rates} });
    my $rate = sum0(values %{ $got->{count} }) / ($got->{to} - $got->{from});

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my %told = map { $_ => 1 } grep { $got->{said}{$_} == 200 }
                               keys %{ $got->{said} };
    my @other = grep { !/^(?:200|429)\z/ && $_ != ($o{also} || 200)
                       && ($_ || !$o{closed} && !$o{killed}) }
                keys %{ $got->{count} };

    Test::More::is("@other", '', "$name: nothing but 200 and 429")
        or Test::More::diag(map { "$_: $got->{count}{$_}\n" } @other);
    Test::More::cmp_ok($rate, '>', ($o{times} || 100) * $limit,
        sprintf '%s: %.0f times of what is admitted was asked for', $name,
                $rate / $limit) if $limit;

    for my $where (qw(app logged)) {
        my $n = $got->{$where};
        my @missed = grep { !$n->{$_} } keys %told;
        my @twice = grep { $n->{$_} > 1 } keys %$n;
        my @only = grep { !$told{$_} } keys %$n;
        @only = grep { $got->{said}{$_} } @only if $o{killed};

        Test::More::is(@missed + @twice + @only, 0,
            "$name: $where has each of " . keys(%told) . ' admitted ones once')
            or Test::More::diag("missed @missed\ntwice @twice\nonly @only");
    }

    return;
}


# Everything that is charged to a rate: where it was seen, or may have been.

sub _charged {
    my ($self, $got, $name, $what) = @_;
    my @at = grep { grep { $_ eq $name } @{ $self->{at}{$_} } }
             sort keys %{ $self->{at} };

    return map { @{ $got->{$what}{$_} || [] } } @at;
}


# Never one more than the limit; more => N: but for these; of => { pid => 1 }:
# only what these workers admitted.

sub at_most {
    my ($self, $got, $name, %o) = @_;
    my $rate = $self->{rates}{$name};
    my @seen = grep { !$o{of} || $o{of}{ $_->[2] } }
               $self->_charged($got, $name, 'seen');
    my $excess = excess($rate, @seen);
    my $more = $o{more} || 0;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::cmp_ok($excess, '<=', $more, "$name: of " . @seen
        . ' no stretch of time has ' . ($more ? "over $more" : 'one')
        . ' too many');
}


# No refusal while there was room.

sub no_room {
    my ($self, $got, $at) = @_;
    my @rates = @{ $self->{at}{$at} };
    my (%charged, @wrong);

    for my $name (@rates) {
        $charged{$name} = [sort { $b->[1] <=> $a->[1] }
            $self->_charged($got, $name, 'seen'),
            $self->_charged($got, $name, 'lost')];
    }

    # one of those that were sent in the same 5 ms: the last has most room

    my %refused;
    for my $r (sort { $a->[0] <=> $b->[0] } @{ $got->{refused}{$at} || [] }) {
        $refused{ int $r->[0] * 200 } = $r;
    }

    for my $r (values %refused) {
        push @wrong, $r if !grep { !room_left($self->{rates}{$_}, $r,
                                              @{ $charged{$_} }) } @rates;
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::is(scalar(@wrong), 0, "$at: none of "
        . keys(%refused) . ' refused while there was room')
        || Test::More::diag(join "\n", map { sprintf 'sent %.6f refused %.6f',
                            @$_ } @wrong > 5 ? @wrong[0 .. 4] : @wrong);
}


sub _between {
    my ($n, $least, $most, $got, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::ok($n >= $least && $n <= $most, sprintf
        '%s: %d admitted in %.2f s, between %d and %d', $name, $n,
        $got->{to} - $got->{from}, $least, $most);
}


# A leased rate: over time not one more than without, though some come sooner
# than they would: as many as the nginx may hold, or one second's refill.

sub leased {
    my ($self, $got, $name, $share) = @_;
    my $rate = $self->{rates}{$name};
    my $second = $rate->{n} / $rate->{period};
    my $held = $rate->{lease} * $self->all;
    my $time = $got->{to} - $got->{from};
    my (undef, $most) = totals($rate, 0, $time);

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->at_most($got, $name, more => $held < $second ? $held : $second);
    return _between(scalar $self->_charged($got, $name, 'seen'),
                    $share * $most, $most, $got, $name);
}


# Twenty windows of a Redis that is more than one; then it loses a master, as
# code does it: what the promoted one had not heard of is admitted again, and of
# a bucket that can be no more than what fits into it; then windows again.

sub failover {
    my ($self, $code) = @_;
    my @one = qw(plain burst);

    my $got = $self->flood(21);
    $self->agreed($got, name => 'before');
    $self->exact($got, $_) for @one;
    $self->at_most($got, $_) for qw(slow wide);

    $got = $self->flood(0, $code);
    $self->agreed($got, name => 'failover', also => 503);
    Test::More::ok($got->{count}{503}, 'failover: refused meanwhile: '
                   . ($got->{count}{503} || 0));
    $self->at_most($got, $_, more => $self->{rates}{$_}{burst})
        for @one, qw(slow wide);

    $got = $self->flood(5);
    $self->agreed($got, name => 'afterwards');
    $self->exact($got, $_) for @one;

    return;
}


# The whole of it, for a location with this one limit and no other where the
# rate is charged: every stretch, every refusal, the sum, and each window.
# killed => 1: what was lost may have been charged; no look at windows then.

sub exact {
    my ($self, $got, $name, %o) = @_;
    my $rate = $self->{rates}{$name};
    my $at = "/$name";
    my @seen = sort { $a->[1] <=> $b->[1] } @{ $got->{seen}{$at} };
    my @refused = @{ $got->{refused}{$at} };

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $self->at_most($got, $name);
    $self->no_room($got, $at);

    my $lost = @{ $got->{lost}{$at} || [] };
    my @silent = silences(@seen, @refused);
    my ($least, $most) = totals($rate, $refused[-1][0] - $seen[0][1],
                                $got->{to} - $got->{from}, @silent);
    $least -= $lost if $o{killed};
    _between(scalar(@seen), $least, $most, $got, $name);

    # after a silence that filled the bucket permits come at other times

    return if $rate->{kind} ne 'rate' || $o{killed};

    my $full = ($rate->{burst} - 1) * $rate->{period} / $rate->{n};
    return if grep { $_ >= $full } @silent;

    my @windows = windows($rate, \@seen, \@refused);
    my @clear = grep { defined } @windows;

    Test::More::is(join(' ', @clear), join(' ', map { $rate->{n} } @clear),
        "$name: $rate->{n} in each of " . @clear . ' windows (' . @windows
        . ' in all)');

    return;
}

1;
