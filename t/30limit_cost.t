#!/usr/bin/perl

# What a request costs, and whether it counts at all: cost=, if=, unless=, and
# limits that only watch.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

my ($rates, $locations) = ('', '');

for (['z', ''], ['r', 'redis=main']) {
    my ($s, $redis) = @$_;

    $rates .= "readiness_rate ${s}a key=\$arg_k rate=10r/d $redis;\n"
            . "readiness_rate ${s}b key=\$arg_k rate=2r/d $redis;\n"
            . "readiness_rate ${s}max key=\$arg_k rate=1000000000r/d"
            . " $redis;\n";

    $locations .= <<"CONF";
location /$s/ { readiness_limit ${s}a; proxy_pass http://%%APP%%; }
location /$s/cost { readiness_limit ${s}a cost=\$arg_c;
                    proxy_pass http://%%APP%%; }
location /$s/quoted { readiness_limit ${s}a "cost=\${arg_c}0";
                      proxy_pass http://%%APP%%; }
location /$s/header { readiness_limit ${s}a cost=\$http_x_cost;
                      proxy_pass http://%%APP%%; }
location /$s/max { readiness_limit ${s}max cost=\$arg_c;
                   proxy_pass http://%%APP%%; }
location /$s/4 { readiness_limit ${s}a cost=4; proxy_pass http://%%APP%%; }
location /$s/if { readiness_limit ${s}a if=\$arg_if;
                  proxy_pass http://%%APP%%; }
location /$s/unless { readiness_limit ${s}a unless=\$arg_un;
                      proxy_pass http://%%APP%%; }
location /$s/both { readiness_limit ${s}a if=\$arg_if unless=\$arg_un;
                    proxy_pass http://%%APP%%; }
location /$s/watch { readiness_limit ${s}b monitor; readiness_limit ${s}a;
                     add_header X-Reason \$readiness_reason;
                     proxy_pass http://%%APP%%; }
location /$s/monitor { readiness monitor; readiness_limit ${s}b;
                       readiness_limit ${s}a;
                       add_header X-Reason \$readiness_reason;
                       proxy_pass http://%%APP%%; }
location /$s/b { readiness_limit ${s}b; proxy_pass http://%%APP%%; }
CONF
}

$t->conf(<<"CONF")->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
$rates
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    $locations
}
CONF

for my $s (qw(z r)) {
    costs($s);
    large_costs($s);
    conditions($s);
    watched($s);
    monitored($s);
}

constants();

$t->done;


sub left {
    my ($r) = @_;
    my ($n) = ($r->header('RateLimit') || '') =~ /r=(\d+)/;
    return defined $n ? $n : 'none';
}


sub costs {
    my ($s) = @_;
    my $n = 0;

    my @c = (
        ['2', 8, 'a number'], ['10', 0, 'all of it'], ['0', 10, '0 only looks'],
        ['007', 3, 'leading zeros'], ['00000000000000000000005', 5, 'many'],
        ['', 9, 'empty counts 1'], ['-1', 9, '-1 counts 1'],
        ['abc', 9, 'abc counts 1'], ['1.5', 9, '1.5 counts 1'],
        ['0x2', 9, '0x2 counts 1'], ['+2', 9, '+2 counts 1'],
        ['2%20', 9, 'a blank counts 1'], ['2,2', 9, 'a list counts 1'],
        ['1000000001', 9, '1e9+1 counts 1'],
        ['9223372036854775808', 9, '2^63 counts 1'],
        ['18446744073709551617', 9, '2^64+1 counts 1'],
        ['99999999999999999999999999999999', 9, '10^32 counts 1'],
    );

    for (@c) {
        my ($cost, $left, $name) = @$_;
        is(left($t->get("/$s/cost?k=c" . $n++ . "&c=$cost")), $left,
            "$s C10: cost: $name");
    }

    is(left($t->get("/$s/cost?k=none")), 9, "$s C10: cost: absent counts 1");
    is(left($t->get("/$s/header?k=h", headers => ['X-Cost' => '3'])), 7,
        "$s: cost from a header");
    is(left($t->get("/$s/quoted?k=q&c=1")), 0, "$s: cost with text around");
    is(left($t->get("/$s/4?k=4")), 6, "$s: cost=4");
    is(left($t->get("/$s/4?k=4")), 2, "$s: cost=4, twice");

    my $r = $t->get("/$s/4?k=4");
    is($r->status, 429, "$s: four do not fit into two");
    is(left($r), 0, "$s: told as nothing left");
    my ($retry) = $r->header('Retry-After');
    my $spread = $s eq 'r' ? 1 : 0;
    ok($retry > 17280 - 60 && $retry <= 17280 + $spread,
        "$s: back when four fit") or diag("got $retry");
    is($t->get("/$s/4?k=4")->status, 429, "$s: four still do not");
    is(left($t->get("/$s/?k=4")), 1, "$s: a cheaper one passes");
    is(left($t->get("/$s/cost?k=4&c=0")), 1, "$s: and only it was charged");

    my @l = grep { $_->{'url.path'} =~ m{^/$s/(4|cost|)\z} }
            $t->lines('decision.log');
    is(join(' ', map { $_->{'readiness.limits'}[0]{source} } @l[-6 .. -1]),
        $s eq 'z' ? 'local local local local local local'
                  : 'redis redis refusal_cache refusal_cache redis redis',
        "$s: a cost that the last one has left no room for is not asked for");
    return;
}


sub large_costs {
    my ($s) = @_;
    my $r = $t->get("/$s/cost?k=over&c=11");

    is($r->status, 429, "$s C10: a cost over the burst never fits");
    is($r->header('Retry-After'), $s eq 'r' ? 86401 : 86400,
        "$s C10: told to come in a period, or in Redis up to 100 ms later");
    is(left($t->get("/$s/?k=over")), 9, "$s C10: and nothing was charged");
    is($t->get("/$s/cost?k=over&c=1000000000")->status, 429, "$s C10: 1e9");
    is(left($t->get("/$s/?k=over")), 8, "$s C10: charged nothing either");

    is(left($t->get("/$s/max?k=m&c=1000000000")), 0,
        "$s C10: 1e9 fits into 1e9");
    is($t->get("/$s/max?k=m&c=1000000000")->status, 429, "$s C10: once");
    is($t->get("/$s/max?k=m&c=0")->status, 200,
        "$s C10: 0 passes a spent key");

    is(left($t->get("/$s/cost?k=look&c=0")), 10, "$s: a look");
    my @keys = grep { /look/ } $t->redis->keys;
    is(scalar @keys, 0, "$s: leaves nothing behind");
    return;
}


sub conditions {
    my ($s) = @_;

    my %counted = ('if?if=1' => 1, 'if?if=0' => 0, 'if?if=' => 0, 'if?x' => 0,
        'if?if=false' => 1, 'if?if=00' => 1,
        'unless?un=1' => 0, 'unless?un=0' => 1, 'unless?x' => 1,
        'both?if=1' => 1, 'both?if=1&un=1' => 0, 'both?un=0' => 0);

    for my $q (sort keys %counted) {
        my $key = $q =~ s/\W/_/gr;
        my $r = $t->get("/$s/$q&k=$key");
        is(left($r), $counted{$q} ? 9 : 'none', "$s: $q");
        is(left($t->get("/$s/?k=$key")), $counted{$q} ? 8 : 9,
            "$s: $q: what was charged");
    }

    return;
}


sub watched {
    my ($s) = @_;
    my @r = map { $t->get("/$s/watch?k=w") } 1 .. 4;

    is(join(' ', map { $_->status } @r), '200 200 200 200',
        "$s C16: a watched limit never refuses");
    is(join(' ', map { $_->header('X-Reason') } @r),
        'ok ok rate_limited rate_limited', "$s C16: but it would have");
    is(join(' ', map { left($_) } @r), '9 8 7 6',
        "$s C16: the other one is charged on");
    unlike($r[3]->header('RateLimit'), qr/${s}b/,
        "$s C16: a limit on trial is not told");

    my @l = $t->lines('decision.log', 'url.path' => "/$s/watch");
    is(join(' ', map { $_->{'readiness.decision'} } @l),
        'allow allow deny deny', "$s C16: the lines say deny");
    is(join(' ', map { $_->{'readiness.enforced'} ? 1 : 0 } @l[2, 3]), '0 0',
        "$s C16: the line says enforced:false");
    is($l[2]{'readiness.reason'}, 'rate_limited', "$s C16: and why");
    my ($b) = grep { $_->{name} eq "${s}b" } @{ $l[2]{'readiness.limits'} };
    ok($b->{monitor} && $b->{retry_after_s} && !$b->{remaining},
        "$s C16: and which");
    is($t->get("/$s/b?k=w")->status, 429,
        "$s C16: what was watched is charged, and refuses elsewhere");

    is($t->get("/$s/?k=w2&c=1")->status, 200, "$s: a fresh key");
    $t->get("/$s/?k=w2") for 1 .. 9;
    is($t->get("/$s/watch?k=w2")->status, 429, "$s: the other still refuses");
    is(left($t->get("/$s/b?k=w2")), 1,
        "$s C07: and then the watched one is not charged");
    return;
}


sub monitored {
    my ($s) = @_;
    my @r = map { $t->get("/$s/monitor?k=m") } 1 .. 4;

    is(join(' ', map { $_->status } @r), '200 200 200 200',
        "$s C16: readiness monitor never refuses");
    is(join(' ', map { $_->header('X-Reason') } @r),
        'ok ok rate_limited rate_limited', "$s C16: but would have");
    is($r[3]->count('Retry-After'), 0, "$s C16: no Retry-After on a 200");
    is(left($t->get("/$s/?k=m")), 7,
        "$s C16: charged as if enforced: two, not four");

    my @l = $t->lines('decision.log', 'url.path' => "/$s/monitor");
    is(scalar @l, 4, "$s C16: one line each");
    is(join(' ', map { $_->{'readiness.enforced'} ? 1 : 0 } @l[2, 3]), '0 0',
        "$s C16: the lines say enforced:false");
    is($l[3]{'readiness.reason'}, 'rate_limited', "$s C16: and why");
    return;
}


sub constants {
    my $conf = sub {
        return "readiness_rate a key=\$arg_k rate=1r/s;\n"
             . "server { listen 127.0.0.1:%%PORT1%%; readiness on;\n"
             . "location / { readiness_limit a $_[0]; } }";
    };

    for ('cost=0', 'cost=1000000000', 'if=$arg_a', 'cost=$arg_a unless=1') {
        my ($code, $text) = $t->nginx_t($conf->($_));
        is($code, 0, "nginx -t: $_") or diag($text);
    }

    for ('cost=-1', 'cost=abc', 'cost=1000000001', 'cost=9223372036854775808',
         'cost=1.5', 'cost=', 'if=', 'cost=1 cost=1', 'on=failure',
         'on=accepted', 'on=401', 'costs=1')
    {
        my ($code, $text) = $t->nginx_t($conf->($_));
        my ($word) = /(\S+)\z/;
        ok($code && $text =~ /\[emerg\].*"\Q$word\E".* in \S+:\d+/,
            "C10: nginx -t refuses $_") or diag($text);
    }

    my ($code, $text) = $t->nginx_t('readiness_rate x key=body:a rate=1r/s;'
        . 'server { listen 127.0.0.1:%%PORT1%%; }');
    ok($code && $text =~ /"key=body:a" in .* not supported by this version/,
        'nginx -t refuses key=body:a') or diag($text);

    return;
}
