#!/usr/bin/perl

# Hazard E09: variables in every directive that takes an expression.  nginx's
# own two passes over a value, one for the length and one for the copy, can see
# different captures in between: ours is one.

use strict;
use warnings;
use Readiness;
use Test::More;

my $t = Readiness->new;

# "$name$mapped": to work out $mapped runs a regular expression that sets $name
# (or $1) anew, behind its length but before its copy.

$t->conf(<<'CONF')->run;
map $arg_long $mapped {
    default "";
    "~^(?<name>.+)$" "";
}
map $arg_long $remapped {
    volatile;
    default "";
    "~^(.+)$" $1;
}
map $http_x_count $counted {
    volatile;
    default $msec;
}
map $arg_a $around { default $again; }
map $arg_a $again { default $around; }

readiness on;
readiness_rate long key=$arg_a key=x$arg_long rate=2r/d;
readiness_rate named key=$name$mapped rate=100r/d;
readiness_rate numbered key=$1$remapped rate=100r/d;
readiness_rate around key=<$around> rate=100r/d;
readiness_rate many key=$arg_k rate=100r/d;
readiness_log %%DIR%%/decision.log;
large_client_header_buffers 4 256k;
proxy_buffer_size 256k;
proxy_buffers 4 256k;

server {
    listen 127.0.0.1:%%PORT0%%;

    location / { proxy_pass http://%%APP%%; }

    location ~ ^/header/(?<name>[^/]*)$ {
        readiness_header X-Named "<$name|$mapped>";
        readiness_header X-Twice "$name$name";
        proxy_pass http://%%APP%%;
    }
    location ~ ^/numbered/([^/]*)$ {
        readiness_header X-Numbered "<$1|$remapped>";
        proxy_pass http://%%APP%%;
    }
    location ~ ^/key/(?<name>[^/]*)$ {
        readiness_limit named;
        proxy_pass http://%%APP%%;
    }
    location ~ ^/key1/([^/]*)$ {
        readiness_limit numbered;
        proxy_pass http://%%APP%%;
    }
    location ~ ^/cost/(?<name>[^/]*)$ {
        readiness_limit many cost=$name$mapped;
        proxy_pass http://%%APP%%;
    }
    location ~ ^/if/(?<name>[^/]*)$ {
        readiness_limit many if=$name$mapped;
        proxy_pass http://%%APP%%;
    }
    location ~ ^/unless/(?<name>[^/]*)$ {
        readiness_limit many unless=$name$mapped;
        proxy_pass http://%%APP%%;
    }
    location ~ ^/log/(?<name>[^/]*)$ {
        readiness_log %%DIR%%/decision.log;
        readiness_log_field named "<$name|$mapped>";
        readiness_log_field numbered "<$1|$remapped>";
        readiness_log_field around "<$around>";
        proxy_pass http://%%APP%%;
    }

    location ~ ^/log-if/(?<name>[^/]*)$ {
        readiness_log %%DIR%%/some.log if=$name$mapped;
        proxy_pass http://%%APP%%;
    }

    location /around/ {
        readiness_limit around;
        readiness_header X-Around "<$around>";
        proxy_pass http://%%APP%%;
    }
    location /counted/ {
        readiness_header X-Same "$counted=$counted";
        proxy_pass http://%%APP%%;
    }
    location /long/ {
        readiness_limit long;
        readiness_header X-Long "<$arg_long>";
        readiness_header X-Alone $arg_long;
        readiness_log_field long $arg_long;
        proxy_pass http://%%APP%%/x?;
    }
    location /forms/ {
        readiness_header X-Forms "$arg_a${arg_a}b-$arg_a.$arg_none|";
        readiness_header X-Late $upstream_http_x_late;
        proxy_pass http://%%APP%%/x?app_header=X-Late:%20late&;
    }
}
CONF

my $long = 'L' x 3000;

captures();
limits();
log_fields();
odd_values();
parts();

$t->allow(qr/cycle while evaluating/);
$t->done;


sub captures {
    for my $n (1, 10, 300, 3000, 30000) {
        my $v = 'L' x $n;
        my $r = $t->get("/header/short?long=$v");
        is($r->header('X-Named'), '<short|>',
            "E09 a named capture, set anew by a map: $n bytes");
        is($r->header('X-Twice'), $v x 2, 'E09 as it is from then on');

        # which of the two $1 is, depends on what ran before; but it is one

        $r = $t->get("/numbered/short?long=$v");
        like($r->header('X-Numbered'), qr/^<(?:short|$v)\|$v>\z/,
            "E09 a numbered capture, overwritten by a map: $n bytes");
    }
}


sub limits {
    my $left = sub {
        return ($_[0]->header('RateLimit') || '') =~ /;r=(\d+);/ ? $1 : 'none';
    };

    for my $kind ('key', 'key1') {
        my @left = map { $left->($t->get("/$kind/$_->[0]?long=$_->[1]")) }
                   ['a', $long], ['a', $long], ['a', 'x' x 7], ['b', $long];

        is($left[0], 99, "E09 rate, /$kind/");
        is($left[1], 98, 'E09 the same values are one key');
        is(@left, grep({ /^\d+$/ } @left), 'E09 each was counted');
    }

    my $q = sub { "k=$_[0]&long=$long" };
    is($left->($t->get('/cost/5?' . $q->('a'))), 95, 'E09 cost=');
    is($left->($t->get('/cost/0?' . $q->('a'))), 95, 'E09 cost=0');
    is($left->($t->get('/cost/?' . $q->('a'))), 94, 'E09 cost= is empty');
    is($left->($t->get("/cost/$long?" . $q->('a'))), 93, 'E09 a long cost');

    for (['if', 99, 'none', 'none'], ['unless', 'none', 99, 98]) {
        my ($word, @want) = @$_;
        my @got = map { $left->($t->get("/$word/$_?" . $q->($word))) }
                  '1', '0', '';
        is("@got", "@want", "E09 $word= of 1, of 0, and empty");
    }
}


sub log_fields {
    my $short = 'l' x 100;
    my $r = $t->get("/log/a?long=$short");
    my ($line) = wait_for_line($r, 'decision.log');

    is($line->{named}, "<a|>", 'E09 readiness_log_field');
    like($line->{numbered}, qr/^<.*\|$short>\z/, 'E09 numbered');
    is($line->{around}, '<>', 'E09 a variable that needs itself is empty');

    $t->get("/log-if/$_?long=$long") for '0', '';
    $r = $t->get("/log-if/1?long=$long");
    is(wait_for_line($r, 'some.log'), 1, 'E09 if= of readiness_log');
    is($t->lines('some.log'), 1, 'E09 none where it is 0, or empty');
}


sub wait_for_line {
    my ($r, $log) = @_;
    my @id = ('http.request.id' => $r->header('X-Request-Id'));

    wait_for { $t->lines($log, @id) } 10;
    return $t->lines($log, @id);
}


sub odd_values {
    my $r = $t->get('/around/');
    is($r->status, 200, 'E09 a variable that needs itself: answered');
    is($r->header('X-Around'), '<>', 'E09 it is empty');
    like($r->header('RateLimit'), qr/"around";r=99/, 'E09 in a key, too');

    like($t->get('/counted/')->header('X-Same'), qr/^[\d.]+=[\d.]+$/,
        'E09 volatile');

    my $value = 'v' x 65536;
    $r = $t->get("/long/?a=1&long=$value");
    is($r->header('X-Long'), "<$value>", 'E09 64 kB');
    is($r->header('X-Alone'), $value, 'E09 64 kB, alone');
    my ($line) = wait_for_line($r, 'decision.log');
    like($line->{long}, qr/^v{50}/, 'E09 64 kB in the log');
    cmp_ok(length $line->{long}, '<', 65536, 'E09 cut');

    is($t->get("/long/?a=1&long=$value")->status, 200, 'E09 64 kB key');
    is($t->get("/long/?a=1&long=$value")->status, 429, 'E09 counted as one');
    is($t->get("/long/?a=1&long=w$value")->status, 200,
        'E09 another is another');

    $r = $t->get('/long/?a=2');
    is($r->header('X-Long'), '<>', 'E09 empty');
    is($r->count('X-Alone'), 0, 'E09 empty, alone: no header');
}


sub parts {
    my $r = $t->get('/forms/?a=A');
    is($r->header('X-Forms'), 'AAb-A.|', 'E09 all forms of a variable');
    is($r->header('X-Late'), 'late', 'E09 one that is known late');

    my $conf = sub {
        return $t->nginx_t("readiness on; server { listen 127.0.0.1:"
            . "%%PORT8%%; location / { readiness_header X-Y \"$_[0]\"; } }");
    };

    for my $bad ('$', 'a$', '${', '${}', '${arg_a', '$-', 'a${arg_a-}') {
        my ($code, $text) = $conf->($bad);
        is($code, 1, "refused: $bad");
        like($text, qr/"readiness_header".*write a variable as \$name/,
            'and said how to write it');
    }

    my ($code, $text) = $conf->('$arg_a-' x 17);
    is($code, 1, 'refused: 34 parts');
    like($text, qr/"readiness_header" has more than 32 parts: make/,
        'and said what to do');
    is(($conf->('$arg_a-' x 16))[0], 0, '32 parts are taken');
}
