-- cancel: end an execution now. The record is cancelled when this returns; a worker that runs it is told,
-- and whatever it still writes is refused. Statistics and credits stay as they were last published.
-- args: id, reason (JSON string), result_ttl_s, summary_ttl_s, history_max,
--   'pending' = only if it has not started | 'any'
-- returns: {'cancelled'} it had not started | {'stopping', stage (JSON string)} it was running that stage
--   | {'running'} left alone | {'terminal', status} | {'missing'}
local function cancel(id, reason, retention, which)
  local record = load_to_end(id)
  if not record then return { 'missing' } end
  if TERMINAL[record.status] then return { 'terminal', record.status } end
  local reply = { 'cancelled' }
  if record.status == 'pending' then
    leave_queue(record)
    leave_history(record, 'pending')
  elseif which == 'pending' then
    return { 'running' }
  else
    reply = { 'stopping', record.stage }
    local worker = redis.call('HGET', KEY.RECORD .. id, 'worker')
    redis.call('PUBLISH', KEY.STOP .. worker, id .. ' ' .. int(record.epoch))
  end
  record.status = 'cancelled'
  record.error = reason
  close(record, now_ms(), retention, {})
  return reply
end

define('cancel', function(args) return cancel(args[1], args[2], retention_from(args, 3), args[6]) end)
