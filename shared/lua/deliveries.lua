-- Deliveries: one event on its way to one channel, durable until it is delivered or given up.
--
-- A lane is one channel of one owner, "<owner id>/<number>". Each lane has what is due and what is being sent, so a
-- slow or dead receiver holds up nobody else: all lanes take turns, and one that fails sends one at a time. A delivery
-- that is being sent has a lease; when the worker dies, it becomes due again. `epoch` fences, as in an execution.

local DELIVERY_TTL_S = 2592000 -- 30 days
local DELIVERIES_MAX = 10000 -- of one owner; then the oldest leave, delivered or not
local ATTEMPTS_KEPT = 50
local LANE_MAX = 4 -- sent at a time to one channel
local LOOK_MAX = 100 -- lanes looked at in one call
local WAKE_MAX = 16 -- messages that wait: each makes a worker send until nothing is due

local function due_key(lane) return KEY.LANE_DUE .. lane end
local function sending_key(lane) return KEY.LANE_SENDING .. lane end
local function owner_of(lane) return string.match(lane, '^[^/]+') end
local function attempts_key(id) return KEY.DELIVERY .. id .. ':attempts' end

local function deliveries_key(owner, status)
  return KEY.DELIVERIES .. owner .. (status and ':' .. status or '')
end

local function first_score(key)
  return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
end

local function lane_room(lane)
  local owner, channel = string.match(lane, '^(.*)/(.*)$')
  local is_failing = redis.call('HEXISTS', KEY.HEALTH .. owner, 'failing:' .. channel) == 1
  return (is_failing and 1 or LANE_MAX) - redis.call('ZCARD', sending_key(lane))
end

-- Say when to look at the lane next, not before `earliest`: when something is due and there is room, or a lease ends.
local function schedule_lane(lane, earliest)
  local at = first_score(sending_key(lane))
  local due = lane_room(lane) > 0 and first_score(due_key(lane)) or nil
  if due and (not at or due < at) then at = due end
  if not at then
    redis.call('ZREM', KEY.LANES, lane)
  else
    redis.call('ZADD', KEY.LANES, int(math.max(at, earliest)), lane)
  end
end

local function drop_delivery(owner, id)
  local lane = redis.call('HGET', KEY.DELIVERY .. id, 'lane')
  if lane then
    redis.call('ZREM', due_key(lane), id)
    redis.call('ZREM', sending_key(lane), id)
  end
  redis.call('DEL', KEY.DELIVERY .. id, attempts_key(id))
  for _, status in ipairs({ false, 'pending', 'delivered', 'failed' }) do
    redis.call('ZREM', deliveries_key(owner, status), id)
  end
end

-- Into the owner's lists, of which the oldest leave: two for one that enters.
local function list_delivery(owner, id, now)
  local all = deliveries_key(owner)
  for _, key in ipairs({ all, deliveries_key(owner, 'pending') }) do
    redis.call('ZADD', key, int(now), id)
    redis.call('EXPIRE', key, DELIVERY_TTL_S)
  end
  local surplus = redis.call('ZCARD', all) - DELIVERIES_MAX
  if surplus > 0 then
    for _, oldest in ipairs(redis.call('ZRANGE', all, 0, math.min(surplus, 2) - 1)) do drop_delivery(owner, oldest) end
  end
end

local function move_delivery(owner, id, status, created_ms)
  for _, other in ipairs({ 'pending', 'delivered', 'failed' }) do
    if other ~= status then redis.call('ZREM', deliveries_key(owner, other), id) end
  end
  local key = deliveries_key(owner, status)
  redis.call('ZADD', key, created_ms, id)
  redis.call('EXPIRE', key, DELIVERY_TTL_S)
end

-- The id tells event and channel, so that an event that is announced twice is delivered once.
local function delivery_id(event_id, lane)
  return 'dlv_' .. string.gsub(event_id, '^evt_', '') .. '_' .. string.gsub(lane, '/', '_')
end

local function add_delivery(event, lane, timeout_ms, now)
  local id = delivery_id(event.id, lane)
  local key = KEY.DELIVERY .. id
  if redis.call('EXISTS', key) == 1 then return id end
  redis.call('HSET', key, 'lane', lane, 'event_id', event.id, 'event_type', event.type, 'payload', event.payload,
    'timeout_ms', timeout_ms, 'status', 'pending', 'tries', '0', 'epoch', '0', 'created_ms', int(now), 'next_ms', int(now))
  redis.call('EXPIRE', key, DELIVERY_TTL_S)
  list_delivery(owner_of(lane), id, now)
  redis.call('ZADD', due_key(lane), int(now), id)
  schedule_lane(lane, 0)
  return id
end

local function wake_senders(now)
  local template = redis.call('GET', KEY.DELIVER_MESSAGE)
  if not template or redis.call('LLEN', KEY.DELIVER_QUEUE) >= WAKE_MAX then return 0 end
  redis.call('LPUSH', KEY.DELIVER_QUEUE, (string.gsub(template, '@ID@', 'deliver_' .. int(now))))
  return 1
end

-- `lanes` is a flat list of lane and timeout (ms). Returns the ids of the deliveries.
local function deliver(event, lanes, now)
  local ids = {}
  for i = 1, #lanes, 2 do append(ids, add_delivery(event, lanes[i], lanes[i + 1], now)) end
  if #ids > 0 then wake_senders(now) end
  return ids
end

-- Both follow from the execution. An alert that fires takes the first for that.
local function event_id(record) return 'evt_' .. string.gsub(record.id, '^exec_', '') end
local function end_event_id(record) return event_id(record) .. (record.alert_id and '_end' or '') end

local function end_event_type(record)
  local is_executed = record.status == 'completed' or record.status == 'degraded'
  if record.alert_id then return is_executed and 'alert.execution.completed' or 'alert.execution.failed' end
  return is_executed and 'resource.executed' or 'resource.execution_failed'
end

-- The end of an execution (see close). Every execution that was accepted ends with exactly one event.
announce = function(record, now)
  local event_type = end_event_type(record)
  local lanes = redis.call('HGETALL', KEY.SUBSCRIBERS .. event_type)
  if #lanes == 0 then return end
  local event = { id = end_event_id(record), type = event_type }
  event.payload = '{"event_id":"' .. event.id
    .. '","event_type":"' .. event_type
    .. '","timestamp":"' .. iso(now)
    .. '","namespace_id":"' .. redis.call('HGET', KEY.RECORD .. record.id, 'namespace')
    .. '","resource_type":"' .. (record.alert_id and 'alert' or 'retriever')
    .. '","resource_id":"' .. (record.alert_id or record.retriever)
    .. '","execution_id":"' .. record.id
    .. '","status":"' .. record.status
    .. '","error":' .. (record.error or 'null')
    .. ',"created_at":"' .. iso(record.created_ms)
    .. '","completed_at":"' .. iso(now)
    .. '","duration_ms":' .. int(duration_ms(record, now))
    .. ',"stages_completed":' .. int(record.done) .. '}'
  deliver(event, lanes, now)
end

-- deliver: send an event to lanes, whatever they subscribe to. Repeatable: ids follow from the event.
-- args: event id, event type, payload (JSON object), then lane and timeout (ms) of each …
-- returns: the ids of the deliveries
define('deliver', function(args)
  return deliver({ id = args[1], type = args[2], payload = args[3] }, { unpack(args, 4) }, now_ms())
end)

local function log_attempt(id, attempt)
  local key = attempts_key(id)
  redis.call('RPUSH', key, attempt)
  redis.call('LTRIM', key, -ATTEMPTS_KEPT, -1)
  redis.call('EXPIRE', key, math.max(redis.call('TTL', KEY.DELIVERY .. id), 1))
end

local function count_failure(lane, now, cause)
  local owner, channel = string.match(lane, '^(.*)/(.*)$')
  local key = KEY.HEALTH .. owner
  redis.call('HINCRBY', key, 'consecutive_failures', 1)
  redis.call('HSETNX', key, 'first_failure_ms', int(now))
  redis.call('HSET', key, 'last_failure_ms', int(now), 'last_failure_cause', cause, 'failing:' .. channel, '1')
  redis.call('EXPIRE', key, DELIVERY_TTL_S)
end

-- Of one channel; the run of failures is over when no other channel of the owner fails either.
local function count_success(lane)
  local owner, channel = string.match(lane, '^(.*)/(.*)$')
  local key = KEY.HEALTH .. owner
  if redis.call('HDEL', key, 'failing:' .. channel) == 0 then return end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.match(field, '^failing:') then return end
  end
  redis.call('DEL', key)
end

-- One that is not being sent any more: 'pending' again at `at`, or at its end.
local function settle(delivery, status, at)
  redis.call('ZREM', sending_key(delivery.lane), delivery.id)
  redis.call('HSET', KEY.DELIVERY .. delivery.id, 'status', status)
  if status == 'pending' then
    redis.call('HSET', KEY.DELIVERY .. delivery.id, 'next_ms', int(at))
    redis.call('ZADD', due_key(delivery.lane), int(at), delivery.id)
  else
    redis.call('HDEL', KEY.DELIVERY .. delivery.id, 'next_ms')
    move_delivery(owner_of(delivery.lane), delivery.id, status, delivery.created_ms)
  end
end

-- Leases that are over: the worker died, or was away for too long.
local function end_sending(lane, now, tries_max)
  for _, id in ipairs(redis.call('ZRANGE', sending_key(lane), '-inf', int(now), 'BYSCORE', 'LIMIT', 0, LANE_MAX)) do
    local seen = redis.call('HMGET', KEY.DELIVERY .. id, 'tries', 'created_ms')
    if not seen[1] then
      redis.call('ZREM', sending_key(lane), id)
    else
      log_attempt(id, '{"attempted_at":"' .. iso(now) .. '","duration_ms":0,"status_code":null,'
        .. '"error":"the worker that sent it was lost","response":null}')
      settle({ id = id, lane = lane, created_ms = seen[2] }, tonumber(seen[1]) < tries_max and 'pending' or 'failed', now)
    end
  end
end

-- The next one of a lane that is due, or nil. What has expired meanwhile leaves the lane.
local function next_due(lane, now)
  if lane_room(lane) <= 0 then return nil end
  for _, id in ipairs(redis.call('ZRANGE', due_key(lane), '-inf', int(now), 'BYSCORE', 'LIMIT', 0, LOOK_MAX)) do
    if redis.call('EXISTS', KEY.DELIVERY .. id) == 1 then return id end
    redis.call('ZREM', due_key(lane), id)
  end
  return nil
end

local function start_sending(id, lane, now, lease_ms)
  local key = KEY.DELIVERY .. id
  redis.call('HSET', key, 'status', 'sending')
  local epoch, tries = redis.call('HINCRBY', key, 'epoch', 1), redis.call('HINCRBY', key, 'tries', 1)
  local seen = redis.call('HMGET', key, 'event_id', 'event_type', 'payload', 'timeout_ms')
  redis.call('ZREM', due_key(lane), id)
  redis.call('ZADD', sending_key(lane), int(now + tonumber(seen[4]) + lease_ms), id)
  return { id, epoch, lane, seen[1], seen[2], seen[3], tries, seen[4] }
end

-- take_delivery: what to send next; the lanes take turns.
-- args: lease_ms beyond the delivery's own timeout, most tries
-- returns: {id, epoch, lane, event id, event type, payload, tries, timeout_ms} | nil when nothing is due
define('take_delivery', function(args)
  local now = now_ms()
  for _, lane in ipairs(redis.call('ZRANGE', KEY.LANES, '-inf', int(now), 'BYSCORE', 'LIMIT', 0, LOOK_MAX)) do
    end_sending(lane, now, tonumber(args[2]))
    local id = next_due(lane, now)
    local taken = id and start_sending(id, lane, now, tonumber(args[1]))
    schedule_lane(lane, id and now or 0) -- behind the lanes that wait longer
    if taken then return taken end
  end
  return nil
end)

-- settle_delivery: how a try went.
-- args: id, epoch, 'delivered' | 'pending' (to be tried again) | 'failed', attempt (JSON), pause until the next try (ms),
--   what was wrong ('' = the receiver is well: it is delivered, or the try was not the receiver's fault)
-- returns: 'settled' | 'lost' it is not this attempt's any more
define('settle_delivery', function(args)
  local id, now = args[1], now_ms()
  local seen = redis.call('HMGET', KEY.DELIVERY .. id, 'status', 'epoch', 'lane', 'created_ms')
  if seen[1] ~= 'sending' or seen[2] ~= args[2] then return 'lost' end
  local lane = seen[3]
  log_attempt(id, args[4])
  if args[3] == 'delivered' then count_success(lane) end
  if args[6] ~= '' then count_failure(lane, now, args[6]) end
  settle({ id = id, lane = lane, created_ms = seen[4] }, args[3], now + tonumber(args[5]))
  schedule_lane(lane, 0)
  return 'settled'
end)

-- redeliver: send it again now, from the first try on, with the same event id. args: id, owner id
-- returns: 'pending' | 'sending' it is on its way | 'missing'
define('redeliver', function(args)
  local id, owner = args[1], args[2]
  local seen = redis.call('HMGET', KEY.DELIVERY .. id, 'lane', 'status', 'created_ms')
  if not seen[1] or owner_of(seen[1]) ~= owner then return 'missing' end
  if seen[2] == 'sending' then return 'sending' end
  local now = now_ms()
  redis.call('HSET', KEY.DELIVERY .. id, 'tries', '0')
  settle({ id = id, lane = seen[1] }, 'pending', now)
  move_delivery(owner, id, 'pending', seen[3])
  schedule_lane(seen[1], 0)
  wake_senders(now)
  return 'pending'
end)

-- sweep_deliveries: wake senders for what is due and nobody takes. args: message template; returns: messages sent
define('sweep_deliveries', function(args)
  if redis.call('GET', KEY.DELIVER_MESSAGE) ~= args[1] then redis.call('SET', KEY.DELIVER_MESSAGE, args[1]) end
  local now = now_ms()
  if redis.call('ZCOUNT', KEY.LANES, '-inf', int(now)) == 0 then return 0 end
  return wake_senders(now)
end)

-- read_delivery: args: id; returns: {fields and values, attempts (JSON each)}
local function read_delivery(id)
  return { redis.call('HGETALL', KEY.DELIVERY .. id), redis.call('LRANGE', attempts_key(id), 0, -1) }
end

define('read_delivery', function(args) return read_delivery(args[1]) end)

-- list_deliveries: the newest of an owner. args: owner id, status ('' = any), offset, limit,
--   id of the last one seen ('' = none; then offset counts from behind it)
-- returns: total, offset of the page, then each as read_delivery; O(deliveries of the owner) behind a last one
define('list_deliveries', function(args)
  local key = deliveries_key(args[1], args[2] ~= '' and args[2])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', int(now_ms() - DELIVERY_TTL_S * 1000))
  local first = tonumber(args[3])
  local behind = args[5] ~= '' and redis.call('ZREVRANK', key, args[5])
  if behind then first = behind + 1 end
  local reply = { redis.call('ZCARD', key), first }
  for _, id in ipairs(redis.call('ZREVRANGE', key, first, first + tonumber(args[4]) - 1)) do
    append(reply, { id, unpack(read_delivery(id)) })
  end
  return reply
end)
