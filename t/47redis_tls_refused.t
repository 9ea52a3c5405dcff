#!/usr/bin/perl

# G13: a Redis that cannot prove who it is, or does not speak TLS at all, gets
# neither password nor call; error.log says why, and what to set.

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Process qw(fork_child resolve_binary stop_pid);
use Readiness::Util qw(free_port listener scaled slurp);

my $t = Readiness->new;
my $tls = $t->tls;

# One Redis for each certificate; those that look for passwords have none.

my %redis;
my $i = 0;
for (qw(server expired wrong alien other)) {
    $redis{$_} = $t->redis($i++, tls => $tls->{$_});
}
$redis{strict} = $t->redis($i++, tls => { %{ $tls->{server} }, verify => 1 });
$redis{strict12} = $t->redis($i++, tls => { %{ $tls->{server} }, verify => 1 },
    conf => ['tls-protocols TLSv1.2']);
$redis{old} = $t->redis($i++, tls => $tls->{server},
    conf => ['tls-protocols TLSv1.1']);

my ($silent_port, $silent) = silent();
my ($again_port, $again_pid, $again) = renegotiating();

$t->file('word', "secret-word\n", 0600);

my $ca = "ssl_trusted_certificate $tls->{ca};";
my $pair = sub {
    my ($who) = @_;
    return "ssl_certificate $tls->{$who}{cert}; "
           . "ssl_certificate_key $tls->{$who}{key};";
};
my $at = sub { return 'server 127.0.0.1:' . $redis{ $_[0] }->tls_port . ';' };

# name => [lines, what error.log says]

my %case = (
    expired  => [$at->('expired') . $ca,
                 qr/certificate has expired \(10\) at depth 0, "\/CN=expired"; renew/],
    address  => [$at->('wrong') . $ca,
                 qr/IP address mismatch \(64\) at depth 0.*set ssl_name/],
    name     => [$at->('server') . "ssl_name redis.example; $ca",
                 qr/hostname mismatch \(62\) at depth 0.*set ssl_name/i],
    alien    => [$at->('alien') . $ca,
                 qr/certificate[^(]* \((?:19|20)\) at depth [01].*set ssl_trusted_certificate/],
    self     => [$at->('other') . "ssl_name other.invalid; $ca",
                 qr/self.signed certificate \(18\) at depth 0.*set ssl_trusted_certificate/],
    nobody   => [$at->('strict') . $ca,
                 qr/certificate required/],
    nobody12 => [$at->('strict12') . $ca, qr/no TLS handshake: .*alert/],
    foreign  => [$at->('strict') . $ca . $pair->('alien'),
                 qr/alert unknown ca/],
    old      => [$at->('old') . $ca, qr/no TLS handshake: .*(?:version|alert)/],
    plain    => ['server ' . $redis{server}->addr . ";$ca",
                 qr/no TLS handshake/],
    silent   => ["server 127.0.0.1:$silent_port;$ca",
                 qr/no TLS handshake, is TLS spoken there\?.*timed out/],
);

my @names = sort keys %case;
my $wait = 'connect_timeout ' . scaled(1) . 's; timeout 500ms; ssl on; '
           . 'password_file word;';

my $redises = join '', map { "readiness_redis $_ { $case{$_}[0] $wait }\n" }
    @names;
my $rates = join '', map {
    "readiness_rate $_ key=a rate=9r/d redis=$_ on_redis_error=deny;\n"
} @names, 'naked', 'again';
my $locations = join '', map {
    "location /$_ { readiness_limit $_; proxy_pass http://%%APP%%; }\n"
} @names, 'naked', 'again';

$t->conf(<<"CONF")->run;
$redises
readiness_redis naked { @{[$at->('server')]} connect_timeout 1s; }
readiness_redis again { server 127.0.0.1:$again_port; ssl on; $ca
                        connect_timeout 5s; timeout 5s; }
$rates
readiness on;
readiness_log %%DIR%%/decision.log;
server {
    listen 127.0.0.1:%%PORT0%%;
    location /free { proxy_pass http://%%APP%%; }
    $locations
}
CONF

refused($_) for @names;
naked();
secret();
renegotiation();
put_right();

stop_pid($again_pid, 5, 'KILL');
$t->done;


sub refused {
    my ($name) = @_;
    my $start = now();
    is($t->get("/$name")->status, 503, "G13 $name: by policy");
    cmp_ok(now() - $start, '<', scaled(1.5), "G13 $name: in time");
    is($t->get('/free')->status, 200, "G13 $name: an unlimited route");

    my $re = $case{$name}[1];
    ok((wait_for { $t->error_log =~ /readiness_redis "$name" at \S+: .*$re/ }
        10), "G13 $name: error.log says why")
        or diag(grep { /"$name"/ } split /^/, $t->error_log);
    my @errors = $t->error_log =~ /\[(?:error|crit|alert)\].*"$name".*at/g;
    is(scalar @errors, 1, "G13 $name: in one line")
        or diag(grep { /"$name"/ } split /^/, $t->error_log);
    return;
}


# the other way round

sub naked {
    is($t->get('/naked')->status, 503, 'TLS there and plain here: by policy');
    ok((wait_for {
        $t->error_log =~ /"naked" at \S+: .*(?:speaks TLS, which needs "ssl on"|connection was closed)/
    } 10), 'TLS there and plain here: error.log says so')
        or diag(grep { /"naked"/ } split /^/, $t->error_log);
    return;
}


sub secret {
    unlike($t->error_log, qr/secret-word/, 'no password in error.log');
    for (sort keys %redis) {
        is($redis{$_}->calls('auth'), 0, "$_: nobody sent it a password");
        is($redis{$_}->calls('script|load'), 0, "$_: nor anything else");
    }

    # what came to the silent one is a ClientHello and nothing else

    my $sock = $silent->accept or return fail('nobody came');
    $sock->blocking(0);
    wait_for { sysread $sock, my $in, 4096, 0; defined $in && length $in } 1;
    return;
}


# A server of TLS 1.2 that asks for a second handshake on the connection.

sub renegotiation {
    my $out = $t->path('again.out');
    ok((wait_for { slurp($out) =~ /END SSL SESSION|write finished/ } 10),
        'renegotiation: connected');
    syswrite $again, "r\n";

    my $status = $t->get('/again')->status;
    is($status, 503, 'renegotiation: by policy');
    is($t->get('/free')->status, 200, 'renegotiation: the worker is well');
    ok((wait_for { slurp($out) =~ /alert read:warning:no renegotiation/ } 10),
        'renegotiation: it was declined') or diag(slurp($out));
    return;
}


# the certificate is renewed, and nginx need not know

sub put_right {
    my $r = $redis{expired};
    for my $what (qw(cert key)) {
        $r->cli('CONFIG', 'SET', "tls-$what-file", $tls->{server}{$what},
            $what eq 'cert' ? ('tls-key-file', $tls->{server}{key}) : ());
        last;
    }
    $r->cli('CONFIG', 'SET', 'requirepass', 'secret-word');
    ok((wait_for { $t->get('/expired')->status == 200 } 10),
        'a renewed certificate is accepted without a reload');
    return;
}


sub silent {
    my $port = free_port();
    return ($port, listener($port));
}


sub renegotiating {
    my $port = free_port();
    pipe my $in, my $out or die "pipe: $!";
    $out->autoflush(1);

    my $pid = fork_child(sub {
        open STDIN, '<&', $in or die "dup: $!";
        exec resolve_binary('openssl'), 's_server', '-tls1_2', '-accept',
            "127.0.0.1:$port", '-cert', $tls->{server}{cert}, '-key',
            $tls->{server}{key}, '-state';
    }, dir => $t->path(''), out => $t->path('again.out'), keep => [$in]);

    return ($port, $pid, $out);
}
