-- extend: an ended execution, all of it, is kept for so long from now on. It never shortens.
-- args: id, keep_s, summary_ttl_s
-- returns: {'extended' | 'kept' it lives longer already, rev, status, expires_at} | {'open', status} | {'missing'}

-- State and summary are written by record.lua: the first expires_at in them is ours, not somebody's text.
local function with_expiry(json, until_ms)
  return (string.gsub(json, '"expires_at":"[^"]*"', '"expires_at":"' .. iso(until_ms) .. '"', 1))
end

local function extend_summary(id, retriever, status, until_ms, summary_ttl_s)
  local summary = redis.call('GET', KEY.SUMMARY .. id)
  if not summary then return end
  redis.call('SET', KEY.SUMMARY .. id, with_expiry(summary, until_ms), 'EX', summary_ttl_s)
  for _, key in ipairs({ KEY.HISTORY .. retriever, KEY.HISTORY .. retriever .. ':' .. status }) do
    redis.call('EXPIRE', key, summary_ttl_s)
  end
end

define('extend', function(args)
  local id, keep_ms = args[1], tonumber(args[2]) * 1000
  local key = KEY.RECORD .. id
  local status, rev, state, retriever = unpack(redis.call('HMGET', key, 'status', 'rev', 'state', 'retriever'))
  if not status then return { 'missing' } end
  if not TERMINAL[status] then return { 'open', status } end
  if redis.call('PTTL', key) >= keep_ms then
    return { 'kept', rev, status, string.match(state, '"expires_at":"([^"]*)"') }
  end
  local until_ms = now_ms() + keep_ms
  rev = int(tonumber(rev) + 1)
  state = string.gsub(with_expiry(state, until_ms), '"revision":%d+', '"revision":' .. rev, 1)
  redis.call('HSET', key, 'rev', rev, 'state', state)
  for _, name in ipairs({ key, KEY.DOCUMENTS .. id }) do redis.call('PEXPIREAT', name, int(until_ms)) end
  extend_summary(id, retriever, status, until_ms, args[3])
  return { 'extended', rev, status, iso(until_ms) }
end)
