-- A batch: many submits as one upload, counted together. Its counters are moved by the same calls that move
-- its executions (batch_counts.lua), so submitted is always the sum of all statuses.
-- It rests while none of its executions is open; only then has it a TTL. An upload that adds nothing for
-- `upload_ms` counts as broken off.

-- begin_batch: start an upload, or go on with the batch that the same idempotency key made.
-- args: id, namespace, idempotency digest ('' = none), digest of what else must be the same, idempotency_ttl_s,
--   result_ttl_s, summary_ttl_s, most batches of a namespace in the list, upload_ms
-- returns: {'begun', id} | {'again', id of the first} | {'mismatch', id of the first}
local function begin_again(used, digest, ttl_s, until_ms)
  local id, first_digest = string.match(used, '^(%S+) (%S+)$')
  local key = KEY.BATCH .. id
  if redis.call('EXISTS', key) == 0 then return nil end
  if first_digest ~= digest then return { 'mismatch', id } end
  redis.call('HSET', key, 'uploading_until_ms', until_ms, 'complete', '0')
  for _, name in ipairs({ key, key .. ':lines' }) do
    if redis.call('TTL', name) >= 0 then redis.call('EXPIRE', name, ttl_s) end
  end
  return { 'again', id }
end

define('begin_batch', function(args)
  local id, namespace, ttl_s = args[1], args[2], args[6]
  local now = now_ms()
  local until_ms = int(now + tonumber(args[9]))
  local key, list = KEY.BATCH .. id, KEY.BATCHES .. namespace
  if redis.call('EXISTS', key) == 1 then return { 'begun', id } end
  local idempotency = args[3] ~= '' and KEY.IDEMPOTENCY .. args[3] or nil
  local used = idempotency and redis.call('GET', idempotency)
  local again = used and begin_again(used, args[4], ttl_s, until_ms)
  if again then return again end
  local sequence = int(next_sequence(now))
  redis.call('HSET', key, 'namespace', namespace, 'sequence', sequence, 'created_ms', int(now), 'ttl_s', ttl_s,
    'uploading_until_ms', until_ms, 'complete', '0', 'lines', '0', 'last_line', '0', 'refused', '0',
    'refused_lines', '[]', 'submitted', '0', 'pending', '0', 'processing', '0', 'completed', '0', 'degraded', '0',
    'failed', '0', 'cancelled', '0', 'finished', '0')
  redis.call('EXPIRE', key, ttl_s)
  redis.call('ZADD', list, sequence, id)
  redis.call('EXPIRE', list, args[7])
  redis.call('ZREMRANGEBYRANK', list, 0, -1 - tonumber(args[8]))
  if idempotency then redis.call('SET', idempotency, id .. ' ' .. args[4], 'EX', args[5]) end
  return { 'begun', id }
end)

-- submit_line: submit an execution as a line of a batch, once per line number.
-- args: batch, line, digest of the line's content, the caller's id (JSON), upload_ms, then the args of submit
-- returns: what submit returns; for a line that is in the batch already {'replayed', id} or {'mismatch', id};
--   {'no_batch'} it has expired | {'batch_cancelled'}
local function enter_line(batch, line, value, until_ms)
  local key = KEY.BATCH .. batch
  redis.call('HSET', key .. ':lines', line, value)
  redis.call('HINCRBY', key, 'submitted', 1)
  redis.call('HSET', key, 'uploading_until_ms', until_ms)
  if tonumber(line) > tonumber(redis.call('HGET', key, 'last_line')) then redis.call('HSET', key, 'last_line', line) end
  if redis.call('HINCRBY', key, 'pending', 1) == 1 then
    redis.call('PERSIST', key)
    redis.call('PERSIST', key .. ':lines')
    redis.call('HDEL', key, 'ended_ms')
  end
end

define('submit_line', function(args)
  local batch, line, digest, id = args[1], args[2], args[3], args[6]
  local key = KEY.BATCH .. batch
  local seen = redis.call('HMGET', key, 'namespace', 'cancelled_ms')
  if not seen[1] then return { 'no_batch' } end
  local entered = redis.call('HGET', key .. ':lines', line)
  if entered then
    local first_id, first_digest = string.match(entered, '^(%S+) (%S+) ')
    if first_id ~= id then return { first_digest == digest and 'replayed' or 'mismatch', first_id } end
  elseif seen[2] then
    return { 'batch_cancelled' }
  end
  local reply = submit({ unpack(args, 6) }, batch)
  if reply[1] == 'accepted' and not entered then
    enter_line(batch, line, id .. ' ' .. digest .. ' ' .. args[4], int(now_ms() + tonumber(args[5])))
  end
  return reply
end)

-- end_upload: what the upload that ends now had. args: batch, '1' = all of it was received, lines, refused lines
--   (count), the first of them (JSON)
-- returns: 'ended' | 'missing'
define('end_upload', function(args)
  local key = KEY.BATCH .. args[1]
  local seen = redis.call('HMGET', key, 'namespace', 'pending', 'processing', 'ttl_s', 'watchers')
  if not seen[1] then return 'missing' end
  redis.call('HSET', key, 'complete', args[2], 'lines', args[3], 'refused', args[4], 'refused_lines', args[5])
  redis.call('HDEL', key, 'uploading_until_ms')
  if seen[2] == '0' and seen[3] == '0' then rest_batch(args[1], now_ms(), seen[4], false, seen[5] or nil) end
  return 'ended'
end)

-- read_batch: its fields as they are now; O(1). args: batch, watcher to wake when it ends ('' = none)
-- returns: nil | {now_ms, the fields of BATCH_FIELDS …}
local BATCH_FIELDS = { 'namespace', 'created_ms', 'started_ms', 'ended_ms', 'uploading_until_ms', 'cancelled_ms', 'complete',
  'lines', 'last_line', 'refused', 'refused_lines', 'older_mark_ms', 'older_mark', 'submitted', 'pending', 'processing',
  'completed', 'degraded', 'failed', 'cancelled', 'finished' }

local function read_batch(id, now)
  local fields = redis.call('HMGET', KEY.BATCH .. id, unpack(BATCH_FIELDS))
  return fields[1] and { int(now), unpack(fields, 1, #BATCH_FIELDS) } or nil
end

define('read_batch', function(args)
  local found = read_batch(args[1], now_ms())
  if found and args[2] ~= '' then add_watcher(KEY.BATCH .. args[1], args[2]) end
  return found
end)

-- list_batches: newest first. Those that have expired leave the list here. O(offset + limit + expired)
-- args: namespace, below (sequence, '' = from the newest), offset, limit
-- returns: total, then id, sequence and what read_batch returns of each
local LIST_PASSES_MAX = 100

define('list_batches', function(args)
  local list, now = KEY.BATCHES .. args[1], now_ms()
  local top = args[2] ~= '' and '(' .. args[2] or '+inf'
  local reply
  for _ = 1, LIST_PASSES_MAX do
    local expired = {}
    reply = {}
    local page = redis.call('ZREVRANGEBYSCORE', list, top, '-inf', 'WITHSCORES', 'LIMIT', args[3], args[4])
    for i = 1, #page, 2 do
      local found = read_batch(page[i], now)
      if found then reply[#reply + 1] = { page[i], int(tonumber(page[i + 1])), found }
      else expired[#expired + 1] = page[i] end
    end
    if #expired == 0 then break end
    redis.call('ZREM', list, unpack(expired))
  end
  return { redis.call('ZCARD', list), unpack(reply) }
end)

-- cancel_lines: cancel what is open among some lines of a batch, which takes no new ones from now on.
-- args: batch, first line, last line, reason (JSON string), result_ttl_s, summary_ttl_s, history_max
-- returns: nil | {removed from the queue, stopping, already terminal}; O(last - first)
define('cancel_lines', function(args)
  local key = KEY.BATCH .. args[1]
  if redis.call('EXISTS', key) == 0 then return nil end
  redis.call('HSETNX', key, 'cancelled_ms', int(now_ms()))
  local retention, count = retention_from(args, 5), { cancelled = 0, stopping = 0, terminal = 0, missing = 0 }
  for line = tonumber(args[2]), tonumber(args[3]) do
    local entered = redis.call('HGET', key .. ':lines', int(line))
    if entered then
      local word = cancel(string.match(entered, '^%S+'), args[4], retention, 'any')[1]
      count[word] = count[word] + 1
    end
  end
  return { count.cancelled, count.stopping, count.terminal + count.missing }
end)
