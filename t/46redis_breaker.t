#!/usr/bin/perl

# The breaker: after five failed calls nobody waits for Redis any more, one
# probe at a time asks whether it is back, and it closes by itself.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::Util qw(scaled);

my $t = Readiness->new;
my $fake = $t->fake;
my $redis = $t->redis;

$t->subst(RPORT => $redis->port);

$t->conf(<<'CONF')->run;
readiness_redis main  { server %%FAKE%%; timeout 200ms; connect_timeout 200ms; }
readiness_redis two   { server %%FAKE%%; timeout 200ms;
                        breaker failures=2 retry=200ms; }
readiness_redis never { server %%FAKE%%; timeout 50ms; breaker off; }
readiness_redis own   { server 127.0.0.1:%%RPORT%%; timeout 5s; }
readiness_rate main  key=$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_rate two   key=$arg_key rate=1000r/d redis=two on_redis_error=allow;
readiness_rate never key=$arg_key rate=1000r/d redis=never on_redis_error=deny;
readiness_rate own   key=$arg_key rate=1000r/d redis=own on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location /free  { proxy_pass http://%%APP%%; }
    location /main  { readiness_limit main; proxy_pass http://%%APP%%; }
    location /two   { readiness_limit two; proxy_pass http://%%APP%%; }
    location /never { readiness_limit never; proxy_pass http://%%APP%%; }
    location /own   { readiness_limit own; proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;
my %from;

sub get { return $t->get("/$_[0]?key=k" . $n++) }

# (status, seconds)
sub timed {
    my $start = now();
    my $status = get(@_)->status;
    return ($status, now() - $start);
}

# What error.log says of a breaker since the last look.
sub said {
    my ($name, $what) = @_;
    my $log = substr $t->error_log, $from{"$name $what"} || 0;
    my @lines = $log =~ /^(.*readiness_redis "$name" .*breaker $what.*)$/mg;
    $from{"$name $what"} = length $t->error_log if @lines;
    return @lines;
}

sub opened { my ($name) = @_; return said($name, 'opened') }
sub closed { my ($name) = @_; return said($name, 'closed') }

# [connection, time] of each probe since the fake was cleared: no keys.
sub probes {
    return map { [@$_[0, 1]] }
        grep { $_->[2] eq 'EVALSHA' && $_->[4] eq '0' } $fake->log;
}

# Redis is back: within a second everything is as before.
sub recovered {
    my ($what, $route, $since) = @_;
    ok((wait_for { get($route)->status == 200
                   && $t->lines('decision.log', 'url.path' => "/$route") } 10),
       "$what: works again");
    my $took = now() - $since;
    cmp_ok($took, '<', scaled(1.2), "$what: within a second ($took s)");
}

get($_) for qw(main two never own);
ok((wait_for { get('main')->status == 200 } 10), 'at first');

stopped();
counted();
loading();
full();
ends();
off();

$t->done;


# G04: stopped for some seconds

sub stopped {
    my (@free, @limited, %status);

    $redis->freeze;
    $fake->clear;
    get('main') for 1 .. 5;
    ok((wait_for { opened('main') } 10), 'G04 stopped: it opens');

    my $until = now() + 2.5;
    while (now() < $until) {
        my ($status, $took) = timed('main');
        $status{$status}++;
        push @limited, $took;
        ($status, $took) = timed('free');
        $status{"free $status"}++;
        push @free, $took;
        pause(0.005);
    }

    my @log = $fake->log;
    my ($attempts, @probes) = ($fake->stats->{accepted}, probes());
    my $since = now();
    $redis->thaw;

    is_deeply([sort keys %status], ['503', 'free 200'],
              'G04 stopped: by policy, and only limited routes');
    @limited = sort { $a <=> $b } @limited;
    @free = sort { $a <=> $b } @free;
    cmp_ok($limited[@limited * 0.99], '<', scaled(0.05),
           'G04 stopped: a limited route answers at once');
    cmp_ok($free[@free * 0.99], '<', scaled(0.05),
           'G04 stopped: an unlimited one as ever');

    my %conn;
    $conn{ $_->[0] }++ for @probes;
    is(scalar(grep { $_ > 1 } values %conn), 0,
       'G04 stopped: no probe is sent while one is owed a reply');
    cmp_ok($attempts, '<=', 8, "G05 no storm of connections: $attempts");
    cmp_ok($attempts, '>=', 2, 'G05 but some');
    cmp_ok($fake->stats->{max_open}, '<=', 5, 'G05 one at a time');
    is(scalar(grep { $_->[2] eq 'EVALSHA' && $_->[4] ne '0' } @log), 5,
       'G04 stopped: the five calls were all that was asked');

    recovered('G04 stopped', 'main', $since);
    my @closed = closed('main');
    is(scalar @closed, 1, 'one line when it closes');
    like($closed[0], qr/\[notice\].*after \d+ms/, 'with how long it was open');
}


# failures= calls, neither more nor less; what the lines say

sub counted {
    $fake->set(swallow => on => 'EVALSHA');
    my @took = map { (timed('two'))[1] } 1 .. 4;
    ok($took[0] > 0.15 && $took[1] > 0.15, 'failures=2: two calls wait');
    cmp_ok($took[2], '<', scaled(0.1), 'failures=2: the third does not');
    my @opened = opened('two');
    is(scalar @opened, 1, 'one line when it opens');
    like($opened[0], qr/\[error\].*"two" at \Q@{[$fake->addr]}\E.*2 calls/,
         'with the name, the address and the number');
    like($opened[0], qr/no reply in time/, 'and the reason');

    # nobody asks, and it closes

    my $since = now();
    $fake->pass;
    ok((wait_for { closed('two') } 10), 'it closes without a request');
    cmp_ok(now() - $since, '<', scaled(2.2), 'soon');
    recovered('failures=2', 'two', now());
}


# a Redis that loads its data accepts connections, and nothing else

sub loading {
    $fake->set(reply => "-LOADING Redis is loading the dataset in memory\r\n",
               on => ['EVALSHA', 'SCRIPT LOAD']);
    get('main') for 1 .. 5;
    my @opened = opened('main');
    is(scalar @opened, 1, 'G09 loading: it opens');
    like($opened[0], qr/LOADING/, 'G09 loading: and says why');

    $fake->clear;
    my $until = now() + 1.5;
    while (now() < $until) { get('main'); pause(0.01) }
    my @probes = probes();
    cmp_ok(scalar @probes, '<=', 6, 'G09 loading: a few probes: ' . @probes);
    is($fake->stats->{accepted}, 0, 'G09 loading: the connection stays');

    # the connection is lost too; a new one alone proves nothing

    $fake->close_all;
    ok((wait_for { $fake->count('SCRIPT LOAD') } 10),
       'G09 loading: connected anew');
    is(get('main')->status, 503, 'G09 loading: by policy still');
    is(scalar(closed('main')), 0, 'G09 loading: a connection proves nothing');

    my $since = now();
    $fake->pass;
    recovered('G09 loading', 'main', $since);
    is(scalar(closed('main')), 1, 'G09 loading: closed');
}


# probes succeed and calls do not: it opens and closes, more and more seldom

sub full {
    $redis->cli('CONFIG', 'SET', 'maxmemory', '1');
    my $until = now() + 2.5;
    while (now() < $until) { get('own'); pause(0.005) }
    my @opened = opened('own');
    cmp_ok(scalar @opened, '<=', 8, 'OOM: it opens ' . @opened . ' times');
    cmp_ok(scalar @opened, '>=', 3, 'OOM: having tried');
    is(scalar(grep { /\[error\]/ } @opened), 1, 'OOM: one error of it');
    $redis->cli('CONFIG', 'SET', 'maxmemory', '0');
    recovered('OOM', 'own', now());
}


# each other way to be away

sub ends {
    my %way = (
        'G05 refused'              => [sub { $fake->down }, sub { $fake->up }],
        'G05 accepted, never read' => [sub { $fake->deaf; $fake->close_all },
                                       sub { $fake->hearing }],
        'G05 a black hole'         => [sub { $fake->blackhole },
                                       sub { $fake->up }],
        'G14 killed'               => [sub { $redis->kill },
                                       sub { $redis->start }],
    );

    for my $what (sort keys %way) {
        my ($away, $back) = @{ $way{$what} };
        ok((wait_for { get('main')->status == 200 } 10), "$what: at first");
        get('main') for 1 .. 8;
        opened('main');
        closed('main');
        $away->();
        ok((wait_for { get('main'); opened('main') } 10), "$what: it opens");
        my $until = now() + 0.6;
        while (now() < $until) { get('main'); pause(0.01) }
        my ($status, $took) = timed('main');
        is($status, 503, "$what: by policy");
        cmp_ok($took, '<', scaled(0.1), "$what: at once");
        $back->();
        recovered($what, 'main', now());
    }
}


sub off {
    ok((wait_for { get('never')->status == 200 } 10), 'off: at first');
    $fake->set(swallow => on => 'EVALSHA');
    my @took = map { (timed('never'))[1] } 1 .. 6;
    is(scalar(grep { $_ < 0.03 } @took), 0, 'off: each call waits');
    is(scalar(opened('never')), 0, 'off: it never opens');
    $fake->pass;
    recovered('off', 'never', now());
}
