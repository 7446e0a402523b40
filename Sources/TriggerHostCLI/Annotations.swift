import ArgumentParser
import TriggerHost
import TriggerWorkshop

struct Annotations: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the script API for Lua language servers, so that editors complete and check it.",
    discussion: """
      `trigger-host new` sets a project up with it. For a project of your own:

        mkdir -p library && trigger-host annotations > library/trigger-host.lua
        trigger-host annotations --luarc > .luarc.json

      The settings are for scripts in triggers/; change that word in them if yours are elsewhere. A script's \
      table is known by the line `---@type Trigger` before it.
      """)

  @Flag(help: "Print settings for language servers (.luarc.json) instead.") var luarc = false

  func run() { Output.exact(luarc ? LuaAPI.languageServerSettings : LuaAPI.annotations, terminator: "") }
}
