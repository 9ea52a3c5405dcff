#!/usr/bin/perl

# What the MDN HTTP Observatory says of "readiness_headers strict": its own
# scanner, from npm, scans our nginx over TLS.

use strict;
use warnings;
use Digest::SHA ();
use File::Copy qw(copy);
use Readiness;
use Readiness::Process qw(resolve_binary);
use Readiness::Util qw(tail);
use Test::More;

my $scanner = scanner();
my $t = Readiness->new;

# One port for both schemes, since the scanner knows one of them: what comes
# as plain http is redirected, as it is from port 80 to port 443.

my $conf = <<'CONF';
server {
    listen 127.0.0.1:%%PORT0%% ssl;
    ssl_certificate %%CERT%%;
    ssl_certificate_key %%KEY%%;
    error_page 497 =301 https://$host:$server_port$request_uri;

    readiness on;
    readiness_headers strict;
    readiness_cookies secure httponly samesite=lax;

    location / {
        proxy_pass http://%%APP%%;
    }
}
CONF

$t->app->set('/', {
    type => 'text/html; charset=utf-8',
    body => '<!doctype html><title>page</title><p>page</p>',
    headers => [['Set-Cookie', 'session=1; Path=/'],
                ['X-Frame-Options', 'ALLOWALL'],
                ['Content-Security-Policy', "default-src *"]],
});

$t->conf($conf)->run;

my $got = scan();
is($got->{scan}{grade}, 'A+', 'the strict preset is graded A+')
    or diag(explain($got));
cmp_ok($got->{scan}{score} || 0, '>=', 130, 'with 130 points or more');
is($got->{scan}{testsFailed}, 0, 'and no test failed');
is($got->{tests}{$_->[0]}{result}, $_->[1], "$_->[0]: $_->[1]") for (
    ['strict-transport-security',
     'hsts-implemented-max-age-at-least-six-months'],
    ['content-security-policy', 'csp-implemented-with-no-unsafe'],
    ['x-content-type-options', 'x-content-type-options-nosniff'],
    ['x-frame-options', 'x-frame-options-implemented-via-csp'],
    ['referrer-policy', 'referrer-policy-private'],
    ['cookies', 'cookies-secure-with-httponly-sessions-and-samesite'],
    ['redirection', 'redirection-to-https'],
);

$t->conf($conf =~ s/readiness_headers strict;/readiness_headers off;/r);
ok($t->reload, 'the same without the preset');
$got = scan();
isnt($got->{scan}{grade}, 'A+', 'is not graded A+');

$t->done;


sub scan {
    my ($code, $text) = Readiness::Process::command(
        [resolve_binary('node'), 'src/scan.js', 'localhost:' . $t->port],
        dir => $scanner, out => $t->path('scan.out'), timeout => 60,
        env => { NODE_EXTRA_CA_CERTS => $t->tls->{ca} });

    my $json = eval { JSON::XS->new->utf8->decode($text) };

    is($code, 0, 'the scanner has scanned') or diag($text);
    return $json || {};
}


# The scanner's directory; installed by npm at the first run, and again when
# the lock file has changed.

sub scanner {
    my $repo = Readiness->repo;
    my $build = "$repo/build/npm";
    my $home = "$build/node_modules/\@mdn/mdn-http-observatory";
    my $lock = slurp("$repo/t/npm/package-lock.json");

    for (qw(node npm)) {
        plan(skip_all => "no $_ here: t/setup test installs it")
            if !eval { resolve_binary($_) };
    }

    if (slurp("$build/installed") ne $lock) {
        mkdir $_ for "$repo/build", $build;
        copy("$repo/t/npm/$_", "$build/$_") or die "$build/$_: $!"
            for qw(package.json package-lock.json);

        # without scripts: they fetch lists that only other tests of it need

        my ($code, $text) = Readiness::Process::command(
            [resolve_binary('npm'), qw(ci --ignore-scripts --no-audit
             --no-fund --omit=optional --fetch-retries=1)],
            dir => $build, out => "$build/npm.out", timeout => 240);

        my ($why) = $text =~ /(request\ to\ \S+\ failed.*|getaddrinfo\ \w.*
                               |\(still\ running.*)/x;

        plan(skip_all => "npm cannot reach its registry: $why")
            if $code != 0 && defined $why;
        die 'npm: ' . tail("$build/npm.out", 15) if $code != 0;

        append("$build/installed", $lock);
    }

    # the list of preloaded domains, of which ours is none

    append("$home/conf/hsts-preload.json", '{}')
        if !-e "$home/conf/hsts-preload.json";

    return $home;
}


sub append {
    my ($file, $text) = @_;
    unlink $file;
    return Readiness::Util::append($file, $text);
}
