-- Gives a person something that is not paid for with an invoice: a trial, a gift, days that are taken back.
--
-- KEYS: entitlements of the person, who was entitled, journal, epoch.
-- Argument: key; document; user; record; needs_epoch.
-- Answer: 1 when it is new, 0 when it was given before, 'incomplete' without the epoch that is needed.
local args = cmsgpack.unpack(ARGV[1])
local entitlements, entitled, journal, epoch = unpack(KEYS)
if args.needs_epoch and redis.call('EXISTS', epoch) == 0 then return 'incomplete' end

if redis.call('HSETNX', entitlements, args.key, args.document) == 0 then return 0 end
redis.call('SADD', entitled, args.user)
redis.call('XADD', journal, '*', 'kind', 'entitlement', 'data', args.record)
return 1
