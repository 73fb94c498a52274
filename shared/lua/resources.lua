-- Named resources (namespaces, collections, retrievers, alerts): created and deleted whole, names unique in a scope.
-- Every function may be called again with the same arguments: the API resends after a broken connection.
-- Each kind has its own create_<kind>, update_<kind> and delete_<kind>; those of kinds that use one another are in
-- alerts.lua and take more arguments behind these.

-- create_<kind>: args: record key, names key, ids key, parent record key ('' = none), id, name, created_ms,
--   body, version, definition key ('' = none), definition, most resources of this kind in the scope
-- returns: {'created'} (again for the same id and body) | {'exists'} the id is in use, as an id or as a name
--   | {'deleting'} what had the id is still being purged | {'taken', id of the owner of the name}
--   | {'orphan'} the parent is gone | {'full'}
local function create_resource(args)
  local existing = redis.call('HGET', args[1], 'body')
  if existing then return { existing == args[8] and 'created' or 'exists' } end
  if redis.call('HEXISTS', KEY.DELETING, args[5]) == 1 then return { 'deleting' } end
  if args[4] ~= '' and redis.call('EXISTS', args[4]) == 0 then return { 'orphan' } end
  local owner = redis.call('HGET', args[2], args[6])
  if owner then return { 'taken', owner } end
  if redis.call('HEXISTS', args[2], args[5]) == 1 then return { 'exists' } end
  if redis.call('ZCARD', args[3]) >= tonumber(args[12]) then return { 'full' } end
  redis.call('HSET', args[2], args[6], args[5])
  redis.call('HSET', args[1], 'body', args[8], 'version', args[9])
  redis.call('ZADD', args[3], args[7], args[5])
  if args[10] ~= '' then redis.call('SET', args[10], args[11]) end
  return { 'created' }
end
local CREATE_ARGS = 12

-- find_resource: one of a scope, by its id or else its name.
-- args: record key prefix, names key, ids key, id or name, '1' to read the definition too
-- returns: {id, version, body, definition or ''} | nil
define('find_resource', function(args)
  local id = args[4]
  if not redis.call('ZSCORE', args[3], id) then
    id = redis.call('HGET', args[2], id)
    if not id then return nil end
  end
  local record = redis.call('HMGET', args[1] .. id, 'version', 'body')
  if not record[1] then return nil end
  local definition = args[5] == '1' and redis.call('GET', KEY.DEFINITION .. id .. ':' .. record[1])
  return { id, record[1], record[2], definition or '' }
end)

-- read_resources: args: record key prefix, id …
-- returns: their bodies in this order, nil for those that are gone
define('read_resources', function(args)
  local bodies = {}
  for i = 2, #args do bodies[i - 1] = redis.call('HGET', args[1] .. args[i], 'body') end
  return bodies
end)

-- update_<kind>: a new body, if the version is still the one that the caller has read.
-- args: record key, names key, id, old name, new name, old version, body, old definition key ('' = none),
--   new definition key, new definition, how long the old definition lives on (s)
-- returns: {'updated'} (again for the same body) | {'stale'} somebody was faster | {'missing'}
--   | {'taken', id of the owner of the name}
local function update_resource(args)
  local version, body = unpack(redis.call('HMGET', args[1], 'version', 'body'))
  if not version then return { 'missing' } end
  local following = int(tonumber(args[6]) + 1)
  if version == following and body == args[7] then return { 'updated' } end
  if version ~= args[6] then return { 'stale' } end
  local owner = redis.call('HGET', args[2], args[5])
  if owner and owner ~= args[3] then return { 'taken', owner } end
  if args[4] ~= args[5] then redis.call('HDEL', args[2], args[4]) end
  redis.call('HSET', args[2], args[5], args[3])
  redis.call('HSET', args[1], 'body', args[7], 'version', following)
  if args[8] ~= '' then
    redis.call('SET', args[9], args[10])
    redis.call('EXPIRE', args[8], args[11])
  end
  return { 'updated' }
end
local UPDATE_ARGS = 11

-- delete_<kind>: args: record key, names key, ids key, id, name, '1' = also when another resource uses it,
--   ttl_s, keys that live on for ttl_s …
-- returns: {'deleted'}, also when it was gone | {'used', id of what uses it …}
local function delete_resource(args)
  if redis.call('HGET', args[2], args[5]) == args[4] then redis.call('HDEL', args[2], args[5]) end
  redis.call('ZREM', args[3], args[4])
  for i = 8, #args do redis.call('EXPIRE', args[i], args[7]) end
  redis.call('DEL', args[1])
  return { 'deleted' }
end

define('create_namespace', create_resource)
define('update_namespace', update_resource)
define('create_retriever', create_resource)
define('update_retriever', update_resource)

-- hide_namespace: from now on it is not found; what it held is purged later.
-- args: record key, names key, ids key, id, name, task id
-- returns: the task id of the deletion, the first one when it is asked for again
define('hide_namespace', function(args)
  redis.call('HSETNX', KEY.DELETING, args[4], args[6])
  if redis.call('HGET', args[2], args[5]) == args[4] then redis.call('HDEL', args[2], args[5]) end
  redis.call('ZREM', args[3], args[4])
  redis.call('DEL', args[1])
  return redis.call('HGET', KEY.DELETING, args[4])
end)

-- namespace_purged: nothing of it is left, its books neither; its task is remembered as done. args: id, ttl_s
define('namespace_purged', function(args)
  local task = redis.call('HGET', KEY.DELETING, args[1])
  if task then redis.call('SET', KEY.DELETION .. task, args[1], 'EX', args[2]) end
  redis.call('DEL', KEY.BOOKS .. ':' .. args[1])
  redis.call('HDEL', KEY.LIMITS, args[1])
  for queue in string.gmatch(KEY.QUEUES, '%S+') do redis.call('HDEL', KEY.OUT .. queue, args[1]) end
  return redis.call('HDEL', KEY.DELETING, args[1])
end)

-- online: how the installation is doing, in numbers. args: silence_ms, queue …
-- returns: {workers heard of within silence_ms, executions in the queues, time of the last sweep (ms; 0 = never), now (ms),
--   stages that cannot be ended, told of within silence_ms, executions ever started}
define('online', function(args)
  local depth = 0
  for i = 2, #args do depth = depth + redis.call('ZCARD', KEY.PENDING .. args[i]) end
  local now = now_ms()
  local workers = redis.call('ZCOUNT', KEY.WORKERS, int(now - tonumber(args[1])), '+inf')
  return { workers, depth, tonumber(redis.call('HGET', KEY.SWEEP, 'last_ms') or '0'), now,
    redis.call('ZCOUNT', KEY.STUCK, int(now - tonumber(args[1])), '+inf'),
    tonumber(redis.call('HGET', KEY.BOOKS, 'pending>processing') or '0') }
end)
