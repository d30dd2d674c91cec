// SPDX-License-Identifier: Apache-2.0

// ContainerKitCodable: JSON documents for encoders and decoders of the standard library.
//
//   JSONValue+Codable    any JSON value, in the order that the coder keeps
//   Documents+Codable    configs, states, features and statistics in their JSON form
//   Termination+Codable  how a process ended, and the resources it used
//
// A separate target, so that programs without Codable, such as swrunc, do not contain this code.

@_exported public import ContainerKit
