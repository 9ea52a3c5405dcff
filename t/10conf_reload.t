#!/usr/bin/perl

# Reload (H03): a bad file leaves everything as it was; what was spent stays
# spent, whatever becomes of workers, numbers, names and the size of the zone.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;

$t->allow(qr/\[emerg\] .*invalid rate "5r\/x"/,
          qr/\[emerg\] .*proxies\.txt" of "readiness_trusted_proxies"/);

sub config {
    my (%o) = @_;
    my $rate = $o{rate} || 'rate=4r/d';
    my $name = $o{name} || 'api';
    my $zone = $o{zone} || '1m';
    my $more = $o{more} || '';

    $t->conf(<<"CONF", workers => $o{workers} || 2);
    readiness_zone $zone;
    readiness_rate $name key=\$arg_k $rate;
    readiness_trusted_proxies file=%%DIR%%/proxies.txt;
    readiness_log %%DIR%%/decision.log;
    $more
    server {
        listen 127.0.0.1:%%PORT0%%;
        readiness on;
        readiness_limit $name;
        location / { proxy_pass http://%%APP%%; }
    }
CONF
}

sub statuses {
    my ($key, $n) = @_;
    return join ' ', map { $t->get("/?k=$key")->status } 1 .. $n;
}

$t->file('proxies.txt', "192.0.2.1\n");
config();
$t->run;

is(statuses('a', 2), '200 200', 'two of four are spent');

refused_files();
workers();
numbers();
names();
zones();

$t->done;


# The master refuses the new file, the old workers stay and count on.

sub refused {
    my ($name) = @_;
    my @old = sort $t->workers;

    ok(!$t->reload, "H03 $name is refused");
    is_deeply([sort $t->workers], \@old, "H03 $name: the workers stay");
}

sub refused_files {
    config(rate => 'rate=5r/x');
    refused('a bad rate');
    is(statuses('a', 1), '200', 'H03 the third is charged beside it');

    config();
    $t->file('proxies.txt', "192.0.2.1\nnobody\n");
    refused('a bad list');
    like($t->error_log, qr/proxies\.txt" of .*: line 2: invalid network "nob/,
        'H03 its line is in the error log');

    unlink $t->path('proxies.txt');
    refused('a list that is gone');

    mkdir $t->path('proxies.txt');
    refused('a list that cannot be read');
    rmdir $t->path('proxies.txt');

    is(statuses('a', 2), '200 429', 'H03 four of four, then no more');
    $t->file('proxies.txt', "192.0.2.1\n");
}


sub workers {
    config(workers => 1);
    ok($t->reload, 'H03 reload with fewer workers');
    is(statuses('a', 2), '429 429', 'H03 fewer workers: spent stays spent');

    config(workers => 3);
    ok($t->reload, 'H03 reload with more workers');
    is(statuses('a', 6), join(' ', (429) x 6), 'H03 more: spent stays spent');
}


# State is kept in requests: four are spent, whatever the new numbers are.

sub numbers {
    config(rate => 'rate=6r/d');
    $t->reload;
    is(statuses('a', 3), '200 200 429', 'H03 four of six: two are left');

    config(rate => 'rate=2r/d');
    $t->reload;
    is(statuses('a', 1), '429', 'H03 six of two');
    is(statuses('b', 3), '200 200 429', 'H03 a new key has the new numbers');

    config(rate => 'rate=4r/d burst=8');
    $t->reload;
    is(statuses('a', 3), '200 200 429', 'H03 six of a burst of eight');
    is(statuses('b', 7), '200 200 200 200 200 200 429', 'H03 and two of it');

    # 8 spent drain at the new speed from now on: 4 000 000 a day is 46 a second

    config(rate => 'rate=4000000r/d burst=8');
    $t->reload;
    ok(wait_for(sub { statuses('a', 1) eq '200' }, 10),
        'H03 a faster rate gives back faster');
}


# A rate of another name is another rate; the old one is remembered.

sub names {
    config(rate => 'rate=2r/d');
    $t->reload;
    is(statuses('n', 3), '200 200 429', 'two of rate api are spent');

    config(rate => 'rate=2r/d', name => 'other');
    $t->reload;
    is(statuses('n', 1), '200', 'H03 a renamed rate begins empty');

    config(rate => 'rate=2r/d');
    $t->reload;
    is(statuses('n', 1), '429', 'H03 and back again finds what was spent');

    config(rate => 'rate=2r/d',
        more => join '',
            map { "readiness_rate r$_ key=a rate=1r/s;\n" } 1 .. 90);
    ok($t->reload, 'H03 ninety more rates');
    is(statuses('n', 1), '429', 'H03 beside them spent stays spent');
}


sub zones {
    config(rate => 'rate=2r/d', zone => '2m');
    ok($t->reload, 'H03 a zone of another size');
    is(statuses('n', 3), '200 200 429', 'H03 is a new one: it begins empty');

    ok($t->reload, 'H03 the same size again');
    is(statuses('n', 1), '429', 'H03 keeps them');

    config(rate => 'rate=2r/d', zone => '64k');
    ok($t->reload, 'H03 the smallest zone');
    is(statuses('n', 3), '200 200 429', 'H03 counts as well');
}
