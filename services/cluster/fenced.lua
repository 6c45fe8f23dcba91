-- The head of a script that changes something under leases: it stops where somebody else has taken one since. `args` is
-- the script's whole argument from here on.
--
-- KEYS: fences first.
-- Argument: fences (name of a lease to the number under which it is held, as a string).
local args = cmsgpack.unpack(ARGV[1])
do
  local leases, numbers = {}, {}
  for lease, number in pairs(args.fences) do
    leases[#leases + 1], numbers[#numbers + 1] = lease, number
  end
  if #leases > 0 then
    for i, number in ipairs(redis.call('HMGET', KEYS[1], unpack(leases))) do
      if number ~= numbers[i] then return redis.error_reply('FENCED ' .. leases[i] .. ' has another owner') end
    end
  end
end

