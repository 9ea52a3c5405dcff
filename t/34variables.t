#!/usr/bin/perl

# Variables of the verdict: what the limits left, and how it was decided.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;

my $told = join ' ', map { "$_=\$readiness_$_" } qw(decision reason route policy
    limit limit_remaining limit_reset duration_us);

$t->conf(<<"CONF")->run;
readiness_rate three key=\$arg_key rate=3r/m;
readiness_rate ten key=\$arg_key rate=10r/m;
readiness_policy both { readiness_limit three; readiness_limit ten; }
server {
    listen 127.0.0.1:%%PORT0%%;
    add_header X-Told "$told" always;

    location /on      { readiness on; readiness_apply both;
                        proxy_pass http://%%APP%%; }
    location /monitor { readiness monitor; readiness_apply both;
                        readiness_route watched; proxy_pass http://%%APP%%; }
    location /free    { readiness on; proxy_pass http://%%APP%%; }
    location /return  { readiness on; return 204; }
    location /off     { proxy_pass http://%%APP%%; }
}
server {
    listen 127.0.0.1:%%PORT1%%;
    add_header X-Told "$told" always;
    location / { proxy_pass http://%%APP%%; }
}
CONF

sub told {
    my ($uri, %o) = @_;
    my $text = $t->get($uri, %o)->header('X-Told');
    return { map { /^(\w+)=(.*)/ ? ($1 => $2) : () } split / /, $text };
}

my $v = told('/on?key=a');
is($v->{decision}, 'allow', 'readiness_decision of an allowed request');
is($v->{reason}, 'ok', 'readiness_reason');
is($v->{route}, '/on', 'readiness_route: the words of the location');
is($v->{policy}, 'both', 'readiness_policy');
is($v->{limit}, 'three', 'readiness_limit: the smallest share left');
is($v->{limit_remaining}, 2, 'readiness_limit_remaining');
is($v->{limit_reset}, 20, 'readiness_limit_reset: seconds until full');
like($v->{duration_us}, qr/^\d+$/, 'readiness_duration_us');

told('/on?key=a') for 1 .. 2;
$v = told('/on?key=a');
is($v->{decision}, 'deny', 'readiness_decision of a refused one');
is($v->{reason}, 'rate_limited', 'its readiness_reason');
is($v->{limit}, 'three', 'readiness_limit: the one that refused');
is($v->{limit_remaining}, 0, 'its readiness_limit_remaining');
is($v->{limit_reset}, 60, 'its readiness_limit_reset');

told('/monitor?key=b') for 1 .. 3;
$v = told('/monitor?key=b');
is("$v->{decision} $v->{reason}", 'deny rate_limited',
   'monitor says what it would have done');
is($v->{route}, 'watched', 'readiness_route where it is set');

$v = told('/free');
is("$v->{decision} $v->{limit}$v->{limit_remaining}$v->{limit_reset}",
   'allow ', 'no limit, no numbers');

$v = told('/return');
is("$v->{decision} $v->{reason}$v->{duration_us}", 'none not_evaluated',
   'return comes before any check');

$v = told('/off');
is("$v->{decision} $v->{reason}", 'none not_evaluated',
   'a location that is off, in a server that is not');

$v = told('/', port => 1);
is(join('', values %$v), '', 'nothing in a server where all is off');

$t->done;
