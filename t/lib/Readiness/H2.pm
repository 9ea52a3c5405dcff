package Readiness::H2;

# An HTTP/2 client on bare frames: it keeps the rules by default and breaks any
# of them when told to.

use strict;
use warnings;

use Readiness::HPACK qw(encode_headers);
use Readiness::HTTP ();
use Readiness::Response ();
use Readiness::Util qw(now scaled);

use constant { DATA => 0, HEADERS => 1, PRIORITY => 2, RST => 3, SETTINGS => 4,
    PUSH => 5, PING => 6, GOAWAY => 7, WINDOW => 8, CONTINUATION => 9 };
use constant { END_STREAM => 1, ACK => 1, END_HEADERS => 4, PADDED => 8 };


# port, host, unix, tls, bind, proxy, timeout as Readiness::HTTP;
# settings => { id => value }; window => 0: never opens a window again.

sub new {
    my ($class, %o) = @_;
    my $conn = Readiness::HTTP->new(%o, $o{tls} ? (alpn => ['h2']) : ());

    my $self = bless {
        conn => $conn, hpack => Readiness::HPACK->new, next => 1,
        streams => {}, send_window => 65535, initial => 65535,
        window => defined $o{window} ? $o{window} : 1,
        timeout => $o{timeout} || 15, host => $o{authority} || 'localhost',
        scheme => $o{tls} ? 'https' : 'http', frames => [] }, $class;

    $conn->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                 . $self->frame_bytes(SETTINGS, 0, 0, join '', map {
                       pack 'nN', $_, $o{settings}{$_}
                   } sort keys %{ $o{settings} || {} }));

    return $self;
}

sub conn   { return $_[0]{conn} }
sub close  { $_[0]{conn}->close; return }
sub reset  { $_[0]{conn}->reset; return }
sub error  { return $_[0]{conn}->error }
sub frames { return $_[0]{frames} }     # all received: [type, flags, id, bytes]

# { last => id, code => N } once the server said GOAWAY.

sub went_away { return $_[0]{goaway} }


sub frame_bytes {
    my ($self, $type, $flags, $id, $payload) = @_;
    my $len = length $payload;
    return pack('CnCCN', $len >> 16, $len & 0xffff, $type, $flags, $id)
           . $payload;
}

sub frame { my $self = shift; return $self->bytes($self->frame_bytes(@_)) }
sub bytes { my ($self, $bytes) = @_; return $self->{conn}->write($bytes) }


# Opens a stream and returns its id.  headers => [n => v, …] after the pseudo
# headers; pseudo => [...] instead of the usual four; body => BYTES or
# end => 0 to leave the stream open; split => N: HEADERS of N bytes and
# CONTINUATION; hold => 1 returns (id, bytes) and sends nothing.

sub open {
    my ($self, $method, $path, %o) = @_;
    my $id = $self->{next};
    $self->{next} += 2;

    my @pseudo = $o{pseudo} ? @{ $o{pseudo} } : (
        ':method' => $method, ':path' => $path,
        ':scheme' => $o{scheme} || $self->{scheme},
        ':authority' => defined $o{host} ? $o{host} : $self->{host});

    my $block = encode_headers(@pseudo,
                               map { ref ? @$_ : $_ } @{ $o{headers} || [] });
    my $end = defined $o{end} ? $o{end} : !defined $o{body};
    my $flags = $end ? END_STREAM : 0;
    my $size = $o{split} || 16384;

    my @part = (substr $block, 0, $size, '');
    push @part, substr $block, 0, $size, '' while $block ne '';

    my $bytes = '';
    for my $i (0 .. $#part) {
        $bytes .= $self->frame_bytes($i ? CONTINUATION : HEADERS,
            ($i ? 0 : $flags) | ($i == $#part ? END_HEADERS : 0),
            $id, $part[$i]);
    }

    $self->{streams}{$id} = { send_window => $self->{initial},
        method => $method, body => '', interim => [], trailers => [],
        start => now() };

    return ($id, $bytes) if $o{hold};

    $self->bytes($bytes);
    $self->data($id, $o{body}) if defined $o{body};

    return $id;
}


# Sends DATA as far as the windows allow, waiting for more; end => 0 leaves the
# stream open, pad => N pads each frame, force => 1 ignores windows.

sub data {
    my ($self, $id, $bytes, %o) = @_;
    my $s = $self->{streams}{$id};
    my $until = now() + scaled($self->{timeout});
    my $end = defined $o{end} ? $o{end} : 1;
    my $pad = $o{pad} || 0;
    my $extra = $pad ? $pad + 1 : 0;

    while (1) {
        my $n = length $bytes;
        $n = 16384 - $extra if $n > 16384 - $extra;

        if (!$o{force}) {
            for my $w ($self->{send_window}, $s->{send_window}) {
                $n = $w - $extra if $n > $w - $extra;
            }
        }

        if ($n <= 0 && length $bytes) {
            return 0 if $s->{done} || !$self->_step($until);
            next;
        }

        my $part = substr $bytes, 0, $n, '';
        my $last = $bytes eq '' && $end;

        my $flags = ($last ? END_STREAM : 0) | ($pad ? PADDED : 0);
        $part = chr($pad) . $part . "\0" x $pad if $pad;
        $self->frame(DATA, $flags, $id, $part) or return 0;

        $self->{send_window} -= $n + $extra;
        $s->{send_window} -= $n + $extra;

        return 1 if $bytes eq '';
    }
}


sub rst {
    my ($self, $id, $code) = @_;
    $self->{streams}{$id}{done} = 'reset by us';
    return $self->frame(RST, 0, $id, pack 'N', defined $code ? $code : 8);
}

sub goaway {
    my ($self, $last, $code) = @_;
    return $self->frame(GOAWAY, 0, 0, pack 'NN', $last || 0, $code || 0);
}

sub settings {
    my ($self, %s) = @_;
    return $self->frame(SETTINGS, 0, 0,
                        join '', map { pack 'nN', $_, $s{$_} } sort keys %s);
}

sub open_window {
    my ($self, $id, $n) = @_;
    return $self->frame(WINDOW, 0, $id, pack 'N', $n);
}


# A PING and its answer: all that was sent before has been read by the server.

sub ping {
    my ($self) = @_;
    my $mark = pack 'N2', 0x726479, ++$self->{pings};
    my $until = now() + scaled($self->{timeout});

    $self->frame(PING, 0, 0, $mark);
    while (!$self->{pong}{$mark}) { $self->_step($until) or return 0 }

    return 1;
}


# wait($id): the response of a stream; wait_all(@ids): of each.

sub wait {
    my ($self, $id, %o) = @_;
    my $s = $self->{streams}{$id};
    my $until = now() + scaled($o{timeout} || $self->{timeout});

    while (!$s->{done}) { $self->_step($until) or last }

    my %h = map { @$_ } grep { $_->[0] =~ /^:/ } @{ $s->{headers} || [] };
    my $error = !$s->{done} ? $self->error || 'timeout'
              : $s->{done} eq 'end' ? '' : $s->{done};

    return Readiness::Response->new(
        status => $error eq '' || $s->{headers} ? $h{':status'} || 0 : 0,
        version => '2', error => $error, body => $s->{body},
        raw => $s->{body}, code => $s->{code},
        interim => $s->{interim}, trailers => $s->{trailers},
        seconds => now() - $s->{start},
        headers => [grep { $_->[0] !~ /^:/ } @{ $s->{headers} || [] }]);
}

sub wait_all { my ($self, @ids) = @_; return map { $self->wait($_) } @ids }


sub request {
    my ($self, $method, $path, %o) = @_;
    return $self->wait(scalar $self->open($method, $path, %o), %o);
}

sub get { my ($self, $path, %o) = @_; return $self->request('GET', $path, %o) }


# Reads and handles one frame: false at the end, an error or the deadline.

sub _step {
    my ($self, $until) = @_;
    my $conn = $self->{conn};

    while (length $conn->{in} < 9) { $conn->fill($until) or return 0 }

    my ($hi, $lo, $type, $flags, $id) = unpack 'CnCCN', $conn->{in};
    my $len = ($hi << 16) + $lo;
    $id &= 0x7fffffff;

    while (length $conn->{in} < 9 + $len) { $conn->fill($until) or return 0 }

    my $payload = substr $conn->{in}, 0, 9 + $len, '';
    substr $payload, 0, 9, '';

    push @{ $self->{frames} }, [$type, $flags, $id, $payload];
    shift @{ $self->{frames} } if @{ $self->{frames} } > 20000;

    $self->_handle($type, $flags, $id, $payload);
    return 1;
}


sub _handle {
    my ($self, $type, $flags, $id, $p) = @_;
    my $s = $id ? $self->{streams}{$id} ||= { body => '' } : undef;

    if ($type == SETTINGS && !($flags & ACK)) {
        while (my ($k, $v) = unpack 'nN', substr $p, 0, 6, '') {
            $self->{peer}{$k} = $v;
            next if $k != 4;
            $_->{send_window} += $v - $self->{initial}
                for values %{ $self->{streams} };
            $self->{initial} = $v;
        }
        $self->frame(SETTINGS, ACK, 0, '');

    } elsif ($type == PING) {
        if ($flags & ACK) { $self->{pong}{$p} = 1 }
        else              { $self->frame(PING, ACK, 0, $p) }

    } elsif ($type == GOAWAY) {
        @{ $self->{goaway} }{qw(last code)} = unpack 'NN', $p;
        for my $open (grep { $_ > $self->{goaway}{last} }
                      keys %{ $self->{streams} })
        {
            $self->{streams}{$open}{done} ||= 'refused stream';
        }

    } elsif ($type == WINDOW) {
        ($id ? $s : $self)->{send_window} += unpack 'N', $p;

    } elsif ($type == RST) {
        $s->{code} = unpack 'N', $p;
        $s->{done} ||= $s->{code} == 7 ? 'refused stream' : 'reset';

    } elsif ($type == HEADERS || $type == CONTINUATION) {
        substr $p, 0, 5, '' if $type == HEADERS && $flags & 0x20;
        $s->{block} .= $p;
        $s->{ends} = 1 if $type == HEADERS && $flags & END_STREAM;
        $self->_headers($s) if $flags & END_HEADERS;

    } elsif ($type == DATA) {
        my $n = length $p;
        if ($flags & PADDED) {
            my $pad = ord substr $p, 0, 1, '';
            substr $p, -$pad, $pad, '' if $pad;
        }
        $s->{body} .= $p;
        $s->{done} ||= 'end' if $flags & END_STREAM;

        if ($n && $self->{window}) {
            $self->open_window(0, $n);
            $self->open_window($id, $n) if !$s->{done};
        }
    }

    return;
}


sub _headers {
    my ($self, $s) = @_;
    my $list = $self->{hpack}->decode(delete $s->{block});
    my ($status) = map { $_->[1] } grep { $_->[0] eq ':status' } @$list;

    if (!defined $status) {
        $s->{trailers} = $list;
    } elsif ($status < 200) {
        push @{ $s->{interim} }, Readiness::Response->new(
            status => $status, headers => $list);
    } else {
        $s->{headers} = $list;
    }

    $s->{done} ||= 'end' if $s->{ends};
    return;
}

1;
