#!/usr/bin/perl

# A plans file that is replaced while nginx serves: new numbers count at once
# and reset nothing, a bad file keeps the last good one.

use strict;
use warnings;

use Test::More;

use Readiness;

my %why = (
    empty  => ['', qr/it is empty/],
    syntax => ["{\"plans\":\n  {\"free\":{}},}", qr/line 2, column 15: no string/],
    name   => ["{\n\"plans\":{\n\"free\":{\"apj\":null}}}",
               qr/line 3, column 9: unknown rate "apj"/],
    kind   => ['{"plans":{"free":{"api":{"quota":"5/1d"}}}}',
               qr/line 1, column 26: "quota" for rate "api", which is declared/],
    plan   => ["{\"plans\":{},\n\"default\":\"free\"}",
               qr/line 2, column 11: unknown plan "free"/],
    large  => ['{}' . ' ' x (16 * 1024 * 1024), qr/larger than 16777216 bytes/],
    gone   => [undef, qr/No such file/],
    fifo   => [undef, qr/not a regular file/],
);

my %bad = map { $_ => started("$_.json") } sort keys %why;
my $t = started('plans.json', redis => 1);

bad_files();
numbers_change();
while_waiting();
recovered();
over_a_reload();

$t->done;


sub json {
    my ($rate, @more) = @_;
    return '{"plans":{"free":{"api":' . $rate . ',"rapi":' . $rate . '}},'
         . join('', map { "$_," } @more) . '"default":"free"}';
}


sub started {
    my ($file, %o) = @_;
    my $u = Readiness->new;
    my ($redis, $rapi) = ('', '');

    $u->file($file, json('{"rate":"10r/d"}'));

    if ($o{redis}) {
        $redis = 'readiness_redis main { server %%REDIS%%; timeout 20s;'
               . ' connect_timeout 20s; }';
        $rapi = 'redis=main on_redis_error=deny';
    }

    $u->conf(<<"CONF", workers => 2)->run;
$redis
readiness on;
readiness_log off;
readiness_plans_file $file;
readiness_rate api key=\$arg_key rate=4r/d;
readiness_rate rapi key=\$arg_key rate=4r/d $rapi;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness_tenant \$arg_tenant optional;
    location /api { readiness_limit api; proxy_pass http://%%APP%%; }
    location /rapi { readiness_limit rapi; proxy_pass http://%%APP%%;
                     add_header X-Plan "[\$readiness_plan]" always; }
}
CONF

    return $u;
}


# the processes that have said this

sub said {
    my ($u, $re) = @_;
    my %pid = map { /\] (\d+)#/ ? ($1 => 1) : () }
              grep { $_ =~ $re } split /\n/, $u->error_log;
    return scalar keys %pid;
}

sub both_say {
    my ($u, $re, $name) = @_;
    return wait_for { said($u, $re) == 2 } 15, $name;
}

sub times_said {
    my ($u, $re) = @_;
    return scalar grep { $_ =~ $re } split /\n/, $u->error_log;
}

# replaced, and seen by both workers

sub replaced {
    my ($u, $file, $text) = @_;
    my $n = times_said($u, qr/was read again/);

    $u->file($file, $text);
    return wait_for { times_said($u, qr/was read again/) == $n + 2 } 15,
        "$file: both workers have read it";
}

# "200 left-of-burst"

sub left {
    my ($u, $uri) = @_;
    my $r = $u->get($uri);
    my ($q) = ($r->header('RateLimit-Policy') // '') =~ /q=(\d+)/;
    my ($n) = ($r->header('RateLimit') // '') =~ /r=(\d+)/;
    return $r->status . ' ' . ($n // '-') . '/' . ($q // '-');
}


sub bad_files {
    is(left($bad{$_}, '/api?key=a'), '200 9/10', "$_: at start")
        for sort keys %bad;

    for my $name (sort keys %bad) {
        my ($u, $file) = ($bad{$name}, $bad{$name}->path("$name.json"));

        if (defined $why{$name}[0]) {
            $u->file("$name.json", $why{$name}[0]);
            next;
        }

        unlink $file;
        $u->command('mkfifo', $file) if $name eq 'fifo';
    }

    for my $name (sort keys %bad) {
        both_say($bad{$name}, qr/\[error\].*$name\.json" is not usable.*$why{$name}[1]/,
            "$name: both workers say where and why");
        is(left($bad{$name}, '/api?key=a'), '200 8/10',
            "$name: the last good content stays in force");
    }

    return;
}


# Zone and Redis: other numbers, the same bucket.

sub numbers_change {
    for my $rate (qw(api rapi)) {
        is(left($t, "/$rate?key=n"), "200 $_/10", "$rate: ten a day")
            for 9, 8, 7, 6;
    }

    replaced($t, 'plans.json', json('{"rate":"6r/d"}',
        '"tenants":{"big":{"api":{"rate":"100r/d"},"rapi":null}}'));

    for my $rate (qw(api rapi)) {
        is(left($t, "/$rate?key=n"), '200 1/6', "$rate: six, four are spent");
    }

    is(left($t, '/api?key=n&tenant=big'), '200 94/100', 'a tenant was added');
    is(left($t, '/rapi?key=n&tenant=big'), '200 -/-', 'who is unlimited there');
    is(left($t, '/api?key=n'), '429 0/6', 'api: the sixth was the tenant\'s');
    is(left($t, '/rapi?key=n'), '200 0/6', 'rapi: that was not counted');

    replaced($t, 'plans.json', '{}');

    for my $rate (qw(api rapi)) {
        is(left($t, "/$rate?key=n"), '429 0/4',
            "$rate: no plan, the declared numbers: spent");
        is(left($t, "/$rate?key=fresh"), '200 3/4', "$rate: a fresh key");
    }

    replaced($t, 'plans.json', json('{"rate":"20r/d"}'));

    for my $rate (qw(api rapi)) {
        is(left($t, "/$rate?key=n"), '200 13/20', "$rate: twenty, six spent");
    }

    return;
}


# The plan was found, Redis is slow, and the table goes.

sub while_waiting {
    my $c = $t->conn(timeout => 30);

    $t->redis->freeze;
    $c->write(format_request('GET', '/rapi?key=wait'));

    for (1 .. 2) {
        # as long as the one before, where the same memory is used again
        replaced($t, 'plans.json', json('null') =~ s/free/gold/gr . "\n" x $_);
    }

    $t->redis->thaw;
    my $r = $c->response;

    is($r->status, 200, 'a request that waited meanwhile');
    is($r->header('X-Plan'), '[free]', 'its plan is the one it came with');
    like($r->header('RateLimit-Policy'), qr/q=20;/, 'and its numbers');
    is(left($t, '/api?key=n'), '200 -/-', 'the next one has the new plan');
    return;
}


sub recovered {
    for my $name (sort keys %bad) {
        unlink $bad{$name}->path("$name.json");
        $bad{$name}->file("$name.json", json('{"rate":"30r/d"}'));
    }

    for my $name (sort keys %bad) {
        both_say($bad{$name}, qr/$name\.json" was read again/,
            "$name: a good file comes back");
        is(left($bad{$name}, '/api?key=a'), '200 27/30', "$name: and counts");
        is(times_said($bad{$name}, qr/is not usable/), 2,
            "$name: one complaint a worker");
    }

    return;
}


sub over_a_reload {
    my $u = $bad{plan};

    $u->file('plan.json', json('{"rate":"40r/d"}'));
    $u->reload;
    is(left($u, '/api?key=a'), '200 36/40', 'a reload reads it at once');

    $u->file('plan.json', $why{plan}[0]);
    my $pid = $u->pid;
    $u->signal('HUP');
    $u->wait_error(qr/\[emerg\].*unknown plan "free"/);
    is(left($u, '/api?key=a'), '200 35/40', 'a bad one stops the reload');
    is($u->pid, $pid, 'not nginx');
    $u->allow(qr/unknown plan "free"/);
    return;
}
