
-- First phase, continued: what is there already, and whether it is what it should be.

-- The fields of a hash that are there. `form` is one for all, or one for each.
local function hash(key, fields, form)
  local texts, found = read('HMGET', key, unpack(fields)), {}
  for index, field in ipairs(fields) do
    local text = texts[index]
    if text then
      -- It must show, not be replaced.
      if not text:find(type(form) == 'table' and form[index] or form) then
        bad_key(key, 'unexpected value of ' .. field)
      end
      found[field] = text
    end
  end
  return found
end

local function make_numbers(key, found, fields)
  for _, field in ipairs(fields) do
    local number = tonumber(found[field])
    if number and math.abs(number) > LARGEST then
      bad_key(key, 'nothing can be added to ' .. field)
    end
    found[field] = number
  end
  return found
end

local function numbers(key, fields, form)
  return make_numbers(key, hash(key, fields, form), fields)
end

-- The tweet that a municipality shows as its last: what is needed to tell which of two is later.
local function last_tweet(summary)
  local time, id = summary.last_received_at, summary.last_id
  if not time or not id then
    return nil
  end
  local seconds, nanos = time:match('(%d+)%.(%d+)')
  return {
    seconds = tonumber(seconds), nanos = tonumber(nanos),
    source = id:sub(1, 32), sequence = tonumber(id:sub(34)),
  }
end

local function check_series(key)
  local kind = read('TYPE', key).ok
  if kind ~= 'stream' and kind ~= 'none' then
    bad_key(key, 'WRONGTYPE is a ' .. kind .. ', must be a stream')
  end
  return kind == 'stream'
end

-- XADD gives out ids until the last possible one, and then fails.
local function check_ids(key)
  local information = read('XINFO', 'STREAM', key)
  for index = 1, #information, 2 do
    if information[index] == 'last-generated-id'
      and information[index + 1]:find('^18446744073709551615%-') then
      bad_key(key, 'the stream has no ids left')
    end
  end
end

-- The 32-bit words of a block that the batch touches.
local function read_words(block)
  for first = 1, #block.order, WORDS_PER_CALL do
    local request = {}
    local last = math.min(first + WORDS_PER_CALL - 1, #block.order)
    for index = first, last do
      append(request, 'GET', 'u32', '#' .. block.order[index])
    end
    local words = read('BITFIELD_RO', block.key, unpack(request))
    for index = first, last do
      block.words[block.order[index]] = words[index - first + 1]
    end
  end
end

local function read_all(keys, blocks)
  local found = {
    counts = numbers(keys[COUNTS], COUNT, NATURAL),
    weather = numbers(keys[WEATHER], WEATHERS, NATURAL),
    extremes = numbers(keys[EXTREMES], EXTREME, INTEGER),
    municipalities = {},
  }
  numbers(keys[TEMPERATURE_AVG], MUNICIPALITIES, DECIMAL)
  numbers(keys[HUMIDITY_AVG], MUNICIPALITIES, DECIMAL)
  for number, name in ipairs(MUNICIPALITIES) do
    local key = keys[MUNICIPALITY + number]
    local summary = hash(key, SUMMARY.fields, SUMMARY.forms)
    found.municipalities[number] = {
      name = name,
      sums = make_numbers(key, summary, SUMS),
      last = last_tweet(summary),
      has_series = check_series(keys[SERIES + number]),
    }
  end
  for _, block in ipairs(blocks) do
    read_words(block)
  end
  return found
end
