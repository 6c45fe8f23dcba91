-- Stores a new revision of a subscriber, with its journal entry, and tells everybody. The very same document again is
-- stored already: its first answer got lost. A sealed one is known by its digest, since it is other bytes each time.
--
-- Who is deleted at the moment has none, and what was made of an earlier document of theirs is too late: a later one
-- begins with revision 1 and another time. Only a Redis that is complete knows that somebody has none. Nobody replaces
-- what is sealed by a key that they do not have.
--
-- KEYS: document, set of all subscribers, journal, changes, whoever is deleted at the moment, epoch.
-- Argument: user_id; revision; created_at; document; digest (none: not sealed); known_keys (by fingerprint); by (whom);
-- changes_kept (how many).
-- Answer: 'stored', else the revision that stands; 0 when none does; 'key' and the fingerprint of one that is missing;
-- 'unreadable' when what stands is no document. That stays.
local args = cmsgpack.unpack(ARGV[1])
local document, subscribers, journal, changes, erasing, epoch = unpack(KEYS)

if redis.call('HEXISTS', erasing, args.user_id) == 1 then return '0' end
local standing = redis.call('GET', document)
if standing then
  if standing == args.document then return 'stored' end
  local is_json, known = pcall(cjson.decode, standing)
  if not is_json or type(known) ~= 'table' then return 'unreadable' end
  if known.sealed and type(known.key) ~= 'string' then return 'unreadable' end
  if known.sealed and not args.known_keys[known.key] then return 'key ' .. known.key end
  if known.digest and known.digest == args.digest then return 'stored' end
  local revision = known.revision or 1
  if type(revision) ~= 'number' then return 'unreadable' end
  if args.revision <= revision or known.created_at ~= args.created_at then return tostring(revision) end
elseif args.revision > 1 and redis.call('EXISTS', epoch) == 1 then
  return '0'
end
redis.call('SADD', subscribers, args.user_id)
redis.call('SET', document, args.document)
redis.call('XADD', journal, '*', 'kind', 'subscriber', 'data', args.document)
redis.call('XADD', changes, 'MAXLEN', '~', args.changes_kept, '*', 'user_id', args.user_id, 'revision', args.revision,
  'by', args.by)
return 'stored'
