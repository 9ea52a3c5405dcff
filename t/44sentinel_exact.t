#!/usr/bin/perl

# G15 What a failover may admit: of a bucket that the promoted replica has, not
# one more than the limit; of one that it lost, the limit once more and no more
# than that.  on_redis_error=deny, so that every 200 is Redis' word.

use strict;
use warnings;
use Test::More;
use Readiness;

my $LIMIT = 60;

my $t = Readiness->new;

my $one = $t->redis(1, password => 'x');
my $two = $t->redis(2, password => 'x', conf => [
    'masterauth x', 'replicaof 127.0.0.1 ' . $one->port]);
my @sentinels = $t->sentinels(11, 3, 'mymaster', $one, [$two],
                              password => 'x');

$_->cli('SENTINEL', 'SET', 'mymaster', 'failover-timeout', 500) for @sentinels;
$one->cli('CONFIG', 'SET', 'masterauth', 'x');
$t->file('password', "x\n");

my $servers = join ' ', map { 'server ' . $_->addr . ';' } @sentinels;

$t->conf(<<"CONF", workers => 2)->run;
readiness_redis main { $servers topology sentinel mymaster; timeout 200ms;
                       password_file %%DIR%%/password; }
readiness_rate api key=\$arg_key rate=${LIMIT}r/d redis=main
               on_redis_error=deny;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness on;
    location / { readiness_limit api; proxy_pass http://%%APP%%; }
    location /look { readiness_limit api cost=0; proxy_pass http://%%APP%%; }
}
CONF

my %admitted;

# 20 at once on each of four connections; how many got each status

sub wave {
    my ($key) = @_;
    my %status;
    my @c = map { $t->h2(port => 1) } 1 .. 4;
    my @ids = map { my $c = $_; map { [$c, scalar $c->open('GET',
                    "/?key=$key")] } 1 .. 20 } @c;
    $status{ $_->[0]->wait($_->[1])->status }++ for @ids;
    $_->close for @c;
    $admitted{$key} += $status{200} || 0;
    return \%status;
}

# waves until Redis refuses all of one

sub exhaust {
    my ($key, $name) = @_;
    ok((wait_for { (wave($key)->{429} || 0) == 80 } 30), $name);
    return;
}

# what remains in Redis: a look is never answered from memory

sub left {
    my ($key) = @_;
    my ($n) = ($t->get("/look?key=$key")->header('RateLimit') || '')
              =~ /r=(\d+)/;
    return $n;
}

sub promoted {
    my ($r, $name) = @_;
    ok((wait_for { $r->info('replication')->{role} eq 'master' } 30),
       "$name: promoted");
    ok((wait_for { $t->get('/?key=probe' . rand)->status == 200 } 10),
       "$name: decisions are Redis' again");
    return;
}

ok((wait_for { $t->get('/?key=probe' . rand)->status == 200 } 10), 'at first');


# the replica has it

$t->get('/?key=had')->status == 200 and $admitted{had}++ for 1 .. $LIMIT / 2;
is($admitted{had}, $LIMIT / 2, 'half of the limit is spent');
exhaust('full', 'all of another');
is($admitted{full}, $LIMIT, 'which is exact');

my $offset = $one->info('replication')->{master_repl_offset};
ok((wait_for { $two->info('replication')->{slave_repl_offset} >= $offset } 10),
   'and the replica has it');

$one->kill;
wave($_) for qw(had full);
promoted($two, 'state that was replicated');
is(left('had'), $LIMIT - $admitted{had}, 'G15 half spent: the replica knows');
is(left('full'), 0, 'G15 spent: the replica knows');
exhaust($_, "$_: refused again") for qw(had full);
is($admitted{had}, $LIMIT, 'G15 half spent, replicated: exactly the limit');
is($admitted{full}, $LIMIT, 'G15 spent, replicated: not one more');


# the replica has lost it: its link is cut before

sub return_as_replica {
    my ($r, $of) = @_;
    Readiness::Util::append($r->{conf_file}, "masterauth x\nreplicaof "
                                             . '127.0.0.1 ' . $of->port . "\n");
    $r->start;
    Readiness::Topology::agree('mymaster', [$r], @sentinels);
    return;
}

return_as_replica($one, $two);

$one->cli('CONFIG', 'SET', 'masterauth', 'wrong');
$two->cli('CLIENT', 'KILL', 'TYPE', 'replica');
ok((wait_for { $one->info('replication')->{master_link_status} eq 'down' } 10),
   'a link that is cut');
exhaust('lost', 'a bucket is spent that the replica does not have');
is($admitted{lost}, $LIMIT, 'which is exact');
is($one->cli('EXISTS', 'rdy:api:{lost}'), 0, 'and lost');

$two->kill;
wave('lost');
promoted($one, 'state that was lost');
ok((wait_for { (wave('lost')->{200} || 0) > 0 } 20),
   'lost: asked for, though it was known to be spent');
exhaust('lost', 'lost: refused again');
cmp_ok($admitted{lost}, '>', $LIMIT, 'G15 lost: a new window');
cmp_ok($admitted{lost}, '<=', 2 * $LIMIT,
       "G15 lost: at most twice the limit ($admitted{lost} of $LIMIT)");


# in the middle of a load: nothing is charged twice or for nothing

return_as_replica($two, $one);

my @open = map { $t->h2(port => 1) } 1 .. 4;
my @ids = map { my $c = $_; map { [$c, scalar $c->open('GET', '/?key=amid')] }
                1 .. 10 } @open;
$one->kill;
my %status;
$status{ $_->[0]->wait($_->[1])->status }++ for @ids;
$_->close for @open;
$admitted{amid} = $status{200} || 0;
is(join(' ', grep { !/^(?:200|503)$/ } keys %status), '',
   'killed under load: each call has its answer');
promoted($two, 'killed under load');
exhaust('amid', 'amid: refused again');
cmp_ok($admitted{amid} + ($status{503} || 0), '>=', $LIMIT,
       'G15 killed under load: none is lost that was not under way');
cmp_ok($admitted{amid}, '<=', 2 * $LIMIT,
       "G15 and at most twice that ($admitted{amid} of $LIMIT)");

$t->done;
