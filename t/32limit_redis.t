#!/usr/bin/perl

# One real Redis, in every way it can be reached and named, and by a user that
# may do nothing else.

use strict;
use warnings;

use IO::Socket::INET ();
use IO::Socket::IP ();
use Test::More;

use Readiness;
use Readiness::Process qw(fork_child stop_pid);

# All that the module needs of Redis; AUTH is never denied.  SELECT is needed
# for a database other than 0 only.  The script calls TIME, MGET, SET and SETRANGE.

my @allowed = qw(+evalsha +eval +script|load +time +mget +set +setrange +select);

my $v6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1) ? 1 : 0;
my $word = 'a pass#word';

my $t = Readiness->new;
my $redis = $t->redis(0, conf => [
    'bind 127.0.0.1' . ($v6 ? ' ::1' : ''),
    "user limiter on \">$word\" ~rdy:* resetchannels -\@all @allowed",
]);
my $locked = $t->redis(1, password => 'general');

my ($dns, $dns_port) = dns_server();

$t->file('word', "\n$word\n", 0600);
$t->file('general', "general\n", 0600);
$t->subst(V6 => $v6 ? '[::1]' : '127.0.0.1', LPORT => $locked->port,
    RPORT => $redis->port, RSOCK => $redis->sock, DNS => $dns_port);

my @names = qw(tcp unix local name acl db prefix v6 pass);

my $rates = join '', map {
    "readiness_rate $_ key=\$arg_k rate=3r/d redis=$_ on_redis_error=deny;\n"
} @names;

my $locations = join '', map {
    "location /$_ { readiness_limit $_; proxy_pass http://%%APP%%; }\n"
    . "location /$_/look { readiness_limit $_ cost=0;"
    . " proxy_pass http://%%APP%%; }\n"
} @names;

$t->conf(<<"CONF", workers => 2)->run;
resolver 127.0.0.1:%%DNS%% valid=1s ipv6=off;

readiness_redis tcp { server 127.0.0.1:%%RPORT%%;
                      timeout 10s; connect_timeout 10s; }
readiness_redis unix { server unix:%%RSOCK%%; prefix "";
                       timeout 10s; connect_timeout 10s; }
readiness_redis local { server localhost:%%RPORT%%; topology single;
                        timeout 10s; connect_timeout 10s; }
readiness_redis name { server Redis.Example:%%RPORT%%;
                       timeout 10s; connect_timeout 10s; }
readiness_redis acl { server 127.0.0.1:%%RPORT%%; user limiter;
                      password_file %%DIR%%/word; database 5;
                      timeout 10s; connect_timeout 10s; }
readiness_redis db { server 127.0.0.1:%%RPORT%%; database 3;
                     timeout 10s; connect_timeout 10s; }
readiness_redis prefix { server 127.0.0.1:%%RPORT%%; prefix "a.B_1-y:";
                         timeout 10s; connect_timeout 10s; }
readiness_redis v6 { server %%V6%%:%%RPORT%%;
                     timeout 10s; connect_timeout 10s; }
readiness_redis pass { server 127.0.0.1:%%LPORT%%;
                       password_file general;
                       timeout 10s; connect_timeout 10s; }
$rates
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    $locations
}
CONF

counts($_) for @names;
where_keys_are();
isolation();
rules();
restart();
checked_at_start();

stop_pid($dns, 5, 'KILL');
$t->done;


sub counts {
    my ($name) = @_;
    my @r = map { $t->get("/$name?k=a") } 1 .. 5;

    is(join(' ', map { $_->status } @r), '200 200 200 429 429',
        "$name: counted");
    my @l = $t->lines('decision.log', 'url.path' => "/$name");
    is(join(' ', map { $_->{'readiness.limits'}[0]{source} } @l),
        'redis redis redis refusal_cache refusal_cache', "$name: by Redis");
    is($t->get("/$name/look?k=a")->status, 200, "$name: a look always passes");
    is((($t->lines('decision.log', 'url.path' => "/$name/look"))[0]
        {'readiness.limits'}[0]{source}), 'redis', "$name: it is at Redis");
    return;
}


sub where_keys_are {
    my %db;

    for my $n (0, 3, 5) {
        $redis->cli('SELECT', $n);
        $db{$n} = join ' ', $redis->keys;
        is(grep({ $redis->cli('PTTL', $_) <= 0 } $redis->keys), 0,
            "C15: each key of database $n has a time to live");
    }

    $redis->cli('SELECT', 0);

    is($db{0}, join(' ', sort 'a.B_1-y:prefix:{a}', 'rdy:local:{a}',
            'rdy:name:{a}', 'rdy:tcp:{a}', 'rdy:v6:{a}', 'unix:{a}'),
        'prefixes');
    is($db{3}, 'rdy:db:{a}', 'G10: database 3');
    is($db{5}, 'rdy:acl:{a}', 'G10: database 5, as another user');
    is(join(' ', $locked->keys), 'rdy:pass:{a}', 'G10: another Redis');
    return;
}


sub isolation {
    my $list = $redis->cli('CLIENT', 'LIST');
    my %kind;

    $kind{"$1 $2"}++ while $list =~ / db=(\d+) .* user=(\S+)/g;
    ok($kind{'5 limiter'} && $kind{'3 default'} && $kind{'0 default'},
        'G10: each block has connections of its own') or diag($list);
    SKIP: {
        skip 'no IPv6 on the loopback of this machine', 1 if !$v6;
        like($list, qr/ laddr=\[::1\]:/, 'IPv6 is used');
    }

    ok(!$kind{'0 limiter'} && !$kind{'5 default'}, 'G10: and of no other');
    unlike($t->error_log, qr/\Q$word\E/, 'B08: the password is in no log');
    return;
}


# Each single permission is needed; the others have been enough so far.

sub rules {
    my $set = sub {
        my ($user, @rules) = @_;
        is($redis->cli('ACL', 'SETUSER', $user, @rules), 'OK',
            "acl: @rules");
        return;
    };

    is(scalar @{ $redis->cli('ACL', 'LOG') }, 0, 'nothing was denied so far');

    for my $need (qw(time mget set setrange)) {
        $t->get("/acl?k=$need") for 1 .. ($need eq 'setrange' ? 2 : 0);
        $set->('limiter', "-$need");
        my $r = $t->get("/acl?k=$need");
        is($r->status . $r->json->{reason}, '503limiter_unavailable',
            "without $need: unavailable");
        is($r->header('Retry-After'), 1, 'C12: with Retry-After');
        is($r->header('RateLimit'), undef, 'C12: and without numbers');
        $set->('limiter', "+$need");
        wait_for { $t->get("/acl?k=$need" . int rand 1e9)->status == 200 } 20,
            "O5: with $need: back again";
    }

    like($t->error_log, qr/refuses: .*(?:can't run|NOPERM|no permissions)/,
        'O4: the log says why');
    return;
}


sub restart {
    my $pid = $redis->pid;
    $redis->restart;
    isnt($redis->pid, $pid, 'Redis was killed and is back, empty');

    for my $name (@names) {
        wait_for { $t->get("/$name?k=b")->status == 200 } 20,
            "O5: $name: counted again";
    }

    return;
}


sub checked_at_start {
    my %conf = (
        'server localhost' => 'server localhost;',
        'server localhost:PORT' => 'server LOCALHOST:6380;',
        'server [::1]' => 'server [::1];',
        'server unix' => 'server unix:/tmp/s;',
        'password, loopback' => 'server 127.0.0.1; password_file word;',
        'password, unix' => 'server unix:/tmp/s; password_file word;',
    );

    my %wrong = (
        'server redis.example;' => qr/add "resolver"/,
        'server 127.0.0.1:0;' => qr/port/,
        'server 1.2.3;' => qr/neither an address nor a host name/,
        'server unix:s;' => qr/not absolute/,
        'database 0;' => qr/server/,
        'server 127.0.0.1; database -1;' => qr/"database -1"|-1/,
        'server 127.0.0.1; prefix "a {b}:";' => qr/"prefix a \{b\}:"/,
        'server 127.0.0.1; prefix x; prefix y;' => qr/second "prefix"/,
        'server 127.0.0.1; user x;' => qr/user/,
        'server 127.0.0.1; password_file none;' => qr/none/,
        'server 127.0.0.1; timeout 0;' => qr/timeout/,
        'server 127.0.0.1; topology ring;' => qr/topology/,
        'server 127.0.0.1; ssl on;' => qr/ssl_trusted_certificate/,
        'server 127.0.0.1; nonsense on;' => qr/unknown line "nonsense"/,
    );

    my $try = sub {
        return $t->nginx_t("readiness_redis main { $_[0] }\n"
            . "readiness_rate a key=\$arg_k rate=1r/s redis=main;\n"
            . 'server { listen 127.0.0.1:%%PORT1%%;'
            . ' readiness on; readiness_limit a; }');
    };

    for (sort keys %conf) {
        my ($code, $text) = $try->($conf{$_});
        ok($code == 0 && $text !~ /warn|emerg/, "nginx -t: $_") or diag($text);
    }

    for (sort keys %wrong) {
        my ($code, $text) = $try->($_);
        ok($code && $text =~ /\[emerg\].*$wrong{$_}.* in \S+:\d+/,
            "nginx -t refuses: $_") or diag($text);
    }

    my ($code, $text) = $try->('server 192.0.2.1; password_file word;');
    ok($code == 0 && $text =~ /\[warn\].*password/,
        'nginx -t warns of a password over plain tcp') or diag($text);
    unlike($text, qr/\Q$word\E/, 'B08: without the password');
    return;
}


# A name server that knows redis.example, and whose answers are for 1 second.

sub dns_server {
    my $sock = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1')
        or die "udp: $@";

    my $pid = fork_child(sub {
        while (defined(my $from = recv $sock, my $query, 512, 0)) {
            my ($id, undef, $n) = unpack 'n3', $query;
            my ($name, $at) = ('', 12);

            while (my $len = ord substr $query, $at, 1) {
                $name .= substr($query, $at + 1, $len) . '.';
                $at += $len + 1;
            }

            my $question = substr $query, 12, $at + 5 - 12;
            my $known = lc $name eq 'redis.example.';
            my $answer = pack 'n n n N n C4', 0xc00c, 1, 1, 1, 4, 127, 0, 0, 1;

            send $sock, pack('n6', $id, $known ? 0x8180 : 0x8183, 1,
                             $known ? 1 : 0, 0, 0)
                        . $question . ($known ? $answer : ''), 0, $from;
        }
    }, out => $t->path('dns.out'), dir => $t->dir, keep => [$sock]);

    my $port = $sock->sockport;
    close $sock;
    return ($pid, $port);
}
