#!/usr/bin/perl

# Copyright (C) The readiness authors

# Speed of the same proxied request through bare nginx, stock nginx doing the
# nearest it can, and the module: interleaved rounds in one session, one
# worker, 64 connections.
#
#     t/bench/bench.pl [rounds=8] [seconds=2] [callgrind=1] [strace=1]
#
# Ratios are medians over the rounds, each to the bare one of the same round;
# CPU per request is user and system time of the processes; instructions are
# user mode ones by callgrind under the same load; system calls by strace.
# Needs wrk, and valgrind and strace for the last two.

use warnings;
use strict;

use File::Temp qw/ tempdir /;
use FindBin;
use POSIX qw/ sysconf _SC_CLK_TCK /;
use Time::HiRes qw/ usleep /;

my %opt = (rounds => 8, seconds => 2, callgrind => 1, strace => 1,
           connections => 64);

for (@ARGV) {
    /^(\w+)=(\d+)$/ && exists $opt{$1} or die "unknown option $_\n";
    $opt{$1} = $2;
}

my $repo = "$FindBin::Bin/../..";
my $module = $ENV{READINESS_MODULE} // "$repo/build/ngx_readiness_module.so";
my $nginx = $ENV{READINESS_NGINX} // 'nginx';
my $dir = tempdir('readiness-bench-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $first = 18100;
my %pids;

chmod 0755, $dir;

-e $module or $module eq '' or die "$module is not built: run make\n";

for my $tool ('wrk', 'redis-server', $nginx) {
    system("command -v $tool > /dev/null") == 0
        or die "$tool is missing: apt-get install wrk redis-server nginx\n";
}

END {
    my $status = $?;
    kill 'TERM', values %pids;
    for my $pid (values %pids) {
        for (1 .. 100) { kill(0, $pid) or last; usleep(50_000); }
    }
    $? = $status;
}


# --- what is compared --------------------------------------------------------

my $load = $module ? "load_module $module;" : '';

my $headers = <<'EOF';
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options SAMEORIGIN always;
    add_header Referrer-Policy strict-origin-when-cross-origin always;
    add_header Permissions-Policy "geolocation=()" always;
    add_header Cross-Origin-Opener-Policy same-origin always;
    add_header X-Request-Id $request_id always;
EOF

my $stock = <<"EOF";
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Forwarded-For;
    log_format json escape=json '{"time":"\$time_iso8601",'
        '"id":"\$request_id","client":"\$remote_addr",'
        '"peer":"\$realip_remote_addr","method":"\$request_method",'
        '"path":"\$uri","host":"\$host","status":\$status,'
        '"agent":"\$http_user_agent","seconds":\$request_time}';
    access_log $dir/stock.log json buffer=64k flush=1s;
$headers
    proxy_set_header X-Request-Id \$request_id;
    proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto \$scheme;
EOF

my $ours = <<"EOF";
    readiness on;
    readiness_trusted_proxies 127.0.0.1;
    readiness_log $dir/ours.log buffer=64k flush=1s;
    readiness_header Permissions-Policy "geolocation=()";
    readiness_header Cross-Origin-Opener-Policy same-origin;
EOF

sub rate {
    my ($redis) = @_;
    return 'readiness_rate api key=$readiness_client_key '
           . 'rate=1000000r/s burst=1000000' . ($redis && " redis=$redis")
           . ";\n";
}

my $main = "readiness_redis main { server %s; timeout 1s; }\n";

my @cases = (
    { name => 'bare' },
    { name => 'stock without its limit', http => $stock },
    { name => 'stock with limit_req', location => 'limit_req zone=l '
          . 'burst=1000000 nodelay;', http => $stock
          . "limit_req_zone \$binary_remote_addr zone=l:8m rate=1000000r/s;\n" },
    { name => 'module, no limit', module => 1, http => $ours },
    { name => 'module, local limit', module => 1,
      http => $ours . rate(''), location => 'readiness_limit api;' },
    { name => 'module, Redis, unix socket', module => 1, redis => 1,
      http => $ours . sprintf($main, "unix:$dir/redis.sock") . rate('main'),
      location => 'readiness_limit api;' },
    { name => 'module, Redis, tcp', module => 1, redis => 1,
      http => $ours . sprintf($main, '127.0.0.1:' . ($first + 99))
              . rate('main'),
      location => 'readiness_limit api;' },
);


# --- processes ---------------------------------------------------------------

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or return '';
    local $/;
    return scalar <$fh>;
}

sub conf {
    my ($n, $text, $main) = @_;
    my $file = "$dir/$n.conf";
    open my $fh, '>', $file or die "$file: $!";
    print $fh <<"EOF";
$main
pid $dir/$n.pid;
error_log $dir/$n.error warn;
worker_processes 1;
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

sub start {
    my ($n, $text, $main) = @_;
    my $file = conf($n, $text, $main);
    system("$nginx -p $dir -c $file 2>> $dir/start") == 0
        or die "nginx does not start:\n" . slurp("$dir/start");
    for (1 .. 100) { last if slurp("$dir/$n.pid"); usleep(50_000); }
    ($pids{$n}) = slurp("$dir/$n.pid") =~ /(\d+)/;
    my $worker;
    for (1 .. 100) {
        ($worker) = `pgrep -P $pids{$n}` =~ /(\d+)/;
        last if $worker;
        usleep(50_000);
    }
    return $worker;
}

sub cpu {
    my ($pid) = @_;
    my @f = split ' ', (slurp("/proc/$pid/stat") =~ /\) (.*)/)[0];
    return ($f[11] + $f[12]) / sysconf(_SC_CLK_TCK);
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

sub wrk {
    my ($port, $seconds) = @_;
    my $out = `wrk -t1 -c$opt{connections} -d${seconds}s --latency http://127.0.0.1:$port/ 2>&1`;
    my ($n) = $out =~ /(\d+) requests in/;
    my ($rate) = $out =~ m|Requests/sec:\s+([\d.]+)|;
    my ($p99, $unit) = $out =~ /99%\s+([\d.]+)(us|ms|s)/;
    die "wrk said:\n$out" if !$rate;
    die "not all of it was answered 200:\n$out" if $out =~ /Non-2xx/;
    $p99 *= { us => 0.001, ms => 1, s => 1000 }->{$unit};
    return ($n, $rate, $p99);
}

sub median {
    my @v = sort { $a <=> $b } @_;
    return @v % 2 ? $v[$#v / 2] : ($v[@v / 2 - 1] + $v[@v / 2]) / 2;
}


# --- set up ------------------------------------------------------------------

start('app', <<"EOF", '');
    server { listen unix:$dir/app.sock;
             location / { default_type application/json;
                          return 200 '{"application":"answer"}'; } }
EOF

system('redis-server', '--port', $first + 99, '--bind', '127.0.0.1',
       '--unixsocket', "$dir/redis.sock", '--save', '', '--appendonly', 'no',
       '--daemonize', 'yes', '--pidfile', "$dir/redis.pid", '--logfile',
       "$dir/redis.log", '--dir', $dir) == 0 or die "redis-server: $!";
for (1 .. 100) {
    last if -S "$dir/redis.sock" && slurp("$dir/redis.pid") =~ /\d/;
    usleep(50_000);
}
($pids{redis}) = slurp("$dir/redis.pid") =~ /(\d+)/
    or die "redis-server does not start\n";

@cases = grep { !$_->{module} || $module } @cases;

for my $i (0 .. $#cases) {
    my $c = $cases[$i];
    $c->{port} = $first + $i;
    $c->{text} = <<"EOF";
    upstream app { server unix:$dir/app.sock; keepalive 128;
                   keepalive_requests 1000000000; }
    proxy_http_version 1.1;
@{[ $c->{http} // '' ]}
    proxy_set_header Connection "";
    server { listen 127.0.0.1:$c->{port};
             location / { @{[ $c->{location} // '' ]} proxy_pass http://app; } }
EOF
    $c->{load} = $c->{module} ? $load : '';
    $c->{worker} = start("n$i", $c->{text}, $c->{load});
}

wrk($_->{port}, 1) for @cases;


# --- rounds ------------------------------------------------------------------

print STDERR "$opt{rounds} rounds of $opt{seconds} s, ",
    scalar @cases, " configurations\n";

for my $round (1 .. $opt{rounds}) {
    for my $c (@cases) {
        my ($cpu, $redis) = (cpu($c->{worker}), cpu($pids{redis}));
        my ($n, $rate, $p99) = wrk($c->{port}, $opt{seconds});
        push @{$c->{rate}}, $rate;
        push @{$c->{p99}}, $p99;
        push @{$c->{cpu}}, (cpu($c->{worker}) - $cpu) / $n * 1e6;
        push @{$c->{redis_cpu}}, (cpu($pids{redis}) - $redis) / $n * 1e6;
        push @{$c->{ratio}}, $rate / $cases[0]{rate}[-1];
        push @{$c->{to_stock}}, $rate / $cases[2]{rate}[-1] if $cases[2]{rate};
    }
    print STDERR "round $round\n";
}

for my $c (@cases) {
    $c->{private} = private($c->{worker});
    next if !$c->{redis};
    my $links = `ss -xtnp 2>/dev/null`;
    $c->{links} = () = $links
        =~ /(?:redis\.sock|:@{[ $first + 99 ]}\s).*pid=$c->{worker}\b/g;
}

if ($opt{strace} && system('command -v strace > /dev/null') == 0) {
    for my $c (@cases) {
        my $pid = fork() // die "fork: $!";
        if (!$pid) {
            exec('strace', '-c', '-o', "$dir/strace", '-p', $c->{worker})
                or exit 1;
        }
        usleep(500_000);
        my ($n) = wrk($c->{port}, 2);
        kill 'INT', $pid;
        waitpid $pid, 0;
        my ($calls) = slurp("$dir/strace") =~ /\s(\d+)\s+(?:\d+\s+)?total/;
        $c->{calls} = $calls / $n if $calls;
    }
}

kill 'QUIT', delete $pids{"n$_"} for 0 .. $#cases;

if ($opt{callgrind} && system('command -v valgrind > /dev/null') == 0) {
    print STDERR "callgrind\n";
    for my $i (0 .. $#cases) {
        my $c = $cases[$i];
        my $file = conf("g$i", $c->{text}, "$c->{load}\ndaemon off;\n"
                        . "master_process off;");
        my $pid = fork() // die "fork: $!";
        if (!$pid) {
            open STDOUT, '>', '/dev/null';
            open STDERR, '>', "$dir/valgrind";
            exec('valgrind', '--tool=callgrind',
                 "--callgrind-out-file=$dir/cg$i", $nginx, '-p', $dir, '-c',
                 $file) or exit 1;
        }
        $pids{"g$i"} = $pid;
        for (1 .. 200) {
            last if system("curl -s -o /dev/null 127.0.0.1:$c->{port}") == 0;
            usleep(100_000);
        }
        wrk($c->{port}, 1);
        system("callgrind_control -z $pid > /dev/null 2>&1");
        my ($n) = wrk($c->{port}, 4);
        kill 'QUIT', $pid;
        waitpid $pid, 0;
        delete $pids{"g$i"};
        my ($total) = slurp("$dir/cg$i") =~ /^(?:summary|totals): (\d+)/m;
        $c->{instructions} = $total / $n if $total;
    }
}


# --- the table ---------------------------------------------------------------

my $bare = $cases[0];
my ($version) = `$nginx -v 2>&1` =~ m|nginx/(\S+)|;
my ($redis) = `redis-server --version` =~ /v=(\S+)/;

print "nginx $version, Redis $redis, one worker, $opt{connections} ",
      "connections, $opt{rounds} interleaved rounds of $opt{seconds} s\n\n";
print "| configuration | x bare | x stock | p99 ms | nginx us | Redis us ",
      "| instructions | system calls | private KB |\n";
print "|---|---|---|---|---|---|---|---|---|\n";

for my $c (@cases) {
    my $extra = sub {
        my ($key, $form) = @_;
        return '-' if !defined $c->{$key};
        return sprintf($form, $c->{$key}) if $c == $bare;
        return sprintf('%+' . substr($form, 1), $c->{$key} - $bare->{$key});
    };
    printf "| %s | %.3f | %.3f | %.2f | %.1f | %.1f | %s | %s | %s |\n",
        $c->{name}, median(@{$c->{ratio}}),
        median(@{$c->{to_stock} || [0]}), median(@{$c->{p99}}),
        median(@{$c->{cpu}}), median(@{$c->{redis_cpu}}),
        $extra->('instructions', '%.0f'), $extra->('calls', '%.2f'),
        $extra->('private', '%d');
}

print "\nInstructions, system calls and memory are per request and worker; ",
      "below the first line, what is added to bare.\n";
print "bare: ", int(median(@{$bare->{rate}})), " requests per second";
print "; connections to Redis per worker: $_->{links} ($_->{name})"
    for grep { $_->{links} } @cases;
print "\n";
