#!/usr/bin/perl

# Clients that leave while Redis is being asked, thousands of them in every
# way there is: each has one line, who stays gets its own verdict, and nothing
# is left behind.  F01, F03 to F07.
#
# At least READINESS_ABANDON=N lookups are abandoned, 5000 if it is not set;
# make survive does it with 100 000 under the sanitizers.

use strict;
use warnings;

use List::Util qw(shuffle);
use Test::More;

use Readiness;

my $goal = $ENV{READINESS_ABANDON} || 5000;
my $t = Readiness->new(timeout => 120 + $goal / 100);
my $fake = $t->fake;

$t->conf(<<'CONF', connections => 4096)->run;
readiness_redis main { server %%FAKE%%; timeout 10s; connect_timeout 10s; }
readiness_redis gone { server unix:%%DIR%%/nobody.sock; }
readiness_rate api key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_rate two key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_rate gone key=$arg_key rate=1000r/d redis=gone;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness on;
    location / {
        readiness_limit api cost=$arg_cost;
        root %%DIR%%/www;
        try_files /page =404;
    }
    location /both/ {
        readiness_limit api cost=$arg_cost;
        readiness_limit two;
        root %%DIR%%/www;
        try_files /page =404;
    }
    location /accel/ {
        readiness_limit api cost=$arg_cost;
        proxy_pass http://%%APP%%/?app_accel=/second/page;
    }
    location /second/ {
        internal;
        readiness_limit two;
        root %%DIR%%/www;
        try_files /page =404;
    }
    location /gone/ {
        readiness_limit gone;
        root %%DIR%%/www;
        try_files /page =404;
    }
    location /hasty/ {
        readiness_limit api cost=$arg_cost;
        proxy_pass http://%%APP%%;
        client_body_timeout 50ms;
        send_timeout 50ms;
        keepalive_timeout 50ms;
        lingering_timeout 50ms;
        lingering_time 100ms;
    }
}
CONF

mkdir $t->path('www');
$t->file('www/page', 'x' x 3000);

my ($worker) = $t->workers;
my ($sent, $left, %may) = (0, 0);
my @wrong;

srand 4711;


# Each request has a path of its own; the cost decides: 1 fits, 5000 does not.

sub uri {
    my ($where, $fits) = @_;
    my $path = "/$where" . ($where eq '' ? '' : '/') . 'r' . ++$sent;
    $fits = 1 if !defined $fits;
    return "$path?key=k$sent&cost=" . ($fits ? 1 : 5000);
}

sub told {
    my ($what, $r, $fits) = @_;
    push @wrong, "$what: " . $r->status . ' ' . $r->error
        if $r->status != ($fits ? 200 : 429);
    return;
}


# What nginx had not read yet of a connection that is reset is lost, and has no
# line: these may have one.

sub may { $may{$_} = 1 for @_; return }


# One hundred streams on one connection, reset within 20 ms, all but one.

sub streams {
    my ($where, $how) = @_;
    my $c = $t->h2(port => 1);
    my ($all, $fits, @ids, %bytes) = ('', int rand 2);

    for my $i (1 .. 100) {
        my $last = $i == 100;
        my ($id, $bytes) = $c->open('GET',
            uri($last ? '' : $where, $last ? $fits : 1), hold => 1);
        push @ids, $id;
        $all .= $bytes;

        # HEADERS and RST_STREAM in one piece

        $all .= $c->frame_bytes(3, 0, $id, pack 'N', 8)
            if $how eq 'at once' && !$last;
    }

    $c->bytes($all);
    return { c => $c, how => $how, fits => $fits, stay => pop @ids,
             sent => [$sent - 99 .. $sent], ids => [shuffle @ids] };
}

sub leave {
    my ($s) = @_;
    my $c = $s->{c};
    $left += @{ $s->{ids} };

    if ($s->{how} eq 'goes') {
        $left++;
        return $c->close if rand() < 0.5;
        may(@{ $s->{sent} });
        return $c->reset;
    }

    $c->bytes(join '', map { $c->frame_bytes(3, 0, $_, pack 'N', 8) }
                       @{ $s->{ids} }) if $s->{how} eq 'reset';
    told("a stream that stays ($s->{how})", $c->wait($s->{stay}), $s->{fits});
    return $c->close;
}

# Some connections at a time, which leave in another order.

sub rapid_reset {
    my ($lookups, $where, $how) = @_;
    my @open;

    for (1 .. int($lookups / 100) + 1) {
        push @open, streams($where, $how);
        pause(rand 0.005);
        leave(splice @open, int rand @open, 1) if @open >= 4;
    }

    leave($_) for @open;
    return;
}


# Connections of HTTP/1.1: closed, reset, half closed, with the next request
# sent already, with a body that never comes.

my %does = (
    'FIN' => sub { $_[0]->close },
    'RST' => sub { $_[0]->reset },
    'half close' => sub { $_[0]->shut_write },
    'pipelined, FIN' => sub {
        $_[0]->write(format_request('GET', '/never?cost=1&key=never'));
        $_[0]->close;
    },
    'pipelined, RST' => sub {
        $_[0]->write(format_request('GET', '/never?cost=1&key=never'));
        $_[0]->reset;
    },
);

sub one_by_one {
    my ($lookups) = @_;

    for (1 .. int($lookups / 40) + 1) {
        my %conn;

        for my $i (1 .. 40) {
            my $how = (sort keys %does)[rand keys %does];
            my $c = $t->conn;
            $c->write(format_request('GET', uri((('') x 3, 'both')[rand 4])));
            push @{ $conn{$how} }, $c;
            may($sent) if $how =~ /RST/;
        }

        my $stay = $t->conn;
        my $fits = int rand 2;
        $stay->write(format_request('GET', uri('', $fits)));

        for my $how (shuffle keys %conn) {
            pause(rand 0.004);
            $does{$how}->($_) for @{ $conn{$how} };
            $left += @{ $conn{$how} };
        }

        told('a connection that stays', $stay->response, $fits);
        $_->close for $stay, map { @$_ } values %conn;
    }

    return;
}


# Everything at once for a worker that was stopped meanwhile.

sub same_turn {
    my ($lookups) = @_;

    for my $round (1 .. int($lookups / 120) + 1) {
        my $s = streams('', 'reset');
        my @conn = map { $t->conn } 1 .. 20;
        $_->write(format_request('GET', uri(''))) for @conn;

        my $replies = $fake->stats->{replies};
        pause(rand 0.008) if $round % 2;
        $t->signal('STOP', $worker);
        wait_for { $fake->stats->{replies} > $replies } 0.03 if $round % 3;

        my $how = (qw(close reset))[rand 2];
        $_->$how for @conn;
        may($sent - $#conn .. $sent) if $how eq 'reset';
        $left += @conn;
        my $c = $s->{c};
        $c->bytes(join '', map { $c->frame_bytes(3, 0, $_, pack 'N', 8) }
                           @{ $s->{ids} });
        $left += @{ $s->{ids} };

        $t->signal('CONT', $worker);
        told('a stream of a stopped worker', $c->wait($s->{stay}), $s->{fits});
        $c->close;
    }

    return;
}


# Timeouts of the client end it: a body that does not come.

sub hurried {
    my ($lookups) = @_;
    my @conn;

    for (1 .. $lookups) {
        my $c = $t->conn;
        $c->write(substr format_request('POST', uri('hasty'), body => 'xyz'),
                  0, -1 - int rand 3);
        push @conn, $c;
        $_->drain, $_->close for @conn > 60 ? splice @conn, 0, 60 : ();
    }

    for my $c (@conn) {
        push @wrong, 'client_body_timeout does not end it'
            if !$c->closed_within(10);
        $c->close;
    }

    return;
}


sub in_step {
    my ($name) = @_;
    $fake->pass;
    is(scalar @wrong, 0, "$name: who stays gets its own verdict (O3)")
        or diag(join "\n", grep { defined } @wrong[0 .. 4]);
    @wrong = ();

    my $c = $t->h2(port => 1);
    my %fits;
    for (1 .. 40) {
        my $fits = int rand 2;
        $fits{ $c->open('GET', uri('', $fits)) } = $fits;
    }
    my @bad = grep { $c->wait($_)->status != ($fits{$_} ? 200 : 429) }
              keys %fits;
    is("@bad", '', "$name: and replies are in step");
    $c->close;
    $fake->set(delay => 10, on => ['EVALSHA', 'EVAL']);
    return;
}


# The log, piece by piece: an abandoned lookup is a request that had begun one
# and has no decision.

my ($at, $other, %seen, %none) = (0, 0);

sub look {
    open my $fh, '<:raw', $t->path('decision.log') or return 0;
    seek $fh, $at, 0;

    while (my $line = <$fh>) {
        last if $line !~ /\n\z/;
        $at += length $line;
        my ($path) = $line =~ m{"url\.path":"[^"]*/r(\d+)"} or next;
        $seen{$path}++;
        next if $line !~ /"readiness\.decision":"none"/;
        $none{$path} = 1;
        $other++ if $line !~ /"http\.response\.status_code":499/;
    }

    return scalar keys %seen;
}

sub abandoned { return scalar keys %none }


# --- the tests

in_step('at first');
rapid_reset(500, '', 'reset');
one_by_one(100);
$t->get(uri('accel'));
@wrong = ();
wait_for { keys %{ $t->fds($worker) } <= 40 } 10;
my $fds = keys %{ $t->fds($worker) };
my $rss = $t->rss($worker);
my $from = now();

my @rows = (
    ['F01 reset within 20 ms', 0.40, sub { rapid_reset($_[0], '', 'reset') }],
    ['F01 reset at once', 0.15, sub { rapid_reset($_[0], '', 'at once') }],
    ['F01 two limits', 0.05, sub { rapid_reset($_[0], 'both', 'reset') }],
    ['F01 the connection goes', 0.10, sub { rapid_reset($_[0], '', 'goes') }],
    ['F03 FIN, RST, half close', 0.10, \&one_by_one],
    ['F04 timeouts of the client', 0.01, \&hurried],
    ['F05 in the same turn', 0.10, \&same_turn],
    ['F06 connect() fails at once', 0.04,
     sub { rapid_reset($_[0], 'gone', 'at once') }],
    ['F07 a second lookup', 0.10, sub { rapid_reset($_[0], 'accel', 'reset') }],
);

for my $round (1 .. 100) {
    for my $row (@rows) {
        my ($name, $share, $code) = @$row;
        $code->($share * ($goal < 20_000 ? $goal : 20_000));
        in_step($round == 1 ? $name : "$name, round $round");
    }

    look();
    last if abandoned() >= $goal;
}

$fake->pass;
my $took = now() - $from;


# --- what is left

my @must = grep { !$may{$_} } 1 .. $sent;
wait_for { look(); !grep { !$seen{$_} } @must } 60;
my @bad = grep { $seen{$_} ? $seen{$_} > 1 : !$may{$_} } 1 .. $sent;
is(scalar @bad, 0, "each of $sent requests has exactly one line (O2)")
    or diag('such as ' . join ' ', map { "r$_: " . ($seen{$_} || 0) }
            @bad[0 .. ($#bad < 5 ? $#bad : 5)]);
is($other, 0, 'without a decision they are told as 499');

# those whose call had left before them have their key in Redis all the same

my $abandoned = abandoned();
my %in_redis = map { /\{k(\d+)\}/ ? ($1 => 1) : () } $t->redis->keys('*:api:*');
my $asked = grep { $in_redis{$_} } keys %none;

my $unread = grep { !$seen{$_} } keys %may;
my $sum = sprintf '%d requests, %d never read, %d clients left, %d lookups'
    . ' were abandoned,'
    . ' %d of them after their call was sent; %.0f s', $sent, $unread, $left,
    $abandoned, $asked, $took;
$ENV{READINESS_ABANDON} ? diag($sum) : note($sum);
cmp_ok($abandoned, '>=', $goal, "at least $goal lookups were abandoned");
cmp_ok($asked, '>=', $goal * 0.1, 'and many left one that Redis answered');

wait_for { keys %{ $t->fds($worker) } <= $fds + 1 } 20;
cmp_ok(scalar keys %{ $t->fds($worker) }, '<=', $fds + 1,
       'no descriptor is left but one to the application (O5)');

SKIP: {
    skip('a sanitizer keeps what was freed', 1)
        if $t->built =~ /-fsanitize/ || $ENV{READINESS_WRAPPER};
    cmp_ok($t->rss($worker) - $rss, '<', 4 * 1024, 'memory is back (O5)');
}

is($fake->stats->{accepted}, 1, 'one connection to Redis did it all');
is_deeply([$t->workers], [$worker], 'in one worker (O1)');

$t->done;
