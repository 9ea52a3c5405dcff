package Cases;

# The configurations that are compared.  A case is
#
#     name       of its row
#     http, location     what stands there
#     module, redis, lua     needs our module, Redis, Debian's Lua module
#     keys       requests ask for so many keys (arg_k), at random
#     refused    everything is answered 429
#     base, stock    names of the cases that its ratios are to

use warnings;
use strict;

use Bench;
use Exporter qw/ import /;

our @EXPORT = qw/ cases prepare rate ours stock redis_block /;


my $headers = <<'EOF';
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options SAMEORIGIN always;
    add_header Referrer-Policy strict-origin-when-cross-origin always;
    add_header Permissions-Policy "geolocation=()" always;
    add_header Cross-Origin-Opener-Policy same-origin always;
    add_header X-Request-Id $request_id always;
EOF

sub stock {
    return <<"EOF";
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Forwarded-For;
    log_format json escape=json '{"time":"\$time_iso8601",'
        '"id":"\$request_id","client":"\$remote_addr",'
        '"peer":"\$realip_remote_addr","method":"\$request_method",'
        '"path":"\$uri","host":"\$host","status":\$status,'
        '"agent":"\$http_user_agent","seconds":\$request_time}';
    access_log $dir/stock.log json buffer=64k flush=1s;
$headers
    proxy_set_header X-Request-Id \$request_id;
    proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto \$scheme;
EOF
}

sub ours {
    return <<"EOF";
    readiness on;
    readiness_trusted_proxies 127.0.0.1;
    readiness_log $dir/ours.log buffer=64k flush=1s;
    readiness_header Permissions-Policy "geolocation=()";
    readiness_header Cross-Origin-Opener-Policy same-origin;
EOF
}

# rate(name => 'api', key => '$arg_k', numbers => 'rate=1r/s', redis => 'main',
# more => 'lease=16')

sub rate {
    my (%o) = @_;
    return 'readiness_rate ' . ($o{name} // 'api') . ' key='
           . ($o{key} // '$readiness_client_key') . ' '
           . ($o{numbers} // 'rate=1000000r/s burst=1000000')
           . ($o{redis} ? " redis=$o{redis}" : '')
           . ($o{more} ? " $o{more}" : '') . ";\n";
}

sub redis_block {
    my ($server) = @_;
    $server //= "unix:$dir/redis.sock";
    return "readiness_redis main { server $server; timeout 1s; }\n";
}

my $spent = 'rate=1r/d';


# The same limit as people write it in Lua: a bucket in one key, Redis' time,
# EVALSHA, pooled connections, the header fields.

my $lua_script = <<'EOF';
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local step, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = tonumber(redis.call('GET', KEYS[1])) or now
if tat < now then tat = now end
local ahead = tat + step - now
if ahead > step * burst then
    return {0, 0, ahead - step * burst}
end
redis.call('SET', KEYS[1], string.format('%.0f', tat + step), 'PX',
           math.ceil(ahead / 1000))
return {1, math.floor(burst - ahead / step), step}
EOF

sub lua {
    my ($step, $burst) = @_;
    return <<"EOF";
    lua_package_path "/usr/share/lua/5.1/?.lua;;";
    init_by_lua_block {
        redis = require "nginx.redis"
        script = [==[$lua_script]==]
    }
    access_by_lua_block {
        local red = redis:new()
        red:set_timeout(1000)
        local ok, err = red:connect("unix:$dir/redis.sock")
        if not ok then
            ngx.log(ngx.ERR, "redis: ", err)
            return ngx.exit(503)
        end
        if not sha[1] then
            sha[1] = red:script("load", script)
        end
        local key = "lua:$step:" .. (ngx.var.arg_k or ngx.var.remote_addr)
        local res, err = red:evalsha(sha[1], 1, key, "$step", "$burst")
        if not res then
            ngx.log(ngx.ERR, "evalsha: ", err)
            return ngx.exit(503)
        end
        red:set_keepalive(10000, 128)
        ngx.header["RateLimit-Policy"] = '"api";q=$burst'
        local reset = math.ceil(res[3] / 1000000)
        ngx.header["RateLimit"] = '"api";r=' .. res[2] .. ';t=' .. reset
        if res[1] == 0 then
            ngx.header["Retry-After"] = reset
            return ngx.exit(429)
        end
    }
    init_worker_by_lua_block {
        sha = {}
    }
EOF
}


sub cases {
    my $stock = stock();
    my $ours = ours();
    my $main = redis_block();
    my @cases;

    push @cases,
    { name => 'bare' },
    { name => 'stock without its limit', http => $stock },
    { name => 'stock with limit_req', http => $stock
          . "limit_req_zone \$binary_remote_addr zone=l:8m rate=1000000r/s;\n",
      location => 'limit_req zone=l burst=1000000 nodelay;' },
    { name => 'module, no limit', module => 1, http => $ours },
    { name => 'module, local limit', module => 1, http => $ours . rate(),
      location => 'readiness_limit api;' },
    { name => 'module, Redis, unix socket', module => 1, redis => 1,
      http => $ours . $main . rate(redis => 'main'),
      location => 'readiness_limit api;' },
    { name => 'module, Redis, tcp', module => 1, redis => 1,
      http => $ours . redis_block('127.0.0.1:' . ($first + 99))
              . rate(redis => 'main'),
      location => 'readiness_limit api;' },
    { name => 'Lua as people do it today', lua => 1, redis => 1,
      http => $stock . lua(1, 1000000) };

    # any of 100 000 keys; the ratios are to the same requests

    my %many = (keys => 100_000, base => 'bare, 100 000 keys',
                stock => 'stock with limit_req, 100 000 keys');

    push @cases,
    { name => 'bare, 100 000 keys', %many },
    { name => 'stock with limit_req, 100 000 keys', %many, http => $stock
          . "limit_req_zone \$arg_k zone=l:32m rate=1000000r/s;\n",
      location => 'limit_req zone=l burst=1000000 nodelay;' },
    { name => 'module, local limit, 100 000 keys', %many, module => 1,
      http => $ours . "readiness_zone 32m;\n" . rate(key => '$arg_k'),
      location => 'readiness_limit api;' },
    { name => 'exact Redis limit, 100 000 keys', %many, module => 1,
      redis => 1, http => $ours . "readiness_zone 32m;\n" . $main
          . rate(key => '$arg_k', redis => 'main'),
      location => 'readiness_limit api;' };

    my %hot = (keys => 8, base => 'bare, 8 hot keys');

    push @cases,
    { name => 'bare, 8 hot keys', %hot },
    { name => 'exact Redis limit, 8 hot keys', %hot, module => 1, redis => 1,
      http => $ours . $main . rate(key => '$arg_k', redis => 'main'),
      location => 'readiness_limit api;' },
    { name => 'lease=16 on 8 hot keys', %hot, module => 1, redis => 1,
      http => $ours . $main . rate(key => '$arg_k', redis => 'main',
                                   more => 'lease=16'),
      location => 'readiness_limit api;' };

    my %refused = (refused => 1, base => 'refused: return 429',
                   stock => 'refused: limit_req');

    push @cases,
    { name => 'refused: return 429', %refused, location => 'return 429;' },
    { name => 'refused: limit_req', %refused,
      http => $stock . "limit_req_zone \$binary_remote_addr zone=l:8m "
              . "rate=1r/m;\nlimit_req_log_level info;\n",
      location => 'limit_req zone=l; limit_req_status 429;' },
    { name => 'refused: module, local limit', %refused, module => 1,
      http => $ours . rate(numbers => $spent),
      location => 'readiness_limit api;' },
    { name => 'refused: module, Redis', %refused, module => 1, redis => 1,
      http => $ours . $main . rate(name => 'spent', numbers => $spent,
                                   redis => 'main'),
      location => 'readiness_limit spent;' },
    { name => 'refused: Lua', %refused, lua => 1, redis => 1,
      http => $stock . lua(86400000000, 1) };

    return @cases;
}


# What keeps the Lua configurations from being run here, if anything does; and
# else what loads it.

sub no_lua {
    my ($path) = `$nginx -V 2>&1` =~ /--modules-path=(\S+)/;
    $path //= '/usr/lib/nginx/modules';
    my @so = map { "$path/$_.so" } qw/ ndk_http_module ngx_http_lua_module /;

    return ('apt-get install libnginx-mod-http-lua', '') if grep { !-e } @so;
    return ('apt-get install lua-nginx-redis', '')
        if !-e '/usr/share/lua/5.1/nginx/redis.lua';
    return ('', join '', map { "load_module $_;\n" } @so);
}


# Gives each case its port and configuration; returns those that nginx takes,
# and says why it leaves out others.

sub prepare {
    my (@cases) = @_;
    my ($no_lua, $lua) = no_lua();
    my $load = $module ? "load_module $module;\n" : '';
    my @taken;

    for my $c (@cases) {
        $c->{port} = $first + @taken;
        $c->{text} = <<"EOF";
    upstream app { server unix:$dir/app.sock; keepalive 128;
                   keepalive_requests 1000000000; }
    proxy_http_version 1.1;
@{[ $c->{http} // '' ]}
    proxy_set_header Connection "";
    server { listen 127.0.0.1:$c->{port}@{[ $c->{listen} // '' ]};
             location / { @{[ $c->{location} // '' ]} proxy_pass http://app; } }
EOF
        $c->{load} = $c->{module} ? $load : $c->{lua} ? $lua : '';
        my $why = $c->{module} && !$module ? 'no module'
                : $c->{lua} && $no_lua ? $no_lua : Bench::check($c);
        if ($why) {
            print STDERR "left out: $c->{name}: $why\n";
            next;
        }
        push @taken, $c;
    }

    return @taken;
}

1;
