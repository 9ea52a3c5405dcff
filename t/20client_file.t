#!/usr/bin/perl

# Trusted proxies from a file that is replaced while nginx runs.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;

$t->file('proxies', "# load balancers\n127.0.0.2\n\n127.0.1.0/24 # rack b\r\n");
$t->file('more', "127.0.0.7\n");

$t->conf(<<'CONF', workers => 2)->run;
readiness on;
readiness_log off;
readiness_trusted_proxies 127.0.0.3 file=%%DIR%%/proxies;

server {
    listen 127.0.0.1:%%PORT0%%;
    location / { return 200 "$readiness_client_addr"; }
}

server {
    listen 127.0.0.1:%%PORT1%%;
    readiness_trusted_proxies file=%%DIR%%/proxies unix: file=%%DIR%%/more;
    location / { return 200 "$readiness_client_addr"; }
}
CONF

is(trusted(), '2 3 1.9', 'what the file says at start');
is(trusted(1), '2 1.9 7', 'two files in a server of its own');

replaced();
kept('it is empty', '', qr/proxies" is not usable.* it is empty/);
kept('a bad line', "127.0.0.5\n127.0.0.999\n",
     qr/proxies" is not usable.*line 2: invalid network "127\.0\.0\.999"/);
kept('it trusts everybody', "127.0.0.5\n0.0.0.0/0\n",
     qr/proxies" is not usable.*line 2: "0\.0\.0\.0\/0" trusts every client/);
vanished();
nobody();
large();
startup();

$t->done;


# the last parts of those addresses that are believed, by every worker

sub trusted {
    my ($port) = @_;
    my @found;

    for my $n (qw(2 3 4 5 6 1.9 7)) {
        my $bind = $n =~ /\./ ? "127.0.$n" : "127.0.0.$n";
        my %got = map { $_->body => 1 } map {
            $t->get('/', port => $port || 0, bind => $bind,
                    headers => ['X-Forwarded-For' => '203.0.113.7'])
        } 1 .. 6;

        push @found, $n if $got{'203.0.113.7'} && keys %got == 1;
        push @found, "$n?" if keys %got > 1;
    }

    return "@found";
}


sub times_read {
    my ($what) = @_;
    return scalar(my @n = $t->error_log =~ /$what/g);
}

# both workers, for both uses of the file

sub all_said { my ($re, $n) = @_; return wait_for { times_read($re) >= $n } 15 }


sub replaced {
    $t->file('proxies', "127.0.0.4\n2001:db8::/32\n");

    ok(all_said(qr/proxies" was read again/, 4),
        'a new file is read by every worker within seconds');
    is(trusted(), '3 4', 'and counts');
    is(trusted(1), '4 7', 'for everyone who uses it');
}


sub kept {
    my ($name, $text, $error) = @_;
    my $was = times_read($error);

    $t->file('proxies', $text);
    ok(all_said($error, $was + 4), "$name: the error log says it");
    is(trusted(), '3 4', 'the last good content stays in force');
}


sub vanished {
    my $was = times_read(qr/proxies" is not usable.*No such file/);

    unlink $t->path('proxies');
    ok(all_said(qr/proxies" is not usable.*No such file/, $was + 4),
        'a file that vanished: the error log says it');
    is(trusted(), '3 4', 'the last good content stays in force');

    $was = times_read(qr/proxies" was read again/);
    $t->file('proxies', "127.0.0.5\n");
    ok(all_said(qr/proxies" was read again/, $was + 4), 'it comes back');
    is(trusted(), '3 5', 'and counts again');
    is(times_read(qr/proxies" is not usable.*No such file/), 4,
        'each worker has complained once of each');
}


sub nobody {
    my $was = times_read(qr/proxies" was read again/);

    $t->file('proxies', "# nobody for now\n");
    ok(all_said(qr/proxies" was read again/, $was + 4),
        'a file of comments is a good one');
    is(trusted(), '3', 'that names nobody');
}


sub large {
    my $was = times_read(qr/proxies" was read again/);
    my $text = join '', map { sprintf "10.%d.%d.0/25\n", $_ / 256, $_ % 256 }
               0 .. 9999;

    $t->file('proxies', $text . "127.0.0.6\n" . $text);
    ok(all_said(qr/proxies" was read again/, $was + 4),
        'A20 twenty thousand networks');
    is(trusted(), '3 6', 'A20 and the one among them');
    is($t->get('/', bind => '127.0.0.6', headers => ['X-Forwarded-For' =>
            '203.0.113.7, 10.39.15.129, 10.39.15.127, 10.0.0.1'])->body,
        '10.39.15.129', 'A20 each of them to the bit');
    is($t->get('/', bind => '127.0.0.6', headers => ['X-Forwarded-For' =>
            '203.0.113.7, 10.39.16.1, 10.0.0.1'])->body, '10.39.16.1',
        'A20 and not the next one');
}


sub startup {
    my $conf = 'server { listen 127.0.0.1:%%PORT8%%; readiness on;'
             . ' readiness_trusted_proxies file=%%DIR%%/bad; }';

    my ($code, $text) = $t->nginx_t($conf);
    isnt($code, 0, 'nginx -t needs the file');
    like($text, qr{/bad" of "readiness_trusted_proxies".*No such file},
        'and says so');

    $t->file('bad', "10.0.0.1\n10.0.0.256\n");
    ($code, $text) = $t->nginx_t($conf);
    isnt($code, 0, 'and to be good');
    like($text, qr/line 2: invalid network "10\.0\.0\.256"/, 'and says where');

    $t->command('mkfifo', $t->path('fifo'));
    ($code, $text) = $t->nginx_t($conf =~ s/bad/fifo/r);
    cmp_ok($code, '>', 0, 'a FIFO does not hang it');
    like($text, qr/not a regular file/, 'and is refused');
}
