-- What the attempt that runs now reports.

local mine = {}

function mine.progress()
  set(options.fields)
  if options.fields.seconds_left then
    set({ told_at = stamp(now) })
  end
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

function mine.note()
  set(options.fields)
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
  give_back(options.reason)
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
