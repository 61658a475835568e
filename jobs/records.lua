-- Generations as they stand, each with its place in line; or comparisons, each with its generations. Changes nothing.
--
-- KEYS  generation prefix, waiting prefix, comparison prefix, load
-- ARGV  "generations" or "comparisons", then their ids
-- Returns how many generations wait and of how many evaluations; then for each id: of a generation its fields, and how
-- many wait before it for the same workers; of a comparison its fields, and its generations. Fields are names and values
-- in turn, none where there is no such record.

local function generation(id)
  local key = KEYS[1] .. ':' .. id
  local line = redis.call('HMGET', key, 'status', 'crew')
  local position = line[1] == 'queued' and redis.call('ZRANK', KEYS[2] .. ':' .. line[2], id)
  return { redis.call('HGETALL', key), position }
end

local function comparison(id)
  local key = KEYS[3] .. ':' .. id
  local generations = {}
  for place, each in ipairs(cjson.decode(redis.call('HGET', key, 'generations') or '[]')) do
    generations[place] = generation(each)
  end
  return { redis.call('HGETALL', key), generations }
end

local read = { generations = generation, comparisons = comparison }
local load = redis.call('HMGET', KEYS[4], 'generations', 'evaluations')
local found = { { tonumber(load[1] or '0'), tonumber(load[2] or '0') } }
for place = 2, #ARGV do
  found[place] = read[ARGV[1]](ARGV[place])
end
return found
