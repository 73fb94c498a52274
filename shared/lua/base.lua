-- What all functions have in common: the clock, numbers and times as text, the sequence.
-- All times are the server's TIME in milliseconds, frozen within one call.

local function define(name, body)
  redis.register_function('kennel_' .. name .. '_' .. VERSION, function(_, args) return body(args) end)
end

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- Numbers over 2^31 print as 1.7e+12 unless told otherwise.
local function int(number) return string.format('%.0f', number) end

-- ISO 8601 UTC. Days to civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
local function iso(ms)
  local s = math.floor(ms / 1000)
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
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(t / 3600), math.floor(t % 3600 / 60), t % 60, ms % 1000)
end

-- Append values to a list, which is returned.
local function append(list, ...)
  for _, value in ipairs({ ... }) do list[#list + 1] = value end
  return list
end

local function iso_or_null(ms)
  return ms and '"' .. iso(ms) .. '"' or 'null'
end

-- The next sequence number: microseconds of now, but always above the last. It orders the queue, the
-- watermarks and the history, and tells the time of submission.
local function next_sequence(now)
  local last = tonumber(redis.call('GET', KEY.SEQUENCE) or '0')
  local sequence = math.max(now * 1000, last + 1)
  redis.call('SET', KEY.SEQUENCE, int(sequence))
  return sequence
end
