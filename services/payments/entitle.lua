-- Gives a person something that is not paid for with an invoice: a trial, a gift, days that are taken back.
--
-- KEYS: entitlements of the person, who was entitled, journal.
-- Argument: key; document; user; record.
-- Answer: 1 when it is new, 0 when it was given before.
local args = cmsgpack.unpack(ARGV[1])
local entitlements, entitled, journal = unpack(KEYS)

if redis.call('HSETNX', entitlements, args.key, args.document) == 0 then return 0 end
redis.call('SADD', entitled, args.user)
redis.call('XADD', journal, '*', 'kind', 'entitlement', 'data', args.record)
return 1
