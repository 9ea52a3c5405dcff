#!/usr/bin/perl

# Copyright (C) The readiness authors

# What t/bench/grow.pl printed, as a picture: an SVG of its own, readable on
# light and on dark.
#
#     t/bench/plot.pl results > t/bench/cost.svg

use warnings;
use strict;

use List::Util qw/ max min /;

# columns of the picture, and of the results

my @axes = (
    { of => 'workers', text => 'workers' },
    { of => 'keys', text => 'live keys', log => 1 },
    { of => 'limits', text => 'limits per request' },
);

my @rows = (
    { of => 'x bare', text => 'throughput, × bare', whole => 1 },
    { of => 'nginx us', text => 'CPU above bare, µs', also => 'Redis us' },
    { of => 'instructions', text => 'instructions above bare, k', by => 1000 },
);

my @series = (
    { what => 'zone', class => 'a', text => 'counted in the zone' },
    { what => 'Redis', class => 'b', text => 'counted in Redis' },
);

my ($wide, $high, $left, $top, $gap_x, $gap_y) = (236, 130, 62, 74, 36, 46);


# --- the results -------------------------------------------------------------

my ($title, @columns, @data) = ('');

while (my $line = <>) {
    chomp $line;
    $title = $line if $title eq '' && $line =~ /^nginx /;
    $line =~ s/^\| (.*) \|$/$1/ or next;
    my @f = split / \| /, $line;

    if (!@columns) {
        @columns = @f;
        next;
    }

    my %row;
    @row{@columns} = map { s/^\+//r } @f;
    push @data, \%row;
}

@data or die "no results of grow.pl in there\n";
@rows = grep { my $r = $_; grep { $_->{$r->{of}} ne '-' } @data } @rows;

sub points {
    my ($axis, $column, $what, $by) = @_;
    return map { [$_->{of}, $_->{$column} / ($by // 1)] }
           sort { $a->{of} <=> $b->{of} }
           grep { $_->{with} eq $axis->{of} && $_->{'counted in'} eq $what
                  && $_->{$column} ne '-' } @data;
}


# --- scales ------------------------------------------------------------------

# A round number of steps from 0 (or below) that holds all values.

sub scale {
    my ($low, $high) = @_;
    $high = $low + 1 if $high <= $low;
    my $raw = ($high - $low) / 4;
    my $step = 10 ** int(log($raw) / log(10) - ($raw < 1 ? 1 : 0));
    ($step) = grep { $_ >= $raw } map { $_ * $step } 1, 2, 2.5, 5, 10, 20;
    my ($from, $to) = (0, 0);
    $from -= $step while $from > $low;
    $to += $step while $to < $high;
    return ($from, $to, $step);
}

sub number {
    my ($n) = @_;
    return $n / 1_000_000 . 'M' if $n >= 1_000_000;
    return $n / 1000 . 'k' if $n >= 1000;
    return sprintf('%.3f', $n) =~ s/\.?0+$//r;
}

sub place_x {
    my ($axis, $n, $from, $to) = @_;
    ($n, $from, $to) = map { log } $n, $from, $to if $axis->{log};
    my $part = $to == $from ? 0.5 : ($n - $from) / ($to - $from);
    return 12 + ($wide - 24) * $part;
}


# --- the picture -------------------------------------------------------------

my @svg;

sub out { push @svg, sprintf shift, @_; return }

sub text {
    my ($x, $y, $class, $text) = @_;
    $text =~ s/&/&amp;/g;
    $text =~ s/</&lt;/g;
    out('<text x="%.1f" y="%.1f" class="%s">%s</text>', $x, $y, $class, $text);
    return;
}

sub curve {
    my ($class, @at) = @_;
    return if !@at;
    out('<polyline class="%s" points="%s"/>', $class,
        join ' ', map { sprintf '%.1f,%.1f', @$_ } @at);
    out('<circle class="%s" cx="%.1f" cy="%.1f" r="2.8"/>', $class, @$_)
        for @at;
    return;
}

sub panel {
    my ($axis, $row, $from, $to, $step) = @_;
    my (%seen, $x0, $x1);
    my $place_y = sub { $high - $high * ($_[0] - $from) / ($to - $from) };

    my @x = sort { $a <=> $b } grep { !$seen{$_}++ }
            map { $_->{of} } grep { $_->{with} eq $axis->{of} } @data;
    ($x0, $x1) = @x[0, -1];

    for (my $n = $from; $n <= $to + $step / 2; $n += $step) {
        my $y = $place_y->($n);
        out('<line class="%s" x1="0" x2="%d" y1="%.1f" y2="%.1f"/>',
            abs $n < $step / 2 ? 'zero' : 'grid', $wide, $y, $y);
        text(-6, $y + 3.5, 'tick y', number(abs $n < 1e-9 ? 0 : $n));
    }

    text(place_x($axis, $_, $x0, $x1), $high + 15, 'tick x', number($_))
        for @x;
    text($wide / 2, $high + 31, 'axis', $axis->{text});

    for my $s (@series) {
        my @first = points($axis, $row->{of}, $s->{what}, $row->{by});
        curve($s->{class}, map { [place_x($axis, $_->[0], $x0, $x1),
                                  $place_y->($_->[1])] } @first);

        next if !$row->{also} || $s->{what} ne 'Redis';
        curve("$s->{class} also", map { [place_x($axis, $_->[0], $x0, $x1),
            $place_y->($_->[1])] } points($axis, $row->{also}, $s->{what}));
    }

    text($wide / 2, $high / 2, 'axis', 'not measured')
        if !grep { points($axis, $row->{of}, $_->{what}) } @series;

    return;
}

my $width = $left + @axes * ($wide + $gap_x);
my $height = $top + @rows * ($high + $gap_y) + 24;

out('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" '
    . 'width="%d" height="%d" role="img" aria-labelledby="t">',
    $width, $height, $width, $height);
out('<title id="t">How the cost of limits grows with workers, keys and limits '
    . 'per request</title>');
push @svg, <<'EOF';
<style>
text { font: 11px system-ui, sans-serif; fill: #24292f }
.head { font-size: 15px; font-weight: 600 }
.axis { text-anchor: middle }
.tick { fill: #57606a; font-size: 10px }
.y { text-anchor: end }
.x { text-anchor: middle }
.back { fill: #ffffff }
.grid { stroke: #d0d7de; stroke-width: .6 }
.zero { stroke: #57606a; stroke-width: 1 }
polyline { fill: none; stroke-width: 2 }
polyline.a { stroke: #0969da } circle.a { fill: #0969da }
polyline.b { stroke: #bc4c00 } circle.b { fill: #bc4c00 }
polyline.also { stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.tick { fill: #9198a1 }
.back { fill: #0d1117 }
.grid { stroke: #30363d }
.zero { stroke: #9198a1 }
polyline.a { stroke: #58a6ff } circle.a { fill: #58a6ff }
polyline.b { stroke: #f0883e } circle.b { fill: #f0883e }
}
</style>
EOF
out('<rect class="back" width="%d" height="%d"/>', $width, $height);
text($left, 22, 'head', 'What a limit costs, and how that grows');
text($left, 39, 'tick', $title =~ s/;.*//r);

my $x = $left;
for ([a => 'counted in the zone'], [b => 'counted in Redis'],
     ['b also' => 'CPU of Redis itself'])
{
    my ($class, $text) = @$_;
    curve($class, [$x, 55], [$x + 26, 55]);
    text($x + 34, 58.5, 'legend', $text);
    $x += 170;
}

for my $j (0 .. $#rows) {
    my $row = $rows[$j];
    my @y = map { my $a = $_;
        map { my $s = $_;
            (map({ $_->[1] } points($a, $row->{of}, $s->{what}, $row->{by})),
             $row->{also}
                 ? map({ $_->[1] } points($a, $row->{also}, $s->{what})) : ())
        } @series } @axes;
    my @scale = scale(min(0, @y), max($row->{whole} ? 1 : 0, @y));
    my $y = $top + $j * ($high + $gap_y);

    out('<text transform="translate(%d %.1f) rotate(-90)" class="axis">%s'
        . '</text>', 16, $y + $high / 2, $row->{text});

    for my $i (0 .. $#axes) {
        out('<g transform="translate(%d %d)">', $left + $i * ($wide + $gap_x),
            $y);
        panel($axes[$i], $row, @scale);
        out('</g>');
    }
}

out('</svg>');
print join("\n", @svg), "\n";
