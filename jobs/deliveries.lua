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

-- The one that is due longest, if any, but for receivers in options.busy. Nobody else finds it until the claim is over:
-- whoever claimed it may have died.
function operations.claim()
  local busy = {}
  for _, receiver in ipairs(options.busy) do
    busy[receiver] = true
  end
  local due = redis.call('ZRANGEBYSCORE', deliveries, '-inf', now, 'LIMIT', 0, options.look)
  for _, found in ipairs(due) do
    local receiver = redis.call('HGET', KEYS[3] .. ':' .. found, 'receiver') or ''
    if not busy[receiver] then
      redis.call('ZADD', deliveries, now + options.claim, found)
      return { found, receiver }
    end
  end
  if #due == options.look then  -- so much for busy receivers that others may stand behind it
    for _, found in ipairs(due) do
      redis.call('ZADD', deliveries, now + options.aside, found)
    end
  end
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
