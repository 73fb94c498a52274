-- The execution record: its fields, its clock, and the one way to change what is seen of it.
--
-- A record is a hash. What a poll returns is three of its fields joined: `head` (fixed at submit),
-- `state` (written by this file only, at every change) and `detail` (written by whoever runs it).
-- So what is seen can never disagree with the record, and Lua never decodes JSON.

-- What every transition looks at; absent ones are false, or nil where they are numbers.
local FIELDS = { 'status', 'namespace', 'retriever', 'queue', 'stage', 'watchers', 'batch', 'events', 'alert_id', 'limited',
  'epoch', 'attempts', 'rev', 'seq', 'order', 'created_ms', 'spent_ms', 'done', 'started_ms', 'claimed_ms', 'retries',
  'retry_ms' }

-- A function that reads a record as a table, or nil: FIELDS and, for this caller, some `more`. One HMGET.
local function loader(more)
  local names = {}
  for i = 1, #FIELDS do names[i] = FIELDS[i] end
  for i = 1, #more do names[#FIELDS + i] = more[i] end
  return function(id)
    local values = redis.call('HMGET', KEY.RECORD .. id, unpack(names))
    local status, namespace, retriever, queue, stage, watchers, batch, events, alert_id, limited, epoch, attempts, rev, seq,
      order, created_ms, spent_ms, done, started_ms, claimed_ms, retries, retry_ms = unpack(values)
    if not status then return nil end
    -- Written out, for speed: the table gets its size at once.
    local record = { id = id, counted = status, status = status, namespace = namespace, retriever = retriever, queue = queue,
      stage = stage, watchers = watchers, batch = batch, events = events, alert_id = alert_id, limited = limited,
      epoch = tonumber(epoch), attempts = tonumber(attempts), rev = tonumber(rev), seq = tonumber(seq),
      order = tonumber(order), created_ms = tonumber(created_ms), spent_ms = tonumber(spent_ms), done = tonumber(done),
      started_ms = tonumber(started_ms), claimed_ms = tonumber(claimed_ms), retries = tonumber(retries),
      retry_ms = tonumber(retry_ms) }
    for i = #FIELDS + 1, #names do record[names[i]] = values[i] end
    return record
  end
end

-- What an ended record keeps, and what its line in the history says, beside FIELDS.
local KEPT = { 'version', 'head', 'about', 'figures', 'told' }

local load = loader({})
local load_to_end = loader(KEPT)
local load_line = loader({ 'about', 'figures' })

local TERMINAL = { completed = true, degraded = true, failed = true, cancelled = true }

-- Everything of an answer that the transitions decide. `record.error` is a JSON string or nil.
local function state_of(record)
  return ',"status":"' .. record.status
    .. '","revision":' .. int(record.rev)
    .. ',"attempt":' .. int(record.attempts)
    .. ',"created_at":"' .. iso(record.created_ms)
    .. '","started_at":' .. iso_or_null(record.started_ms)
    .. ',"completed_at":' .. iso_or_null(record.completed_ms)
    .. ',"expires_at":' .. iso_or_null(record.expires_ms)
    .. ',"current_stage":' .. (record.stage or 'null')
    .. ',"stages_completed":' .. int(record.done)
    .. ',"error":' .. (record.error or 'null')
    .. (record.retry_ms and ',"retry_at":"' .. iso(record.retry_ms) .. '"' or '')
end

-- `watchers` is a comma list of API processes, or nil.
local function wake(watchers, message)
  if not watchers then return end
  for watcher in string.gmatch(watchers, '[^,]+') do redis.call('PUBLISH', KEY.WAKE .. watcher, message) end
end

-- The events of an execution: a stream that begins with the first who wants to follow it (events.lua), and
-- costs nobody else anything. An entry's id is the revision that it came with, and its number within that.
-- Past EVENTS_MAX the oldest go: one attempt of the longest pipeline (50 stages) has about 100.
local EVENTS_MAX = 200
local EVENTS_OPEN_TTL_S = 86400 -- at rest; every event renews it, so that nothing stays of what never ends
local EVENTS_ENDED_TTL_S = 600

-- `entries` is a flat list: type, members of the event's JSON object (each with a comma before it) …
local function add_events(id, rev, entries)
  local key = KEY.EVENTS .. id
  for i = 1, #entries, 2 do
    redis.call('XADD', key, 'MAXLEN', EVENTS_MAX, int(rev) .. '-' .. (i - 1) / 2, 'type', entries[i], 'members',
      entries[i + 1])
  end
  redis.call('EXPIRE', key, EVENTS_OPEN_TTL_S)
end

-- Begin the stream, with the execution as it is.
local function open_events(id, rev, state)
  redis.call('HSET', KEY.RECORD .. id, 'events', '1')
  add_events(id, rev, { 'execution_status', state })
end

-- What of a worker's list is news: it sends again what it does not know to have arrived.
-- `told` is nil or {number of the first event within the attempt, type, members …}.
local function news_of(record, told)
  local entries = {}
  if not told or not told[1] then return entries end
  local known = math.max(0, (tonumber(record.told) or 0) - tonumber(told[1]))
  for i = 2 + 2 * known, #told do append(entries, told[i]) end
  if not TERMINAL[record.status] then
    local all = math.max(tonumber(record.told) or 0, tonumber(told[1]) + (#told - 1) / 2)
    redis.call('HSET', KEY.RECORD .. record.id, 'told', int(all))
  end
  return entries
end

-- A change, for those who follow it: what its worker tells, and what the change itself says.
local function emit(record, state, told)
  local entries = news_of(record, told)
  if record.status == 'failed' or record.status == 'cancelled' then
    append(entries, 'execution_error', '')
  elseif TERMINAL[record.status] then
    append(entries, 'execution_complete', '')
  elseif record.status ~= record.counted then
    append(entries, 'execution_status', state)
    -- An attempt that goes on behind a checkpoint tells itself where it starts.
    if record.status == 'processing' and redis.call('EXISTS', KEY.CHECKPOINT .. record.id) == 0 then
      append(entries, 'stage_start', ',"stage_name":' .. record.stage .. ',"stage_index":0')
    end
  end
  if #entries > 0 then add_events(record.id, record.rev, entries) end
end

-- How the rate of a batch is measured: between now and a mark that is one to two of these old.
local RATE_WINDOW_MS = 10000

-- Nothing of a batch is open: from now on it lives as long as a result, unless more is added to it.
local function rest_batch(id, now, ttl_s, uploading, watchers)
  local key = KEY.BATCH .. id
  redis.call('HSETNX', key, 'ended_ms', int(now))
  redis.call('EXPIRE', key, ttl_s)
  redis.call('EXPIRE', key .. ':lines', ttl_s)
  if not uploading then wake(watchers, id .. ' ended') end
end

local function count_finished(id, now)
  local key = KEY.BATCH .. id
  local finished = redis.call('HINCRBY', key, 'finished', 1)
  local seen = redis.call('HMGET', key, 'pending', 'processing', 'mark_ms', 'mark', 'ttl_s', 'uploading_until_ms',
    'watchers')
  if now - tonumber(seen[3] or 0) >= RATE_WINDOW_MS then
    redis.call('HSET', key, 'mark_ms', int(now), 'mark', finished, 'older_mark_ms', seen[3] or '', 'older_mark',
      seen[4] or '')
  end
  if seen[1] == '0' and seen[2] == '0' then
    rest_batch(id, now, seen[5], tonumber(seen[6] or 0) > now, seen[7] or nil)
  end
end

-- An execution of a batch has gone from the status it was counted as to its present one.
local function count_in_batch(record)
  local key, now = KEY.BATCH .. record.batch, now_ms()
  redis.call('HINCRBY', key, record.counted, -1)
  redis.call('HINCRBY', key, record.status, 1)
  if record.status == 'processing' then redis.call('HSETNX', key, 'started_ms', int(now)) end
  if TERMINAL[record.status] then count_finished(record.batch, now) end
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

-- Run time over all attempts, without the time in the queue.
local function duration_ms(record, now)
  return record.spent_ms + (record.claimed_ms and now - record.claimed_ms or 0)
end

-- One line of the history, the summary of the contract. `rest` are JSON members.
local function line_of(id, retriever, status, created_ms, completed_ms, expires_ms, took_ms, done, rest)
  return '{"execution_id":"' .. id
    .. '","retriever_id":"' .. retriever
    .. '","status":"' .. status
    .. '","created_at":"' .. iso(created_ms)
    .. '","completed_at":' .. iso_or_null(completed_ms)
    .. ',"expires_at":' .. iso_or_null(expires_ms)
    .. ',"duration_ms":' .. int(took_ms)
    .. ',"stages_completed":' .. int(done)
    .. ',' .. rest .. '}'
end

-- What of a line never changes; of an evaluation also what it evaluates, as its record says.
local function about_of(record)
  if not record.alert_id then return record.about end
  return record.about .. ',"alert":' .. redis.call('HGET', KEY.RECORD .. record.id, 'alert')
end

-- The line of an ended execution as it is stored: without the names, which are the same in all.
local function summary_of(record, now)
  return table.concat({ record.retriever, record.status, int(record.created_ms), int(record.completed_ms),
    int(record.expires_ms), int(duration_ms(record, now)), int(record.done), record.figures .. ',' .. about_of(record) }, ' ')
end

local SUMMARY_PATTERN = '^(%S+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (.*)$'
local SUMMARY_EXPIRY = '^(%S+ %S+ %d+ %d+ )%d+' -- of that, up to the time at which the result goes

-- The line of an execution that has ended, or nil.
local function stored_line(id)
  local summary = redis.call('GET', KEY.SUMMARY .. id)
  if not summary then return nil end
  local retriever, status, created, completed, expires, took, done, rest = string.match(summary, SUMMARY_PATTERN)
  if not retriever then return summary end -- a whole line, of an earlier version
  return line_of(id, retriever, status, tonumber(created), tonumber(completed), tonumber(expires), tonumber(took),
    tonumber(done), rest)
end

-- The line of one that has not, or nil.
local function live_line(id, now)
  local record = load_line(id)
  if not record or not record.about then return nil end
  return line_of(id, record.retriever, record.status, record.created_ms, nil, nil, duration_ms(record, now),
    record.done, record.figures .. ',' .. about_of(record))
end

-- The history of a retriever, or of an alert, is its newest history_max executions, in one list of all and one for
-- each status but processing: those are few, and all of them are in the leases. Every list is a part of the first.
local function history_key(record, status)
  return KEY.HISTORY .. (record.alert_id or record.retriever) .. (status and ':' .. status or '')
end

local ALERT_RUNS_MAX = 10000

-- The evaluations of all alerts of a namespace, the newest of them.
local function list_alert_run(record, retention)
  local key = KEY.ALERT_RUNS .. record.namespace
  redis.call('ZADD', key, int(record.order), record.id)
  redis.call('EXPIRE', key, retention.summary_ttl_s)
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - ALERT_RUNS_MAX)
end

local function leave_history(record, status)
  redis.call('ZREM', history_key(record, status), record.id)
end

-- Into the list of its status; false when it has fallen out of the history.
local function enter_status(record, ttl_s)
  local key = history_key(record, record.status)
  if not redis.call('ZSCORE', history_key(record), record.id) then return false end
  redis.call('ZADD', key, int(record.order), record.id)
  keep_alive(key, ttl_s)
  return true
end

-- It has fallen out: its summary ends with its result, at once when that is gone. An unfinished one has none yet.
local function forget(history, id)
  local summary = redis.call('GET', KEY.SUMMARY .. id)
  local status = summary and string.match(summary, '^%S+ (%S+)') or 'pending'
  redis.call('ZREM', history .. ':' .. status, id)
  redis.call('EXPIRE', KEY.SUMMARY .. id, math.max(redis.call('TTL', KEY.RECORD .. id), 0))
end

-- Two leave for one that enters: so a history shrinks, a little at a time, when history_max was lowered.
local function enter_history(record, retention)
  local key = history_key(record)
  redis.call('ZADD', key, int(record.order), record.id)
  keep_alive(key, retention.summary_ttl_s)
  local surplus = redis.call('ZCARD', key) - retention.history_max
  if surplus > 0 then
    local oldest = redis.call('ZPOPMIN', key, math.min(surplus, 2))
    for i = 1, #oldest, 2 do forget(key, oldest[i]) end
  end
  enter_status(record, retention.summary_ttl_s)
  if record.alert_id then list_alert_run(record, retention) end
end

-- How long things are kept, read from three arguments starting at `at`.
local function retention_from(args, at)
  return { result_ttl_s = tonumber(args[at]), summary_ttl_s = tonumber(args[at + 1]), history_max = tonumber(args[at + 2]) }
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
