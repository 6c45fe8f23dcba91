-- Writes down what arrived and, where that pays the invoice, what the person is given for it: all of it or nothing.
--
-- KEYS: receipt, arrivals of the invoice (or those unmatched or closed ones that it joins), version of the invoice,
-- entitlements of the person, who was entitled, journal, unmatched arrivals, closed ones, open invoices, epoch,
-- what tells the invoice by the amount that is missing, then for each message its unique key and outbox.
-- Argument: arrival (its key); counts_for (the invoice, '-' for none); record; version (as it was read, as text);
-- listed (the record among the unmatched or closed ones as it was read, empty for none); lives_s; entitlement
-- (optional): key, document, user, record; messages: document, decided_ms of each; put_lives_s (of their unique keys);
-- rest_s (how long the missing amount tells the invoice, 0 where none does); done (optional): the id of the invoice that
-- is looked at no more; needs_epoch.
-- Answer: 'incomplete' without the epoch that is needed, 'taken:<invoice>' when it counts for another invoice,
-- 'changed' when somebody else wrote meanwhile, else 'credited' when the person was given something by this call, else
-- 'recorded'.
local args = cmsgpack.unpack(ARGV[1])
local receipt, arrivals, version, entitlements, entitled, journal, unmatched, closed = unpack(KEYS, 1, 8)
local open, epoch, rest = unpack(KEYS, 9, 11)
if args.needs_epoch and redis.call('EXISTS', epoch) == 0 then return 'incomplete' end

local counts_for = redis.call('GET', receipt)
if counts_for and counts_for ~= args.counts_for and counts_for ~= '-' then return 'taken:' .. counts_for end
local fits = args.counts_for ~= '-'
if fits and (redis.call('GET', version) or '0') ~= args.version then return 'changed' end
local listed = redis.call('HGET', unmatched, args.arrival) or redis.call('HGET', closed, args.arrival) or ''
if listed ~= args.listed then return 'changed' end

redis.call('SET', receipt, args.counts_for, 'EX', args.lives_s)
if redis.call('HGET', arrivals, args.arrival) ~= args.record then
  redis.call('HSET', arrivals, args.arrival, args.record)
  redis.call('XADD', journal, '*', 'kind', 'arrival', 'data', args.record)
end
if arrivals ~= unmatched then redis.call('HDEL', unmatched, args.arrival) end
if arrivals ~= closed then redis.call('HDEL', closed, args.arrival) end
if not fits then return 'recorded' end
redis.call('EXPIRE', arrivals, args.lives_s)
redis.call('INCR', version)
redis.call('EXPIRE', version, args.lives_s)

local given = args.entitlement
local is_new = given and redis.call('HSETNX', entitlements, given.key, given.document) == 1
if is_new then
  redis.call('SADD', entitled, given.user)
  redis.call('XADD', journal, '*', 'kind', 'entitlement', 'data', given.record)
end
for i, message in ipairs(args.messages) do
  local unique, outbox = KEYS[10 + 2 * i], KEYS[11 + 2 * i]
  if redis.call('SET', unique, string.format('%.0f', message.decided_ms), 'NX', 'EX', args.put_lives_s) then
    redis.call('XADD', outbox, '*', 'alert', message.document)
    redis.call('XADD', journal, '*', 'kind', 'put', 'data', message.document)
  end
end
if args.rest_s > 0 then redis.call('SET', rest, args.counts_for, 'NX', 'EX', args.rest_s) end
if args.done then redis.call('ZREM', open, args.done) end
return is_new and 'credited' or 'recorded'
