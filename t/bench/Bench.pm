package Bench;

# What the benchmarks share: nginx and Redis in a directory of their own, wrk in
# front of them, and what /proc, INFO, callgrind and strace say meanwhile.

use warnings;
use strict;

use Exporter qw/ import /;
use File::Temp qw/ tempdir /;
use FindBin;
use IO::Socket::UNIX;
use POSIX qw/ sysconf _SC_CLK_TCK WNOHANG /;
use Time::HiRes qw/ usleep /;

our @EXPORT = qw/ options need $repo $dir $module $nginx $first slurp median
                  versions start_app start_redis redis_calls redis_pid
                  check start stop cpu private links wrk measure ratio
                  fill strace_calls callgrind /;

our $repo = "$FindBin::Bin/../..";
our $module = $ENV{READINESS_MODULE} // "$repo/build/ngx_readiness_module.so";
our $nginx = $ENV{READINESS_NGINX} // 'nginx';
our $dir = tempdir('readiness-bench-XXXXXX', TMPDIR => 1, CLEANUP => 1);
our $first = 18100;

my (%opt, %pids);
my $owner = $$;

chmod 0755, $dir;

$SIG{$_} = sub { exit 1 } for qw/ INT TERM HUP /;

END {
    if ($$ == $owner) {
        my $status = $?;
        kill 'TERM', values %pids;
        for my $pid (values %pids) {
            for (1 .. 100) {
                waitpid $pid, WNOHANG;
                kill(0, $pid) or last;
                usleep(50_000);
            }
        }
        $? = $status;
    }
}


# name=number arguments over their defaults

sub options {
    my (%default) = @_;

    %opt = (connections => 64, %default);

    for (@ARGV) {
        /^(\w+)=(\d+)$/ && exists $opt{$1} or die "unknown option $_\n";
        $opt{$1} = $2;
    }

    return %opt;
}

sub need {
    -e $module or $module eq '' or die "$module is not built: run make\n";

    for my $tool ('wrk', 'redis-server', $nginx) {
        system("command -v $tool > /dev/null") == 0
            or die "$tool is missing: apt-get install wrk redis-server nginx\n";
    }

    return;
}

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or return '';
    local $/;
    return scalar(<$fh>) // '';
}

sub median {
    my @v = sort { $a <=> $b } @_;
    return 0 if !@v;
    return @v % 2 ? $v[$#v / 2] : ($v[@v / 2 - 1] + $v[@v / 2]) / 2;
}

sub versions {
    my ($version) = `$nginx -v 2>&1` =~ m|nginx/(\S+)|;
    my ($redis) = `redis-server --version` =~ /v=(\S+)/;
    return "nginx $version, Redis $redis";
}


# --- processes ---------------------------------------------------------------

sub conf {
    my ($n, $text, $main, $workers) = @_;
    my $file = "$dir/$n.conf";
    open my $fh, '>', $file or die "$file: $!";
    print $fh <<"EOF";
$main
pid $dir/$n.pid;
error_log $dir/$n.error warn;
worker_processes @{[ $workers // 1 ]};
user root;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
$text
}
EOF
    close $fh;
    return $file;
}

# Whether nginx takes the configuration of a case; else its reason.

sub check {
    my ($c) = @_;
    my $file = conf('check', $c->{text}, $c->{load} // '');
    my $said = `$nginx -p $dir -c $file -t 2>&1`;
    return if $? == 0;
    my ($why) = $said =~ /\[emerg\] (?:\d+#\d+: )?(.*?)(?: in \S+:\d+)?$/m;
    return $why // $said;
}

# Starts an nginx under a name: the pids of its workers.

sub start {
    my ($n, $text, $main, $workers) = @_;
    my $file = conf($n, $text, $main, $workers);
    my @workers;
    system("$nginx -p $dir -c $file 2>> $dir/start") == 0
        or die "nginx does not start:\n" . slurp("$dir/start");
    for (1 .. 100) { last if slurp("$dir/$n.pid") =~ /\d/; usleep(50_000); }
    ($pids{$n}) = slurp("$dir/$n.pid") =~ /(\d+)/;
    for (1 .. 100) {
        @workers = `pgrep -P $pids{$n}` =~ /(\d+)/g;
        last if @workers == ($workers // 1);
        usleep(50_000);
    }
    return @workers;
}

sub stop {
    my ($n) = @_;
    my $pid = delete $pids{$n} or return;
    kill 'QUIT', $pid;
    for (1 .. 100) { kill(0, $pid) or last; usleep(20_000); }
    return;
}

sub start_app {
    start('app', <<"EOF", '');
    server { listen unix:$dir/app.sock;
             location / { default_type application/json;
                          return 200 '{"application":"answer"}'; } }
EOF
    return;
}

sub start_redis {
    system('redis-server', '--port', $first + 99, '--bind', '127.0.0.1',
           '--unixsocket', "$dir/redis.sock", '--save', '', '--appendonly',
           'no', '--daemonize', 'yes', '--pidfile', "$dir/redis.pid",
           '--logfile', "$dir/redis.log", '--dir', $dir) == 0
        or die "redis-server: $!";
    for (1 .. 100) {
        last if -S "$dir/redis.sock" && slurp("$dir/redis.pid") =~ /\d/;
        usleep(50_000);
    }
    ($pids{redis}) = slurp("$dir/redis.pid") =~ /(\d+)/
        or die "redis-server does not start\n";
    return;
}

sub redis_pid { return $pids{redis} }

# Script calls so far, as Redis counts them.

sub redis_calls {
    my $sock = IO::Socket::UNIX->new(Peer => "$dir/redis.sock")
        or die "redis.sock: $!";
    print $sock "INFO commandstats\r\n";
    my ($len) = <$sock> =~ /^\$(\d+)/;
    my $text;
    read($sock, $text, $len);
    my ($calls) = $text =~ /^cmdstat_evalsha:calls=(\d+)/m;
    return $calls // 0;
}

sub cpu {
    my $sum = 0;
    for my $pid (@_) {
        my @f = split ' ', (slurp("/proc/$pid/stat") =~ /\) (.*)/)[0] // '';
        $sum += ($f[11] + $f[12]) / sysconf(_SC_CLK_TCK);
    }
    return $sum;
}

sub private {
    my ($pid) = @_;
    my $kb = 0;
    my $shared = 0;
    for (split /\n/, slurp("/proc/$pid/smaps")) {
        $shared = / rw-s / ? 1 : 0 if /^[0-9a-f]+-[0-9a-f]+ /;
        $kb += $1 if !$shared && /^Private_Dirty:\s+(\d+)/;
    }
    return $kb;
}

# Connections of a process to Redis.

sub links {
    my ($pid) = @_;
    my @lines = split /\n/, `ss -xtnp 2>/dev/null`;
    my (%theirs, $n);
    for (@lines) {
        $theirs{$1} = 1 if /redis\.sock \d+ +\* (\d+)/;
    }
    for (grep { /pid=$pid\b/ } @lines) {
        $n++ if /:@{[ $first + 99 ]}\s/ || / \* (\d+) +\* \d+/ && $theirs{$1};
    }
    return $n;
}


# --- load --------------------------------------------------------------------

# Requests of any of so many keys, made by wrk itself.

sub keys_script {
    my ($keys) = @_;
    my $file = "$dir/keys$keys.lua";
    return $file if -e $file;
    open my $fh, '>', $file or die "$file: $!";
    print $fh <<"EOF";
local random = math.random
function request()
    return "GET /?k=" .. random(1, $keys)
           .. " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n"
end
EOF
    close $fh;
    return $file;
}

# Asks once for each of the keys of a case.

sub fill {
    my ($c) = @_;
    my $done = 0;
    my $file = "$dir/fill.lua";
    open my $fh, '>', $file or die "$file: $!";
    print $fh <<"EOF";
local n, last = 0, $c->{keys}
function init(args) n = tonumber(args[1]) end
function request()
    n = n % last + 1
    return "GET /?k=" .. n .. " HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n"
end
EOF
    close $fh;
    while ($done < $c->{keys}) {
        my $out = `wrk -t1 -c$opt{connections} -d3s -s $file http://127.0.0.1:$c->{port}/ -- $done 2>&1`;
        my ($n) = $out =~ /(\d+) requests in/ or die "wrk said:\n$out";
        $done += $n;
    }
    return;
}

# (requests, requests per second, p99 in ms) of a case.

sub wrk {
    my ($c, $seconds) = @_;
    my $script = $c->{keys} ? '-s ' . keys_script($c->{keys}) : '';
    my $out = `wrk -t1 -c$opt{connections} -d${seconds}s --latency $script http://127.0.0.1:$c->{port}/ 2>&1`;
    my ($n) = $out =~ /(\d+) requests in/;
    my ($rate) = $out =~ m|Requests/sec:\s+([\d.]+)|;
    my ($p99, $unit) = $out =~ /99%\s+([\d.]+)(us|ms|s)/;
    die "wrk said:\n$out" if !$rate;
    my ($other) = $out =~ /Non-2xx or 3xx responses: (\d+)/;
    $other //= 0;
    die "$c->{name}: not all of it was answered 200:\n$out"
        if $other && !$c->{refused};
    die "$c->{name}: not all of it was refused:\n$out"
        if $other < 0.99 * $n && $c->{refused};
    $p99 *= { us => 0.001, ms => 1, s => 1000 }->{$unit};
    return ($n, $rate, $p99);
}

# One round of a case: adds to what it measured so far.

sub measure {
    my ($c) = @_;
    my ($cpu, $redis) = (cpu(@{$c->{workers}}), cpu($pids{redis}));
    my $calls = redis_calls();
    my ($n, $rate, $p99) = wrk($c, $opt{seconds});
    push @{$c->{rate}}, $rate;
    push @{$c->{p99}}, $p99;
    push @{$c->{cpu}}, (cpu(@{$c->{workers}}) - $cpu) / $n * 1e6;
    push @{$c->{redis_cpu}}, (cpu($pids{redis}) - $redis) / $n * 1e6;
    push @{$c->{redis_calls}}, (redis_calls() - $calls) / $n;
    return;
}

# The median over the rounds, each to the other case of the same round.

sub ratio {
    my ($c, $to, $key) = @_;
    return 0 if !$to;
    return median(map { $c->{$key}[$_] / $to->{$key}[$_] }
                  0 .. $#{$c->{$key}});
}

sub strace_calls {
    my ($c) = @_;
    my $pid = fork() // die "fork: $!";
    if (!$pid) {
        open STDERR, '>', "$dir/strace.said";
        exec('strace', '-c', '-o', "$dir/strace", '-p', $c->{workers}[0])
            or POSIX::_exit(1);
    }
    usleep(500_000);
    my ($n) = wrk($c, 2);
    kill 'INT', $pid;
    waitpid $pid, 0;
    my $calls = 0;                      # % time, seconds, usecs/call, calls, …
    for (slurp("$dir/strace") =~ /^ *\d+\.\d+ +(.*)/mg) {
        my ($count, $name) = (split)[2, -1];
        $calls += $count if $name ne 'total';
    }
    return $calls ? $calls / $n : undef;
}

# User mode instructions of one request, of an nginx of its own.

sub callgrind {
    my ($c, $name) = @_;
    my $file = conf($name, $c->{text}, "$c->{load}\ndaemon off;\n"
                    . "master_process off;");
    my $pid = fork() // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', "$dir/valgrind";
        exec('valgrind', '--tool=callgrind', '--smc-check=all-non-file',
             "--callgrind-out-file=$dir/cg$name", $nginx, '-p', $dir, '-c',
             $file) or POSIX::_exit(1);
    }
    $pids{$name} = $pid;
    for (1 .. 200) {
        last if system("curl -s -o /dev/null 127.0.0.1:$c->{port}") == 0;
        usleep(100_000);
    }
    wrk($c, $c->{warm} // 1);
    system("callgrind_control -z $pid > /dev/null 2>&1");
    my ($n) = wrk($c, 4);
    kill 'QUIT', $pid;
    waitpid $pid, 0;
    delete $pids{$name};
    my ($total) = slurp("$dir/cg$name") =~ /^(?:summary|totals): (\d+)/m;
    return $total ? $total / $n : undef;
}

1;
