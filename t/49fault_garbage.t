#!/usr/bin/perl

# Replies that are none, and connections that end within one: each policy's own
# verdict, on both protocols, and Redis' again as soon as it is over.  G07.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Faults;

my $t = Readiness->new;
my $fake = $t->fake;
my $f = Readiness::Faults->new($t);
my ($worker) = $t->workers;

$f->recovered('at first');
my $rss = $t->rss($worker);

my %garbage = (
    'words' => "what is this\r\n",
    'a bulk string of 512 MB' => "\$536870912\r\n",
    'an array of 2^31 elements' => "*2147483647\r\n",
    'a length below -1' => "\$-2\r\n",
    'nested arrays' => '*1' . "\r\n*1" x 20000 . "\r\n:1\r\n",
    'an integer out of range' => ":99999999999999999999999\r\n",
    'nil' => "\$-1\r\n",
    'an integer' => ":1\r\n",
    'another type' => "+OK\r\n",
    'a push of RESP3' => ">2\r\n+a\r\n+b\r\n",
    'a double of RESP3' => ",1.5\r\n",
    'another number' => "\$9\r\n\0\0\0\0\0\0\0\0\1\r\n",
    'no LF' => "\$3\r\nabcdefgh",
    'more than a reply can be' => "\$70000\r\n" . 'x' x 70000 . "\r\n",
);

replies("G07 $_", policy => [reply => $garbage{$_}]) for sort keys %garbage;
replies("G07 closed after $_ bytes", policy => [close => $_]) for 0, 7;
replies('G07 reset after 7 bytes', policy => [rst => 7]);

SKIP: {
    skip('a sanitizer keeps what was freed', 1) if $t->built =~ /-fsanitize/;
    my $grown = $t->rss($worker) - $rss;
    cmp_ok($grown, '<', 2048, "G07 the worker has grown by $grown kB (O5)");
}

$f->finish;
$t->done;


sub replies {
    my ($name, $mode, $rule) = @_;

    return $f->row($name, $mode,
        begin => sub { $fake->set(@$rule, on => ['EVALSHA', 'EVAL']) },
        end => sub { $fake->pass });
}
