#!/usr/bin/perl

# What the harness holds against a log, an error log and a page of metrics.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Check qw(alarms parse_metrics);
use Readiness::Log qw(bad_json_lines strict_json);

my $t = Readiness->new(module => '');

json_lines();
alarm_lines();
metrics_pages();

$t->done;


sub json_lines {
    my %bad = (
        'plain'              => ['{"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]}'],
        'a key twice'        => ['{"a":1,"b":2,"a":3}', 'key twice: a'],
        'an escaped twin'    => ['{"a":1,"\u0061":3}', 'key twice: a'],
        'twice within'       => ['{"a":{"x":1,"x":1}}', 'key twice: x'],
        'a key as value'     => ['{"a":"b","b":"a\":{}[]"}'],
        'empty'              => ['{}'],
        'an array'           => ['[1]', 'not one object'],
        'two objects'        => ['{"a":1}{"b":1}', 'not JSON'],
        'overlong UTF-8'     => ["{\"a\":\"\xc0\x80\"}", 'not UTF-8'],
        'a surrogate'        => ["{\"a\":\"\xed\xa0\x80\"}", 'not UTF-8'],
        'latin 1'            => ["{\"a\":\"\xe9\"}", 'not UTF-8'],
        'a lone \ud800'      => ['{"a":"\ud800"}', 'not JSON'],
        'a raw tab'          => ["{\"a\":\"\t\"}", 'not JSON'],
        'a trailing comma'   => ['{"a":1,}', 'not JSON'],
        'real UTF-8'         => ["{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\"}"],
    );

    for my $name (sort keys %bad) {
        my ($line, $want) = @{ $bad{$name} };
        my (undef, $wrong) = strict_json($line);

        if (defined $want) { like($wrong, qr/^\Q$want/, "line: $name") }
        else               { is($wrong, undef, "line: $name") }
    }

    my $file = $t->file('lines', "{\"a\":1}\n{\"a\":1,\"a\":2}\n{\"b\":1}");
    is(bad_json_lines($file), 2, 'a torn last line is seen');
    is($t->lines('lines'), 1, 'and only whole good lines are given');
}


sub alarm_lines {
    my $at = '2026/11/20 09:30:00';
    my @bad = (
        "$at [alert] 1#1: worker process 2 exited on signal 11",
        "$at [alert] 1#1: *5 open socket #7 left in connection 3",
        "$at [emerg] 1#1: bind() failed",
        "$at [notice] 1#1: worker process 2 exited with code 1",
        '==12==ERROR: AddressSanitizer: heap-use-after-free on address',
        'src/x.c:10:5: runtime error: signed integer overflow',
        '==12== Invalid read of size 4',
        '*** stack smashing detected ***: terminated',
    );

    is(alarms($_), 1, 'noticed: ' . substr $_, 0, 50) for @bad;
    is(alarms(join "\n", @bad), @bad, 'all of them');
    is(alarms(join("\n", @bad), qr/signal 11/, qr/Sanitizer/), @bad - 2,
        'but for those allowed');
    is(alarms("$at [error] 1#1: *1 GET /[alert]\n"
            . "$at [notice] 1#1: worker process 2 exited with code 0"), 0,
        'nothing else');

    my $leak = "==1== 8 bytes in 1 blocks are definitely lost in loss record\n"
             . "==1==    at 0x1: malloc\n==1==    by 0x2: NAME (x.c:1)\n";
    is(alarms($leak =~ s/NAME/$_/r), /^ngx_alloc/ ? 0 : 1, "a leak in $_")
        for qw(rdy_jwt_parse ngx_readiness_conf ngx_alloc);
}


sub metrics_pages {
    my $m = parse_metrics("# HELP a b\n# TYPE a counter\na{x=\"\\\"1\"} 2\n"
                        . "a 1e3\nb_bucket{le=\"+Inf\"} 0\n");
    is($m->{'a{x="\"1"}'}, 2, 'a metric with a label');
    is($m->{a}, '1e3', 'and without');
    ok(!eval { parse_metrics($_) }, 'refused: ' . $_ =~ s/\n/|/gr)
        for "a 1\na 1\n", "a\n", "a{x=1} 1\n", "# TYPE a b\n", 'a 1';
}
