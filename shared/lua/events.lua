-- follow: register an API process as `watch` does, and have the events of the execution kept from now on.
-- Of what was before there is only what the record says, which is read in the same call.
-- args: id, watcher
-- returns: as watch, and then the id of the newest event ('' = it has ended and its events are gone)
define('follow', function(args)
  local id = args[1]
  local seen = watch(id, args[2])
  local newest = ''
  if seen[1] then
    local key = KEY.EVENTS .. id
    if not TERMINAL[seen[4]] and redis.call('EXISTS', key) == 0 then open_events(id, seen[1], seen[6]) end
    local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
    if last[1] then newest = last[1][1] end
  end
  seen[#seen + 1] = newest
  return seen
end)
