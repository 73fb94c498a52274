-- The execution record: its fields, and what is seen of it. transitions.lua changes it.
--
-- A record is a hash. What a poll returns is three of its fields joined: `head` (fixed at submit),
-- `state` (written by `change` only) and `detail` (written by whoever runs it).
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

-- Run time over all attempts, without the time in the queue.
local function duration_ms(record, now)
  return record.spent_ms + (record.claimed_ms and now - record.claimed_ms or 0)
end
