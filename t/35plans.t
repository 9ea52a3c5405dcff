#!/usr/bin/perl

# Numbers by plan and tenant: which ones count for a request.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->file('plans.json', <<'JSON');
{"plans": {"free": {"api": {"rate": "6r/d", "burst": 3}},
           "pro":  {"api": {"rate": "60r/d"}, "twin": {"rate": "50r/h"}},
           "high": {"api": {"rate": "1000r/d", "burst": 1000000000}},
           "open": {"api": null},
           "none": {}},
 "tenants": {"acme": "pro",
             "big":  {"plan": "pro", "api": {"rate": "90r/d"}},
             "free": {"twin": {"rate": "7r/d"}},
             "vip":  {"plan": "free", "api": null},
             "opal": "open",
             "nix":  "none"},
 "default": "free"}
JSON

$t->file('plain.json', '{"tenants":{"acme":{"api":{"rate":"8r/d"}}}}');

sub servers {
    my ($port, $redis) = @_;
    my $tenant = 'readiness_tenant $http_x_tenant optional;';

    return <<"CONF";
server {
    listen 127.0.0.1:%%PORT$port%%;
    $tenant
    add_header X-Plan \$readiness_plan always;
    readiness_limit_headers standard legacy;

    location /api  { readiness_limit ${redis}api; proxy_pass http://%%APP%%; }
    location /both { readiness_limit ${redis}api; readiness_limit ${redis}twin;
                     proxy_pass http://%%APP%%; }
    location /by   { readiness_plan \$arg_plan; readiness_limit ${redis}api;
                     proxy_pass http://%%APP%%; }
    location /map  { readiness_plan \$plan; readiness_limit ${redis}api;
                     proxy_pass http://%%APP%%; }
    location /pro  { readiness_plan pro; readiness_limit ${redis}api;
                     location /pro/tenant { readiness_plan "";
                                            readiness_limit ${redis}api;
                                            proxy_pass http://%%APP%%; }
                     proxy_pass http://%%APP%%; }
    location /policy { readiness_apply open; readiness_limit ${redis}api;
                       proxy_pass http://%%APP%%; }
    location /loop { readiness_plan \$readiness_plan;
                     readiness_limit ${redis}api; proxy_pass http://%%APP%%; }
    location /text { return 200 "\$readiness_plan"; }
    location /free { proxy_pass http://%%APP%%; }
    location /off  { readiness off; proxy_pass http://%%APP%%; }
}
CONF
}

# the same numbers under two names, as a file names rates, not stores

my $rates = join '', map { <<"CONF" } ['', ''], ['r', 'redis=main'];
readiness_rate $_->[0]api key=\$arg_key rate=4r/d $_->[1];
readiness_rate $_->[0]twin key=\$arg_key rate=5r/h $_->[1];
CONF

my $text = slurp($t->path('plans.json'));
$text =~ s/"(api|twin)": (null|\{.*?\})/"$1": $2, "r$1": $2/g;
$t->file('plans.json', $text);

$t->conf(<<"CONF" . servers(0, '') . servers(1, 'r'))->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
readiness on;
readiness_log %%DIR%%/decision.log;
$rates
readiness_plans_file %%DIR%%/plans.json;
readiness_policy open { readiness_plan open; }
map \$http_x_tenant \$plan { acme high; ~^b open; }
CONF

my $n = 0;

for my $port (0, 1) {
    which($port);
    by_expression($port);
    told($port);
    unlimited($port);
    stays($port);
}

in_the_log();
in_redis();
without_default();

$t->done;


# "plan burst window" of a request with a key of its own

sub numbers {
    my ($port, $uri, $tenant, %o) = @_;
    my $key = $o{key} || 'k' . ++$n;
    my $r = $t->get($uri . ($uri =~ /\?/ ? '&' : '?') . "key=$key",
        port => $port,
        headers => [defined $tenant ? ('X-Tenant' => $tenant) : ()]);

    my $plan = $r->header('X-Plan') // '';
    my @q = ($r->header('RateLimit-Policy') // '') =~ /q=(\d+);w=(\d+)/g;

    return join ' ', $plan || '-', @q ? @q : 'none';
}


sub which {
    my ($p) = @_;
    my $is = sub { is(numbers($p, @_[0, 1]), $_[2], "$p: $_[3]") };

    $is->('/api', undef, 'free 3 43200', 'no tenant: the default plan');
    $is->('/api', 'stranger', 'free 3 43200', 'an unknown tenant: the default');
    $is->('/api', 'acme', 'pro 60 86400', 'the plan of a tenant, burst = N');
    $is->('/api', 'ACME', 'free 3 43200', 'a tenant is matched byte for byte');
    $is->('/api', 'big', 'pro 90 86400', "a tenant's own numbers");
    $is->('/both', 'big', 'pro 90 86400 50 3600', "and its plan's for the rest");
    $is->('/both', 'free', 'free 3 43200 7 86400', 'own numbers, default plan');
    $is->('/both', 'stranger', 'free 3 43200 5 3600',
        'a rate that the plan does not name: the declared numbers');
    $is->('/api', 'nix', 'none 4 86400', 'a plan of nothing: the declared ones');
    $is->('/loop', 'acme', 'pro 60 86400', 'E09: a plan that asks for itself');
    return;
}


sub by_expression {
    my ($p) = @_;
    my $is = sub { is(numbers($p, @_[0, 1]), $_[2], "$p: $_[3]") };

    $is->('/by?plan=pro', undef, 'pro 60 86400', 'readiness_plan, by a variable');
    $is->('/by?plan=free', 'acme', 'free 3 43200', "goes before the tenant's");
    $is->('/by?plan=free', 'big', 'free 90 86400', 'but not before own numbers');
    $is->('/by', 'acme', 'pro 60 86400', "empty: the tenant's");
    $is->('/by', undef, 'free 3 43200', 'empty, and no tenant: the default');
    $is->('/by?plan=gold', 'acme', '- 4 86400', 'unknown: the declared numbers');
    $is->('/by?plan=Pro', 'acme', '- 4 86400', 'unknown: another letter case');
    $is->('/by?plan=' . 'p' x 5000, 'acme', '- 4 86400', 'unknown: long');
    $is->('/by?plan=%00', 'acme', '- 4 86400', 'unknown: odd');
    $is->('/by?plan=acme', 'acme', '- 4 86400', 'unknown: a tenant is no plan');
    $is->('/map', 'acme', 'high 1000000000 86400000000', 'by a map');
    $is->('/map', 'big', 'open 90 86400', 'by a map, own numbers');
    $is->('/map', 'x', 'free 3 43200', 'by a map that has nothing');
    $is->('/pro', 'opal', 'pro 60 86400', 'by a constant');
    $is->('/pro/tenant', 'acme', 'pro 60 86400', 'an inner one replaces it');
    $is->('/pro/tenant', undef, 'free 3 43200', 'an inner "" takes it back');
    return;
}


sub told {
    my ($p) = @_;
    my $rate = $p ? 'rapi' : 'api';
    my @r = map { $t->get("/api?key=told", port => $p) } 1 .. 4;

    is(join(' ', map { $_->status } @r), '200 200 200 429',
        "$p: the plan's burst is what counts");
    is($r[0]->header('RateLimit-Policy'), "\"$rate\";q=3;w=43200",
        "$p: RateLimit-Policy");
    like($r[0]->header('RateLimit'), qr/^"$rate";r=2;t=14(400|3\d\d)$/,
        "$p: RateLimit");
    is($r[0]->header('RateLimit-Limit'), 3, "$p: RateLimit-Limit");
    my $spread = $p ? 1 : 0;
    my $retry = $r[3]->header('Retry-After');
    ok($retry > 14300 && $retry <= 14400 + $spread,
        "$p: Retry-After of the plan's rate") or diag($retry);

    for (['/text', 'acme', 'pro'], ['/free', 'acme', 'pro'],
         ['/free', undef, 'free'], ['/off', 'acme', ''])
    {
        my ($uri, $tenant, $plan) = @$_;
        my $r = $t->get($uri, port => $p,
            headers => [$tenant ? ('X-Tenant' => $tenant) : ()]);
        is($r->header('X-Plan') // '', $plan,
            "$p: \$readiness_plan without limits: $uri "
            . ($tenant || 'nobody'));
    }

    return;
}


sub unlimited {
    my ($p) = @_;

    for (['/api', 'opal'], ['/policy', 'acme'], ['/api', 'vip']) {
        my ($uri, $tenant) = @$_;
        my @r = map { $t->get("$uri?key=free", port => $p,
                              headers => ['X-Tenant' => $tenant]) } 1 .. 20;

        is(join(' ', map { $_->status } @r), join(' ', (200) x 20),
            "$p: null is unlimited: $uri $tenant");
        is(join('', map { $_->header('RateLimit') // '' } @r), '',
            "$p: and not told: $uri $tenant");
    }

    is(numbers($p, '/both', 'opal'), 'open 5 3600',
        "$p: the other limit counts all the same");
    is(numbers($p, '/api', undef, key => 'free'), 'free 3 43200',
        "$p: nothing was counted");
    is($t->get('/api?key=free', port => $p)->header('RateLimit') =~ /r=1;/, 1,
        "$p: nothing at all");
    return;
}


# Another plan, the same bucket: what was spent stays spent.

sub stays {
    my ($p) = @_;
    my $left = sub {
        my $r = $t->get("/by?key=stays&plan=$_[0]", port => $p);
        my ($n) = ($r->header('RateLimit') // '') =~ /r=(\d+)/;
        return $r->status . ' ' . ($n // '-');
    };

    is($left->('pro'), '200 59', "$p: the first of sixty");
    is($left->('free'), '200 1', "$p: the second of three");
    is($left->('free'), '200 0', "$p: the third");
    is($left->('free'), '429 0', "$p: no more of this plan");
    is($left->('pro'), '200 56', "$p: but of that one");
    is($left->('gold'), '429 0', "$p: the declared four are spent");
    is($left->('high'), '200 999999995', "$p: a plan of many");
    return;
}


sub in_the_log {
    my ($l) = $t->lines('decision.log', 'tenant.id' => 'big',
                        'url.path' => '/api');

    is($l->{'readiness.limits'}[0]{limit}, 90, "the log tells the plan's numbers");

    my ($free) = $t->lines('decision.log', 'tenant.id' => 'vip');
    is_deeply($free->{'readiness.limits'} || [], [], 'and no unlimited one');

    my %by;

    for my $line ($t->lines('decision.log')) {
        $by{($_->{name} =~ /^r/ ? 'Redis ' : 'zone ')
            . "$line->{'readiness.decision'} $_->{source}"}++
            for @{ $line->{'readiness.limits'} || [] };
    }

    is(join(', ', sort keys %by), 'Redis allow redis, Redis deny redis, '
        . 'Redis deny refusal_cache, zone allow local, zone deny local',
        'each store decided its own');
    is($by{'Redis deny redis'}, 1, 'a plan whose numbers are spent is asked '
        . 'for once, though others are known to be');
    return;
}


sub in_redis {
    numbers(1, "/by?plan=$_", 'big', key => 'kept') for qw(pro free gold);

    my @keys = grep { /kept/ } $t->redis->keys;

    is("@keys", 'rdy:rapi:{kept}', 'no plan and no number is in the key');
    return;
}


sub without_default {
    my $u = Readiness->new;

    $u->file('plain.json', slurp($t->path('plain.json')));
    $u->conf(<<'CONF')->run;
readiness on;
readiness_plans_file plain.json;
readiness_rate api key=$arg_key rate=4r/d;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness_tenant $http_x_tenant optional;
    location / { readiness_limit api; proxy_pass http://%%APP%%;
                 add_header X-Plan "[$readiness_plan]"; }
}
CONF

    my $r = $u->get('/?key=a');
    is($r->header('RateLimit-Policy'), '"api";q=4;w=86400',
        'no plan at all: the declared numbers');
    is($r->header('X-Plan'), '[]', 'and no name');

    $r = $u->get('/?key=b', headers => ['X-Tenant' => 'acme']);
    is($r->header('RateLimit-Policy'), '"api";q=8;w=86400',
        'own numbers without a plan');
    return;
}
