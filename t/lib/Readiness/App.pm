package Readiness::App;

# The application behind the proxy.  It answers 200 with a JSON echo of what it
# received, and writes every request down, so that tests can see and count them.
#
# A request may choose its answer, by header X-App-NAME or argument app_NAME:
#   status=404  reason=X  type=text/html  body=TEXT  length=N (N bytes 'x')
#   header=Name:%20value (repeatable)  delay=MS  chunked=1  accel=URI
#   broken=close|reset|short|garbage|hang|early  (early: before the body)
#   drip=MS  the body byte by byte, one in so many ms
#   upgrade=1  101; whatever comes then is sent back
# A test may fix the answer of a path: $app->set('/x' => { status => 503, … })
# with the same names (headers => [[N, V], …]), or pass handler => sub { … },
# called in the server with the request and returning such a hash or undef.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use JSON::XS ();
use Readiness::Loop ();
use Readiness::Process qw(fork_child stop_pid);
use Readiness::Util qw(append free_port listener slurp spew);
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

my $json = JSON::XS->new->ascii->canonical;         # bytes in, bytes out


sub new {
    my ($class, %o) = @_;
    my $self = bless { port => free_port(), set => {}, %o }, $class;

    my $name = $o{name} || "app$self->{port}";
    $self->{record} = "$o{dir}/$name.requests";
    $self->{control} = "$o{dir}/$name.answers";
    append($self->{record}, '');

    my $listen = listener($self->{port});
    $self->{pid} = fork_child(sub { $self->_serve($listen) }, dir => $o{dir},
        out => "$o{dir}/$name.out", keep => [$listen]);
    close $listen;

    return $self;
}

sub port { return $_[0]{port} }
sub addr { return "127.0.0.1:$_[0]{port}" }
sub pid  { return $_[0]{pid} }
sub stop { return stop_pid($_[0]{pid}) }


# All requests so far, oldest first: method, uri, headers, body_length, at (in
# seconds of the machine's clock), …

sub requests {
    my ($self, $uri) = @_;
    my @all = map { $json->decode($_) } split /\n/, slurp($self->{record});

    return grep { !defined $uri || $_->{uri} =~ $uri } @all;
}

sub count { return scalar(my @r = $_[0]->requests($_[1])) }
sub last  { return ($_[0]->requests($_[1]))[-1] }
sub clear { truncate $_[0]{record}, 0; return }


# From the next request on; undef gives the path back to the echo.

sub set {
    my ($self, $path, $answer) = @_;

    $self->{set}{$path} = $answer;
    delete $self->{set}{$path} if !defined $answer;
    spew($self->{control}, $json->encode($self->{set}));

    return;
}


# --- in the server process

sub _serve {
    my ($self, $listen) = @_;
    my $loop = $self->{loop} = Readiness::Loop->new;
    my $n = 0;

    open $self->{out}, '>>:raw', $self->{record} or die $!;
    $self->{out}->autoflush(1);

    $loop->watch($listen, sub {
        while (my $fh = $listen->accept) {
            $fh->blocking(0);
            setsockopt $fh, IPPROTO_TCP, TCP_NODELAY, 1;
            my $c = { fh => $fh, in => '', out => '', id => ++$n, seq => 0 };
            $loop->watch($fh, sub { $self->_read($c) });
        }
    });

    return $loop->run;
}


sub _drop {
    my ($self, $c, $hard) = @_;

    return if !$c->{fh};
    $self->{loop}->watch($c->{fh});
    setsockopt $c->{fh}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $hard;
    close delete $c->{fh};

    return;
}


sub _read {
    my ($self, $c) = @_;
    my $n = $self->{loop}->take($c->{fh}, \$c->{in});

    return $self->_drop($c) if $n == 0;

    if ($c->{raw}) {
        my $bytes = $c->{in};
        $c->{in} = '';
        return $self->_send($c, $bytes);
    }

    return $self->_next($c);
}


# The next whole request, if it is there and none is being answered.

sub _next {
    my ($self, $c) = @_;

    return if $c->{busy} || !$c->{fh};

    if (!$c->{req}) {
        $c->{in} =~ s/^(.*?)\r?\n\r?\n//s or return;
        my ($first, @lines) = split /\r?\n/, $1;
        my ($method, $uri, $version) = $first =~ /^(\S+) (.*) HTTP\/(\S+)\z/s;

        $c->{req} = {
            method => $method, uri => $uri, version => $version, body => '',
            headers => [map { [/^([^:]*):[ \t]*(.*?)[ \t]*\z/s] } @lines] };

        my $early = $self->_wish($c->{req}, 'broken') || '';
        return $self->_answer($c) if $early eq 'early';

        my $expect = _header($c->{req}, 'Expect') || '';
        $self->_send($c, "HTTP/1.1 100 Continue\r\n\r\n")
            if lc $expect eq '100-continue';
    }

    return if !_body($c, $c->{req});
    return $self->_answer($c);
}


sub _header {
    my ($req, $name) = @_;
    my @v = map { $_->[1] }
            grep { lc $_->[0] eq lc $name } @{ $req->{headers} };
    return wantarray ? @v : $v[0];
}


sub _body {
    my ($c, $req) = @_;
    my $te = _header($req, 'Transfer-Encoding');

    if (!defined $te) {
        my $want = _header($req, 'Content-Length') || 0;
        return 0 if length $c->{in} < $want;
        $req->{body} = substr $c->{in}, 0, $want, '';
        return 1;
    }

    while (1) {
        $c->{in} =~ /^([0-9a-f]+)[^\n]*\n/i or return 0;
        my ($size, $skip) = (hex $1, $+[0]);
        return 0 if length $c->{in} < $skip + $size + 2;

        $req->{body} .= substr $c->{in}, $skip, $size;
        substr $c->{in}, 0, $skip + $size + 2, '';
        return 1 if $size == 0;
    }
}


# What the request wishes for: X-App-Name, or the argument app_name.

sub _wish {
    my ($self, $req, $name) = @_;
    my @v = _header($req, "X-App-$name");

    while ($req->{uri} =~ /[?&]app_\Q$name\E=([^&#]*)/g) {
        my $v = $1;
        $v =~ s/%([0-9a-f]{2})/chr hex $1/gei;
        push @v, $v;
    }

    return wantarray ? @v : $v[0];
}


sub _plan {
    my ($self, $req) = @_;
    my ($path) = $req->{uri} =~ /^([^?]*)/;
    my $mark = join ',', map { defined $_ ? $_ : '' }
                         (stat $self->{control})[1, 7, 9];

    if (!defined $self->{mark} || $self->{mark} ne $mark) {
        $self->{mark} = $mark;
        my $text = slurp($self->{control});
        $self->{set} = $text eq '' ? {} : $json->decode($text);
    }

    my %plan = %{ $self->{set}{$path} || {} };
    my $made = $self->{handler} ? $self->{handler}->($req) : undef;
    %plan = (%plan, %$made) if $made;

    for (qw(status reason type body length delay chunked accel broken
                drip upgrade)) {
        my $v = $self->_wish($req, $_);
        $plan{$_} = $v if defined $v;
    }

    push @{ $plan{headers} }, map { [/^([^:]*):\s*(.*)\z/s] }
                              $self->_wish($req, 'header');
    return \%plan;
}


sub _answer {
    my ($self, $c) = @_;
    my $req = delete $c->{req};
    my $body = $req->{body};

    $c->{busy} = 1;

    my %echo = (
        method => $req->{method}, uri => $req->{uri},
        version => $req->{version}, headers => $req->{headers},
        body_length => length $body, body_sha256 => sha256_hex($body),
        conn => $c->{id}, seq => ++$c->{seq}, at => time,
        length $body <= 65536 ? (body_hex => unpack 'H*', $body) : ());

    my $line = $json->encode(\%echo);
    syswrite $self->{out}, "$line\n";

    my $plan = $self->_plan($req);
    $plan->{body} = $line if !defined $plan->{body};
    $plan->{body} = 'x' x $plan->{length} if defined $plan->{length};

    my $close = lc(_header($req, 'Connection') || '') eq 'close'
                || $req->{version} eq '1.0';

    my $go = sub { $self->_emit($c, $req, $plan, $close) };

    return $self->{loop}->after($plan->{delay} / 1000, $go) if $plan->{delay};
    return $go->();
}


sub _emit {
    my ($self, $c, $req, $plan, $close) = @_;
    my $broken = $plan->{broken} || '';
    my $status = $plan->{status} || 200;
    my $body = $plan->{body};

    return if !$c->{fh} || $broken eq 'hang';
    return $self->_drop($c, $broken eq 'reset')
        if $broken =~ /^(close|reset)\z/;

    if ($plan->{upgrade}) {
        $c->{raw} = 1;
        return $self->_send($c, "HTTP/1.1 101 Switching Protocols\r\n"
            . "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    }

    my $type = $plan->{type} || 'application/json';
    my $out = "HTTP/1.1 $status " . ($plan->{reason} || 'App') . "\r\n";

    $out .= "Content-Type: $type\r\n" if $type ne 'none';
    $out .= "X-Accel-Redirect: $plan->{accel}\r\n" if defined $plan->{accel};
    $out .= "$_->[0]: $_->[1]\r\n" for @{ $plan->{headers} };
    $out .= "Connection: close\r\n" if $close;

    my $none = $status == 204 || $status == 304;
    my $length = length($body) + ($broken eq 'short' ? 100 : 0);

    if ($plan->{chunked}) {
        $out .= "Transfer-Encoding: chunked\r\n";
        $body = join '', map({ sprintf "%x\r\n%s\r\n", length $_, $_ }
                             $body =~ /(.{1,1000})/gs), "0\r\n\r\n";
    } elsif (!$none) {
        $out .= "Content-Length: $length\r\n";
    }

    $out .= "\r\n";
    $out .= $body if !$none && $req->{method} ne 'HEAD';
    $out = "\x16\x03garbage\0\n\n" if $broken eq 'garbage';

    $c->{last} = $close || $broken ne '';
    return $self->_drip($c, $plan->{drip}, $out) if $plan->{drip};
    return $self->_send($c, $out, 1);
}


# The header at once, then a byte of the body at a time.

sub _drip {
    my ($self, $c, $ms, $out) = @_;
    my $n = index($out, "\r\n\r\n") + 4;
    my $more = sub {
        my ($again) = @_;
        my $bytes = substr $out, 0, $n, '';

        return if !$c->{fh};
        return $self->_send($c, $bytes, 1) if $out eq '';
        $self->_send($c, $bytes);
        $n = 1;
        return $self->{loop}->after($ms / 1000, sub { $again->($again) });
    };

    return $more->($more);
}


sub _send {
    my ($self, $c, $bytes, $final) = @_;

    $c->{out} .= $bytes;

    my $push = sub {
        while ($c->{fh} && $c->{out} ne '') {
            my $n = $self->{loop}->give($c->{fh}, \$c->{out});
            return $self->_drop($c) if !defined $n;
            return if $n < 0;
        }

        return if !$c->{fh};
        $self->{loop}->watch($c->{fh}, sub { $self->_read($c) });

        return if !$final;
        return $self->_drop($c) if $c->{last};
        $c->{busy} = 0;
        $self->_next($c);
    };

    $self->{loop}->watch($c->{fh}, sub { $self->_read($c) }, $push);
    return $push->();
}

1;
