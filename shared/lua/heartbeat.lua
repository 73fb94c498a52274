-- heartbeat: renew the leases of one process. O(executions of the process), at most its threads.
-- A lease that has expired but was not swept yet is renewed: status and epoch decide, not the clock.
-- args: worker ('' = it is stopping and takes nothing new), lease_ms, process,
--   measurements: token ('' = none), how many, then field, amount of each (integers; see shared/metrics.py),
--   then id, epoch pairs
-- returns: the ids that are no longer this process's to run

-- How long a process may try to send the same measurements. Later ones have another token.
local MEASUREMENTS_TTL_S = 3600
local STUCK_TTL_S = 3600

-- Add them once, however often they are sent. O(count)
local function add_measurements(process, token, count, args, first)
  local flushed = KEY.FLUSHED .. process
  if token == '' or redis.call('GET', flushed) == token then return end
  for i = first, first + 2 * count - 1, 2 do redis.call('HINCRBY', KEY.METRICS, args[i], args[i + 1]) end
  redis.call('SET', flushed, token, 'EX', MEASUREMENTS_TTL_S)
end

define('heartbeat', function(args)
  local now = now_ms()
  local until_ms = int(now + tonumber(args[2]))
  local measured = tonumber(args[5])
  if args[1] ~= '' then redis.call('ZADD', KEY.WORKERS, int(now), args[1]) end
  add_measurements(args[3], args[4], measured, args, 6)
  local lost = {}
  for i = 6 + 2 * measured, #args, 2 do
    local seen = redis.call('HMGET', KEY.RECORD .. args[i], 'status', 'epoch')
    if seen[1] == 'processing' and seen[2] == args[i + 1] then
      redis.call('ZADD', KEY.LEASES, until_ms, args[i])
    else
      lost[#lost + 1] = args[i]
    end
  end
  return lost
end)

-- resign: a worker that stops takes its name off the list at once. args: worker
define('resign', function(args)
  return redis.call('ZREM', KEY.WORKERS, args[1])
end)

-- tell_stuck: stages of a process that must stop and cannot be ended, told with each heartbeat as long as they
-- last. Which are not told of any more have ended, or their process has. O(executions)
-- args: process, execution id …
define('tell_stuck', function(args)
  local now = now_ms()
  redis.call('ZREMRANGEBYSCORE', KEY.STUCK, '-inf', int(now - STUCK_TTL_S * 1000))
  for i = 2, #args do redis.call('ZADD', KEY.STUCK, int(now), args[1] .. ' ' .. args[i]) end
  return redis.call('EXPIRE', KEY.STUCK, STUCK_TTL_S)
end)
