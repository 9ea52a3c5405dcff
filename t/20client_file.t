#!/usr/bin/perl

# Trusted proxies from files that are replaced while nginx runs.  All that
# takes a worker its two looks happens at the same time, to different files.

use strict;
use warnings;

use Test::More;
use Readiness;

my $t = Readiness->new;
my @files = qw(good empty line wide gone none);
my $start = "# load balancers\n127.0.0.2\n\n127.0.1.0/24 # rack b\r\n";

$t->file($_, $start) for @files;
$t->file('more', "127.0.0.7\n");

my $servers = join '', map { <<"CONF" } 0 .. $#files;
server {
    listen 127.0.0.1:%%PORT$_%%;
    readiness_trusted_proxies 127.0.0.3 file=%%DIR%%/$files[$_];
    location / { return 200 "\$readiness_client_addr"; }
}
CONF

$t->conf(<<"CONF", workers => 2)->run;
readiness on;
readiness_log off;
readiness_trusted_proxies 127.0.0.3 file=%%DIR%%/good;

$servers

server {
    listen 127.0.0.1:%%PORT6%%;
    readiness_trusted_proxies file=%%DIR%%/good unix: file=%%DIR%%/more;
    location / { return 200 "\$readiness_client_addr"; }
}

server {
    listen 127.0.0.1:%%PORT7%%;
    location / { return 200 "\$readiness_client_addr"; }
}
CONF

is(trusted('good'), '2 3 1.9', 'what the file says at start');
is(trusted(6), '2 1.9 7', 'two files in a server of its own');

replaced();
recovered();
same_second();
large();
startup();

$t->done;


# the last parts of those addresses that are believed, by every worker

sub trusted {
    my ($where) = @_;
    my ($port) = grep { ($files[$_] || $_) eq $where } 0 .. 7;
    my @found;

    for my $n (qw(2 3 4 1.9 7)) {
        my $bind = $n =~ /\./ ? "127.0.$n" : "127.0.0.$n";
        my %got = map { $_->body => 1 } map {
            $t->get('/', port => $port, bind => $bind,
                    headers => ['X-Forwarded-For' => '203.0.113.7'])
        } 1 .. 5;

        push @found, $n if $got{'203.0.113.7'} && keys %got == 1;
        push @found, "$n?" if keys %got > 1;
    }

    return "@found";
}


# the processes that have said this

sub said {
    my ($re) = @_;
    my %pid = map { /\] (\d+)#/ ? ($1 => 1) : () }
              grep { $_ =~ $re } split /\n/, $t->error_log;
    return scalar keys %pid;
}

sub lines_of {
    my ($re) = @_;
    return scalar grep { $_ =~ $re } split /\n/, $t->error_log;
}

sub both_say {
    my ($re, $name) = @_;
    return wait_for { said($re) == 2 } 15, $name;
}


sub replaced {
    $t->file('good', "127.0.0.4\n2001:db8::/32\n");
    $t->file('empty', '');
    $t->file('line', "127.0.0.4\n127.0.0.999\n");
    $t->file('wide', "127.0.0.4\n0.0.0.0/0\n");
    $t->file('none', "# nobody for now\n");
    unlink $t->path('gone');

    both_say(qr/good" was read again/, 'both workers read a new file');
    is(trusted('good'), '3 4', 'and it counts');
    is(trusted(6), '4 7', 'for everyone who uses it');
    is(trusted(7), '3 4', 'also by inheritance');

    both_say(qr/none" was read again/, 'a file of comments is a good one');
    is(trusted('none'), '3', 'that names nobody');

    my %why = (
        empty => qr/it is empty/,
        line => qr/line 2: invalid network "127\.0\.0\.999"/,
        wide => qr{line 2: "0\.0\.0\.0/0" trusts every client},
        gone => qr/No such file/);

    for my $name (sort keys %why) {
        both_say(qr/\[error\].*$name" is not usable.*$why{$name}/,
            "$name: the error log says it");
        is(trusted($name), '2 3 1.9', 'the last good content stays in force');
    }
}


sub recovered {
    my @back = qw(empty line wide gone);

    $t->file($_, "127.0.0.4\n") for @back;

    for my $name (@back) {
        both_say(qr/$name" was read again/, "$name: a good file comes back");
        is(trusted($name), '3 4', 'and counts');
        is(lines_of(qr/$name" is not usable/), 2, 'one complaint a worker');
    }
}


# written over in the second that it was made in, with as many bytes

sub same_second {
    my $file = $t->path('line');
    my $made = (stat $file)[9];

    open my $fh, '+<', $file or die $!;
    print $fh "127.0.0.2\n";
    close $fh;
    utime $made, $made, $file;

    wait_for { lines_of(qr/line" was read again/) == 4 } 15,
        'a change within the same second is seen';
    is(trusted('line'), '2 3', 'and counts');
}


sub large {
    my $text = join '', map { sprintf "10.%d.%d.0/25\n", $_ / 256, $_ % 256 }
               0 .. 9999;

    $t->file('gone', $text . "127.0.0.2\n" . $text);
    wait_for { lines_of(qr/gone" was read again/) == 4 } 15,
        'A20 twenty thousand networks';
    is(trusted('gone'), '2 3', 'A20 and the one among them');

    my $walk = sub {
        return $t->get('/', port => 4, headers =>
            ['X-Forwarded-For' => "203.0.113.7, $_[0], 10.0.0.1"],
            bind => '127.0.0.2')->body;
    };

    is($walk->('10.39.15.127'), '203.0.113.7', 'A20 the last network is there');
    is($walk->('10.39.15.128'), '10.39.15.128', 'A20 to the bit');
    is($walk->('10.39.16.1'), '10.39.16.1', 'A20 and not one more');
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
