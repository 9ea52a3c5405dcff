
/*
 * Copyright (C) The readiness authors
 */


#include "limit/rdy_batch.h"


/*
 * Each redis.call() is dear here, and so is each string that is made: one TIME
 * and one MGET for the whole call, one write for each key that changes, numbers
 * packed, and no function of our own for buckets.
 *
 *     found       what MGET found, by the place in KEYS
 *     new         what will be written, by key: a key that stands in KEYS
 *                 again finds there what was charged before
 *     late        by key, the second it expires: only if that changes
 *     was, fit    of the limits of one request: new and late before it (at i
 *                 and -i), and whether it fitted
 *     look        a request was refused, what it was charged is taken back, and
 *                 its limits are gone through once more to tell what they are
 *                 without it
 *
 * An operation begins with a byte (a request's is its number of limits), then
 * come count, period, burst, cost and flags, as rdy_batch.c packs them.
 */


/*
 * A bucket is spent, at, the total and when its key expires, as doubles;
 * the last in whole seconds, and 82 microseconds by which it is known.  Of
 * an older form, with an "R" in front and no total, the rest is taken.
 *
 * The drain is exact up to 2^53, as in rdy_rate_drain().  It is larger only
 * for a bucket left alone for long; then the bucket is empty or at most a
 * millionth of a request off.
 *
 * A key lives half as long again as its bucket takes to fill, and two
 * seconds: so most writes need not touch its time.  It was set for the
 * numbers of then: under slower ones the bucket is written anew even if it
 * is only looked at, or it would be forgotten half full; and so is one from
 * a time to come, or it would not drain before that time.
 */

#define RDY_SCRIPT_BUCKET                                                     \
    "local used, since, ends, total = 0, now, 0, 0\n"                         \
    "if value then\n"                                                         \
    "    if #value == 32 then\n"                                              \
    "        used, since, total, ends = parse('<dddd', value)\n"              \
    "    elseif #value == 25 then\n"                                          \
    "        ends, used, since = parse('<Bdd', value)\n"                      \
    "    end\n"                                                               \
    "    if not (ends % 1000000 == 82 and ends <= 9e15\n"                     \
    "            and used >= 0 and used <= 9e15 and since >= 0\n"             \
    "            and total >= 0 and total <= 9e15) then\n"                    \
    "        used, since, ends, total = 0, now, 0, 0\n"                       \
    "    end\n"                                                               \
    "end\n"                                                                   \
    "if since < now then\n"                                                   \
    "    local parts = (now - since) * count\n"                               \
    "    local drain = parts / period\n"                                      \
    "    drain = drain - drain % 1\n"                                         \
    "    since = now\n"                                                       \
    "    if drain >= used then\n"                                             \
    "        used = 0\n"                                                      \
    "    else\n"                                                              \
    "        used = used - drain\n"                                           \
    "        parts = parts - drain * period\n"                                \
    "        if parts >= count then\n"                                        \
    "            parts = parts / count\n"                                     \
    "            since = now - (parts - parts % 1)\n"                         \
    "        end\n"                                                           \
    "    end\n"                                                               \
    "elseif since > now then\n"                                               \
    "    since, ends = now, 0\n"                                              \
    "end\n"

#define RDY_SCRIPT_KEEP                                                       \
    "if till > ends then\n"                                                   \
    "    ends = till * 1.5 - now * 0.5\n"                                     \
    "    if ends > now + 1e15 then ends = now + 1e15 end\n"                   \
    "    ends = ends / 1000000\n"                                             \
    "    ends = ends - ends % 1 + 2\n"                                        \
    "    late[key] = ends\n"                                                  \
    "    ends = ends * 1000000 + 82\n"                                        \
    "end\n"                                                                   \
    "new[key] = pack('<dddd', used, since, total, ends)\n"


static const char rdy_script[] =
    "local call, parse, pack = redis.call, struct.unpack, struct.pack\n"
    "local keys, arg, byte = KEYS, ARGV[2], string.byte\n"
    "local time = call('TIME')\n"
    "local now = time[1] * 1000000 + time[2]\n"
    "local found = keys[1] and call('MGET', unpack(keys))\n"
    "local new, late, out, len = {}, {}, {ARGV[1]}, 1\n"
    "local pos, size, last = 9, #arg, 0\n"
    "local was, fit, quota, slots\n"
    "\n"
    "while pos <= size do\n"
    "    local first, start, place = last + 1, pos, len\n"
    "    local admitted, look = 1, false\n"
    "    local op, count, period, burst, cost, flags\n"
    "    op, count, period, burst, cost, flags, pos\n"
    "        = parse('<BddddB', arg, pos)\n"
    "    local i, many = first, op > 1 and op <= 128\n"
    "    last = many and last + op or first\n"
    "\n"
    "    if op == 240 then\n"

    /*
     * A run: requests of cost 1 that wait for as many buckets, all with the
     * same numbers, which are read once; what is told is packed once.
     */

    "        local told, t, room = {}, 0, burst * 1000000\n"
    "        i, last = first + cost, first + cost - 1\n"
    "        for i = first, last do\n"
    "            local key = keys[i]\n"
    "            local value = new[key] or found[i]\n"
    RDY_SCRIPT_BUCKET
    "            local got = byte(arg, pos)\n"
    "            pos = pos + 1\n"
    "            if used + got * 1000000 > room then\n"
    "                local left = (room - used) / 1000000\n"
    "                got = left > 0 and left - left % 1 or 0\n"
    "            end\n"
    "            used, total = used + got * 1000000, total + got\n"
    "            local till = now + used * period / count\n"
    "            if got > 0 or till > ends and used > 0 then\n"
    RDY_SCRIPT_KEEP
    "            end\n"
    "            told[t + 1], told[t + 2], told[t + 3] = got, used, total\n"
    "            t = t + 3\n"
    "        end\n"
    "        len = len + 1\n"
    "        out[len] = pack('<' .. string.rep('ddd', cost), unpack(told))\n"
    "    end\n"
    "\n"
    "    while i <= last do\n"
    "        local key = keys[i]\n"
    "        local value = new[key] or found[i]\n"
    "        local fits, told = 1, ''\n"
    "\n"
    "        if many then\n"
    "            if look then\n"
    "                fits = fit[i]\n"
    "            else\n"
    "                was, fit = was or {}, fit or {}\n"
    "                was[i], was[-i] = new[key], late[key]\n"
    "            end\n"
    "        end\n"
    "\n"
    "        if flags < 2 then\n"
    RDY_SCRIPT_BUCKET
    "            local got, extra, sum\n"
    "\n"
    "            if op <= 128 then\n"
    "                sum = cost * 1000000\n"
    "                if look then\n"
    "                    sum, cost = 0, 0\n"
    "                elseif used + sum > burst * 1000000 and sum > 0 then\n"
    "                    sum, cost, fits = 0, 0, 0\n"
    "                    if flags == 0 then admitted = 0 end\n"
    "                end\n"
    "            elseif op == 241 then\n"
    "                extra, pos = parse('<d', arg, pos)\n"
    "                local left = math.floor(burst - used / 1000000)\n"
    "                got = math.max(math.min(cost, left), 0)\n"
    "                extra = math.max(math.min(extra,\n"
    "                                 math.floor((left - got) / 2)), 0)\n"
    "                cost = got + extra\n"
    "                sum = cost * 1000000\n"
    "            else\n"
    "                sum = cost\n"
    "                cost = math.floor(sum / 1000000)\n"
    "                if flags == 1 then\n"
    "                    sum, cost = -math.min(sum, used), 0\n"
    "                end\n"
    "                sum = math.min(sum, 9e15 - used)\n"
    "            end\n"
    "\n"
    "            used = used + sum\n"
    "            local till = now + used * period / count\n"
    "\n"
    "            if sum ~= 0 or till > ends and used > 0 then\n"
    "                total = total + cost\n"
    RDY_SCRIPT_KEEP
    "            end\n"
    "\n"
    "            if op == 1 then\n"
    "                told = pack('<BBdd', admitted, fits, used, total)\n"
    "            elseif many then\n"
    "                told = pack('<Bdd', fits, used, total)\n"
    "            elseif got then\n"
    "                told = pack('<dddd', got, extra, used, total)\n"
    "            end\n"
    "        else\n"
    "            local more\n"
    "\n"
    "            if op == 241 then\n"
    "                more, pos = parse('<d', arg, pos)\n"
    "            end\n"
    "\n"
    "            if not quota then\n"

    /* made on first use: most calls have buckets only */

    "local floor, min, max, cut\n"
    "    = math.floor, math.min, math.max, string.sub\n"
    "local cells = '<' .. string.rep('I4', 61)\n"
    "local none = string.rep('\\0', 244)\n"
    "\n"
    "local function keep(key, value, ends)\n"
    "    new[key] = value\n"
    "    late[key] = floor(min(ends, now + 1e15) / 1000000) + 2\n"
    "end\n"
    "\n"

    /*
     * A quota is a "Q", then as doubles the length of a sub-window, the numbers
     * of the newest and the oldest that count anything, and their sum; then 61
     * counts of four bytes, by number % 61.  What rdy_quota.h says holds here.
     *
     * Where the counts stay where they are, one is cut out and one put in;
     * otherwise all are unpacked: on another period, a clock that was set back,
     * when counts have left the window, and to give back.
     */

    "quota = function(key, value, op, count, period, burst, cost, flag, more,\n"
    "                 look)\n"
    "    local width = math.ceil(period * 1000000 / 60)\n"
    "    local at = floor(now / width) + 64\n"
    "    local spent, was, newest, oldest = 0, width, at, at\n"
    "    local ring, skip = none, 0\n"
    "    local back = op == 242 and flag == 1 and cost or 0\n"
    "    local changed, sum, more_sum = false, 0, 0\n"
    "\n"
    "    if value and #value == 277 and cut(value, 1, 1) == 'Q' then\n"
    "        was, newest, oldest, spent = parse('<dddd', value, 2)\n"
    "        ring, skip = value, 33\n"
    "        if not (was >= 1 and was <= 1e12 and newest <= 9e15\n"
    "                and oldest >= 0 and oldest <= newest\n"
    "                and newest - oldest <= 60 and spent > 0\n"
    "                and was % 1 == 0 and newest % 1 == 0 and oldest % 1 == 0\n"
    "                and spent % 1 == 0) then\n"
    "            spent, ring, skip = 0, none, 0\n"
    "        end\n"
    "    end\n"
    "\n"
    "    local old = spent > 0 and floor(now / was) + 64\n"
    "\n"
    "    if not old then\n"
    "        newest, oldest = at, at\n"
    "    elseif was ~= width or old + 1 < newest or old - oldest > 60\n"
    "           or back > 0 then\n"
    "        local from, to, shift = {parse(cells, ring, skip + 1)}, {}, 0\n"
    "        local low, high\n"
    "        if old + 1 < newest then shift = newest - old end\n"
    "        changed = was ~= width or shift > 0 or back > 0\n"
    "        if was == width and newest == at + 1 then at = newest end\n"
    "        for k = 1, 61 do to[k] = 0 end\n"
    "        spent = 0\n"
    "        for k = oldest, newest do\n"
    "            local n, t = from[k % 61 + 1], k - shift\n"
    "            if was ~= width then\n"
    "                t = min((t - 63) * was - 1, now)\n"
    "                t = floor(max(t, 0) / width) + 64\n"
    "            end\n"
    "            if n > back and at - t <= 60 then\n"
    "                local c = to[t % 61 + 1]\n"
    "                n = min(n - back, 4294967295 - c)\n"
    "                to[t % 61 + 1] = c + n\n"
    "                spent, back = spent + n, 0\n"
    "                low, high = low or t, t\n"
    "            elseif at - t <= 60 then\n"
    "                back = back - n\n"
    "            end\n"
    "        end\n"
    "        ring, skip = pack(cells, unpack(to)), 0\n"
    "        newest, oldest = high or at, low or at\n"
    "    end\n"
    "\n"
    "    at = max(at, newest)\n"
    "\n"
    "    local left = max(count - spent, 0)\n"
    "    local fits = cost <= left or cost == 0\n"
    "\n"
    "    if op <= 128 then\n"
    "        sum = fits and not look and cost or 0\n"
    "    elseif op == 241 then\n"
    "        sum = min(cost, left)\n"
    "        more = min(more, floor((left - sum) / 2))\n"
    "        cost = 1\n"
    "    elseif flag == 0 then\n"
    "        sum = min(cost, 1000000000)\n"
    "    end\n"
    "\n"
    "    local got = sum\n"
    "    sum = sum + (more or 0)\n"
    "\n"
    "    if sum > 0 or changed then\n"
    "        if sum > 0 then\n"
    "            if spent == 0 then oldest = at end\n"
    "            newest = at\n"
    "        end\n"
    "        local p = at % 61 * 4 + skip\n"
    "        local n = parse('<I4', ring, p + 1)\n"
    "        sum = min(sum, 4294967295 - n)\n"
    "        spent = spent + sum\n"
    "        ring = pack('<Bdddd', 81, width, newest, oldest, spent)\n"
    "               .. cut(ring, skip + 1, p) .. pack('<I4', n + sum)\n"
    "               .. cut(ring, p + 5)\n"
    "        skip = 33\n"
    "        keep(key, ring, (newest - 3) * width)\n"
    "    end\n"
    "\n"
    "    if op == 242 then return true, '' end\n"
    "\n"
    "    local function leave(target)\n"
    "        local n, k = spent, oldest\n"
    "        while n > target and k <= newest do\n"
    "            n = n - parse('<I4', ring, k % 61 * 4 + skip + 1)\n"
    "            k = k + 1\n"
    "        end\n"
    "        return max((k - 4) * width - now, 0)\n"
    "    end\n"
    "\n"
    "    local next, retry, full = 0, 0, 0\n"
    "\n"
    "    if spent > 0 then\n"
    "        full = max((newest - 3) * width - now, 0)\n"
    "        next = spent <= count and max((oldest - 3) * width - now, 0)\n"
    "               or leave(count - 1)\n"
    "    end\n"
    "\n"
    "    if cost > max(count - spent, 0) then\n"
    "        retry = cost > count and max(full, period * 1000000)\n"
    "                or leave(count - cost)\n"
    "    end\n"
    "\n"
    "    if op == 241 then\n"
    "        return true, pack('<dddddd', got, more, spent, next, retry,\n"
    "                          full)\n"
    "    end\n"
    "\n"
    "    return fits, pack('<dddd', spent, next, retry, full)\n"
    "end\n"
    "\n"

    /*
     * Slots are a "C", then as doubles their sum, when the first and the last
     * of them expire at the earliest and the latest, and the time of this
     * writing; then for each holder 8 bytes, and as doubles how many and until
     * when.  Only when the first may have expired, or the clock was set back,
     * are all holders gone through.
     */

    "slots = function(key, value, op, count, period, burst, cost, flag, more,\n"
    "                 look)\n"
    "    local sum, first, last, since, list = 0, 1e16, now, now, ''\n"
    "    local changed, fits = false, true\n"
    "\n"
    "    if value and #value >= 33 and #value % 24 == 9\n"
    "       and cut(value, 1, 1) == 'C' then\n"
    "        sum, first, last, since = parse('<dddd', value, 2)\n"
    "        list = cut(value, 34)\n"
    "        if not (sum >= 0 and sum <= 1e15 and last <= 9e15)\n"
    "           or now < since or now >= first then\n"
    "            local shift, all = 0, {}\n"
    "            if now < since and since <= 9e15 then\n"
    "                shift = since - now\n"
    "            end\n"
    "            sum, first, last = 0, 1e16, now\n"
    "            for j = 1, #list, 24 do\n"
    "                local n, ends = parse('<dd', list, j + 8)\n"
    "                ends = ends - shift\n"
    "                if n > 0 and n <= 1e9 and ends > now\n"
    "                   and ends <= now + 1e14 then\n"
    "                    all[#all + 1] = cut(list, j, j + 7)\n"
    "                                    .. pack('<dd', n, ends)\n"
    "                    sum, first = sum + n, min(first, ends)\n"
    "                    last = max(last, ends)\n"
    "                end\n"
    "            end\n"
    "            list, changed = table.concat(all), true\n"
    "        end\n"
    "    end\n"
    "\n"
    "    local holder = cut(arg, 1, 8)\n"
    "    local j = list:find(holder, 1, true)\n"
    "    while j and j % 24 ~= 1 do j = list:find(holder, j + 1, true) end\n"
    "    local mine = j and parse('<d', list, j + 8) or 0\n"
    "    local n, ends = mine, now + 60000000\n"
    "\n"
    "    if op == 243 then\n"
    "        n, ends = min(cost, 1e9), now + burst * 1000\n"
    "        changed = changed or n > 0 or mine > 0\n"
    "    elseif cost > 0 and sum + cost > count then\n"
    "        fits = false\n"
    "    elseif cost > 0 and not look then\n"
    "        n, changed = mine + cost, true\n"
    "    end\n"
    "\n"
    "    if changed then\n"
    "        if op == 243 or n > mine then\n"
    "            local own = n > 0 and holder .. pack('<dd', n, ends) or ''\n"
    "            list = j and cut(list, 1, j - 1) .. own .. cut(list, j + 24)\n"
    "                   or list .. own\n"
    "            sum = sum + n - mine\n"
    "            if n > 0 then\n"
    "                first, last = min(first, ends), max(last, ends)\n"
    "            end\n"
    "        end\n"
    "        value = pack('<Bdddd', 67, sum, first, last, now) .. list\n"
    "        keep(key, value, last)\n"
    "    end\n"
    "\n"
    "    return fits, pack('<d', sum)\n"
    "end\n"

    /* a request's limits are all charged or none is */

    "            end\n"
    "\n"
    "            local ok\n"
    "            ok, told = (flags < 4 and quota or slots)(key, value, op,\n"
    "                                 count, period, burst, cost, flags % 2,\n"
    "                                 more, look)\n"
    "            if not ok then\n"
    "                fits = 0\n"
    "                if flags % 2 == 0 then admitted = 0 end\n"
    "            end\n"
    "            if op <= 128 then\n"
    "                told = pack('B', fits) .. told\n"
    "                if op == 1 then told = pack('B', admitted) .. told end\n"
    "            end\n"
    "        end\n"
    "\n"
    "        if many then\n"
    "            if i == first and not look then\n"
    "                len = len + 1\n"
    "                out[len] = '\\1'\n"
    "            end\n"
    "            fit[i] = fits\n"
    "        end\n"
    "\n"
    "        len = len + 1\n"
    "        out[len] = told\n"
    "\n"
    "        if i == last and admitted == 0 and many and not look then\n"
    "            for j = last, first, -1 do\n"
    "                new[keys[j]], late[keys[j]] = was[j], was[-j]\n"
    "            end\n"
    "            look, i, pos, len = true, first - 1, start + 1, place + 1\n"
    "            out[len] = '\\0'\n"
    "        end\n"
    "\n"
    "        i = i + 1\n"
    "\n"
    "        if i <= last then\n"
    "            count, period, burst, cost, flags, pos\n"
    "                = parse('<ddddB', arg, pos)\n"
    "        end\n"
    "    end\n"
    "end\n"
    "\n"

    /*
     * A value found there, of the same length and good for long enough, is
     * overwritten in place and keeps its TTL; all others get theirs with the
     * value.
     */

    "local text = {}\n"
    "for key, value in pairs(new) do\n"
    "    local ends = late[key]\n"
    "    if ends then\n"
    "        time = text[ends]\n"
    "        if not time then\n"
    "            time = string.format('%d000', ends)\n"
    "            text[ends] = time\n"
    "        end\n"
    "        call('SET', key, value, 'PXAT', time)\n"
    "    else\n"
    "        call('SETRANGE', key, '0', value)\n"
    "    end\n"
    "end\n"
    "\n"
    "return table.concat(out)\n";


const rdy_str_t  rdy_batch_script = rdy_string(rdy_script);
