#!/usr/bin/perl

# What is known to be spent is refused here: Redis is not asked, for at most
# five seconds, and for nothing but that key, those numbers and that cost.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Many;

my $t = Readiness->new;
my $redis = $t->redis;

$t->file('page', "page\n");
$t->file('plans.json', '{"plans":{"free":{"plan":{"rate":"2r/h"}},'
    . '"pro":{"plan":{"rate":"5r/h"}}},"default":"free"}');

$t->conf(<<'CONF', workers => 1)->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
readiness_rate three key=$arg_k rate=3r/h redis=main on_redis_error=deny;
readiness_rate none key=$arg_k rate=6r/m burst=5 redis=main on_redis_error=deny;
readiness_rate quota key=$arg_k quota=3/1h redis=main on_redis_error=deny;
readiness_rate ten key=$arg_k rate=10r/h redis=main on_redis_error=deny;
readiness_rate plan key=$arg_k rate=1r/h redis=main on_redis_error=deny;
readiness_plans_file %%DIR%%/plans.json;
readiness_plan $arg_plan;
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    location /three { readiness_limit three; alias %%DIR%%/page; }
    location /none { readiness_limit none; alias %%DIR%%/page; }
    location /quota { readiness_limit quota; alias %%DIR%%/page; }
    location /both { readiness_limit three; readiness_limit ten;
                     alias %%DIR%%/page; }
    location /ten { readiness_limit ten cost=$arg_c; alias %%DIR%%/page; }
    location /plan { readiness_limit plan; alias %%DIR%%/page; }
}
CONF

my $lines = 0;

empty('/three?k=a', 'a rate');
empty('/quota?k=a', 'a quota');
empty('/both?k=b', 'the lesser of two limits');
is(asked('/ten?k=b'), '200 redis 1', 'and the other is not spent');
flood();
costs();
plans();
reload();

$t->done;


# The status, who decided, how many calls that took.

sub asked {
    my ($uri) = @_;
    my $before = $redis->calls('evalsha');
    my $status = $t->get($uri)->status;
    my @l = $t->wait_lines('decision.log', ++$lines);
    my @source = map { $_->{source} } @{ $l[$lines - 1]{'readiness.limits'} };

    return join ' ', $status, @source, $redis->calls('evalsha') - $before;
}


sub empty {
    my ($uri, $what) = @_;
    my $both = $uri =~ /both/ ? ' redis' : '';

    asked($uri) for 1 .. 2;
    is(asked($uri), "200 redis$both 1", "$what: the last that fits");
    like(asked($uri), qr/^429 refusal_cache( redis)? 0$/,
        "$what: that it is empty now is known of an admission");
    cmp_ok($t->get($uri)->header('Retry-After'), '>', 3590 / 3,
        "$what: the whole time is told");
    $lines++;
    return;
}


sub flood {
    my ($n, %got) = (4000);
    my ($i, $before) = (0, $redis->calls('evalsha'));

    is(Readiness::Many::run($t, h1 => 20, depth => 20,
        next => sub { return $i++ < $n ? '/none?k=a' : () },
        got => sub { $got{ $_[1] }++ }), '', 'a flood is answered');

    my $calls = $redis->calls('evalsha') - $before;

    cmp_ok($got{200}, '>=', 5, 'the burst passed');
    is($got{200} + $got{429}, $n, 'the others were refused');
    cmp_ok($calls - $got{200}, '<=', 0.005 * $n,
        "and did not reach Redis: $calls calls");

    $lines += $n;
    return;
}


sub costs {
    is(asked('/ten?k=c&c=6'), '200 redis 1', 'six of ten');
    is(asked('/ten?k=c&c=6'), '429 refusal_cache 0', 'not six more');
    is(asked('/ten?k=c&c=7'), '429 refusal_cache 0', 'nor seven');
    like(asked('/ten?k=c&c=5'), qr/^429 redis 1$/, 'five do not fit');
    is(asked('/ten?k=c&c=5'), '429 refusal_cache 0', 'which is known then');
    is(asked('/ten?k=c&c=4'), '200 redis 1', 'four do');
    is(asked('/ten?k=d&c=5'), '200 redis 1', 'of another key, five do');
    return;
}


sub plans {
    asked('/plan?k=a&plan=free') for 1 .. 2;
    is(asked('/plan?k=a&plan=free'), '429 refusal_cache 0', 'free is spent');
    is(asked('/plan?k=a&plan=pro'), '200 redis 1', 'pro is not');
    is(asked('/plan?k=a&plan=pro'), '200 redis 1', 'and not by what free knows');
    return;
}


sub reload {
    asked('/three?k=hup') for 1 .. 3;
    $t->reload;
    is(asked('/three?k=hup'), '429 refusal_cache 0',
        'new workers know what is spent');

    my ($old) = $t->upgrade;
    $t->signal('QUIT', $old);
    wait_for { !kill 0, $old } 15;
    is(asked('/three?k=hup'), '429 redis 1',
        'a new binary has a zone of its own, and asks once');
    is(asked('/three?k=hup'), '429 refusal_cache 0', 'then it knows');
    return;
}
