#!/usr/bin/perl

# readiness_cookies: missing flags are added to every Set-Cookie, but for the
# exceptions.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;

$t->conf(<<'CONF')->run;
readiness on;
readiness_cookies secure httponly samesite=lax;
readiness_cookies XSRF-TOKEN nohttponly;

readiness_policy shop {
    readiness_cookies ~^cart_ samesite=strict;
    readiness_cookies ~. nohttponly;
}

server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;

    location / { proxy_pass http://%%APP%%; }

    location /embed/ {
        readiness_cookies ~^(?i:frame) samesite=none secure;
        readiness_cookies lang;
        proxy_pass http://%%APP%%/;
    }

    location /none/ {
        readiness_cookies samesite=none secure;
        proxy_pass http://%%APP%%/;
    }

    location /off/ {
        readiness_cookies off;
        proxy_pass http://%%APP%%/;
    }

    location /alone/ {
        readiness_cookies off;
        readiness_cookies sid secure;
        proxy_pass http://%%APP%%/;
    }

    location /shop/ {
        readiness_apply shop;
        readiness_cookies ~^cart_x nohttponly;
        proxy_pass http://%%APP%%/;

        location /shop/sid/ {
            readiness_cookies cart_sid secure httponly samesite=lax;
            proxy_pass http://%%APP%%/;
        }
    }

    location /own/ {
        userid on;
        userid_name visitor;
        add_header Set-Cookie "added=1" always;
        proxy_pass http://%%APP%%/;
    }
}
CONF

my $all = '; Secure; HttpOnly; SameSite=Lax';

adding();
exceptions();
layers();
everywhere();

$t->done;


# What becomes of these Set-Cookie values, line by line.

sub becomes {
    my ($where, @pairs) = @_;
    my (@sent, @want, @fact);

    while (@pairs) {
        my ($is, $will) = splice @pairs, 0, 2;
        push @sent, ['Set-Cookie', $is];
        push @want, $will;
    }

    $t->app->set('/x', { headers => \@sent });
    my $r = $t->get("$where/x");
    my @got = $r->values('Set-Cookie');

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($got[$_], $want[$_], "$where: $sent[$_][1]") for 0 .. $#want;
    is(@got, @want, 'as many as were sent');
    return;
}


sub adding {
    becomes('',
        'a=1' => "a=1$all",
        'a=1; Path=/; Max-Age=60' => "a=1; Path=/; Max-Age=60$all",
        'b=2; Secure' => 'b=2; Secure; HttpOnly; SameSite=Lax',
        'c=3; HttpOnly' => 'c=3; HttpOnly; Secure; SameSite=Lax',
        'd=4; SameSite=Strict' => 'd=4; SameSite=Strict; Secure; HttpOnly',
        'e=5; samesite=NONE' => 'e=5; samesite=NONE; Secure; HttpOnly',
        'f=6;SECURE;httponly;SameSite=lax' =>
            'f=6;SECURE;httponly;SameSite=lax',
        'g=7 ; secure =1 ;HttpOnly=x' =>
            'g=7 ; secure =1 ;HttpOnly=x; SameSite=Lax',
        'h="a; Secure; b"' => "h=\"a; Secure; b\"$all",
        'i=secure' => "i=secure$all",
        'Secure=1' => "Secure=1$all",
        'j=; ' => "j=$all",
        'k=1; Path=/secure; Domain=httponly.example' =>
            "k=1; Path=/secure; Domain=httponly.example$all",
        'novalue' => "novalue$all",
        '=x' => "=x$all",
        '__Host-l=1; Secure; Path=/' =>
            '__Host-l=1; Secure; Path=/; HttpOnly; SameSite=Lax',
        'm=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT' =>
            "m=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT$all");
}


sub exceptions {
    becomes('',
        'XSRF-TOKEN=a; Path=/' => 'XSRF-TOKEN=a; Path=/; Secure; SameSite=Lax',
        'XSRF-TOKEN=b; HttpOnly' => 'XSRF-TOKEN=b; HttpOnly; Secure; '
            . 'SameSite=Lax',
        'xsrf-token=c' => "xsrf-token=c$all",
        'XSRF-TOKEN2=d' => "XSRF-TOKEN2=d$all",
        'laravel_session=e; XSRF-TOKEN=e' =>
            "laravel_session=e; XSRF-TOKEN=e$all");

    becomes('/embed',
        'frame1=a' => 'frame1=a; Secure; HttpOnly; SameSite=None',
        'FRAME=b' => 'FRAME=b; Secure; HttpOnly; SameSite=None',
        'iframe=c' => "iframe=c$all",
        'lang=d' => "lang=d$all",
        'XSRF-TOKEN=e' => 'XSRF-TOKEN=e; Secure; SameSite=Lax');

    becomes('/none',
        'a=1' => 'a=1; Secure; SameSite=None',
        'b=2; SameSite=Lax' => 'b=2; SameSite=Lax; Secure');
}


sub layers {
    becomes('/off', 'a=1' => 'a=1', 'XSRF-TOKEN=b' => 'XSRF-TOKEN=b');
    becomes('/alone', 'sid=1' => 'sid=1; Secure', 'a=2' => 'a=2');

    # names before regular expressions, of these the inner layer's first

    becomes('/shop',
        'a=1' => 'a=1; Secure; SameSite=Lax',
        'cart_a=2' => 'cart_a=2; Secure; HttpOnly; SameSite=Strict',
        'cart_x=3' => 'cart_x=3; Secure; SameSite=Lax',
        'XSRF-TOKEN=4' => 'XSRF-TOKEN=4; Secure; SameSite=Lax');
    becomes('/shop/sid', 'cart_sid=1' => "cart_sid=1$all");
}


sub everywhere {
    for my $status (302, 404, 500) {
        my $r = $t->get("/y?app_status=$status&app_header=Set-Cookie:%20a=1"
                      . '&app_header=Location:%20/');
        is($r->header('Set-Cookie'), "a=1$all", "on $status");
    }

    my $r = $t->h2(port => 1)->get('/y?app_header=Set-Cookie:%20a=1'
                                 . '&app_header=set-cookie:%20b=2');
    is_deeply([$r->values('set-cookie')], ["a=1$all", "b=2$all"], 'HTTP/2');

    $r = $t->get('/own/y?app_header=Set-Cookie:%20a=1');
    my @got = sort $r->values('Set-Cookie');
    is(@got, 3, 'of the application, of add_header and of userid');
    is($got[0], "a=1$all", "the application's");
    is($got[1], "added=1$all", "add_header's");
    like($got[2], qr/^visitor=[^;]+; .*\Q$all\E\z/, "userid's own");

    my $long = 'x' x 3500;
    $r = $t->get('/y', headers => ['X-App-Header' => "Set-Cookie: l=$long"]);
    is($r->header('Set-Cookie'), "l=$long$all", 'a long one');
}
