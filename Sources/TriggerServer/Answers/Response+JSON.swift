import HTTPTypes
import Hummingbird
import NIOCore
import TriggerCore

extension Response {
  /// An answer of one JSON value. What has no JSON form is a defect of whoever made it.
  init(
    status: HTTPResponse.Status, headers: HTTPFields = HTTPFields(), json: Value,
    type: String = "application/json"
  ) {
    self.init(status: status, headers: headers, bytes: json.jsonBytes, type: type)
  }

  init(
    status: HTTPResponse.Status, headers: HTTPFields = HTTPFields(), bytes: some Sequence<UInt8>,
    type: String
  ) {
    var headers = headers
    headers[.contentType] = type
    self.init(
      status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}

extension Value {
  /// JSON text. Of a value that has no JSON form, what people see, as a string.
  var jsonBytes: [UInt8] { (try? JSON.bytes(self)) ?? Array("\(Value.string("\(self)"))".utf8) }
}
