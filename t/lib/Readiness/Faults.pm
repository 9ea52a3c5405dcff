package Readiness::Faults;

# What a fault of Redis does to each policy on each protocol, as a table.
#
#   my $f = Readiness::Faults->new($t, server => '%%FAKE%%', more => '…');
#   $f->row('G01 late', policy => begin => sub { … }, end => sub { … });
#   $f->finish;                         # then $t->done
#
# A row begins its fault, asks each of local, allow and deny three times for
# one key that admits two, on HTTP/1.1 and HTTP/2, ends the fault, and waits
# until Redis decides again.  What must be so meanwhile:
#
#   policy   Redis decides nothing: each request is answered by policy
#   redis    nobody notices
#   either   each request is Redis' or the policy's, whole and in step
#
# A cell is one fact: status, headers, exactly one response, exactly one line
# with the request's ID, its reason, source and numbers (O2, O4).  Then that
# normal verdicts are back, and how long it took (O5).
#
# rounds => N asks so often; reset => sub is called before each round;
# within => S instead of 3.

use strict;
use warnings;

use JSON::XS ();
use Readiness::Request qw(format_request);
use Readiness::Util qw(now pause wait_for);
use Test::More ();

my @policies = qw(local allow deny);


# timeout, connect => ms; more => lines of readiness_redis; http => lines of
# http; conf => options of conf().

sub new {
    my ($class, $t, %o) = @_;
    my $self = bless { timeout => 150, connect => 150, more => '', http => '',
        server => '%%FAKE%%', %o, t => $t, n => 0, log => '', seen => 0,
        lines => {}, sent => 0 }, $class;

    $t->conf($self->_conf, %{ $o{conf} || {} })->run if !$o{hold};
    return $self;
}

sub _conf {
    my ($self) = @_;
    my ($rates, $places) = ('', '');

    for my $p (@policies) {
        $rates .= "readiness_rate $p key=\$arg_key rate=2r/d redis=main"
                  . " on_redis_error=$p;\n";
        $places .= "location /$p/ { readiness_limit $p cost=\$arg_cost;"
                   . " empty_gif; }\n";
    }

    return <<"CONF";
$self->{http}
readiness_redis main {
    server $self->{server};
    timeout $self->{timeout}ms; connect_timeout $self->{connect}ms;
    $self->{more}
}
$rates
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness on;
    location /free/ { empty_gif; }
$places
}
CONF
}


# --- a row

sub row {
    my ($self, $name, $mode, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $o{begin}->() if $o{begin};

    my %cell;
    for (1 .. $o{rounds} || 1) {
        $o{reset}->() if $o{reset} && $_ > 1;

        my $got = $self->_ask;
        my $slow = grep { $_->{line}{source} =~ /unavailable|fallback/ }
                   map { @$_ } values %$got;

        # a crowded machine may miss a deadline: once more

        for (1 .. 10) {
            last if $mode ne 'redis' || !$slow;
            $got = $self->_ask;
            $slow = grep { $_->{line}{source} =~ /unavailable|fallback/ }
                    map { @$_ } values %$got;
        }

        for my $c (keys %$got) {
            my ($policy) = $c =~ /^(\w+)/;
            push @{ $cell{$c} }, $self->_wrong($mode, $policy, $got->{$c});
        }
    }

    for my $c (sort keys %cell) {
        Test::More::is(join("\n", @{ $cell{$c} }), '', "$name: $c");
    }

    $o{end}->() if $o{end};
    return $self->recovered($name, $o{within});
}


# Redis decides again: how long that took.

sub recovered {
    my ($self, $name, $within) = @_;
    my $from = now();
    my $took;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    wait_for {
        return 0 if $self->one('deny') != 200;
        $took = now() - $from;
        1;
    } 20;

    $took = 99 if !defined $took;
    Test::More::cmp_ok($took, '<', Readiness::Util::scaled($within || 3),
        "$name: Redis decides again (O5)");
    Test::More::note(sprintf '%s: after %.0f ms', $name, $took * 1000);
    push @{ $self->{took} }, $took;

    my @got = map { $self->one('deny', 5000) } 1 .. 3;
    Test::More::ok(scalar(grep({ $_ == 429 } @got)),
                   "$name: and refuses again (O5)");
    return $took;
}

sub one {
    my ($self, $policy, $cost) = @_;
    my $key = 'one' . ++$self->{n};
    $self->{sent}++;
    return $self->{t}->get("/$policy/?key=$key&cost=" . ($cost || 1))->status;
}


# Every request has one line, and the file no other.

sub finish {
    my ($self) = @_;
    my $all = $self->{sent};

    wait_for { $self->_read; $self->{seen} >= $all } 20;
    Test::More::is($self->{seen}, $all, 'one line for each request (O2)');

    my @took = sort { $a <=> $b } @{ $self->{took} || [] };
    Test::More::note(sprintf 'back after: median %.0f ms, at most %.0f ms',
                     1000 * $took[$#took / 2], 1000 * $took[-1]) if @took;
    return;
}


# --- asking

sub _ask {
    my ($self) = @_;
    my $t = $self->{t};
    my $key = 'k' . ++$self->{n};
    my $h2 = $t->h2(port => 1);
    my (%h1, %ids, %got);

    for my $p (@policies, 'free') {
        my $times = $p eq 'free' ? 1 : 3;
        my $uri = "/$p/$key";

        $h1{$p} = [map { $t->conn } 1 .. $times];
        $_->write(format_request('GET', "${uri}a?key=${key}a", close => 1))
            for @{ $h1{$p} };
        $ids{$p} = [map { scalar $h2->open('GET', "${uri}b?key=${key}b") }
                    1 .. $times];
        $self->{sent} += 2 * $times;
    }

    for my $p (sort keys %h1) {
        for my $c (@{ $h1{$p} }) {
            push @{ $got{"$p, HTTP/1.1"} }, { r => $c->response,
                                              more => length $c->drain };
            $c->close;
        }
    }

    for my $p (sort keys %ids) {
        push @{ $got{"$p, HTTP/2"} }, map { { r => $h2->wait($_), id => $_ } }
                                      @{ $ids{$p} };
    }

    $h2->ping;
    for my $x (map { @{ $got{"$_, HTTP/2"} } } keys %ids) {
        $x->{more} = grep({ $_->[0] == 1 && $_->[2] == $x->{id} }
                          @{ $h2->frames }) - 1;
    }
    $h2->close;

    $self->_find($_) for map { @$_ } values %got;
    return \%got;
}


# Lines, by request ID; the file is read on from where it was left.

sub _read {
    my ($self) = @_;

    open my $fh, '<:raw', $self->{t}->path('decision.log') or return;
    seek $fh, $self->{at} || 0, 0;
    local $/;
    my $new = <$fh>;
    return if !defined $new || $new !~ /\n/;

    $new =~ s/[^\n]*\z//;
    $self->{at} += length $new;

    for my $line (split /\n/, $new) {
        my $l = JSON::XS::decode_json($line);
        push @{ $self->{lines}{ $l->{'http.request.id'} } }, $l;
        $self->{seen}++;
    }

    return;
}

sub _find {
    my ($self, $x) = @_;
    my $id = $x->{r}->header('X-Request-Id');
    $id = '' if !defined $id;

    wait_for { $self->_read; $self->{lines}{$id} } 5 if $id ne '';

    my @l = @{ $self->{lines}{$id} || [] };
    my $limit = $l[0]{'readiness.limits'}[0] || {};
    $x->{line} = { n => scalar @l, limit => $limit,
        reason => $l[0]{'readiness.reason'} || 'none',
        status => $l[0]{'http.response.status_code'} || 0,
        source => $limit->{source} || 'none' };
    return;
}


# --- judging: what is wrong with the three answers of a cell

sub _wrong {
    my ($self, $mode, $policy, $cell) = @_;
    my (@wrong, %admitted);

    for my $x (@$cell) {
        my ($r, $l) = ($x->{r}, $x->{line});
        my $got = $r->status . " $l->{reason} $l->{source}";

        push @wrong, "$got: error " . $r->error if $r->error ne '';
        push @wrong, "$got: something follows it" if $x->{more};
        push @wrong, "$got: $l->{n} lines" if $l->{n} != 1;
        push @wrong, map { "$got: $_" } _headers($r, $l);
        push @wrong, "$got: not in $mode" if !_allowed($mode, $policy, $got);

        my $by = $l->{source} eq 'fallback' ? 'fallback' : 'redis';
        $admitted{$by}++ if $r->status == 200 && $l->{source} ne 'unavailable';
    }

    return @wrong if $policy eq 'free';

    for my $by (sort keys %admitted) {
        push @wrong, "$by admitted $admitted{$by} of 2" if $admitted{$by} > 2;
    }

    my $exact = $mode eq 'redis' ? $admitted{redis}
              : $mode eq 'policy' && $policy eq 'local' ? $admitted{fallback}
              : 2;
    push @wrong, 'admitted ' . ($exact || 0) . ' of 2' if ($exact || 0) != 2;

    return @wrong;
}


my %by_redis = map { $_ => 1 } '200 ok redis', '429 rate_limited redis',
                               '429 rate_limited refusal_cache';
my %by_policy = (
    local => { map { $_ => 1 } '200 ok fallback', '429 rate_limited fallback',
                               '429 rate_limited refusal_cache' },
    allow => { '200 ok unavailable' => 1 },
    deny  => { '503 limiter_unavailable unavailable' => 1 },
);

sub _allowed {
    my ($mode, $policy, $got) = @_;

    return $got eq '200 ok none' if $policy eq 'free';
    return $by_redis{$got} if $mode eq 'redis';
    return $by_policy{$policy}{$got} if $mode eq 'policy';
    return $by_redis{$got} || $by_policy{$policy}{$got};
}


sub _headers {
    my ($r, $l) = @_;
    my @wrong;
    my $status = $r->status;
    my $retry = $r->header('Retry-After');
    my $numbers = $r->count('RateLimit') + $r->count('RateLimit-Policy');

    push @wrong, 'no Retry-After'
        if $status =~ /^(?:429|503)\z/ && ($retry || '') !~ /^[1-9]\d*\z/;
    push @wrong, 'Retry-After' if $status == 200 && defined $retry;
    push @wrong, "the line says $l->{status}"
        if $l->{status} != ($status == 200 ? 0 : $status);

    if ($l->{source} =~ /^(?:unavailable|none)\z/) {
        push @wrong, 'invented numbers' if $numbers;
        push @wrong, 'invented numbers in the line'
            if exists $l->{limit}{remaining} || exists $l->{limit}{limit};
    } else {
        push @wrong, 'no numbers' if $numbers != 2;
        push @wrong, 'no numbers in the line'
            if !exists $l->{limit}{remaining} || $l->{limit}{limit} != 2;
    }

    return @wrong;
}

1;
