#!/usr/bin/perl

# E06: unset, set or off at http, server, location and nested location, every
# combination of them: what a request in the innermost one meets.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;
my @level = qw(h s l n);
my @state = qw(unset set off);
my @preset = qw(api strict api strict);
my (%logged, %wanted, %ours);

for my $http (@state) {
    $t->conf(config($http), log_level => 'warn');
    $t->pid ? $t->reload : $t->run;

    for my $rest (combinations(3)) {
        my @s = ($http, @$rest);
        lists(@s);
        switch(@s);
        fields(@s);
    }
}

logs();
$t->done;


sub combinations {
    my ($n) = @_;
    return [] if $n == 0;
    return map { my $c = $_; map { [@$c, $_] } @state } combinations($n - 1);
}


# --- what each state of each level says, in three trees of locations

sub lists_lines {
    my ($i, $state) = @_;
    my $l = $level[$i];

    return '' if $state eq 'unset';
    return join("\n", map({ "readiness_$_ off;" } qw(header headers hide_header
        log)), $i ? 'readiness_limit off;' : '') if $state eq 'off';

    my $limits = $i ? "readiness_limit common cost=$i; readiness_limit $l;"
                    : '';
    return <<"CONF";
        readiness_header X-Name $l;
        readiness_header X-Of-$l yes;
        readiness_headers $preset[$i];
        readiness_hide_header X-Up-$l;
        readiness_log %%DIR%%/$l.log;
        $limits
CONF
}

sub switch_lines {
    my ($i, $state) = @_;
    return { unset => '', set => 'readiness on;', off => 'readiness off;' }
           ->{$state};
}

sub fields_lines {
    my ($i, $state) = @_;
    my $l = $level[$i];

    return '' if $state eq 'unset';
    return "readiness_log_field off;\nreadiness_cookies off;\n"
        if $state eq 'off';
    return "readiness_log_field name $l; readiness_log_field of.$l yes;\n"
           . "readiness_cookies $l secure;\n";
}

sub tree {
    my ($port, $lines, $server) = @_;
    my $text = '';

    for my $s (@state) {
        $text .= "server { listen 127.0.0.1:%%PORT$port%%; server_name $s;\n"
                 . $server . $lines->(1, $s);
        for my $l (@state) {
            $text .= "location /$l/ {\n" . $lines->(2, $l);
            $text .= "location /$l/$_/ {\n" . $lines->(3, $_)
                     . "proxy_pass http://%%APP%%; }\n" for @state;
            $text .= "}\n";
        }
        $text .= "}\n";
    }

    return $text;
}

sub config {
    my ($http) = @_;

    return join "\n",
        map({ "readiness_rate $_ key=\$request_id rate=100r/s;" }
            'common', @level),
        lists_lines(0, $http), switch_lines(0, $http), fields_lines(0, $http),
        tree(0, \&lists_lines, "readiness on;\n"),
        tree(1, \&switch_lines, ''),
        tree(2, \&fields_lines,
             "readiness on;\nreadiness_log %%DIR%%/fields.log;\n");
}


# --- what has to come of it

sub replaces {
    my (@s) = @_;
    my $value = '';
    for (0 .. 3) { $value = $s[$_] eq 'set' ? $level[$_] : 'off'
                       if $s[$_] ne 'unset' }
    return $value;
}

sub adds {
    my (@s) = @_;
    my @all;
    for (0 .. 3) {
        @all = () if $s[$_] eq 'off';
        push @all, $level[$_] if $s[$_] eq 'set';
    }
    return @all;
}

my $n = 0;

sub ask {
    my ($port, @s) = @_;
    my $args = join '&', 'n=' . ++$n,
        map { ("app_header=X-Up-$_:%20u", "app_header=Set-Cookie:%20$_=1") }
        @level;
    return $t->get("/$s[2]/$s[3]/$n?$args", port => $port,
                   headers => [Host => $s[1]]);
}

sub lists {
    my (@s) = @_;
    my $r = ask(0, @s);
    my @adds = adds(@s);
    my @limits = adds('unset', @s[1 .. 3]);
    my $name = 'E06 ' . join ' ', @s;
    my $preset = replaces(@s);
    my %index = map { $level[$_] => $_ } 0 .. 3;

    my $want = $preset eq '' ? 'SAMEORIGIN' : $preset eq 'off' ? 'none'
               : $preset[$index{$preset}] eq 'strict' ? 'DENY'
               : 'none no-store';

    my $got = join ' ', $r->header('X-Frame-Options') // 'none',
                        $r->header('Cache-Control') // ();
    is($got, $want, "$name: headers");

    is($r->header('X-Name') // '', $adds[-1] // '', "$name: header of a name");
    is(join(' ', grep { $r->count("X-Of-$_") } @level), "@adds",
       "$name: header");
    is(join(' ', grep { !$r->count("X-Up-$_") } @level), "@adds",
       "$name: hide_header");

    my $policy = $r->header('RateLimit-Policy') // '';
    my $list = join ' ', sort $policy =~ /"(\w+)";q/g;
    is($list, join(' ', @limits ? sort('common', @limits) : ()),
       "$name: limit");

    my ($left) = ($r->header('RateLimit') // '') =~ /"common";r=(\d+)/;
    is($left, @limits ? 100 - $index{$limits[-1]} : undef,
       "$name: limit of a name");

    my $log = replaces(@s);
    $ours{"/$s[2]/$s[3]/$n"} = 1;
    $wanted{$log}{"/$s[2]/$s[3]/$n"} = 1 if $log ne '' && $log ne 'off';
}

sub switch {
    my (@s) = @_;
    my $r = ask(1, @s);

    is($r->count('X-Request-Id'), replaces(@s) =~ /^(?:off)?\z/ ? 0 : 1,
       "E06 @s: readiness");
}

sub fields {
    my (@s) = @_;
    my $r = ask(2, @s);
    my @adds = adds(@s);

    is(join(' ', map { /^(\w)=1; Secure\z/i ? $1 : () }
            $r->values('Set-Cookie')), "@adds", "E06 @s: cookies");
    $logged{"/$s[2]/$s[3]/$n"} = ["@s", @adds];
}

sub logs {
    my @lines = $t->wait_lines('fields.log', 81);
    is(@lines, 81, 'every request has its line');

    for my $line (@lines) {
        my ($name, @adds) = @{ $logged{ $line->{'url.path'} } };
        is(join(' ', grep { $line->{"of.$_"} } @level), "@adds",
           "E06 $name: log_field");
        is($line->{name} // '', $adds[-1] // '',
           "E06 $name: log_field of a name");
    }

    # those of the other trees stand in the log that http gave, too

    for my $l (@level) {
        my %want = %{ $wanted{$l} };
        my @got = grep { $ours{ $_->{'url.path'} } }
                  $t->wait_lines("$l.log", scalar keys %want);
        is(join(' ', sort map { $_->{'url.path'} } @got),
           join(' ', sort keys %want), "E06 the lines of log $l");
    }
}
