-- The queues of executions, one for each priority class, and the order in which namespaces take turns in them.
--
-- A namespace has at most WINDOW messages in a queue. What it submits beyond that is parked: it waits in a list of its
-- own, and each claim sends the message of the next one, to the end of the queue. So whoever submits ten thousand is
-- as far in front of others as WINDOW, and nobody has to be looked for when a worker is free.
-- A namespace may also have a limit of executions that run: what is claimed beyond that is parked, too, and each end
-- sends the next message.
--
-- `kennel:pending:<queue>` holds all that wait, by `seq`. The number of a parked one is that of its submission and
-- PARKED more: behind all that have a message, in order, and never taken for one whose message was lost.

local WINDOW = 32
local PARKED = 1e15 -- µs: sequence numbers of messages reach it in no time that matters

local function is_parked(record) return record.seq >= 2 * PARKED end
local function parked_key(queue, namespace) return KEY.PARKED .. queue .. ':' .. namespace end

-- The message of an execution from a template with @ID@, @SEQ@, @SHADOW@ and @QUEUE@.
local function message_of(record, template)
  return (string.gsub(template, '@(%u+)@',
    { ID = record.id, SEQ = int(record.seq), SHADOW = record.shadow, QUEUE = record.queue }))
end

local function sequence_in(message)
  return tonumber(string.match(message, '"seq": ?(%d+)'))
end

-- The number of a message: behind all others, or, at the front, below the one that it is put before. So the numbers in
-- a queue always grow from front to back, which is how lost messages are found (see lost_before in sweep.lua).
local function sequence_for(queue, now, push)
  local front = push == 'RPUSH' and redis.call('LINDEX', queue, -1)
  local number = front and sequence_in(front)
  return number and number - 1 or next_sequence(now)
end

-- Limits

-- {executions of it that may run, that may wait}, each nil when there is no limit.
local function limits_of(namespace)
  local seen = redis.call('HMGET', KEY.LIMITS, namespace, '*')
  local own, general = seen[1] or '- -', seen[2] or '- -'
  local running, waiting = string.match(own, '^(%S+) (%S+)$')
  local all_running, all_waiting = string.match(general, '^(%S+) (%S+)$')
  return { running = tonumber(running) or tonumber(all_running), waiting = tonumber(waiting) or tonumber(all_waiting) }
end

-- How many of its executions run, and how many wait. By its books, which are read only where there is a limit.
local function open_of(namespace)
  local books = redis.call('HGETALL', KEY.BOOKS .. ':' .. namespace)
  return booked(books, 'processing'), booked(books, 'pending')
end

-- Sending and parking

-- Put a pending record in its queue: 'LPUSH' behind the others, 'RPUSH' to be taken next.
local function send(record, template, push)
  redis.call('ZADD', KEY.PENDING .. record.queue, int(record.seq), record.id)
  redis.call(push, record.queue, message_of(record, template))
end

local function enqueue(record, template, push)
  redis.call('HINCRBY', KEY.OUT .. record.queue, record.namespace, 1)
  send(record, template, push)
end

-- A record that is counted as one with a message waits among the parked of its namespace instead, at its old place.
local function park(record)
  redis.call('HINCRBY', KEY.OUT .. record.queue, record.namespace, -1)
  record.seq = record.order + PARKED
  redis.call('HSET', KEY.RECORD .. record.id, 'seq', int(record.seq))
  redis.call('ZADD', KEY.PENDING .. record.queue, int(record.seq), record.id)
  redis.call('ZADD', parked_key(record.queue, record.namespace), int(record.order), record.id)
  redis.call('SADD', KEY.PARKING, record.queue .. ' ' .. record.namespace)
end

-- Send the message of the first that is parked; false when there is none.
local function unpark(queue, namespace)
  local template = redis.call('GET', KEY.RUN_MESSAGE)
  local id = template and redis.call('ZPOPMIN', parked_key(queue, namespace))[1]
  if not id then return false end
  local shadow = redis.call('HGET', KEY.RECORD .. id, 'shadow')
  if not shadow then return true end -- its record was lost, which the doctor tells of
  local seq = next_sequence(now_ms())
  redis.call('HSET', KEY.RECORD .. id, 'seq', int(seq))
  enqueue({ id = id, queue = queue, namespace = namespace, seq = seq, shadow = shadow }, template, 'LPUSH')
  return true
end

-- Send messages of what is parked, as far as window and limit allow. `limits` of the namespace, if they are known.
local function refill(queue, namespace, limits)
  local out = tonumber(redis.call('HGET', KEY.OUT .. queue, namespace) or '0')
  local limit, room = (limits or limits_of(namespace)).running, WINDOW - out
  if limit then room = math.min(room, limit - open_of(namespace) - out) end
  for _ = 1, room do
    if not unpark(queue, namespace) then return end
  end
end

-- An execution of a namespace with a limit runs no more: the highest class that has one parked goes on.
local function refill_all(namespace)
  for queue in string.gmatch(KEY.QUEUES, '%S+') do refill(queue, namespace) end
end

-- A new execution: sent, or parked behind others of its namespace.
local function enter_queue(record, template, limit, running)
  local out = redis.call('HINCRBY', KEY.OUT .. record.queue, record.namespace, 1)
  local is_held = limit
    and (out + running > limit or redis.call('EXISTS', parked_key(record.queue, record.namespace)) == 1)
  if out <= WINDOW and not is_held then return send(record, template, 'LPUSH') end
  park(record)
  redis.call('SET', KEY.RUN_MESSAGE, template)
end

-- A pending execution leaves its queue: it is claimed, or has ended. The next of its namespace moves up.
local function leave_queue(record, limits)
  local queue, namespace = record.queue, record.namespace
  redis.call('ZREM', KEY.PENDING .. queue, record.id)
  if record.retry_ms then
    redis.call('ZREM', KEY.DELAYED, record.id)
  elseif is_parked(record) then
    redis.call('ZREM', parked_key(queue, namespace), record.id)
  elseif redis.call('HINCRBY', KEY.OUT .. queue, namespace, -1) == WINDOW - 1 then
    refill(queue, namespace, limits)
  end
end

-- Once a second: what limits that were raised, or a template that was not known yet, have left parked. O(namespaces
-- with something parked), at most `most` of them.
local function refill_parked(template, most)
  if redis.call('GET', KEY.RUN_MESSAGE) ~= template then redis.call('SET', KEY.RUN_MESSAGE, template) end
  for _, member in ipairs(redis.call('SRANDMEMBER', KEY.PARKING, most)) do
    local queue, namespace = string.match(member, '^(%S+) (%S+)$')
    refill(queue, namespace)
    if redis.call('EXISTS', parked_key(queue, namespace)) == 0 then redis.call('SREM', KEY.PARKING, member) end
  end
end
