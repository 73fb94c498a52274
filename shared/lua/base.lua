-- What all functions have in common: the clock, numbers and times as text, the sequence.
-- All times are the server's TIME in milliseconds, frozen within one call.

local function define(name, body)
  redis.register_function('kennel_' .. name .. '_' .. VERSION, function(_, args) return body(args) end)
end

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- Large numbers print as 1.7e+12 unless told otherwise.
local function int(number) return string.format('%d', number) end

-- ISO 8601 UTC, without a fraction. Days to civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
local function iso_second(s)
  local z = math.floor(s / 86400) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local t = s % 86400
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d', year, month, day,
    math.floor(t / 3600), math.floor(t % 3600 / 60), t % 60)
end

-- The seconds that were asked for last: an answer names up to six times, most of them of a few seconds.
local SECONDS_KEPT = 64
local kept_seconds, kept_count = {}, 0

local function iso(ms)
  local s = math.floor(ms / 1000)
  local text = kept_seconds[s]
  if not text then
    if kept_count >= SECONDS_KEPT then kept_seconds, kept_count = {}, 0 end
    text = iso_second(s)
    kept_seconds[s], kept_count = text, kept_count + 1
  end
  return text .. string.format('.%03dZ', ms % 1000)
end

-- Append values to a list, which is returned.
local function append(list, ...)
  local values, count = { ... }, #list
  for i = 1, #values do list[count + i] = values[i] end
  return list
end

-- A key that is written again and again lives so long from now on. To renew it at every write would cost as much as
-- the write, so it may end a hundredth too early.
local function keep_alive(key, ttl_s)
  if redis.call('TTL', key) < ttl_s * 0.99 then redis.call('EXPIRE', key, ttl_s) end
end

local function iso_or_null(ms)
  return ms and '"' .. iso(ms) .. '"' or 'null'
end

-- The next sequence number: microseconds of now, but always above the last. It orders the queue, the
-- watermarks and the history, and tells the time of submission. With a count, that many: the first of them.
local function next_sequence(now, count)
  local last = tonumber(redis.call('GET', KEY.SEQUENCE) or '0')
  local sequence = math.max(now * 1000, last + 1)
  redis.call('SET', KEY.SEQUENCE, int(sequence + (count or 1) - 1))
  return sequence
end
