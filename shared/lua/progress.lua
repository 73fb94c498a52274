-- progress: publish how far an attempt is.
-- args: id, epoch, number (grows by write within an attempt), stage (JSON string or 'null'),
--   stages completed, detail, figures,
--   number of the first event (within the attempt), type, members … (see news_of; none = nothing to tell)
-- returns: 'ok' | 'old' a later write of the same attempt is in already | 'lost' not this attempt's any more
local load_to_publish = loader({ 'written', 'told' })

define('progress', function(args)
  local record = load_to_publish(args[1])
  if not record or record.status ~= 'processing' or int(record.epoch) ~= args[2] then return 'lost' end
  if tonumber(args[3]) <= (tonumber(record.written) or 0) then return 'old' end
  record.stage = args[4]
  record.done = tonumber(args[5])
  change(record, { 'written', args[3], 'stage', args[4], 'done', args[5], 'detail', args[6], 'figures', args[7] },
    { unpack(args, 8) })
  return 'ok'
end)
