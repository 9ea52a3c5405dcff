#!/usr/bin/perl

# Mistakes in readiness_redis, readiness_rate and readiness_limit.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Conf;

my $t = Readiness->new;
my $names = 'use 1 to 64 of A-Z a-z 0-9 _ . -';

redis();
rates();
kinds();
limits();

$t->done;


sub in_redis {
    my ($line) = @_;
    return in_http("readiness_redis r {\nserver 127.0.0.1:1;\n$line #!\n}");
}

sub redis {
    my $of = 'of "readiness_redis r"';
    my $lines = 'use server, topology, user, password_file, database, timeout';

    $t->file('blank', "\n \n");
    $t->file('secret', "\n s3cret \n");

    mistakes($t, \&in_http,
        ['readiness_redis a/b { server 127.0.0.1:1; }' =>
            qq(invalid name "a/b" in "readiness_redis": $names)],
        ['readiness_redis "" { server 127.0.0.1:1; }' =>
            qq(invalid name "" in "readiness_redis": $names)],
        ['readiness_redis { }' => 'arguments in "readiness_redis" directive'],
        ['readiness_redis a;' => '"readiness_redis" has no opening "{"'],
        ['readiness_redis r { }' =>
            '"readiness_redis r" has no "server": add one, such as "server '],
        ["readiness_redis a {\nserver 127.0.0.1:1;\n}\n"
         . 'readiness_redis a { } #!' => qr/redis "a" in "readiness_redis" is /
            . qr/declared twice, first in \S+:\d+: give one of them another/,
            'a redis of the same name again'],

        (map { my ($value, $why) = @$_; ["readiness_redis r { server $value; }"
            => qq($why in "server $value" $of: use HOST[:PORT], [IPV6][:PORT] )
               . 'or unix:/PATH'] }
            ['127.0.0.1:0', 'invalid port'],
            ['127.0.0.1:65536', 'invalid port'],
            ['127.0.0.1:x', 'invalid port'], ['127.0.0.1:1-2', 'invalid port'],
            ['unix:', 'no path in the unix domain socket'],
            ['127.0.0.1:1/0', 'invalid host'],
            ['redis://127.0.0.1', 'invalid host']),
        (map { ["readiness_redis r { server $_:6379; }" => qq("$_" in "server )
            . qq($_:6379" $of is neither an address nor a host name: use)] }
            '6379', 'a,b', '$host', '1.2.3', '256.0.0.1', '*'),
        ['readiness_redis r { server 127.0.0.1; user limiter; }' =>
            qq("user limiter" $of has no password: add "password_file")]);

    refused($t, in_http('readiness_redis r { server ""; }'),
        qq(in "server " $of: use HOST));
    refused($t, in_http('readiness_redis r { server 127.0.0.1; topology '
        . 'cluster; database 2; }'), qq("database 2" $of: a cluster has )
        . 'database 0 only; delete the line');
    refused($t, in_http('readiness_redis r { server 127.0.0.1; server '
        . 'redis.internal; topology cluster; }'), qq("server redis.internal" )
        . "$of names a host: add \"resolver\"");
    warned($t, in_http('readiness_redis r { server 127.0.0.1; server '
        . '192.0.2.1; topology cluster; password_file secret; }'),
        'goes to "192.0.2.1" unencrypted', 'a password to one of the seeds');
    refused($t, in_http('readiness_redis r { server unix:sock; }'),
        qq(the path in "server unix:sock" $of is not absolute: use unix:/PATH));
    refused($t, in_http('readiness_redis r { server redis.internal:6379; }'),
        qq("server redis.internal:6379" $of names a host: add "resolver" to )
        . 'http{}, or write an address');
    accepted($t, "resolver 127.0.0.1:1;\n"
        . in_http('readiness_redis r { server redis.internal:6379; }'),
        'a host with a resolver');

    mistakes($t, \&in_redis,
        ['topology ring;' => qq("topology ring" $of)],
        ['topology cluster big;' => qq("topology cluster" $of)],
        ['topology;' => qq("topology" $of takes one value, not 0)],
        ["topology cluster;\ntopology single;" => qq(second "topology" $of)],
        ['timeout;' => qq("timeout" $of takes one value, not 0)],
        ['database 0 1;' => qq("database" $of takes one value, not 2)],
        ['server 127.0.0.1:2;' => qq(second "server" $of, "127.0.0.1:2": a )
            . 'single Redis has one; delete a line, or write "topology clust'],
        ["timeout 1s;\ntimeout 2s;" => qq(second "timeout" $of, "2s"),
            'timeout twice'],
        ['user "";' => qq(empty "user" $of: write its name, or delete the)],
        ['password_file none;' =>
            qr{cannot use file "\S+/none" of "password_file": No such file}],
        ['password_file /;' =>
            'cannot use file "/" of "password_file": not a regular file'],
        ['password_file blank;' => qr{file "\S+/blank" of "password_file": it }
            . qr{holds no password; write it on the first line}],
        ['password secret;' => qq(unknown line "password" in "readiness_redis )
            . qq(r": $lines)],
        ['databse 1;' => qq(unknown line "databse" in "readiness_redis r")],
        ['readiness on;' => qq(unknown line "readiness" in "readiness_redis r)],
        ['ssl_names x;' => qr/"ssl_names" (?:in|of) "readiness_redis r"/],
        ['server_name a;' => qq(unknown line "server_name" in "readiness_red)],
        ['location { }' => 'unexpected "{"'],
        (map { ["database $_;" => qq(invalid "database $_" $of: use a number )
            . 'from 0 to 65535'] } qw(-1 x 65536 99999999999999999999 1k)),
        (map { my $d = $_; map { ["$d $_;" => qq(invalid "$d $_" $of: use 1ms )
            . 'to 60s'] } qw(0 0ms 61s -1 x) } 'timeout'),
        ['connect_timeout 2m;' => qq(invalid "connect_timeout 2m" $of: use )],
        ['timeout "";' => qq(invalid "timeout " $of: use 1ms to 60s)],
        (map { ["prefix \"$_\";" => qq(invalid "prefix $_" $of: use up to 32 )
            . 'of A-Z a-z 0-9 . _ : @ -'] }
            'a b', 'a{b}', 'a*', "\xc3\xa9", 'p' x 33));

    warned($t, in_http('readiness_redis r { server 192.0.2.1; '
        . 'password_file secret; }'), 'the password of "readiness_redis r" '
        . 'goes to "192.0.2.1" unencrypted', 'a password over plain tcp');
    warned($t, "resolver 127.0.0.1:1;\n" . in_http('readiness_redis r { server '
        . 'redis.internal; password_file secret; }'), 'goes to '
        . '"redis.internal" unencrypted', 'a password to a host name');

    accepted($t, in_redis($_), $_) for 'prefix "";', 'prefix a:b.c_d@e-f;',
        'database 65535;', 'timeout 60s;', 'timeout 1ms;', 'topology single;',
        'topology cluster;', "server 127.0.0.1:2;\ntopology cluster;",
        "password_file secret;\nuser limiter;";

    for ('[::1]:6379', '127.8.9.1', 'localhost', 'unix:/tmp/redis.sock',
         '[::ffff:127.0.0.1]:1')
    {
        accepted($t, in_http("readiness_redis r { server $_; "
            . 'password_file secret; }'), "a password to $_");
    }
}


sub rates {
    my $in = 'in "readiness_rate"';
    my $k = 'key=$remote_addr';

    mistakes($t, \&in_http,
        ["readiness_rate a/b $k rate=1r/s;" =>
            qq(invalid name "a/b" $in: $names)],
        ["readiness_rate '' $k rate=1r/s;" => qq(invalid name "" $in: $names)],
        ['readiness_rate ' . 'n' x 65 . " $k rate=1r/s;" =>
            qr/"n{65}" $in: use/],
        ["readiness_rate off $k rate=1r/s;" => qq(invalid name "off" $in: it )
            . 'means none in "readiness_limit", use another'],
        ["readiness_rate $k rate=1r/s;" => qq(invalid name "$k" $in: $names)],
        ['readiness_rate a;' => 'arguments in "readiness_rate" directive'],
        ['readiness_rate a rate=1r/s;' => qq(rate "a" $in has no key: add)],
        ["readiness_rate a $k;" => qq(rate "a" $in has no numbers: add rate=)
            . 'Nr/PERIOD, quota=N/PERIOD or concurrent=N'],
        ["readiness_rate a $k rate=1r/s;\nreadiness_rate a $k rate=2r/s; #!" =>
            qq(rate "a" $in is declared twice: give one of them another name),
            'a rate of the same name again'],
        (map { ["readiness_rate a $k rate=$_;" =>
            qq(invalid rate "$_" $in: use Nr/PERIOD with a period in s, m)]
            } '', '0r/s', '-1r/s', '1', '1r', '1r/', '1r/x', '1r/0s', '1r/1',
              '1/s', '1.5r/s', '1r/ms', '1R/s', '1r/s/s', '1r/1w', '1r/367d',
              '1000000001r/s', '1000000000r/366d', '99999999999999999999r/s',
              '$rate'),
        (map { ["readiness_rate a $k rate=1r/s burst=$_;" => qq(invalid burst )
            . qq("$_" $in: use a whole number from 1 to 1000000000)] }
            '', '0', '-1', 'x', '1.5', '1000000001', '$b', '5r'),
        ["readiness_rate a $k rate=1r/s burst=1 burst=2;" =>
            qq(second "burst=2" $in: keep one of them)],
        ["readiness_rate a $k rate=1r/s on_redis_error=deny;" =>
            qq("on_redis_error" of rate "a" $in does nothing without "redis=)],
        ["readiness_rate a $k rate=1r/s redis=b;" => qq(unknown "redis=b" of )
            . qq(rate "a" $in: declare it with "readiness_redis b { ... }" in)],
        (map { ["readiness_rate a $k rate=1r/s redis=$_;" =>
            qq(invalid "redis=$_" $in: write redis=NAME once)] } '', 'a/b'),
        ["readiness_rate a $k rate=1r/s redis=b redis=c;" =>
            qq(invalid "redis=c" $in: write redis=NAME once)],
        (map { ["readiness_rate a $k rate=1r/s redis=b on_redis_error=$_;" =>
            qq(invalid value "on_redis_error=$_" $in: use on_redis_error=local)]
            } '', 'fail', 'Deny'),
        (map { ["readiness_rate a $k rate=1r/s empty=$_;" =>
            qq(invalid value "empty=$_" $in: use empty=skip, share or refuse)] }
            '', 'deny'),
        ["readiness_rate a $k rate=1r/s empty=skip empty=share;" =>
            qq(invalid value "empty=share" $in: use empty=skip, share or )
            . 'refuse, once'],
        ["readiness_rate a $k rate=1r/s redis=b on_redis_error=deny "
         . 'on_redis_error=allow;' => qq(invalid value "on_redis_error=allow" )
            . qq($in: use on_redis_error=local, allow or deny, once)],
        ['readiness_rate a key= rate=1r/s;' => qq(empty "key=" $in: write an )],
        ['readiness_rate a ' . "$k " x 9 . 'rate=1r/s;' =>
            qq(too many keys at "$k" $in: use 8 at most)],
        ["readiness_rate a $k rate=1r/s nodelay;" => qq(unknown parameter )
            . qq("nodelay" $in: use key=, rate=, burst=, quota=, concurrent=, )
            . 'redis=, on_redis_error=, lease= or empty='],
        ["readiness_rate a $k rate=1r/s Burst=5;" =>
            qq(unknown parameter "Burst=5" $in)],
        ['readiness_rate a key=$nowhere rate=1r/s;' => 'unknown variable '
            . qq("\$nowhere" $in: write one that nginx has, or make it with )
            . '"map" or "set"'],
        ['readiness_rate a key=a${uri}b$no_such rate=1r/s;' =>
            qq(unknown variable "\$no_such" $in)],
        ['readiness_rate a key=$ rate=1r/s;' =>
            qq(invalid "\$" $in: write a variable as \$name or \${name})],
        ['readiness_rate a "key=${uri" rate=1r/s;' =>
            qq(invalid "\${uri" $in: write a variable as)]);

    warned($t, in_http('readiness_rate a key=$1 rate=1r/s;'), qq("\$1" $in )
        . 'holds a numbered capture, which any regular expression in a map '
        . 'overwrites: use a named one, (?<name>...)');

    accepted($t, in_http("readiness_rate $_;"), $_) for
        "a $k rate=1000000000r/s burst=1000000000", "a $k rate=1r/366d",
        "a $k rate=5r/15m empty=refuse", 'a key=$http_x rate=1r/s',
        'a key=$ARG_Foo$cookie_b$sent_http_c${upstream_http_d} rate=1r/s',
        'a ' . "$k " x 8 . 'rate=1r/s', 'n' x 64 . " $k rate=1r/s";
    accepted($t, 'map $uri $later { default 1; }' . "\n"
        . in_http('readiness_rate a key=$later$mine rate=1r/s;')
        . 'server { listen 127.0.0.1:2; set $mine 1; '
        . 'location ~ (?<part>.*) { } }', 'variables of map and set');
    accepted($t, in_http('readiness_rate a key=$part rate=1r/s;')
        . 'server { listen 127.0.0.1:2; location ~ (?<part>.*) { } }',
        'a named capture');
}


# What else is counted than a rate, and what goes with which.

sub kinds {
    my $in = 'in "readiness_rate"';
    my $k = 'key=$remote_addr';
    my @numbers = qw(rate=2r/s quota=2/s concurrent=2);

    mistakes($t, \&in_http,
        (map { ["readiness_rate a $k quota=$_;" =>
            qq(invalid quota "$_" $in: use N/PERIOD with a period in s, m, h )
            . 'or d, such as quota=1000/1d'] }
            '', '0/d', '-1/d', '5', '5/', '/d', '5/0d', '5/1', '5/x', '5r/d',
            '1.5/d', '5/ms', '5/D', '5/1w', '5/367d', '5/d/d', '1000000001/d',
            '99999999999999999999/d', '$quota'),
        (map { ["readiness_rate a $k concurrent=$_;" =>
            qq(invalid "concurrent=$_" $in: use a whole number from 1 to )
            . '1000000000'] }
            '', '0', '-1', 'x', '1.5', '5r', '5/s', '1000000001',
            '99999999999999999999', '$n'),
        (map { my $first = $_; map {
            ["readiness_rate a $k $first $_;" => qq(second "$_" $in: a rate )
             . 'has one of rate=, quota= and concurrent=, declare another'] }
            @numbers } @numbers),
        (map { ["readiness_rate a $k $_ burst=5;" => qq("burst=5" of rate "a" )
            . qq($in needs "rate=": delete it)],
            ["readiness_rate a $k burst=5 $_;" => qq("burst=5" of rate "a" )
            . qq($in needs "rate=": delete it)],
            ["readiness_rate a $k redis=b $_ lease=5;" => qq("lease=5" of )
            . qq(rate "a" $in needs "rate=" and "redis=": delete it)] }
            @numbers[1, 2]),
        ["readiness_rate a $k rate=100r/s lease=5;" => qq("lease=5" of rate )
            . qq("a" $in needs "rate=" and "redis=": delete it)],
        (map { ["readiness_rate a $k rate=10000r/s redis=b lease=$_;" =>
            qq(invalid "lease=$_" $in: write lease=N once, with a whole )
            . 'number from 1 to 4096'] }
            '', '0', '-1', 'x', '1.5', '5r', '4097', '99999999999999999999',
            '$n'),
        ["readiness_rate a $k rate=100r/s redis=b lease=5 lease=6;" =>
            qq(invalid "lease=6" $in: write lease=N once)],
        ["readiness_rate a $k quota=5/d on_redis_error=deny;" =>
            qq("on_redis_error" of rate "a" $in does nothing without "redis=)]);

    my $redis = "readiness_redis b { server 127.0.0.1:1; }\n";
    my $warning = sub {
        my ($lease, $burst) = @_;
        return qq("lease=$lease" of rate "a" $in is more than half of its )
            . "burst, $burst: a few nginx could hold all of it, use a smaller";
    };

    warned($t, $redis . in_http("readiness_rate a $k rate=@$_[0]r/s redis=b "
        . "@$_[1] lease=@$_[2];"), $warning->(@$_[2, 3]),
        "a lease of @$_[2] and a burst of @$_[3]")
        for [1, '', 1, 1], [10, '', 6, 10], [100, 'burst=11', 6, 11],
            [1, 'burst=8191', 4096, 8191];

    accepted($t, $redis . in_http("readiness_rate a $k $_;"), $_) for
        'rate=10r/s redis=b lease=5', 'rate=1r/s burst=12 lease=6 redis=b',
        'lease=4096 redis=b rate=1r/s burst=8192', 'quota=1/s',
        'quota=5/15m redis=b on_redis_error=deny', 'quota=1000000000/d',
        'quota=1/366d empty=share', 'concurrent=1',
        'concurrent=1000000000 redis=b on_redis_error=allow';
}


sub limits {
    my $in = 'in "readiness_limit"';
    my $rates = join "\n",
        map { "readiness_rate r$_ key=a rate=1r/s;" } 0 .. 17;
    my $at = sub { return "$rates\n" . in_location($_[0]) };

    mistakes($t, $at,
        ['readiness_limit x;' => qq(rate "x" $in is unknown: declare it with )
            . '"readiness_rate" in http'],
        ['readiness_limit R1;' => qq(rate "R1" $in is unknown)],
        ['readiness_limit "";' => qq(invalid name "" $in: write the name of a )
            . '"readiness_rate", or off'],
        ['readiness_limit a/b;' => qq(invalid name "a/b" $in: write the name)],
        ['readiness_limit;' => 'arguments in "readiness_limit" directive'],
        ["readiness_limit r1;\nreadiness_limit r1 cost=2; #!" =>
            '"readiness_limit r1" is given twice in one block: keep one of',
            'a limit twice in one block'],
        ['readiness_limit off r1;' => '"r1" after "off" in "readiness_limit": '
            . 'off goes with no other word, write it in a line of its own'],
        ["readiness_limit off;\nreadiness_limit off; #!" => '"readiness_limit '
            . 'off" is given twice in one block: keep one of them',
            'off twice'],
        ['readiness_limit r1 r2;' => qq(unknown parameter "r2" $in: use cost=)],
        ['readiness_limit r1 burst=5;' => qq(unknown parameter "burst=5" $in)],
        (map { ["readiness_limit r1 $_=;" => qq("$_=" $in is empty or given )
            . 'twice: write it once, with an expression'] } qw(cost if unless)),
        ['readiness_limit r1 if=$uri if=$host;' =>
            qq("if=\$host" $in is empty or given twice)],
        (map { ["readiness_limit r1 cost=$_;" => qq(invalid "cost=$_" $in: use )
            . 'a whole number from 0 to 1000000000, or a variable'] }
            qw(-1 x 1.5 1000000001 99999999999999999999)),
        ['readiness_limit r1 cost=$nothing;' =>
            qq(unknown variable "\$nothing" $in)],
        ['readiness_limit r1 if=$;' => qq(invalid "\$" $in: write a variable)]);

    refused($t, $at->(join("\n", map { "readiness_limit r$_;" } 0 .. 15)
                      . "\nreadiness_limit r16; #!"),
        qq(rate "r16" $in is one limit too many for a location, which takes )
        . '16: drop some with "readiness_limit off"', 'seventeen limits');
    accepted($t, $at->(join("\n", map { "readiness_limit r$_;" } 0 .. 15)
                       . ' #!'), 'sixteen limits');

    accepted($t, "readiness_redis a { server 127.0.0.1:1; }\n"
        . "readiness_redis b { server 127.0.0.1:1; }\n"
        . "readiness_rate a key=a rate=1r/s redis=a;\n"
        . "readiness_rate b key=a rate=1r/s redis=b;\n"
        . "readiness_rate c key=a rate=1r/s;\n"
        . in_location("readiness_limit a;\nreadiness_limit c;\n"
                      . 'readiness_limit b; #!'),
        'two Redis and the zone in one location');

    refused($t, in_http('readiness_limit a;'),
        '"readiness_limit" directive is not allowed here');
    refused($t, in_server('readiness_rate a key=b rate=1r/s;'),
        '"readiness_rate" directive is not allowed here');
    refused($t, in_server('readiness_redis a { }'),
        '"readiness_redis" directive is not allowed here');

    accepted($t, in_location('readiness_limit late;')
        . 'readiness_rate late key=a rate=1r/s redis=later; readiness_redis '
        . 'later { server 127.0.0.1:1; }', 'a rate and a redis declared later');
}
