-- The one place where a generation changes. Each call is one atomic step of its state machine:
--
--   (none) -> queued -> running -> succeeded | failed | canceled
--                ^---------'           (handed back)
--   queued -> canceled | expired
--
-- A terminal state is never left, an attempt that was replaced can write nothing, and each change appends its event
-- to the stream in the same step: states and events cannot disagree.
--
-- KEYS  record, events, index, counters
-- ARGV  operation, id, attempt token ("" where none is needed), options as JSON
-- Returns an array: 1 when the operation was done (or had been before), 0 when it was refused, then what it answers.

local record, events, index, counters = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local operation, id, token = ARGV[1], ARGV[2], ARGV[3]
local options = cjson.decode(ARGV[4])

local TERMINAL = { succeeded = true, failed = true, canceled = true, expired = true }
local REFUSED, DONE = { 0 }, { 1 }

local clock = redis.call('TIME')  -- of Redis: the hosts' clocks may differ
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local status = redis.call('HGET', record, 'status')

local function stamp(seconds)
  return string.format('%.6f', seconds)
end

local function set(fields)
  for name, value in pairs(fields or {}) do
    redis.call('HSET', record, name, value)
  end
end

local function emit(kind, data)
  local sequence = redis.call('HINCRBY', record, 'seq', 1)
  redis.call('XADD', events, 'MAXLEN', '=', options.max_events, sequence .. '-0', 'type', kind, 'data', data)
end

local function count(name, amount)
  redis.call('HINCRBYFLOAT', counters, name, amount)
end

local function move(to)
  if status then
    redis.call('ZREM', index .. ':' .. status, id)
  end
  redis.call('ZADD', index .. ':' .. to, 0, id)
  redis.call('HSET', record, 'status', to)
end

local function say_status(to, reason)
  local attempts = tonumber(redis.call('HGET', record, 'attempts') or '0')
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
  count('finished:' .. to, 1)
  for name, amount in pairs(options.counters or {}) do
    count(name, amount)
  end
end

local operations = {}

function operations.create()
  if status then
    return DONE
  end
  set(options.fields)
  set({ created_at = stamp(now), attempts = '0' })
  redis.call('ZADD', index, 0, id)
  move('queued')
  say_status('queued')
  count('created', 1)
  return DONE
end

function operations.start()
  if status ~= 'queued' then
    return REFUSED
  end
  local attempts = redis.call('HINCRBY', record, 'attempts', 1)
  set(options.fields)
  set({ token = token, started_at = stamp(now), step = '0', nfe_done = '0' })
  redis.call('HSETNX', record, 'first_started_at', stamp(now))
  redis.call('HDEL', record, 'status_reason', 'last_step_at')
  move('running')
  say_status('running')
  return { 1, attempts, redis.call('HGET', record, 'request') }
end

function operations.cancel()
  if status == 'queued' then
    finish('canceled', options.reason)
  elseif status == 'running' then
    redis.call('HSET', record, 'cancel_requested', '1')
  end
  return status and DONE or REFUSED
end

-- What follows is for the attempt that runs now.

local mine = {}

function mine.progress()
  set(options.fields)
  local last = tonumber(redis.call('HGET', record, 'last_step_at') or '0')
  if now - last >= options.step_event or options.last then
    redis.call('HSET', record, 'last_step_at', stamp(now))
    emit('step', options.data)
  end
  return DONE
end

function mine.event()
  emit(options.type, options.data)
  return DONE
end

function mine.finish()
  finish(options.status, options.reason)
  return DONE
end

function mine.hand_back()
  if redis.call('HGET', record, 'cancel_requested') then
    finish('canceled', 'user')
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
if not status or redis.call('HGET', record, 'token') ~= token then
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
