-- history: a page of a retriever's executions, newest first.
-- args: retriever, status ('' = any), below (sequence, '' = from the newest), offset, limit,
--   first and last sequence to look at ('-inf' and '+inf' = all), summary_ttl_s: what is older is not listed
-- returns: total, then sequence and line (JSON) of each; O(offset + limit), for processing O(all running)

-- `wanted` has the retrievers as its keys, or alerts: in their history are their own executions.
local function running_of(wanted)
  local found = {}
  for _, id in ipairs(redis.call('ZRANGE', KEY.LEASES, 0, -1)) do
    local seen = redis.call('HMGET', KEY.RECORD .. id, 'retriever', 'status', 'order', 'alert_id')
    if seen[1] and wanted[seen[4] or seen[1]] and seen[2] == 'processing' then
      found[#found + 1] = { id, tonumber(seen[3]) }
    end
  end
  table.sort(found, function(a, b) return a[2] > b[2] end)
  return found
end

local function page_of_running(wanted, below, offset, limit, first, last)
  local page = {}
  local total, skipped = 0, 0
  for _, item in ipairs(running_of(wanted)) do
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

-- The sequence number from which on lines are kept.
local function kept_since(now, summary_ttl_s)
  return (now - tonumber(summary_ttl_s) * 1000) * 1000
end

local function lines_of(total, page, now)
  local reply = { total }
  for _, item in ipairs(page) do
    local line = stored_line(item[1]) or live_line(item[1], now)
    if line then append(reply, int(item[2]), line) end
  end
  return reply
end

define('history', function(args)
  local retriever, status, now = args[1], args[2], now_ms()
  local below, offset, limit = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  local oldest = kept_since(now, args[8])
  local first = args[6] == '-inf' and oldest or math.max(oldest, tonumber(args[6]))
  local total, page
  if status == 'processing' then
    local last = args[7] == '+inf' and math.huge or tonumber(args[7])
    total, page = page_of_running({ [retriever] = true }, below, offset, limit, first, last)
  else
    local key = history_key({ retriever = retriever }, status ~= '' and status)
    total, page = page_of_index(key, below, offset, limit, int(first), args[7])
  end
  return lines_of(total, page, now)
end)

-- newest: the newest executions of several retrievers, in one order.
-- args: status ('' = any), below (sequence, '' = from the newest), limit, summary_ttl_s, retriever …
-- returns: as history; O(retrievers x limit)
local function newest_of_indexes(retrievers, status, below, limit, first)
  local total, found = 0, {}
  for _, retriever in ipairs(retrievers) do
    local key = history_key({ retriever = retriever }, status ~= '' and status)
    local count, page = page_of_index(key, below, 0, limit, first, '+inf')
    total = total + count
    append(found, unpack(page))
  end
  table.sort(found, function(a, b) return a[2] > b[2] end)
  return total, { unpack(found, 1, math.min(limit, #found)) }
end

define('newest', function(args)
  local status, below, limit, now = args[1], tonumber(args[2]), tonumber(args[3]), now_ms()
  local first = kept_since(now, args[4])
  local total, page
  if status == 'processing' then
    local wanted = {}
    for i = 5, #args do wanted[args[i]] = true end
    total, page = page_of_running(wanted, below, 0, limit, first, math.huge)
  else
    total, page = newest_of_indexes({ unpack(args, 5) }, status, below, limit, int(first))
  end
  return lines_of(total, page, now)
end)

-- tombstone: the line of an execution that has ended, which outlives its record. args: id
-- returns: JSON | nil it never was, has not ended, or its line has expired
define('tombstone', function(args) return stored_line(args[1]) end)

-- profiles: what the stages of a retriever's newest completed executions did, for estimates.
-- args: retriever, version, count
-- returns: the profile (JSON) of each of the newest `count` that ran this version; O(count)
define('profiles', function(args)
  local found = {}
  for _, id in ipairs(redis.call('ZREVRANGE', KEY.HISTORY .. args[1] .. ':completed', 0, args[3] - 1)) do
    local seen = redis.call('HMGET', KEY.RECORD .. id, 'version', 'profile')
    if seen[1] == args[2] and seen[2] then found[#found + 1] = seen[2] end
  end
  return found
end)
