-- finish: write the terminal state once, and claim the next execution in the same call.
-- args: id, epoch, status, error (JSON string or 'null'), stages completed, detail, figures,
--   result_ttl_s, summary_ttl_s, history_max,
--   queues to claim from next, in this order, between spaces ('' = none), nonce, worker, lease_ms, tries, profile (JSON, '' = none),
--   how many of the next args tell of events, then those as in progress,
--   how many of the next args say what an alert came to, then those (see `evaluated` in alert_runs.lua),
--   result documents, in chunks (shared/result_chunks.py), when they are more than `detail` holds …
-- returns: {'finished'} | {'already'} this attempt had finished it
--   | {'lost'} another attempt owns it, or it was cancelled,
--   each followed by what claim returns when a next execution was claimed
local function claim_again(id, nonce)
  local next_id = redis.call('HGET', KEY.RECORD .. id, 'next')
  local following = next_id and load_to_run(next_id)
  if following and following.status == 'processing' and following.nonce == nonce then return claimed(following) end
  return nil
end

local function answer(word, claim)
  return claim and { word, unpack(claim) } or { word }
end

local function store_documents(id, args, first, ttl_s)
  local key = KEY.DOCUMENTS .. id
  redis.call('DEL', key)
  for i = first, #args, 1000 do redis.call('RPUSH', key, unpack(args, i, math.min(i + 999, #args))) end
  redis.call('EXPIRE', key, ttl_s)
end

-- As many args as the number at `at` says, and the place behind them.
local function counted(args, at)
  local count = tonumber(args[at])
  return { unpack(args, at + 1, at + count) }, at + count + 1
end

define('finish', function(args)
  local record = load_to_end(args[1])
  local now = now_ms()
  local queues, nonce = {}, args[12]
  for queue in string.gmatch(args[11], '%S+') do append(queues, queue) end
  if not record or int(record.epoch) ~= args[2] then return { 'lost' } end
  if record.status == 'pending' or record.status == 'cancelled' then return { 'lost' } end
  -- The answer to the first call was lost: what it claimed still waits for this very caller.
  if TERMINAL[record.status] then return answer('already', #queues > 0 and claim_again(args[1], nonce)) end

  local function claim_next()
    return #queues > 0 and take_next(queues, now, nonce, args[13], tonumber(args[14]), tonumber(args[15])) or nil
  end

  local claim = not record.limited and claim_next() or nil
  record.status = args[3]
  record.error = args[4]
  record.done = tonumber(args[5])
  record.figures = args[7]
  local retention = retention_from(args, 8)
  local told, behind = counted(args, 17)
  local evaluation, first_document = counted(args, behind)
  if #args >= first_document then store_documents(record.id, args, first_document, retention.result_ttl_s) end
  local result = { detail = args[6], next = claim and claim[2], profile = args[16] ~= '' and args[16] or nil }
  if #evaluation > 0 then evaluated(record, evaluation, now, result) end
  close(record, now, retention, result, told)
  if record.limited then -- another of its namespace may run only now
    claim = claim_next()
    if claim then redis.call('HSET', KEY.RECORD .. record.id, 'next', claim[2]) end
  end
  return answer('finished', claim)
end)
