Tables with keys that are tables, functions and coroutines.

--- objects as keys go in the order of their making
-- head: local made, set = {}, {} for i = 1, 60 do local o = i % 3 == 0 and function() return i end or i % 3 == 1 and { i } or setmetatable({}, { i }) made[i] = o set[o] = i end
local n = 0
for object, i in pairs(set) do n = n + 1 assert(i == n and made[i] == object, i) end
assert(n == 60)
local own, mine = {}, {}
for i = 60, 1, -1 do mine[i] = i % 4 == 0 and coroutine.create(print) or i % 4 == 1 and function() return own, i end or i % 4 == 2 and coroutine.wrap(print) or { i } end
for i = 1, 60 do own[mine[i]] = i own["k" .. i] = i own[i] = i end
for i = 1, 60, 2 do own["k" .. i] = nil end
local last = 61
for object, i in next, own do if type(object) ~= "string" and type(object) ~= "number" then assert(i == last - 1) last = i end end
assert(last == 1)
for object, i in pairs(set) do own[object] = -i end
last = 0
for object, i in pairs(own) do if i < 0 then assert(i == last - 1) last = i elseif type(object) == "table" then assert(last == -60, "what a chunk made is older") end end

--- classes and subclasses, as middleclass keeps them
-- head: local function class(name, super) local c = { name = name, static = {}, subclasses = setmetatable({}, { __mode = "k" }) } if super then super.subclasses[c] = true setmetatable(c.static, { __index = function(_, k) return super.static[k] end }) end return setmetatable(c, { __tostring = function() return "class " .. name end, __index = c.static }) end
-- head: local Base = class("Base") local names = {} for _, n in ipairs { "Zebra", "Ant", "Mole", "Bee", "Yak" } do class(n, Base) end
for c in pairs(Base.subclasses) do names[#names + 1] = c.name end
assert(table.concat(names, " ") == "Zebra Ant Mole Bee Yak", table.concat(names, " "))

--- a graph by node
local nodes, edges = {}, {}
for i = 1, 30 do nodes[i] = { id = i } edges[nodes[i]] = {} end
for i = 1, 30 do edges[nodes[i]][nodes[i * 7 % 30 + 1]] = 1 edges[nodes[i]][nodes[i * 11 % 30 + 1]] = 2 end
local seen, order = {}, {}
local function visit(node) if seen[node] then return end seen[node] = true order[#order + 1] = node.id for to in pairs(edges[node]) do visit(to) end end
visit(nodes[1])
local again = {}
for node in pairs(seen) do again[#again + 1] = node.id end
for i = 2, #again do assert(again[i - 1] < again[i]) end
return { ctx:store("s"):put("k", order) }

--- functions of the libraries have no order
-- error: two keys that have no order (function, function): functions of the libraries and stores have none
for k in pairs { [print] = 1, [type] = 2 } do end

--- stores have no order
-- error: two keys that have no order (function, userdata)
for k in next, { [ctx:store("s")] = 1, [print] = 2 } do end

--- one of them has its place behind all others
local t, n = { [print] = "last", [{}] = "table", [null] = "null", x = "x", [1] = 1, [true] = true }, {}
for _, v in pairs(t) do n[#n + 1] = tostring(v) end
assert(table.concat(n, " ") == "1 x true null table last", table.concat(n, " "))
