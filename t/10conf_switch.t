#!/usr/bin/perl

# Mistakes in the switch, policies, routes and the zone: nginx -t names line,
# directive and value, and says what to write instead.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Conf;

my $t = Readiness->new;
my $names = qr/use 1 to 64 of A-Z a-z 0-9 _ \. -/;

sub twice {
    my ($name) = $_[0] =~ /(\w+)/;
    return ["$_[0] $_[-1] #!" =>
            qr/"$name" is given twice in one block: keep one of them/];
}

mistakes($t, \&in_location,
    ['readiness yes;' =>
        qr/invalid value "yes" in "readiness": use on, off or monitor/],
    ['readiness "";' => qr/invalid value "" in "readiness": use on/],
    ['readiness On;' => qr/invalid value "On" in "readiness": use on/],
    ['readiness on on;' => qr/number of arguments in "readiness" directive/],
    ['readiness;' => qr/number of arguments in "readiness" directive/],
    twice('readiness on;', 'readiness off;'),
    twice('readiness on;', 'readiness on;'),

    ['readiness_route "a b";' =>
        qr/invalid name "a b" in "readiness_route": $names/],
    ['readiness_route "";' => qr/invalid name "" in "readiness_route": $names/],
    ['readiness_route /api/;' =>
        qr{invalid name "/api/" in "readiness_route": $names}],
    ['readiness_route $uri;' =>
        qr/invalid name "\$uri" in "readiness_route": $names/],
    ['readiness_route ' . 'r' x 65 . ';' =>
        qr/invalid name "r{65}" in "readiness_route": $names/],
    ["readiness_route caf\xc3\xa9;" => qr/"readiness_route": $names/],
    ['readiness_route;' => qr/arguments in "readiness_route"/],
    twice('readiness_route a;', 'readiness_route b;'),

    ['readiness_apply nobody;' =>
        'unknown policy "nobody" in "readiness_apply": declare it with '
        . '"readiness_policy nobody { ... }" in http'],
    ['readiness_apply "";' =>
        qr/invalid name "" in "readiness_apply": write the name of a "read/],
    ['readiness_apply a/b;' =>
        qr{invalid name "a/b" in "readiness_apply": write the name}],
    ['readiness_apply a b;' => qr/arguments in "readiness_apply"/],
    ['readiness_policy p { }' =>
        qr/"readiness_policy" directive is not allowed here/],
    ['readiness_zone 1m;' => qr/"readiness_zone" directive is not allowed/],
    ['readiness_status page;' => qr/unknown directive "readiness_status"/]);

mistakes($t, \&in_http,
    ['readiness_policy a/b { }' =>
        qr{invalid name "a/b" in "readiness_policy": $names}],
    ['readiness_policy "" { }' =>
        qr/invalid name "" in "readiness_policy": $names/],
    ['readiness_policy ' . 'p' x 65 . ' { }' =>
        qr/invalid name "p{65}" in "readiness_policy": $names/],
    ['readiness_policy { }' => qr/arguments in "readiness_policy"/],
    ['readiness_policy a b { }' => qr/arguments in "readiness_policy"/],
    ['readiness_policy a;' => qr/"readiness_policy" has no opening "\{"/],
    ["readiness_policy a { }\nreadiness_policy a { } #!" =>
        qr/policy "a" in "readiness_policy" is declared twice: give one of/,
        'a policy of the same name again'],

    ['readiness_route a;' => qr/"readiness_route" directive is not allowed/],
    ['readiness_apply a;' => qr/"readiness_apply" directive is not allowed/],

    (map { ["readiness_zone $_;" =>
        qr/invalid size "\Q$_\E" in "readiness_zone": use \d+ bytes or more/] }
        '0', '-1', '1k', '8mb', 'big', '4095', '99999999999999999999g'),
    ['readiness_zone "";' => qr/invalid size "" in "readiness_zone": use \d+/],
    ['readiness_zone a 8m;' => qr/arguments in "readiness_zone"/],
    twice('readiness_zone 1m;', 'readiness_zone 1m;'));

# what may stand in a policy: directives of this module and include

mistakes($t, \&in_policy,
    ['proxy_pass http://127.0.0.1;' =>
        qr/"proxy_pass" directive is not allowed here/],
    ['add_header X y;' => qr/"add_header" directive is not allowed here/],
    ['limit_req zone=a;' => qr/"limit_req" directive is not allowed here/],
    ['location / { }' => qr/"location" directive is not allowed here/],
    ['if ($uri) { }' => qr/"if" directive is not allowed here/],
    ['server_name a;' => qr/"server_name" directive is not allowed here/],
    ['nonsense on;' => qr/unknown directive "nonsense"/],
    ['readiness_policy q { }' =>
        qr/"readiness_policy" directive is not allowed here/],
    ['readiness_apply q;' =>
        '"readiness_apply q" stands in a policy, and a policy applies no '
        . 'other: apply it in a server or location'],
    ['readiness_zone 1m;' => qr/"readiness_zone" directive is not allowed/],
    ['readiness_rate a key=b rate=1r/s;' =>
        qr/"readiness_rate" directive is not allowed here/],
    ['readiness_redis a { }' =>
        qr/"readiness_redis" directive is not allowed here/],
    ['readiness_log a.log;' =>
        qr/"readiness_log" directive is not allowed here/],
    ['readiness_trusted_proxies 10.0.0.0/8;' =>
        qr/"readiness_trusted_proxies" directive is not allowed here/],
    ['readiness maybe;' => qr/invalid value "maybe" in "readiness": use on/],
    ['readiness_limit nothing;' => 'rate "nothing" in "readiness_limit" is '
        . 'unknown: declare it with "readiness_rate" in http']);

$t->file('lines.conf', "readiness on;\nreadiness_route r;\n");
$t->file('bad.conf', "readiness on;\nreadiness_route a/b;\n");
$t->file('foreign.conf', "proxy_pass http://127.0.0.1;\n");

accepted($t, in_policy('include %%DIR%%/lines.conf;'), 'include in a policy');

for ([bad => 2, qr/invalid name "a\/b" in "readiness_route"/],
     [foreign => 1, qr/"proxy_pass" directive is not allowed here/])
{
    my ($file, $line, $re) = @$_;
    my ($code, $out) = $t->nginx_t(in_policy("include %%DIR%%/$file.conf;"));
    like($out, qr/\[emerg\] .*$re.* in \S+\/$file\.conf:$line$/m,
         "refused: the line of a file that a policy includes ($file)");
}

refused($t, "readiness_policy p {\n readiness_limit x; #!\n}\n",
    qr/rate "x" in "readiness_limit" is unknown/,
    'an unknown rate in a policy that nobody applies');

refused($t, in_server("readiness_apply a;\n readiness_apply b; #!"),
    '"readiness_apply b" is the second one in this block, after "a": '
    . 'apply one policy per block', 'two policies in one block');

refused($t, in_server("if (\$uri) { readiness on; #!\n }"),
    qr/"readiness" directive is not allowed here/, 'readiness in if');

refused($t, in_server(' location / { limit_except GET { readiness_limit a; #!'
                      . "\n} }"),
    qr/"readiness_limit" directive is not allowed here/,
    'readiness_limit in limit_except');

my ($code, $out) = $t->nginx_t('', main => 'readiness on;');
like($out, qr/"readiness" directive is not allowed here in \S+:\d+$/m,
     'refused: readiness outside http');

accepted($t, in_http("readiness_policy $_ { }"), "a policy named $_")
    for '0', 'A.b_c-1', 'p' x 64;

$t->done;
