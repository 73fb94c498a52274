-- Alerts that fire. An evaluation is an execution; what it found is written, and told, by the call that ends it, so it
-- is told once or not at all. A condition that is evaluated again and again has a level for each place it is asked of:
-- it is told when it begins to hold, and again after the renotify interval. An event has none: each is told.
-- The cooldown is one for the whole alert.

-- Whether a condition that holds is to be told now. `seen` is the alert's state.
local function is_news(evaluation, seen, now)
  if seen.fired_ms and now - seen.fired_ms < evaluation.cooldown_ms then return false end
  if evaluation.kind == 'event' or not seen.told_ms then return true end
  return evaluation.renotify_ms ~= nil and now - seen.told_ms >= evaluation.renotify_ms
end

-- Enter the level in the alert's state; returns whether it fires. A rise that falls into a cooldown is told when that
-- is over, if it still holds.
local function fires(alert_id, evaluation, now)
  if evaluation.kind == 'silent' or redis.call('EXISTS', KEY.ALERT .. alert_id) == 0 then return false end
  local key, source = KEY.ALERT_STATE .. alert_id, evaluation.source
  local has_level = evaluation.kind == 'level'
  if not evaluation.holds then
    if has_level then redis.call('HDEL', key, 'true:' .. source, 'told:' .. source) end
    return false
  end
  local fired_ms, told_ms = unpack(redis.call('HMGET', key, 'last_fired_ms', 'told:' .. source))
  local seen = { fired_ms = tonumber(fired_ms or ''), told_ms = tonumber(told_ms or '') }
  if has_level then redis.call('HSETNX', key, 'true:' .. source, int(now)) end
  if not is_news(evaluation, seen, now) then return false end
  redis.call('HSET', key, 'last_fired_ms', int(now))
  if has_level then redis.call('HSET', key, 'told:' .. source, int(now)) end
  return true
end

-- What a run found, into the fields that its record keeps (`result`), and to all who are told of it.
-- args: finding (JSON), '1' when the condition holds, 'event' | 'level' | 'silent' (the alert is disabled),
--   where it was asked (collection id or ''), cooldown_ms, renotify_ms ('' = once per rise), payload of the event,
--   mark that the state keeps ('' = as it is), then lane and timeout (ms) of each channel …
local function evaluated(record, args, now, result)
  result.alert_result = args[1]
  local evaluation = { holds = args[2] == '1', kind = args[3], source = args[4], cooldown_ms = tonumber(args[5]),
    renotify_ms = tonumber(args[6]) }
  if args[8] ~= '' and redis.call('EXISTS', KEY.ALERT .. record.alert_id) == 1 then
    redis.call('HSET', KEY.ALERT_STATE .. record.alert_id, 'mark', args[8])
  end
  if not fires(record.alert_id, evaluation, now) then return end
  result.alert_fired = int(now)
  local lanes = { unpack(args, 9) }
  append(lanes, unpack(redis.call('HGETALL', KEY.SUBSCRIBERS .. 'alert.triggered')))
  deliver({ id = event_id(record), type = 'alert.triggered', payload = args[7] }, lanes, now)
end
