-- claim: the first thing a worker does with a message. Only a pending record can be claimed; only the
-- sweep ends a lease. So any number of duplicate messages is harmless.

-- How long this attempt was in the queue: from the submit, a later one from when it was put back.
local function waited_ms(record)
  local since = record.started_ms == record.claimed_ms and record.created_ms or record.seq / 1000
  return math.max(0, math.floor(record.claimed_ms - since))
end

local load_to_run = loader({ 'first_stage', 'nonce', 'version', 'request', 'definition', 'alert' })

-- What the claimer needs to run it, of a record of load_to_run.
local function claimed(record)
  return { 'claimed', record.id, int(record.epoch), int(record.attempts), int(record.spent_ms), record.retriever,
    record.version, record.namespace, record.request, record.definition or '', int(record.retries or 0),
    int(waited_ms(record)), record.events or '', record.alert or '' }
end

-- A doubled message must not shorten the wait for a retry (see retry.lua).
local function is_waiting(record, now) return record.retry_ms and now < record.retry_ms end

local function take(record, now, nonce, worker, lease_ms, limits)
  record.status = 'processing'
  record.epoch = record.epoch + 1
  record.attempts = record.attempts + 1
  record.started_ms = record.started_ms or now
  record.claimed_ms = now
  record.stage = record.first_stage
  record.done = 0
  local fields = { 'epoch', int(record.epoch), 'attempts', int(record.attempts), 'started_ms', int(record.started_ms),
    'claimed_ms', int(now), 'stage', record.stage, 'done', '0', 'nonce', nonce, 'worker', worker }
  if limits.running then append(fields, 'limited', '1') end -- so that its end looks for what may run next
  local retry_ms = record.retry_ms
  record.retry_ms = nil
  change(record, fields)
  record.retry_ms = retry_ms
  leave_queue(record, limits)
  if retry_ms then redis.call('HDEL', KEY.RECORD .. record.id, 'retry_ms') end
  redis.call('ZADD', KEY.LEASES, int(now + lease_ms), record.id)
  leave_history(record, 'pending')
  return claimed(record)
end

-- nil when its namespace has as many running as it may: then it waits until one of those has ended.
local function take_or_park(record, now, nonce, worker, lease_ms)
  local limits = limits_of(record.namespace)
  if limits.running and open_of(record.namespace) >= limits.running then
    if not record.retry_ms and not is_parked(record) then park(record) end
    return nil
  end
  return take(record, now, nonce, worker, lease_ms, limits)
end

-- args: id, nonce, worker, lease_ms
-- returns: {'claimed', id, epoch, attempts, spent_ms, retriever, version, namespace, request, definition or '',
--            retries, waited_ms, '1' when somebody follows its events, else '',
--            alert (JSON) that it evaluates or ''}
--            the same again for the same nonce: the first answer may have been lost
--          {'busy'} somebody runs it | {'terminal'} it has ended | {'missing'}
--          {'waiting'} until it is tried again, or until another one of its namespace has ended
define('claim', function(args)
  local record = load_to_run(args[1])
  if not record then return { 'missing' } end
  if TERMINAL[record.status] then return { 'terminal' } end
  if record.status == 'processing' then
    return record.nonce == args[2] and claimed(record) or { 'busy' }
  end
  local now = now_ms()
  if is_waiting(record, now) then return { 'waiting' } end
  return take_or_park(record, now, args[2], args[3], tonumber(args[4])) or { 'waiting' }
end)

-- The oldest message of the first queue that has one, and the name of that queue, or nil.
local function pop(queues)
  for i = 1, #queues do -- LMPOP, the one command for this, costs twice as much
    local message = redis.call('RPOP', queues[i])
    if message then return message, queues[i] end
  end
end

-- Pop messages until one can be claimed, at most `tries`: duplicates of ended executions are dropped here.
-- A message that is not ours to read goes back, and the caller stops.
local function take_next(queues, now, nonce, worker, lease_ms, tries)
  for _ = 1, tries do
    local message, queue = pop(queues)
    if not message then return nil end
    local id = string.match(message, '"id": ?"(exec_[%w_-]+)"')
    if not id then
      redis.call('RPUSH', queue, message)
      return nil
    end
    local record = load_to_run(id)
    if record and record.status == 'pending' and not is_waiting(record, now) then
      local claim = take_or_park(record, now, nonce, worker, lease_ms)
      if claim then return claim end
    end
  end
  return nil
end
