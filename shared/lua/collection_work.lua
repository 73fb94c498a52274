-- Work that waits in the document engine, collection by collection: texts to embed, documents that alerts are to be
-- asked about. Here is only whether somebody has been told. Each kind of work has a zset of its own, "kennel:work:<kind>",
-- in which a member's score is when it was last worked on (ms). A member is "<namespace id>/<collection id>".

local function send_work(kind, member, now, queue, template)
  redis.call('ZADD', KEY.WORK .. kind, int(now), member)
  local id = kind .. '_' .. string.match(member, '[^/]+$') .. '_' .. int(now)
  redis.call('LPUSH', queue, (string.gsub(template, '@(%u+)@', { ID = id, REF = member })))
end

-- want_work: tell a worker, unless one is at it. args: member, then kind, queue, message template of each kind …
-- returns: how many messages were sent
define('want_work', function(args)
  local sent = 0
  for i = 2, #args, 3 do
    if not redis.call('ZSCORE', KEY.WORK .. args[i], args[1]) then
      send_work(args[i], args[1], now_ms(), args[i + 1], args[i + 2])
      sent = sent + 1
    end
  end
  return sent
end)

-- mark_work: it is being worked on, or will be in `later_ms`. args: kind, member, later_ms
define('mark_work', function(args)
  return redis.call('ZADD', KEY.WORK .. args[1], int(now_ms() + tonumber(args[3])), args[2])
end)

-- work_done: the caller looks once more after this, so that a write in between is not missed. args: kind, member
define('work_done', function(args)
  return redis.call('ZREM', KEY.WORK .. args[1], args[2])
end)

-- sweep_work: send again for what nobody has worked on for `idle_ms`, at most `limit`.
-- args: kind, idle_ms, limit, queue, message template; returns: how many
define('sweep_work', function(args)
  local now = now_ms()
  local key, until_ms = KEY.WORK .. args[1], int(now - tonumber(args[2]))
  local idle = redis.call('ZRANGE', key, '-inf', until_ms, 'BYSCORE', 'LIMIT', 0, args[3])
  for _, member in ipairs(idle) do send_work(args[1], member, now, args[4], args[5]) end
  return #idle
end)
