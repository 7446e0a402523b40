enum Placeholder { static func main() {} }
