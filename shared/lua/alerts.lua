-- Alerts as resources: a retriever is used by alerts, an alert by the collections that it is attached to, and what is
-- used stays. So `alerts_of` a retriever and `attached` of an alert change in the same call as the bodies that say so.
--
-- `attached` is a hash: collection id -> '1' when it asks for runs on the alert's schedule, else '0'. What is due on a
-- schedule are members of one zset: "<alert id>/<collection id>" for each of those, or "<alert id>" when there is none.

local function alerts_of(retriever) return KEY.ALERTS_OF .. retriever end
local function attached_key(alert) return KEY.ATTACHED .. alert end

-- All members that an alert could have, and a set of those that it should. `left` is a collection that it has just
-- left, or nil.
local function members_of(alert, left)
  local all, wanted = { alert }, {}
  local attached = redis.call('HGETALL', attached_key(alert))
  for i = 1, #attached, 2 do
    append(all, alert .. '/' .. attached[i])
    if attached[i + 1] == '1' then wanted[alert .. '/' .. attached[i]] = true end
  end
  if left then append(all, alert .. '/' .. left) end
  if not next(wanted) then wanted[alert] = true end
  return all, wanted
end

local function earliest_due(members)
  local earliest
  for _, member in ipairs(members) do
    local due = tonumber(redis.call('ZSCORE', KEY.ALERT_DUE, member) or nil)
    if due and (not earliest or due < earliest) then earliest = due end
  end
  return earliest
end

-- Bring what is due of an alert in line with `attached`; new members come due with those that were there.
local function align_due(alert, left)
  local all, wanted = members_of(alert, left)
  local due = earliest_due(all)
  for _, member in ipairs(all) do
    if not wanted[member] then
      redis.call('ZREM', KEY.ALERT_DUE, member)
    elseif due then
      redis.call('ZADD', KEY.ALERT_DUE, 'NX', int(due), member)
    end
  end
end

local function forget_due(alert)
  for _, member in ipairs((members_of(alert))) do redis.call('ZREM', KEY.ALERT_DUE, member) end
end

-- Tell the webhooks that want it. `event` is {id, type, payload}.
local function announce_alert(event)
  local lanes = redis.call('HGETALL', KEY.SUBSCRIBERS .. event[2])
  deliver({ id = event[1], type = event[2], payload = event[3] }, lanes, now_ms())
end

-- What its neighbours need of an alert: which retriever it runs, and when. What is due stays so under the same schedule.
local function link_alert(key, id, retriever, schedule, first_ms)
  local old = redis.call('HMGET', key, 'retriever', 'schedule')
  if old[1] and old[1] ~= retriever then redis.call('SREM', alerts_of(old[1]), id) end
  if retriever ~= '' then redis.call('SADD', alerts_of(retriever), id) end
  redis.call('HSET', key, 'retriever', retriever, 'schedule', schedule)
  if old[2] == schedule then return end
  forget_due(id)
  if schedule == '' then return end
  redis.call('ZADD', KEY.ALERT_DUE, first_ms, id)
  align_due(id)
end

local function has_retriever(retriever)
  return retriever == '' or redis.call('EXISTS', KEY.RETRIEVER .. retriever) == 1
end

-- create_alert: args: as create_<kind>, then retriever ('' = none), schedule as JSON ('' = none, or switched off),
--   when it is due first (ms), event id, event type, event payload
-- returns: as create_<kind> | {'unlinked', id} the retriever is gone
define('create_alert', function(args)
  local retriever, schedule, first_ms = unpack(args, CREATE_ARGS + 1, CREATE_ARGS + 3)
  if not has_retriever(retriever) then return { 'unlinked', retriever } end
  local answer = create_resource(args)
  if answer[1] ~= 'created' then return answer end
  link_alert(args[1], args[5], retriever, schedule, first_ms)
  announce_alert({ unpack(args, CREATE_ARGS + 4) })
  return answer
end)

-- update_alert: args: as update_<kind>, then as create_alert; returns: as update_<kind> | {'unlinked', id}
define('update_alert', function(args)
  local retriever, schedule, first_ms = unpack(args, UPDATE_ARGS + 1, UPDATE_ARGS + 3)
  if not has_retriever(retriever) then return { 'unlinked', retriever } end
  local answer = update_resource(args)
  if answer[1] ~= 'updated' then return answer end
  link_alert(args[1], args[3], retriever, schedule, first_ms)
  announce_alert({ unpack(args, UPDATE_ARGS + 4) })
  return answer
end)

-- The list of all evaluations without those of this alert; O(both).
local function leave_alert_runs(namespace, alert)
  local runs = KEY.ALERT_RUNS .. namespace
  local ttl_s = redis.call('TTL', runs)
  if ttl_s < 0 then return end
  redis.call('ZDIFFSTORE', runs, 2, runs, KEY.HISTORY .. alert)
  redis.call('EXPIRE', runs, ttl_s)
end

-- delete_alert: nothing more of it runs or is told; what waits to be told is dropped. While collections use it, it stays.
-- args: record key, names key, ids key, id, name, '1' = also when it is used, ttl_s of its history, most channels,
--   namespace, event id, event type, event payload
-- returns: as delete_<kind>
define('delete_alert', function(args)
  local id = args[4]
  local users = redis.call('HKEYS', attached_key(id))
  if args[6] ~= '1' and #users > 0 then return { 'used', unpack(users) } end
  local retriever = redis.call('HGET', args[1], 'retriever')
  local is_there = redis.call('EXISTS', args[1]) == 1
  if retriever then redis.call('SREM', alerts_of(retriever), id) end
  forget_due(id)
  forget_deliveries(id, tonumber(args[8]))
  redis.call('DEL', attached_key(id), KEY.ALERT_STATE .. id)
  local answer = delete_resource({ unpack(args, 1, 7) })
  leave_alert_runs(args[9], id)
  redis.call('EXPIRE', KEY.HISTORY .. id, args[7])
  if is_there then announce_alert({ unpack(args, 10) }) end
  return answer
end)

-- delete_retriever: as delete_<kind>. While alerts use it, it stays.
define('delete_retriever', function(args)
  local users = redis.call('SMEMBERS', alerts_of(args[4]))
  if args[6] ~= '1' and #users > 0 then return { 'used', unpack(users) } end
  redis.call('DEL', alerts_of(args[4]))
  return delete_resource(args)
end)

-- `links` is a flat list: alert, '1' when it runs on its schedule there, else '0'. All others are let go.
local function attach(key, collection, links)
  local kept = {}
  for i = 1, #links, 2 do
    kept[links[i]] = true
    redis.call('HSET', attached_key(links[i]), collection, links[i + 1])
    align_due(links[i])
  end
  for alert in string.gmatch(redis.call('HGET', key, 'alerts') or '', '%S+') do
    if not kept[alert] then
      redis.call('HDEL', attached_key(alert), collection)
      align_due(alert, collection)
    end
  end
  local ids = {}
  for alert in pairs(kept) do append(ids, alert) end
  redis.call('HSET', key, 'alerts', table.concat(ids, ' '))
end

local function gone_of(links)
  for i = 1, #links, 2 do
    if redis.call('EXISTS', KEY.ALERT .. links[i]) == 0 then return links[i] end
  end
  return nil
end

-- create_collection: args: as create_<kind>, then alert and '1' | '0' as in attach …
-- returns: as create_<kind> | {'unlinked', id} an alert is gone
define('create_collection', function(args)
  local links = { unpack(args, CREATE_ARGS + 1) }
  local gone = gone_of(links)
  if gone then return { 'unlinked', gone } end
  local answer = create_resource(args)
  if answer[1] == 'created' then attach(args[1], args[5], links) end
  return answer
end)

-- update_collection: args: as update_<kind>, then as create_collection; returns: as update_<kind> | {'unlinked', id}
define('update_collection', function(args)
  local links = { unpack(args, UPDATE_ARGS + 1) }
  local gone = gone_of(links)
  if gone then return { 'unlinked', gone } end
  local answer = update_resource(args)
  if answer[1] == 'updated' then attach(args[1], args[3], links) end
  return answer
end)

-- delete_collection: as delete_<kind>; its alerts are let go
define('delete_collection', function(args)
  attach(args[1], args[4], {})
  return delete_resource(args)
end)

-- attached: args: alert; returns: collection id, '1' | '0' as in attach …
define('attached', function(args) return redis.call('HGETALL', attached_key(args[1])) end)

-- alert_states: args: alert …; returns: of each when it fired last (ms) or nil
define('alert_states', function(args)
  local fired = {}
  for i, alert in ipairs(args) do fired[i] = redis.call('HGET', KEY.ALERT_STATE .. alert, 'last_fired_ms') end
  return fired
end)

-- list_alert_runs: evaluations of all alerts of a namespace, newest first.
-- args: namespace, below (sequence, '' = from the newest), offset, limit, summary_ttl_s; returns: as history
define('list_alert_runs', function(args)
  local now = now_ms()
  local first = int(kept_since(now, args[5]))
  local total, page = page_of_index(KEY.ALERT_RUNS .. args[1], tonumber(args[2]), args[3], args[4], first, '+inf')
  return lines_of(total, page, now)
end)

-- read_alert_run: args: execution id
-- returns: {namespace, alert id, state (members of JSON), line (JSON), finding (JSON or nil)} | nil when there is none
define('read_alert_run', function(args)
  local seen = redis.call('HMGET', KEY.RECORD .. args[1], 'namespace', 'alert_id', 'state', 'alert_result')
  if not seen[2] then return nil end
  return { seen[1], seen[2], seen[3], stored_line(args[1]) or live_line(args[1], now_ms()), seen[4] }
end)

-- told_of: how the channels of an alert were told of each of these evaluations.
-- args: most channels, then alert id and execution id of each …; returns: of each {channel, status, last attempt
--   (JSON or nil) …}, empty when it told nobody; O(evaluations x channels)
define('told_of', function(args)
  local found = {}
  for i = 2, #args, 2 do
    local told = {}
    for channel = 0, tonumber(args[1]) - 1 do
      local id = delivery_id(event_id({ id = args[i + 1] }), args[i] .. '/' .. channel)
      local status = redis.call('HGET', KEY.DELIVERY .. id, 'status')
      if status then append(told, channel, status, redis.call('LINDEX', attempts_key(id), -1)) end
    end
    append(found, told)
  end
  return found
end)
