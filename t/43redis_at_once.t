#!/usr/bin/perl

# A Redis that cannot be reached, and says so at once: the policy decides by
# the ordinary way, whatever becomes of the client meanwhile, and all is well
# when it is there.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;
$t->redis;

# a file that is not there; a port nobody listens on; no way to the address

my %server = (
    missing => 'unix:%%DIR%%/redis.sock',
    refused => '127.0.0.1:%%PORT9%%',
    nowhere => '224.0.0.1:6379',
);

my $conf = '';
for my $name (sort keys %server) {
    $conf .= "readiness_redis $name { server $server{$name}; }\n";
    $conf .= "readiness_rate ${name}_$_ key=\$arg_key rate=3r/d redis=$name"
             . " on_redis_error=$_;\n" for qw(deny allow local);
}

my $locations = '';
for my $name (sort keys %server) {
    $locations .= "location /$name/$_/ { readiness_limit ${name}_$_;"
                  . " root %%DIR%%/www; try_files /page =404; }\n"
        for qw(deny allow local);
}

$t->conf(<<"CONF", connections => 1024)->run;
$conf
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    readiness on;
$locations
}
CONF

mkdir $t->path('www');
$t->file('www/page', 'hello');

my ($worker) = $t->workers;
my %expected = (deny => '503 503 503 503', allow => '200 200 200 200',
                local => '200 200 200 429');
my ($sent, %wanted) = (0);

sub uri {
    my ($where, $key) = @_;
    my $path = "/$where/" . ($key eq 'gone' ? 'gone' : 'r') . ++$sent;
    $wanted{$path} = 1 if $key ne 'gone';
    return "$path?key=$key";
}

for my $name (sort keys %server) {
    for my $policy (sort keys %expected) {
        my $where = "$name/$policy";

        is(join(' ', map { $t->get(uri($where, 'one'))->status } 1 .. 4),
           $expected{$policy}, "F06 $where: one after the other");

        my $c = $t->conn;
        $c->write(join '', map { format_request('GET', uri($where, 'pipe')) }
                           1 .. 4);
        is(join(' ', map { $c->response->status } 1 .. 4), $expected{$policy},
           "F06 $where: pipelined");
        $c->close;

        my $h2 = $t->h2(port => 1);
        my (@ids, $all);
        for (1 .. 4) {
            my ($id, $bytes) = $h2->open('GET', uri($where, 'h2'), hold => 1);
            push @ids, $id;
            $all .= $bytes;
        }
        $h2->bytes($all);
        is(join(' ', sort map { $h2->wait($_)->status } @ids),
           $expected{$policy}, "F06 $where: at once");
        $h2->close;
    }
}


# Who asks and leaves in one turn of the event loop, more than once.

my $fds = keys %{ $t->fds($worker) };

for my $name (sort keys %server) {
    for my $policy (sort keys %expected) {
        for my $how (qw(close reset)) {
            my @conn = map { $t->conn } 1 .. 6;
            my $h2 = $t->h2(port => 1);
            my @ids;
            $t->signal('STOP', $worker);
            $_->write(format_request('GET', uri("$name/$policy", 'gone')))
                for @conn;
            for (1 .. 20) {
                my $id = $h2->open('GET', uri("$name/$policy", 'gone'));
                $h2->rst($id) if $_ > 5;
            }
            $_->$how for @conn;
            $h2->$how;
            $t->signal('CONT', $worker);
        }
    }
}

is($t->get(uri('missing/deny', 'x'))->status, 503,
   'F06 after clients that left at once');
wait_for { keys %{ $t->fds($worker) } <= $fds } 10;
cmp_ok(scalar keys %{ $t->fds($worker) }, '<=', $fds, 'F06 no descriptor left');


# the log says so, but not for each request

my $said = () = $t->error_log =~ /\[error\].*readiness_redis/g;
cmp_ok($said, '<=', 3, "F06 $said complaints for $sent requests");


# there it is

symlink $t->redis->sock, $t->path('redis.sock') or die $!;
ok((wait_for { $t->get(uri('missing/deny', 'n'))->status == 200 } 10),
   'F06 a Redis that has come is used, without a reload (O5)');
is(join(' ', map { $t->get(uri('missing/deny', 'late'))->status } 1 .. 4),
   '200 200 200 429', 'F06 and counts');

my %seen;
$t->wait_lines('decision.log', scalar keys %wanted, 20);
$seen{ $_->{'url.path'} }++ for $t->lines;
is_deeply([grep { ($seen{$_} || 0) != 1 } keys %wanted, keys %seen], [],
          'F06 each request has exactly one line (O2)');
ok((grep { /gone/ } keys %seen), 'F06 also of those who left');

my %reasons;
$reasons{ $_->{'readiness.reason'} }++
    for $t->lines('decision.log', 'url.path' => qr{/deny/});
is_deeply([grep { !/^(?:limiter_unavailable|not_evaluated|ok|rate_limited)\z/ }
           keys %reasons], [], 'F06 with its reason (O4)');
ok($reasons{limiter_unavailable} > 30, 'F06 limiter_unavailable');
is_deeply([$t->workers], [$worker], 'in one worker (O1)');

$t->done;
