import Glibc

/// An entry of a directory.
struct DirectoryName {
  /// With `U+FFFD` for what is not UTF-8.
  var text: String
  var isUTF8: Bool
  /// True also where the file system does not say.
  var isDirectoryOrLink: Bool
}

struct ListingProblem: Error {
  var isAbsent: Bool
  var message: String
}

/// The entries of a directory, in byte order. `FileManager` would alter names that are not UTF-8.
func listDirectory(_ path: String) -> Result<[DirectoryName], ListingProblem> {
  guard let stream = opendir(path) else {
    let isAbsent = errno == ENOENT || errno == ENOTDIR
    return .failure(ListingProblem(isAbsent: isAbsent, message: "cannot be read: \(errorText(errno))"))
  }
  defer { closedir(stream) }
  var names: [DirectoryName] = []
  while let entry = readdir(stream) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw -> DirectoryName in
      let bytes = UnsafeRawBufferPointer(rebasing: raw[..<(raw.firstIndex(of: 0) ?? raw.count)])
      let valid = String(validating: bytes, as: UTF8.self)
      return DirectoryName(
        text: valid ?? String(decoding: bytes, as: UTF8.self), isUTF8: valid != nil,
        isDirectoryOrLink: true)
    }
    if name.text == "." || name.text == ".." { continue }
    let type = Int32(entry.pointee.d_type)
    let isOther = type == Int32(DT_REG) || type == Int32(DT_FIFO) || type == Int32(DT_SOCK)
    names.append(DirectoryName(text: name.text, isUTF8: name.isUTF8, isDirectoryOrLink: !isOther))
  }
  return .success(names.sorted { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) })
}
