-- Text with places like {{name}} in it.
local template = {}

--- The text with the values in its places; or nil and what is wrong.
function template.render(text, values)
  local unknown ---@type string?
  local result = text:gsub("{{%s*([%w_]*)%s*}}", function(name)
    if values[name] == nil then unknown = unknown or name end
    return tostring(values[name])
  end)
  if unknown then
    local known = {}
    for name in pairs(values) do known[#known + 1] = name end
    return nil, ("there is no {{%s}}; there are %s"):format(unknown, table.concat(known, ", "))
  end
  return result
end

return template
