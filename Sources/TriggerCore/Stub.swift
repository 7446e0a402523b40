public struct ValueLimits: Sendable { public var encodedSize = 1 << 20; public var depth = 64; public init() {} }
public enum Suggestion { public static func hint(for n: String, among: [String]) -> String { "" } }
public enum TimeSpan { public static func parse(_ s: String) throws -> Duration { .seconds(1) } }
public enum ByteSize { public static func parse(_ s: String) throws -> Int { 1 } }
public enum JSON { 
  public static func parse(_ b: [UInt8]) throws -> Value { .null }
  public static func serialize(_ v: Value) throws -> String { "" } }
public enum CanonicalEncoding {
  public static func encode(_ v: Value) -> [UInt8] { var o: [UInt8] = []; enc(v, &o); return o }
  static func head(_ m: UInt8, _ n: UInt64, _ o: inout [UInt8]) {
    if n < 24 { o.append(m << 5 | UInt8(n)) } else { o.append(m << 5 | 27); for i in (0..<8).reversed() { o.append(UInt8(truncatingIfNeeded: n >> UInt64(i*8))) } } }
  static func enc(_ v: Value, _ o: inout [UInt8]) {
    switch v { case .null: o.append(0xf6); case .bool(let b): o.append(b ? 0xf5 : 0xf4)
    case .int(let i): if i >= 0 { head(0, UInt64(i), &o) } else { head(1, UInt64(bitPattern: ~i), &o) }
    case .double(let d): o.append(0xfb); let n = d.bitPattern; for i in (0..<8).reversed() { o.append(UInt8(truncatingIfNeeded: n >> UInt64(i*8))) }
    case .string(let s): head(3, UInt64(s.utf8.count), &o); o += Array(s.utf8)
    case .bytes(let s): head(2, UInt64(s.count), &o); o += s
    case .array(let a): head(4, UInt64(a.count), &o); for x in a { enc(x, &o) }
    case .map(let m): head(5, UInt64(m.count), &o); for k in m.keys.sorted() { enc(.string(k), &o); enc(m[k]!, &o) } } }
  public static func decode(_ b: UnsafeRawBufferPointer) throws -> Value { var i = 0; return dec(b, &i) }
  static func dec(_ b: UnsafeRawBufferPointer, _ i: inout Int) -> Value {
    let h = b[i]; i += 1; var n = UInt64(h & 31)
    func be() -> UInt64 { var r: UInt64 = 0; for _ in 0..<8 { r = r << 8 | UInt64(b[i]); i += 1 }; return r }
    if h >> 5 < 7, n == 27 { n = be() }
    switch h >> 5 { case 0: return .int(Int64(n)); case 1: return .int(~Int64(n))
    case 2: let r = Array(b[i..<i+Int(n)]); i += Int(n); return .bytes(r)
    case 3: let r = String(decoding: b[i..<i+Int(n)], as: UTF8.self); i += Int(n); return .string(r)
    case 4: return .array((0..<n).map { _ in dec(b, &i) })
    case 5: var m: [String: Value] = [:]; for _ in 0..<n { if case .string(let k) = dec(b, &i) { m[k] = dec(b, &i) } }; return .map(m)
    default: if h == 0xfb { return .double(Double(bitPattern: be())) }; return h == 0xf6 ? .null : .bool(h == 0xf5) } }
}

public struct SplitMix64: RandomNumberGenerator, Sendable { var s: UInt64; public init(seed: UInt64) { s = seed }
 public mutating func next() -> UInt64 { s &+= 0x9e37_79b9_7f4a_7c15; var z = s; z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9; z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb; return z ^ (z >> 31) } }
extension Value: ExpressibleByDictionaryLiteral { public init(dictionaryLiteral e: (String, Value)...) { self = .map(Dictionary(uniqueKeysWithValues: e)) } }
