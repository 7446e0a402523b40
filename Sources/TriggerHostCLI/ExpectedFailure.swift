import HostConfig

/// Something that can go wrong without a defect of ours: said, and ended with 1.
protocol ExpectedFailure: Error {}

/// A file that a person wrote cannot be used.
extension ConfigProblem: ExpectedFailure {}
