#!/usr/bin/perl

# "topology sentinel" and its lines: mistakes, and where sentinels are when
# nothing is said of a port.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::Conf;

my $t = Readiness->new;
my $of = 'of "readiness_redis r"';

$t->file('secret', "s3cret\n");
$t->file('blank', "\n");

sub in_redis {
    my ($lines) = @_;
    return in_http("readiness_redis r {\nserver 127.0.0.1;\n"
                   . "server 127.0.0.2:1;\n$lines #!\n}");
}

my $sentinel = "topology sentinel mymaster;\n";

mistakes($t, \&in_redis,
    ['topology sentinel;' => qq("topology sentinel" $of takes one name, not 0: )
        . 'write what the sentinels call the master, such as "topology sent'],
    ['topology sentinel a b;' => qq("topology sentinel" $of takes one name, )
        . 'not 2'],
    ['topology sentinel "";' => qq(invalid name "" in "topology sentinel" $of: )
        . 'use 1 to 64 of A-Z a-z 0-9 _ . -'],
    ['topology sentinel a:b;' => qq(invalid name "a:b" in "topology sentinel")],
    ["${sentinel}topology single;" => qq(second "topology" $of, "single")],
    ["${sentinel}sentinel_user \"\";" => qq(empty "sentinel_user" $of: write )],
    ["${sentinel}sentinel_user a b;" => qq("sentinel_user" $of takes one )],
    ["${sentinel}sentinel_password_file none;" => qr{cannot use file }
        . qr{"\S+/none" of "sentinel_password_file": No such file}],
    ["${sentinel}sentinel_password_file blank;" => qr{"\S+/blank" of }
        . qr{"sentinel_password_file": it holds no password}]);

# known at the end of the block

sub block { return in_http("readiness_redis r { server 127.0.0.1; $_[0] } #!") }

mistakes($t, \&block,
    ["topology sentinel m; sentinel_user u;" => qq("sentinel_user u" $of has )
        . 'no password: add "sentinel_password_file"'],
    ['sentinel_password_file secret;' => qq("sentinel_password_file" $of does )
        . 'nothing: add "topology sentinel NAME", or delete the line'],
    ['sentinel_user u; sentinel_password_file secret;' => 'does nothing: add']);

refused($t, in_http('readiness_redis r { topology sentinel mymaster; }'),
    '"readiness_redis r" has no "server": add one');
refused($t, block('server a.internal; topology sentinel m;'),
    qq("server a.internal" $of names a host: add "resolver" to http{}));

accepted($t, in_redis($_), $_) for $sentinel,
    "${sentinel}sentinel_password_file secret;",
    "${sentinel}sentinel_user u;\nsentinel_password_file secret;\n"
    . "user v;\npassword_file secret;\ndatabase 3;";
accepted($t, in_http("readiness_redis r { $sentinel server unix:/tmp/a; "
                     . 'server [::1]; server [::1]:1; server localhost; }'),
         'sentinels of all kinds');
accepted($t, "resolver 127.0.0.1:1;\n"
    . in_http("readiness_redis r { server a.b; server c.d:1; $sentinel}"),
    'hosts with a resolver');
warned($t, in_http("readiness_redis r { server 127.0.0.1; server 192.0.2.1;\n"
    . "${sentinel}sentinel_password_file secret; }"),
    'the password of "readiness_redis r" goes to "192.0.2.1" unencrypted',
    'a password over plain tcp');


# their port is their own, the master's is not asked for it

$t->conf(<<"CONF")->run;
readiness_redis a { server 127.0.0.77; server localhost; server 127.0.0.78:99;
                    topology sentinel mymaster; }
readiness_redis b { topology sentinel mymaster; server 127.0.0.79; }
readiness_rate a key=\$arg_key rate=1000r/d redis=a on_redis_error=deny;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location / { readiness_limit a; proxy_pass http://%%APP%%; }
}
CONF

for (['a', '127.0.0.77:26379'], ['a', '127.0.0.1:26379'],
     ['a', '127.0.0.78:99'], ['b', '127.0.0.79:26379'])
{
    my ($name, $addr) = @$_;
    ok($t->wait_error(qr/\[warn\].*readiness_redis "$name": sentinel /
                      . qr/\Q$addr\E: connect\(\) failed/), "$name asks $addr");
}

ok($t->wait_error(qr/\[error\].*"a" at mymaster: no sentinel names a master to /
                  . qr/connect to, \d+ calls were waiting/),
   'and says that none of them answers');
is($t->get('/?key=a')->status, 503, 'the policy decides');

$t->done;
