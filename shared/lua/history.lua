-- history: a page of a retriever's executions, newest first.
-- args: retriever, status ('' = any), below (sequence, '' = from the newest), offset, limit,
--   first and last sequence to look at ('-inf' and '+inf' = all), summary_ttl_s: what is older is not listed
-- returns: total, then sequence, id and summary of each; O(offset + limit), for processing O(all running)
local function summary_at(id, now)
  local stored = redis.call('GET', KEY.SUMMARY .. id)
  if stored then return stored end
  local record = load(id)
  return record and record.about and summary_of(record, now) or nil
end

local function running_of(retriever)
  local found = {}
  for _, id in ipairs(redis.call('ZRANGE', KEY.LEASES, 0, -1)) do
    local seen = redis.call('HMGET', KEY.RECORD .. id, 'retriever', 'status', 'order')
    if seen[1] == retriever and seen[2] == 'processing' then found[#found + 1] = { id, tonumber(seen[3]) } end
  end
  table.sort(found, function(a, b) return a[2] > b[2] end)
  return found
end

local function page_of_running(retriever, below, offset, limit, first, last)
  local page = {}
  local total, skipped = 0, 0
  for _, item in ipairs(running_of(retriever)) do
    if item[2] >= first and item[2] <= last then
      total = total + 1
      if not below or item[2] < below then
        if skipped < offset then
          skipped = skipped + 1
        elseif #page < limit then
          page[#page + 1] = item
        end
      end
    end
  end
  return total, page
end

local function page_of_index(key, below, offset, limit, first, last)
  local top = below and '(' .. int(below) or last
  local flat = redis.call('ZREVRANGEBYSCORE', key, top, first, 'WITHSCORES', 'LIMIT', offset, limit)
  local page = {}
  for i = 1, #flat, 2 do page[#page + 1] = { flat[i], tonumber(flat[i + 1]) } end
  return redis.call('ZCOUNT', key, first, last), page
end

define('history', function(args)
  local retriever, status, now = args[1], args[2], now_ms()
  local below, offset, limit = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  local kept_since = (now - tonumber(args[8]) * 1000) * 1000
  local first = args[6] == '-inf' and kept_since or math.max(kept_since, tonumber(args[6]))
  local total, page
  if status == 'processing' then
    local last = args[7] == '+inf' and math.huge or tonumber(args[7])
    total, page = page_of_running(retriever, below, offset, limit, first, last)
  else
    local key = history_key({ retriever = retriever }, status ~= '' and status)
    total, page = page_of_index(key, below, offset, limit, int(first), args[7])
  end
  local reply = { total }
  for _, item in ipairs(page) do
    local summary = summary_at(item[1], now)
    if summary then
      local at = #reply
      reply[at + 1], reply[at + 2], reply[at + 3] = int(item[2]), item[1], summary
    end
  end
  return reply
end)

-- profiles: what the stages of a retriever's newest completed executions did, for estimates.
-- args: retriever, version, count
-- returns: the profile (JSON) of each of the newest `count` that ran this version; O(count)
define('profiles', function(args)
  local found = {}
  for _, id in ipairs(redis.call('ZREVRANGE', KEY.HISTORY .. args[1] .. ':completed', 0, args[3] - 1)) do
    local version, profile = string.match(redis.call('HGET', KEY.RECORD .. id, 'profile') or '', '^(%S+) (.*)$')
    if version == args[2] then found[#found + 1] = profile end
  end
  return found
end)
