-- Counts how often it was run.

---@type Trigger
return {
  on = { message = "hello" },
  execute = function(_, ctx)
    local greetings = ctx:store("greetings")
    print("hello for the " .. (greetings:get("count") or 0) + 1 .. ". time")
    return { greetings:add("count", 1) }
  end,
}
