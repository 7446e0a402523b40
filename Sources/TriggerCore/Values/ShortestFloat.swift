/// The shortest IEEE 754 format that holds a number exactly (RFC 8949, section 4.2.1, rule 3).
///
/// Half precision is done on bits, as Swift's `Float16` does not exist on every platform.
enum ShortestFloat {
  case half(UInt16)
  case single(UInt32)
  case double(UInt64)

  /// The only NaN in canonical encodings.
  static let canonicalNaN: UInt16 = 0x7e00

  init(_ number: Double) {
    if number.isNaN {
      self = .half(Self.canonicalNaN)
      return
    }
    let single = Float(number)
    guard Double(single) == number else {
      self = .double(number.bitPattern)
      return
    }
    self = Self.halfBits(of: single.bitPattern).map { .half($0) } ?? .single(single.bitPattern)
  }

  /// Bytes with the initial byte.
  var size: Int {
    switch self {
    case .half: 3
    case .single: 5
    case .double: 9
    }
  }

  /// The half precision bits of a single that is not a NaN; nil if it does not fit exactly.
  private static func halfBits(of bits: UInt32) -> UInt16? {
    let sign = UInt16(bits >> 16) & 0x8000
    let fraction = bits & 0x7f_ffff
    let biased = Int(bits >> 23 & 0xff)
    if biased == 0 { return fraction == 0 ? sign : nil }
    if biased == 0xff { return sign | 0x7c00 }
    let exponent = biased - 127
    switch exponent {
    case -14...15:
      guard fraction & 0x1fff == 0 else { return nil }
      return sign | UInt16(exponent + 15) << 10 | UInt16(fraction >> 13)
    case -24 ... -15:
      // A subnormal half counts units of 2^-24; the hidden bit of the single becomes visible.
      let shift = UInt32(-exponent - 1)
      let significand = fraction | 0x80_0000
      guard significand & (1 << shift - 1) == 0 else { return nil }
      return sign | UInt16(significand >> shift)
    default:
      return nil
    }
  }

  /// The number of half precision bits that are not a NaN.
  static func double(fromHalf bits: UInt16) -> Double {
    let fraction = Double(bits & 0x3ff)
    let exponent = Int(bits >> 10 & 0x1f)
    let magnitude: Double =
      switch exponent {
      case 0: fraction * 0x1p-24
      case 0x1f: .infinity
      default: Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction * 0x1p-10)
      }
    return bits & 0x8000 == 0 ? magnitude : -magnitude
  }
}
