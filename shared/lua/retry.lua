-- retry: a stage met an error that may pass, so the execution waits, without a worker, until it is due.
-- Until then it is pending like any other, but its place in the queue is the moment when it is due, and it has
-- no message: the sweep sends one. Should that go wrong, it looks like a lost message, which is sent again.
-- args: id, epoch, delay_ms
-- returns: 'waiting' | 'lost' it is not this attempt's any more
define('retry', function(args)
  local record = load(args[1])
  if not record or record.status ~= 'processing' or int(record.epoch) ~= args[2] then return 'lost' end
  local now = now_ms()
  record.retry_ms = now + tonumber(args[3])
  put_back(record, now)
  redis.call('HSET', KEY.RECORD .. record.id, 'seq', int(record.retry_ms * 1000))
  redis.call('ZADD', KEY.PENDING .. record.queue, int(record.retry_ms * 1000), record.id)
  redis.call('ZADD', KEY.DELAYED, int(record.retry_ms), record.id)
  return 'waiting'
end)

-- The messages of those that are due, at most `count`.
local function send_due(now, template, count)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEY.DELAYED, '-inf', int(now), 'LIMIT', 0, count)) do
    redis.call('ZREM', KEY.DELAYED, id)
    local record = load(id)
    if record and record.status == 'pending' then
      record.seq = next_sequence(now)
      change(record, { 'seq', int(record.seq) })
      enqueue(record, template, 'RPUSH')
    end
  end
end
