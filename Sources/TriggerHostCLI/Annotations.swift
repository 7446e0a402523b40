import ArgumentParser
import TriggerHost

struct Annotations: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the script API for the Lua language server, so that editors complete and check it.",
    discussion: """
      `trigger-host new` sets a project up with it. For a project of your own:

        mkdir -p library && trigger-host annotations > library/trigger-host.lua
        trigger-host annotations --luarc > .luarc.json
      """)

  @Flag(help: "Print settings for the language server (.luarc.json) instead.") var luarc = false

  func run() { print(luarc ? LuaAPI.languageServerSettings : LuaAPI.annotations, terminator: "") }
}
