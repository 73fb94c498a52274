-- The transitions of an execution: the one way to change a record, and into which status.

-- How long things are kept, read from three arguments starting at `at`.
local function retention_from(args, at)
  return { result_ttl_s = tonumber(args[at]), summary_ttl_s = tonumber(args[at + 1]), history_max = tonumber(args[at + 2]) }
end

-- Write a change: `fields` is a flat list of names and values on top of status, rev and state; `told` is
-- what the worker says of its stages (see news_of), or nil.
local function change(record, fields, told)
  record.rev = record.rev + 1
  local state = state_of(record)
  redis.call('HSET', KEY.RECORD .. record.id, 'status', record.status, 'rev', int(record.rev), 'state', state,
    unpack(fields))
  if record.events then emit(record, state, told) end
  if record.watchers then wake(record.watchers, record.id .. ' ' .. int(record.rev) .. ' ' .. record.status) end
  if record.status ~= record.counted then
    book(record.namespace, record.counted, record.status)
    if record.batch then count_in_batch(record) end
    record.counted = record.status
  end
end

-- Tells the outside of an end; set by deliveries.lua.
local announce

-- The one way into a terminal status, which the caller has set on the record, one of load_to_end.
-- `change` writes what it says, and this what else it keeps. A hash that has held more fields keeps their room, so it
-- is written anew. `detail` is read only when it is not written: it may be large.
-- `result` may have detail, profile, next, and what an alert came to (alert_runs.lua); without a detail the last
-- published one stays. `told` as in change.
local function close(record, now, retention, result, told)
  record.completed_ms = now
  record.expires_ms = now + retention.result_ttl_s * 1000
  record.stage, record.retry_ms = nil, nil
  local key = KEY.RECORD .. record.id
  result.detail = result.detail or redis.call('HGET', key, 'detail')
  local fields = { 'namespace', record.namespace, 'retriever', record.retriever, 'version', record.version,
    'epoch', int(record.epoch), 'head', record.head }
  for name, value in pairs(result) do append(fields, name, value) end
  if record.alert_id then append(fields, 'alert_id', record.alert_id, 'alert', redis.call('HGET', key, 'alert')) end
  redis.call('DEL', key)
  change(record, fields, told)
  redis.call('EXPIRE', key, retention.result_ttl_s)
  if record.events then
    redis.call('EXPIRE', KEY.EVENTS .. record.id, int(math.min(EVENTS_ENDED_TTL_S, retention.result_ttl_s)))
  end
  redis.call('ZREM', KEY.LEASES, record.id)
  local ttl_s = enter_status(record, retention.summary_ttl_s) and retention.summary_ttl_s or retention.result_ttl_s
  redis.call('SET', KEY.SUMMARY .. record.id, summary_of(record, now), 'EX', ttl_s)
  announce(record, now)
  if record.limited then refill_all(record.namespace) end
end

-- An attempt is over, and another is to come. Who calls this sees to a message. `fields` as in change.
local function put_back(record, now, done, fields)
  record.status = 'pending'
  record.spent_ms = duration_ms(record, now)
  record.claimed_ms, record.stage, record.done = nil, nil, done
  append(fields, 'seq', int(record.seq), 'spent_ms', int(record.spent_ms), 'done', int(done),
    'attempts', int(record.attempts))
  change(record, fields)
  redis.call('HDEL', KEY.RECORD .. record.id, 'nonce', 'claimed_ms', 'stage', 'written', 'told', 'limited')
  redis.call('ZREM', KEY.LEASES, record.id)
  enter_status(record, redis.call('TTL', history_key(record)))
  if record.limited then refill_all(record.namespace) end
end

-- Back to the queue with a new message; `push` as in enqueue.
local function requeue(record, now, template, push)
  record.seq = sequence_for(record.queue, now, push)
  put_back(record, now, 0, {})
  enqueue(record, template, push)
end
