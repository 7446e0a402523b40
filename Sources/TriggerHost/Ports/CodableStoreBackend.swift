import Foundation
import Synchronization
import TriggerCore

/// Wraps an existing Swift model: each top-level coding key is a key of the store. `model` follows the
/// commits, in order, shortly after each.
public final class CodableStoreBackend<Model: Codable & Sendable>: StoreBackend {
  private struct State {
    var model: Model
    var values: Value.Map
  }
  private let state: Mutex<State>
  private let initial: Value.Map

  /// - Throws: `StoreError` when the model does not encode as a keyed container of plain values;
  ///   `EncodingError` or `ValueError` when a field has no place in JSON or is beyond 64 bits.
  public init(_ model: Model) throws {
    initial = try Self.encode(model)
    state = Mutex(State(model: model, values: initial))
  }

  /// The model as of the last applied commit. Any thread.
  public var model: Model { state.withLock { $0.model } }

  /// The model that the backend was made with, field by field.
  public func load() -> Value.Map { initial }

  /// Brings `model` up to the commit. Decodes the whole model: O(its size) per commit.
  public func apply(seq: Int64, _ changes: [StoreChange]) {
    change { values in for change in changes { values[change.key] = change.value } }
  }

  /// Makes `model` what the content says.
  public func replace(seq: Int64, with content: Value.Map) { change { $0 = content } }

  private func change(_ body: (inout Value.Map) -> Void) {
    state.withLock { state in
      body(&state.values)
      // Keys that do not fit the model stay in the store; the model keeps its last fitting state.
      if let model = try? Self.decode(state.values) { state.model = model }
    }
  }

  /// The model with these fields. Throws `DecodingError` when they are not a `Model`, `ValueError` for what
  /// JSON lacks.
  public func content(of values: Value.Map) throws -> Model { try Self.decode(values) }
  /// The fields of a model by coding key. Throws like `init`.
  public func values(of content: Model) throws -> Value.Map { try Self.encode(content) }

  private static func encode(_ model: Model) throws -> Value.Map {
    let encoder = JSONEncoder()
    guard case .map(let values) = try JSON.parse(Array(try encoder.encode(model))) else {
      throw StoreError("\(Model.self) does not encode as a keyed container; a store needs named fields")
    }
    return values
  }

  private static func decode(_ values: Value.Map) throws -> Model {
    let text = try JSON.text(.map(values))
    return try JSONDecoder().decode(Model.self, from: Data(text.utf8))
  }
}
