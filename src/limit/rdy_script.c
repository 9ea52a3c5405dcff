
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_batch.h"


/*
 * Each redis.call() and each library call is dear here, table accesses are
 * cheap: one TIME and one MGET for the whole call, one PSETEX for each bucket
 * charged, numbers packed, and no function of our own.
 *
 * A bucket is known by the place its key first stands in KEYS, so that a key
 * that stands there again finds what was charged before.
 *
 *     spent, at   the bucket, drained to now; until its place is first looked
 *                 at, spent is what MGET found
 *     full        us until it is full; set for what was charged, and for what
 *                 would expire too early, and so the list of what is written
 *     take, was   of the limits of one request: what it was charged, or false
 *                 where it did not fit; and full before that
 *
 * Buckets are charged while a request is still being checked, for its next
 * limit may have the same key; if it is refused then, that is taken back.
 *
 * Stored is an "R", then spent, at, and when the key expires, as doubles.  The
 * TTL is rounded up, and cut to 10^12 ms where Redis might not accept it.  It
 * was made for the numbers of then: under slower ones the bucket is written
 * anew even if it is only looked at, or it would be forgotten half full.
 *
 * drain is exact up to 2^53, as in rdy_rate_drain().  It is larger only for a
 * bucket left alone for long; then the bucket is empty or at most a millionth
 * of a request off.
 */

static const char rdy_script[] =
    "local call, parse, pack = redis.call, struct.unpack, struct.pack\n"
    "local format, keys, arg = string.format, KEYS, ARGV[2]\n"
    "local time = call('TIME')\n"
    "local now = time[1] * 1000000 + time[2]\n"
    "local spent = call('MGET', unpack(keys))\n"
    "local place, at, full, take, was = {}, {}, {}, {}, {}\n"
    "local out, len = {ARGV[1]}, 1\n"
    "local pos, size, last = 9, #arg, 0\n"
    "\n"
    "while pos <= size do\n"
    "    local first, admitted = last + 1, true\n"
    "    local n, count, period, burst, cost, flags\n"
    "    n, count, period, burst, cost, flags, pos\n"
    "        = parse('<BddddB', arg, pos)\n"
    "    last = last + n\n"
    "\n"
    "    for i = first, last do\n"
    "        if i > first then\n"
    "            count, period, burst, cost, flags, pos\n"
    "                = parse('<ddddB', arg, pos)\n"
    "        end\n"
    "\n"
    "        local key = keys[i]\n"
    "        local p = place[key]\n"
    "        local tag, used, since, ends\n"
    "\n"
    "        if p then\n"
    "            used, since = spent[p], at[p]\n"
    "        else\n"
    "            p = i\n"
    "            place[key] = p\n"
    "            used, since = 0, now\n"
    "            local value = spent[i]\n"
    "            if value and #value == 25 then\n"
    "                tag, used, since, ends = parse('<Bddd', value)\n"
    "                if tag ~= 82 or not (used >= 0 and used <= 9e15\n"
    "                                     and since >= 0) then\n"
    "                    used, since, ends = 0, now, nil\n"
    "                end\n"
    "            end\n"
    "        end\n"
    "\n"
    "        if since < now then\n"
    "            local parts = (now - since) * count\n"
    "            local drain = parts / period\n"
    "            drain = drain - drain % 1\n"
    "            since = now\n"
    "            if drain >= used then\n"
    "                used = 0\n"
    "            else\n"
    "                used = used - drain\n"
    "                parts = parts - drain * period\n"
    "                if parts >= count then\n"
    "                    parts = parts / count\n"
    "                    since = now - (parts - parts % 1)\n"
    "                end\n"
    "            end\n"
    "        else\n"
    "            since = now\n"
    "        end\n"
    "\n"
    "        if ends and used * period > (ends - now + 1000) * count then\n"
    "            full[p] = used * period / count\n"
    "        end\n"
    "\n"
    "        local before = full[p]\n"
    "        local fits = 1\n"
    "        cost = cost * 1000000\n"
    "\n"
    "        if cost ~= 0 then\n"
    "            if used + cost <= burst * 1000000 then\n"
    "                used = used + cost\n"
    "                full[p] = used * period / count\n"
    "            else\n"
    "                fits, cost = 0, false\n"
    "                if flags == 0 then admitted = false end\n"
    "            end\n"
    "        end\n"
    "\n"
    "        spent[p], at[p] = used, since\n"
    "        len = len + 1\n"
    "        if i == first then\n"
    "            out[len] = pack('<BBdd', 1, fits, used, 0)\n"
    "        else\n"
    "            out[len] = pack('<Bdd', fits, used, 0)\n"
    "        end\n"
    "\n"
    "        if first < last then\n"
    "            take[i], was[i] = cost, before\n"
    "        end\n"
    "    end\n"
    "\n"
    "    if not admitted then\n"
    "        local o = len\n"
    "        for i = last, first, -1 do\n"
    "            local p, fits, cost = place[keys[i]], 0, take[i]\n"
    "            if cost then\n"
    "                fits = 1\n"
    "                spent[p] = spent[p] - cost\n"
    "                full[p] = was[i]\n"
    "            end\n"
    "            if i == first then\n"
    "                out[o] = pack('<BBdd', 0, fits, spent[p], 0)\n"
    "            else\n"
    "                out[o] = pack('<Bdd', fits, spent[p], 0)\n"
    "            end\n"
    "            o = o - 1\n"
    "        end\n"
    "    end\n"
    "end\n"
    "\n"
    "for p, us in pairs(full) do\n"
    "    local ttl = us / 1000\n"
    "    ttl = ttl < 1e12 and ttl - ttl % 1 + 1 or 1e12\n"
    "    call('PSETEX', keys[p], format('%d', ttl),\n"
    "         pack('<Bddd', 82, spent[p], at[p], now + us))\n"
    "end\n"
    "\n"
    "return table.concat(out)\n";


const rdy_str_t  rdy_batch_script = rdy_string(rdy_script);
