-- submit: accept an execution, all or nothing: idempotency, prerequisites, record, history, message.
-- args: id, namespace, retriever, version, queue, request, head, detail, first_stage (JSON string),
--   shadow (inside a JSON string), figures, about, message template, watcher ('' = nobody waits),
--   idempotency digest ('' = none), body digest, idempotency_ttl_s, queue_max, summary_ttl_s, history_max,
--   definition ('' = the retriever's own; else an ad-hoc execution, which keeps it until it ends),
--   '1' to keep its events from the beginning, else '',
--   alert id ('' = none; else it evaluates that alert, in whose history it stands) and alert (JSON),
--   collection ids that must exist …
-- returns: {'accepted', rev, status, state, position in the queue}
--                                             stored; asked again with the same id, the same answer, '' as position
--          {'replayed', id} | {'mismatch', id} the idempotency key was used, with this body or another
--          {'stale'}                           the retriever is gone or has another version; ad-hoc: the namespace
--          {'no_collection', id} | {'full', depth} | {'namespace_full', how many of the namespace wait}
local function is_stale(namespace, retriever, version, definition)
  if definition ~= '' then return redis.call('EXISTS', KEY.NAMESPACE .. namespace) == 0 end
  return redis.call('HGET', KEY.RETRIEVER .. retriever, 'version') ~= version
end

-- `batch` is the id of the batch that counts it, or nil.
local function submit(args, batch)
  local id = args[1]
  local existing = redis.call('HMGET', KEY.RECORD .. id, 'rev', 'status', 'state')
  if existing[1] then return { 'accepted', existing[1], existing[2], existing[3], '' } end

  local idempotency = args[15] ~= '' and KEY.IDEMPOTENCY .. args[15] or nil
  if idempotency then
    local used = redis.call('GET', idempotency)
    if used then
      local first_id, digest = string.match(used, '^(%S+) (%S+)$')
      return { digest == args[16] and 'replayed' or 'mismatch', first_id }
    end
  end
  if is_stale(args[2], args[3], args[4], args[21]) then return { 'stale' } end
  for i = 25, #args do
    if redis.call('EXISTS', KEY.COLLECTION .. args[i]) == 0 then return { 'no_collection', args[i] } end
  end
  local depth = redis.call('ZCARD', KEY.PENDING .. args[5])
  if depth >= tonumber(args[18]) then return { 'full', depth } end
  local limits, running, waiting = limits_of(args[2]), 0, 0
  if limits.running or limits.waiting then running, waiting = open_of(args[2]) end
  if limits.waiting and waiting >= limits.waiting then return { 'namespace_full', waiting } end

  local now = now_ms()
  local sequence = next_sequence(now)
  local record = {
    id = id, retriever = args[3], queue = args[5], shadow = args[10], status = 'pending', rev = 1, attempts = 0,
    done = 0, created_ms = now, seq = sequence, order = sequence, namespace = args[2],
    alert_id = args[23] ~= '' and args[23] or nil,
  }
  local state = state_of(record)
  redis.call('HSET', KEY.RECORD .. id, 'status', 'pending', 'rev', '1', 'state', state, 'epoch', '0', 'attempts', '0',
    'namespace', args[2], 'retriever', args[3], 'version', args[4], 'queue', args[5], 'request', args[6],
    'head', args[7], 'detail', args[8], 'first_stage', args[9], 'shadow', args[10], 'figures', args[11],
    'about', args[12], 'seq', int(sequence), 'order', int(sequence), 'created_ms', int(now), 'spent_ms', '0', 'done', '0')
  if args[21] ~= '' then redis.call('HSET', KEY.RECORD .. id, 'definition', args[21]) end
  if record.alert_id then redis.call('HSET', KEY.RECORD .. id, 'alert_id', args[23], 'alert', args[24]) end
  if batch then redis.call('HSET', KEY.RECORD .. id, 'batch', batch) end
  if args[14] ~= '' then redis.call('HSET', KEY.RECORD .. id, 'watchers', args[14]) end
  if args[22] ~= '' then open_events(id, 1, state) end
  if idempotency then redis.call('SET', idempotency, id .. ' ' .. args[16], 'EX', args[17]) end
  local retention = { summary_ttl_s = tonumber(args[19]), history_max = tonumber(args[20]) }
  enter_history(record, retention)
  enter_queue(record, args[13], limits.running, running)
  book(args[2], 'none', 'pending')
  return { 'accepted', '1', 'pending', state, int(depth + 1) }
end

define('submit', function(args) return submit(args) end)
