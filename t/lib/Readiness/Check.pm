package Readiness::Check;

# What no test may leave behind in nginx's error log or on its stderr.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(alarms parse_metrics);

my $stamp = qr{\d{4}/\d\d/\d\d \d\d:\d\d:\d\d};

my @bad = (
    qr/^$stamp \[(?:alert|emerg)\]/,
    qr/^nginx: \[(?:alert|emerg)\]/,
    qr/exited on signal/,
    qr/ exited with (?:fatal )?code [1-9]/,
    qr/(?:Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer/,
    qr/^\S+:\d+(?::\d+)?: runtime error: /,
    qr/^==\d+== *(?:Invalid|Conditional jump|Use of uninit)/,
    qr/^==\d+== *Process terminating/,
    qr/^\*\*\* .* \*\*\*/,                          # glibc: stack smashing etc.
    qr/\b(?:corrupted|double free|free\(\): invalid|malloc\(\): )/,
);


# alarms($text, @allowed): the lines that should not be there.

sub alarms {
    my ($text, @allowed) = @_;
    my @found;

    for my $line (split /\n/, $text) {
        next if !grep { $line =~ $_ } @bad;
        next if grep { $line =~ $_ } @allowed;
        push @found, $line;
    }

    # nginx itself loses a few blocks: only a stack with our name in it counts

    my $record = qr/^==\d+== .* are definitely lost .*\n(?:==\d+==  .*\n)+/m;

    while ($text =~ /($record)/g) {
        my ($first, @stack) = split /\n/, $1;
        my ($ours) = grep { /\b(?:rdy_|ngx_readiness_)/ } @stack or next;
        push @found, $first . $ours if !grep { "$first$ours" =~ $_ } @allowed;
    }

    return @found;
}


# A page in the Prometheus text format: { 'name{a="b"}' => value }.  Dies at
# what a scraper would refuse: bad lines, a series twice, HELP or TYPE twice.

sub parse_metrics {
    my ($text) = @_;
    my (%value, %said);
    my $name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
    my $label = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"/;
    my $series = qr/$name(?:\{(?:$label(?:,$label)*,?)?\})?/;
    my $number = qr/[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|Inf)|NaN/i;

    die "no LF at the end\n" if $text ne '' && $text !~ /\n\z/;

    for my $line (split /\n/, $text) {
        next if $line eq '';

        if ($line =~ /^# (HELP|TYPE) ($name) (.+)/) {
            die "twice: $line\n" if $said{"$1 $2"}++;
            die "bad type: $line\n" if $1 eq 'TYPE'
                && $3 !~ /^(?:counter|gauge|histogram|summary|untyped)\z/;
            next;
        }

        next if $line =~ /^# /;

        $line =~ /^($series) ($number)(?: \d+)?\z/
            or die "not a metric: $line\n";
        die "twice: $1\n" if exists $value{$1};
        $value{$1} = $2;
    }

    return \%value;
}

1;
