-- doctor: one function for each kind of fault that `kennel doctor` knows. Each decides anew whether the fault is
-- there, in the call that mends it: so nothing in motion is taken for wrong, and a repair may be repeated.
-- args: 'look' | 'fix', then what each names; returns: 1 the fault is there (and mended, with 'fix') | 0 it is not

local function define_repair(name, repair)
  define('repair_' .. name, function(args) return repair(args[1] == 'fix', { unpack(args, 2) }) and 1 or 0 end)
end

-- A pending execution whose message is gone. args: id, its sequence number when no message was found, template
define_repair('message', function(fix, args)
  local record = load(args[1])
  if not record or record.status ~= 'pending' or int(record.seq) ~= args[2] then return false end
  if fix then send_again(record, now_ms(), args[3]) end
  return true
end)

-- A message of no record. O(queue). args: queue, message
define_repair('stray_message', function(fix, args)
  local id = string.match(args[2], '"id": ?"(exec_[%w_-]+)"')
  if not id or redis.call('EXISTS', KEY.RECORD .. id) == 1 then return false end
  if not redis.call('LPOS', args[1], args[2]) then return false end
  if fix then redis.call('LREM', args[1], 0, args[2]) end
  return true
end)

-- A pending entry of an execution that is not pending in this queue. args: queue, id
define_repair('pending_entry', function(fix, args)
  local key, record = KEY.PENDING .. args[1], load(args[2])
  if not redis.call('ZSCORE', key, args[2]) then return false end
  if record and record.status == 'pending' and record.queue == args[1] then return false end
  if fix then redis.call('ZREM', key, args[2]) end
  return true
end)

-- Of each namespace that has or had messages in a queue: how many were counted, how many there are. O(queue)
local function windows_of(queue)
  local counted, there = {}, {}
  local flat = redis.call('HGETALL', KEY.OUT .. queue)
  for i = 1, #flat, 2 do counted[flat[i]], there[flat[i]] = tonumber(flat[i + 1]), 0 end
  for _, id in ipairs(redis.call('ZRANGE', KEY.PENDING .. queue, '-inf', '(' .. int(2 * PARKED), 'BYSCORE')) do
    local namespace, retry_ms = unpack(redis.call('HMGET', KEY.RECORD .. id, 'namespace', 'retry_ms'))
    if namespace and not retry_ms then
      counted[namespace], there[namespace] = counted[namespace] or 0, (there[namespace] or 0) + 1
    end
  end
  return counted, there
end

-- windows: args: queue, most messages to look at
-- returns: nil when there are more | namespace, counted, there of each whose count is wrong; O(queue)
define('windows', function(args)
  if redis.call('ZCARD', KEY.PENDING .. args[1]) > tonumber(args[2]) then return nil end
  local counted, there = windows_of(args[1])
  local reply = {}
  for namespace, count in pairs(counted) do
    if count ~= there[namespace] then append(reply, namespace, count, there[namespace]) end
  end
  return reply
end)

-- A count of messages in a queue that is wrong: what is parked would wait too long, or not at all.
-- args: queue, namespace, most messages to look at
define_repair('window', function(fix, args)
  if redis.call('ZCARD', KEY.PENDING .. args[1]) > tonumber(args[3]) then return false end
  local counted, there = windows_of(args[1])
  if counted[args[2]] == there[args[2]] then return false end
  if fix then
    redis.call('HSET', KEY.OUT .. args[1], args[2], int(there[args[2]]))
    refill(args[1], args[2])
  end
  return true
end)

-- A running execution that nobody's lease protects, or a lease of what does not run.
-- args: id, how long a lease may be over (ms), template, max_attempts, error (JSON string) for the cap,
--   result_ttl_s, summary_ttl_s, history_max
define_repair('lease', function(fix, args)
  local id, now = args[1], now_ms()
  local record, ends_ms = load_to_end(id), tonumber(redis.call('ZSCORE', KEY.LEASES, id))
  local running = record and record.status == 'processing'
  if not running and not ends_ms then return false end
  if running and ends_ms and ends_ms > now - tonumber(args[2]) then return false end
  if fix and running then -- at the places where the sweep has them
    end_lease(record, now, { args[3], [5] = args[4], [7] = args[5], [8] = args[6], [9] = args[7], [10] = args[8] })
  elseif fix then
    redis.call('ZREM', KEY.LEASES, id)
  end
  return true
end)

-- A key that must expire and does not. args: key, ttl_s, then, if something keeps it: a hash, its field, the values
--   that do …
define_repair('lifetime', function(fix, args)
  if redis.call('TTL', args[1]) ~= -1 then return false end
  local value = args[3] and redis.call('HGET', args[3], args[4])
  for i = 5, #args do
    if value == args[i] then return false end
  end
  if fix then redis.call('EXPIRE', args[1], args[2]) end
  return true
end)

-- A key of which nothing that it belongs to is left. args: key, what it belongs to (key) …
define_repair('orphan', function(fix, args)
  if redis.call('EXISTS', args[1]) == 0 then return false end
  for i = 2, #args do
    if redis.call('EXISTS', args[i]) == 1 then return false end
  end
  if fix then redis.call('UNLINK', args[1]) end
  return true
end)

-- Calls add(namespace, status) for each execution in a queue or with a lease. O(open), so bounded by the caller.
local function count_open(queues, add)
  local function add_all(key, status)
    for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      local namespace = redis.call('HGET', KEY.RECORD .. id, 'namespace')
      if namespace then add(namespace, status) end
    end
  end
  for _, queue in ipairs(queues) do add_all(KEY.PENDING .. queue, 'pending') end
  add_all(KEY.LEASES, 'processing')
end

local function size_of_open(queues)
  local pending = 0
  for _, queue in ipairs(queues) do pending = pending + redis.call('ZCARD', KEY.PENDING .. queue) end
  return pending, redis.call('ZCARD', KEY.LEASES)
end

-- count_open: args: most open executions to look at, queue …
-- returns: nil when there are more | namespace, pending, processing of each that has any; O(open)
define('count_open', function(args)
  local queues = { unpack(args, 2) }
  local pending, processing = size_of_open(queues)
  if pending + processing > tonumber(args[1]) then return nil end
  local found, reply = {}, {}
  count_open(queues, function(namespace, status)
    found[namespace] = found[namespace] or { pending = 0, processing = 0 }
    found[namespace][status] = found[namespace][status] + 1
  end)
  for namespace, each in pairs(found) do append(reply, namespace, each.pending, each.processing) end
  return reply
end)

-- Books that say something else than the queues and leases. The difference is booked as executions that came
-- from nowhere or went there. O(1) for the installation ('' as namespace), O(open) for a namespace that exists.
-- args: namespace, most open executions to look at, queue …
define_repair('books', function(fix, args)
  local namespace, queues = args[1], { unpack(args, 3) }
  local key, there = KEY.BOOKS, {}
  there.pending, there.processing = size_of_open(queues)
  if namespace ~= '' then
    if redis.call('EXISTS', KEY.NAMESPACE .. namespace) == 0 then return false end
    if there.pending + there.processing > tonumber(args[2]) then return false end
    key, there = KEY.BOOKS .. ':' .. namespace, { pending = 0, processing = 0 }
    count_open(queues, function(owner, status)
      if owner == namespace then there[status] = there[status] + 1 end
    end)
  end
  local books, wrong = redis.call('HGETALL', key), false
  for status, count in pairs(there) do
    local difference = count - booked(books, status)
    wrong = wrong or difference ~= 0
    if fix and difference > 0 then redis.call('HINCRBY', key, 'none>' .. status, int(difference)) end
    if fix and difference < 0 then redis.call('HINCRBY', key, status .. '>none', int(-difference)) end
  end
  if fix and wrong then redis.call('HINCRBY', key, 'none>pending', 0) end -- without it the books count as closed
  return wrong
end)

-- What the counters of a batch must be, from its lines. Of lines whose result has expired is known that they ended.
local function recount(batch)
  local count = { pending = 0, processing = 0, completed = 0, degraded = 0, failed = 0, cancelled = 0 }
  local lines, unknown = redis.call('HVALS', KEY.BATCH .. batch .. ':lines'), 0
  for _, line in ipairs(lines) do
    local status = redis.call('HGET', KEY.RECORD .. string.match(line, '^%S+'), 'status')
    if status then count[status] = count[status] + 1 else unknown = unknown + 1 end
  end
  if unknown > 0 then count = { pending = count.pending, processing = count.processing } end
  count.submitted = #lines
  count.finished = #lines - count.pending - count.processing
  return count
end

-- A batch whose counters are not those of its lines, or that rests and does not expire. O(lines). args: batch
define_repair('batch', function(fix, args)
  local key, now = KEY.BATCH .. args[1], now_ms()
  local seen = redis.call('HMGET', key, 'ttl_s', 'uploading_until_ms', 'watchers')
  if not seen[1] then return false end
  local count = recount(args[1])
  local open, wrong = count.pending + count.processing, false
  for name, number in pairs(count) do
    wrong = wrong or tonumber(redis.call('HGET', key, name)) ~= number
    if fix then redis.call('HSET', key, name, int(number)) end
  end
  if open == 0 and redis.call('TTL', key) == -1 then
    wrong = true
    if fix then rest_batch(args[1], now, seen[1], tonumber(seen[2] or 0) > now, seen[3] or nil) end
  end
  return wrong
end)
