#!/usr/bin/perl

# Error replies: each policy's own verdict, on both protocols, named in the
# error log, and Redis' again as soon as it is over.  G09.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Faults;

my $t = Readiness->new;
my $fake = $t->fake;
my $f = Readiness::Faults->new($t);

$f->recovered('at first');

for my $text (
    'LOADING Redis is loading the dataset in memory',
    'BUSY Redis is busy running a script',
    'OOM command not allowed when used memory > maxmemory',
    'MISCONF Redis is configured to save RDB snapshots',
    'CLUSTERDOWN The cluster is down',
    'TRYAGAIN Multiple keys request during rehashing of slot',
    'MASTERDOWN Link with MASTER is down',
    'EXECABORT Transaction discarded',
    'CROSSSLOT Keys in request do not hash to the same slot',
    'MOVED 3999 127.0.0.1:6381',
    'ASK 3999 127.0.0.1:6381',
    'WRONGTYPE Operation against a key holding the wrong kind of value',
    'ERR something else',
    '',
    'X' x 60000,
    "\xff\x01\e[2J",
    'READONLY You can not write against a read only replica.',
    'NOAUTH Authentication required.',
    'WRONGPASS invalid username-password pair or user is disabled.',
    'NOPERM this user has no permissions to run the command',
    'ERR max number of clients reached')
{
    my ($name) = $text =~ /^(\w+(?: max)?)/ ? $1 : 'no words';
    $name = substr $name, 0, 20;

    $f->row("G09 $name", policy => begin => sub {
                $fake->set(reply => "-$text\r\n", on => ['EVALSHA', 'EVAL']);
            }, end => sub { $fake->pass });
}

# the same to what a connection begins with

for my $text ('LOADING Redis is loading', 'NOPERM no permissions',
              'ERR max number of clients reached')
{
    my ($name) = $text =~ /^(\w+)/;

    $f->row("G09 $name from the first command on", policy => begin => sub {
                $fake->set(reply => "-$text\r\n");
                $fake->close_all;
            }, end => sub { $fake->pass });
}

# said to nobody in particular, as Redis does when it has too many clients

$f->row('G09 an error that nobody asked for', either => begin => sub {
            $fake->push("-ERR max number of clients reached\r\n");
        });

like($t->error_log, qr/readiness_redis "main".*LOADING/,
     'G09 the error log names it');
unlike($t->error_log, qr/[^\n\x20-\x7e]/, 'B05 and nothing that is not text');

$f->finish;
$t->done;
