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
