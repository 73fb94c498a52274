-- Webhooks: their records, and who is told of which event. Both change in one call.
-- `subscribed` of a record lists "<event type> <lane>" of what it is told of, so that this can be undone.

local function unsubscribe(key)
  for event_type, lane in string.gmatch(redis.call('HGET', key, 'subscribed') or '', '(%S+) (%S+)\n') do
    redis.call('HDEL', KEY.SUBSCRIBERS .. event_type, lane)
  end
end

-- put_webhook: args: id, version that the caller has read ('0' = none), body (JSON), created_ms, most webhooks,
--   then event type, lane and timeout (ms) of each subscription …
-- returns: 'stored' (again for the same body) | 'stale' somebody was faster, or it is gone | 'full'
define('put_webhook', function(args)
  local key = KEY.WEBHOOK .. args[1]
  local seen = redis.call('HMGET', key, 'version', 'body')
  local following = int(tonumber(args[2]) + 1)
  if seen[1] == following and seen[2] == args[3] then return 'stored' end
  if (seen[1] or '0') ~= args[2] then return 'stale' end
  if not seen[1] and redis.call('ZCARD', KEY.WEBHOOKS) >= tonumber(args[5]) then return 'full' end
  unsubscribe(key)
  local subscribed = {}
  for i = 6, #args, 3 do
    redis.call('HSET', KEY.SUBSCRIBERS .. args[i], args[i + 1], args[i + 2])
    append(subscribed, args[i] .. ' ' .. args[i + 1] .. '\n')
  end
  redis.call('HSET', key, 'version', following, 'body', args[3], 'subscribed', table.concat(subscribed))
  redis.call('ZADD', KEY.WEBHOOKS, 'NX', args[4], args[1])
  return 'stored'
end)

-- What waits to be sent for an owner of channels is dropped, and what was sent forgotten.
local function forget_deliveries(owner, channels)
  for channel = 0, channels - 1 do
    local lane = owner .. '/' .. channel
    redis.call('DEL', due_key(lane), sending_key(lane))
    redis.call('ZREM', KEY.LANES, lane)
  end
  redis.call('DEL', deliveries_key(owner), deliveries_key(owner, 'pending'), deliveries_key(owner, 'delivered'),
    deliveries_key(owner, 'failed'), KEY.HEALTH .. owner)
end

-- delete_webhook: nothing is sent for it from now on; its deliveries are forgotten.
-- args: id, number of its channels; returns: 1 when it was there, else 0
define('delete_webhook', function(args)
  local id = args[1]
  unsubscribe(KEY.WEBHOOK .. id)
  forget_deliveries(id, tonumber(args[2]))
  redis.call('ZREM', KEY.WEBHOOKS, id)
  return redis.call('DEL', KEY.WEBHOOK .. id)
end)

-- read_webhook: args: id; returns: {version, body, fields and values of its health} | nil
define('read_webhook', function(args)
  local seen = redis.call('HMGET', KEY.WEBHOOK .. args[1], 'version', 'body')
  if not seen[1] then return nil end
  return { seen[1], seen[2], redis.call('HGETALL', KEY.HEALTH .. args[1]) }
end)

-- list_webhooks: newest first. returns: each as read_webhook; O(webhooks)
define('list_webhooks', function()
  local found = {}
  for _, id in ipairs(redis.call('ZREVRANGE', KEY.WEBHOOKS, 0, -1)) do
    local seen = redis.call('HMGET', KEY.WEBHOOK .. id, 'version', 'body')
    append(found, { seen[1], seen[2], redis.call('HGETALL', KEY.HEALTH .. id) })
  end
  return found
end)

-- forget_failures: it was switched on again: the run of failures is over. args: id
define('forget_failures', function(args) return redis.call('DEL', KEY.HEALTH .. args[1]) end)
