#!/usr/bin/perl

# B04-B07: whatever bytes a client sends, a line is one line of valid UTF-8
# JSON, bounded, and says what was sent.

use strict;
use warnings;

use Encode ();
use Test::More;

use Readiness;
use Readiness::Log qw(strict_json);

my $t = Readiness->new;
my $log = $t->path('decision.log');
my $fields = join '', map { qq(readiness_log_field field.$_ "\$http_x_own";\n) }
                      1 .. 30;

$t->subst(FIELDS => $fields)->conf(<<'CONF')->run;
large_client_header_buffers 8 80k;
readiness_request_id uuid7 accept=any;
underscores_in_headers on;
ignore_invalid_headers off;

server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    readiness_log %%DIR%%/decision.log;

    location / {
        readiness_log_field own "$http_x_own";
        readiness_log_field query "$args";
        return 204;
    }
    location /many/ {
%%FIELDS%%
        return 204;
    }
}
CONF

my $replaced = "\x{fffd}";


# Sends requests on their own connections; returns their lines.

sub lines_of {
    my ($name, @requests) = @_;
    my $before = () = slurp($log) =~ /\n/g;

    $t->raw($_) for @requests;

    my $data;
    wait_for { $data = slurp($log); ($data =~ tr/\n//) >= $before + @requests }
        15;

    my @lines = split /\n/, $data;
    splice @lines, 0, $before;
    is(scalar @lines, @requests, "$name: as many lines as requests");

    my (@values, @bad);
    for my $line (@lines) {
        my ($value, $wrong) = strict_json($line);
        push @bad, defined $wrong ? "$wrong: $line" : ();
        push @values, $value || {};
    }

    is(join("\n", @bad), '', "$name: all of them valid");
    return @values;
}

sub request {
    my ($path, %o) = @_;
    return "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        . join('', map { "$_: $o{$_}\r\n" } sort keys %o) . "\r\n";
}

sub text {                              # bytes as a log is to say them
    my ($bytes) = @_;
    return Encode::decode('UTF-8', $bytes, Encode::FB_DEFAULT);
}

sub round_trip {
    my ($name, $key, $want, @values) = @_;
    my @wrong;

    for my $i (0 .. $#values) {
        my $got = $values[$i]{$key};
        push @wrong, $i if ($got // 'absent') ne ($want->[$i] // 'absent');
    }

    is("@wrong", '', $name);
    return;
}


each_byte();
sequences();
lengths();
injected();

$t->done;


sub each_byte {
    my @bytes = map { chr } grep { $_ != 10 && $_ != 13 } 1 .. 255;
    my @want = map { "U" . text($_) . 'A' } @bytes;

    my @lines = lines_of('B04 each byte in a header', map {
        request('/', 'User-Agent' => "U${_}A", 'X-Own' => "U${_}A")
    } @bytes);
    round_trip('B04 User-Agent says what was sent', 'user_agent.original',
        \@want, @lines);
    round_trip('B04 and so does an own field', 'own', \@want, @lines);

    # nginx refuses some of them, and there the line is without values

    @lines = lines_of('B04 each byte in a path',
        map { request("/p${_}p") } grep { !/[ ?#]/ } @bytes);
    my @good = grep { $_->{'http.response.status_code'} == 204 } @lines;
    cmp_ok(@good, '>', 200, 'B04 most of them get through');
    is((grep { $_->{'url.path'} =~ m{^/p(?:.|\\u....)p\z}s } @good), @good,
        'B04 and the path has one character there');

    @lines = lines_of('B04 each byte in a query',
        map { request("/?U${_}A") } grep { !/[ #]/ } @bytes);
    is((grep { exists $_->{query}
               && $_->{query} !~ /^U.A\z/s } @lines), 0,
        'B04 and the query, in an own field');
    is((grep { ($_->{'url.path'} // '/') ne '/' } @lines), 0,
        'B04 but never in the path');

    lines_of('B04 each byte in the host', map {
        "GET / HTTP/1.1\r\nHost: h${_}h\r\nConnection: close\r\n\r\n" } @bytes);
    lines_of('B04 each byte in the host of a URI', map {
        "GET http://h${_}h/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    } @bytes);
    lines_of('B04 each byte in the method', map {
        "G${_}T / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" } @bytes);

    @lines = lines_of('B04 each byte in the request ID',
        map { request('/', 'X-Request-Id' => "1234567${_}8") } @bytes);
    is((grep { $_->{'http.request.id'} !~ m{^[A-Za-z0-9._+/=-]{9,36}\z} }
        @lines), 0, 'B04 which is kept or replaced, never mended');

    return;
}


sub sequences {
    my %is = (
        "\e[31mred\e[0m" => "\e[31mred\e[0m",
        "a\x7fb" => "a\x7fb",
        "\xe2\x80\xa8" => "\x{2028}", "\xe2\x80\xa9" => "\x{2029}",
        "\xe2\x80\xae" => "\x{202e}", "\xe2\x81\xa6" => "\x{2066}",
        "\xe2\x80\x8f" => "\x{200f}", "\xd8\x9c" => "\x{61c}",
        "\xc2\x9b" => "\x{9b}",
        "\xed\xa0\x80" => $replaced x 3, "\xed\xbf\xbf" => $replaced x 3,
        "\xc0\x80" => $replaced x 2, "\xe0\x80\x80" => $replaced x 3,
        "\xf0\x80\x80\x80" => $replaced x 4,
        "\xf4\x90\x80\x80" => $replaced x 4,
        "\xf8\x88\x80\x80\x80" => $replaced x 5,
        "\xe2\x82" => $replaced, "\xe2\x82a" => "${replaced}a",
        "\xf0\x9f\x98" => $replaced,
        "\xf0\x9f\x98\x80" => "\x{1f600}",
        '\\ud800' => '\\ud800', '\\u0000' => '\\u0000', '\\"' => '\\"',
        '"' => '"', '\\' => '\\', '</script>' => '</script>',
    );
    my @in = sort keys %is;
    my @want = map { "<$is{$_}>" } @in;

    my @lines = lines_of('B05 sequences', map {
        request('/', 'User-Agent' => "<$_>", 'X-Own' => "<$_>") } @in);
    round_trip('B05 a parser reads what was sent', 'user_agent.original',
        \@want, @lines);
    round_trip('B05 also from an own field', 'own', \@want, @lines);

    my $data = slurp($log);
    is(() = $data =~ /[\x00-\x09\x0b-\x1f\x7f]/g, 0,
        'B05 no control character stands in the log');

    my $turns = "\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}";
    is(() = Encode::decode('UTF-8', $data) =~ /[\x{80}-\x{9f}$turns]/g, 0,
        'B05 nor what moves a cursor or turns the text');

    return;
}


sub lengths {
    my $long = 'x' x 65000;
    my $euro = "\xe2\x82\xac" x 20000;
    my @lines = lines_of('B06 fields of 64 kB',
        request("/$long", 'User-Agent' => $long, 'X-Own' => $long),
        request("/", 'User-Agent' => $euro, 'X-Own' => "a$euro"),
        request('/', 'User-Agent' => "\x01" x 60000, 'X-Own' => '"' x 60000),
        request("/many/$long", 'User-Agent' => $long, 'X-Own' => "\x01" x 999),
        request('/', 'User-Agent' => 'x' x 512, 'X-Own' => 'x' x 1024));

    for my $key ('url.path', 'user_agent.original', 'own') {
        like($lines[0]{$key}, qr{^/?x+\x{2026}\z}, "B06 $key is cut");
    }

    is($lines[1]{'user_agent.original'}, "\x{20ac}" x 170 . "\x{2026}",
        'B06 on the border of a character');
    is($lines[1]{own}, 'a' . "\x{20ac}" x 341 . "\x{2026}",
        'B06 wherever that is');
    is($lines[2]{'user_agent.original'}, "\x01" x 85 . "\x{2026}",
        'B06 of an escape, too');
    is($lines[4]{'user_agent.original'}, 'x' x 512, 'B06 what fits is whole');
    is($lines[4]{own}, 'x' x 1024, 'B06 and has no mark');

    my @size = sort { $a <=> $b } map { length } slurp($log) =~ /^(.*\n)/mg;
    cmp_ok($size[-1], '<=', 16384, 'B06 no line is longer than 16 KiB');
    cmp_ok($size[-1], '>', 12000, 'B06 though one came close');
    is($lines[3]{'readiness.decision'}, 'none', 'B06 which has its own keys');
    ok(exists $lines[3]{'field.1'} && !exists $lines[3]{'field.30'},
        'B06 and of the others as many as there was room for');

    return;
}


sub injected {
    my @evil = ('","readiness.decision":"allow', '\\","a":"b',
        "x\",\"tenant.id\":\"acme", '"}' . "\t" . '{"a":1}', '\\u0022,"b":1');
    my @lines = lines_of('B07 keys in values', map {
        request('/"' . ($_ =~ s/\s//gr), 'User-Agent' => $_, 'X-Own' => $_)
    } @evil);

    for my $i (0 .. $#evil) {
        is($lines[$i]{'readiness.decision'}, 'none',
            'B07 the decision is ours');
        is($lines[$i]{'tenant.id'}, undef, 'B07 and the tenant');
        is($lines[$i]{own}, $evil[$i], 'B07 and the field what was sent');
    }

    my %count;
    $count{ join ' ', sort keys %$_ }++ for @lines;
    is(keys %count, 1, 'B07 and no key was added');

    for my $name ('readiness.decision', 'tenant.id', 'timestamp', 'trace_id') {
        my ($code, $text) = $t->nginx_t(
            "readiness_log_field $name x; server { readiness on; }");
        isnt($code, 0, "B07 $name is no name for an own field");
        like($text, qr/"\Q$name\E" in "readiness_log_field" is a key/,
            'B07 and nginx -t says so');
    }

    return;
}
