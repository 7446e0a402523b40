/// A compiled Lua function as `lua_dump` writes it, with debug information: the format of Lua 5.4 (`ldump.c`,
/// `lopcodes.h`), as far as looking at names needs it.
package struct LuaChunk {
  package enum Opcode: UInt8 {
    case move = 0
    case loadK = 3
    case loadNil = 8
    case getUpvalue, setUpvalue, getTabUp, getTable
    case getField = 14
    case setTabUp, setTable, setI, setField
    case selfOp = 20
    case mmBin = 46
    case mmBinI, mmBinK
    case not = 51
    case close = 54
    case tbc, jump, eq, lt, le, eqK, eqI, ltI, leI, gtI, geI, test, testSet, call, tailCall, returnMany,
      return0, return1
    case forLoop, forPrep, tforPrep, tforCall, tforLoop, setList, closure, vararg, varargPrep, extraArg
  }

  package struct Instruction {
    package let word: UInt32

    /// Nil for those that only write the register A.
    package var opcode: Opcode? { Opcode(rawValue: UInt8(word & 0x7f)) }
    package var a: Int { Int(word >> 7 & 0xff) }
    package var k: Bool { word >> 15 & 1 == 1 }
    package var b: Int { Int(word >> 16 & 0xff) }
    package var c: Int { Int(word >> 24 & 0xff) }
    package var bx: Int { Int(word >> 15) }
    /// Of a jump.
    package var sJ: Int { Int(word >> 7) - 0xff_ffff }
  }

  package struct Local {
    package var name: String
    /// From the first instruction where it is active to the one behind the last.
    package var range: Range<Int>
    package var register: Int
  }

  package struct Upvalue {
    package var name: String
    /// A register of the enclosing function, or one of its upvalues.
    package var isInStack: Bool
    package var index: Int
  }

  package var parameterCount = 0
  package var code: [Instruction] = []
  /// By instruction.
  package var lines: [Int] = []
  /// Texts; nil for constants of other types.
  package var constants: [String?] = []
  package var upvalues: [Upvalue] = []
  package var functions: [LuaChunk] = []
  package var locals: [Local] = []

  /// Nil when the bytes are not what is expected.
  package init?(dump: [UInt8]) {
    var reader = Reader(bytes: dump)
    let head: [UInt8] = [0x1b, 0x4c, 0x75, 0x61, 0x54, 0, 0x19, 0x93, 0x0d, 0x0a, 0x1a, 0x0a, 4, 8, 8]
    guard dump.starts(with: head) else { return nil }
    reader.skip(head.count + 16 + 1)
    guard let chunk = LuaChunk(&reader, depth: 0), !reader.isBad, reader.isAtEnd else { return nil }
    self = chunk
  }

  private init?(_ reader: inout Reader, depth: Int) {
    guard depth < 200 else { return nil }
    _ = reader.string()
    let firstLine = reader.number()
    _ = reader.number()
    parameterCount = reader.byte()
    reader.skip(2)
    code = reader.list { Instruction(word: $0.word()) }
    constants = reader.list { $0.constant() }
    upvalues = reader.list { reader in
      let isInStack = reader.byte() == 1
      let index = reader.byte()
      reader.skip(1)
      return Upvalue(name: "", isInStack: isInStack, index: index)
    }
    let count = reader.number()
    for _ in 0..<count where !reader.isBad {
      guard let function = LuaChunk(&reader, depth: depth + 1) else { return nil }
      functions.append(function)
    }
    readDebug(&reader, firstLine)
  }

  private mutating func readDebug(_ reader: inout Reader, _ firstLine: Int) {
    let steps = reader.list { Int8(truncatingIfNeeded: $0.byte()) }
    let absolute = Dictionary(
      reader.list { reader in (reader.number(), reader.number()) }, uniquingKeysWith: { $1 })
    var line = firstLine
    for (pc, step) in steps.enumerated() {
      line = step == -128 ? absolute[pc] ?? line : line + Int(step)
      lines.append(line)
    }
    let ranges = reader.list { reader in (reader.string() ?? "", reader.number(), reader.number()) }
    for (index, (name, start, end)) in ranges.enumerated() {
      let register = ranges[..<index].count { $0.1 <= start && start < $0.2 }
      locals.append(Local(name: name, range: start..<max(start, end), register: register))
    }
    let names = reader.list { $0.string() }
    for (index, name) in names.enumerated() where upvalues.indices.contains(index) {
      upvalues[index].name = name ?? ""
    }
  }
}

/// Reads the numbers and texts of a dump; bad once something is missing.
private struct Reader {
  let bytes: [UInt8]
  var position = 0
  var isBad = false

  init(bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  mutating func skip(_ count: Int) {
    if count < 0 || count > bytes.count - position { isBad = true }
    position = isBad ? bytes.count : position + count
  }

  mutating func byte() -> Int {
    guard position < bytes.count else {
      isBad = true
      return 0
    }
    position += 1
    return Int(bytes[position - 1])
  }

  mutating func word() -> UInt32 {
    var word: UInt32 = 0
    for shift in [0, 8, 16, 24] as [UInt32] { word |= UInt32(byte()) << shift }
    return word
  }

  /// Seven bits a byte, most significant first; the last byte is marked.
  mutating func number() -> Int {
    var number = 0
    while !isBad {
      let next = byte()
      if number >> 55 != 0 { isBad = true }
      number = number << 7 | next & 0x7f
      if next & 0x80 != 0 { break }
    }
    return number
  }

  mutating func string() -> String? {
    let size = number()
    guard size > 0 else { return nil }
    let start = position
    skip(size - 1)
    return isBad ? nil : String(decoding: bytes[start..<position], as: UTF8.self)
  }

  mutating func constant() -> String? {
    switch byte() {
    case 0x00, 0x01, 0x11: return nil
    case 0x03, 0x13:
      skip(8)
      return nil
    case 0x04, 0x14: return string()
    default:
      isBad = true
      return nil
    }
  }

  mutating func list<Item>(_ item: (inout Reader) -> Item) -> [Item] {
    let count = number()
    var items: [Item] = []
    for _ in 0..<count where !isBad { items.append(item(&self)) }
    return items
  }
}
