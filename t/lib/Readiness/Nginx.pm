package Readiness::Nginx;

# One nginx under test: its configuration, its processes and their signals.

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use File::Copy ();
use Readiness::Process qw(alive children_of command gone resolve_binary
                          running_in spawn stop_pid title_of);
use Readiness::Util qw(append slurp tail wait_for);

my $root = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../..');


# READINESS_WRAPPER="valgrind --trace-children=yes …"

my @wrapper = split ' ', $ENV{READINESS_WRAPPER} || '';
$wrapper[0] = resolve_binary($wrapper[0]) if @wrapper;


# --- what is being tested

sub binary { return resolve_binary($ENV{READINESS_NGINX} || 'nginx') }

sub module {
    my ($self) = @_;
    my ($path) = grep { defined } $self->{module}, $ENV{READINESS_MODULE},
                                  "$root/build/ngx_readiness_module.so";

    return $path eq '' ? '' : Cwd::abs_path($path) || $path;
}

# The same where any user can read it; '' for a static build.

sub module_copy {
    my ($self) = @_;
    my $module = $self->module;
    my $copy = "$self->{dir}/module.so";

    return '' if $module eq '';

    File::Copy::copy($module, $copy) or die "$module: $!\n" if !-e $copy;
    return $copy;
}

sub repo { return $root }

my $built;

sub built {                                         # the text of nginx -V
    my ($self) = @_;
    $built = (command([$self->binary, '-V'], out => "$self->{dir}/V.out"))[1]
        if !defined $built;
    return $built;
}

sub version {                                       # 1.22.1 → 1022001
    my ($self) = @_;
    my ($x, $y, $z) = $self->built =~ m{nginx/(\d+)\.(\d+)\.(\d+)};
    return $x * 1000000 + $y * 1000 + $z;
}

sub has { my ($self, $word) = @_; return $self->built =~ /--with-\Q$word\E\b/ }


# --- configuration

# Is this directive used outside any block of the text?

sub _at_top {
    my ($text, $name) = @_;

    $text =~ s/#.*//g;
    $text =~ s/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/''/gs;
    1 while $text =~ s/\{[^{}]*\}/;/s;

    return $text =~ /(?:^|;)\s*\Q$name\E\s/;
}


sub _config {
    my ($self, $http, %o) = @_;
    my $dir = $self->{dir};
    my $module = defined $o{module} ? $o{module} : $self->module;
    my $level = $o{log_level} || $ENV{READINESS_LOG_LEVEL} || 'info';
    my @top;

    die "the module is not built: $module (make, or READINESS_MODULE)\n"
        if $module ne '' && !-e $module;

    $module = $self->module_copy if $o{as};
    push @top, "load_module $module;" if $module ne '';
    push @top, $o{main} if defined $o{main};
    push @top, 'user ' . ($o{user} || 'root') . ';' if $> == 0;
    push @top, 'worker_processes ' . ($o{workers} || 1) . ';',
        "pid $dir/nginx.pid;", "error_log $dir/error.log $level;";

    my $connections = $o{connections} || 512;
    push @top, "events { worker_connections $connections; "
               . ($o{events} || '') . ' }';

    return $self->_fill(join "\n", @top, '') if !defined $http;

    my @http;
    push @http, 'access_log off;' if !_at_top($http, 'access_log');

    for (qw(client_body proxy fastcgi uwsgi scgi)) {
        push @http, "${_}_temp_path $dir/temp/$_;"
            if !_at_top($http, "${_}_temp_path");
    }

    return $self->_fill(join "\n", @top, 'http {', @http, $http, '}', '');
}


# %%NAME%% → value, for what the harness knows and what subst() was told.

sub _fill {
    my ($self, $text) = @_;
    $text =~ s/%%([A-Z]+[A-Z0-9_]*)%%/$self->value($1)/ge;
    return $text;
}


# conf($http_text, workers => 1, main => '', events => '', user => 'root',
#      log_level => 'info', connections => 512, module => PATH or '')
# raw => 1: the text is the whole file.

sub conf {
    my ($self, $http, %o) = @_;
    my $text = $o{raw} ? $self->_fill($http) : $self->_config($http, %o);

    mkdir "$self->{dir}/temp";
    unlink "$self->{dir}/nginx.conf";
    append("$self->{dir}/nginx.conf", $text);
    $self->{workers} = $text =~ /^\s*worker_processes\s+(\d+)/m ? $1 : 1;
    $self->{single} = $text =~ /^\s*master_process\s+off/m;
    $self->{foreground} = $text =~ /^\s*daemon\s+off/m;

    while ($text =~ /^\s*readiness_log\s+"?([^\s;"]+)/mg) {
        my $log = $1;
        next if $log =~ /^(?:syslog:|stderr$|off$)/ || $log =~ /\$/;
        $log = "$self->{dir}/$log" if $log !~ m{^/};
        $self->{logs}{$log} = 1;
    }

    return $self;
}


sub _cmd {
    my ($self, $file, @more) = @_;
    return [@wrapper, $self->binary, '-p', "$self->{dir}/", '-c', $file,
            '-e', "$self->{dir}/error.log", @more];
}

sub _env {
    my ($self) = @_;
    return { $ENV{READINESS_PRELOAD} ? (LD_PRELOAD => $ENV{READINESS_PRELOAD})
                                     : (), %{ $self->{env} || {} } };
}


# What `nginx -t` says to a configuration: (exit code, text).  A hang is -1.
# Same arguments as conf(); as => 'nobody' runs it as another user.

sub nginx_t {
    my ($self, $http, %o) = @_;
    my $file = "$self->{dir}/nginx-t.conf";

    unlink $file;
    mkdir "$self->{dir}/temp";
    append($file, $o{raw} ? $self->_fill($http) : $self->_config($http, %o));

    my $cmd = $self->_cmd($file, '-t');
    $cmd->[-2] = 'stderr';                          # error.log stays clean
    unshift @$cmd, 'setpriv', "--reuid=$o{as}", '--clear-groups' if $o{as};
    s{^setpriv$}{resolve_binary('setpriv')}e for @$cmd;

    return command($cmd, out => "$self->{dir}/nginx-t.out",
        dir => $self->{dir}, env => $self->_env, timeout => $o{timeout} || 20);
}


# --- processes

sub run {
    my ($self) = @_;
    my $dir = $self->{dir};

    die "nginx runs already" if $self->{pid} && alive($self->{pid});
    unlink "$dir/nginx.pid";

    my ($cmd, %o) = ($self->_cmd("$dir/nginx.conf"), dir => $dir,
        out => "$dir/stderr." . ++$self->{runs}, env => $self->_env);
    my ($code, $text) = (0, '');

    if ($self->{foreground}) { spawn($cmd, %o) }
    else { ($code, $text) = command($cmd, %o, timeout => 30) }

    die "nginx did not start ($code):\n$text" . tail("$dir/error.log", 20)
        if $code != 0;

    wait_for { $self->_master } 15
        or die "nginx is not there:\n" . tail("$dir/error.log", 20);

    $self->{masters}{ $self->{pid} } = 1;
    $self->wait_workers or die "no workers:\n" . tail("$dir/error.log", 20);

    return $self;
}


sub pid { return $_[0]{pid} }

sub _master {
    my ($self) = @_;
    my ($pid) = slurp("$self->{dir}/nginx.pid") =~ /^(\d+)$/;

    return 0 if !$pid || !alive($pid);
    return $self->{pid} = $pid;
}


# Workers that accept connections; all => 1: those on their way out too.

sub workers {
    my ($self, %o) = @_;
    my $title = $o{all} ? qr/worker process/ : qr/worker process$/;
    my @children = children_of($o{of} || $self->{pid});

    return grep { title_of($_) =~ $title } @children if !@wrapper;

    # under valgrind no process can change its title

    my $log = $o{all} ? '' : $self->error_log;
    return grep { $log !~ / $_#\d+: gracefully shutting down/ } @children;
}

sub wait_workers {
    my ($self, $n) = @_;

    return 1 if $self->{single};
    $n ||= $self->{workers};
    return wait_for { $self->workers == $n } 15;
}


# Sends a signal to the master (or to pid).

sub signal {
    my ($self, $sig, $pid) = @_;
    return kill $sig, $pid || $self->{pid};
}


# HUP, until only new workers accept.  False when nginx refused the file.

sub reload {
    my ($self) = @_;
    my %old = map { $_ => 1 } $self->workers(all => 1);
    my $log = "$self->{dir}/error.log";
    my $from = -s $log || 0;
    my $new;

    $self->signal('HUP');

    wait_for {
        my @now = $self->workers;
        $new = @now == $self->{workers} && !grep { $old{$_} } @now;
        $new || substr(slurp($log), $from) =~ /\[emerg\]/;
    } 20;

    return $new ? 1 : 0;
}


# Old workers have ended.

sub wait_old_workers {
    my ($self, $seconds) = @_;
    return wait_for { $self->workers(all => 1) == $self->workers }
        $seconds || 20;
}


# USR1, until every worker has reopened its files.

sub reopen {
    my ($self) = @_;
    my $log = "$self->{dir}/error.log";
    my $from = -s $log || 0;

    $self->signal('USR1');

    return wait_for {
        my %said = map { $_ => 1 }
            substr(slurp($log), $from) =~ /(\d+)#\d+: reopening logs/g;
        !grep { !$said{$_} } $self->workers(all => 1);
    } 15;
}


# Moves a log away, reopens, and returns where the old one is.

sub rotate {
    my ($self, $file) = @_;
    $file = "$self->{dir}/$file" if $file !~ m{^/};

    my $n = 1;
    $n++ while -e "$file.$n";
    rename $file, "$file.$n" or die "rename $file: $!";
    $self->{logs}{"$file.$n"} = 1 if $self->{logs}{$file};
    $self->reopen;

    return "$file.$n";
}


# USR2: (old master, new master), both running; pid() is the new one.

sub upgrade {
    my ($self) = @_;
    my $old = $self->{pid};

    $self->signal('USR2');

    wait_for {
        $self->_master && $self->{pid} != $old
            && $self->workers == $self->{workers};
    } 20 or die "no new master:\n" . tail("$self->{dir}/error.log", 20);

    $self->{masters}{ $self->{pid} } = 1;
    return ($old, $self->{pid});
}


# QUIT and, only if it does not obey, TERM and KILL: true when QUIT was enough.

sub stop {
    my ($self, $seconds) = @_;
    my $clean = 1;

    for my $pid (grep { alive($_) } keys %{ $self->{masters} }) {
        $clean = 0 if !stop_pid($pid, $seconds || 15, 'QUIT', 'TERM', 'KILL');
    }

    return $clean;
}

sub restart { my ($self) = @_; $self->stop; return $self->run }


# For the end of a test that died.

sub kill_all {
    my ($self) = @_;

    stop_pid($_, 2, 'TERM', 'KILL')
        for grep { alive($_) } keys %{ $self->{masters} };
    stop_pid($_, 2, 'KILL') for running_in($self->{dir});

    return;
}

1;
