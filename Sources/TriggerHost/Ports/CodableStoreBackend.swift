import Foundation
import Synchronization
import TriggerCore

/// Wraps an existing Swift model: each top-level coding key is a key of the store.
///
/// `model` is current: whoever was told of a commit (`TriggerQueue.perform` has returned, say) finds it there at once.
/// Commits cost the model nothing; it is put together when somebody reads it.
public final class CodableStoreBackend<Model: Codable & Sendable>: StoreBackend, StoreReader {
  private struct State {
    var model: Model
    var values: Value.Map
    /// Commit that `values` are of, as far as they come from `source`.
    var seq: Int64 = 0
    var source: NewestContent?
  }
  private let state: Mutex<State>
  private let initial: Value.Map

  /// - Throws: `StoreError` when the model does not encode as a keyed container of plain values; `EncodingError` or
  ///   `ValueError` when JSON or 64 bits cannot hold a field.
  public init(_ model: Model) throws {
    initial = try Self.encode(model)
    state = Mutex(State(model: model, values: initial))
  }

  /// The model as of the newest commit that anybody was told of. While the store holds what is no `Model`, the one that was
  /// read last (`VersionedStore.readSnapshot` says what is wrong). Any thread; O(1) while nothing has changed, else
  /// O(its size).
  ///
  /// A trigger reads the store, not this: what it reads here is as of no snapshot, and makes no conflict.
  public var model: Model {
    state.withLock { state in
      if let source = state.source, let newest = source.read(state.seq) {
        state.seq = newest.seq
        Self.replace(newest.values, &state)
      }
      return state.model
    }
  }

  /// The model that the backend was made with, field by field.
  public func load() -> Value.Map { initial }

  /// Brings `model` up to the commit. Decodes the whole model: O(its size). A coordinator does not call it: `model` reads the
  /// store.
  public func apply(seq: Int64, _ changes: [StoreChange]) {
    state.withLock { state in
      var values = state.values
      for change in changes { values[change.key] = change.value }
      Self.replace(values, &state)
    }
  }

  /// Replaces `model` by the model with these fields.
  public func replace(seq: Int64, with content: Value.Map) {
    state.withLock { Self.replace(content, &$0) }
  }

  func read(from source: NewestContent) { state.withLock { $0.source = source } }

  private static func replace(_ values: Value.Map, _ state: inout State) {
    state.values = values
    // Keys that do not fit the model stay in the store; the model keeps its last fitting state.
    if let model = try? decode(values) { state.model = model }
  }

  /// The model with these fields. Throws `DecodingError` when the fields make no `Model`, and `ValueError` when JSON
  /// cannot hold a field.
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
