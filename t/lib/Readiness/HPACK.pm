package Readiness::HPACK;

# Header compression, RFC 7541: encodes everything as a literal that is never
# indexed and not Huffman-coded, decodes whatever a server may send.

use strict;
use warnings;

use Exporter qw(import);
use Protocol::HTTP2::Huffman qw(huffman_decode);
use Protocol::HTTP2::StaticTable ();

our @EXPORT_OK = qw(encode_headers);

my @static = @Protocol::HTTP2::StaticTable::stable;


sub _int {
    my ($n, $bits, $flags) = @_;
    my $max = (1 << $bits) - 1;

    return chr($flags | $n) if $n < $max;

    my $out = chr($flags | $max);
    for ($n -= $max; $n >= 128; $n >>= 7) { $out .= chr($n & 127 | 128) }

    return $out . chr $n;
}


# encode_headers(name => value, …): as given, valid or not.

sub encode_headers {
    my @list = @_;
    my $out = '';

    while (my ($name, $value) = splice @list, 0, 2) {
        $out .= "\x10" . _int(length $name, 7, 0) . $name
                       . _int(length $value, 7, 0) . $value;
    }

    return $out;
}


# The decoder of one connection.

sub new { return bless { table => [], size => 0, max => 4096 }, shift }

sub _read_int {
    my ($buf, $bits) = @_;
    my $max = (1 << $bits) - 1;
    my $n = ord(substr $$buf, 0, 1, '') & $max;

    return $n if $n < $max;

    for (my $shift = 0; $$buf ne ''; $shift += 7) {
        my $byte = ord substr $$buf, 0, 1, '';
        $n += ($byte & 127) << $shift;
        return $n if $byte < 128;
    }

    die "hpack: integer cut short\n";
}


sub _read_str {
    my ($buf) = @_;
    die "hpack: string cut short\n" if $$buf eq '';

    my $huffman = ord($$buf) & 0x80;
    my $len = _read_int($buf, 7);
    die "hpack: string cut short\n" if $len > length $$buf;

    my $s = substr $$buf, 0, $len, '';
    return $huffman ? huffman_decode($s) : $s;
}


sub _at {
    my ($self, $i) = @_;
    my $row = $i <= @static ? $static[$i - 1]
                            : $self->{table}[$i - 1 - @static];
    die "hpack: no entry $i\n" if $i < 1 || !$row;
    return @$row;
}


sub _fit {
    my ($self) = @_;

    while ($self->{size} > $self->{max}) {
        my $old = pop @{ $self->{table} };
        $self->{size} -= 32 + length($old->[0]) + length $old->[1];
    }

    return;
}


# decode($block): [[name, value], …]

sub decode {
    my ($self, $buf) = @_;
    my @headers;

    while ($buf ne '') {
        my $first = ord $buf;

        if ($first & 0x80) {
            push @headers, [$self->_at(_read_int(\$buf, 7))];
            next;
        }

        if (($first & 0xe0) == 0x20) {
            $self->{max} = _read_int(\$buf, 5);
            $self->_fit;
            next;
        }

        my $indexed = $first & 0x40;
        my $i = _read_int(\$buf, $indexed ? 6 : 4);
        my ($name) = $i ? $self->_at($i) : _read_str(\$buf);
        my $value = _read_str(\$buf);

        push @headers, [$name, $value];
        next if !$indexed;

        unshift @{ $self->{table} }, [$name, $value];
        $self->{size} += 32 + length($name) + length $value;
        $self->_fit;
    }

    return \@headers;
}

1;
