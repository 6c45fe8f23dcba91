-- Sends dead letters again. The outbox comes first: a refused XADD ends the script, and the dead letter is still there.
--
-- KEYS: dead letters, then the outbox of each letter.
-- Argument: dead_letters, each with id, alert and outbox (its place in KEYS).
-- Answer: how many went.
local args = cmsgpack.unpack(ARGV[1])
local dead_letters = KEYS[1]

local replayed = 0
for _, letter in ipairs(args.dead_letters) do
  if #redis.call('XRANGE', dead_letters, letter.id, letter.id) == 1 then
    redis.call('XADD', KEYS[letter.outbox], '*', 'alert', letter.alert)
    replayed = replayed + redis.call('XDEL', dead_letters, letter.id)
  end
end
return replayed
