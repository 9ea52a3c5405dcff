package Readiness::Redis;

# A real redis-server for one test.

use strict;
use warnings;

use Readiness::Process qw(alive resolve_binary spawn stop_pid);
use Readiness::RESP ();
use Readiness::Util qw(append free_port pause slurp wait_for);


# dir => where it lives; name; password => requirepass; conf => [lines];
# tls => { cert, key, ca }; sentinel => 1; cluster => 1; start => 0;
# env => { NAME => VALUE }.

sub new {
    my ($class, %o) = @_;
    my $port = free_port();
    my $name = $o{name} || "redis$port";
    my $self = bless { %o, port => $port, name => $name,
                       home => "$o{dir}/$name" }, $class;

    mkdir $self->{home};
    $self->{conf_file} = "$self->{home}/redis.conf";
    $self->{unix} = "$self->{home}/sock";

    my @conf = ('bind 127.0.0.1', 'daemonize no', "dir $self->{home}",
        "pidfile $self->{home}/pid", "unixsocket $self->{unix}",
        'unixsocketperm 777', 'tcp-backlog 511');

    push @conf, 'save ""', 'appendonly no', 'repl-diskless-sync-delay 0'
        if !$o{sentinel};
    push @conf, "requirepass $o{password}" if defined $o{password};

    if ($o{cluster}) {
        $self->{bus} = free_port();
        push @conf, 'cluster-enabled yes', 'cluster-config-file nodes.conf',
            'cluster-node-timeout 2000', "cluster-port $self->{bus}";
    }

    if (my $tls = $o{tls}) {
        $self->{tls_port} = free_port();
        push @conf, "tls-port $self->{tls_port}", "tls-cert-file $tls->{cert}",
            "tls-key-file $tls->{key}", "tls-ca-cert-file $tls->{ca}",
            'tls-auth-clients ' . ($tls->{verify} ? 'yes' : 'no');
    }

    push @conf, "port $port", @{ $o{conf} || [] };
    append($self->{conf_file}, join "\n", @conf, '');

    $self->start if !defined $o{start} || $o{start};
    return $self;
}

sub port     { return $_[0]{port} }
sub tls_port { return $_[0]{tls_port} }
sub bus      { return $_[0]{bus} }
sub addr     { return "127.0.0.1:$_[0]{port}" }
sub sock     { return $_[0]{unix} }
sub pid      { return $_[0]{pid} }


sub start {
    my ($self) = @_;
    my $from = -s "$self->{home}/out" || 0;
    my $up = $self->_start;

    # the kernel may need a moment to take the port from one that was killed

    for (1 .. 20) {
        last if $up || substr(slurp("$self->{home}/out"), $from) !~
                       /Address already in use/;
        pause(0.02);
        $from = -s "$self->{home}/out";
        $up = $self->_start;
    }

    die "redis-server does not answer:\n"
        . substr slurp("$self->{home}/out"), $from if !$up;

    return $self;
}

sub _start {
    my ($self) = @_;
    my $binary = resolve_binary($ENV{READINESS_REDIS} || 'redis-server');

    $self->{pid} = spawn(
        [$binary, $self->{conf_file}, $self->{sentinel} ? '--sentinel' : ()],
        out => "$self->{home}/out", dir => $self->{dir},
        env => $self->{env} || {});

    my $up = wait_for {
        return 1 if !alive($self->{pid});
        my $pong = $self->_client(timeout => 2)->cmd('PING');
        $pong eq 'PONG' || $pong =~ /^(NOAUTH|NOPERM|LOADING)/;
    } 20;

    return $up && alive($self->{pid});
}


sub _client {
    my ($self, %o) = @_;
    return Readiness::RESP->new(port => $self->{port}, %o,
        defined $self->{password} ? (password => $self->{password}) : ());
}


# A connection of one's own, and one kept for cli().

sub client { my ($self, %o) = @_; return $self->_client(%o) }

sub cli {
    my ($self, @cmd) = @_;
    my $reply;

    for (1, 2) {                                    # once more after a restart
        $self->{cli} ||= $self->_client;
        $reply = $self->{cli}->cmd(@cmd);
        last if !ref $reply || $reply !~ /^client: (closed|reset|connect)/;
        delete $self->{cli};
    }

    return $reply;
}


sub keys {
    my ($self, $pattern) = @_;
    my $r = $self->cli('KEYS', defined $pattern ? $pattern : '*');
    return ref $r eq 'ARRAY' ? sort @$r : ();
}

sub flush { return $_[0]->cli('FLUSHALL') }


# INFO as a hash; commandstats => { evalsha => calls, … }.

sub info {
    my ($self, $section) = @_;
    return { $self->cli('INFO', $section || 'all') =~ /^(\w+):(.*?)\r$/mg };
}

sub calls {
    my ($self, $command) = @_;
    my $stat = $self->info('commandstats')->{'cmdstat_' . lc $command} || '';
    return $stat =~ /calls=(\d+)/ ? $1 : 0;
}


sub freeze { kill 'STOP', $_[0]{pid}; return }      # alive, but silent
sub thaw   { kill 'CONT', $_[0]{pid}; return }

sub kill   { my ($self) = @_; return $self->_end('KILL') }
sub stop   { my ($self) = @_; return $self->_end('TERM', 'KILL') }

sub restart { my ($self) = @_; $self->kill; return $self->start }


sub _end {
    my ($self, @signals) = @_;

    delete $self->{cli};
    return stop_pid($self->{pid}, 5, @signals);
}

1;
