-- Measures Tarantool: tarantool tarantool.lua bump|indicator OPERATIONS KEYS DIRECTORY
-- Prints "ops/s cpu-microseconds-per-operation".
--
-- What is measured: the operation as a Lua procedure in a transaction over a memtx space with a hash index, no
-- log, called by 100 fibers *inside* the server. That favours Tarantool: no event is encoded, sent, queued,
-- decoded or answered. Everything runs on its one transaction thread, as it does when clients call.
local clock, fiber = require('clock'), require('fiber')
local operation, operations, keys, directory = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4]
local fibers = 100

box.cfg{
  wal_mode = 'none', work_dir = directory, memtx_memory = 512 * 1024 * 1024, log = directory .. '/log',
  log_level = 'error', checkpoint_interval = 0,
}

local space = box.schema.space.create('bench')
space:create_index('primary', { type = 'hash', parts = { 1, 'string' } })

local procedures, initial = {}, {}

function initial.bump() return 0, 0, 0 end -- count, total, last

function procedures.bump(key, amount)
  local record = space:get(key)
  space:replace({ key, record[2] + 1, record[3] + amount, amount })
end

function initial.indicator(key) -- closes, rsi
  local closes = {}
  for i = 0, 13 do closes[i + 1] = 1.07 + (key * 7 + i * 13) % 100 / 10000 end
  return closes, 50
end

function procedures.indicator(key, close)
  local closes = space:get(key)[2]
  closes[15] = close
  local gain, loss = 0, 0
  for i = 2, 15 do
    local change = closes[i] - closes[i - 1]
    if change > 0 then gain = gain + change else loss = loss - change end
  end
  local rsi = loss == 0 and 100.0 or 100 - 100 / (1 + gain / loss)
  local newest = {}
  for i = 2, 15 do newest[i - 1] = closes[i] end
  space:replace({ key, newest, rsi })
end

local procedure = procedures[operation] or error("unknown operation '" .. tostring(operation) .. "'")
local names, amounts = {}, {}
for key = 0, keys - 1 do
  names[key] = 'k' .. key
  amounts[key] = operation == 'bump' and key % 100 or 1.07 + key % 97 / 10000
  space:replace({ names[key], initial[operation](key) })
end

-- Each fiber does its share; yields now and then, as it would while it waits for clients.
local function run(count)
  local left = fiber.channel(fibers)
  for index = 1, fibers do
    local share = math.floor(count / fibers) + (index <= count % fibers and 1 or 0)
    fiber.create(function()
      for i = 1, share do
        local key = math.random(0, keys - 1)
        procedure(names[key], amounts[key])
        if i % 100 == 0 then fiber.yield() end
      end
      left:put(true)
    end)
  end
  for _ = 1, fibers do left:get() end
end

run(math.floor(operations / 10)) -- warm-up: also gives LuaJIT its traces
local time, cpu = clock.monotonic(), clock.proc()
run(operations)
time, cpu = clock.monotonic() - time, clock.proc() - cpu
if operation == 'bump' then
  local sum = 0
  for _, record in space:pairs() do sum = sum + record[2] end
  assert(sum == operations + math.floor(operations / 10), 'not every bump was done')
end
print(string.format('%.0f %.3f', operations / time, cpu / operations * 1e6))
os.exit(0)
