-- embedding: collections with texts that wait for their embedding. The texts wait in the document engine;
-- here is only whether somebody has been told. A member's score is when it was last worked on (ms).
-- A member is "<namespace id>/<collection id>".

local function send_embed(member, now, queue, template)
  redis.call('ZADD', KEY.EMBEDDING, int(now), member)
  local id = 'embed_' .. string.match(member, '[^/]+$') .. '_' .. int(now)
  redis.call('LPUSH', queue, (string.gsub(template, '@(%u+)@', { ID = id, REF = member })))
end

-- embed_want: tell a worker, unless one is at it. args: member, queue, message template
-- returns: 1 when a message was sent
define('embed_want', function(args)
  if redis.call('ZSCORE', KEY.EMBEDDING, args[1]) then return 0 end
  send_embed(args[1], now_ms(), args[2], args[3])
  return 1
end)

-- embed_mark: it is being worked on, or will be in `later_ms`. args: member, later_ms
define('embed_mark', function(args)
  return redis.call('ZADD', KEY.EMBEDDING, int(now_ms() + tonumber(args[2])), args[1])
end)

-- embed_done: the caller looks once more after this, so that a write in between is not missed. args: member
define('embed_done', function(args)
  return redis.call('ZREM', KEY.EMBEDDING, args[1])
end)

-- embed_sweep: send again for what nobody has worked on for `idle_ms`, at most `limit`.
-- args: idle_ms, limit, queue, message template; returns: how many
define('embed_sweep', function(args)
  local now = now_ms()
  local idle = redis.call('ZRANGE', KEY.EMBEDDING, '-inf', int(now - tonumber(args[1])), 'BYSCORE', 'LIMIT', 0, args[2])
  for _, member in ipairs(idle) do send_embed(member, now, args[3], args[4]) end
  return #idle
end)
