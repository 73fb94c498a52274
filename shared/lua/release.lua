-- release: a worker that stops hands an execution back; the attempt does not count against the cap.
-- args: id, epoch, message template
-- returns: 'released' | 'lost' it is not this attempt's any more
define('release', function(args)
  local record = load(args[1])
  if not record or record.status ~= 'processing' or int(record.epoch) ~= args[2] then return 'lost' end
  record.attempts = record.attempts - 1
  requeue(record, now_ms(), args[3], 'RPUSH')
  return 'released'
end)
