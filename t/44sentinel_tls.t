#!/usr/bin/perl

# TLS to the sentinels and to the master they name: "ssl on" is for both.

use strict;
use warnings;
use Test::More;
use Readiness;

my $t = Readiness->new;
my $tls = $t->tls;

# the servers speak TLS with each other, so that the sentinel names its port

my @conf = ('tls-replication yes');
my $master = $t->redis(1, tls => $tls, conf => \@conf);
my $sentinel = $t->redis(2, sentinel => 1, tls => $tls, conf => [@conf,
    'sentinel monitor mymaster 127.0.0.1 ' . $master->tls_port . ' 1']);

my $conf = '';
my $locations = '';
my %more = (good => '', name => 'ssl_name localhost;',
            wrong => 'ssl_name other.test;', plain => undef);

for my $name (sort keys %more) {
    my $ssl = defined $more{$name}
        ? "ssl on; ssl_trusted_certificate $tls->{ca}; $more{$name}" : '';
    $conf .= "readiness_redis $name { server 127.0.0.1:"
             . "${\ $sentinel->tls_port }; topology sentinel mymaster;"
             . " timeout 500ms; $ssl }\n"
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

for my $name (qw(good name)) {
    ok((wait_for { get($name) == 200 } 10), "$name: by TLS");
    ok((grep { /rdy:$name/ } $master->keys), "$name: counted by the master");
}

for my $name (qw(wrong plain)) {
    ok($t->wait_error(qr/\[warn\].*"$name": sentinel 127\.0\.0\.1:${\
        $sentinel->tls_port}: /), "$name: the sentinel is not believed");
    is(get($name), 503, "$name: the policy decides");
    is(scalar(grep { /rdy:$name/ } $master->keys), 0, "$name: nothing is sent");
}

$t->done;
