#!/usr/bin/perl

# The module with nothing to do, loaded in odd ways (E10), and what nginx -t
# leaves alone (E11).

use strict;
use warnings;

use Test::More;

use Readiness;
use Readiness::Process qw(resolve_binary);
use Readiness::Util qw(slurp);

my $t = Readiness->new;

my $full = <<'CONF';
    readiness_zone 64k;
    readiness_redis main { server %%FAKE%%; }
    readiness_redis host { server localhost:%%PORT9%%; }
    readiness_rate near key=$remote_addr rate=2r/d;
    readiness_rate far key=$remote_addr rate=2r/m redis=main;
    readiness_log %%DIR%%/decision.log;
    server {
        listen 127.0.0.1:%%PORT0%%;
        readiness on;
        location /near { readiness_limit near; proxy_pass http://%%APP%%; }
        location /far { readiness_limit far; proxy_pass http://%%APP%%; }
        location / { proxy_pass http://%%APP%%; }
    }
CONF

alone();
odd();
test_only();

$t->done;


# Starts, says nothing bad, serves if there is something to serve, and leaves.

sub starts {
    my ($name, $http, %o) = @_;
    my $u = Readiness->new;

    $u->conf($http, %o);
    ok(eval { $u->run; 1 }, "E10 starts with $name") or diag($@);
    is($u->get('/')->status, 204, "E10 serves with $name")
        if defined $http && $http =~ /PORT0/;
    ok($u->reload, "E10 reloads with $name");
    $u->finish;
}


sub alone {
    my $server = 'server { listen 127.0.0.1:%%PORT0%%; return 204; }';

    starts('no directive', $server);
    starts('no http block', undef);
    starts('an empty http block', '');
    starts('a switch nobody uses', "readiness off;\n$server");
    starts('a switch and no server', 'readiness on;');
    starts('things declared that nobody uses', <<"CONF" . $server);
        readiness_zone 64k;
        readiness_redis main { server 127.0.0.1:1; }
        readiness_rate a key=b rate=1r/s redis=main;
        readiness_policy p { readiness on; readiness_limit a; }
        readiness_log %%DIR%%/decision.log buffer=4k;
CONF
    starts('three workers', $server, workers => 3);

    SKIP: {
        my ($dir) = $t->built =~ /--modules-path=(\S+)/;
        my $stream = ($dir || '') . '/ngx_stream_module.so';
        my $static = $t->built =~ /--with-stream(?:\s|$)/;
        skip "there is no stream module ($stream)", 2
            if !$static && !-e $stream;

        my $u = Readiness->new;
        my $load = $static ? '' : "load_module $stream;";
        $u->conf(undef, main => $load
            . 'stream { server { listen 127.0.0.1:%%PORT0%%; return ok; } }');
        ok(eval { $u->run; 1 }, 'E10 starts with stream only') or diag($@);
        ok($u->reload, 'E10 reloads with stream only');
        $u->finish;
    }
}


sub odd {
    SKIP: {
        my $so = $t->module;
        skip 'a static build loads nothing', 4 if $so eq '';

        my ($code, $out) = $t->nginx_t('', main => "load_module $so;");
        is($code, 1, 'E10 loading it twice is refused');
        like($out, qr/module "ngx_readiness_module" is already loaded/,
             'E10 and said');

        # beside whichever other module there is, before and behind it

        my ($dir) = $t->built =~ /--modules-path=(\S+)/;
        my ($other) = glob(($dir || '/none') . '/ngx_http_*_filter_module.so');
        skip 'there is no other dynamic http filter here', 2 if !$other;

        for my $order ([$other, $so], [$so, $other]) {
            my $text = join '', map { "load_module $_;\n" } @$order;
            ($code, $out) = $t->nginx_t($text . 'events { } pid %%DIR%%/pid; '
                . 'http { readiness on; server { listen 127.0.0.1:1; } }',
                raw => 1);
            my ($first) = $order->[0] =~ m{([^/]+)\z};
            is($code, 0, "E10 $first first") or diag($out);
        }
    }
}


# E11: nginx -t beside a running nginx of the same configuration.

sub test_only {
    $t->conf($full)->run;

    is($t->get('/near')->status, 200, 'a request is charged');
    is($t->get('/far')->status, 200, 'and one in Redis');
    $t->wait_lines('decision.log', 2);

    my $size = -s $t->path('decision.log');
    my $inode = (stat $t->path('decision.log'))[1];
    my $connections = $t->fake->stats->{accepted};

    my ($code, $out) = $t->nginx_t($full);

    is($code, 0, 'E11 nginx -t succeeds beside a running nginx') or diag($out);
    is($t->fake->stats->{accepted}, $connections, 'E11 Redis saw nobody');
    is(-s $t->path('decision.log'), $size, 'E11 the log is not cut off');
    is((stat $t->path('decision.log'))[1], $inode, 'E11 nor another file');
    is($t->get('/near')->status, 200, 'E11 the counter stands: second of two');
    is($t->get('/near')->status, 429, 'E11 and the third is refused');

    traced();
    somebody_else();
}


# The system calls themselves, where the kernel lets one look.

sub traced {
    my $strace = resolve_binary('strace');
    my $file = $t->path('trace');

    SKIP: {
        skip 'there is no strace', 2 if !-x $strace;
        my @trace = ($strace, '-f', '-e', 'trace=connect,sendto,sendmsg', '-o',
                     $file);
        my ($code, $out) = $t->command(@trace, '/bin/true');
        skip "strace may not trace here: $out", 2 if $code != 0;

        ($code, $out) = $t->command(@trace, $t->binary, '-t', '-e', 'stderr',
            '-p', $t->dir . '/', '-c', $t->path('nginx-t.conf'));
        is($code, 0, 'E11 nginx -t succeeds under strace') or diag($out);
        is(join('', grep { /sa_family=AF_INET/ } split /^/m, slurp($file)), '',
           'E11 no address is connected to or sent to');
    }
}


sub somebody_else {
    SKIP: {
        skip 'only root can become another user', 3 if $> != 0;

        my $dir = $t->path('theirs');
        mkdir $dir;
        chmod 0777, $dir;

        my $text = "pid $dir/pid; error_log stderr; events { } "
            . join '', map({ "${_}_temp_path $dir/$_; " } qw(client_body proxy
            fastcgi uwsgi scgi)), 'access_log off; ' . $full;
        $text =~ s/events \{ \}/events { } http {/;
        $text =~ s/%%DIR%%/$dir/;
        $text = 'load_module ' . $t->module_copy . "; $text"
            if $t->module ne '';

        my ($code, $out) = $t->nginx_t("$text }", raw => 1, as => 'nobody');
        is($code, 0, 'E11 as another user, where that one may write')
            or diag($out);

        ($code, $out) = $t->nginx_t($full, as => 'nobody');
        like($out, qr/decision\.log" in "readiness_log" cannot be opened for w/,
             'E11 and where not, it says so');
        like($out, qr/Permission denied\) in \S+nginx-t\.conf:\d+$/m,
             'E11 with the reason and the line');
    }
}
