-- What clients ask for.

local operations = {}

-- All of options.orders, and the record of what they were ordered as, or none: 2 when the idempotency key was used
-- before, 3 when the queue is full, 4 when the tenant has too much under way, 5 when its quota of the day is spent.
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
    evaluations = evaluations + tonumber(order.fields.nfe_total)
  end
  local generations = tonumber(redis.call('HGET', load, 'generations') or '0')
  local waiting = tonumber(redis.call('HGET', load, 'evaluations') or '0')
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
  local parent = options.parent
  if parent then
    set(parent.fields, parent.key)
    set({ created_at = stamp(now), tenant = options.tenant }, parent.key)
    redis.call('ZADD', parent.index, 0, parent.id)
  end
  for _, order in ipairs(options.orders) do
    turn_to(order.fields.id)
    if not status then
      set(order.fields)
      set({ created_at = stamp(now), attempts = '0', tenant = options.tenant })
      if parent then
        set({ parent = parent.key })
      end
      if options.cancel_after then
        set({ deadline_at = stamp(now + options.cancel_after) })
        redis.call('ZADD', deadlines, now + options.cancel_after, id)
      end
      redis.call('ZADD', index, 0, id)
      redis.call('ZADD', index .. '@' .. options.tenant, 0, id)
      redis.call('EXPIRE', index .. '@' .. options.tenant, 2 * options.record_ttl)
      take_turn()
      move('queued')
      say_status('queued')
      count('created', 1)
    end
  end
  if once then
    redis.call('HSET', once.key, 'resource', once.resource, 'fingerprint', once.fingerprint)
    redis.call('EXPIRE', once.key, once.seconds)
  end
  return DONE
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
