import Foundation
import Testing

/// Section by section what may not differ between runs: one script that looks at all of it, in several fresh
/// processes.
@Suite struct DeterminismTests {
  private static let script = """
    local at_load = { os.time(), math.random(1000000), tostring({}) }

    local function order(t)
      local keys = {}
      for key in pairs(t) do keys[#keys + 1] = tostring(key) end
      return table.concat(keys, " ")
    end

    return {
      on = { event = "look" },
      execute = function(event, ctx)
        local seen = { load = at_load }
        -- The order of pairs: short and long strings, whose hashes are seeded per process, numbers, booleans.
        local mixed = { [1] = 1, [2.5] = 1, [-7] = 1, [true] = 1, [false] = 1 }
        for i = 1, 40 do mixed["key" .. i * 37] = i; mixed[string.rep("long", 20) .. i] = i end
        mixed.key37 = nil
        seen.pairs = order(mixed)
        local first = {}
        for _ = 1, 3 do first[#first + 1] = tostring((next(mixed, first[#first]))) end
        seen.next = first
        -- Text without addresses.
        local object = setmetatable({}, { __name = "object" })
        seen.text = table.concat({
          tostring({}), tostring(print), tostring(function() end), tostring(coroutine.create(print)), tostring(object),
          tostring(ctx), tostring(ctx:store("s")), tostring(null), tostring(0/0), tostring(1/0), tostring(-0.0), tostring(2^53),
        }, " ")
        seen.format = string.format("%s %q %g %a %5.1f", {}, "a\\nb", 1e100, 0.5, 2.25)
        local ok, message = pcall(function() return {} .. print end)
        seen.message = tostring(message)
        ok, message = pcall(error, {})
        seen.object = tostring(message)
        -- Clocks and chance.
        seen.time = { os.time(), os.date("%c"), os.date("!%c"), os.clock(), ctx.time, ctx:now() }
        seen.random = { math.random(), math.random(1 << 40), math.random(0) }
        -- The border of a table with holes.
        local holes = { 1, 2, nil, 4, nil, nil, 7 }
        holes[20] = 20
        holes[9] = 9
        seen.border = { #holes, select("#", table.unpack(holes, 1, 20)) }
        local spread = {}
        for i = 1, 64 do if i % 3 ~= 0 then spread[i] = i end end
        seen.borders = { #spread, #{ n = 1, nil, 2 }, #{ nil, nil, 3 } }
        -- Sorting with a comparison that is none, many equals, and bytes beyond ASCII.
        local words = {}
        for i = 1, 200 do words[i] = { key = i % 5, place = i } end
        table.sort(words, function(a, b) return a.key < b.key end)
        local places = {}
        for i, word in ipairs(words) do places[i] = word.place end
        seen.sort = table.concat(places, " ")
        pcall(table.sort, words, function(a, b) return (a.place * 7 + b.place) % 3 == 0 end)
        for i, word in ipairs(words) do places[i] = word.place end
        seen.bad_sort = table.concat(places, " ")
        local texts = { "ä", "z", "Z", "a", "é", "~", "" }
        table.sort(texts)
        seen.texts = table.concat(texts, " ")
        seen.compare = { tostring("a" < "B"), tostring("ä" < "z"), tostring("" < "a") }
        seen.case = string.upper("aä") .. string.lower("ZÄ") .. tostring(("é"):find("%a"))
        return { ctx:store("s"):put("seen", seen) }
      end,
    }
    """

  @Test func oneScriptInManyProcesses() async throws {
    let host = try await KeptHost(["look.lua": Self.script], events: [#"{"event": "look"}"#])
    let record = try #require(try await host("log", "export").jsonLines().first)
    #expect(record["outcome"] as? String == "committed", "\(record)")
    let first = try await host("exec", "--seq", "1", "--json")
    #expect(first.status == 0)
    let intents = try #require(try first.jsonObject()["intents"] as? NSArray)
    #expect(intents == record["intents"] as? NSArray, "a fresh process differs from the host")
    // Other environments too: time zone, locale, addresses.
    for environment in [
      [:], ["TZ": "Asia/Tokyo"], ["LC_ALL": "tr_TR.UTF-8", "LANG": "de_DE.UTF-8"], ["LC_ALL": "C"],
    ] {
      let again = try await RunningCommand(
        ["exec", "--seq", "1", "--json", "--data", host.data], environment: environment
      ).end()
      #expect(again.output == first.output, "differs with \(environment)")
    }
    for workers in ["1", "2", "8"] {
      let verified = try await host("replay", "--verify", "--workers", workers)
      #expect(verified.status == 0, "\(verified)")
    }
  }
}
