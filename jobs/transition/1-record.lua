-- The one place where a generation changes. Each call is one atomic step of its state machine:
--
--   (none) -> queued -> running -> succeeded | failed | canceled
--                ^---------'           (handed back, or its worker was lost)
--   queued -> canceled | expired
--
-- A terminal state is never left, an attempt that was replaced can write nothing, and each change appends its event
-- to the stream in the same step: states and events cannot disagree.
--
-- The files of this folder, one after the other, are one script.
--
-- KEYS  generation prefix, events prefix, index, counters, waiting prefix, deadlines, stored, load, deliveries, leases,
--       held prefix, turns, rounds, express prefix
-- ARGV  operation, id, attempt token ("" where none is needed), options as JSON; where bells are rung also the name that
--       stands for a bell's, and RQ's commands that queue it (`jobs.queue.Bells`)
-- Returns an array: 1 when the operation was done (or had been before), 0 when it was refused, then what it answers.

local index, counters, deadlines, stored, load = KEYS[3], KEYS[4], KEYS[6], KEYS[7], KEYS[8]
local leases, turns, rounds = KEYS[10], KEYS[12], KEYS[13]
local operation, id, token = ARGV[1], ARGV[2], ARGV[3]
local options = cjson.decode(ARGV[4])

local TERMINAL = { succeeded = true, failed = true, canceled = true, expired = true }
local REFUSED, DONE = { 0 }, { 1 }

local clock = redis.call('TIME')  -- of Redis: the hosts' clocks may differ
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local record, events, status, tenant

-- The generation that the rest speaks of.
local function turn_to(chosen)
  id, record, events = chosen, KEYS[1] .. ':' .. chosen, KEYS[2] .. ':' .. chosen
  local known = redis.call('HMGET', record, 'status', 'tenant')
  status, tenant = known[1], known[2]
end

turn_to(id)

local function stamp(seconds)
  return string.format('%.6f', seconds)
end

local function get(name)
  return redis.call('HGET', record, name)
end

local function number(name)
  return tonumber(get(name) or '0')
end

local function set(fields, key)
  local words = {}
  for name, value in pairs(fields or {}) do
    words[#words + 1] = name
    words[#words + 1] = value
  end
  if words[1] then
    redis.call('HSET', key or record, unpack(words))
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
  return { index .. ':' .. of, index .. '@' .. tenant .. ':' .. of }
end

-- The attempts that a worker has under way.
local function held_by(worker)
  return KEYS[11] .. ':' .. worker
end

-- Queue a bell of this name: by RQ's own commands, with it in the place of the name that they came with.
local function ring(name)
  local nameless, packed = ARGV[5], ARGV[6]
  local at = 1
  while at <= #packed do
    local words, count = {}, nil
    count, at = struct.unpack('>I4', packed, at)
    for place = 1, count do
      words[place], at = struct.unpack('>I4c0', packed, at)
      words[place] = string.gsub(words[place], nameless, name)
    end
    redis.call(unpack(words))
  end
end
