#!/usr/bin/perl

# What others do to the data: foreign values under our keys, a Redis that is
# emptied, full or evicts, a script that is slow or stuck, databases and users
# that must not be mixed up.  Each policy on both protocols.  G10, G11, G16.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Faults;

my $t = Readiness->new;
my $redis = $t->redis(0, conf => ['lua-time-limit 20',
    'user one on >word1 ~* &* +@all', 'user two on >word2 ~* &* +@all',
    'user three on >word3 ~* &* +@all']);
my $fake = $t->fake;
$t->file("word$_", "word$_\n") for 1 .. 3;

# besides the three policies: a Redis for each, with a user and a database of
# its own; and a rate whose keys are known, of which two are admitted

my ($more, $places) = ('', '');
my %db = (local => [1, 'one'], allow => [2, 'two'], deny => [3, 'three']);
for my $p (sort keys %db) {
    my ($n, $user) = @{ $db{$p} };
    $more .= "readiness_redis own_$p { server %%FAKE%%; timeout 150ms;"
        . " user $user; password_file %%DIR%%/word$n; database $n; }\n"
        . "readiness_rate own_$p key=\$arg_key rate=2r/d redis=own_$p"
        . " on_redis_error=$p;\n";
    $places .= "location /own/$p/ { readiness_limit own_$p; empty_gif; }\n";
}

my $f = Readiness::Faults->new($t, http => <<"CONF");
$more
server {
    listen 127.0.0.1:%%PORT2%%;
    readiness on;
$places
}
CONF

$f->recovered('at first');


# G11

for my $p (qw(local allow deny)) {
    my $n = 0;
    my $get = sub { $f->{sent}++; $t->get("/$p/?key=$_[0]") };

    # how a key is called: that of a request

    $redis->flush;
    $get->('who');
    my ($name) = $redis->keys('*who*');
    ok(defined $name, "G11 $p: a request has a key") or next;

    my %foreign = (
        'a list' => sub { $redis->cli('RPUSH', $_[0], 1 .. 3) },
        'a set' => sub { $redis->cli('SADD', $_[0], 'a') },
        'a hash' => sub { $redis->cli('HSET', $_[0], 'a', 'b') },
        'a sorted set' => sub { $redis->cli('ZADD', $_[0], 1, 'a') },
        'a stream' => sub { $redis->cli('XADD', $_[0], '*', 'a', 'b') },
        'a number' => sub { $redis->cli('SET', $_[0], 1) },
        'nothing' => sub { $redis->cli('SET', $_[0], '') },
        'a huge value' => sub { $redis->cli('SET', $_[0], 'x' x 1_000_000) },
        'a tag of ours' => sub { $redis->cli('SET', $_[0], 'R' x 25) },
        'ones' => sub { $redis->cli('SET', $_[0], "\xff" x 25) },
    );

    for my $what (sort keys %foreign) {
        my $key = 'foreign' . ++$n;
        my $r;
        $foreign{$what}->($name =~ s/who/$key/r);
        my @got = map { $r = $get->($key); $r->status } 1 .. 3;
        is("@got", '200 200 429', "G11 $p: $what is a new window");
        is($redis->cli('TYPE', $name =~ s/who/$key/r), 'string',
           "G11 $p: and is replaced");
        cmp_ok($redis->cli('PTTL', $name =~ s/who/$key/r), '>', 0,
               "C15 $p: by what will go away");
    }

    my @got = $get->('gone')->status;
    $redis->flush;
    push @got, map { $get->('gone')->status } 1 .. 3;
    is("@got", '200 200 200 429', "G11 $p: FLUSHALL is a new window");
}

# one bad key among those of a call

$redis->flush;
$f->one('deny');
my ($name) = $redis->keys('*one*');
$name =~ s/one\d+/poison/;
$redis->cli('RPUSH', $name, 1);
my $c = $t->h2(port => 1);
my @ids = map { scalar $c->open('GET', '/deny/?key='
                                       . ($_ == 20 ? 'poison' : "sound$_")) }
          1 .. 40;
$f->{sent} += 40;
is(join(' ', map { $c->wait($_)->status } @ids), join(' ', (200) x 40),
   'G11 a foreign value harms no other request of its call');
$c->close;

# memory

$f->row('G11 no memory is left', policy =>
        begin => sub { $redis->cli('CONFIG', 'SET', 'maxmemory', 1) },
        end => sub { $redis->cli('CONFIG', 'SET', 'maxmemory', 0) });

$redis->cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
$f->row('G11 every key is evicted, and it is not enough', either =>
        begin => sub { $redis->cli('CONFIG', 'SET', 'maxmemory', 1) },
        end => sub { $redis->cli('CONFIG', 'SET', 'maxmemory', 0) });

$f->row('G11 nothing may be written', policy => begin => sub {
            $redis->cli('REPLICAOF', '127.0.0.1', 1);
        }, end => sub { $redis->cli('REPLICAOF', 'NO', 'ONE') });


# G16: a script of somebody else that does not end; one that takes its time

my $stuck = $redis->client;
$f->row('G16 Redis is busy with a script', policy => begin => sub {
            $stuck->send('EVAL', 'while true do end', 0);
            wait_for { $redis->cli('PING') =~ /^BUSY/ } 10;
        }, end => sub {
            $redis->cli('SCRIPT', 'KILL');
            wait_for { $redis->cli('PING') eq 'PONG' } 10;
        });

for my $ms (1, 5, 50) {
    $f->row("G16 a latency of $ms ms", redis =>
            begin => sub { $fake->set(delay => $ms) },
            end => sub { $fake->pass });

    # one after the other 200 of them would take 200 times as long

    $fake->set(delay => $ms);
    my $h2 = $t->h2(port => 1);
    my $from = now();
    my ($all, @ids) = ('');
    for (1 .. 100) {
        my ($id, $bytes) = $h2->open('GET', "/deny/?key=at$ms-$_", hold => 1);
        push @ids, $id;
        $all .= $bytes;
    }
    $h2->bytes($all);
    $f->{sent} += 100;
    my %status;
    $status{ $h2->wait($_)->status }++ for @ids;
    my $took = (now() - $from) * 1000;
    $h2->close;
    note(sprintf 'G16 100 requests at %d ms: %.0f ms, %s', $ms, $took,
         join ' ', map { "$status{$_} x $_" } sort keys %status);
    cmp_ok($took, '<', 100 * $ms + 400,
           "G16 at $ms ms requests do not wait for each other") if $ms > 1;
    $fake->pass;
}


# G10, with connections that come and go

sub own {
    my ($p, $key) = @_;
    $f->{sent}++;
    return $t->get("/own/$p/?key=$key", port => 2)->status;
}

my $n = 0;
for my $round (1 .. 12) {
    own($_, 'db' . ++$n) for sort keys %db;
    $fake->close_all if $round % 4 == 1;
    $fake->reset_all if $round % 4 == 2;
    $fake->set(swallow => on => 'SELECT', times => 2) if $round % 4 == 3;
    own($_, 'db' . ++$n) for sort keys %db;
    $fake->pass;
}

for my $p (sort keys %db) {
    ok((wait_for { own($p, 'db' . ++$n) == 200 } 10), "G10 $p: works");
}

# the log of the proxy: each connection has one user and one database, and
# only the keys that belong there

my (%conn, @mixed);
for ($fake->log) {
    my ($id, undef, $command, @args) = @$_;
    my $c = $conn{$id} ||= {};
    $c->{user} = $args[0] if $command eq 'AUTH';
    $c->{db} = $args[0] if $command eq 'SELECT';
    next if $command !~ /^EVAL/ || !$c->{user};
    for my $p (map { /:own_(\w+):/ } @args[2 .. $#args]) {
        push @mixed, "$p: $c->{user} $c->{db}"
            if "$c->{db} $c->{user}" ne join ' ', @{ $db{$p} };
    }
}
is(join("\n", @mixed), '', 'G10 users and databases share no connection');

for my $p (sort keys %db) {
    my $c = $redis->client;
    $c->cmd('SELECT', $db{$p}[0]);
    my @keys = grep { /:own_/ } @{ $c->cmd('KEYS', '*') };
    my @strange = grep { !/:own_$p:/ } @keys;
    is("@strange", '', "G10 $p: its database has its keys only");
    ok(scalar @keys, "G10 $p: and has some");
    $c->close;
}

$f->finish;
$t->done;
