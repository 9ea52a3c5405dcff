#!/usr/bin/perl

# Passwords and ACL users of sentinels and of the master, each for its own; a
# password that changes; what is wrong with them is said, they are not.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;

my $master = $t->redis(1, password => 'of-the-master');
my $replica = $t->redis(2, password => 'of-the-master', conf => [
    'replicaof 127.0.0.1 ' . $master->port, 'masterauth of-the-master']);
my @sentinels = $t->sentinels(11, 3, 'mymaster', $master, [$replica],
    password => 'of-the-master', own => 'of-sentinels');

# users with what the module needs, and little more

for my $s (@sentinels) {
    is($s->cli('ACL', 'SETUSER', 'asker', 'on', '>of-asker', '-@all', '+auth',
               '+sentinel|get-master-addr-by-name'), 'OK', 'a user to ask');
    is($s->cli('ACL', 'SETUSER', 'nobody', 'on', '>of-nobody', '-@all',
               '+auth'), 'OK', 'and one who may not');
}

for my $r ($master, $replica) {
    is($r->cli('ACL', 'SETUSER', 'limiter', 'on', '>of-limiter',
               'resetchannels',
               '~rdy:*', '-@all', '+auth', '+select', '+role', '+evalsha',
               '+eval', '+script|load', '+time', '+@string'),
       'OK',
       'a user to count');
    is($r->cli('ACL', 'SETUSER', 'norole', 'on', '>of-norole', '~*', '+@all',
               '-role'), 'OK', 'and one without ROLE');
}

$t->file("p.$_", "of-$_\n")
    for qw(the-master sentinels asker nobody limiter norole);

my $all = join ' ', map { 'server ' . $_->addr . ';' } @sentinels;
my $p = '%%DIR%%/p.';
my %block = (
    plain => "password_file ${p}the-master;"
             . " sentinel_password_file ${p}sentinels;",
    users => "user limiter; password_file ${p}limiter; sentinel_user asker;"
             . " sentinel_password_file ${p}asker; database 1;",
    none => "password_file ${p}the-master;",
    bad => "password_file ${p}the-master; sentinel_password_file ${p}asker;",
    noperm => "password_file ${p}the-master; sentinel_user nobody;"
              . " sentinel_password_file ${p}nobody;",
    master => "sentinel_password_file ${p}sentinels;",
    norole => "user norole; password_file ${p}norole;"
              . " sentinel_password_file ${p}sentinels;",
);

my ($conf, $locations) = ('', '');

for my $name (sort keys %block) {
    $conf .= "readiness_redis $name { $all topology sentinel mymaster;"
             . " timeout 200ms; $block{$name} }\n"
             . "readiness_rate $name key=\$arg_key rate=1000r/d redis=$name"
             . " on_redis_error=deny;\n";
    $locations .= "location /$name { readiness_limit $name;"
                  . " proxy_pass http://%%APP%%; }\n";
}

$t->conf(<<"CONF")->run;
$conf
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
$locations
}
CONF

my $n = 0;

sub get { return $t->get("/$_[0]?key=k" . $n++)->status }

ok((wait_for { get('plain') == 200 } 10), 'a password for each of the two');
ok((wait_for { get('users') == 200 } 10), 'users of both, and a database');
is(scalar(grep { /users/ } $master->keys), 0, 'which it is');

my %said = (
    none => qr/\[warn\].*"none": sentinel \S+: it wants a password, add /
            . qr/"sentinel_password_file": NOAUTH/,
    bad => qr/\[warn\].*"bad": sentinel \S+: AUTH was refused: WRONGPASS/,
    noperm => qr/\[warn\].*"noperm": sentinel \S+: let its user do /
              . qr/"sentinel\|get-master-addr-by-name": NOPERM/,
    master => qr/\[error\].*"master" at ${\ $master->addr}: ROLE was refused: /
              . qr/NOAUTH/,
    norole => qr/\[error\].*"norole" at ${\ $master->addr}: ROLE was refused: /
              . qr/NOPERM/,
);

for my $name (sort keys %said) {
    is(get($name), 503, "$name: the policy decides");
    ok($t->wait_error($said{$name}), "$name: the log says why");
}


# a password that changes: what is there stays, a new connection has it

for my $s (@sentinels) {
    $s->cli('ACL', 'SETUSER', 'asker', '>of-another', '<of-asker');
}
is(get('users'), 200, 'a password that was taken back: nothing happens yet');
$t->file('p.new', "of-another\n");
rename $t->path('p.new'), $t->path('p.asker') or die $!;
ok($t->wait_error(qr/file "\S+p\.asker" was read again/),
   'the file is read again');
for my $s (@sentinels) { $s->cli('CLIENT', 'KILL', 'USER', 'asker') }
$master->cli('CLIENT', 'KILL', 'USER', 'limiter');
ok((wait_for { get('users') == 200 } 10), 'with the new one all is well');


# over to the replica, whose password is the same

$master->kill;
ok((wait_for { get('users') == 503 } 10), 'the master is gone');
ok((wait_for { get('users') == 200 } 30), 'its replica takes over');
ok((wait_for { get('plain') == 200 } 10), 'for everybody');

unlike($t->error_log,
       qr/of-(?:the-master|sentinels|asker|nobody|limiter|norole|another)/,
       'B08 no password in error.log');

$t->done;
