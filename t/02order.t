#!/usr/bin/perl

# The header filter runs after add_header and userid, in the dynamic build by
# ngx_module_order, in the static one by its place in the list of filters: read
# back from what it can see.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;

    location / {
        add_header X-Frame-Options ALLOWALL always;
        add_header X-Own theirs always;
        readiness_header X-Own ours;
        readiness_cookies secure;
        userid on;
        userid_name visitor;
        proxy_pass http://%%APP%%;
    }
}
CONF

my $r = $t->get('/');

is_deeply([$r->values('X-Frame-Options')], ['SAMEORIGIN'],
          'add_header\'s copy of a preset header is replaced');
is_deeply([$r->values('X-Own')], ['ours'],
          'add_header\'s copy of an own header is replaced');
like($r->header('Set-Cookie'), qr/^visitor=.*; Secure$/,
     'the cookie of userid gets its flags');

$t->done;
