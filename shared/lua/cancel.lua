-- cancel: end an execution that has not started.
-- args: id, reason (JSON string), result_ttl_s, summary_ttl_s, history_max
-- returns: 'cancelled' | 'running' | 'terminal' | 'missing'
define('cancel', function(args)
  local record = load(args[1])
  if not record then return 'missing' end
  if TERMINAL[record.status] then return 'terminal' end
  if record.status == 'processing' then return 'running' end
  redis.call('ZREM', KEY.PENDING .. record.queue, record.id)
  leave_history(record, 'pending')
  record.status = 'cancelled'
  record.error = args[2]
  close(record, now_ms(), retention_from(args, 3), {})
  return 'cancelled'
end)
