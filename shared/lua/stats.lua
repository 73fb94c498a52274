-- What the books say, beside what is really there. Read in one call, so the two belong to the same moment.

-- Of each queue: its name, how many wait in it, sequence number of the one that has waited longest ('' = none).
local function queues_now(queues)
  local found = {}
  for _, queue in ipairs(queues) do
    local oldest = redis.call('ZRANGE', KEY.PENDING .. queue, 0, 0, 'WITHSCORES')
    found[#found + 1] = { queue, redis.call('ZCARD', KEY.PENDING .. queue), oldest[2] or '' }
  end
  return found
end

-- read_books: args: namespace ('' = the installation), queue …
-- returns: {transition, count, …}, executions that are leased now, queues_now; O(queues)
define('read_books', function(args)
  local key = args[1] == '' and KEY.BOOKS or KEY.BOOKS .. ':' .. args[1]
  return { redis.call('HGETALL', key), redis.call('ZCARD', KEY.LEASES), queues_now({ unpack(args, 2) }) }
end)

-- read_metrics: args: silence_ms, queue …
-- returns: now (ms), workers heard of and stuck stages told of within silence_ms, metric fields and their values, then what read_books
--   returns of the installation; O(fields)
define('read_metrics', function(args)
  local now = now_ms()
  local since = int(now - tonumber(args[1]))
  return { int(now), redis.call('ZCOUNT', KEY.WORKERS, since, '+inf'), redis.call('ZCOUNT', KEY.STUCK, since, '+inf'),
    redis.call('HGETALL', KEY.METRICS), redis.call('HGETALL', KEY.BOOKS), redis.call('ZCARD', KEY.LEASES),
    queues_now({ unpack(args, 2) }) }
end)
