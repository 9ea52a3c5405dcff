#!/usr/bin/perl

# Sentinels that are hung, gone, of another kind, or know nothing: the others
# are asked, none is waited for longer than its time, and the log says what
# each of them lacks.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;

my $master = $t->redis(1);
my @sentinels = $t->sentinels(11, 3, 'mymaster', $master, []);
my ($one, $two, $three) = @sentinels;

my $servers = join ' ', map { 'server ' . $_->addr . ';' } @sentinels;
my $redis = $master->addr;

$t->conf(<<"CONF");
readiness_redis main { $servers topology sentinel mymaster; timeout 200ms;
                       connect_timeout 300ms; }
readiness_redis other { $servers topology sentinel other; }
readiness_redis wrong { server $redis; topology sentinel mymaster; }
readiness_rate deny key=\$arg_key rate=1000r/d redis=main on_redis_error=deny;
readiness_rate other key=\$arg_key rate=1000r/d redis=other on_redis_error=deny;
readiness_rate wrong key=\$arg_key rate=1000r/d redis=wrong on_redis_error=deny;
readiness_rate local key=\$arg_key rate=2r/d redis=main;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location /free  { proxy_pass http://%%APP%%; }
    location /deny  { readiness_limit deny; proxy_pass http://%%APP%%; }
    location /other { readiness_limit other; proxy_pass http://%%APP%%; }
    location /wrong { readiness_limit wrong; proxy_pass http://%%APP%%; }
    location /local { readiness_limit local; proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;

sub get { return $t->get("/$_[0]?key=" . ($_[1] // 'k' . $n++)) }

sub normal {
    my ($name, $bound) = @_;
    my $took = now();
    ok((wait_for { get('deny')->status == 200 } 10), $name);
    $took = now() - $took;
    cmp_ok($took, '<', $bound, "$name: soon ($took s)");
    return;
}

sub complaint {
    my ($level, $re, $name) = @_;
    ok($t->wait_error(qr/\[$level\].*readiness_redis $re/), $name);
    return;
}


# two of three are hung when nginx starts: 300 ms for each

$_->freeze for $one, $two;
$t->run;

is(get('free')->status, 200, 'an unlimited route answers at once');
normal('two hung sentinels at start', 3);
complaint('warn', qr/"main": sentinel ${\ $_->addr}: no reply in time/
                  . qr/; another is asked \(110: /,
          'each of them is named') for $one, $two;

# with the answer's connection at hand they are not asked again

$t->restart;
$_->thaw for $one, $two;
normal('after a restart', 3);


# gone, then hung, in the middle

$three->kill;
normal('without the one that answered', 0.5);
$master->restart;
normal('the master restarted: the others are asked', 3);

my @by = map { $_->addr } $one, $two;
$_->freeze for $one, $two;
$master->restart;
my %status;
my $until = now() + 2;
while (now() < $until) {
    my $took = now();
    $status{ get('deny')->status }++;
    $took = now() - $took;
    fail("a decision took $took s") if $took > 1;
    pause(0.02);
}
is_deeply([keys %status], [503], 'nobody to ask: the policy decides');
complaint('error', qr/"main" at \S+: no sentinel names a master to connect to/,
          'which is an error');
is_deeply([map { get('local', 'x')->status } 1 .. 3], [200, 200, 429],
          'and local counts in this nginx');

my $before = () = $t->error_log =~ /\[(?:error|warn)\].*"main"/g;
cmp_ok($before, '<', 12, "a few complaints for all that ($before)");

$_->thaw for $one, $two;
normal('the sentinels are back', 3);
complaint('notice', qr/"main": sentinel \S+ is back/, 'and that is said');


# what they lack

is(get('other')->status, 503, 'a master they do not know: the policy');
complaint('warn', qr/"other": sentinel \S+: it knows no master of this name, /
                  . qr/compare "topology sentinel" with its "sentinel monitor"/
                  . qr/: other; another is asked/, 'and what to compare');

is(get('wrong')->status, 503, 'a Redis in place of a sentinel: the policy');
complaint('warn', qr/"wrong": sentinel $redis: it names no master, is it a /
                  . qr/sentinel\?: ERR unknown command '?.SENTINEL/,
          'and a question');

$two->cli('SENTINEL', 'MONITOR', 'other', '127.0.0.1', $master->port, 1);
ok((wait_for { get('other')->status == 200 } 10),
   'a master that one of them was told of is found');

$t->done;
