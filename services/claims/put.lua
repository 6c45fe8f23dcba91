-- Puts a message into the outbox, once for each unique key, and into the journal.
--
-- KEYS: unique key, outbox, journal.
-- Argument: envelope; decided_ms; lives_s (of the unique key).
-- Answer: 1 when it was put, 0 when it had been before.
local args = cmsgpack.unpack(ARGV[1])
local unique, outbox, journal = unpack(KEYS)

if not redis.call('SET', unique, string.format('%.0f', args.decided_ms), 'NX', 'EX', args.lives_s) then return 0 end
redis.call('XADD', outbox, '*', 'alert', args.envelope)
redis.call('XADD', journal, '*', 'kind', 'put', 'data', args.envelope)
return 1
