-- The queues of executions, one for each priority class, and the order in which namespaces take turns in them.
--
-- A namespace has at most WINDOW messages in a queue. What it submits beyond that is parked: it waits in a list of its
-- own. The claim that leaves it half a window sends the messages that fill it again, to the end of the queue. So whoever
-- submits ten thousand is as far in front of others as WINDOW, and nobody has to be looked for when a worker is free.
-- A namespace may also have a limit of executions that run: what is claimed beyond that is parked, too, and each end
-- sends the next message.
--
-- `kennel:pending:<queue>` holds all that wait, by `seq`. The number of a parked one is that of its submission and
-- PARKED more: behind all that have a message, in order, and never taken for one whose message was lost.

local WINDOW = 32
local PARKED = 1e15 -- µs: sequence numbers of messages reach it in no time that matters

local function is_parked(record) return record.seq >= 2 * PARKED end
local function parked_key(queue, namespace) return KEY.PARKED .. queue .. ':' .. namespace end

-- A template of messages between its @ID@, @SEQ@, @SHADOW@ and @QUEUE@; the last one that was asked for is kept.
local kept_template, kept_parts

local function parts_of(template)
  if template ~= kept_template then
    local parts, behind = {}, 1
    for text, name, after in string.gmatch(template, '(.-)@(%u+)@()') do
      append(parts, text, name)
      behind = after
    end
    kept_template, kept_parts = template, append(parts, string.sub(template, behind))
  end
  return kept_parts
end

-- The message of an execution.
local function message_of(record, template)
  local value = { ID = record.id, SEQ = int(record.seq), QUEUE = record.queue,
    SHADOW = record.shadow or redis.call('HGET', KEY.RECORD .. record.id, 'shadow') }
  local parts, message = parts_of(template), {}
  for i = 1, #parts - 1, 2 do message[i], message[i + 1] = parts[i], value[parts[i + 1]] end
  message[#parts] = parts[#parts]
  return table.concat(message)
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

-- Send the messages of the first that are parked, at most `most`.
local function unpark(queue, namespace, most)
  local template = redis.call('GET', KEY.RUN_MESSAGE)
  local parked = template and redis.call('ZPOPMIN', parked_key(queue, namespace), most) or {}
  if #parked == 0 then return end
  local seq, messages, places = next_sequence(now_ms(), #parked / 2), {}, {}
  for i = 1, #parked, 2 do
    local id = parked[i]
    local shadow = redis.call('HGET', KEY.RECORD .. id, 'shadow')
    if shadow then -- else its record was lost, which the doctor tells of
      redis.call('HSET', KEY.RECORD .. id, 'seq', int(seq))
      append(messages, message_of({ id = id, queue = queue, seq = seq, shadow = shadow }, template))
      append(places, int(seq), id)
      seq = seq + 1
    end
  end
  if #messages == 0 then return end
  redis.call('HINCRBY', KEY.OUT .. queue, namespace, #messages)
  redis.call('ZADD', KEY.PENDING .. queue, unpack(places))
  redis.call('LPUSH', queue, unpack(messages))
end

-- Send messages of what is parked, as far as window and limit allow. `limits` of the namespace, if they are known.
local function refill(queue, namespace, limits)
  local out = tonumber(redis.call('HGET', KEY.OUT .. queue, namespace) or '0')
  local limit, room = (limits or limits_of(namespace)).running, WINDOW - out
  if limit then room = math.min(room, limit - open_of(namespace) - out) end
  if room > 0 then unpark(queue, namespace, room) end
end

-- An execution of a namespace with a limit runs no more: the highest class that has one parked goes on.
local function refill_all(namespace)
  for queue in string.gmatch(KEY.QUEUES, '%S+') do refill(queue, namespace) end
end

-- A new execution: sent, or parked behind others of its namespace. There are none, unless there is a limit or half a
-- window is in the queue.
local function enter_queue(record, template, limit, running)
  local out = redis.call('HINCRBY', KEY.OUT .. record.queue, record.namespace, 1)
  local has_room = out <= WINDOW and not (limit and out + running > limit)
  local may_be_behind = limit or out > WINDOW / 2
  if has_room and not (may_be_behind and redis.call('EXISTS', parked_key(record.queue, record.namespace)) == 1) then
    return send(record, template, 'LPUSH')
  end
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
  elseif redis.call('HINCRBY', KEY.OUT .. queue, namespace, -1) == WINDOW / 2 then
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
