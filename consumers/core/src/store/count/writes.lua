
-- First phase, end: what the batch changes, and the writes for it. Second phase: they are run.

-- Whether a tweet is later than another: by time, then by id. Hexadecimal digits are compared as
-- numbers, because Lua compares texts as the server's locale does.
local function is_later(one, other)
  if one.seconds ~= other.seconds then return one.seconds > other.seconds end
  if one.nanos ~= other.nanos then return one.nanos > other.nanos end
  for first = 1, 25, 8 do
    local a = tonumber(one.source:sub(first, first + 7), 16)
    local b = tonumber(other.source:sub(first, first + 7), 16)
    if a ~= b then return a > b end
  end
  return one.sequence > other.sequence
end

-- Sets the tweet's bit; true when it was clear.
local function remember(tweet)
  local words, word = tweet.block.words, tweet.word
  if math.floor(words[word] / tweet.mask) % 2 == 1 then
    return false
  end
  words[word] = words[word] + tweet.mask
  tweet.block.changed = true
  return true
end

-- Adds a tweet to what the batch adds to its municipality.
local function collect(added, tweet)
  local new = added[tweet.municipality]
  if not new then
    new = {
      count = 0, temperature_sum = 0, humidity_sum = 0, weathers = {0, 0, 0, 0}, last = tweet,
      temperature_max = tweet.temperature, temperature_min = tweet.temperature,
      humidity_max = tweet.humidity, humidity_min = tweet.humidity,
    }
    added[tweet.municipality] = new
  end
  new.count = new.count + 1
  new.temperature_sum = new.temperature_sum + tweet.temperature
  new.humidity_sum = new.humidity_sum + tweet.humidity
  new.weathers[tweet.weather] = new.weathers[tweet.weather] + 1
  if tweet.temperature > new.temperature_max then new.temperature_max = tweet.temperature end
  if tweet.temperature < new.temperature_min then new.temperature_min = tweet.temperature end
  if tweet.humidity > new.humidity_max then new.humidity_max = tweet.humidity end
  if tweet.humidity < new.humidity_min then new.humidity_min = tweet.humidity end
  if is_later(tweet, new.last) then new.last = tweet end
end

local function increase(values, field, by) values[field] = (values[field] or 0) + by end

local function widen(extremes, field, choose, value)
  extremes[field] = extremes[field] and choose(extremes[field], value) or value
end

-- Adds what the batch adds to a municipality to what was found.
local function add(found, municipality, new)
  increase(found.counts, 'total', new.count)
  for number, weather in ipairs(WEATHERS) do
    local count = new.weathers[number]
    if count > 0 then
      increase(found.counts, municipality.name .. ':' .. weather, count)
      increase(found.weather, weather, count)
    end
  end
  for _, field in ipairs(SUMS) do
    increase(municipality.sums, field, new[field])
  end
  widen(found.extremes, 'temperature_max', math.max, new.temperature_max)
  widen(found.extremes, 'temperature_min', math.min, new.temperature_min)
  widen(found.extremes, 'humidity_max', math.max, new.humidity_max)
  widen(found.extremes, 'humidity_min', math.min, new.humidity_min)
  if not municipality.last or is_later(new.last, municipality.last) then
    municipality.last = new.last
  end
end

-- The most and the least common of the weathers reported so far; the first of the enum wins a tie.
local function common(counts, municipality)
  local most, least
  for _, weather in ipairs(WEATHERS) do
    local count = counts[municipality .. ':' .. weather] or 0
    if count > 0 then
      if not most or count > counts[municipality .. ':' .. most] then most = weather end
      if not least or count < counts[municipality .. ':' .. least] then least = weather end
    end
  end
  return most, least
end

-- In the order of `fields`, so that dashboards show a new hash in that order.
local function set_numbers(key, fields, values)
  local command = {'HSET', key}
  for _, field in ipairs(fields) do
    if values[field] then
      append(command, field, integer(values[field]))
    end
  end
  return command
end

local function set_summary(key, municipality, counts)
  local sums, last = municipality.sums, municipality.last
  local most, least = common(counts, municipality.name)
  local command = set_numbers(key, SUMS, sums)
  append(command,
    'temperature_avg', decimal(sums.temperature_sum / sums.count),
    'humidity_avg', decimal(sums.humidity_sum / sums.count),
    'most_common', most,
    'least_common', least)
  -- Only a tweet of this batch has a weather; the one that was there already stays as it is.
  if last.weather then
    append(command,
      'last_temperature', integer(last.temperature),
      'last_humidity', integer(last.humidity),
      'last_weather', WEATHERS[last.weather],
      'last_received_at', string.format('%.0f.%09.0f', last.seconds, last.nanos),
      'last_id', last.source .. '-' .. integer(last.sequence))
  end
  return command
end

local function set_words(writes, block)
  for first = 1, #block.order, WORDS_PER_CALL do
    local command = {'BITFIELD', block.key}
    for index = first, math.min(first + WORDS_PER_CALL - 1, #block.order) do
      local word = block.order[index]
      append(command, 'SET', 'u32', '#' .. word, integer(block.words[word]))
    end
    append(writes, command)
  end
end

local function set_municipality(writes, keys, number, found, new)
  local municipality = found.municipalities[number]
  local name, sums, series = municipality.name, municipality.sums, keys[SERIES + number]
  if municipality.has_series then
    check_ids(series)
  end
  append(writes,
    set_summary(keys[MUNICIPALITY + number], municipality, found.counts),
    {'HSET', keys[TEMPERATURE_AVG], name, decimal(sums.temperature_sum / sums.count)},
    {'HSET', keys[HUMIDITY_AVG], name, decimal(sums.humidity_sum / sums.count)},
    {'XADD', series, 'MAXLEN', '~', SERIES_LENGTH, '*',
      'temperature', decimal(new.temperature_sum / new.count),
      'humidity', decimal(new.humidity_sum / new.count),
      'count', integer(new.count)})
end

local function set_aggregates(writes, keys, found, added)
  for number, new in pairs(added) do
    add(found, found.municipalities[number], new)
  end
  append(writes,
    set_numbers(keys[COUNTS], COUNT, found.counts),
    set_numbers(keys[WEATHER], WEATHERS, found.weather),
    set_numbers(keys[EXTREMES], EXTREME, found.extremes))
  for number = 1, #MUNICIPALITIES do
    if added[number] then
      set_municipality(writes, keys, number, found, added[number])
    end
  end
end

local function prepare(keys, args)
  if #args ~= 3 then
    bad_argument('there are ' .. #args .. ' arguments, must be 3')
  end
  local data_ttl, seen_ttl = ttl(args[2]), ttl(args[3])
  local blocks = seen_blocks(keys)
  local tweets = decode(args[1], blocks)
  local found = read_all(keys, blocks)
  local plan = {writes = {}, counted = 0}
  local added = {}
  for _, tweet in ipairs(tweets) do
    if remember(tweet) then
      collect(added, tweet)
      plan.counted = plan.counted + 1
    end
  end
  plan.duplicates = #tweets - plan.counted
  for _, block in ipairs(blocks) do
    if block.changed then
      set_words(plan.writes, block)
    end
  end
  if plan.counted > 0 then
    set_aggregates(plan.writes, keys, found, added)
  end
  -- All of them, always: aggregates of one path expire together or not at all, and a call that finds
  -- only duplicates is a write too, so that WAITAOF has something to wait for.
  for index, key in ipairs(keys) do
    append(plan.writes, {'EXPIRE', key, index <= #DATA and data_ttl or seen_ttl})
  end
  for _, command in ipairs(plan.writes) do
    if not server.acl_check_cmd(unpack(command)) then
      fault('CLIMA_NOPERM', command[1] .. ' ' .. command[2])
    end
  end
  return plan
end

local function count(keys, args)
  local prepared, plan = pcall(prepare, keys, args)
  if not prepared then
    return server.error_reply(type(plan) == 'table' and plan.fault or 'CLIMA_BUG ' .. tostring(plan))
  end
  for _, command in ipairs(plan.writes) do
    server.call(unpack(command))
  end
  return {plan.counted, plan.duplicates}
end

server.register_function('clima_count_v1', count)
