-- watch: register an API process to be woken by every later change, and read the record in the same call.
-- args: id, watcher
-- returns: rev, namespace, retriever, status, head, state, detail, queue, seq (all nil when there is no such record)
local WATCHERS_MAX = 64

-- Add a name to the comma list in a hash.
local function add_watcher(key, name)
  local watchers = redis.call('HGET', key, 'watchers') or ''
  local known, count = false, 0
  for watcher in string.gmatch(watchers, '[^,]+') do
    known = known or watcher == name
    count = count + 1
  end
  if not known and count < WATCHERS_MAX then
    redis.call('HSET', key, 'watchers', watchers == '' and name or watchers .. ',' .. name)
  end
end

local function watch(id, watcher)
  local key = KEY.RECORD .. id
  local seen = redis.call('HMGET', key, 'rev', 'namespace', 'retriever', 'status', 'head', 'state', 'detail', 'queue',
    'seq')
  if seen[1] and not TERMINAL[seen[4]] then add_watcher(key, watcher) end
  return seen
end

define('watch', function(args) return watch(args[1], args[2]) end)

-- watch_many: what `watch` says of one, of many and in short. O(executions).
-- args: watcher ('' = only read), id …
-- returns: for each {rev, namespace, retriever, status, state, position in the queue, seq}, nil where there is none;
--   the position is 0 for one that is not pending
define('watch_many', function(args)
  local reply = {}
  for i = 2, #args do
    local key = KEY.RECORD .. args[i]
    local seen = redis.call('HMGET', key, 'rev', 'namespace', 'retriever', 'status', 'state', 'queue', 'seq')
    if seen[1] then
      local position = 0
      if seen[4] == 'pending' then
        position = 1 + redis.call('ZCOUNT', KEY.PENDING .. seen[6], '-inf', '(' .. seen[7])
      end
      if args[1] ~= '' and not TERMINAL[seen[4]] then add_watcher(key, args[1]) end
      reply[i - 1] = { seen[1], seen[2], seen[3], seen[4], seen[5], position, seen[7] or '' }
    else
      reply[i - 1] = false
    end
  end
  return reply
end)
