-- retry: a stage met an error that may pass, so the execution waits, without a worker, until it is due.
-- Until then it is pending like any other, but its place in the queue is the moment when it is due, it has no
-- message, and a claim is refused: the sweep sends one. Should that go wrong, it looks like a lost message, which is
-- sent again. What the attempt has done so far is written by the same call.
-- args: id, epoch, delay_ms, stages completed, detail, figures
-- returns: 'waiting' (again for the same attempt) | 'lost' it is not this attempt's any more
define('retry', function(args)
  local record = load(args[1])
  if not record or int(record.epoch) ~= args[2] then return 'lost' end
  if record.retry_ms then return 'waiting' end
  if record.status ~= 'processing' then return 'lost' end
  local now = now_ms()
  record.retries = (record.retries or 0) + 1
  record.retry_ms = now + tonumber(args[3])
  record.seq = record.retry_ms * 1000
  put_back(record, now, tonumber(args[4]), { 'retries', int(record.retries), 'retry_ms', int(record.retry_ms),
    'detail', args[5], 'figures', args[6] })
  redis.call('ZADD', KEY.PENDING .. record.queue, int(record.seq), record.id)
  redis.call('ZADD', KEY.DELAYED, int(record.retry_ms), record.id)
  return 'waiting'
end)

-- The messages of those that are due, at most `count`. Returns how many were.
local function send_due(now, template, count)
  local due = redis.call('ZRANGEBYSCORE', KEY.DELAYED, '-inf', int(now), 'LIMIT', 0, count)
  for _, id in ipairs(due) do
    redis.call('ZREM', KEY.DELAYED, id)
    local record = load(id)
    if record and record.retry_ms then
      record.retry_ms = nil
      record.seq = sequence_for(record.queue, now, 'RPUSH')
      redis.call('HDEL', KEY.RECORD .. id, 'retry_ms')
      change(record, { 'seq', int(record.seq) })
      enqueue(record, template, 'RPUSH')
    end
  end
  return #due
end
