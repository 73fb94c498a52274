-- extend: an ended execution, all of it, is kept for so long from now on. It never shortens.
-- args: id, keep_s, summary_ttl_s
-- returns: {'extended' | 'kept' it lives longer already, rev, status, expires_at} | {'open', status} | {'missing'}

-- The state is written by `change`: the first expires_at in it is ours, not somebody's text.
local function with_expiry(state, until_ms, rev)
  state = string.gsub(state, '"expires_at":"[^"]*"', '"expires_at":"' .. iso(until_ms) .. '"', 1)
  return (string.gsub(state, '"revision":%d+', '"revision":' .. rev, 1))
end

-- It outlives the result, as its tombstone; outside of the history there is none.
local function extend_summary(id, owner, until_ms, keep_s, summary_ttl_s)
  local key = KEY.SUMMARY .. id
  local summary = redis.call('GET', key)
  if not summary then return end
  local is_listed = redis.call('ZSCORE', history_key(owner), id)
  summary = string.gsub(summary, SUMMARY_EXPIRY, '%1' .. int(until_ms), 1)
  redis.call('SET', key, summary, 'EX', is_listed and summary_ttl_s or keep_s)
end

define('extend', function(args)
  local id, keep_ms = args[1], tonumber(args[2]) * 1000
  local key = KEY.RECORD .. id
  local status, rev, state, retriever, alert = unpack(redis.call('HMGET', key, 'status', 'rev', 'state', 'retriever',
    'alert_id'))
  if not status then return { 'missing' } end
  if not TERMINAL[status] then return { 'open', status } end
  if redis.call('PTTL', key) >= keep_ms then
    return { 'kept', rev, status, string.match(state, '"expires_at":"([^"]*)"') }
  end
  local until_ms = now_ms() + keep_ms
  rev = int(tonumber(rev) + 1)
  redis.call('HSET', key, 'rev', rev, 'state', with_expiry(state, until_ms, rev))
  for _, name in ipairs({ key, KEY.DOCUMENTS .. id, KEY.CHECKPOINT .. id }) do
    redis.call('PEXPIREAT', name, int(until_ms))
  end
  extend_summary(id, { retriever = retriever, alert_id = alert or nil }, until_ms, args[2], args[3])
  return { 'extended', rev, status, iso(until_ms) }
end)
