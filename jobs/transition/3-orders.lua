-- What clients ask for.

local operations = {}

-- Why none of the orders can be accepted, if that is so: 3 when the queue is full, 4 when the tenant has too much under
-- way, 5 when its quota of the day is spent. The quota is spent here.
local function declined(evaluations)
  local known = redis.call('HMGET', load, 'generations', 'evaluations')
  local generations, waiting = tonumber(known[1] or '0'), tonumber(known[2] or '0')
  if generations + #options.orders > options.max_queue
    or (generations > 0 and waiting + evaluations > options.max_queue_evaluations) then
    return { 3, generations, waiting }
  end
  if options.max_active then
    local mine = index .. '@' .. options.tenant
    local active = redis.call('ZCARD', mine .. ':queued') + redis.call('ZCARD', mine .. ':running')
    if active + #options.orders > options.max_active then
      return { 4, active }
    end
  end
  local quota = options.quota
  if quota then
    local midnight = (math.floor(now / 86400) + 1) * 86400
    local spent = tonumber(redis.call('GET', quota.key) or '0')
    if spent + evaluations > quota.evaluations then
      return { 5, spent, math.ceil(midnight - now) }
    end
    redis.call('INCRBY', quota.key, evaluations)
    redis.call('EXPIREAT', quota.key, midnight)
  end
end

-- A record of these fields, in line, and a bell for it.
local function accept(fields)
  turn_to(fields.id)
  tenant = options.tenant
  fields.created_at, fields.attempts, fields.tenant = stamp(now), '0', tenant
  fields.parent = options.parent and options.parent.key
  fields.place = take_turn(fields.rank, tonumber(fields.nfe_total))
  if options.cancel_after then
    fields.deadline_at = stamp(now + options.cancel_after)
    redis.call('ZADD', deadlines, now + options.cancel_after, id)
  end
  set(fields)
  redis.call('ZADD', index, 0, id)
  redis.call('ZADD', index .. '@' .. tenant, 0, id)
  move('queued')
  say_status('queued')
  ring(id .. '-1')
end

-- All of options.orders, and the record of what they were ordered as, or none: 2 when the idempotency key was used
-- before, else as declined. Answers when they were accepted, when their time is over, what waits, and each one's place.
function operations.create()
  if status then  -- sent twice, because the first answer got lost
    return DONE
  end
  local once = options.once
  if once then
    local before = redis.call('HMGET', once.key, 'resource', 'fingerprint')
    if before[1] then
      return { 2, before[1], before[2] }
    end
  end
  local evaluations = 0
  for _, order in ipairs(options.orders) do
    evaluations = evaluations + tonumber(order.nfe_total)
  end
  local why = declined(evaluations)
  if why then
    return why
  end
  local parent = options.parent
  if parent then
    parent.fields.created_at, parent.fields.tenant = stamp(now), options.tenant
    set(parent.fields, parent.key)
    redis.call('ZADD', parent.index, 0, parent.id)
  end
  for _, order in ipairs(options.orders) do
    accept(order)
  end
  redis.call('EXPIRE', index .. '@' .. options.tenant, 2 * options.record_ttl)
  count('created', #options.orders)
  if once then
    redis.call('HSET', once.key, 'resource', once.resource, 'fingerprint', once.fingerprint)
    redis.call('EXPIRE', once.key, once.seconds)
  end
  for _, old in ipairs(options.indexes) do  -- whose records must have expired: the indexes stay bounded
    redis.call('ZREMRANGEBYLEX', old, '-', '(' .. options.oldest)
  end
  local known = redis.call('HMGET', load, 'generations', 'evaluations')
  local all = { tonumber(known[1]), tonumber(known[2]) }
  local answer = { 1, stamp(now), options.cancel_after and stamp(now + options.cancel_after) or '', all }
  for _, order in ipairs(options.orders) do
    answer[#answer + 1] = redis.call('ZRANK', KEYS[5] .. ':' .. order.crew, order.id)
  end
  return answer
end

function operations.cancel()
  if status == 'queued' then
    finish('canceled', options.reason)
  elseif status == 'running' then
    redis.call('HSETNX', record, 'cancel_requested', options.reason)
  end
  return status and DONE or REFUSED
end

-- The time that the client set may be over.
function operations.expire()
  if not status or TERMINAL[status] then
    redis.call('ZREM', deadlines, id)
  elseif late() and status == 'queued' then
    finish('expired', 'deadline')
  elseif late() then
    redis.call('HSETNX', record, 'cancel_requested', 'deadline')
  end
  return DONE
end
