/// What a compiled script uses: globals, fields of libraries, modules, and methods of `ctx` and stores, each with its
/// line.
///
/// Values are followed through registers as far as that is certain: a local counts as what it was first set to when
/// nothing assigns it again; anything else is forgotten wherever a jump can arrive.
package struct ChunkScan {
  /// What is known of a value.
  package indirect enum Kind: Equatable {
    case unknown
    /// The table of globals.
    case environment
    /// A global, by name.
    case global(String)
    case text(String)
    /// Place in the enclosing function's list.
    case closure(Int)
    /// `isSure`: not just a parameter of that name in a module.
    case context(isSure: Bool)
    case store(isSure: Bool)
    /// A method or field that was read with a dot or a colon.
    case member(of: Kind, String)
  }

  /// A use of a global, or of a field of a library.
  package struct Use: Equatable {
    package var name: String
    package var line: Int
    /// The code asks whether it is there.
    package var isTested = false
  }

  /// A use of something of `ctx` or a store.
  package struct Member: Equatable {
    package var owner: Kind
    package var name: String
    package var line: Int
    /// The arguments of a call, nil where they are not known or it is none; each a text, if it is a constant one.
    package var arguments: [String?]?
    /// Called without a colon, and without the object as its first argument.
    package var lacksColon = false
    /// A call whose results nobody takes.
    package var isStatement = false
  }

  package struct Require: Equatable {
    package var name: String
    package var line: Int
    /// It runs when the file is loaded.
    package var isAtLoad: Bool
  }

  package private(set) var reads: [Use] = []
  package private(set) var writes: [Use] = []
  /// `string.format` and the like.
  package private(set) var libraryReads: [Use] = []
  package private(set) var libraryWrites: [Use] = []
  package private(set) var members: [Member] = []
  package private(set) var requires: [Require] = []
  /// `require` gets something that is no constant.
  package private(set) var hasComputedRequires = false
  /// All texts in the file.
  package private(set) var texts: Set<String> = []

  private let libraries: Set<String>
  private let isTrigger: Bool

  /// - Parameters:
  ///   - libraries: names of globals whose fields are of interest.
  ///   - isTrigger: a parameter `ctx` is the execution's, in any function.
  package init(_ chunk: LuaChunk, libraries: Set<String>, isTrigger: Bool) {
    self.libraries = libraries
    self.isTrigger = isTrigger
    visit(chunk, upvalues: [.environment], isExecute: false, depth: 0)
  }

  /// Names of modules that a file requires, at load or later, as far as they stand in its text.
  package static func requiredNames(in path: String, _ compiler: ChunkCompiler) -> Set<String> {
    guard case .success(let chunk) = compiler.chunk(path) else { return [] }
    return Set(ChunkScan(chunk, libraries: [], isTrigger: false).requires.map(\.name))
  }

  // MARK: One function

  private mutating func visit(_ chunk: LuaChunk, upvalues: [Kind], isExecute: Bool, depth: Int) {
    texts.formUnion(chunk.constants.compactMap { $0 })
    var frame = Frame(chunk, upvalues: upvalues)
    for local in chunk.locals where local.range.lowerBound == 0 && local.register < chunk.parameterCount {
      if isExecute && local.register == 1 || isTrigger && local.name == "ctx" {
        frame.entry[local.register] = .context(isSure: true)
      } else if local.name == "ctx" {
        frame.entry[local.register] = .context(isSure: false)
      }
    }
    var executes: Set<Int> = []
    for pc in chunk.code.indices {
      frame.arrive(at: pc)
      step(chunk, pc, &frame, &executes, depth)
      frame.leave(pc)
    }
    for (index, function) in chunk.functions.enumerated() {
      let kinds = function.upvalues.map { frame.kind(of: $0, closure: index) }
      visit(function, upvalues: kinds, isExecute: executes.contains(index), depth: depth + 1)
    }
  }

  /// Looks at one instruction, and sets what it leaves in `frame.result`.
  private mutating func step(
    _ chunk: LuaChunk, _ pc: Int, _ frame: inout Frame, _ executes: inout Set<Int>, _ depth: Int
  ) {
    let code = chunk.code[pc]
    func constant(_ index: Int) -> String? {
      chunk.constants.indices.contains(index) ? chunk.constants[index] : nil
    }
    switch code.opcode {
    case .move: frame.result = frame[code.b]
    case .loadK: frame.result = constant(code.bx).map { .text($0) } ?? .unknown
    case .getUpvalue: frame.result = frame.upvalue(code.b)
    case .closure:
      frame.result = .closure(code.bx)
      frame.closurePlaces[code.bx] = pc
    case .getTabUp: read(frame.upvalue(code.b), constant(code.c), chunk, pc, &frame)
    case .getField: read(frame[code.b], constant(code.c), chunk, pc, &frame)
    case .getTable:
      if case .text(let name) = frame[code.c] { read(frame[code.b], name, chunk, pc, &frame) }
    case .selfOp:
      var name = code.k ? constant(code.c) : nil
      if !code.k, case .text(let text) = frame[code.c] { name = text }
      let owner = frame[code.b]
      read(owner, name, chunk, pc, &frame)
      frame.second = owner
    case .setTabUp: write(frame.upvalue(code.a), constant(code.b), chunk.lines[pc])
    case .setField:
      write(frame[code.a], constant(code.b), chunk.lines[pc])
      if constant(code.b) == "execute", !code.k, case .closure(let index) = frame[code.c] {
        executes.insert(index)
      }
    case .call, .tailCall: call(chunk, pc, &frame, depth)
    default: break
    }
  }

  private mutating func read(
    _ owner: Kind, _ name: String?, _ chunk: LuaChunk, _ pc: Int, _ frame: inout Frame
  ) {
    guard let name else { return }
    let line = chunk.lines[pc]
    switch owner {
    case .environment:
      frame.result = .global(name)
      reads.append(Use(name: name, line: line, isTested: frame.isTested(chunk, pc)))
    case .global("_G"):
      // Asked for in a way that a missing one is expected.
      frame.result = libraries.contains(name) ? .global(name) : .unknown
    case .global(let library) where libraries.contains(library):
      libraryReads.append(
        Use(name: "\(library).\(name)", line: line, isTested: frame.isTested(chunk, pc)))
    case .context, .store:
      frame.result = .member(of: owner, name)
      if !isCalled(chunk, pc, frame) {
        members.append(Member(owner: owner, name: name, line: line, arguments: nil))
      }
    default: break
    }
  }

  private mutating func write(_ owner: Kind, _ name: String?, _ line: Int) {
    guard let name else { return }
    switch owner {
    case .environment: writes.append(Use(name: name, line: line))
    case .global(let library) where libraries.contains(library):
      libraryWrites.append(Use(name: "\(library).\(name)", line: line))
    default: break
    }
  }

  private mutating func call(_ chunk: LuaChunk, _ pc: Int, _ frame: inout Frame, _ depth: Int) {
    let code = chunk.code[pc]
    let line = chunk.lines[pc]
    // The registers of the arguments; nil when the last one gives any number.
    let arguments = code.b == 0 ? nil : (0..<(code.b - 1)).map { frame[code.a + 1 + $0] }
    switch frame[code.a] {
    case .global("require"):
      guard let arguments, arguments.count == 1, case .text(let name) = arguments[0] else {
        hasComputedRequires = true
        return
      }
      requires.append(Require(name: name, line: line, isAtLoad: depth == 0))
    case .member(let owner, let name):
      // With a colon, or written out, the object is the first argument.
      let isMethod = frame[code.a + 1] == owner && code.b != 1
      var texts = arguments?.map { kind in if case .text(let text) = kind { text } else { nil as String? } }
      if isMethod { texts?.removeFirst() }
      members.append(
        Member(
          owner: owner, name: name, line: line, arguments: texts, lacksColon: !isMethod,
          isStatement: code.opcode == .call && code.c == 1))
      if name == "store", case .context(let isSure) = owner { frame.result = .store(isSure: isSure) }
    default: break
    }
  }

  /// The register that the instruction fills is called before anything else is put into it.
  private func isCalled(_ chunk: LuaChunk, _ pc: Int, _ frame: Frame) -> Bool {
    let register = chunk.code[pc].a
    for code in chunk.code[(pc + 1)...] {
      if code.opcode == .call || code.opcode == .tailCall, code.a <= register { return code.a == register }
      if code.opcode == .jump || Frame.written(by: code).contains(register) { return false }
    }
    return false
  }
}

// MARK: - Registers

/// The registers of a function, instruction by instruction.
private struct Frame {
  typealias Kind = ChunkScan.Kind

  private let chunk: LuaChunk
  private let upvalues: [Kind]
  private var registers: [Int: Kind] = [:]
  /// Kinds of locals that nothing assigns again, by their place in the chunk's list.
  private var settled: [Int: Kind] = [:]
  private let targets: Set<Int>
  private let stable: Set<Int>
  /// Locals that a function in here assigns, whenever it is called.
  private let shared: Set<Int>
  /// Locals by the instruction where they begin.
  private let starting: [Int: [Int]]
  /// Kinds of parameters.
  var entry: [Int: Kind] = [:]
  /// What the instruction puts into A, and A + 1.
  var result: Kind = .unknown
  var second: Kind?
  /// Where closures are made.
  var closurePlaces: [Int: Int] = [:]

  init(_ chunk: LuaChunk, upvalues: [Kind]) {
    self.chunk = chunk
    self.upvalues = upvalues
    targets = Self.targets(of: chunk)
    shared = Set(chunk.locals.indices.filter { Self.isShared(chunk.locals[$0], chunk) })
    let shared = shared
    stable = Set(
      chunk.locals.indices.filter { !shared.contains($0) && Self.isStable(chunk.locals[$0], chunk) })
    starting = Dictionary(grouping: chunk.locals.indices) { chunk.locals[$0].range.lowerBound }
  }

  subscript(register: Int) -> Kind { registers[register] ?? .unknown }
  func upvalue(_ index: Int) -> Kind { upvalues.indices.contains(index) ? upvalues[index] : .unknown }

  mutating func arrive(at pc: Int) {
    if targets.contains(pc) {
      registers = [:]
      for (index, kind) in settled where chunk.locals[index].range.contains(pc) {
        registers[chunk.locals[index].register] = kind
      }
    }
    for index in starting[pc] ?? [] {
      let register = chunk.locals[index].register
      let kind = shared.contains(index) ? nil : pc == 0 ? entry[register] : registers[register]
      registers[register] = kind
      if stable.contains(index), let kind { settled[index] = kind }
    }
    result = .unknown
    second = nil
  }

  mutating func leave(_ pc: Int) {
    let code = chunk.code[pc]
    let written = Self.written(by: code)
    if written.upperBound > 255 {
      for register in registers.keys where register >= written.lowerBound { registers[register] = nil }
    } else {
      for register in written { registers[register] = nil }
    }
    if !written.isEmpty { registers[code.a] = result }
    if let second { registers[code.a + 1] = second }
  }

  /// What a closure's upvalue is, if nothing can assign it.
  func kind(of upvalue: LuaChunk.Upvalue, closure: Int) -> Kind {
    guard upvalue.isInStack else { return self.upvalue(upvalue.index) }
    guard let place = closurePlaces[closure] else { return .unknown }
    // A local that begins with the closure itself, as in `local function`, is a function.
    return settled.first { index, _ in
      let local = chunk.locals[index]
      return local.register == upvalue.index && local.range.contains(place + 1)
    }?.value ?? .unknown
  }

  /// Whether the value that the instruction puts into A is only looked at for being there.
  func isTested(_ chunk: LuaChunk, _ pc: Int) -> Bool {
    guard pc + 1 < chunk.code.count else { return false }
    // The second choice of an `or`: what was asked for first goes past it.
    if pc > 0, chunk.code[pc - 1].opcode == .jump, chunk.code[pc - 1].sJ == 1 { return true }
    let register = chunk.code[pc].a
    let next = chunk.code[pc + 1]
    switch next.opcode {
    case .test, .eqK, .eqI: return next.a == register
    case .eq: return next.a == register || next.b == register
    case .testSet, .not: return next.b == register
    case .call: return next.a == register - 1 && next.b == 2 && self[register - 1] == .global("type")
    default: return false
    }
  }

  // MARK: What instructions do

  private static func isStable(_ local: LuaChunk.Local, _ chunk: LuaChunk) -> Bool {
    !local.range.contains { pc in
      chunk.code.indices.contains(pc) && written(by: chunk.code[pc]).contains(local.register)
    }
  }

  private static func isShared(_ local: LuaChunk.Local, _ chunk: LuaChunk) -> Bool {
    for (index, function) in chunk.functions.enumerated() {
      for (place, upvalue) in function.upvalues.enumerated()
      where upvalue.isInStack && upvalue.index == local.register && assigns(function, place) {
        let isMade = local.range.contains { pc in
          chunk.code.indices.contains(pc) && chunk.code[pc].opcode == .closure && chunk.code[pc].bx == index
        }
        if isMade { return true }
      }
    }
    return false
  }

  /// Whether a function, or one in it, assigns an upvalue of its own.
  private static func assigns(_ chunk: LuaChunk, _ upvalue: Int) -> Bool {
    if chunk.code.contains(where: { $0.opcode == .setUpvalue && $0.b == upvalue }) { return true }
    return chunk.functions.contains { function in
      function.upvalues.enumerated().contains { place, inner in
        !inner.isInStack && inner.index == upvalue && assigns(function, place)
      }
    }
  }

  /// Registers that an instruction may write; up to 256 and more: all from the first on.
  static func written(by code: LuaChunk.Instruction) -> Range<Int> {
    let none = 0..<0
    switch code.opcode {
    case .setUpvalue, .setTabUp, .setTable, .setI, .setField, .mmBin, .mmBinI, .mmBinK, .close, .tbc, .jump,
      .eq, .lt,
      .le, .eqK, .eqI, .ltI, .leI, .gtI, .geI, .test, .returnMany, .return0, .return1, .setList, .varargPrep,
      .extraArg:
      return none
    case .selfOp: return code.a..<code.a + 2
    case .loadNil: return code.a..<code.a + code.b + 1
    case .call, .tailCall, .vararg: return code.a..<512
    case .forLoop, .forPrep: return code.a..<code.a + 4
    case .tforPrep: return code.a..<code.a + 4
    case .tforCall: return code.a + 4..<512
    case .tforLoop: return code.a + 2..<code.a + 3
    default: return code.a..<code.a + 1
    }
  }

  private static func targets(of chunk: LuaChunk) -> Set<Int> {
    var targets: Set<Int> = []
    for (pc, code) in chunk.code.enumerated() {
      switch code.opcode {
      case .jump: targets.insert(pc + 1 + code.sJ)
      case .forLoop, .tforLoop: targets.formUnion([pc + 1, pc + 1 - code.bx])
      case .forPrep: targets.insert(pc + 2 + code.bx)
      case .tforPrep: targets.insert(pc + 1 + code.bx)
      // The next instruction is skipped or not; LFALSESKIP skips one, too.
      case .eq, .lt, .le, .eqK, .eqI, .ltI, .leI, .gtI, .geI, .test, .testSet: targets.insert(pc + 2)
      default: if code.word & 0x7f == 6 { targets.insert(pc + 2) }
      }
    }
    return targets
  }
}
