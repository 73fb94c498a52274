-- Named resources (namespaces, collections, retrievers): created and deleted whole, names unique in a scope.

-- create_resource: args: record key, names key, ids key, id, name, created_ms, body, version, definition key ('' = none), definition
-- returns: {'created'} (again for the same id) | {'taken', id of the owner of the name}
define('create_resource', function(args)
  if redis.call('EXISTS', args[1]) == 1 then return { 'created' } end
  if redis.call('HSETNX', args[2], args[5], args[4]) == 0 then
    return { 'taken', redis.call('HGET', args[2], args[5]) }
  end
  redis.call('HSET', args[1], 'body', args[7], 'version', args[8])
  redis.call('ZADD', args[3], args[6], args[4])
  if args[9] ~= '' then redis.call('SET', args[9], args[10]) end
  return { 'created' }
end)

-- delete_resource: args: record key, names key, ids key, id, name
-- returns: 1 when it was there, else 0
define('delete_resource', function(args)
  if redis.call('HGET', args[2], args[5]) == args[4] then redis.call('HDEL', args[2], args[5]) end
  redis.call('ZREM', args[3], args[4])
  return redis.call('DEL', args[1])
end)
