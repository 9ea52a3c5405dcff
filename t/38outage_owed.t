#!/usr/bin/perl

# Three nginx of two workers each know by a heartbeat in Redis how many they
# are.  While Redis is away each admits its part, of every kind of limit, from
# what it last knew; when Redis is back, having forgotten everything, it is
# charged all of that once, though nobody asks.  G17, O4, O5.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Util qw(now);

use constant { HEART => 'rdy::{nginx}', UNIT => 1_000_000 };

my @t = map { Readiness->new } 0 .. 2;
my $redis = $t[0]->redis;

for my $t (@t) {
    $t->subst(SHARED => $redis->addr, UP => $t[0]->app->addr,
        VARS => join ',', map { "\$readiness_$_" }
            qw(decision reason limit limit_remaining));
    $t->conf(<<'CONF', workers => 2)->run;
readiness_redis main { server %%SHARED%%; timeout 5s; connect_timeout 5s; }

readiness_rate rate key=$arg_k rate=12r/1d redis=main;
readiness_rate quota key=$arg_k quota=12/1d redis=main;
readiness_rate places key=$arg_k concurrent=6 redis=main;
readiness_rate allow key=$arg_k rate=12r/1d redis=main on_redis_error=allow;
readiness_rate deny key=$arg_k rate=12r/1d redis=main on_redis_error=deny;

readiness on;
readiness_log %%DIR%%/decision.log;
proxy_http_version 1.1;
proxy_set_header Connection $http_connection;
proxy_set_header Upgrade $http_upgrade;

server {
    listen 127.0.0.1:%%PORT0%% reuseport;
    add_header X-Vars "%%VARS%%" always;
    location /rate { readiness_limit rate; proxy_pass http://%%UP%%; }
    location /cost { readiness_limit rate cost=$arg_cost;
                     proxy_pass http://%%UP%%; }
    location /quota { readiness_limit quota; proxy_pass http://%%UP%%; }
    location /places { readiness_limit places; proxy_pass http://%%UP%%; }
    location /allow { readiness_limit allow; proxy_pass http://%%UP%%; }
    location /deny { readiness_limit deny; proxy_pass http://%%UP%%; }
}
CONF
}

heartbeat();
known();

$redis->kill;

my @held = away();

$redis->start;

charged();
once();
places(@held);
again();

$t[0]->done;


# --- who there is

sub heart {
    my $value = $redis->cli('GET', HEART) || '';
    my %ends;

    for (my $at = 33; $at < length $value; $at += 24) {
        my ($id, $n, $ends) = unpack 'a8 d< d<', substr $value, $at, 24;
        $ends{ unpack 'H*', $id } = $n == 1 ? $ends / 1e6 : 0;
    }

    return \%ends;
}

sub redis_time { my $t = $redis->cli('TIME'); return $t->[0] + $t->[1] / 1e6 }

sub heartbeat {
    wait_for { keys %{ heart() } == 3 } 15, 'the heartbeat has one of each nginx';

    # a beat lasts 30 s, so this one is gone when its nginx is

    my $all = heart();
    my $time = redis_time();
    is(scalar(grep { $_ <= $time + 30 && $_ > $time + 15 } values %$all), 3,
        'each counts for 30 s at most');
    cmp_ok($redis->cli('PTTL', HEART), '<=', 33_000, 'and so lives the key');

    $t[0]->reload;
    wait_for { my $now = heart();
               3 == grep { $now->{$_} && $now->{$_} > $time + 30.1 } keys %$all
             } 25, 'all beat again, and have heard of each other';
    is(join(' ', sort keys %{ heart() }), join(' ', sort keys %$all),
        'a reload does not make one more of it');
    return;
}


# --- before: of 12, the first knows of 2 that are spent, then 4, then 6

sub known {
    for my $t (@t) {
        is(statuses($t, "/$_?k=known", 2), '200 200', "$_: 2 in Redis")
            for qw(rate quota);
    }

    is(statuses($t[0], '/rate?k=spent', 13), '200 ' x 12 . '429',
        'one key is spent');
    return;
}

sub statuses {
    my ($t, $uri, $n) = @_;
    return join ' ', map { $t->get($uri)->status } 1 .. $n;
}

sub admitted { return scalar(() = statuses(@_) =~ /200/g) }

sub source {
    my ($t, $path) = @_;
    my ($l) = reverse $t->lines('decision.log', 'url.path' => $path);
    return $l->{'readiness.limits'}[0]{source};
}


# --- meanwhile

sub away {
    my @held;

    for my $i (0 .. 2) {
        my $t = $t[$i];

        is(statuses($t, "/$_?k=gone", 6), '200 200 200 200 429 429',
            "G17: $_: nginx $i admits its third of what nobody knows")
            for qw(rate quota);
        is(source($t, '/rate'), 'fallback', "O4: nginx $i: source fallback");

        is(admitted($t, '/rate?k=known', 5), (3, 2, 2)[$i],
            "rate: nginx $i admits its third of what was left");
        is(admitted($t, '/cost?k=dear&cost=7', 3), 1,
            "nginx $i admits one that costs more than its third");

        my @more = grep { $_ } map { hold($t) } 1 .. 3;
        is(scalar(@more), 2, "places: nginx $i has two of the six");
        push @held, @more;
    }

    # of a quota, what was counted before is counted until it leaves the window

    is(admitted($t[0], '/quota?k=known', 5), 3, 'quota: a third of what was '
                                                . 'left');

    is(admitted($t[0], '/rate?k=spent', 3), 0, 'what was spent stays spent');

    my $r = $t[0]->get('/rate?k=gone');
    is($r->header('X-Vars'), 'deny,rate_limited,rate,0', 'variables');
    is($r->header('RateLimit-Policy'), '"rate";q=12;w=86400', 'the policy');

    is(statuses($t[1], '/allow?k=a', 2), '200 200', 'allow: passes');
    is(source($t[1], '/allow'), 'unavailable', 'O4: allow: unavailable');
    is(statuses($t[1], '/deny?k=a', 2), '503 503', 'deny: refuses');
    return @held;
}

sub hold {
    my ($t) = @_;
    my $c = $t->conn;

    $c->write(format_request('GET', '/places?k=gone&app_upgrade=1',
        headers => [Connection => 'upgrade', Upgrade => 'websocket']));
    $c->fill(now() + 10) while $c->{in} !~ /\r\n\r\n/ && !$c->error;
    return $c->{in} =~ / 101 / ? $c : undef;
}


# --- afterwards: what stands in Redis, rounded, for it has drained a little

sub bucket {
    my ($name) = @_;
    my $value = $redis->cli('GET', "rdy:rate:{$name}");
    my ($spent) = unpack '(d<)4', $value || '';
    return int(($spent || 0) / UNIT + 0.1);
}

sub counted { return (unpack 'x d<4', $redis->cli('GET', $_[0]) || '')[3] || 0 }
sub slots { return (unpack 'x d<', $redis->cli('GET', $_[0]) || '')[0] || 0 }

sub charged {
    wait_for { bucket('gone') == 12 } 20,
        'O5: rate: Redis is charged what was admitted, though nobody asks';
    wait_for { bucket('known') == 7 } 20,
        'O5: rate: and not what it had counted itself';
    wait_for { bucket('dear') == 21 } 20,
        'O5: rate: costs too, though they are more than the limit';
    wait_for { counted('rdy:quota:{gone}') == 12 } 20,
        'O5: quota: charged';
    wait_for { counted('rdy:quota:{known}') == 3 } 20,
        'O5: quota: and not what it had counted itself';
    wait_for { slots('rdy:places:{gone}') == 6 } 20,
        'O5: places: all six are told';
    is(bucket('spent'), 0,
        'who admitted nothing owes nothing');
    return;
}


# No nginx admits more, or charges again.

sub once {
    for my $i (0 .. 2) {
        for my $name (qw(rate quota)) {
            wait_for { $t[$i]->get("/$name?k=gone");
                       source($t[$i], "/$name") =~ /^re/ } 20,
                "O5: $name: Redis decides for nginx $i";
            is(statuses($t[$i], "/$name?k=gone", 6),
                join(' ', map { 429 } 1 .. 6), "O5: $name: and refuses");
        }
    }

    is(bucket('gone'), 12, 'O5: rate: charged once');
    is(counted('rdy:quota:{gone}'), 12, 'O5: quota: charged once');
    return;
}

sub places {
    my (@held) = @_;

    is(scalar(grep { $_ } map { hold($_) } @t), 0,
        'O5: places: none is left for anybody');
    $_->close for @held;
    wait_for { slots('rdy:places:{gone}') == 0 } 20, 'places: free at the end';
    return;
}


# Another outage, in which nothing is admitted for these keys.

sub again {
    $redis->kill;
    is(admitted($_, '/rate?k=gone', 6), 0, 'spent, as it was known')
        for @t;
    is(admitted($t[0], '/rate?k=next', 6), 4, 'another one, away again');
    $redis->start;
    wait_for { bucket('next') == 4 } 20, 'and charged again';
    is(bucket('gone'), 0,
        'but not what was charged before');
    return;
}
