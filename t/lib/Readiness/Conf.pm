package Readiness::Conf;

# Mistakes in a configuration, as tables: a row is what somebody writes and what
# `nginx -t` has to answer, at the line that ends in the mark #!.

use strict;
use warnings;

use Exporter qw(import);
use Readiness::Util qw(slurp);
use Test::More ();

our @EXPORT = qw(in_http in_server in_location in_policy refused warned
                 accepted mistakes);


# A line (or several, then with a mark of their own) where it may stand.

sub _marked { my ($line) = @_; return $line =~ /#!/ ? $line : "$line #!" }

sub in_http { return _marked($_[0]) . "\nserver { listen 127.0.0.1:1; }\n" }

sub in_server {
    return "server {\n listen 127.0.0.1:1;\n " . _marked($_[0]) . "\n}\n";
}

sub in_location {
    return "server {\n listen 127.0.0.1:1;\n location / {\n  "
           . _marked($_[0]) . "\n }\n}\n";
}

sub in_policy {
    return "readiness_policy p {\n " . _marked($_[0]) . "\n}\n"
           . "server {\n listen 127.0.0.1:1;\n readiness_apply p;\n}\n";
}


# The lines of a level that nginx -t says, each with its place if need be.

sub _said {
    my ($t, $level, $text, %o) = @_;
    my ($code, $out) = $t->nginx_t($text, %o);
    my $file = $t->path('nginx-t.conf');
    my @lines = split /\n/, slurp($file);
    my ($n) = grep { $lines[$_ - 1] =~ /#!/ } 1 .. @lines;

    return ($code, defined $n ? "$file:$n" : '', $out,
            grep { /\[$level\]/ } split /\n/, $out);
}

sub _name {
    my ($text, $name) = @_;
    return $name if defined $name;
    ($name) = $text =~ /^\s*(.*?)\s*#!/m;
    return length $name > 66 ? substr($name, 0, 63) . '...' : $name;
}


# A message is told by a pattern or by a part of it.

sub _pattern {
    my ($m) = @_;
    return ref $m || $m =~ /^\(\?\^/ ? qr/$m/ : qr/\Q$m\E/;
}


# nginx -t stops, with a message like this one at the marked line.

sub refused {
    my ($t, $text, $message, $name, %o) = @_;
    my $re = _pattern($message);
    my ($code, $place, $out, @said) = _said($t, 'emerg', $text, %o);
    my $ok = $code == 1 && grep { /$re/ && / in \Q$place\E$/ } @said;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok($ok, 'refused: ' . _name($text, $name))
        or Test::More::diag("exit $code, wanted $re in $place, nginx said:\n",
                            $out);
    return $ok;
}


# nginx -t succeeds, with (warned) or without (accepted) a word of warning.

sub warned {
    my ($t, $text, $message, $name, %o) = @_;
    my $re = _pattern($message);
    my ($code, $place, $out, @said) = _said($t, 'warn', $text, %o);
    my $ok = $code == 0 && grep { /$re/ && / in \Q$place\E$/ } @said;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok($ok, 'warned: ' . _name($text, $name))
        or Test::More::diag("exit $code, wanted $re in $place, nginx said:\n",
                            $out);
    return $ok;
}

sub accepted {
    my ($t, $text, $name, %o) = @_;
    my ($code, $place, $out, @said) = _said($t, 'warn', $text, %o);

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::ok($code == 0 && !@said, 'accepted: ' . _name($text, $name))
        or Test::More::diag("exit $code, nginx said:\n", $out);
    return $code == 0;
}


# mistakes($t, \&in_http, [LINE => 'message', NAME], ...)

sub mistakes {
    my ($t, $where, @rows) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    refused($t, $where->($_->[0]), $_->[1], $_->[2]) for @rows;
    return;
}

1;
