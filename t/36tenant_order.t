#!/usr/bin/perl

# Where readiness_tenant stands in a decision: before the limits, which are
# charged all the same; in monitor; across the locations of one request.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
readiness_redis main { server %%REDIS%%; timeout 10s; connect_timeout 10s; }
readiness_redis dead { server 127.0.0.1:%%PORT9%%; }
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_rate zone key=$arg_key rate=3r/d;
readiness_rate redis key=$arg_key rate=3r/d redis=main;
readiness_rate down key=$arg_key rate=3r/d redis=dead on_redis_error=deny;
readiness_rate mine key=$readiness_tenant rate=3r/d redis=main;
add_header X-Is "$readiness_tenant" always;
readiness_policy named { readiness_tenant $http_x_tenant; }

server {
    listen 127.0.0.1:%%PORT0%%;
    readiness_tenant $http_x_tenant;
    root %%DIR%%/html;

    location /zone  { readiness_limit zone;  proxy_pass http://%%APP%%; }
    location /redis { readiness_limit redis; proxy_pass http://%%APP%%; }
    location /both  { readiness_limit zone; readiness_limit redis;
                      proxy_pass http://%%APP%%; }
    location /down  { readiness_limit down; proxy_pass http://%%APP%%; }
    location /mine  { readiness_limit mine; proxy_pass http://%%APP%%; }
    location /tried { readiness_limit zone monitor;
                      proxy_pass http://%%APP%%; }
    location /watch { readiness monitor; readiness_limit zone;
                      proxy_pass http://%%APP%%; }
    location /watch/down { readiness monitor; readiness_limit down;
                           proxy_pass http://%%APP%%; }
    location /pair  { readiness monitor; readiness_tenant off;
                      readiness_limit zone; try_files /none @pair; }
    location @pair  { readiness monitor; readiness_tenant $arg_t;
                      proxy_pass http://%%APP%%; }
    location /off   { readiness off; proxy_pass http://%%APP%%; }

    location /first { readiness_limit zone; rewrite ^ /second last; }
    location /try   { try_files /none @named; }
    location @named { readiness_tenant $arg_t; proxy_pass http://%%APP%%; }
    location /accel { proxy_pass http://%%APP%%; }
    location /in/strict   { internal; readiness_tenant $arg_t; alias %%DIR%%/html/; }
    location /in/same     { internal; alias %%DIR%%/html/; }
    location /in/optional { internal; readiness_tenant $arg_t optional;
                            alias %%DIR%%/html/; }
    location /seen  { readiness monitor; proxy_pass http://%%APP%%; }

    location /page  { error_page 403 /denied; proxy_pass http://%%APP%%; }
    location = /denied { readiness_tenant denied; return 200 "[$readiness_tenant]"; }
    location /ssi   { ssi on; ssi_types *; readiness_tenant acme;
                      add_header X-Sub 1; alias %%DIR%%/html/; }
    location /sub   { readiness_tenant $arg_nobody; return 200 "[$readiness_tenant]"; }

    location /policy { readiness_tenant off; readiness_limit zone;
        location /policy/named { readiness_apply named; proxy_pass http://%%APP%%; }
        location /policy/over { readiness_apply named; readiness_tenant $arg_t;
                                proxy_pass http://%%APP%%; }
        location /policy/none { readiness_apply named; readiness_tenant off;
                                proxy_pass http://%%APP%%; }
        location /policy/again { readiness_tenant off; readiness_tenant $arg_t;
                                 proxy_pass http://%%APP%%; }
        proxy_pass http://%%APP%%; }
}
CONF

mkdir $t->path('html');
$t->file('html/x', 'a file');
$t->file('html/page', '<!--#include virtual="/sub" -->');

charged_all_the_same();
order_of_verdicts();
watched();
later_locations();
layers();
error_pages();

$t->done;


sub verdict {
    my ($uri, $tenant, @o) = @_;
    my $r = $t->get($uri, headers => [defined $tenant ? ('X-Tenant' => $tenant)
                                                      : ()], @o);
    my $why = $r->status >= 400 && $r->body =~ /"reason":"(\w+)"/ ? $1 : '-';

    return join ' ', $r->status, $why, $r->header('X-Is') // '-';
}

sub last_line {
    my ($uri) = @_;
    return (reverse $t->lines('decision.log', 'url.path' => $uri))[0];
}


sub charged_all_the_same {
    for my $store (qw(zone redis both)) {
        my $uri = "/$store?key=charged-$store";

        is(verdict($uri, undef), '403 tenant_missing -', "$store: refused");
        is(verdict($uri, '*'), '403 tenant_invalid -', "$store: refused again");
        is(verdict($uri, 'acme'), '200 - acme', "$store: the third one passes");
        is(verdict($uri, 'acme'), '429 rate_limited acme',
            "$store: a spent limit answers those who are right");
        is(verdict($uri, undef), '429 rate_limited -',
            "$store: and those who are wrong");
        is(verdict($uri, '*'), '429 rate_limited -', "$store: alike");
    }

    my $r = $t->get('/zone?key=told', headers => ['X-Tenant' => '*']);
    like($r->header('RateLimit'), qr/r=2;/, 'what is left is told to them too');
    is($r->header('Retry-After'), undef, 'but not to come back');

    my ($l) = $t->lines('decision.log', 'readiness.reason' => 'rate_limited');
    is($l->{'tenant.id'}, 'acme', 'the log: a tenant that is over its limit');

    is(verdict('/mine', 'own'), '200 - own', 'a limit by tenant');
    is(verdict('/mine', '*'), '403 tenant_invalid -', 'of nobody');
    is(join(' ', grep { /mine/ } $t->redis->keys), 'rdy:mine:{own}',
        'has an empty key, which is not counted');
    return;
}


sub order_of_verdicts {
    is(verdict('/down?key=d', 'acme'), '503 limiter_unavailable acme', 'no Redis');
    is(verdict('/down?key=d', undef), '403 tenant_missing -',
        'a refusal of the tenant goes before a limiter that is not there');
    is(verdict('/tried?key=t', 'acme'), '200 - acme', 'a limit on trial')
        for 1 .. 4;
    is(verdict('/tried?key=t', '*'), '403 tenant_invalid -',
        'what it would have refused is not the reason');
    is(last_line('/tried')->{'readiness.reason'}, 'tenant_invalid', 'nor logged');
    return;
}


sub watched {
    is(verdict('/watch?key=m', '*'), '200 - -', 'monitor passes')
        for 1 .. 3;

    my $l = last_line('/watch');
    is("$l->{'readiness.decision'} $l->{'readiness.reason'}", 'deny tenant_invalid',
        'monitor: what would have been');
    ok(!$l->{'readiness.enforced'}, 'monitor: not enforced');
    is($l->{'tenant.id'}, undef, 'monitor: nobody is the tenant');

    is(verdict('/watch?key=m', '*'), '200 - -', 'monitor: charged');
    is(last_line('/watch')->{'readiness.reason'}, 'rate_limited',
        'monitor: a spent limit goes first here too');
    is(verdict('/watch/down?key=d', '*'), '200 - -', 'monitor: no Redis');
    is(last_line('/watch/down')->{'readiness.reason'}, 'tenant_invalid',
        'monitor: nor is that the first reason');

    is(verdict('/pair?key=p', undef), '200 - -', 'monitor: two locations')
        for 1 .. 3;
    is(last_line('/pair')->{'readiness.reason'}, 'tenant_missing',
        'monitor: the second one would refuse');
    is(verdict('/pair?key=p', undef), '200 - -', 'monitor: as both of them do');
    is(last_line('/pair')->{'readiness.reason'}, 'rate_limited',
        'monitor: the first refusal is the one that is logged');

    is(verdict('/off', '*'), '200 - -', 'readiness off: not looked at');
    return;
}


sub later_locations {
    is(verdict('/try?t=shop', 'acme'), '200 - acme',
        'the first tenant stays, in a location that finds another');
    is(verdict('/try?t=*', 'acme'), '403 tenant_invalid acme',
        'but it can refuse');
    is(verdict('/try', 'acme'), '403 tenant_missing acme', 'this, too');
    is(verdict('/try?t=shop', '*'), '403 tenant_invalid -',
        'and takes nothing back');

    my $accel = sub {
        my ($to, $tenant) = @_;
        $t->app->set('/accel', { headers => [['X-Accel-Redirect', $to]] });
        return verdict("/accel?t=of-the-client", $tenant);
    };

    is($accel->('/in/same/x', 'acme'), '200 - acme', 'E03 the same rule');
    is($accel->('/in/strict/x?t=shop', 'acme'), '200 - acme', 'E03 another');
    is($accel->('/in/strict/x?t=-', 'acme'), '403 tenant_invalid acme',
        'E03 a stricter one refuses what was allowed');
    my $l = last_line('/accel');
    ok($l->{'readiness.revised'}, 'E03 in a line of its own');
    is($l->{'tenant.id'}, 'acme', 'E03 which names the tenant');
    is($accel->('/in/optional/x', 'acme'), '200 - acme', 'E03 an optional one');

    $t->app->set('/seen', { headers => [['X-Accel-Redirect', '/in/same/x']] });
    is(verdict('/seen', '*'), '403 tenant_invalid -',
        'E03 what was only watched is refused where it counts');
    $t->app->set('/seen', { headers => [['X-Accel-Redirect',
                                         '/in/strict/x?t=shop']] });
    is(verdict('/seen', '*'), '200 - shop', 'E03 unless another rule finds one');
    return;
}


sub layers {
    is(verdict('/policy/named', undef), '403 tenant_missing -', 'by a policy');
    is(verdict('/policy/over?t=shop', 'acme'), '200 - shop', 'replaced');
    is(verdict('/policy/none', undef), '200 - -', 'dropped');
    is(verdict('/policy/again?t=shop', undef), '200 - shop',
        'off, and a line beside it');
    is(verdict('/policy', undef), '200 - -', 'off in a location');
    return;
}


sub error_pages {
    my $r = $t->get('/page');
    is($r->status, 403, 'E02 an error page keeps the status');
    is($r->body, '[]', 'E02 and makes nobody a tenant');
    is($r->header('X-Is') // '', '', 'E02 nor in a header');

    $r = $t->get('/ssi/page');
    is($r->body, '[acme]', 'E01 a subrequest has the tenant of its request');
    return;
}
