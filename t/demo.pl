#!/usr/bin/perl

# Copyright (C) The readiness authors

# Sends requests through nginx, the module, Redis and an application, and
# prints what went in, what the application received, what came out, and the
# decision line.  Run by t/demo.

use strict;
use warnings;

use JSON::XS ();
use Readiness;

# the harness states its facts as tests; here they are only heard when they fail
Test::More->builder->output(\my $quiet);

my $colour = -t STDOUT && ($ENV{TERM} // '') ne 'dumb' && !$ENV{NO_COLOR};

sub paint {
    my ($code, $text) = @_;
    return $colour ? "\e[${code}m$text\e[0m" : $text;
}

sub title { print "\n", paint('1;36', $_[0]), "\n" }
sub label { printf "  %s %s\n", paint('1', sprintf '%-12s', $_[0]), $_[1] }

my $t = Readiness->new;
my $redis = $t->redis;

$t->conf(<<'CONF');
readiness_redis main { server %%REDIS%%; }
readiness_rate api key=$readiness_client_key rate=3r/m redis=main;
readiness_log %%DIR%%/decision.log;

upstream application { server %%APP%%; }

server {
    listen 127.0.0.1:%%PORT0%%;

    # the load balancer of this demo; who else connects is its own client
    readiness_trusted_proxies 127.0.0.2;

    readiness on;
    readiness_headers strict;
    readiness_hide_header owasp;
    readiness_cookies secure httponly samesite=lax;

    location / { proxy_pass http://application; }
    location /api/ { readiness_limit api; proxy_pass http://application; }
}
CONF

title('Configuration (the part that matters)');
my ($shown) = slurp($t->path('nginx.conf')) =~ /(readiness_redis.*)\n\}/s;
print map { /\S/ ? '  ' . paint('2', $_) . "\n" : () } split /\n/, $shown;

$t->run;

my @told = ('Host', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Real-IP',
            'Forwarded', 'X-Request-Id');
my @hidden = ('Permissions-Policy', 'Date', 'Connection', 'Content-Length');
my $lines = 0;
my $failed = 0;

sub show {
    my ($what, $uri, %o) = @_;

    title($what);

    my @sent = @{$o{headers} || []};
    label('went in', "GET $uri from " . ($o{bind} || '127.0.0.1'));
    while (my ($name, $value) = splice @sent, 0, 2) {
        label('', paint('33', "$name: $value"));
    }

    my $seen = $t->app->count;
    my $r = $t->get($uri, %o);

    if ($t->app->count > $seen) {
        for my $name (@told) {
            my @values = $r->seen($name);
            label($name eq $told[0] ? 'application' : '',
                  paint('35', "$name: $_")) for @values;
        }
    } else {
        label('application', paint('35', 'saw nothing of it'));
    }

    label('came out', paint($r->status < 400 ? '1;32' : '1;31',
                            $r->status . ' ' . ($r->{reason} // '')));
    for my $pair (@{$r->headers}) {
        my ($name, $value) = @$pair;
        next if grep { lc $_ eq lc $name } @hidden;
        label('', "$name: $value");
    }
    label('', $r->body) if $r->status >= 400;

    my @line = $t->wait_lines('decision.log', ++$lines);
    my ($raw) = (split /\n/, slurp($t->path('decision.log')))[$lines - 1];
    label('decision', paint('34', $raw));

    my $got = $line[-1]{'readiness.decision'} . ' '
              . $line[-1]{'client.address'};
    if ($got ne $o{expect}) {
        label('!', paint('1;31', "expected $o{expect}, got $got"));
        $failed++;
    }

    return $r;
}

show('1. An ordinary visitor, with a cookie set by the application',
     '/?app_header=Set-Cookie:%20session=1;%20Path=/',
     expect => 'allow 127.0.0.1');

show('2. A visitor who forges an address, a scheme and a request ID', '/',
     headers => ['X-Forwarded-For' => '10.0.0.1', 'X-Real-IP' => '10.0.0.1',
                 'X-Forwarded-Proto' => 'https',
                 'X-Request-Id' => 'forged-by-the-client'],
     expect => 'allow 127.0.0.1');

show('3. The same through the load balancer: what it vouches for counts', '/',
     bind => '127.0.0.2',
     headers => ['X-Forwarded-For' => '6.6.6.6, 203.0.113.7',
                 'X-Forwarded-Proto' => 'https',
                 'X-Request-Id' => 'from-the-balancer'],
     expect => 'allow 203.0.113.7');

for my $n (1 .. 4) {
    show("4.$n A burst on /api/, which takes 3 requests a minute", '/api/',
         bind => '127.0.0.2', headers => ['X-Forwarded-For' => '203.0.113.9'],
         expect => ($n < 4 ? 'allow' : 'deny') . ' 203.0.113.9');
}

title('What Redis holds of it');
for my $key (sort $redis->keys) {
    label('', "$key, gone in " . $redis->cli('PTTL', $key) . ' ms');
}

$t->stop;
$redis->stop;
$t->app->stop;

title($failed ? 'Something was not as expected, see above.'
              : 'Done. Everything was as expected, nothing is left running.');
print "\n";

exit($failed ? 1 : 0);
