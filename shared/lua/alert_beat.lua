-- Alerts that run on a schedule. What is due stands in a zset (see alerts.lua), and stays there until the call that
-- submits its run moves it on: so it runs once, however many workers look, and however long none did.

-- due_alerts: args: most; returns: now (ms), then member and due time (ms) of each that is due, the oldest first
define('due_alerts', function(args)
  local now = now_ms()
  local due = redis.call('ZRANGE', KEY.ALERT_DUE, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, args[1], 'WITHSCORES')
  local reply = { int(now) }
  for i = 1, #due, 2 do append(reply, due[i], int(tonumber(due[i + 1]))) end
  return reply
end)

-- run_due_alert: args: member, when it is due (ms), when it is due next (ms, '' = never), then the args of submit, or
--   nothing: it moves on without a run
-- returns: what submit returns, or {'moved'}; {'taken'} it is not due then any more.
--   After 'stale', 'full' and 'namespace_full' it stays due.
define('run_due_alert', function(args)
  local due = redis.call('ZSCORE', KEY.ALERT_DUE, args[1])
  if not due or int(tonumber(due)) ~= args[2] then return { 'taken' } end
  local reply = args[4] and submit({ unpack(args, 4) }) or { 'moved' }
  if reply[1] == 'stale' or reply[1] == 'full' or reply[1] == 'namespace_full' then return reply end
  if args[3] == '' then
    redis.call('ZREM', KEY.ALERT_DUE, args[1])
  else
    redis.call('ZADD', KEY.ALERT_DUE, args[3], args[1])
  end
  return reply
end)
