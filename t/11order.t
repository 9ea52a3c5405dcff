#!/usr/bin/perl

# The order of filters, read back from what they do: ours runs after userid and
# add_header, so that it sees what they add, and replaces it.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->file('page.html', 'page');

$t->conf(<<'CONF')->run;
    server {
        listen 127.0.0.1:%%PORT0%%;
        readiness on;
        readiness_header X-Ours ours;
        readiness_header X-If-Missing ours if_missing;
        readiness_hide_header X-Hidden;
        readiness_cookies secure httponly samesite=lax;
        userid on;
        userid_name uid;

        add_header X-Ours theirs always;
        add_header X-Frame-Options ALLOWALL always;
        add_header X-If-Missing theirs always;
        add_header X-Hidden theirs always;
        add_header X-Request-Id theirs always;
        add_header Set-Cookie "added=1; Path=/" always;
        add_header X-Theirs theirs always;
        expires 1h;

        location / { root %%DIR%%; }
        location /app { proxy_pass http://%%APP%%; }
        location /return { return 404; }
    }
CONF

my $args = join '&', map { "app_header=$_:%20app" } qw(X-Ours X-Hidden
    X-Frame-Options X-If-Missing Set-Cookie);

for my $uri ('/page.html', "/app?$args", '/return', '/none') {
    my $r = $t->get($uri);
    my $name = $uri =~ s/\?.*//r;

    is(join(',', $r->values('X-Ours')), 'ours', "$name: our value, once");
    is(join(',', $r->values('X-Frame-Options')), 'SAMEORIGIN',
       "$name: the preset's value, once");
    is(join(',', $r->values('X-Theirs')), 'theirs', "$name: others stay");
    is($r->count('X-Hidden'), 0, "$name: what add_header gave is hidden");
    unlike(join(',', $r->values('X-If-Missing')), qr/ours/,
           "$name: add_header's copy is not missing");
    is($r->count('X-Request-Id'), 1, "$name: one request ID");
    isnt($r->header('X-Request-Id'), 'theirs', "$name: which is ours");

    my ($uid) = grep { /^uid=/ } $r->values('Set-Cookie');
    like($uid // '', qr/; secure.*; httponly.*; samesite=lax/i,
         "$name: the cookie of userid has its flags");
    my ($added) = grep { /^added=/ } $r->values('Set-Cookie');
    is($added, 'added=1; Path=/; Secure; HttpOnly; SameSite=Lax',
       "$name: so has that of add_header");
}

$t->done;
