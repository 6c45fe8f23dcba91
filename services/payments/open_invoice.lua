-- Stores an invoice, unless another one has what it is to be told by.
--
-- KEYS: invoice, open invoices, invoices of the person, journal, epoch, due times of ends, then what tells it
-- (reference, amount, payment).
-- Argument: id; invoice; created_ms; watched_until_ms; lives_s; told_s (how long each of the last keys tells it);
-- ends (optional): subject and at_ms of the due time at which its end is told; needs_epoch.
-- Answer: 1 when it stands, also from an earlier time, 0 when something tells another invoice, or another has its id,
-- 'incomplete' without the epoch that is needed.
local args = cmsgpack.unpack(ARGV[1])
local invoice, open, of_person, journal, epoch, ends = unpack(KEYS)
if args.needs_epoch and redis.call('EXISTS', epoch) == 0 then return 'incomplete' end

for i = 7, #KEYS do
  local told = redis.call('GET', KEYS[i])
  if told and told ~= args.id then return 0 end
end
if not redis.call('SET', invoice, args.invoice, 'NX', 'EX', args.lives_s) then
  return redis.call('GET', invoice) == args.invoice and 1 or 0
end
for i = 7, #KEYS do redis.call('SET', KEYS[i], args.id, 'EX', args.told_s[i - 6]) end
redis.call('ZADD', open, args.watched_until_ms, args.id)
if args.ends then redis.call('ZADD', ends, args.ends.at_ms, args.ends.subject) end
redis.call('ZADD', of_person, args.created_ms, args.id)
redis.call('EXPIRE', of_person, args.lives_s)
redis.call('XADD', journal, '*', 'kind', 'invoice', 'data', args.invoice)
return 1
