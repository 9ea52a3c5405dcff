#!/usr/bin/perl

# Workers that are killed while they count: the zone is neither locked for ever
# nor broken, no limit admits more, no key stays in Redis for ever.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::Load;

my $t = Readiness->new;
$t->allow(qr/exited on signal 9/, qr/shared memory zone .* was locked by/);

# Many limits a request, in a small zone that has to forget, so that workers
# are found at their tables.

my $rates = join '', map {
    "readiness_rate churn$_ key=\$arg_key rate=100r/d;\n" } 1 .. 12;
my $limits = join '', map { "readiness_limit churn$_; " } 1 .. 12;

$t->conf(<<"CONF", workers => 4)->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 5s; }
readiness_zone 128k;
$rates
readiness_rate hot key=all rate=200r/d;
readiness_rate far key=all rate=300r/d redis=main on_redis_error=deny;
readiness_rate each key=\$arg_key rate=100r/d redis=main on_redis_error=deny;
readiness_rate ten key=\$arg_key rate=10r/d;
readiness_rate rten key=\$arg_key rate=10r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    root %%DIR%%/www;
    location / { $limits try_files /page =404; }
    location /hot { readiness_limit hot; try_files /page =404; }
    location /far { readiness_limit far; readiness_limit each;
                    try_files /page =404; }
    location /ten { readiness_limit ten; try_files /page =404; }
    location /rten { readiness_limit rten; try_files /page =404; }
}
CONF

mkdir $t->path('www');
$t->file('www/page', 'hello');

my @where = ('/', '/', '/', '/hot', '/far', '/');
my $load = Readiness::Load->new($t, keep => 30, ok => [200, 429], uri => sub {
    my ($i, $n) = @_;
    return $where[$n % @where] . '?key=' . int rand 500;
});

my $cold = Readiness::Load->new($t, keep => 30, ok => [200, 429], uri => sub {
    my ($i, $n) = @_;
    return '/?key=' . int rand 5000;
});

$load->start(3);
my $killed = 0;

srand 4711;
for (1 .. 50) {
    my @workers = $t->workers;
    my $victim = $workers[rand @workers];
    $killed += $t->signal('KILL', $victim);
    wait_for { my @w = $t->workers;
               @w == 4 && !grep { $_ == $victim } @w } 15
        or die 'no new worker';
}

my $sum = $load->stop;
is($killed, 50, 'H04 fifty workers were killed');
ok($sum->{requests} > 50, "H04 while $sum->{requests} requests came");
is_deeply([grep { !/^0 (?:closed|reset)\z/ } keys %{ $sum->{failed} }], [],
          'H04 no hang: what failed was the connection of a killed one');
ok(($sum->{status}{200} || 0) > 20, 'H04 the others were answered');

# no more than the limit, by whomever it was charged; and what was charged is
# not forgotten, but for those that were killed before they could tell

for (1 .. 201) { last if $t->get('/hot')->status == 429 }
is($t->get('/hot')->status, 429, 'H04 a bucket that is spent says so');

my %allowed = (hot => 0, far => 0);
for my $l ($t->lines('decision.log', 'readiness.decision' => 'allow')) {
    $allowed{$_->{name}}++ for grep { exists $allowed{ $_->{name} } }
                               @{ $l->{'readiness.limits'} };
}
cmp_ok($allowed{hot}, '<=', 200, "H04 the zone admitted $allowed{hot} of 200");
cmp_ok($allowed{hot}, '>=', 150, 'H04 and did not forget');
cmp_ok($allowed{far}, '<=', 300, "H04 Redis admitted $allowed{far} of 300");

# counters are right from here on, seen from every worker

for my $n (1 .. 5) {
    for my $where (qw(ten rten)) {
        my @got = $t->burst(16, "/$where?key=fresh$n");
        is(scalar(grep { $_->status == 200 } @got), 10,
           "H04 $where: exactly ten of sixteen") if $n == 5;
        next if 10 == grep { $_->status == 200 } @got;
        fail("H04 $where, key $n: not ten");
    }
}

$cold->start(2);
$sum = $cold->stop;
is_deeply($sum->{failed}, {}, 'H04 all workers answer');

# C15

my $redis = $t->redis;
my @keys = $redis->keys;
my @forever = grep { $redis->cli('TTL', $_) < 0 } @keys;
ok(@keys > 20, 'C15 ' . @keys . ' keys in Redis');
is_deeply(\@forever, [], 'C15 each of them ends');

$t->done;
