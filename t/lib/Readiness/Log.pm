package Readiness::Log;

# Lines of JSON, read more strictly than any parser does it alone: one object
# per line, valid UTF-8, no key twice at any depth, LF at the end.

use strict;
use warnings;

use Encode ();
use Exporter qw(import);
use JSON::XS ();
use Readiness::Util qw(slurp);

our @EXPORT_OK = qw(strict_json repeated_key parse_lines bad_json_lines
                    whole_lines);

my $string = qr/"(?:[^"\\\x00-\x1f]|\\.)*+"/;


# strict_json($line): (value, undef) or (undef, what is wrong with it).

sub strict_json {
    my ($line) = @_;
    my $text = eval {
        Encode::decode('UTF-8', my $copy = $line, Encode::FB_CROAK);
    };

    return (undef, 'not UTF-8') if !defined $text;
    return (undef, 'not one object') if $line !~ /\A\{.*\}\z/s;

    my $value = eval { JSON::XS->new->utf8->decode($line) };
    return (undef, 'not JSON: ' . ($@ =~ s/ at \S+ line.*//sr)) if !$value;

    my $key = repeated_key($line);
    return (undef, "key twice: $key") if defined $key;

    return ($value, undef);
}


# The first key that an object of this (valid) JSON holds twice, or undef.
# "\u0061" is "a".

sub repeated_key {
    my ($text) = @_;
    my @open;                                       # a hash for {, undef for [

    while ($text =~ /\G[^"{}\[\]]*+(?:($string)(\s*:)?|([{}\[\]]))/gc) {
        my ($str, $colon, $bracket) = ($1, $2, $3);

        if (defined $bracket) {
            if    ($bracket eq '{') { push @open, {} }
            elsif ($bracket eq '[') { push @open, undef }
            else                    { pop @open }
            next;
        }

        next if !defined $colon || !$open[-1];

        my $name = $str =~ /\\/ ? JSON::XS->new->utf8->decode("[$str]")->[0]
                                : substr $str, 1, -1;
        return $name if $open[-1]{$name}++;
    }

    return;
}


sub whole_lines {
    my ($file) = @_;
    return slurp($file) =~ tr/\n//;
}


# All whole lines of a file as values; bad ones are left out.

sub parse_lines {
    my ($file) = @_;
    return map { (strict_json($_))[0] || () } slurp($file) =~ /^(.*)\n/mg;
}


# What is wrong with a log, as "line N: reason: text".

sub bad_json_lines {
    my ($file) = @_;
    my $data = slurp($file);
    my (@bad, $n);

    for my $line (split /\n/, $data, -1) {
        $n++;
        next if $line eq '' && $n == ($data =~ tr/\n//) + 1;

        my (undef, $wrong) = strict_json($line);
        push @bad, "line $n: $wrong: " . substr $line, 0, 300
            if defined $wrong;
    }

    push @bad, 'no LF at the end' if $data ne '' && $data !~ /\n\z/;
    return @bad;
}

1;
