#!lua name=clima_v1

-- Counts one batch of tweets of one path, each id once. The library is this file, state.lua and
-- writes.lua, one after the other.
--
--   FCALL clima_count_v1 <number of keys> <the 13 data keys> <seen blocks> <batch> <data TTL> <seen TTL>
--   -> {counted, duplicates}
--
-- The data keys come in the order of DATA below, then every seen block that the batch touches, once.
-- The batch is one record (RECORD) per tweet. A tweet's id is its block's key and its bit, so that what
-- is remembered and what is shown as `last_id` cannot differ. TTLs are whole seconds.
--
-- Valkey does not undo what a failed function has written. So there are two phases: `prepare` checks the
-- whole argument, reads every key that will be written and works out every write; `count` then runs
-- them. A fault of any kind ends the call in the first phase, where nothing has been written; the
-- writes of the second phase have lost every reason to fail: the types are right, the numbers are
-- numbers, the user may run them, and Valkey checks memory, disk and role only before a first write.

local DATA = {
  'counts', 'weather', 'temperature_avg', 'humidity_avg', 'extremes',
  'municipality:mixco', 'municipality:guatemala', 'municipality:amatitlan', 'municipality:chinautla',
  'series:mixco', 'series:guatemala', 'series:amatitlan', 'series:chinautla',
}
local COUNTS, WEATHER, TEMPERATURE_AVG, HUMIDITY_AVG, EXTREMES = 1, 2, 3, 4, 5
local MUNICIPALITY, SERIES = 5, 9 -- and the municipality's number

-- By the numbers of the enums of weather_tweet.proto.
local MUNICIPALITIES = {'mixco', 'guatemala', 'amatitlan', 'chinautla'}
local WEATHERS = {'sunny', 'cloudy', 'rainy', 'foggy'}

local EXTREME = {'temperature_max', 'temperature_min', 'humidity_max', 'humidity_min'}
local SUMS = {'count', 'temperature_sum', 'humidity_sum'}
local COUNT = {
  'total', 'mixco:sunny', 'mixco:cloudy', 'mixco:rainy', 'mixco:foggy',
  'guatemala:sunny', 'guatemala:cloudy', 'guatemala:rainy', 'guatemala:foggy',
  'amatitlan:sunny', 'amatitlan:cloudy', 'amatitlan:rainy', 'amatitlan:foggy',
  'chinautla:sunny', 'chinautla:cloudy', 'chinautla:rainy', 'chinautla:foggy',
}

-- Big-endian: which seen block (from 1), bit, municipality, weather, temperature, humidity, seconds and
-- nanoseconds of received_at.
local RECORD, RECORD_LENGTH = '>I2I2BBbBI8I4', 20
local MAX_TWEETS = 2000
local MAX_TTL = 10 * 366 * 86400
local LAST_SECOND = 253402300799 -- 9999-12-31T23:59:59Z, the end of a proto Timestamp

-- Above 2^53 a Lua number is no longer exact. One batch adds less than 2^18 to any number.
local LARGEST = 2 ^ 53 - 2 ^ 18
local NATURAL, INTEGER, DECIMAL = '^%d+$', '^%-?%d+$', '^%-?%d+%.%d%d$'
local TIME, HEX_32 = '^%d+%.%d%d%d%d%d%d%d%d%d$', ('[0-9a-f]'):rep(32)
local ID = '^' .. HEX_32 .. '%-%d+$'
local SUMMARY = {
  fields = {'count', 'temperature_sum', 'humidity_sum', 'last_received_at', 'last_id'},
  forms = {NATURAL, INTEGER, INTEGER, TIME, ID},
}

local SERIES_LENGTH = 20000
-- Words per BITFIELD: `unpack` has a limit of about 8,000 values.
local WORDS_PER_CALL = 500

local function fault(code, text)
  error({fault = code .. ' ' .. text}, 0)
end

local function bad_argument(text) fault('CLIMA_BADARG', text) end
local function bad_key(key, text) fault('CLIMA_BADKEY', key .. ': ' .. text) end

local function read(command, key, ...)
  local reply = server.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    bad_key(key, reply.err)
  end
  return reply
end

local function append(list, ...)
  for _, value in ipairs({...}) do
    list[#list + 1] = value
  end
end

local function integer(number) return string.format('%.0f', number) end

local function decimal(number)
  local text = string.format('%.2f', number)
  -- A mean just below zero is shown as zero.
  return text == '-0.00' and '0.00' or text
end

local function ttl(text)
  local seconds = text:find(NATURAL) and tonumber(text)
  if not seconds or seconds < 1 or seconds > MAX_TTL then
    bad_argument('a TTL is no number of seconds')
  end
  return integer(seconds)
end

-- The seen block that a key names. Every id has exactly one name: digits are lower case, and there are no
-- leading zeros, else an id could be counted once under each of its names.
local function seen_block(key, prefix)
  local source, number = key:sub(#prefix + 1):match('^seen:(' .. HEX_32 .. '):(%d+)$')
  local block = tonumber(number)
  if key:sub(1, #prefix) ~= prefix or not block or block >= 2 ^ 32 or integer(block) ~= number then
    bad_argument('not a seen key of this path: ' .. key)
  end
  return {key = key, source = source, first = block * 65536, order = {}, words = {}}
end

local function seen_blocks(keys)
  local prefix = (keys[1] or ''):match('^(.+:)counts$')
  if not prefix then
    bad_argument('the first key is not that of the counts')
  end
  for index, name in ipairs(DATA) do
    if keys[index] ~= prefix .. name then
      bad_argument('key ' .. index .. ' is not ' .. prefix .. name)
    end
  end
  local blocks, known = {}, {}
  for index = #DATA + 1, #keys do
    local block = seen_block(keys[index], prefix)
    if known[block.key] then
      bad_argument('a seen key is there twice: ' .. block.key)
    end
    known[block.key] = true
    append(blocks, block)
  end
  return blocks
end

local function tweet_of(batch, position, blocks)
  local index, bit, municipality, weather, temperature, humidity, seconds, nanos =
    struct.unpack(RECORD, batch, position)
  local block = blocks[index]
  if not block then
    bad_argument('no seen key has the number ' .. index)
  elseif municipality < 1 or municipality > #MUNICIPALITIES then
    bad_argument('no municipality has the number ' .. municipality)
  elseif weather < 1 or weather > #WEATHERS then
    bad_argument('no weather has the number ' .. weather)
  elseif temperature < -90 or temperature > 60 or humidity > 100 then
    bad_argument('a measurement is out of range')
  elseif seconds > LAST_SECOND or nanos > 999999999 then
    bad_argument('received_at is out of range')
  end
  local word = math.floor(bit / 32)
  if not block.words[word] then
    block.words[word] = 0
    append(block.order, word)
  end
  return {
    block = block, word = word,
    -- SETBIT numbers bits from the most significant one on.
    mask = 2 ^ (31 - bit % 32),
    municipality = municipality, weather = weather,
    temperature = temperature, humidity = humidity,
    seconds = seconds, nanos = nanos,
    source = block.source, sequence = block.first + bit,
  }
end

local function decode(batch, blocks)
  local number = #batch / RECORD_LENGTH
  if number < 1 or number > MAX_TWEETS or number ~= math.floor(number) then
    bad_argument('the batch has ' .. #batch .. ' bytes')
  end
  local tweets = {}
  for position = 1, #batch, RECORD_LENGTH do
    append(tweets, tweet_of(batch, position, blocks))
  end
  for _, block in ipairs(blocks) do
    if #block.order == 0 then
      bad_argument('no tweet is in ' .. block.key)
    end
  end
  return tweets
end
