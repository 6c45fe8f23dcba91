-- Begins to delete somebody: from here on they have no document, and nobody stores one.
--
-- KEYS: whoever is deleted at the moment, document, set of all subscribers, journal, changes.
-- Argument: user_id; erasure; by (whom); changes_kept (how many).
-- Answer: the deletion that is under way: this one, or an earlier one.
local args = cmsgpack.unpack(ARGV[1])
local erasing, document, subscribers, journal, changes = unpack(KEYS)

local standing = redis.call('HGET', erasing, args.user_id)
if standing then return standing end
redis.call('HSET', erasing, args.user_id, args.erasure)
redis.call('DEL', document)
redis.call('SREM', subscribers, args.user_id)
redis.call('XADD', journal, '*', 'kind', 'erasure', 'data', args.erasure)
redis.call('XADD', changes, 'MAXLEN', '~', args.changes_kept, '*', 'user_id', args.user_id, 'by', args.by)
return args.erasure
