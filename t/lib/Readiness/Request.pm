package Readiness::Request;

# The bytes that clients send: requests, and the PROXY protocol before them.

use strict;
use warnings;

use Exporter qw(import);
use Socket qw(inet_pton AF_INET AF_INET6);

our @EXPORT_OK = qw(format_request proxy_v1 proxy_v2);


# The bytes of a request.  version, host ('' for no Host line), headers (flat
# list or pairs), body, chunks => [pieces], close => 1.

sub format_request {
    my ($method, $uri, %o) = @_;
    my @list = @{ $o{headers} || [] };
    my ($head, %has) = ('');

    while (@list) {
        my ($name, $value) = ref $list[0] ? @{ shift @list }
                                          : splice @list, 0, 2;
        $head .= "$name: $value\r\n";
        $has{lc $name} = 1;
    }

    my $version = $o{version} || '1.1';
    my $host = defined $o{host} ? $o{host} : 'localhost';
    my $body = defined $o{body} ? $o{body} : '';

    my $req = "$method $uri HTTP/$version\r\n";
    $req .= "Host: $host\r\n" if $host ne '' && !$has{host};
    $req .= $head;
    $req .= "Connection: close\r\n" if $o{close} && !$has{connection};

    if ($o{chunks}) {
        $body = join '', map { sprintf "%x\r\n%s\r\n", length $_, $_ }
                         grep { length } @{ $o{chunks} };
        $body .= "0\r\n\r\n";
        $req .= "Transfer-Encoding: chunked\r\n" if !$has{'transfer-encoding'};

    } elsif (defined $o{body} && !$has{'content-length'}) {
        $req .= 'Content-Length: ' . length($body) . "\r\n";
    }

    return "$req\r\n$body";
}


sub proxy_v1 {
    my ($src, $dst, $sport, $dport) = @_;
    my $family = $src =~ /:/ ? 'TCP6' : 'TCP4';

    return sprintf "PROXY %s %s %s %d %d\r\n", $family, $src,
                   $dst || ($family eq 'TCP6' ? '::1' : '127.0.0.1'),
                   $sport || 40000, $dport || 80;
}


# Version 2; without addresses it is LOCAL, as a health check sends it.

sub proxy_v2 {
    my ($src, $dst, $sport, $dport) = @_;
    my $magic = "\r\n\r\n\0\r\nQUIT\n";

    return $magic . pack 'CCn', 0x20, 0, 0 if !defined $src;

    my $af = $src =~ /:/ ? AF_INET6 : AF_INET;
    my $addr = inet_pton($af, $src)
        . inet_pton($af, $dst || ($af == AF_INET6 ? '::1' : '127.0.0.1'))
        . pack 'nn', $sport || 40000, $dport || 80;

    return $magic
        . pack('CCn', 0x21, $af == AF_INET6 ? 0x21 : 0x11, length $addr)
        . $addr;
}

1;
