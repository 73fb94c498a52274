-- The books: how many executions have gone from one status to another, since the first submit. One hash for
-- the installation and one for each namespace, a field for each transition ('pending>processing').
-- What a status holds is what came in minus what went out, so submitted is the sum of all statuses by
-- construction. 'none' is where executions come from, and where one goes whose record was lost (see doctor.lua).

-- Moved by the calls that make the transitions, and by nobody else.
local function book(namespace, from, to, count)
  local transition = from .. '>' .. to
  local books = KEY.BOOKS .. ':' .. namespace
  redis.call('HINCRBY', KEY.BOOKS, transition, count or 1)
  -- A namespace that was purged has no books, and gets none because what ran in it ends now.
  if redis.call('HINCRBY', books, transition, count or 1) == 1 and redis.call('HEXISTS', books, 'none>pending') == 0 then
    redis.call('DEL', books)
  end
end

-- What a status holds by the books: what came in minus what went out.
local function booked(books, status)
  local held = 0
  for i = 1, #books, 2 do
    local from, to = string.match(books[i], '^(.-)>(.*)$')
    if to == status then held = held + books[i + 1] end
    if from == status then held = held - books[i + 1] end
  end
  return held
end
