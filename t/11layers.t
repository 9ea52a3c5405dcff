#!/usr/bin/perl

# The layers: http, the policy a server applies, the server, the policy a
# location applies, the location, a nested location.  Each set or not, all 64
# combinations, directive by directive.

use strict;
use warnings;

use Test::More;

use Readiness;

my $t = Readiness->new;
my @layer = qw(h sp s lp l n);
my @preset = qw(api strict api strict api strict);
my @problem = qw(off terse off terse off terse);
my @kinds = qw(legacy x-ratelimit legacy x-ratelimit legacy x-ratelimit);
my (%want, $n);

# what layer I says; policies, rates and all are declared after their use

sub lines {
    my ($i) = @_;
    my $l = $layer[$i];
    my $status = 430 + $i;

    my $limits = $i ? "readiness_limit common cost=$i; readiness_limit $l;"
                      . "readiness_route route-$l;" : '';
    my $logs = $l =~ /p/ ? '' : "readiness_log %%DIR%%/$l.log;"
                                . "readiness_log_field name $l;"
                                . "readiness_log_field of.$l yes;";
    return <<"CONF";
        readiness_header X-Name $l;
        readiness_header X-Of-$l yes;
        readiness_headers $preset[$i];
        readiness_hide_header X-Up-$l;
        readiness_cookies $l secure;
        readiness_problem $problem[$i];
        readiness_limit_status $status;
        readiness_limit_headers $kinds[$i];
        $limits $logs
CONF
}

sub server {
    my ($bits) = @_;
    my @on = map { $bits >> $_ & 1 } 0 .. 5;
    my $text = sub { $on[$_[0]] ? lines($_[0]) : '' };
    my $sp = $on[1] ? 'readiness_apply server-policy;' : '';
    my $lp = $on[3] ? 'readiness_apply location-policy;' : '';

    return "server { listen 127.0.0.1:%%PORT0%%; server_name b$bits;\n"
        . "readiness on; readiness_limit never if=\$arg_refuse cost=2;\n"
        . $text->(2) . "$sp\nlocation / {\n" . $text->(4) . "$lp\n"
        . "location /nested/ {\n" . $text->(5) . "proxy_pass http://%%APP%%;\n"
        . "add_header X-Policy \$readiness_policy always;\n"
        . "add_header X-Route \$readiness_route always;\n} } }\n";
}

for my $http (0, 1) {
    my @bits = grep { ($_ & 1) == $http } 0 .. 63;

    $t->conf(join("\n", $http ? lines(0) : '', map({ server($_) } @bits),
        "readiness_policy server-policy {\n" . lines(1) . '}',
        "readiness_policy location-policy {\n" . lines(3) . '}',
        map({ "readiness_rate $_ key=\$request_id rate=100r/s;" }
            'common', @layer),
        'readiness_rate never key=x rate=1r/s;'), log_level => 'warn');
    $t->pid ? $t->reload : $t->run;

    check($_) for @bits;
}

logs();
off();
$t->done;


sub check {
    my ($bits) = @_;
    my @i = grep { $bits >> $_ & 1 } 0 .. 5;
    my @on = map { $layer[$_] } @i;
    my $last = $i[-1];
    my $name = @on ? "@on" : 'none';
    my $path = '/nested/' . ++$n;
    my @host = (headers => [Host => "b$bits"]);
    my $r = $t->get("$path?" . join('&', map {
        ("app_header=X-Up-$_:%20u", "app_header=Set-Cookie:%20$_=1") } @layer),
        @host);

    is($r->header('X-Name') // '', $on[-1] // '', "$name: header of a name");
    is(join(' ', grep { $r->count("X-Of-$_") } @layer), "@on", "$name: header");
    is(join(' ', grep { !$r->count("X-Up-$_") } @layer), "@on",
       "$name: hide_header");
    is(join(' ', map { /^(\w+)=1; Secure\z/i ? $1 : () }
            $r->values('Set-Cookie')), "@on", "$name: cookies");
    is($r->header('X-Frame-Options') // 'none', !defined $last ? 'SAMEORIGIN'
       : $preset[$last] eq 'strict' ? 'DENY' : 'none', "$name: headers");

    my @limits = grep { $_ ne 'h' } @on;
    my $kind = !defined $last ? 'standard' : $kinds[$last];
    my $has = join ' ', grep { defined } map {
        my ($h, $word) = @$_; $r->count($h) ? $word : undef }
        ['RateLimit', 'standard'], ['RateLimit-Limit', 'legacy'],
        ['X-RateLimit-Limit', 'x-ratelimit'];
    is($has, @limits ? $kind : '', "$name: limit_headers");

    my $told = $r->header($kind eq 'legacy' ? 'RateLimit-Remaining'
                                            : 'X-RateLimit-Remaining');
    is($told, 100 - $i[-1], "$name: limit of a name, its cost") if @limits;

    is($r->header('X-Route'), @limits ? "route-$limits[-1]" : '/nested/',
       "$name: route");
    my ($policy) = grep { /p/ } reverse @on;
    is($r->header('X-Policy') // '', !$policy ? '' : $policy eq 'lp'
       ? 'location-policy' : 'server-policy', "$name: policy");

    $r = $t->get("/nested/refused?refuse=1", @host);
    is($r->status, defined $last ? 430 + $last : 429, "$name: limit_status");

    my $problem = defined $last ? $problem[$last] : 'on';
    my $reason = ($r->json || {})->{reason} // 'none';
    my $json = ($r->header('Content-Type') // '') =~ /problem\+json/ ? 1 : 0;
    is("$json " . ($problem eq 'off' ? '' : $reason),
       $problem eq 'off' ? '0 ' : '1 rate_limited', "$name: problem");

    my @logged = grep { !/p/ } @on;
    $want{$path} = [$name, @logged] if @logged;
}


sub logs {
    for my $l (grep { !/p/ } @layer) {
        my @want = sort grep { $want{$_}[-1] eq $l } keys %want;
        my @got = grep { $_->{'url.path'} !~ /refused/ }
                  $t->wait_lines("$l.log", 2 * @want);

        is(join(' ', sort map { $_->{'url.path'} } @got), "@want",
           "log: the lines of layer $l");

        for my $line (@got) {
            my ($name, @on) = @{ $want{ $line->{'url.path'} } || ['?'] };
            is(join(' ', grep { $line->{"of.$_"} } @layer), "@on",
               "$name: log_field");
            is($line->{name}, $l, "$name: log_field of a name");

            my %limits = map { $_->{name} => 1 }
                         @{ $line->{'readiness.limits'} || [] };
            my @limits = grep { !/^h\z/ } split ' ', $name;
            is(join(' ', grep { $limits{$_} } @layer), "@limits",
               "$name: limit");
        }
    }
}


# off drops what outer layers gave, in a policy, too; lines beside it stay,
# wherever in the block it stands.

sub off {
    my $beside = sub {
        my ($l, $before) = @_;
        my @lines = map({ "readiness_$_ off;" } qw(header hide_header cookies
                                                   limit));
        my $own = "readiness_header X-Of-$l yes; readiness_hide_header X-Up-$l;"
            . "readiness_cookies $l secure; readiness_limit $l;";
        return $before ? "@lines $own" : "$own @lines";
    };

    $t->conf(join("\n",
        map({ "readiness_rate $_ key=\$request_id rate=100r/s;" } @layer),
        'readiness_limit_headers standard;',
        'readiness_header X-Of-h yes; readiness_hide_header X-Up-h;',
        'readiness_cookies h secure;',
        'readiness_policy p { ' . $beside->('lp', 0) . ' }',
        'server { listen 127.0.0.1:%%PORT0%%; readiness on;',
        'readiness_header X-Of-s yes; readiness_hide_header X-Up-s;',
        'readiness_cookies s secure; readiness_limit s;',
        map({ "location $_->[0] { $_->[1] proxy_pass http://%%APP%%; }" }
            ['/all', ''], ['/before', $beside->('l', 1)],
            ['/behind', $beside->('l', 0)],
            ['/policy', 'readiness_apply p; readiness_header X-Of-l yes; '
             . 'readiness_hide_header X-Up-l; readiness_cookies l secure; '
             . 'readiness_limit l;'],
            ['/over', 'readiness_apply p; ' . $beside->('l', 1)],
            ['/none', join ' ', map { "readiness_$_ off;" } qw(header cookies
             hide_header limit)]), '}'));
    $t->reload;

    for (['all', 'h s'], ['before', 'l'], ['behind', 'l'], ['policy', 'lp l'],
         ['over', 'l'], ['none', ''])
    {
        my ($uri, $want) = @$_;
        my $r = $t->get("/$uri?" . join '&', map { ("app_header=X-Up-$_:%20u",
                        "app_header=Set-Cookie:%20$_=1") } @layer);
        my $limits = $want =~ s/^h //r;

        is(join(' ', grep { $r->count("X-Of-$_") } @layer), $want,
           "off, $uri: header");
        is(join(' ', grep { !$r->count("X-Up-$_") } @layer), $want,
           "off, $uri: hide_header");
        is(join(' ', map { /^(\w+)=1; Secure\z/i ? $1 : () }
                $r->values('Set-Cookie')), $want, "off, $uri: cookies");
        my $policy = $r->header('RateLimit-Policy') // '';
        is(join(' ', sort $policy =~ /"(\w+)";/g),
           join(' ', sort split ' ', $limits), "off, $uri: limit");
    }
}
