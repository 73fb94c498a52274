-- sweep: what keeps the promise. Ends leases that nobody renews, sends lost messages again, and those of retries
-- that are due. At most `batch` of each per call; the caller repeats while any count is full. Safe to run from any
-- number of workers at once.
-- args: message template, gap_ms, hold_ms, window_ms, max_attempts, batch, error (JSON string) for the cap,
--   result_ttl_s, summary_ttl_s, history_max, worker_ttl_ms, the caller's worker name, queue …
-- returns: requeued, failed, sent again, retried, held (1 while the gap guard holds), then id, epoch and process of each
--   execution that the caller's worker holds: it knows which of its processes have died (see abandon)

-- The gap guard. If nobody swept for gap_ms, the server was paused, restarted or its clock jumped, or every
-- worker was away: nobody could heartbeat reliably, so no lease ends before hold_ms have passed.
local function holding(now, gap_ms, hold_ms)
  local seen = redis.call('HMGET', KEY.SWEEP, 'last_ms', 'hold_until_ms')
  local last, hold_until = tonumber(seen[1] or now), tonumber(seen[2] or 0)
  if now - last > gap_ms or now < last then hold_until = now + hold_ms end
  redis.call('HSET', KEY.SWEEP, 'last_ms', int(now), 'hold_until_ms', int(hold_until))
  return now < hold_until
end

local function end_lease(record, now, args)
  if record.attempts - (record.retries or 0) < tonumber(args[5]) then -- those had no fault of a worker
    requeue(record, now, args[1], 'LPUSH')
    return 'requeued'
  end
  record.status = 'failed'
  record.error = args[7]
  close(record, now, retention_from(args, 8), {})
  return 'failed'
end

local function end_leases(now, args)
  local ended = { requeued = 0, failed = 0 }
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEY.LEASES, '-inf', int(now), 'LIMIT', 0, args[6])) do
    local record = load_to_end(id)
    if record and record.status == 'processing' then
      local word = end_lease(record, now, args)
      ended[word] = ended[word] + 1
    else
      redis.call('ZREM', KEY.LEASES, id)
    end
  end
  return ended.requeued, ended.failed
end

-- The queue is first in, first out: a record still pending although later messages were popped two
-- windows ago has lost its message. Two marks, because a popped message needs time to be claimed, and
-- their minimum, because a stopping worker may put a message back.
local function lost_before(queue, now, window_ms)
  local key = KEY.MARKS .. queue
  local last = redis.call('LINDEX', queue, -1)
  local sequence = tonumber(redis.call('GET', KEY.SEQUENCE) or '0')
  local mark = sequence + 1
  if last then mark = sequence_in(last) end
  if not mark then return nil end -- a foreign message: say nothing rather than something wrong
  local seen = redis.call('HMGET', key, 'old', 'current', 'at_ms')
  local old, current, at = tonumber(seen[1]), tonumber(seen[2]), tonumber(seen[3])
  if not current or current > sequence + 1 then -- first time, or restored from a backup
    redis.call('HSET', key, 'old', '0', 'current', int(mark), 'at_ms', int(now))
    return nil
  end
  if now - at >= window_ms or now < at then
    old = current
    redis.call('HSET', key, 'old', int(old), 'current', int(mark), 'at_ms', int(now))
  end
  return math.min(old, mark)
end

local function send_again(record, now, template)
  local had_message = not record.retry_ms and not is_parked(record)
  record.seq = sequence_for(record.queue, now, 'RPUSH')
  redis.call('HSET', KEY.RECORD .. record.id, 'seq', int(record.seq))
  if not had_message then -- it waited for a retry or its turn, and nobody sent it: now it waits like any other
    redis.call('HDEL', KEY.RECORD .. record.id, 'retry_ms')
    redis.call('ZREM', KEY.DELAYED, record.id)
    enqueue(record, template, 'RPUSH')
  else
    send(record, template, 'RPUSH')
  end
end

local function send_lost(queue, now, args)
  local before = lost_before(queue, now, tonumber(args[4]))
  if not before then return 0 end
  local ids = redis.call('ZRANGEBYSCORE', KEY.PENDING .. queue, '-inf', '(' .. int(before), 'LIMIT', 0, args[6])
  for _, id in ipairs(ids) do
    local record = load(id)
    if record and record.status == 'pending' then
      send_again(record, now, args[1])
    else
      redis.call('ZREM', KEY.PENDING .. queue, id)
    end
  end
  return #ids
end

-- Appends what the processes of one worker hold. O(all running).
local function held_by(worker, reply)
  for _, id in ipairs(redis.call('ZRANGE', KEY.LEASES, 0, -1)) do
    local seen = redis.call('HMGET', KEY.RECORD .. id, 'epoch', 'worker')
    if seen[2] and string.sub(seen[2], 1, #worker + 1) == worker .. '/' then
      for _, value in ipairs({ id, seen[1], seen[2] }) do reply[#reply + 1] = value end
    end
  end
  return reply
end

define('sweep', function(args)
  local now = now_ms()
  local held = holding(now, tonumber(args[2]), tonumber(args[3]))
  local requeued, failed, sent = 0, 0, 0
  if not held then requeued, failed = end_leases(now, args) end
  local retried = send_due(now, args[1], args[6])
  for i = 13, #args do sent = sent + send_lost(args[i], now, args) end
  refill_parked(args[1], args[6])
  redis.call('ZREMRANGEBYSCORE', KEY.WORKERS, '-inf', int(now - tonumber(args[11])))
  return held_by(args[12], { requeued, failed, sent, retried, held and 1 or 0 })
end)

-- abandon: the process that held an execution is gone; its lease ends with the next sweep.
-- args: id, epoch
-- returns: 'abandoned' | 'lost' it is not this attempt's any more
define('abandon', function(args)
  local seen = redis.call('HMGET', KEY.RECORD .. args[1], 'status', 'epoch')
  if seen[1] ~= 'processing' or seen[2] ~= args[2] then return 'lost' end
  redis.call('ZADD', KEY.LEASES, 0, args[1])
  return 'abandoned'
end)
