-- The line: who waits, by the models that one worker must serve, by priority, then by turn.

-- Turns are start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996). A generation's turn is when its tenant's
-- work before it would be done if evaluations were dealt out in equal shares; the clock is the turn of who started
-- last. Turns of one tenant only grow, so that its own order is by age.
local SPAN = 2 ^ 43  -- turns of one priority, in evaluations; doubles hold six times as much without rounding

local function turn_of(rank)
  return rank .. ':' .. tenant
end

-- The place in line of what comes now.
local function take_turn(rank, evaluations)
  local known = redis.call('HMGET', turns, rank, turn_of(rank))
  local turn = math.max(tonumber(known[1] or '0'), tonumber(known[2] or '0'))
  local done = turn + math.max(1, evaluations)
  redis.call('HSET', turns, turn_of(rank), string.format('%.0f', done))
  return string.format('%.0f', tonumber(rank) * SPAN + turn)
end

local function turn_has_come()
  local rank = get('rank')
  local turn = number('place') - tonumber(rank) * SPAN
  if turn > tonumber(redis.call('HGET', turns, rank) or '0') then
    redis.call('HSET', turns, rank, string.format('%.0f', turn))
  end
end

local function line_up()
  local known = redis.call('HMGET', record, 'crew', 'place', 'nfe_total')
  redis.call('ZADD', KEYS[5] .. ':' .. known[1], known[2], id)
  local planned = tonumber(known[3])
  if planned > 0 and planned <= options.short then
    redis.call('ZADD', KEYS[14] .. ':' .. known[1], known[2], id)
  end
  redis.call('SADD', KEYS[5], known[1])
  redis.call('HINCRBY', load, 'generations', 1)
  redis.call('HINCRBY', load, 'evaluations', known[3])
end

local function leave_line()
  redis.call('ZREM', KEYS[5] .. ':' .. get('crew'), id)
  redis.call('ZREM', KEYS[14] .. ':' .. get('crew'), id)
  redis.call('HINCRBY', load, 'generations', -1)
  redis.call('HINCRBY', load, 'evaluations', -number('nfe_total') + 0)  -- no -0
  if redis.call('ZCARD', indexes('queued')[2]) == 0 then  -- a tenant with nothing in line has no debt
    redis.call('HDEL', turns, turn_of(0), turn_of(1), turn_of(2))
  end
end

local function move(to)
  if status then
    for _, from in ipairs(indexes(status)) do
      redis.call('ZREM', from, id)
    end
  end
  if status == 'queued' then
    leave_line()
  elseif status == 'running' then
    redis.call('ZREM', leases, id)
    redis.call('SREM', held_by(get('worker')), id)
  end
  for _, into in ipairs(indexes(to)) do
    redis.call('ZADD', into, 0, id)
  end
  if TERMINAL[to] then  -- a tenant that comes no more leaves nothing for ever
    redis.call('EXPIRE', indexes(to)[2], 2 * options.record_ttl)
  elseif to == 'queued' then
    line_up()
  elseif to == 'running' then
    redis.call('ZADD', leases, now + options.lease, id)
    redis.call('SADD', held_by(get('worker')), id)
  end
  redis.call('HSET', record, 'status', to)
  status = to
end

local function say_status(to, reason)
  emit('status', cjson.encode({ status = to, status_reason = reason or cjson.null, attempts = number('attempts') }))
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
  redis.call('HDEL', record, 'checkpoint')
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

-- Back to its place in line.
local function give_back(reason)
  set({ status_reason = reason })
  move('queued')
  redis.call('HDEL', record, 'token', 'worker', 'started_at')
  say_status('queued', reason)
end

-- Whether the time that the client set is over.
local function late()
  local deadline = tonumber(get('deadline_at') or 'inf')
  return deadline <= now
end
