-- Takes from one person what another one gets: both, or nothing.
--
-- KEYS: entitlements of the one, of the other, who was entitled, journal, epoch.
-- Argument: taken, given (each key; document; user; record); needs_epoch.
-- Answer: 1 when it is new, 0 when it was done before, 'incomplete' without the epoch that is needed.
local args = cmsgpack.unpack(ARGV[1])
local from, to, entitled, journal, epoch = unpack(KEYS)
if args.needs_epoch and redis.call('EXISTS', epoch) == 0 then return 'incomplete' end

if redis.call('HSETNX', from, args.taken.key, args.taken.document) == 0 then return 0 end
redis.call('HSET', to, args.given.key, args.given.document)
redis.call('SADD', entitled, args.taken.user, args.given.user)
redis.call('XADD', journal, '*', 'kind', 'entitlement', 'data', args.taken.record)
redis.call('XADD', journal, '*', 'kind', 'entitlement', 'data', args.given.record)
return 1
