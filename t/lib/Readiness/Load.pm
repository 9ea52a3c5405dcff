package Readiness::Load;

# Clients that ask all the time, each request on a connection of its own, until
# told to stop; what they got is summed up.
#
#   my $load = Readiness::Load->new($t, uri => '/x', headers => […]);
#   $load->start(4);                    # processes
#   my $sum = $load->stop;              # { requests, status => { 200 => n },
#                                       #   failed => { 'status error' => n } }
#
# A request failed when its status is not among ok => [200].  keep => N sends
# so many on one connection before the next.

use strict;
use warnings;

use Readiness::Process qw(alive fork_child stop_pid);
use Readiness::Util qw(append slurp wait_for);

my $runs = 0;


sub new {
    my ($class, $t, %o) = @_;
    return bless { ok => [200], keep => 1, %o, t => $t, pids => [] }, $class;
}


sub start {
    my ($self, $n) = @_;
    my $dir = $self->{t}->dir;

    $self->{base} = "$dir/load" . ++$runs;
    $self->{t}->port($self->{port});

    for my $i (1 .. $n) {
        push @{ $self->{pids} }, fork_child(sub { $self->_work($i) },
            dir => $dir, out => "$self->{base}.$i.out");
    }

    wait_for { $self->started == $n } 20 or die "the load did not start\n";
    return $self;
}

sub started { return scalar(my @f = glob "$_[0]{base}.*.began") }


sub _work {
    my ($self, $i) = @_;
    my (%count, $conn);
    my $left = 0;

    srand $$;

    for (my $n = 1; !-e "$self->{base}.stop"; $n++) {
        if (!$left) {
            $conn->close if $conn;
            $conn = $self->{t}->conn(port => $self->{port});
            $left = $self->{keep};
        }

        my $uri = ref $self->{uri} ? $self->{uri}->($i, $n) : $self->{uri};
        my $r = $conn->request('GET', $uri, headers => $self->{headers},
                               $left == 1 ? (close => 1) : ());
        $count{ $r->status . ($r->error ne '' ? ' ' . $r->error : '') }++;
        $left = $r->error ne '' ? 0 : $left - 1;
        append("$self->{base}.$i.began", '') if $n == 1;
    }

    append("$self->{base}.$i.sum",
           join '', map { "$_: $count{$_}\n" } sort keys %count);
    return;
}


sub stop {
    my ($self) = @_;
    my $base = $self->{base};
    my %sum = (requests => 0, status => {}, failed => {});
    my %ok = map { $_ => 1 } @{ $self->{ok} };

    append("$base.stop", '');
    wait_for { !grep { alive($_) } @{ $self->{pids} } } 40;
    stop_pid($_) for splice @{ $self->{pids} };

    for my $file (glob "$base.*.sum") {
        my %count = slurp($file) =~ /^(.*): (\d+)$/mg;

        for my $got (keys %count) {
            $sum{requests} += $count{$got};
            $sum{status}{$got} += $count{$got};
            $sum{failed}{$got} += $count{$got} if !$ok{$got};
        }
    }

    for my $file (glob "$base.*.out") {
        my $said = slurp($file);
        $sum{failed}{$said}++ if $said ne '';
    }

    return \%sum;
}

1;
