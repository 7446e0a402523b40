/// The media type of problem documents (RFC 9457).
let problemMediaType = "application/problem+json"
