package Readiness::TLS;

# Certificates for tests, made once and shared by all test files: ca.pem;
# server.pem/.key (localhost, 127.0.0.1, redis.internal), client.pem/.key;
# expired.pem/.key; wrong.pem/.key (other.invalid, no address); alien.pem/.key
# (by alien-ca.pem, for localhost); other.pem/.key (by nobody, other.invalid).

use strict;
use warnings;

use File::Path ();
use File::Temp ();
use Readiness::Process qw(command);
use Readiness::Util qw(append tmp_root);

sub files {
    my $dir = tmp_root() . "/readiness-tls-2-$>";
    my $age = -M "$dir/ca.pem";

    if (!defined $age || $age > 5) {
        my $new = File::Temp::tempdir('readiness-tls-XXXXXX',
                                      DIR => tmp_root());
        _make($new);

        if (!rename $new, $dir) {                   # another test, or too old
            if (defined $age) {
                rename $dir, "$new.old";
                File::Path::remove_tree("$new.old");
                rename $new, $dir;
            }
            File::Path::remove_tree($new);
        }
    }

    die "no certificates in $dir" if !-e "$dir/ca.pem" || !-O $dir;

    my %f = (dir => $dir, ca => "$dir/ca.pem");
    for (qw(server client expired wrong alien other)) {
        $f{$_} = { cert => "$dir/$_.pem", key => "$dir/$_.key",
                   ca => $_ eq 'alien' ? "$dir/alien-ca.pem" : "$dir/ca.pem" };
    }

    return { %f, cert => $f{server}{cert}, key => $f{server}{key} };
}


sub _openssl {
    my ($dir, @args) = @_;
    my ($code, $text) = command(['openssl', @args], out => "$dir/out",
                                dir => $dir);
    die "openssl @args:\n$text" if $code != 0;
    return;
}


sub _make {
    my ($dir) = @_;
    my @key = qw(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1
                 -nodes -batch);

    append("$dir/cnf", <<'CNF');
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:true
subjectKeyIdentifier = hash
[leaf]
subjectAltName = DNS:localhost, DNS:redis.internal, IP:127.0.0.1, IP:::1
[foreign]
subjectAltName = DNS:other.invalid
CNF
    append("$dir/index", '');
    append("$dir/serial", "1000\n");

    for my $ca (qw(ca alien-ca)) {
        _openssl($dir, 'req', '-x509', '-config', 'cnf', '-extensions', 'root',
            @key, '-subj', "/CN=readiness-test-$ca", qw(-days 30), '-keyout',
            "$ca.key", '-out', "$ca.pem");
    }

    _openssl($dir, 'req', '-x509', '-config', 'cnf', '-extensions', 'foreign',
        @key, qw(-subj /CN=other.invalid -days 30 -keyout other.key
                 -out other.pem));

    for my $leaf (qw(server client expired wrong alien)) {
        my $ca = $leaf eq 'alien' ? 'alien-ca' : 'ca';

        _openssl($dir, 'req', '-new', '-config', 'cnf', @key, '-subj',
            "/CN=$leaf", '-keyout', "$leaf.key", '-out', "$leaf.csr");

        _openssl($dir, qw(ca -batch -notext -config cnf), '-extensions',
            $leaf eq 'wrong' ? 'foreign' : 'leaf', '-cert', "$ca.pem",
            '-keyfile', "$ca.key", '-in', "$leaf.csr",
            '-out', "$leaf.pem", $leaf eq 'expired'
                ? qw(-startdate 20200101000000Z -enddate 20200201000000Z)
                : qw(-days 30));
    }

    chmod 0755, $dir;
    chmod 0644, glob "$dir/*.key";
    return;
}

1;
