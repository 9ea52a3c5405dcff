#!/usr/bin/perl

# B03: no request ID comes twice, over workers, forks and reloads; and those of
# a worker rise.

use strict;
use warnings;

use Test::More;
use Readiness;

use constant { CONNECTIONS => 8, PIPELINE => 250, ROUNDS => 8, RELOADS => 5 };

my $t = Readiness->new;

$t->conf(<<'CONF', workers => 4)->run;
readiness on;
readiness_log off;
keepalive_requests 100000;

server {
    listen 127.0.0.1:%%PORT0%%;
    location / { return 200 "$readiness_request_id $pid\n"; }
}

server {
    listen 127.0.0.1:%%PORT1%%;
    readiness_request_id uuid4;
    location / { return 200 "$readiness_request_id $pid\n"; }
}

server {
    listen 127.0.0.1:%%PORT2%%;
    readiness_request_id hex;
    location / { return 200 "$readiness_request_id $pid\n"; }
}
CONF

my (%seen, %last, %worker);
my ($twice, $fell) = (0, 0);

for my $round (0 .. RELOADS) {
    draw(0);
    draw($_) for 1, 2;
    $t->reload if $round < RELOADS;
}

my $n = (RELOADS + 1) * CONNECTIONS * PIPELINE * (ROUNDS + 2);

is(scalar keys %seen, $n, "B03 $n IDs, all different");
is($twice, 0, 'B03 none came twice');
is($fell, 0, 'B03 the UUIDv7 of a worker always rise');
cmp_ok(scalar keys %worker, '>', RELOADS + 1, 'B03 of many workers');

$t->done;


# pipelined requests on several connections, read back one by one

sub draw {
    my ($port) = @_;
    my @conn = map { $t->conn(port => $port) } 1 .. CONNECTIONS;
    my $bytes = format_request('GET', '/') x PIPELINE;

    for (1 .. ($port ? 1 : ROUNDS)) {
        for my $c (@conn) {
            $c->write($bytes);
            take($c, $port);
        }
    }

    $_->close for @conn;
    return;
}

sub take {
    my ($c, $port) = @_;
    my $left = PIPELINE;
    my $until = now() + 20;

    while ($left) {
        while ($left && $c->{in} =~ /\n([0-9a-f-]{32,36}) (\d+)\n/gc) {
            $twice++ if $seen{$1}++;
            $worker{$2} = 1;
            $left--;

            next if $port;
            $fell++ if $last{$2} && $1 le $last{$2};
            $last{$2} = $1;
        }

        substr $c->{in}, 0, pos $c->{in}, '' if pos $c->{in};
        last if $left && !$c->fill($until);
    }

    return;
}
