#!/usr/bin/perl

# Mistakes in the directives of responses.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Conf;

my $t = Readiness->new;

words();
headers();
cookies();
rows();

$t->done;


sub words {
    my $twice = sub {
        my ($name) = $_[0] =~ /(\w+)/;
        return ["$_[0] $_[1] #!" =>
                qq("$name" is given twice in one block: keep one of them)];
    };

    mistakes($t, $_,
        (map { ["readiness_headers $_;" => qq(invalid value "$_" in )
            . '"readiness_headers": use baseline, strict, api or off'] }
            qw(on Strict default X-Frame-Options)),
        ['readiness_headers "";' => 'invalid value "" in "readiness_headers"'],
        ['readiness_headers strict api;' => 'arguments in "readiness_headers"'],
        $twice->('readiness_headers strict;', 'readiness_headers off;'),

        (map { ["readiness_problem $_;" => qq(invalid value "$_" in )
            . '"readiness_problem": use on, terse or off'] } qw(yes ON json)),
        ['readiness_problem "";' => 'invalid value "" in "readiness_problem"'],
        $twice->('readiness_problem on;', 'readiness_problem on;'),

        (map { ["readiness_limit_status $_;" => qq(invalid status "$_" in )
            . '"readiness_limit_status": use a number from 400 to 599'] }
            qw(200 399 600 -429 4290 x 429.0 99999999999999999999)),
        ['readiness_limit_status "";' => 'invalid status "" in "readiness_l'],
        $twice->('readiness_limit_status 503;', 'readiness_limit_status 429;'),

        (map { ["readiness_limit_headers $_;" => qq(invalid value "$_" in )
            . '"readiness_limit_headers": use standard, legacy and '
            . 'x-ratelimit, or off'] } qw(on X-RateLimit draft)),
        ['readiness_limit_headers "";' => 'invalid value "" in "readiness_lim'],
        ['readiness_limit_headers legacy legacy;' => '"legacy" is given twice '
            . 'in "readiness_limit_headers": keep one of them'],
        ['readiness_limit_headers standard off;' => '"off" in '
            . '"readiness_limit_headers" goes with no other word: write it'],
        $twice->('readiness_limit_headers legacy;',
                 'readiness_limit_headers off;'))
        for \&in_http, \&in_policy;
}


sub headers {
    my $in = 'in "readiness_header"';
    my $token = q(use letters, digits and !#$%&'*+-.^_`|~ only);

    mistakes($t, \&in_location,
        ['readiness_header;' => 'arguments in "readiness_header" directive'],
        ['readiness_header X-A;' => qq(no value for "X-A" $in: write one, or )
            . 'off to drop the header'],
        ['readiness_header X-A if_missing;' => qq(no value for "X-A" $in)],
        ['readiness_header off X-A;' => '"X-A" after "off" in '
            . '"readiness_header": off goes with no other word, write it in a'],
        ["readiness_header off;\nreadiness_header off; #!" => '"readiness_hea'
            . 'der off" is given twice in one block: keep one', 'off twice'],
        (map { ["readiness_header \"$_\" b;" => qq(invalid header name "$_" )
            . "$in: $token"] } '', 'X A', 'X-A:', 'X(A)', "X-\xc3\xa9"),
        ['readiness_header ' . 'x' x 64 . ' b;' => qr/too long header name /
            . qr/"x{64}" $in: use 63 bytes or less/],
        (map { my ($name, $instead) = @$_; ["readiness_header $name x;" =>
            qq("$name" cannot be given to "readiness_header": $instead)] }
            ['Accept-Ranges', '"max_ranges 0"'], ['Connection', 'nginx writes'],
            ['Content-Encoding', 'use gzip'], ['content-length', 'nginx'],
            ['Content-Range', 'nginx'], ['Content-Type', 'use types or defau'],
            ['DATE', 'nginx writes it'], ['HTTP2-Settings', 'nginx'],
            ['Keep-Alive', 'use keepalive_timeout'],
            ['Location', 'use return or proxy_redirect'],
            ['Proxy-Connection', 'nginx writes Connection'],
            ['Set-Cookie', 'use readiness_cookies'], ['Status', 'use return'],
            ['TE', 'nginx'], ['Trailer', 'use add_trailer'],
            ['Transfer-Encoding', 'nginx writes it'], ['Upgrade', 'nginx']),
        ['readiness_header X-A b c;' => 'invalid word "c" in "readiness_header'
            . ' X-A": use if_missing or documents, and quote a value that '
            . 'holds blanks'],
        ['readiness_header X-A off if_missing;' => '"off" in "readiness_header'
            . ' X-A" goes with neither if_missing nor documents: leave them'],
        ['readiness_header X-A off documents;' => '"off" in "readiness_header'],
        ["readiness_header X-A b;\nreadiness_header x-a c; #!" =>
            '"readiness_header x-a" is given twice in one block: keep one of',
            'a header twice in one block'],
        ["readiness_header X-A b;\nreadiness_header X-A off; #!" =>
            '"readiness_header X-A" is given twice in one block: keep one of',
            'a header set and dropped in one block'],
        (map { ["readiness_header X-A '$_';" => 'empty value in '
            . '"readiness_header X-A": write off to drop the header, or '
            . 'readiness_hide_header'] } '', ' ', "\t"),
        ['readiness_header X-A $nowhere;' => qq(unknown variable "\$nowhere" )
            . "$in: write one that nginx has, or make it with"],
        ['readiness_header X-A "a $ b";' => qq(invalid "a \$ b" $in: write a)]);

    for (['\n' => '0A', 'LF'], ['\r' => '0D', 'CR'], ["\x7f" => '7F', 'DEL'],
         ["\x1b" => '1B', 'ESC'])
    {
        my ($byte, $hex, $name) = @$_;
        my $text = in_location("readiness_header X-A \"a${byte}b\";");
        refused($t, $text, "control character 0x$hex at 1 of the value in "
            . '"readiness_header X-A": write the value in one line', $name);
    }

    warned($t, in_location('readiness_header X-A "a $1";'), qq("a \$1" $in )
        . 'holds a numbered capture');

    accepted($t, in_location("readiness_header $_;"), $_) for
        'X-A value=off', 'X-A off', 'x' x 63 . ' b', 'X-A "b c" if_missing',
        'X-A b documents if_missing', 'off', 'X-A $http_x$uri';

    my $hide = 'in "readiness_hide_header"';

    mistakes($t, \&in_location,
        ['readiness_hide_header;' => 'arguments in "readiness_hide_header"'],
        ['readiness_hide_header X-A: X-B;' =>
            qq(invalid header name "X-A:" $hide: $token)],
        ['readiness_hide_header "";' => qq(invalid header name "" $hide)],
        ['readiness_hide_header X-A Content-Length;' => '"Content-Length" '
            . 'cannot be given to "readiness_hide_header": nginx writes it'],
        ['readiness_hide_header ' . 'x' x 64 . ';' => qr/too long .*$hide/],
        ['readiness_hide_header off X-A;' => '"X-A" after "off" in '
            . '"readiness_hide_header": off goes with no other word'],
        ['readiness_hide_header X-A off;' => qq("off" after "X-A" $hide goes )
            . 'with no other word: write it in a line of its own'],
        ["readiness_hide_header off;\nreadiness_hide_header off; #!" =>
            '"readiness_hide_header off" is given twice in one block',
            'hide off twice']);

    accepted($t, in_location("readiness_hide_header $_;"), $_) for 'off',
        'owasp', 'Server X-Powered-By X-A', 'owasp X-A';
}


sub cookies {
    my $in = 'in "readiness_cookies"';
    my $words = 'use secure, httponly, nohttponly, samesite=lax, '
                . 'samesite=strict or samesite=none, after at most one name';

    mistakes($t, \&in_location,
        ['readiness_cookies;' => 'arguments in "readiness_cookies" directive'],
        (map { ["readiness_cookies $_;" => qr/invalid word "\w+(?:=\w*)?" $in: /
            . qr/\Q$words\E/] } 'a b', 'a b secure', 'samesite=any',
            'a samesite=', 'secure a', 'a secure=yes', 'a path', 'samesite='),
        (map { ["readiness_cookies \"$_\" secure;" => qq(invalid cookie name )
            . qq("$_" $in: use a name, ~REGEX, or one of secure)] }
            'a b', 'a=b', 'a;b', 'a,b', '(a)'),
        ['readiness_cookies ~ secure;' => qq(empty regular expression $in: )
            . 'write one behind the ~, or no name for all cookies'],
        ['readiness_cookies ~( secure;' => qq{invalid regular expression "~(" }
            . "$in: "],
        ['readiness_cookies secure secure;' => qq("secure" $in says again what )
            . 'the line has said: keep one of them'],
        ['readiness_cookies a httponly nohttponly;' =>
            qq("nohttponly" $in says)],
        ['readiness_cookies samesite=lax samesite=strict;' =>
            qq("samesite=strict" $in says again)],
        ['readiness_cookies samesite=none;' => qq("samesite=none" without )
            . qq("secure" $in: browsers refuse such a cookie, add secure)],
        ['readiness_cookies off secure;' => '"secure" after "off" in '
            . '"readiness_cookies": off goes with no other word'],
        ["readiness_cookies off;\nreadiness_cookies off; #!" =>
            '"readiness_cookies off" is given twice in one block', 'off twice'],
        ["readiness_cookies secure;\nreadiness_cookies httponly; #!" =>
            '"readiness_cookies" is given twice in one block: keep one line '
            . 'for all cookies', 'all cookies twice'],
        ["readiness_cookies a secure;\nreadiness_cookies a httponly; #!" =>
            '"readiness_cookies a" is given twice in one block: keep one line '
            . 'for it', 'a cookie twice']);

    accepted($t, in_location($_), $_) for 'readiness_cookies Secure HttpOnly;',
        'readiness_cookies a;', 'readiness_cookies "~^a{2}$" secure;',
        'readiness_cookies samesite=none secure;', 'readiness_cookies off;';
}


# Sixty-four headers fit in a location, whatever layers they come from.

sub rows {
    my @lines = map { "readiness_header X-$_ x;" } 1 .. 65;
    my $conf = "server {\n listen 127.0.0.1:1;\n readiness on;\n"
               . join("\n", @lines[0 .. 29])
               . "\nlocation / {\n" . join("\n", @lines[30 .. 64])
               . " #!\n }\n}\n";

    refused($t, $conf, 'more than 64 response headers with "readiness_header '
        . 'X-65" and what is given to its location besides: drop some of them',
        'sixty-five headers of two layers');
}
