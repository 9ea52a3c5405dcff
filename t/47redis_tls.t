#!/usr/bin/perl

# TLS to Redis, with every way to say who is expected at the other end.

use strict;
use warnings;

use IO::Socket::IP ();
use IO::Socket::SSL ();
use Test::More;

use Readiness;
use Readiness::Process qw(fork_child stop_pid);
use Readiness::Util qw(listener scaled slurp);

my $v6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1) ? 1 : 0;

my $t = Readiness->new;
my $tls = $t->tls;
my $redis = $t->redis(0, tls => $tls->{server},
    conf => ['bind 127.0.0.1' . ($v6 ? ' ::1' : '')]);
my $alien = $t->redis(1, tls => $tls->{alien}, conf => ['tls-protocols TLSv1.2']);
my $strict = $t->redis(2, tls => { %{ $tls->{server} }, verify => 1 },
    password => 'word');

$t->file('word', "word\n", 0600);
$t->subst(TPORT => $redis->tls_port, APORT => $alien->tls_port,
    SPORT => $strict->tls_port, V6 => $v6 ? '[::1]' : '127.0.0.1',
    ACA => $tls->{alien}{ca}, CCERT => $tls->{client}{cert},
    CKEY => $tls->{client}{key});

my ($sni, $sni_port) = sni_server();
$t->subst(SNI => $sni_port);

my $ours = 'ssl on; ssl_trusted_certificate %%CA%%; '
           . 'timeout 10s; connect_timeout 10s;';

my %block = (
    address => "server 127.0.0.1:%%TPORT%%; $ours",
    v6      => "server %%V6%%:%%TPORT%%; $ours",
    host    => "server LocalHost:%%TPORT%%; $ours",
    name    => "server 127.0.0.1:%%TPORT%%; ssl_name redis.internal; $ours",
    ip      => "server localhost:%%TPORT%%; ssl_name 127.0.0.1; $ours",
    ip6     => "server localhost:%%TPORT%%; ssl_name ::1; $ours",
    any     => 'server localhost:%%APORT%%; ssl on; ssl_verify off; '
               . 'timeout 10s; connect_timeout 10s;',
    alien   => 'server 127.0.0.1:%%APORT%%; ssl on; ssl_verify on; '
               . 'ssl_trusted_certificate %%ACA%%; '
               . 'timeout 10s; connect_timeout 10s;',
    client  => 'server 127.0.0.1:%%SPORT%%; ssl_certificate %%CCERT%%; '
               . "ssl_certificate_key %%CKEY%%; password_file word; $ours",
);

my @names = sort keys %block;

my %sni = (
    sni_name    => ['localhost', 'localhost', ''],
    sni_ssl     => ['localhost', 'redis.internal', 'ssl_name redis.internal;'],
    sni_address => ['127.0.0.1', '', ''],
    sni_ip      => ['localhost', '', 'ssl_name 127.0.0.1;'],
    sni_off     => ['localhost', 'other.invalid',
                    'ssl_name other.invalid; ssl_verify off;'],
);

for (keys %sni) {
    $block{$_} = "server $sni{$_}[0]:%%SNI%%; $sni{$_}[2] ssl on; "
                 . 'ssl_trusted_certificate %%CA%%; connect_timeout 10s;';
}

my $redises = join '', map { "readiness_redis $_ { $block{$_} }\n" }
    sort keys %block;
my $rates = join '', map {
    "readiness_rate $_ key=\$arg_k rate=3r/d redis=$_ on_redis_error=deny;\n"
} @names;
my $locations = join '', map {
    "location /$_ { readiness_limit $_; proxy_pass http://%%APP%%; }\n"
} @names;

$t->conf(<<"CONF", workers => 2)->run;
$redises
$rates
readiness_rate many key=\$request_id rate=9r/d redis=address
               on_redis_error=deny;
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    listen 127.0.0.1:%%PORT1%% http2;
    $locations
    location /many { readiness_limit many; proxy_pass http://%%APP%%; }
}
CONF

counts($_) for @names;
encrypted();
names_told();
many();
back();
leaves();

stop_pid($sni, 5, 'KILL');
$t->done;


sub counts {
    my ($name) = @_;
    my @r = map { $t->get("/$name?k=$name") } 1 .. 5;
    is(join(' ', map { $_->status } @r), '200 200 200 429 429',
        "$name: counted");
    my @l = $t->lines('decision.log', 'url.path' => "/$name");
    is(join(' ', map { $_->{'readiness.limits'}[0]{source} } @l),
        'redis redis redis refusal_cache refusal_cache', "$name: by Redis");
    return;
}


# the plain ports of these Redis never saw a client but the test itself

sub encrypted {
    for my $r ($redis, $alien, $strict) {
        my @clients = $r->cli('CLIENT', 'LIST') =~ /^.* laddr=(\S+) .*$/mg;
        my $plain = grep { $_ =~ /:@{[$r->port]}$/ } @clients;
        is($plain, 1, 'nothing goes over the plain port');
    }
    unlike($t->error_log, qr/\[(?:error|crit|alert)\](?!.*"sni_)/,
        'and no complaint');
    return;
}


# Who is asked for in the handshake; these have no limit, workers connect at
# once.

sub names_told {
    my %want = map { $_->[1] => 1 } values %sni;
    my %got;
    wait_for {
        %got = map { $_ => 1 } slurp($t->path('sni.log')) =~ /^sni=(.*)$/mg;
        keys %got >= keys %want;
    } 20;
    is_deeply([sort keys %got], [sort keys %want],
        'SNI: ssl_name, else the host, but never an address');
    return;
}


sub many {
    for (1 .. 5) {
        my $c = $t->h2(port => 1);
        my @ids = map { scalar $c->open('GET', '/many') } 1 .. 100;
        is(scalar(grep { $c->wait($_)->status != 200 } @ids), 0,
            'a hundred at once');
        $c->close;
    }
    return;
}


# G13: a connection that ends without a word, and one that is ended politely

sub back {
    $redis->restart;
    ok((wait_for { $t->get('/address?k=b')->status == 200 } 10),
        'G13 Redis was killed, without close_notify: connected again');

    $redis->cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    ok((wait_for { $t->get('/address?k=c')->status == 200 } 10),
        'Redis closed the connections: connected again');

    $redis->freeze;
    my $start = now();
    ok($t->reload, 'reloaded while Redis is silent');
    ok($t->wait_old_workers, 'the old workers leave');
    cmp_ok(now() - $start, '<', scaled(8), 'and wait for no farewell');
    $redis->thaw;
    ok((wait_for { $t->get('/address?k=d')->status == 200 } 10),
        'and all is well');
    return;
}


sub leaves {
    my @before = map { scalar keys %{ $t->fds($_) } } $t->workers;
    for (1 .. 20) {
        $redis->cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        $t->get('/address?k=e') for 1 .. 3;
    }
    ok((wait_for { $t->get('/address?k=f')->status == 200 } 10), 'still there');
    my @after = map { scalar keys %{ $t->fds($_) } } $t->workers;
    ok((wait_for {
        @after = map { scalar keys %{ $t->fds($_) } } $t->workers;
        !grep { $after[$_] > $before[$_] + 1 } 0 .. $#after;
    } 10), 'no descriptor is left behind');
    return;
}


# A TLS server that writes down what it was asked for, and hangs up.

sub sni_server {
    my $port = Readiness::Util::free_port();
    my $listen = listener($port);
    my $log = $t->path('sni.log');

    my $pid = fork_child(sub {
        $listen->blocking(1);
        while (1) {
            my $c = $listen->accept or next;
            $c->blocking(1);
            my $name;
            IO::Socket::SSL->start_SSL($c, SSL_server => 1,
                SSL_cert_file => $tls->{server}{cert},
                SSL_key_file => $tls->{server}{key}, Timeout => 5);
            $name = $c->get_servername if ref $c eq 'IO::Socket::SSL';
            next if ref $c ne 'IO::Socket::SSL';
            Readiness::Util::append($log, 'sni=' . ($name // '') . "\n");
            $c->close(SSL_fast_shutdown => 1);
        }
    }, dir => $t->path(''), out => $t->path('sni.out'), keep => [$listen]);

    close $listen;
    return ($pid, $port);
}
