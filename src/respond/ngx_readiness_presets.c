
/*
 * Copyright (C) The readiness authors
 */


#include "ngx_readiness.h"
#include "respond/ngx_readiness_presets.h"


#define BASELINE  (1 << NGX_READINESS_PRESET_BASELINE)
#define STRICT    (1 << NGX_READINESS_PRESET_STRICT)
#define API       (1 << NGX_READINESS_PRESET_API)


/*
 * Strict-Transport-Security has no flag here: whoever sets it, it is sent on
 * verified https only.
 */

const ngx_readiness_preset_t  ngx_readiness_presets[] = {

    { ngx_string("X-Content-Type-Options"),
      ngx_string("nosniff"),
      BASELINE|STRICT|API, 0, 0 },

    { ngx_string("X-Frame-Options"),
      ngx_string("SAMEORIGIN"),
      BASELINE, 0, 0 },

    { ngx_string("X-Frame-Options"),
      ngx_string("DENY"),
      STRICT, 0, 0 },

    { ngx_string("Referrer-Policy"),
      ngx_string("strict-origin-when-cross-origin"),
      BASELINE, 0, 0 },

    { ngx_string("Referrer-Policy"),
      ngx_string("no-referrer"),
      STRICT|API, 0, 0 },

    { ngx_string("Strict-Transport-Security"),
      ngx_string("max-age=31536000"),
      BASELINE|API, 0, 0 },

    { ngx_string("Strict-Transport-Security"),
      ngx_string("max-age=63072000; includeSubDomains"),
      STRICT, 0, 0 },

    { ngx_string("Permissions-Policy"),
      ngx_string("accelerometer=(), autoplay=(), camera=(), "
                 "cross-origin-isolated=(), display-capture=(), "
                 "encrypted-media=(), fullscreen=(), geolocation=(), "
                 "gyroscope=(), keyboard-map=(), magnetometer=(), "
                 "microphone=(), midi=(), payment=(), "
                 "picture-in-picture=(), publickey-credentials-get=(), "
                 "screen-wake-lock=(), sync-xhr=(self), usb=(), "
                 "web-share=(), xr-spatial-tracking=(), clipboard-read=(), "
                 "clipboard-write=(), gamepad=(), hid=(), "
                 "idle-detection=(), interest-cohort=(), serial=(), "
                 "unload=()"),
      STRICT, 0, 0 },

    { ngx_string("Cross-Origin-Opener-Policy"),
      ngx_string("same-origin"),
      STRICT, 0, 0 },

    { ngx_string("Cross-Origin-Resource-Policy"),
      ngx_string("same-origin"),
      STRICT|API, 0, 0 },

    { ngx_string("Cross-Origin-Embedder-Policy"),
      ngx_string("require-corp"),
      STRICT, 1, 0 },

    { ngx_string("X-Permitted-Cross-Domain-Policies"),
      ngx_string("none"),
      STRICT, 0, 0 },

    { ngx_string("X-DNS-Prefetch-Control"),
      ngx_string("off"),
      STRICT, 0, 0 },

    { ngx_string("Content-Security-Policy"),
      ngx_string("default-src 'self'; form-action 'self'; base-uri 'self'; "
                 "object-src 'none'; frame-ancestors 'none'; "
                 "upgrade-insecure-requests"),
      STRICT, 1, 0 },

    { ngx_string("Content-Security-Policy"),
      ngx_string("default-src 'none'; frame-ancestors 'none'"),
      API, 0, 0 },

    { ngx_string("Cache-Control"),
      ngx_string("no-store"),
      API, 0, 1 },

    { ngx_null_string, ngx_null_string, 0, 0, 0 }
};


const ngx_str_t  ngx_readiness_telltales[] = {
    ngx_string("$wsep"),
    ngx_string("Host-Header"),
    ngx_string("K-Proxy-Request"),
    ngx_string("Liferay-Portal"),
    ngx_string("OracleCommerceCloud-Version"),
    ngx_string("Pega-Host"),
    ngx_string("Powered-By"),
    ngx_string("Product"),
    ngx_string("Server"),
    ngx_string("SourceMap"),
    ngx_string("X-AspNet-Version"),
    ngx_string("X-AspNetMvc-Version"),
    ngx_string("X-Atmosphere-error"),
    ngx_string("X-Atmosphere-first-request"),
    ngx_string("X-Atmosphere-tracking-id"),
    ngx_string("X-B3-ParentSpanId"),
    ngx_string("X-B3-Sampled"),
    ngx_string("X-B3-SpanId"),
    ngx_string("X-B3-TraceId"),
    ngx_string("X-Backside-Transport"),
    ngx_string("X-BEServer"),
    ngx_string("X-CalculatedBETarget"),
    ngx_string("X-CF-Powered-By"),
    ngx_string("X-CMS"),
    ngx_string("X-Cocoon-Version"),
    ngx_string("X-Content-Encoded-By"),
    ngx_string("X-Datadog-Origin"),
    ngx_string("X-Datadog-Parent-Id"),
    ngx_string("X-Datadog-Sampling-Priority"),
    ngx_string("X-Datadog-Tags"),
    ngx_string("X-Datadog-Trace-Id"),
    ngx_string("X-DiagInfo"),
    ngx_string("X-dtAgentId"),
    ngx_string("X-dtHealthCheck"),
    ngx_string("X-dtInjectedServlet"),
    ngx_string("X-Envoy-Attempt-Count"),
    ngx_string("X-Envoy-External-Address"),
    ngx_string("X-Envoy-Internal"),
    ngx_string("X-Envoy-Original-Dst-Host"),
    ngx_string("X-Envoy-Upstream-Service-Time"),
    ngx_string("X-FEServer"),
    ngx_string("X-Framework"),
    ngx_string("X-Generated-By"),
    ngx_string("X-Generator"),
    ngx_string("X-Gitlab-Meta"),
    ngx_string("X-Jitsi-Release"),
    ngx_string("X-Joomla-Version"),
    ngx_string("X-Kong-Admin-Latency"),
    ngx_string("X-Kong-Client-Latency"),
    ngx_string("X-Kong-Proxy-Latency"),
    ngx_string("X-Kong-Request-Id"),
    ngx_string("X-Kong-Response-Latency"),
    ngx_string("X-Kong-Third-Party-Latency"),
    ngx_string("X-Kong-Total-Latency"),
    ngx_string("X-Kong-Upstream-Latency"),
    ngx_string("X-Kong-Upstream-Status"),
    ngx_string("X-Kubernetes-PF-FlowSchema-UI"),
    ngx_string("X-Kubernetes-PF-PriorityLevel-UID"),
    ngx_string("X-LiteSpeed-Cache"),
    ngx_string("X-Litespeed-Cache-Control"),
    ngx_string("X-LiteSpeed-Purge"),
    ngx_string("X-LiteSpeed-Tag"),
    ngx_string("X-LiteSpeed-Vary"),
    ngx_string("X-Mod-Pagespeed"),
    ngx_string("X-Nextjs-Cache"),
    ngx_string("X-Nextjs-Matched-Path"),
    ngx_string("X-Nextjs-Page"),
    ngx_string("X-Nextjs-Redirect"),
    ngx_string("X-Old-Content-Length"),
    ngx_string("X-OneAgent-JS-Injection"),
    ngx_string("X-OWA-Version"),
    ngx_string("X-Page-Speed"),
    ngx_string("X-Php-Version"),
    ngx_string("X-Powered-By"),
    ngx_string("X-Powered-By-Plesk"),
    ngx_string("X-Powered-CMS"),
    ngx_string("X-Redirect-By"),
    ngx_string("X-ruxit-JS-Agent"),
    ngx_string("X-Server-Powered-By"),
    ngx_string("X-SourceFiles"),
    ngx_string("X-SourceMap"),
    ngx_string("X-Turbo-Charged-By"),
    ngx_string("X-Tyk-Trace-Id"),
    ngx_string("X-Umbraco-Version"),
    ngx_string("X-Varnish-Backend"),
    ngx_string("X-Varnish-Server"),
    ngx_string("X-Woodpecker-Version"),
    ngx_null_string
};
