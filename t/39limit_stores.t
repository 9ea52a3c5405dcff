#!/usr/bin/perl

# Limits of one request in several stores: the zone, two Redis, two slots of a
# cluster.  Whichever refuses, and of whatever kind it is, the others have back
# what they were charged, once.  C07, F07, G17.

use strict;
use warnings;

use List::Util qw(shuffle);
use Test::More;

use Readiness;

my $t = Readiness->new;
my @nodes = $t->cluster(2, 3);

my %kinds = (rate => 'rate=9r/d', quota => 'quota=9/1d',
             slots => 'concurrent=9');
my %stores = (zone => '', one => 'redis=one', two => 'redis=two',
              here => 'redis=many', there => 'redis=many key=x');
my @order = qw(zone one two here there);
my @kinds = sort keys %kinds;
my @all = map { my $s = $_; map { "$_-$s" } @kinds } @order;

my $rates = join '', map {
    my ($kind, $store) = split /-/;
    "readiness_rate $_ key=\$arg_k $kinds{$kind} $stores{$store};\n"
} @all;

sub limits { my ($cost, @names) = @_;
    return join ' ', map { "readiness_limit $_ cost=$cost;" } @names }

my $only = join '', map {
    "    location /only/$_ { " . limits('$arg_c', $_)
    . " proxy_pass http://%%APP%%; }\n" } @all;

$t->subst(REDIS1 => $t->redis(1)->addr, NODE => $nodes[0]->addr,
    ALL => limits('$arg_c', shuffle @all), LOOK => limits(0, @all),
    SLOTS => limits('$arg_c', grep { /slots/ } @all));

$t->conf(<<"CONF")->run;
readiness_redis one { server %%REDIS%%; timeout 5s; connect_timeout 5s; }
readiness_redis two { server %%REDIS1%%; timeout 5s; connect_timeout 5s; }
readiness_redis many { server %%NODE%%; topology cluster;
                       timeout 5s; connect_timeout 5s; }
$rates
readiness on;
readiness_log %%DIR%%/decision.log;
readiness_log_field k \$arg_k;
large_client_header_buffers 4 16k;
proxy_read_timeout 5m;
server {
    listen 127.0.0.1:%%PORT0%%;
    location /all { %%ALL%% proxy_pass http://%%APP%%; }
    location /look { %%LOOK%% proxy_pass http://%%APP%%; }
    location /slots { %%SLOTS%% proxy_pass http://%%APP%%; }
$only}
CONF

wait_for { keys %{ left($t->get('/look?k=first')) } == @all } 20,
    'all stores are there';

refuses($_) for @all;
falls_back();

$t->done;


sub left {
    my ($r) = @_;
    my %left = ($r->header('RateLimit') || '') =~ /"([\w-]+)";r=(\d+)/g;
    return \%left;
}


# A connection that holds slots until it is closed.

sub hold {
    my ($uri) = @_;
    my $c = $t->conn;

    $c->write(format_request('GET', "$uri&app_upgrade=1",
        headers => [Connection => 'upgrade', Upgrade => 'websocket']));
    $c->fill(now() + 10) while $c->{in} !~ /\r\n\r\n/ && !$c->error;
    die "not upgraded: $c->{in}" if $c->{in} !~ m{^HTTP/1\.1 101 };
    return $c;
}


# Two of each are charged, and all of one.

sub spend {
    my ($k, $spent) = @_;
    my @held;

    push @held, hold("/slots?k=$k&c=2");
    $t->get("/only/$_?k=$k&c=2") for grep { !/slots/ } @all;
    return @held if !$spent;

    if ($spent =~ /slots/) {
        push @held, hold("/only/$spent?k=$k&c=7");
    } else {
        $t->get("/only/$spent?k=$k&c=7");
    }

    return @held;
}


sub refuses {
    my ($spent) = @_;
    my $k = "of-$spent";
    my @held = spend($k, $spent);
    my %want = map { $_ => $_ eq $spent ? 0 : 7 } @all;
    my ($store) = $spent =~ /-(\w+)/;

    my (@r, @told);
    for my $c (3, 2, 1) {
        my $r = $t->get("/all?k=$k&c=$c");
        push @r, $r->status;
        push @told, left($r);
    }

    is("@r", '429 429 429', "$spent refuses");

    # what was decided before it has its charge back, of what was not nothing is
    # told

    my %told = %{ $told[0] };
    my @wrong = grep { $told{$_} != $want{$_} } keys %told;
    is("@wrong", '', 'C12: of ' . keys(%told) . ' that is told');
    ok(exists $told{$spent}, 'C12: of itself, too');

    my $got;
    wait_for { $got = left($t->get("/look?k=$k"));
               !grep { $got->{$_} != $want{$_} } @all } 5;
    is_deeply($got, \%want, "C07: $spent alone is spent, thrice refused");

    my ($line) = grep { ($_->{k} || '') eq $k
                        && $_->{'readiness.decision'} eq 'deny' }
                 $t->wait_lines('decision.log', 1);
    my %logged = map { $_->{name} => $_ } @{ $line->{'readiness.limits'} };
    is(join(' ', map { "$_=$logged{$_}{remaining}" } sort keys %logged),
       join(' ', map { "$_=$told{$_}" } sort keys %told), 'the log has those');
    is($logged{$spent}{source}, $store eq 'zone' ? 'local' : 'redis',
        'and where it was refused');

    $_->close for @held;
    return;
}


# One Redis is away: the zone counts in its stead, and has back what another
# refuses; afterwards Redis is charged what was left.

sub falls_back {
    my $k = 'away';

    $t->redis(1)->stop;
    wait_for { $t->get("/only/rate-two?k=down&c=1")->status == 200
               && sources('down')->{'rate-two'} eq 'fallback' } 20,
        'G17: one Redis is away';

    my @held = spend($k, 'rate-there');
    my @status = map { $t->get("/all?k=$k&c=$_")->status } 3, 2, 1;
    is("@status", '429 429 429', 'G17: the cluster refuses');

    my $got;
    my %want = map { $_ => $_ eq 'rate-there' ? 0 : 7 } @all;
    wait_for { $got = left($t->get("/look?k=$k"));
               !grep { $got->{$_} != $want{$_} } @all } 5;
    is_deeply($got, \%want, 'C07: the zone has it back');

    $t->redis(1)->start;
    wait_for { $got = left($t->get("/look?k=$k"));
               sources($k)->{'rate-two'} eq 'redis'
               && !grep { $got->{$_} != $want{$_} } @all } 20;
    is_deeply($got, \%want, 'G17: and Redis is charged the rest');
    is(sources($k)->{"$_-two"}, 'redis', "G17: $_ by Redis again") for @kinds;

    $_->close for @held;
    wait_for { left($t->get("/look?k=$k"))->{'slots-two'} == 9 } 10,
        'G17: the slots that were held meanwhile are free';
    return;
}


sub sources {
    my ($k) = @_;
    my ($line) = grep { ($_->{k} || '') eq $k }
                 reverse $t->lines('decision.log');
    return { map { $_->{name} => $_->{source} }
             @{ $line->{'readiness.limits'} || [] } };
}
