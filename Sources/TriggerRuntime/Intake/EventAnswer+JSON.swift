import TriggerCore
import TriggerHost

extension EventAnswer {
  /// Adds the JSON of `fields`, with the `id` by which a sender knows the event, if it has one. The same bytes as
  /// `JSON.bytes` gives, and no value is made for the usual answer: it is given for each event of each sender. O(results)
  package func write(to bytes: inout [UInt8], id: Value? = nil) {
    guard case .decided(let event, let results, nil) = self,
      results.allSatisfy({ $0.outcome == .committed && $0.failure == nil && $0.retryAt == nil })
    else {
      var fields = fields
      if let id { fields["id"] = id }
      return bytes.add(.map(fields))
    }
    bytes.add("{\"event_id\":\"", event.description, "\"")
    if let id {
      bytes.add(",\"id\":")
      bytes.add(id)
    }
    bytes.add(",\"results\":[")
    for (place, result) in results.enumerated() {
      bytes.add(place == 0 ? "" : ",", "{\"outcome\":\"committed\",\"seq\":", String(result.seq))
      bytes.add(",\"trigger\":")
      bytes.add(.string(result.trigger))
      bytes.add("}")
    }
    bytes.add("]}")
  }
}
