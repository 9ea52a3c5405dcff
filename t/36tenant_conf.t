#!/usr/bin/perl

# readiness_tenant: mistakes that nginx -t finds, and what it says.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

for ('$http_x_tenant', '$http_x_tenant optional', 'acme', 'off',
     '$arg_t "pattern=[a-z]{2,8}"', '$arg_t optional pattern=a|b',
     '$arg_t pattern=(?i)acme optional', 'org:1 pattern=org:[0-9]')
{
    my ($code, $text) = $t->nginx_t(at("readiness_tenant $_;"));
    is($code, 0, "good: $_") or diag($text);
    unlike($text, qr/\[(warn|error|emerg)\]/, "good: $_: nothing is said");
}

for ("readiness_tenant off; readiness_tenant acme;",
     "readiness_tenant acme; readiness_tenant off;")
{
    is(($t->nginx_t(at($_)))[0], 0, "good: $_");
}

bad('""', qr/empty expression in "readiness_tenant": write a variable/);
bad('$arg_t never', qr/unknown parameter "never" in "readiness_tenant": use/);
bad('$arg_t optional optional', qr/second "optional" in "readiness_tenant"/);
bad('$arg_t pattern=', qr/"pattern=" in "readiness_tenant" is empty or given/);
bad('$arg_t pattern=a pattern=b', qr/"pattern=b".* is empty or given twice/);
bad('$arg_t pattern=a)|(b', qr/invalid "pattern=a\)\|\(b" in "readiness_tenant":/);
bad('$arg_t pattern=[a-', qr/invalid "pattern=\[a-" in "readiness_tenant":/);
bad('$arg_t "pattern=(?x)a # b"', qr/regular expression that may stand in par/);
bad('$arg_t pattern=\\Qa', qr/regular expression that may stand in par/);
bad('-acme', qr/invalid tenant "-acme" in "readiness_tenant": no request/);
bad('Null', qr/invalid tenant "Null"/);
bad('org:1', qr/invalid tenant "org:1"/);
bad('acme pattern=org:.*', qr/invalid tenant "acme"/);
bad('none pattern=.*', qr/invalid tenant "none"/);
bad('$nobody', qr/unknown variable "\$nobody" in "readiness_tenant"/);
bad('$', qr/invalid "\$" in "readiness_tenant": write a variable as/);
bad('off optional', qr/"optional" after "off" in "readiness_tenant"/);
bad('a; readiness_tenant b', qr/"readiness_tenant" is given twice in one block/);
bad('off; readiness_tenant off', qr/"readiness_tenant off" is given twice/);

my ($code, $text) = $t->nginx_t("readiness_tenant acme;\n" . at(''));
isnt($code, 0, 'not in http');
like($text, qr/"readiness_tenant" directive is not allowed here/, 'says nginx');

($code, $text) = $t->nginx_t("readiness_policy p { readiness_tenant \$arg_t; }\n"
    . "readiness_policy q { readiness_tenant off; }\n" . at('readiness_apply p;'));
is($code, 0, 'in policies') or diag($text);

($code, $text) = $t->nginx_t(at('readiness_tenant $1;'));
like($text, qr/\[warn\].*"\$1" in "readiness_tenant" holds a numbered capture/,
    'a numbered capture is warned of');

$t->done;


sub at {
    my ($lines) = @_;
    return "server { listen 127.0.0.1:%%PORT0%%; readiness on;\n"
         . "$lines\nlocation / { $lines } }";
}

sub bad {
    my ($words, $re) = @_;
    my ($rc, $out) = $t->nginx_t(at("readiness_tenant $words;"));
    isnt($rc, 0, "refused: $words");
    like($out, qr/\[emerg\].*$re.* in \S+nginx-t\.conf:\d+/, "why, and where");
    return;
}
