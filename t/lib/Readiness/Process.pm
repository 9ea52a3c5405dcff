package Readiness::Process;

# Processes of a test: started by us, known by pid, and gone when it ends.

use strict;
use warnings;

use Config ();
use Exporter qw(import);
use POSIX qw(:sys_wait_h dup2 _exit);
use Readiness::Util qw(now scaled slurp wait_for);

our @EXPORT_OK = qw(spawn fork_child command alive gone stop_pid children_of
                    title_of fds rss resolve_binary running_in);

my %owned;                                          # pid => pid of its parent


# In a child: its end is tied to ours.  Returns the descriptors it came with,
# for it to get rid of.

sub _settle {
    my ($out, $dir, @keep) = @_;

    my %nr = (x86_64 => 157, aarch64 => 167);
    my ($arch) = $Config::Config{archname} =~ /^(\w+?)-/;
    syscall($nr{$arch}, 1, 9) if defined $arch && $nr{$arch}; # PDEATHSIG KILL

    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM CHLD PIPE USR1 USR2);
    chdir $dir if defined $dir;

    open my $null, '<', '/dev/null' or _exit(126);
    open my $log, '>>', $out or _exit(126);
    dup2(fileno $null, 0);
    dup2(fileno $log, 1);
    dup2(fileno $log, 2);

    close $_ for $null, $log;

    my %keep = map { fileno($_) => 1 } @keep;
    opendir my $list, '/proc/self/fd' or return;
    my @open = grep { /^\d+\z/ && $_ > 2 && !$keep{$_} } readdir $list;
    closedir $list;

    return @open;
}


# Starts a program: spawn([cmd, arg…], out => FILE, dir => DIR, env => {}).

sub spawn {
    my ($cmd, %o) = @_;

    my $pid = fork;
    die "fork: $!" if !defined $pid;

    if ($pid == 0) {
        POSIX::close($_) for _settle($o{out} || '/dev/null', $o{dir});
        my $env = $o{env} || {};
        for my $k (keys %$env) {
            if (defined $env->{$k}) { $ENV{$k} = $env->{$k} }
            else                    { delete $ENV{$k} }
        }
        { no warnings 'exec'; exec { $cmd->[0] } @$cmd }
        print STDERR "cannot run $cmd->[0]: $!\n";
        _exit(127);
    }

    $owned{$pid} = $$;
    return $pid;
}


# Runs code in a child: fork_child(sub { … }, out =>, dir =>, keep => [$fh]).

sub fork_child {
    my ($code, %o) = @_;

    my $pid = fork;
    die "fork: $!" if !defined $pid;

    if ($pid == 0) {
        # Perl still counts its handles on them: one closed behind its back
        # would keep a later handle of the same number from being closed
        dup2(0, $_) for _settle($o{out} || '/dev/null', $o{dir},
                                @{ $o{keep} || [] });
        $SIG{PIPE} = 'IGNORE';
        my $ok = eval { $code->(); 1 };
        syswrite STDERR, "child failed: $@" if !$ok;
        _exit($ok ? 0 : 1);
    }

    $owned{$pid} = $$;
    return $pid;
}


# Runs a program to its end: (exit code, output); (-1, …) when it had to be
# killed at the deadline, 128 + signal when it died by one.

sub command {
    my ($cmd, %o) = @_;
    my $out = $o{out} or die "command: no output file";

    unlink $out;
    my $pid = spawn($cmd, %o, out => $out);
    my $status;

    wait_for {
        my $got = waitpid $pid, WNOHANG;
        $status = $? if $got == $pid;
        $status = 127 << 8 if $got < 0;
        defined $status;
    } $o{timeout} || 20;

    if (!defined $status) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }

    delete $owned{$pid};
    my $output = slurp($out);

    return (-1, $output . "\n(still running at its deadline)\n")
        if !defined $status;
    return (128 + ($status & 127), $output) if $status & 127;
    return ($status >> 8, $output);
}


# A zombie that nobody collects is not alive.

sub alive {
    my ($pid) = @_;

    waitpid $pid, WNOHANG if ($owned{$pid} || 0) == $$;
    return 0 if !kill 0, $pid;

    my $stat = slurp("/proc/$pid/stat");
    return 0 if $stat eq '' || $stat =~ /\) [ZX] /;

    return 1;
}


sub gone {
    my ($pid, $seconds) = @_;
    return wait_for { !alive($pid) } $seconds || 10;
}


# Asks with each signal in turn; true when the first one was enough.

sub stop_pid {
    my ($pid, $seconds, @signals) = @_;
    my $asked = 0;

    kill 'CONT', $pid;

    for my $sig (@signals ? @signals : 'TERM', 'KILL') {
        last if !alive($pid);
        kill $sig, $pid;
        $asked++;
        last if gone($pid, $seconds || 5);
    }

    delete $owned{$pid};
    return $asked <= 1;
}


sub children_of {
    my ($parent) = @_;
    my @found;

    for my $file (glob '/proc/[0-9]*/stat') {
        my ($pid, $state, $ppid) = slurp($file) =~ /^(\d+) .*\) (\w) (\d+) /s
            or next;
        push @found, $pid if $ppid == $parent && $state ne 'Z';
    }

    return sort { $a <=> $b } @found;
}


# Whoever works in this directory was started for this test.

sub running_in {
    my ($dir) = @_;
    my @found;

    for my $link (glob '/proc/[0-9]*/cwd') {
        my $cwd = readlink $link;
        next if !defined $cwd || $cwd ne $dir;
        my ($pid) = $link =~ /(\d+)/;
        push @found, $pid if $pid != $$ && alive($pid);
    }

    return @found;
}


sub title_of {
    my $title = slurp("/proc/$_[0]/cmdline");
    $title =~ tr/\0/ /;
    $title =~ s/\s+\z//;
    return $title;
}


sub fds {
    my ($pid) = @_;
    my %fd;

    for my $link (glob "/proc/$pid/fd/*") {
        my $to = readlink $link;
        my ($n) = $link =~ /(\d+)\z/;
        $fd{$n} = $to if defined $to;
    }

    return \%fd;
}


sub rss {                                           # KiB
    my ($kb) = slurp("/proc/$_[0]/status") =~ /^VmRSS:\s+(\d+)/m;
    return $kb || 0;
}


sub resolve_binary {
    my ($name) = @_;
    return $name if $name =~ m{^/};

    if ($name =~ m{/}) {
        require Cwd;
        return Cwd::abs_path($name) || $name;
    }

    for my $dir (split(/:/, $ENV{PATH} || ''), qw(/usr/sbin /usr/local/sbin)) {
        return "$dir/$name" if -x "$dir/$name" && !-d _;
    }

    return $name;
}


# The last word, whatever happened to the test.

END {
    for my $pid (grep { $owned{$_} == $$ } keys %owned) {
        local $?;
        kill 'CONT', $pid;
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }
}


1;
