-- What workers take.

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
  if not options.express then  -- who overtakes does not move the clock
    turn_has_come()
  end
  move('running')
  say_status('running')
  return { 1, redis.call('HGETALL', record) }
end

-- How often its worker was lost while it ran. From the second time on it is suspected of being the reason, and runs
-- alone in its worker: if it kills another one, then it kills nobody else's attempt.
local function suspected(which)
  return tonumber(redis.call('HGET', KEYS[1] .. ':' .. which, 'losses') or '0') >= options.suspected
end

-- Whether options.serves has every model of a crew.
local function able(crew)
  local served = {}
  for _, model in ipairs(options.serves) do
    served[model] = true
  end
  for model in string.gmatch(crew, '[^\n]+') do
    if not served[model] then
      return false
    end
  end
  return true
end

-- The first in line that needs no more than options.serves, with its place, and how many wait in all; of the short ones
-- alone where options.express says so.
local function first_in_line()
  local first, place, waiting = nil, nil, 0
  for _, crew in ipairs(redis.call('SMEMBERS', KEYS[5])) do
    local all = KEYS[5] .. ':' .. crew
    local line = options.express and KEYS[14] .. ':' .. crew or all
    local found = able(crew) and redis.call('ZRANGE', line, 0, 0, 'WITHSCORES') or {}
    local theirs = tonumber(found[2])
    if found[1] and (not first or theirs < place or (theirs == place and found[1] < first)) then
      first, place = found[1], theirs
    end
    waiting = waiting + redis.call('ZCARD', line)
    if redis.call('ZCARD', all) == 0 then
      redis.call('SREM', KEYS[5], crew)
    end
  end
  return first, waiting
end

-- Its record has expired, or was removed by hand.
local function forget_in_line(gone)
  for _, crew in ipairs(redis.call('SMEMBERS', KEYS[5])) do
    redis.call('ZREM', KEYS[5] .. ':' .. crew, gone)
    redis.call('ZREM', KEYS[14] .. ':' .. crew, gone)
  end
end

-- Start the first in line for this worker. When it may have none now: how many wait, for others or for later.
function operations.claim()
  local held = redis.call('SMEMBERS', held_by(options.fields.worker))
  for _, one in ipairs(held) do
    turn_to(one)
    if get('token') == token then  -- asked twice, because the first answer got lost
      return { 1, redis.call('HGETALL', record) }
    end
  end
  while true do
    local first, waiting = first_in_line()
    if not first or (#held == 1 and suspected(held[1])) or (#held > 0 and suspected(first)) then
      return { 0, waiting }
    end
    turn_to(first)
    if status ~= 'queued' then
      forget_in_line(first)
    else
      local answer = operations.start()
      if answer[1] == 1 then
        return answer
      end
    end
  end
end

-- The attempts of options.attempts, id by token, of which a worker says that they go on: their leases begin anew where
-- options.renew says so. Answers the tokens of those that should stop (over, or asked to cancel), and whether a short
-- one waits that options.serves can run.
function operations.attend()
  local stop = {}
  for held, which in pairs(options.attempts) do
    turn_to(which)
    local mine = status == 'running' and get('token') == held
    if mine and options.renew then
      redis.call('ZADD', leases, now + options.lease, which)
    end
    if not mine or get('cancel_requested') then
      stop[#stop + 1] = held
    end
  end
  options.express = true
  return { 1, stop, first_in_line() and 1 or 0 }
end

-- Its worker is silent for longer than a lease.
local function lose()
  local losses = redis.call('HINCRBY', record, 'losses', 1)
  local asked = get('cancel_requested')
  count('lost', 1)
  if asked then
    finish('canceled', asked)
  elseif losses >= options.max_attempts then
    set({ error = options.failure })
    count('error:worker_lost', 1)
    finish('failed', 'worker_lost')
  else
    give_back('worker_lost')
  end
end

-- Take attempts back whose lease is over, up to options.at_once. Rounds come about every second: where they did not,
-- nobody could renew a lease either (Redis was away), and everybody has the time of one lease to say that it lives.
function operations.reap()
  local last = tonumber(redis.call('HGET', rounds, 'last') or '0')
  if now - last > options.pause then
    redis.call('HSET', rounds, 'patient_until', stamp(now + options.lease))
  end
  redis.call('HSET', rounds, 'last', stamp(now))
  local lost = {}
  if now < tonumber(redis.call('HGET', rounds, 'patient_until')) then
    return { 1, lost }
  end
  for _, silent in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, options.at_once)) do
    turn_to(silent)
    if status == 'running' then
      lose()
      lost[#lost + 1] = silent
    else  -- its record was removed by hand
      redis.call('ZREM', leases, silent)
    end
  end
  return { 1, lost }
end
