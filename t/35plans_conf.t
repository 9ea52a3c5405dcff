#!/usr/bin/perl

# Mistakes of plans, found by nginx -t: each names file, line and column, the
# value and what to write instead.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;
my $rates = 'readiness_rate api key=$arg_key rate=4r/m;'
          . ' readiness_rate other key=$arg_key rate=4r/m;';

my $one = 'plans.json';

good('the rates may be declared behind the file', '{"plans":{"a":{"api":null}}}',
    "readiness_plans_file $one; $rates");
good('no rate at all', '{"plans":{"a":{}},"default":"a"}',
    "readiness_plans_file $one;");
good('an empty object', '{}', "readiness_plans_file $one;");
good('a plan in every context', '{"plans":{"a":{}}}', <<'CONF');
readiness_plans_file plans.json;
readiness_plan a;
readiness_policy p { readiness_plan $arg_a; }
server { listen 127.0.0.1:%%PORT1%%; readiness_plan "";
         location / { readiness_plan a; readiness_apply p; } }
CONF

in_file('', '1', '1', qr/no object here: write \{"plans":/, 'a zero-byte file');
in_file("{\n \"plans\": {\n  \"a\": {\"apj\": null}}}", 3, 9,
    qr/unknown rate "apj": declare it with "readiness_rate"/, 'a typo');
in_file("{\"plans\":{\"a\":{\"api\":{\"rate\":\"60/m\"}}}}", 1, 30,
    qr{invalid value "60/m": write "Nr/PERIOD", such as "60r/m"}, 'a rate');
in_file("{\"plans\":{\"a\":{\"api\":\n{\"quota\":\"60/1m\"}}}}", 2, 2,
    qr/"quota" for rate "api", which is declared with rate=/, 'a kind');
in_file("{\"plans\":{\"a\":{\"api\":{\"rate\":\"1r/s\",\"burst\":\"2\"}}}}", 1, 45,
    qr/no whole number here: write a whole number from 1 to/, 'a burst');
in_file("{\"plans\":{\"a\":{}},\n\"tenants\":{\"x\":\"b\"}}", 2, 16,
    qr/unknown plan "b": add it to "plans"/, "a tenant's plan");
in_file('{"default":"b"}', 1, 12, qr/unknown plan "b"/, 'the default');
in_file('{"plans":{},"plans":{}}', 1, 13, qr/second "plans"/, 'twice');
in_file("{\"plans\":{}}\n}", 2, 1, qr/something stands behind/, 'more');
in_file("{\"plans\":{\"a\x01\":{}}}", 1, 13, qr/byte 0x01 in a string/, 'a byte');
in_file("{\"plans\":{\"a\\u0000\":{}}}", 1, 13, qr/an escape/, 'NUL');
in_file('{"tenants":' x 300_000, 1, 24, qr/unknown rate "tenants"/, 'depth');

bad(qr/No such file/, 'no such file', 'readiness_plans_file none.json;');
bad(qr/not a regular file/, 'a directory', 'readiness_plans_file /;');
bad(qr/"readiness_plans_file" is given twice/, 'two files',
    "readiness_plans_file $one; readiness_plans_file $one;");
bad(qr/empty path in "readiness_plans_file"/, 'no path',
    'readiness_plans_file "";');
bad(qr/"readiness_plan" does nothing without "readiness_plans_file FILE"/,
    'a plan without a file', 'readiness_plan a;');
bad(qr/"readiness_plan" is given twice/, 'two plans in a block',
    "readiness_plans_file $one; readiness_plan a; readiness_plan b;");
bad(qr/invalid name "a b" in "readiness_plan"/, 'no name',
    "readiness_plans_file $one; readiness_plan 'a b';");
bad(qr/invalid name "off" in "readiness_plan".*or "" for the tenant's plan/,
    'off', "readiness_plans_file $one; readiness_plan off;");
bad(qr/unknown variable "\$nobody" in "readiness_plan"/, 'no such variable',
    "readiness_plans_file $one; readiness_plan \$nobody;");

$t->file($one, '{"plans":{"a":{}}}');
my ($code, $text) = $t->nginx_t("readiness_plans_file $one;\n\n"
    . "readiness_plan gold;\n" . server());
is($code, 0, 'a constant that is no plan yet is let in');
like($text, qr{\[warn\].*plan "gold" in "readiness_plan" is not in ".*/$one".*nginx-t\.conf:\d+},
    'and warned of');

large();

$t->done;


sub server { return 'server { listen 127.0.0.1:%%PORT0%%; readiness on; }' }

sub good {
    my ($name, $json, $conf) = @_;

    $t->file($one, $json);
    my ($rc, $out) = $t->nginx_t($conf . "\n" . server());
    is($rc, 0, $name) or diag($out);
    unlike($out, qr/\[(warn|error|emerg)\]/, "$name: nothing is said");
    return;
}

sub bad {
    my ($re, $name, $conf) = @_;

    $t->file($one, '{"plans":{"a":{},"b":{}}}');
    my ($rc, $out) = $t->nginx_t($conf . "\n" . server());
    isnt($rc, 0, "$name is refused");
    like($out, qr/\[emerg\].*$re.* in \S+nginx-t\.conf:\d+/, "$name: why, where");
    return;
}

sub in_file {
    my ($json, $line, $column, $re, $name) = @_;

    $t->file($one, $json);
    my ($rc, $out) = $t->nginx_t("$rates\nreadiness_plans_file $one;\n\n\n"
                                 . server());
    isnt($rc, 0, "in the file: $name: refused");
    like($out, qr{"readiness_plans_file": line $line, column $column: $re},
        "in the file: $name: where and why");

    my ($conf, $at) = $out =~ / in (\S+nginx-t\.conf):(\d+)/;
    my @conf = split /\n/, slurp($conf);
    like($conf[$at - 1], qr/readiness_plans_file/,
        "in the file: $name: the line that names the file");
    return;
}

# 16 MB is the bound, and one byte more is none.

sub large {
    my $json = '{"tenants":{';
    my $i = 0;

    $json .= sprintf '"tenant-%07d-%s":{},', $i++, 'x' x 200
        while length $json < 16 * 1024 * 1024 - 300;
    $json .= '"last":{}}}';
    $json .= ' ' x (16 * 1024 * 1024 - length $json);

    good('16 MB', $json, "readiness_plans_file $one;");

    $t->file($one, "$json ");
    my ($rc, $out) = $t->nginx_t("readiness_plans_file $one;\n" . server());
    isnt($rc, 0, 'one byte more is refused');
    like($out, qr/larger than 16777216 bytes/, 'and why');
    return;
}
