-- Deliveries of webhooks: one per generation, due from the step that ended it. Each call is one atomic step.
--
-- KEYS  deliveries, counters, generation prefix
-- ARGV  operation, id, options as JSON

local deliveries, counters = KEYS[1], KEYS[2]
local operation, id = ARGV[1], ARGV[2]
local options = cjson.decode(ARGV[3])
local record = KEYS[3] .. ':' .. id

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local operations = {}

-- The one that is due longest, if any. Nobody else finds it until the claim is over: whoever claimed it may have died.
function operations.claim()
  local found = redis.call('ZRANGEBYSCORE', deliveries, '-inf', now, 'LIMIT', 0, 1)[1]
  if found then
    redis.call('ZADD', deliveries, now + options.claim, found)
  end
  return found
end

-- Look at it again later, without having tried.
function operations.postpone()
  redis.call('ZADD', deliveries, 'XX', now + options.after, id)
end

-- Note what came of an attempt: tried again after options.after seconds, or done with. Refused when it is done with
-- already, by somebody who claimed it after us.
function operations.settle()
  if not redis.call('ZSCORE', deliveries, id) then
    return 0
  end
  if options.after then
    redis.call('ZADD', deliveries, now + options.after, id)
  else
    redis.call('ZREM', deliveries, id)
  end
  redis.call('HINCRBY', counters, 'webhook:' .. options.outcome, 1)
  if redis.call('EXISTS', record) == 1 then  -- else this would make one that never expires
    redis.call('HSET', record, 'delivery', options.delivery)
  end
  return 1
end

return operations[operation]()
