#!/usr/bin/perl

# Redis is gone: each rate's own answer to that, what is told of it, and that
# all is well again afterwards.  O4, O5.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->subst(VARS => join ',', map { "\$readiness_$_" }
    qw(decision reason limit limit_remaining));

$t->conf(<<'CONF')->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }

readiness_rate default key=$arg_k rate=4r/d redis=main;
readiness_rate local key=$arg_k rate=4r/d redis=main on_redis_error=local;
readiness_rate allow key=$arg_k rate=4r/d redis=main on_redis_error=allow;
readiness_rate deny key=$arg_k rate=4r/d redis=main on_redis_error=deny;
readiness_rate zone key=$arg_k rate=9r/d;

readiness on;
readiness_log %%DIR%%/decision.log;

server {
    listen 127.0.0.1:%%PORT0%%;
    add_header X-Vars "%%VARS%%" always;
    location /default { readiness_limit default; proxy_pass http://%%APP%%; }
    location /local { readiness_limit local; proxy_pass http://%%APP%%; }
    location /allow { readiness_limit allow; proxy_pass http://%%APP%%; }
    location /deny { readiness_limit deny; proxy_pass http://%%APP%%; }
    location /zone { readiness_limit zone; proxy_pass http://%%APP%%; }
    location /status { readiness_limit deny; readiness_limit_status 420;
                       proxy_pass http://%%APP%%; }
    location /watch { readiness_limit deny monitor; proxy_pass http://%%APP%%; }
    location /monitor { readiness monitor; readiness_limit deny;
                        proxy_pass http://%%APP%%; }
    location /zl { readiness_limit zone; readiness_limit local;
                   proxy_pass http://%%APP%%; }
    location /za { readiness_limit zone; readiness_limit allow;
                   proxy_pass http://%%APP%%; }
    location /zd { readiness_limit zone; readiness_limit deny;
                   proxy_pass http://%%APP%%; }
    location /lad { readiness_limit local; readiness_limit allow;
                    readiness_limit deny; proxy_pass http://%%APP%%; }
    location /la { readiness_limit local; readiness_limit allow;
                   proxy_pass http://%%APP%%; }
}
CONF

is($t->get("/$_?k=a")->status, 200, "$_: Redis is there")
    for qw(default local allow deny);

$t->redis->stop;

falls_back($_) for qw(default local);
allows();
denies();
mixed();

$t->redis->start;

wait_for { source('/deny?k=back') eq 'redis' } 20, 'O5: Redis is asked again';

for (qw(default local allow deny)) {
    my $r = $t->get("/$_?k=again");
    is($r->status . left($r), "200${_}3", "O5: $_: counted in Redis");
    is(sources("/$_", 1), 'redis', "O5: $_: which the line says");
}

$t->done;


sub left {
    my ($r) = @_;
    my %left = ($r->header('RateLimit') || '') =~ /"(\w+)";r=(\d+)/g;
    return join ' ', map { "$_$left{$_}" } sort keys %left;
}

sub sources {
    my ($path, $n) = @_;
    my @l = $t->lines('decision.log', 'url.path' => $path);
    return join ' ', map { $_->{source} }
                     map { @{ $_->{'readiness.limits'} } } splice @l, -$n;
}

sub source {
    my ($uri) = @_;
    $t->get($uri);
    return sources($uri =~ s/\?.*//r, 1);
}


sub falls_back {
    my ($name) = @_;
    my @r = map { $t->get("/$name?k=gone") } 1 .. 6;

    is(join(' ', map { $_->status } @r), '200 200 200 200 429 429',
        "G17: $name: this nginx counts");
    is(join(' ', map { left($_) } @r[0, 3, 4]), "${name}3 ${name}0 ${name}0",
        "G17: $name: and tells its numbers");
    is($r[0]->header('RateLimit-Policy'), "\"$name\";q=4;w=86400",
        "G17: $name: with the policy");
    is(sources("/$name", 6), join(' ', map { 'fallback' } 1 .. 6),
        "O4: $name: source fallback");
    is($r[4]->header('X-Vars'), "deny,rate_limited,$name,0",
        "$name: variables");
    return;
}


sub allows {
    my @r = map { $t->get('/allow?k=gone') } 1 .. 6;

    is(join(' ', map { $_->status } @r), '200 200 200 200 200 200',
        'O4: allow: all pass');
    is(grep({ /ratelimit|retry/ } map { $_->names } @r), 0,
        'C12: allow: no invented numbers');
    is(sources('/allow', 2), 'unavailable unavailable',
        'O4: allow: source unavailable');
    is($r[5]->header('X-Vars'), 'allow,ok,,', 'allow: variables');

    my ($l) = reverse $t->lines('decision.log', 'url.path' => '/allow');
    is_deeply([sort keys %{ $l->{'readiness.limits'}[0] }],
        ['name', 'source'], 'allow: no numbers in the log');
    return;
}


sub denies {
    for my $uri ('/deny', '/status') {
        my $r = $t->get("$uri?k=gone");
        is($r->status, 503, "O4: $uri: 503, whatever readiness_limit_status");
        is($r->header('Retry-After'), 1, "C12: $uri: Retry-After");
        is(grep({ /ratelimit/ } $r->names), 0, "C12: $uri: no numbers");
        is($r->json->{reason}, 'limiter_unavailable', "$uri: the reason");
        is($r->header('X-Vars'), 'deny,limiter_unavailable,,',
            "$uri: variables");
    }

    my ($l) = reverse $t->lines('decision.log', 'url.path' => '/deny');
    is($l->{'readiness.reason'} . $l->{'http.response.status_code'},
        'limiter_unavailable503', 'O4: deny: the log says why');
    is(sources('/deny', 1), 'unavailable', 'O4: deny: source unavailable');

    for my $uri ('/watch', '/monitor') {
        is($t->get("$uri?k=gone")->status, 200, "C16: $uri passes");
        ($l) = reverse $t->lines('decision.log', 'url.path' => $uri);
        is($l->{'readiness.reason'} . ($l->{'readiness.enforced'} ? 1 : 0),
            'limiter_unavailable0', "C16: $uri: logged as it would be");
    }

    return;
}


sub mixed {
    my $r = $t->get('/zd?k=m');
    is($r->status, 503, 'zone and deny');
    is(left($t->get('/zone?k=m')), 'zone8', 'C07: the zone has it back');

    is(left($t->get('/za?k=m')), 'zone7', 'zone and allow: the zone counts');

    $t->get('/zl?k=m2') for 1 .. 4;
    is($t->get('/zl?k=m2')->status, 429, 'zone and local: refused by local');
    is(left($t->get('/zone?k=m2')), 'zone4', 'C07: the zone has it back');

    $r = $t->get('/lad?k=m');
    is($r->status, 503, 'local, allow and deny: denied');
    is(left($t->get('/local?k=m')), 'local3', 'C07: local was not charged');
    is(left($t->get('/la?k=m')), 'local2', 'local and allow: local counts');
    is(sources('/la', 1), 'fallback unavailable', 'and the line says both');
    return;
}
