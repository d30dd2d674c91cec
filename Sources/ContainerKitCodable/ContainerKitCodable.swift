// SPDX-License-Identifier: Apache-2.0

// ContainerKitCodable: configs, states, features, statistics and terminations for coders of the standard library.
//
//   JSONValue+Codable    any JSON, in the order that the coder keeps
//   Documents+Codable    configs, states, features and statistics, as their JSON
//   Termination+Codable  how a process ended, and what it used
//
// A target of its own, so that programs which code nothing, as the command, carry none of it.

@_exported public import ContainerKit
