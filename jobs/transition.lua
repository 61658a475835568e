-- The one place where a generation changes. Each call is one atomic step of its state machine:
--
--   (none) -> queued -> running -> succeeded | failed | canceled
--                ^---------'           (handed back)
--   queued -> canceled | expired
--
-- A terminal state is never left, an attempt that was replaced can write nothing, and each change appends its event
-- to the stream in the same step: states and events cannot disagree.
--
-- KEYS  generation prefix, events prefix, index, counters, waiting prefix, deadlines, stored, load, deliveries
-- ARGV  operation, id, attempt token ("" where none is needed), options as JSON
-- Returns an array: 1 when the operation was done (or had been before), 0 when it was refused, then what it answers.

local index, counters, deadlines, stored, load = KEYS[3], KEYS[4], KEYS[6], KEYS[7], KEYS[8]
local operation, id, token = ARGV[1], ARGV[2], ARGV[3]
local options = cjson.decode(ARGV[4])

local TERMINAL = { succeeded = true, failed = true, canceled = true, expired = true }
local REFUSED, DONE = { 0 }, { 1 }

local clock = redis.call('TIME')  -- of Redis: the hosts' clocks may differ
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local record, events, status

-- The generation that the rest speaks of.
local function turn_to(chosen)
  id, record, events = chosen, KEYS[1] .. ':' .. chosen, KEYS[2] .. ':' .. chosen
  status = redis.call('HGET', record, 'status')
end

turn_to(id)

local function stamp(seconds)
  return string.format('%.6f', seconds)
end

local function get(name)
  return redis.call('HGET', record, name)
end

local function set(fields, key)
  for name, value in pairs(fields or {}) do
    redis.call('HSET', key or record, name, value)
  end
end

local function emit(kind, data)
  local sequence = redis.call('HINCRBY', record, 'seq', 1)
  redis.call('XADD', events, 'MAXLEN', '=', options.max_events, sequence .. '-0', 'type', kind, 'data', data)
end

local function count(name, amount)
  redis.call('HINCRBYFLOAT', counters, name, amount)
end

-- The indexes of a status: of all generations, and of those of its tenant.
local function indexes(of)
  local tenant = get('tenant')
  return { index .. ':' .. of, index .. '@' .. tenant .. ':' .. of }
end

-- Who waits stands in line at the workers that serve all it needs, by priority, then by age.
local function line_up(sign)
  local crew = get('crew')
  if sign > 0 then
    redis.call('ZADD', KEYS[5] .. ':' .. crew, get('rank'), id)
    redis.call('SADD', KEYS[5], crew)
  else
    redis.call('ZREM', KEYS[5] .. ':' .. crew, id)
  end
  redis.call('HINCRBY', load, 'generations', sign)
  redis.call('HINCRBY', load, 'evaluations', sign * tonumber(get('nfe_total')) + 0)  -- no -0
end

local function move(to)
  if status then
    for _, from in ipairs(indexes(status)) do
      redis.call('ZREM', from, id)
    end
  end
  if status == 'queued' then
    line_up(-1)
  end
  for _, into in ipairs(indexes(to)) do
    redis.call('ZADD', into, 0, id)
  end
  if to == 'queued' then
    line_up(1)
  end
  redis.call('HSET', record, 'status', to)
  status = to
end

local function say_status(to, reason)
  local attempts = tonumber(get('attempts') or '0')
  emit('status', cjson.encode({ status = to, status_reason = reason or cjson.null, attempts = attempts }))
end

local function finish(to, reason)
  set(options.fields)
  set({ finished_at = stamp(now), expires_at = stamp(now + options.result_ttl) })
  if reason then
    redis.call('HSET', record, 'status_reason', reason)
  end
  move(to)
  emit('done', cjson.encode({ status = to, status_reason = reason or cjson.null }))
  redis.call('EXPIRE', record, options.record_ttl)
  redis.call('EXPIRE', events, options.result_ttl)
  local parent = get('parent')
  if parent then
    redis.call('EXPIRE', parent, options.record_ttl)  -- begun anew by each: it outlives the last
  end
  redis.call('ZREM', deadlines, id)
  redis.call('ZADD', stored, now + options.result_ttl, id)
  if get('delivery') then  -- its client is told by a webhook; noted here, so that no crash forgets it
    redis.call('ZADD', KEYS[9], now, id)
  end
  count('finished:' .. to, 1)
  for name, amount in pairs(options.counters or {}) do
    count(name, amount)
  end
end

-- Whether the time that the client set is over.
local function late()
  local deadline = tonumber(get('deadline_at') or 'inf')
  return deadline <= now
end

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

function operations.start()
  if status ~= 'queued' then
    return REFUSED
  end
  if late() then
    finish('expired', 'deadline')
    return REFUSED
  end
  redis.call('HINCRBY', record, 'attempts', 1)
  set(options.fields)
  set({ token = token, started_at = stamp(now), step = '0', nfe_done = '0' })
  redis.call('HSETNX', record, 'first_started_at', stamp(now))
  redis.call('HDEL', record, 'status_reason', 'last_step_at', 'images')
  move('running')
  say_status('running')
  return { 1, redis.call('HGETALL', record) }
end

-- Start the first in line among those that need no more than options.serves. When there is none: how many wait for
-- other workers.
function operations.claim()
  local served = {}
  for _, model in ipairs(options.serves) do
    served[model] = true
  end
  while true do
    local first, rank, elsewhere = nil, nil, 0
    for _, crew in ipairs(redis.call('SMEMBERS', KEYS[5])) do
      local line = KEYS[5] .. ':' .. crew
      local able = true
      for model in string.gmatch(crew, '[^\n]+') do
        able = able and served[model]
      end
      if able then
        local found = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
        local theirs = tonumber(found[2])
        if found[1] and (not first or theirs < rank or (theirs == rank and found[1] < first)) then
          first, rank = found[1], theirs
        end
      else
        elsewhere = elsewhere + redis.call('ZCARD', line)
      end
      if redis.call('ZCARD', line) == 0 then
        redis.call('SREM', KEYS[5], crew)
      end
    end
    if not first then
      return { 0, elsewhere }
    end
    turn_to(first)
    if status ~= 'queued' then  -- its record has expired, or was removed by hand
      for _, crew in ipairs(redis.call('SMEMBERS', KEYS[5])) do
        redis.call('ZREM', KEYS[5] .. ':' .. crew, first)
      end
    else
      local answer = operations.start()
      if answer[1] == 1 then
        return answer
      end
    end
  end
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

-- What follows is for the attempt that runs now.

local mine = {}

function mine.progress()
  set(options.fields)
  local last = tonumber(get('last_step_at') or '0')
  if now - last >= options.step_event or options.last then
    redis.call('HSET', record, 'last_step_at', stamp(now))
    emit('step', options.data)
  end
  return DONE
end

function mine.event()
  set(options.fields)
  emit(options.type, options.data)
  return DONE
end

function mine.finish()
  local asked = options.status == 'canceled' and get('cancel_requested')
  finish(options.status, asked or options.reason)
  return DONE
end

function mine.hand_back()
  local asked = get('cancel_requested')
  if asked then
    finish('canceled', asked)
    return DONE
  end
  set({ status_reason = options.reason })
  redis.call('HDEL', record, 'token', 'worker', 'started_at')
  move('queued')
  say_status('queued', options.reason)
  return DONE
end

if operations[operation] then
  return operations[operation]()
end
if not status or get('token') ~= token then
  return REFUSED
end
if status == 'running' then
  return mine[operation]()
end
-- A report that was sent twice because the first answer got lost is no contradiction.
if operation == 'finish' and TERMINAL[status] and status == options.status then
  return DONE
end
return REFUSED
