-- The counters of a batch, moved by the calls that move its executions: see batch.lua.

-- How the rate of a batch is measured: between now and a mark that is one to two of these old.
local RATE_WINDOW_MS = 10000

-- Nothing of a batch is open: from now on it lives as long as a result, unless more is added to it.
local function rest_batch(id, now, ttl_s, uploading, watchers)
  local key = KEY.BATCH .. id
  redis.call('HSETNX', key, 'ended_ms', int(now))
  redis.call('EXPIRE', key, ttl_s)
  redis.call('EXPIRE', key .. ':lines', ttl_s)
  if not uploading then wake(watchers, id .. ' ended') end
end

local function count_finished(id, now)
  local key = KEY.BATCH .. id
  local finished = redis.call('HINCRBY', key, 'finished', 1)
  local seen = redis.call('HMGET', key, 'pending', 'processing', 'mark_ms', 'mark', 'ttl_s', 'uploading_until_ms',
    'watchers')
  if now - tonumber(seen[3] or 0) >= RATE_WINDOW_MS then
    redis.call('HSET', key, 'mark_ms', int(now), 'mark', finished, 'older_mark_ms', seen[3] or '', 'older_mark',
      seen[4] or '')
  end
  if seen[1] == '0' and seen[2] == '0' then
    rest_batch(id, now, seen[5], tonumber(seen[6] or 0) > now, seen[7] or nil)
  end
end

-- An execution of a batch has gone from the status it was counted as to its present one.
local function count_in_batch(record)
  local key, now = KEY.BATCH .. record.batch, now_ms()
  redis.call('HINCRBY', key, record.counted, -1)
  redis.call('HINCRBY', key, record.status, 1)
  if record.status == 'processing' then redis.call('HSETNX', key, 'started_ms', int(now)) end
  if TERMINAL[record.status] then count_finished(record.batch, now) end
end
