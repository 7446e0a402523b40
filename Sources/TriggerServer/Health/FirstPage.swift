import TriggerHost
import TriggerRuntime

/// What runs, on one page for people, without a script.
struct FirstPage {
  let host: RunningHost

  var html: String {
    let stats = host.coordinator.stats
    let troubles = host.troubles.map { "<li>\(Self.escaped($0.text))</li>" }.joined()
    let triggers = host.triggerNames.map { "<li>\(Self.escaped($0))</li>" }.joined()
    let stores = host.coordinator.storeNames.map { "<li>\(Self.escaped($0))</li>" }.joined()
    return """
      <!doctype html>
      <html lang="en"><meta charset="utf-8"><title>trigger-host</title>
      <meta name="viewport" content="width=device-width">
      <style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}
      code{background:#8882;padding:0 .2em}</style>
      <h1>trigger-host</h1>
      <p>Seq \(stats.currentSeq): \(stats.committed) committed, \(stats.failed) failed, \(stats.queued) queued.</p>
      \(troubles.isEmpty ? "<p>Everything is in order.</p>" : "<h2>Not in order</h2><ul>\(troubles)</ul>")
      <h2>Triggers</h2>\(triggers.isEmpty ? "<p>None.</p>" : "<ul>\(triggers)</ul>")
      <h2>Stores</h2>\(stores.isEmpty ? "<p>None yet.</p>" : "<ul>\(stores)</ul>")
      <h2>Where to read on</h2>
      <ul><li><a href="/readyz">/readyz</a>, <a href="/healthz">/healthz</a>: is everything in order?</li>
      <li><code>curl --json '{"page": "home"}' ADDRESS/v1/events/visit</code> sends an event</li></ul>
      </html>

      """
  }

  /// Names are a user's, and may hold anything.
  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
