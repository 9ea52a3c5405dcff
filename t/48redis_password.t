#!/usr/bin/perl

# A Redis user who may do what is documented and nothing else, and its password
# replaced under load: nothing is lost, and a mistake is told when it is made.

use strict;
use warnings;
use Test::More;
use Readiness;
use Readiness::Util qw(scaled);

my @allowed = qw(~rdy:* -@all +evalsha +eval +script|load +select
                 +time +mget +set +setrange);

my $t = Readiness->new;
my $redis = $t->redis(0, conf => ["user limiter on >first resetchannels @allowed"]);
my $workers = 2;

$t->file('word', "first\n", 0600);

$t->conf(<<'CONF', workers => $workers)->run;
readiness_redis main { server %%REDIS%%; user limiter; password_file word;
                       database 2; timeout 5s; connect_timeout 5s; }
readiness_rate deny key=$arg_key rate=100000r/d redis=main on_redis_error=deny;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    readiness on;
    location / { readiness_limit deny; proxy_pass http://%%APP%%; }
}
CONF

my $n = 0;
my $lost = 0;
my $from = 0;

sub get {
    my $status = $t->get('/?key=k' . $n++)->status;
    $lost++ if $status != 200;
    return $status;
}

# Requests go on until each worker has said so.
sub said {
    my ($re, $name) = @_;
    my $all = wait_for {
        get();
        my %pid = map { $_ => 1 }
            substr($t->error_log, $from) =~ / (\d+)#\d+: $re/g;
        keys %pid >= $workers;
    } 20;
    ok($all, $name) or diag(substr $t->error_log, $from);
    return;
}

sub replace {
    my ($word) = @_;
    $from = length $t->error_log;
    $t->file('word.new', "$word\n", 0600);
    rename $t->path('word.new'), $t->path('word') or die "rename: $!";
    return;
}

sub acl { return $redis->cli('ACL', 'SETUSER', 'limiter', @_) }

sub connections {
    return map { /id=(\d+)/ ? $1 : () } grep { /user=limiter/ }
        split /\n/, $redis->cli('CLIENT', 'LIST');
}

get() for 1 .. 50;
ok((wait_for { connections() == $workers } 10), 'each worker is connected');

user();
rotated();
wrong();
file_first();

unlike($t->error_log, qr/\b(?:first|second|third|mistaken)\b/,
    'no password is in error.log');

$t->done;


sub user {
    get() for 1 .. 200;
    is($lost, 0, 'the user does all that is needed');
    $redis->cli('SCRIPT', 'FLUSH');
    get() for 1 .. 20;
    is($lost, 0, 'also when Redis has forgotten the script');
    my $log = $redis->cli('ACL', 'LOG');
    is(scalar @$log, 0, 'and nothing was denied');

    for my $right (qw(+evalsha +time +mget +set)) {
        (my $without = $right) =~ s/^\+/-/;
        acl($without);
        is(get(), 503, "without $right nothing works");
        acl($right);
        ok((wait_for { get() == 200 } 10), "with $right it does again");
    }

    $lost = 0;
    $redis->cli('ACL', 'LOG', 'RESET');
    return;
}


# both passwords are valid for a while, as everywhere

sub rotated {
    ok((wait_for { get(); connections() == $workers } 10), 'rotated: at first');
    my @before = connections();
    acl('>second');
    replace('second');
    said(qr/readiness_redis "main" at \S+ accepts the new password of "\S+word"/,
        'rotated: each worker tries the new password, and it is good');
    acl('<first');
    get() for 1 .. 100;
    is($lost, 0, 'rotated: no request is lost');
    is("@{[connections()]}", "@before", 'rotated: on the same connections');
    is(scalar @{ $redis->cli('ACL', 'LOG') }, 0, 'rotated: nothing was denied');

    $redis->cli('CLIENT', 'KILL', 'USER', 'limiter');
    ok((wait_for { get() == 200 && connections() == $workers } 10),
        'rotated: new connections are let in by it');
    ok($t->reload && (wait_for { get() == 200 } 10), 'rotated: after a reload');
    $t->wait_old_workers;
    get() for 1 .. 20;
    $lost = 0;
    return;
}


sub wrong {
    ok((wait_for { get(); connections() == $workers } 10), 'wrong: at first');
    my @before = connections();
    $lost = 0;
    replace('mistaken');
    said(qr/readiness_redis "main" at \S+ refuses the new password of "\S+word": WRONGPASS [^;]*; the connection stays/,
        'wrong: told at once');
    get() for 1 .. 100;
    is($lost, 0, 'wrong: the connections stay, no request is lost');
    is("@{[connections()]}", "@before", 'wrong: the same ones');

    $from = length $t->error_log;
    $redis->cli('CLIENT', 'KILL', 'USER', 'limiter');
    ok((wait_for { get() == 503 } 10), 'wrong: no new one is let in');
    ok((wait_for {
        get();
        substr($t->error_log, $from) =~ /AUTH was refused: WRONGPASS/
    } 10), 'wrong: and that is told');

    replace('second');
    ok((wait_for { get() == 200 && connections() == $workers } 20),
        'put right: it heals without a reload');
    $lost = 0;
    get() for 1 .. 50;
    is($lost, 0, 'put right: as before');
    return;
}


# the file comes before the user in Redis

sub file_first {
    replace('third');
    said(qr/readiness_redis "main" at \S+ refuses the new password/,
        'too early: told');
    is($lost, 0, 'too early: no request is lost');
    acl('>third', '<second');
    my $since = now();
    $redis->cli('CLIENT', 'KILL', 'USER', 'limiter');
    ok((wait_for { get() == 200 && connections() == $workers } 10),
        'then the user is changed: let in');
    cmp_ok(now() - $since, '<', scaled(3), 'soon');
    return;
}
