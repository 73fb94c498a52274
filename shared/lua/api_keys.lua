-- API keys: a name stands for a hash of a secret, under which the key's record is.

-- What a name stands for: {hash, record}, both '' when it is free.
local function key_of(names, prefix, name)
  local hash = redis.call('HGET', names, name)
  local record = hash and redis.call('GET', prefix .. hash)
  if not record then return { '', '' } end
  return { hash, record }
end

-- find_key: args: names key, record key prefix, name
-- returns: {hash, record}, both '' when the name is free
define('find_key', function(args) return key_of(args[1], args[2], args[3]) end)

-- key_hashes: args: names key; returns: the hash of every name
define('key_hashes', function(args) return redis.call('HVALS', args[1]) end)

-- read_keys: args: record key prefix, hash …; returns: their records in this order, nil for those that are gone
define('read_keys', function(args)
  local records = {}
  for i = 2, #args do records[i - 1] = redis.call('GET', args[1] .. args[i]) end
  return records
end)

-- is_key_spent: whether a secret was given out before: it opens something now, or was taken away.
-- args: record key prefix, hash; returns: 1 | 0
define('is_key_spent', function(args)
  if redis.call('EXISTS', args[1] .. args[2]) == 1 then return 1 end
  return redis.call('ZSCORE', KEY.RETIRED_KEYS, args[2]) and 1 or 0
end)

-- swap_keys: change what names stand for, all of them or none, if they stand for what the caller has read.
-- Hashes that go are remembered as spent.
-- args: names key, record key prefix, most names and most spent hashes, then for each name:
--   name, hash and record as read, hash and record to store ('' = free)
-- returns: 'swapped' (again when asked again) | 'changed' somebody was faster | 'full'
--   | 'in_use' another name has this hash
define('swap_keys', function(args)
  local names, prefix = args[1], args[2]
  local is_done, is_same, is_read, comes, growth = true, true, {}, {}, 0
  for i = 4, #args, 5 do
    local held = key_of(names, prefix, args[i])
    is_done = is_done and held[1] == args[i + 3] and held[2] == args[i + 4]
    is_same = is_same and held[1] == args[i + 1] and held[2] == args[i + 2]
    is_read[held[1]] = true
    comes[args[i + 3]] = true
    growth = growth + (args[i + 3] ~= '' and 1 or 0) - (held[1] ~= '' and 1 or 0)
  end
  if is_done then return 'swapped' end
  if not is_same then return 'changed' end
  if growth > 0 and redis.call('HLEN', names) + growth > tonumber(args[3]) then return 'full' end
  for i = 7, #args, 5 do
    if not is_read[args[i]] and redis.call('EXISTS', prefix .. args[i]) == 1 then return 'in_use' end
  end
  for i = 4, #args, 5 do  -- all that goes before all that comes: a renamed key keeps its hash
    redis.call('HDEL', names, args[i])
    redis.call('DEL', prefix .. args[i + 1])
    if args[i + 1] ~= '' and not comes[args[i + 1]] then
      redis.call('ZADD', KEY.RETIRED_KEYS, int(now_ms()), args[i + 1])
    end
  end
  redis.call('ZREMRANGEBYRANK', KEY.RETIRED_KEYS, 0, -tonumber(args[3]) - 1)
  for i = 4, #args, 5 do
    if args[i + 3] ~= '' then
      redis.call('HSET', names, args[i], args[i + 3])
      redis.call('SET', prefix .. args[i + 3], args[i + 4])
    end
  end
  return 'swapped'
end)
