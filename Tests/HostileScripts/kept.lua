What is kept between executions is what a chunk that runs anew would have made.

--- the length of constant tables with holes
-- head: local lengths = { {nil, nil, 3}, {1, nil, 3}, {1, nil, 3, nil}, {nil, nil, "c", nil, "e", nil}, {n = 1, nil, 2}, {[1] = 1, [2] = 2, [4] = 4}, {nil, 2, [7] = 7, x = 1} }
-- head: for i = 1, 40 do local t = {} for j = 1, i do t[j] = j end for j = 1, i, 3 do t[j] = nil end lengths[#lengths + 1] = t end
local own = { {nil, nil, 3}, {1, nil, 3}, {1, nil, 3, nil}, {nil, nil, "c", nil, "e", nil}, {n = 1, nil, 2}, {[1] = 1, [2] = 2, [4] = 4}, {nil, 2, [7] = 7, x = 1} }
for i = 1, 40 do local t = {} for j = 1, i do t[j] = j end for j = 1, i, 3 do t[j] = nil end own[#own + 1] = t end
for i, t in ipairs(own) do
  local kept = lengths[i]
  assert(#kept == #t and rawlen(kept) == #t, i)
  assert(select("#", table.unpack(kept)) == select("#", table.unpack(t)), i)
  local ok = pcall(table.concat, kept)
  assert(ok == pcall(table.concat, t), i)
end

--- a table whose length is out of proportion
-- head: local sparse = {} for i = 0, 40 do sparse[1 << i] = i end sparse[3] = 3
assert(#sparse > 0 and sparse[1 << 40] == 40)
