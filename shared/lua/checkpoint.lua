-- checkpoint: keep what a later attempt can go on with, and what can be shown of it until then.
-- args: id, epoch, ttl_s, stage, documents in all, rows (JSON array), state (bytes of the worker's own)
-- returns: 'kept' | 'lost' not this attempt's any more
define('checkpoint', function(args)
  local seen = redis.call('HMGET', KEY.RECORD .. args[1], 'status', 'epoch')
  if seen[1] ~= 'processing' or seen[2] ~= args[2] then return 'lost' end
  local key = KEY.CHECKPOINT .. args[1]
  redis.call('HSET', key, 'stage', args[4], 'total', args[5], 'rows', args[6], 'state', args[7])
  redis.call('EXPIRE', key, args[3])
  return 'kept'
end)
