#!/usr/bin/perl

# Mistakes in how a Redis is reached: its breaker, TLS.

use strict;
use warnings;

use POSIX ();
use Test::More;

use Readiness;
use Readiness::Conf;

my $t = Readiness->new;
my $tls = $t->tls;

$t->file('word', "secret\n", 0600);
$t->file('garbage.pem', "this is no certificate\n");
POSIX::mkfifo($t->path('fifo.pem'), 0600);

$t->subst(OCERT => $tls->{other}{cert}, OKEY => $tls->{other}{key},
    CCERT => $tls->{client}{cert}, CKEY => $tls->{client}{key});

breaker();
lines();
together();
files();
passwords();

$t->done;


sub one {
    my ($line) = @_;
    return in_http("readiness_redis r {\nserver 127.0.0.1:1;\n$line #!\n}");
}

# the whole block on one line
sub block {
    my ($lines) = @_;
    return in_http("readiness_redis r { $lines }");
}


sub breaker {
    my $use = 'in "breaker" of "readiness_redis r": use "breaker failures=5 '
              . 'retry=1s", with 1 to 1000 failures and 50ms to 60s, or '
              . '"breaker off"';

    mistakes($t, \&one, map { [@$_] }
        ['breaker on;' => qq(invalid "on" $use)],
        ['breaker failures=0;' => qq(invalid "failures=0" $use)],
        ['breaker failures=1001;' => qq(invalid "failures=1001" $use)],
        ['breaker failures=;' => qq(invalid "failures=" $use)],
        ['breaker failures=many;' => qq(invalid "failures=many" $use)],
        ['breaker retry=49ms;' => qq(invalid "retry=49ms" $use)],
        ['breaker retry=61s;' => qq(invalid "retry=61s" $use)],
        ['breaker retry=1s retry=1s;' => qq(invalid "retry=1s" $use)],
        ['breaker failures=1 failures=1;' => qq(invalid "failures=1" $use)],
        ['breaker failures=1 off;' => qq(invalid "off" $use)],
        ['breaker off retry=1s;' => qq(invalid "off" $use)],
        ['breaker;' => '"breaker" of "readiness_redis r" takes'],
        ["breaker off;\nbreaker off; #!" => 'second "breaker" of'],
    );

    accepted($t, one($_), $_) for 'breaker off;', 'breaker failures=1;',
        'breaker retry=50ms;', 'breaker retry=60s failures=1000;',
        'breaker failures=5 retry=1s;';
    return;
}


sub lines {
    my $name = 'of "readiness_redis r": use the host name or the address that '
               . 'its certificate is for';

    mistakes($t, \&one,
        ['ssl yes;' => 'invalid "ssl yes" of "readiness_redis r": use on or '],
        ['ssl_verify optional;' => 'invalid "ssl_verify optional" of '],
        ['ssl_name "";' => qq(invalid "ssl_name " $name)],
        ['ssl_name "a b";' => qq(invalid "ssl_name a b" $name)],
        ['ssl_name *.internal;' => qq(invalid "ssl_name *.internal" $name)],
        ['ssl_name ' . 'a' x 254 . ';' => $name],
        ['ssl_protocols TLSv1.3;' => 'unknown line "ssl_protocols" in'],
        ['ssl on off;' => '"ssl" of "readiness_redis r" takes one value'],
        ["ssl on;\nssl on; #!" => 'second "ssl" of "readiness_redis r"'],
    );
    return;
}


sub together {
    mistakes($t, \&block,
        (map { my $line = $_;
            ["server 127.0.0.1; $line" => '"' . (split ' ', $line)[0]
             . '" of "readiness_redis r" does nothing without "ssl on": add '
             . 'that, or delete the line']
        } 'ssl_verify off;', 'ssl_name a.b;', 'ssl_certificate %%CERT%%;',
          'ssl_certificate_key %%KEY%%;', 'ssl_trusted_certificate %%CA%%;'),
        ['ssl off; ssl_verify off; server 127.0.0.1;' =>
            '"ssl_verify" of "readiness_redis r" does nothing without'],
        ['server 127.0.0.1; ssl on;' => '"readiness_redis r" has no '
            . '"ssl_trusted_certificate" to verify by: add one'],
        ['server 127.0.0.1; ssl on; ssl_verify on;' => 'write "ssl_verify off'],
        ['server 127.0.0.1; ssl on; ssl_verify off; ssl_certificate %%CERT%%;'
            => 'has "ssl_certificate" but no "ssl_certificate_key": add it'],
        ['server 127.0.0.1; ssl on; ssl_verify off; '
            . 'ssl_certificate_key %%KEY%%;' =>
            'has "ssl_certificate_key" but no "ssl_certificate": add it'],
        ['server unix:/s; ssl on; ssl_trusted_certificate %%CA%%;' =>
            '"server unix:/s" of "readiness_redis r" has no name that a '
            . 'certificate could be for: add "ssl_name"'],
    );

    accepted($t, block($_), $_) for
        'server 127.0.0.1; ssl off;',
        'server 127.0.0.1; ssl on; ssl_verify off;',
        'server unix:/s; ssl on; ssl_verify off;',
        'server unix:/s; ssl on; ssl_name a; ssl_trusted_certificate %%CA%%;',
        'server [::1]; ssl on; ssl_name ::1; ssl_trusted_certificate %%CA%%;',
        'ssl_verify off; ssl on; server localhost; ssl_certificate %%CCERT%%; '
            . 'ssl_certificate_key %%CKEY%%;';
    return;
}


sub files {
    for my $line (qw(ssl_trusted_certificate ssl_certificate
                     ssl_certificate_key))
    {
        refused($t, one("$line none.pem;"), qq(/none.pem" of "$line" in )
            . '"readiness_redis r": No such file');
        refused($t, one("$line %%DIR%%/fifo.pem;"), 'not a regular file');
        refused($t, one("$line %%DIR%%;"), 'not a regular file');
    }

    my $on = 'server 127.0.0.1; ssl on; ssl_verify off;';

    mistakes($t, \&block,
        ['server 127.0.0.1; ssl on; ssl_trusted_certificate garbage.pem;' =>
            'of "ssl_trusted_certificate" in "readiness_redis r": see above'],
        ["$on ssl_certificate garbage.pem; ssl_certificate_key %%KEY%%;" =>
            'garbage.pem" of "ssl_certificate" with "ssl_certificate_key" in'],
        ["$on ssl_certificate %%CCERT%%; ssl_certificate_key garbage.pem;" =>
            '"ssl_certificate" with "ssl_certificate_key" in'],
        ["$on ssl_certificate %%CCERT%%; ssl_certificate_key %%OKEY%%;" =>
            '"ssl_certificate" with "ssl_certificate_key" in',
            'the key of another certificate'],
    );

    my (undef, $said) = $t->nginx_t(block("$on ssl_certificate garbage.pem; "
        . 'ssl_certificate_key %%KEY%%;'));
    like($said, qr/cannot load certificate "\S+garbage.pem": .*no start line/,
        'and above stands why');
    return;
}


sub passwords {
    my $remote = 'server 192.0.2.1; password_file %%DIR%%/word;';

    warned($t, block($remote), 'goes to "192.0.2.1" unencrypted: add "ssl on"');
    accepted($t, block("$remote ssl on; ssl_trusted_certificate %%CA%%;"),
        'no warning with TLS');
    return;
}
