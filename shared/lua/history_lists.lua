-- The history: which executions are listed, and the line of each.

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
