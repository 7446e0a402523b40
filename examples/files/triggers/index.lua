-- Writes an index of the directory. cron.yaml runs it.

---@type Trigger
return {
  priority = "low",

  execute = function(event, ctx)
    local conf = ctx:store("conf")
    local lines, bytes = {}, 0
    for path, content in conf:scan() do
      if path ~= "INDEX.txt" then  -- it does not count itself
        lines[#lines + 1] = ("%8d  %s"):format(#content, path)
        bytes = bytes + #content
      end
    end
    local head = ("%d files, %d bytes, as of %s"):format(#lines, bytes, event.fire_time)
    return { conf:put("INDEX.txt", head .. "\n" .. table.concat(lines, "\n") .. "\n") }
  end,
}
