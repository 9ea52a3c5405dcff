#!/usr/bin/perl

# Mistakes in readiness_log and readiness_log_field.

use strict;
use warnings;

use POSIX qw(mkfifo);
use Test::More;

use Readiness;
use Readiness::Conf;

my $t = Readiness->new;
my $in = 'in "readiness_log"';

destinations();
options();
fields();

$t->done;


sub destinations {
    $t->file('plain', '');

    mistakes($t, \&in_http,
        ['readiness_log;' => 'arguments in "readiness_log" directive'],
        ['readiness_log "";' => qq(empty destination $in: write a path, )
            . '"stderr", "syslog:server=ADDRESS" or "off"'],
        ['readiness_log /;' => qq("/" $in is neither a file nor a FIFO nor a )
            . 'terminal: write the name of one'],
        ['readiness_log %%DIR%%/no/a.log;' =>
            qr{"\S+/no" $in is no directory: create it or write another path}],
        ['readiness_log %%DIR%%/plain/a.log;' =>
            qr{"\S+/plain" $in is no directory: create it}],
        ['readiness_log $host.log;' => qq("\$host.log" $in holds a variable: )
            . 'write one fixed path, or several lines with "if="'],
        ['readiness_log off only=refused;' => '"only=refused" after "off" in '
            . '"readiness_log": off goes with no other word'],
        ["readiness_log off;\nreadiness_log off; #!" => '"readiness_log off" '
            . 'is given twice in one block: keep one of them', 'off twice'],
        ["readiness_log a.log buffer=4k;\nreadiness_log a.log; #!" =>
            '"readiness_log a.log" has another "buffer=" or "flush=" than an '
            . 'earlier line: write the same ones', 'one file, two buffers'],
        (map { ["readiness_log $_;" => qq(invalid "$_" $in: write )
            . 'syslog:server=ADDRESS[,facility=NAME]'] }
            'syslog:', 'syslog:127.0.0.1', 'syslog:server=',
            'syslog:server=127.0.0.1,facility=x', 'syslog:server=127.0.0.1,x=y',
            'syslog:server=127.0.0.1,tag=a-b', 'syslog:server=[::1'),
        ['readiness_log syslog:server=127.0.0.1 buffer=4k;' => 'has "buffer=":'
            . ' each line is a message to syslog, leave it out']);

    refused($t, in_http(join "\n", (map { "readiness_log $_.log;" } 0 .. 31),
                        'readiness_log z.log; #!'),
        qr/"readiness_log z.log" is one line too many: use up to 32 in one/,
        'thirty-three logs in one block');

    SKIP: {
        skip 'only root can become another user', 3 if $> != 0;
        my @as = (as => 'nobody');
        mkdir $t->path('open');
        chmod 0777, $t->path('open');
        $t->file('theirs', '', 0600);
        mkfifo($t->path('fifo'), 0600);
        my $cannot = "$in cannot be opened for writing";

        refused($t, in_http('readiness_log %%DIR%%/theirs;'),
            qr{"\S+/theirs" $cannot}, 'the file of somebody else', @as);
        refused($t, in_http('readiness_log %%DIR%%/fifo;'),
            qr{"\S+/fifo" $cannot}, 'the FIFO of somebody else', @as);
        refused($t, in_http('readiness_log %%DIR%%/a.log;'),
            qr{"\S+/a.log" $cannot}, 'a directory of somebody else', @as);
    }

    for my $where (\&in_policy) {
        refused($t, $where->('readiness_log %%DIR%%/a.log;'),
            '"readiness_log" directive is not allowed here');
    }
}


sub options {
    mistakes($t, sub { in_http("readiness_log a.log $_[0];") },
        map { [$_->[0] => $_->[1], "readiness_log $_->[0]"] }
        ['nonsense' => qq(unknown parameter "nonsense" $in: use only=refused, )
            . 'sample=RATIO, buffer=SIZE, flush=TIME, path=full|route or'],
        ['combined' => qq(unknown parameter "combined" $in)],
        ['off' => qq(unknown parameter "off" $in)],
        (map { ["only=$_" => qq(invalid "only=$_" $in: write only=refused)] }
            '', 'denied', 'Refused'),
        (map { ["sample=$_" => qq(invalid "sample=$_" $in: use a share over 0 )
            . 'and up to 1 with at most 6 decimals, such as 0.1'] }
            '', 0, '0.0', '1.1', 2, '-1', 'x', '10%', '0.0000001', '1/2'),
        (map { ["buffer=$_" => qq(invalid "buffer=$_" $in: use a size from 1k )
            . 'to 64m, such as 32k'] } '', 0, 'x', '1023', '65m', '-1', '1g'),
        (map { ["buffer=4k flush=$_" => qq(invalid "flush=$_" $in: use a time )
            . 'of 1ms or more, such as 1s'] } '', 0, '0ms', 'x', '-1'),
        ['flush=1s' => '"readiness_log a.log" has "flush=" and nothing to '
            . 'flush: add buffer=SIZE or leave it out'],
        (map { ["path=$_" => qq(invalid "path=$_" $in: use full or route)] }
            '', 'none', 'Full'),
        ['if=' => qq(empty "if=" $in: write if=EXPR, such as if=\$loggable)],
        ['if=$nothing' => qq(unknown variable "\$nothing" $in)],
        ['if=$' => qq(invalid "\$" $in: write a variable as)],
        (map { my ($name) = /^(\w+=)/; ["$_ $_" => qq("$_" $in is the second )
            . qq("$name" of this line: keep one of them)] }
            'only=refused', 'sample=1', 'buffer=4k', 'path=full', 'if=$uri'));

    accepted($t, in_http("readiness_log %%DIR%%/b.log $_;"), $_) for
        'sample=0.000001', 'sample=1', 'buffer=1k flush=1ms', 'buffer=64m',
        'only=refused path=route if=$uri';
}


sub fields {
    my $of = 'in "readiness_log_field"';

    mistakes($t, \&in_location,
        ['readiness_log_field;' => 'arguments in "readiness_log_field" dir'],
        ['readiness_log_field a;' => '"readiness_log_field a" has no value: '
            . 'write "readiness_log_field a EXPR", or "off"'],
        ['readiness_log_field a b c;' => 'arguments in "readiness_log_field"'],
        ['readiness_log_field off b;' => '"b" after "off" in '
            . '"readiness_log_field": off goes with no other word'],
        ["readiness_log_field off;\nreadiness_log_field off; #!" =>
            '"readiness_log_field off" is given twice in one block',
            'off twice'],
        (map { ["readiness_log_field '$_' b;" => qq(invalid name "$_" $of: use )
            . '1 to 64 of A-Z a-z 0-9 _ . -'] } '', 'a b', 'a"b', '$a',
            'n' x 65),
        (map { ["readiness_log_field $_ x;" => qq("$_" $of is a key of the )
            . 'line itself: choose another name'] }
            qw(timestamp event.name severity_text readiness.x readiness.reason
               readiness.decision tenant.id user.id http.route server.address
               http.request.id trace_id http.request.method url.scheme url.path
               network.protocol.version user_agent.original client.address
               network.peer.address http.response.status_code)),
        ["readiness_log_field a b;\nreadiness_log_field a c; #!" =>
            qq("a" $of is given twice in one block: keep one of them), 'twice'],
        ['readiness_log_field a $nothing;' =>
            qq(unknown variable "\$nothing" $of)],
        ['readiness_log_field a "$";' => qq(invalid "\$" $of: write a variab)]);

    warned($t, in_location("readiness_log_field a $_;"),
        qq("$_" $of puts what may be a secret into the log))
        for '$http_authorization', '$http_cookie', '$cookie_session',
            '$http_x_api_key';
    warned($t, in_location('readiness_log_field a $2;'),
        qq("\$2" $of holds a numbered capture));

    accepted($t, in_location($_), $_) for 'readiness_log_field a "";',
        'readiness_log_field A.b_c-1 $uri;', 'readiness_log_field off;';
}
