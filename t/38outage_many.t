#!/usr/bin/perl

# More keys than a worker keeps a charge for: that is told, the others are
# charged, and one that was not is charged when it is asked for again.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Many;

use constant { KEYS => 17_000, KEPT => 16_384 };

my $t = Readiness->new;
my $redis = $t->redis;

$t->conf(<<'CONF', workers => 1)->run;
readiness_redis main { server %%REDIS%%; timeout 5s; connect_timeout 5s; }
readiness_rate api key=$arg_k rate=4r/1d redis=main;
readiness_problem off;

server {
    listen 127.0.0.1:%%PORT0%%;
    keepalive_requests 1000000;
    readiness on;
    location /api { readiness_limit api; proxy_pass http://%%APP%%; }
}
CONF

is($t->get('/api?k=a')->status, 200, 'Redis is there');

$redis->kill;

my ($n, %got) = (0);

my $wrong = Readiness::Many::run($t, h1 => 8,
    next => sub { return $n < KEYS ? '/api?k=' . $n++ : undef },
    got => sub { $got{ $_[1] }++ });

is($wrong, '', 'all are answered');
is_deeply(\%got, { 200 => KEYS }, 'and admitted');

$redis->start;

wait_for { ($redis->cli('DBSIZE') || 0) >= KEPT } 30,
    'as many as are kept are charged';
is((() = $t->error_log =~ /\[warn\].*"main" is back; .* ${\(KEYS - KEPT)} may /g)
   , 1, 'of the others their number is told');

my ($lost) = grep { !$redis->cli('EXISTS', "rdy:api:{$_}") }
             reverse 0 .. KEYS - 1;

is(spent($lost), 0, 'one of those');
is($t->get("/api?k=$lost")->status, 200, 'is asked for');
wait_for { spent($lost) == 2 } 20, 'and charged then';

is(spent(0), 1, 'the first one was charged once');

$t->done;


sub spent {
    my $value = $redis->cli('GET', "rdy:api:{$_[0]}") || '';
    return int((unpack('d<', $value) || 0) / 1e6 + 0.1);
}
