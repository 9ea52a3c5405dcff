#!/usr/bin/perl

# Replies that are late, lost, doubled, swapped or cut, preludes that are, and a
# Redis that forgot the script: each policy's own verdict, on both protocols,
# and Redis' again as soon as it is over.  G01, G02, G03, G06, G08.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Faults;

my $t = Readiness->new;
$t->redis(0, password => 'open-sesame');
$t->file('password', "open-sesame\n");

my $fake = $t->fake;
my $f = Readiness::Faults->new($t,
    more => 'password_file %%DIR%%/password; database 1;');

srand 4711;
$f->recovered('at first');

# NAME, what the clients see, the rule; more rules may follow

replies('G01 every reply is late', policy => [delay => 320]);
replies('G01 jitter up to twice the timeout', either => [delay => [0, 300]]);

for my $what ('AUTH', 'SELECT', 'SCRIPT LOAD') {
    prelude("G02 $what is late", policy => [delay => 1000, on => $what]);
    prelude("G02 $what is never answered", policy => [swallow => on => $what]);
    prelude("G02 $what is answered twice", either => [dup => on => $what]);
}

replies('G03 doubled', either => ['dup']);
replies('G03 swapped', either => ['swap']);
replies('G03 swallowed', policy => ['swallow']);
replies('G03 one is swallowed', either => [swallow => times => 1]);
replies('G03 never sent', policy => ['ignore']);
replies('G03 with more behind them', either => [extra => "+OK\r\n"]);
replies('G03 with half a reply behind them', either => [extra => "\$20\r\nab"]);

$f->row('G03 a byte on an idle connection', either =>
        begin => sub { $fake->push(':') });

replies('G06 each byte alone', redis => [split => 'each', gap => 0]);
replies('G06 in two pieces', redis => [split => $_, gap => 5]) for 1, 4, 5, 13;
replies('G06 two at once', either => [merge => 2]);

$f->row('G08 the script is forgotten', redis =>
        begin => sub { $t->redis->cli('SCRIPT', 'FLUSH') });
$f->row('G08 Redis never knows it', policy => begin => sub {
            $fake->set(reply => "-NOSCRIPT No matching script.\r\n",
                       on => ['EVALSHA', 'EVAL']);
        }, end => sub { $fake->pass });
$f->row('G08 Redis knows it by EVAL only', redis => begin => sub {
            $fake->set(reply => "-NOSCRIPT No matching script.\r\n",
                       on => 'EVALSHA');
        }, end => sub { $fake->pass });

$f->finish;
unlike($t->error_log, qr/open-sesame/, 'B08 no password in error.log');
$t->done;


# Calls are answered so.

sub replies {
    my ($name, $mode, $rule) = @_;
    return $f->row($name, $mode, rounds => $mode eq 'either' ? 4 : 1,
        begin => sub { $fake->set(@$rule, on => ['EVALSHA', 'EVAL']) },
        reset => sub { $fake->set(@$rule, on => ['EVALSHA', 'EVAL']) },
        end => sub { $fake->pass });
}

# A new connection begins so.

sub prelude {
    my ($name, $mode, $rule) = @_;

    return $f->row($name, $mode,
        begin => sub { $fake->set(@$rule); $fake->close_all },
        end => sub { $fake->pass });
}
