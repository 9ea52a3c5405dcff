package Readiness;

=head1 How to write a test

    #!/usr/bin/perl

    # Limits counted in this nginx: what a client sees of them.

    use strict;
    use warnings;
    use Test::More;
    use Readiness;

    my $t = Readiness->new;

    $t->conf(<<'CONF')->run;
    readiness_rate api key=$readiness_client_key rate=2r/m;
    readiness_log %%DIR%%/decision.log;
    server {
        listen 127.0.0.1:%%PORT0%%;
        location / {
            readiness on;
            readiness_limit api;
            proxy_pass http://%%APP%%;
        }
    }
    CONF

    is($t->get('/')->status, 200, 'first') for 1 .. 2;
    my $r = $t->get('/');
    is($r->status, 429, 'the third is refused');
    cmp_ok($r->header('Retry-After'), '>=', 1, 'and told when to come back');
    is($t->app->count, 2, 'the application saw two');

    my @lines = $t->wait_lines('decision.log', 3);
    is($lines[2]{'readiness.reason'}, 'rate_limited', 'logged');

    $t->done;

The configuration is the test's text: C<%%PORT0%%> and on, C<%%SOCK0%%>,
C<%%DIR%%>, C<%%REPO%%>, C<%%CERT%% %%KEY%% %%CA%%>, and C<%%APP%% %%REDIS%%
%%FAKE%%> (also C<%%APP1%%> ...), which start what they name. Facts are names: "the
third is refused". Nothing waits by guessing: C<wait_for { ... } $seconds,
'fact'>. C<done> stops everything and states what holds after every test: nginx
left when asked and no process stayed, no alert, crash or sanitizer report
(C<allow(qr/.../)> what the test provokes), every line of every C<readiness_log>
is strict JSON. The other words are below and in L<Readiness::Nginx> (run,
reload, rotate, upgrade, nginx_t), L<Readiness::Client>, L<Readiness::HTTP>,
L<Readiness::H2>, L<Readiness::App>, L<Readiness::Redis> and
L<Readiness::FakeRedis::Server> (the list of misbehaviours).

READINESS_MODULE is the .so ('' for a static build), READINESS_NGINX the binary;
READINESS_KEEP=1 keeps the directory, READINESS_LOG_LEVEL=debug says more,
READINESS_TIME_SCALE stretches all deadlines, READINESS_PRELOAD is LD_PRELOAD of
nginx (libasan), READINESS_WRAPPER a program around it (valgrind),
READINESS_TEST_TIMEOUT the seconds a file may take (300).

=cut

use strict;
use warnings;

use Exporter qw(import);
use File::Path ();
use File::Temp ();
use Test::More ();

use Readiness::App ();
use Readiness::Check qw(alarms parse_metrics);
use Readiness::DNS ();
use Readiness::FakeRedis ();
use Readiness::Log qw(bad_json_lines parse_lines whole_lines);
use Readiness::Process qw(running_in);
use Readiness::Redis ();
use Readiness::Request qw(format_request proxy_v1 proxy_v2);
use Readiness::TLS ();
use Readiness::Topology ();
use Readiness::Util qw(append free_port now pause scaled slurp spew tail
                       tmp_root wait_for);

use parent qw(Readiness::Nginx Readiness::Client);

our @EXPORT = qw(wait_for pause now slurp format_request proxy_v1 proxy_v2);

my (@all, $finished);


# --- the object

sub new {
    my ($class, %o) = @_;

    my $dir = File::Temp::tempdir('rdy-XXXXXXXX', DIR => tmp_root());
    chmod 0755, $dir;

    my $self = bless { dir => $dir, owner => $$, ports => [], values => {},
        logs => {}, masters => {}, allow => [], parts => [], %o }, $class;

    push @all, $self;

    if (@all == 1) {
        $SIG{PIPE} = 'IGNORE';
        $SIG{$_} ||= sub { exit 130 } for qw(INT TERM HUP);
        my $limit = $ENV{READINESS_TEST_TIMEOUT} || $o{timeout} || 300;
        $SIG{ALRM} = sub { die "the test took longer than $limit s\n" };
        alarm scaled($limit);
    }

    return $self;
}

sub dir  { return $_[0]{dir} }
sub path { my ($self, $f) = @_; return $f =~ m{^/} ? $f : "$self->{dir}/$f" }
sub port { my ($self, $i) = @_; return $self->{ports}[$i || 0] ||= free_port() }


# A file in the directory of the test; replaced by rename, as §7 wants it.

sub file {
    my ($self, $name, $text, $mode) = @_;
    my $file = spew($self->path($name), $text);

    chmod $mode, $file if defined $mode;
    return $file;
}


# What %%NAME%% stands for.

sub subst {
    my ($self, %v) = @_;
    $self->{values}{$_} = $v{$_} for keys %v;
    return $self;
}

sub value {
    my ($self, $name) = @_;

    return $self->{values}{$name} if exists $self->{values}{$name};
    return $self->{dir} if $name eq 'DIR';
    return $self->repo if $name eq 'REPO';
    return $self->port($1) if $name =~ /^PORT(\d*)\z/;
    return "$self->{dir}/sock" . ($1 eq '' ? 0 : $1) if $name =~ /^SOCK(\d*)\z/;
    return $self->app($1 || 0)->addr if $name =~ /^APP(\d*)\z/;
    return $self->redis($1 || 0)->addr if $name =~ /^REDIS(\d*)\z/;
    return $self->fake($1 || 0)->addr if $name =~ /^FAKE(\d*)\z/;
    return Readiness::TLS::files()->{ lc $name } if $name =~ /^(CERT|KEY|CA)\z/;

    die "unknown placeholder %%$name%%";
}

sub tls { return Readiness::TLS::files() }


# --- what stands around nginx: made at first use, known by number

sub _part {
    my ($self, $kind, $i, $make) = @_;
    my $part = $self->{$kind}[$i || 0];

    if (!$part) {
        $part = $self->{$kind}[$i || 0] = $make->();
        push @{ $self->{parts} }, $part;
    }

    return $part;
}

sub app {
    my ($self, $i, %o) = @_;
    return $self->_part(app => $i, sub {
        Readiness::App->new(dir => $self->{dir}, name => 'app' . ($i || 0), %o)
    });
}

sub redis {
    my ($self, $i, %o) = @_;
    return $self->_part(redis => $i, sub {
        Readiness::Redis->new(dir => $self->{dir}, name => 'redis' . ($i || 0),
                              %o)
    });
}

sub fake {
    my ($self, $i, %o) = @_;
    return $self->_part(fake => $i, sub {
        Readiness::FakeRedis->new(dir => $self->{dir},
            name => 'fake' . ($i || 0),
            backend => $self->redis($i)->port, %o)
    });
}


sub dns {
    my ($self, $i) = @_;
    return $self->_part(dns => $i, sub {
        Readiness::DNS->new(dir => $self->{dir}, name => 'fakedns' . ($i || 0))
    });
}


# N nodes of a Redis Cluster, redis(FIRST) and on, and a replica of each of N
# masters behind them; a sentinel, redis(I), that watches a master and its
# replicas under a name.

sub cluster {
    my ($self, $first, $n) = @_;
    return Readiness::Topology::join_cluster(
        map { $self->redis($first + $_, cluster => 1) } 0 .. $n - 1);
}

sub replicas {
    my ($self, $first, @masters) = @_;
    return Readiness::Topology::add_replicas(\@masters,
        map { $self->redis($first + $_, cluster => 1) } 0 .. $#masters);
}

sub sentinel {
    my ($self, $i, $name, $master, @more) = @_;
    return $self->redis($i, sentinel => 1,
        conf => [Readiness::Topology::sentinel_conf($name, $master), @more]);
}

# N sentinels, redis(FIRST) and on, most of which have to agree; own => their
# password, password => that of the master.  Ready for a failover.

sub sentinels {
    my ($self, $first, $n, $name, $master, $replicas, %o) = @_;
    my @conf = Readiness::Topology::sentinel_conf($name, $master,
        quorum => int($n / 2) + 1, password => $o{password},
        peers => $o{own});

    my @sentinels = map {
        $self->redis($first + $_, sentinel => 1,
            conf => [@conf, @{ $o{conf} || [] }],
            defined $o{own} ? (password => $o{own}) : ())
    } 0 .. $n - 1;

    # as they do it, but sooner (from Redis 7.0)

    for my $s (@sentinels) {
        $s->cli('SENTINEL', 'DEBUG', 'info-period', 500, 'ask-period', 300,
                'publish-period', 400, 'ping-period', 200);
    }

    Readiness::Topology::agree($name, $replicas, @sentinels);
    return @sentinels;
}


# Any program: (exit code, output).

sub command {
    my ($self, @cmd) = @_;
    return Readiness::Process::command(\@cmd, dir => $self->{dir},
        out => "$self->{dir}/command.out");
}

sub metrics {
    my ($self, $uri, %o) = @_;
    return parse_metrics($self->get($uri, %o)->body);
}


sub fds { my ($self, $pid) = @_; return Readiness::Process::fds($pid) }
sub rss { my ($self, $pid) = @_; return Readiness::Process::rss($pid) }


# --- the decision log

sub lines {
    my ($self, $file, %match) = @_;
    my @lines = parse_lines($self->path($file || 'decision.log'));

    return grep {
        my $l = $_;
        !grep { !defined $l->{$_} || (ref $match{$_}
                    ? $l->{$_} !~ $match{$_} : $l->{$_} ne $match{$_}) }
         keys %match;
    } @lines;
}

# Waits until the file has N whole lines; returns all that are there.

sub wait_lines {
    my ($self, $file, $n, $seconds) = @_;
    my $path = $self->path($file);

    wait_for { whole_lines($path) >= $n } $seconds || 10;
    return $self->lines($file);
}

sub error_log { return slurp("$_[0]{dir}/error.log") }

sub wait_error {
    my ($self, $re, $seconds) = @_;
    return wait_for { $self->error_log =~ $re } $seconds || 10;
}


# --- the end

# Lines of the error log this test causes on purpose.

sub allow { my ($self, @re) = @_; push @{ $self->{allow} }, @re; return $self }

# A log that this test breaks on purpose.

sub allow_bad_lines {
    my ($self, $file) = @_;
    delete $self->{logs}{ $self->path($file) };
    return $self;
}


# Stops everything and states what must hold after every test.

sub finish {
    my ($self) = @_;
    return if $self->{finished}++;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ran = %{ $self->{masters} };
    my $clean = $self->stop;

    if ($ran) {
        Test::More::ok($clean, 'nginx stopped cleanly');
        my @left = running_in($self->{dir});
        my %ours = map { $_->pid => 1 } @{ $self->{parts} };
        Test::More::is(join(' ', grep { !$ours{$_} } @left), '',
                       'no process left behind');
    }

    $_->stop for @{ $self->{parts} };

    my $said = join '', map { slurp($_) } glob "$self->{dir}/{app,fake}*.out";
    Test::More::is($said, '', 'the servers of the test had no errors')
        if @{ $self->{parts} };

    my $text = join "\n", $self->error_log,
        map { slurp($_) } glob "$self->{dir}/stderr.*";
    Test::More::is(join("\n", alarms($text, @{ $self->{allow} })), '',
                   'no alerts, crashes or sanitizer reports');

    for my $log (sort keys %{ $self->{logs} }) {
        my @bad = bad_json_lines($log);
        splice @bad, 10 if @bad > 10;
        my $name = $log =~ s{.*/}{}r;
        Test::More::is(join("\n", @bad), '', "every line of $name is JSON");
    }

    $self->_clean;
    return;
}


# Ends the test file: finish() of every nginx, then the plan.

sub done {
    $_->finish for @all;
    alarm 0;
    $finished = 1;
    return Test::More::done_testing();
}


sub _clean {
    my ($self) = @_;

    $self->kill_all;

    if ($ENV{READINESS_KEEP}) {
        Test::More::diag("kept: $self->{dir}");
    } else {
        File::Path::remove_tree($self->{dir}, { safe => 0 });
    }

    return;
}


END {
    if (!$finished) {
        my $code = $?;
        my @left = grep { $_->{owner} == $$ && !$_->{finished} } @all;

        for my $t (@left) {
            if ($code == 0) {
                $t->finish;
            } else {
                $t->kill_all;
                Test::More::diag("error.log:\n"
                                 . tail("$t->{dir}/error.log", 15));
                $t->{finished} = 1;
                $t->_clean;
            }
        }

        Test::More::done_testing() if $code == 0 && @left
            && !Test::More->builder->has_plan
            && !Test::More->builder->{Done_Testing};
        $? = $code;
    }
}

1;
