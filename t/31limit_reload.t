#!/usr/bin/perl

# What is spent is kept in requests: it survives a reload, other numbers apply
# to it at once, and every place that names a rate shares its buckets.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

configure(burst => 'rate=10r/d', zone => '1m');
$t->run;

shared();
numbers();
changes();
zone_size();

$t->done;


sub configure {
    my (%o) = @_;
    my $rates = '';

    for (['z', ''], ['r', 'redis=main']) {
        $rates .= "readiness_rate $_->[0] key=\$arg_k $o{burst} $_->[1];\n"
                . "readiness_rate x$_->[0] key=\$arg_k rate=2r/d $_->[1];\n";
    }

    # another order gives the rates other numbers

    $rates = join "\n", reverse split /\n/, $rates if $o{reverse};
    $rates = "readiness_rate new key=\$arg_k rate=1r/d;\n$rates" if $o{new};

    return $t->conf(<<"CONF");
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
readiness_zone $o{zone};
$rates

readiness_policy common { readiness_limit z; readiness_limit r; }

readiness on;

server {
    listen 127.0.0.1:%%PORT0%%;
    location /z { readiness_limit z; proxy_pass http://%%APP%%; }
    location /r { readiness_limit r; proxy_pass http://%%APP%%; }
    location /xz { readiness_limit xz; proxy_pass http://%%APP%%; }
    location /xr { readiness_limit xr; proxy_pass http://%%APP%%; }
}

server {
    listen 127.0.0.1:%%PORT1%%;
    readiness_apply common;
    location / { proxy_pass http://%%APP%%; }
    location /z { readiness_limit off; readiness_limit z;
                  proxy_pass http://%%APP%%; }
    location /off { readiness_limit off; proxy_pass http://%%APP%%; }
    location /never { readiness off; proxy_pass http://%%APP%%; }
    location /cost { readiness_limit z cost=3; proxy_pass http://%%APP%%; }
    location /nest { readiness_limit xz; proxy_pass http://%%APP%%;
        location /nest/off { readiness_limit off; proxy_pass http://%%APP%%;
            location /nest/off/own { readiness_limit xr;
                                     proxy_pass http://%%APP%%; } } }
}
CONF
}


sub left {
    my ($r) = @_;
    my %left = ($r->header('RateLimit') || '') =~ /"(\w+)";r=(\d+)/g;
    return join ' ', map { "$_$left{$_}" } sort keys %left;
}

sub reload {
    my (%o) = @_;
    configure(%o);
    ok($t->reload, "reload: $o{burst}");
    return;
}


sub shared {
    $t->get('/z?k=s');
    is(left($t->get('/z?k=s', port => 1)), 'z8',
        'C06: one rate in two servers: one set of buckets');
    is(left($t->get('/?k=s', port => 1)), 'r9 z7', 'and in a policy');
    is(left($t->get('/cost?k=s', port => 1)), 'r8 z4',
        'a limit is replaced by name, the rest stays');
    is(left($t->get('/nest?k=s', port => 1)), 'r7 xz1 z3', 'or added');
    is(left($t->get("$_?k=s", port => 1)), '', "none: $_")
        for '/off', '/never', '/nest/off';
    is(left($t->get('/nest/off/own?k=s', port => 1)), 'xr1',
        'readiness_limit off drops what outer layers gave, once');
    is(left($t->get('/z?k=s')), 'z2', 'nothing else was charged');
    is(left($t->get('/xz?k=q')), 'xz1', 'the same key of another rate');
    is(left($t->get('/z?k=q')), 'z9', 'C05: is another bucket');
    return;
}


sub numbers {
    for my $s (qw(z r)) {
        $t->get("/$s?k=n") for 1 .. 6;
        $t->get("/$s?k=full") for 1 .. 10;
    }

    reload(burst => 'rate=10r/d', zone => '1m');
    is(left($t->get("/$_?k=n")), "${_}3", "$_: spent stays spent") for qw(z r);
    is($t->get("/$_?k=full")->status, 429, "$_: also what is refused")
        for qw(z r);

    reload(burst => 'rate=10r/d burst=20', zone => '1m');
    for my $s (qw(z r)) {
        my $r = $t->get("/$s?k=n");
        is(left($r), "${s}12", "$s: a larger burst applies at once");
        is($r->header('RateLimit-Policy'), "\"$s\";q=20;w=172800",
            "$s: and is told");
        is(left($t->get("/$s?k=full")), "${s}9", "$s: to a spent key too");
    }

    reload(burst => 'rate=10r/d burst=4', zone => '1m');
    for my $s (qw(z r)) {
        my $r = $t->get("/$s?k=n");
        is($r->status . left($r), "429${s}0", "$s: a smaller one as well");
        ok($r->header('Retry-After') > 4 * 8640
           && $r->header('Retry-After') <= 5 * 8640,
            "$s: what was spent before has to drain")
            or diag($r->header('Retry-After'));
        is(left($t->get("/$s?k=new")), "${s}3", "$s: a new key has four");
    }

    reload(burst => 'rate=86400r/d burst=4', zone => '1m');
    for my $s (qw(z r)) {
        my $r = $t->get("/$s?k=full");
        is($r->status, 429, "$s: a faster rate: still spent");
        ok($r->header('Retry-After') <= 9, "$s: but for seconds only")
            or diag($r->header('Retry-After'));
    }

    reload(burst => 'rate=10r/d burst=20', zone => '1m');
    return;
}


sub changes {
    $t->get("/$_?k=c") for qw(z z z r r r xz xr);

    reload(burst => 'rate=20r/d', zone => '1m', reverse => 1, new => 1);
    is(left($t->get("/$_?k=c")), "${_}16", "$_: rates in another order")
        for qw(z r);
    is(left($t->get("/$_?k=c")), "${_}0", "$_: find their own buckets")
        for qw(xz xr);

    my ($old, $new) = $t->upgrade;
    is(left($t->get('/r?k=c')), 'r15', 'USR2: Redis knows what was spent');
    $t->signal('QUIT', $old);
    return;
}


# Another size is another zone.

sub zone_size {
    $t->get('/z?k=size') for 1 .. 3;
    reload(burst => 'rate=20r/d', zone => '2m', reverse => 1, new => 1);
    is(left($t->get('/z?k=size')), 'z19', 'a zone of another size is empty');
    is(left($t->get('/r?k=c')), 'r14', 'Redis is not');
    return;
}
