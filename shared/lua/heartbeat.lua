-- heartbeat: renew the leases of one process. O(executions of the process), at most its threads.
-- A lease that has expired but was not swept yet is renewed: status and epoch decide, not the clock.
-- args: worker ('' = it is stopping and takes nothing new), lease_ms, then id, epoch pairs
-- returns: the ids that are no longer this process's to run
define('heartbeat', function(args)
  local now = now_ms()
  local until_ms = int(now + tonumber(args[2]))
  if args[1] ~= '' then redis.call('ZADD', KEY.WORKERS, int(now), args[1]) end
  local lost = {}
  for i = 3, #args, 2 do
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
