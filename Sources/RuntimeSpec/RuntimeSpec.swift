// SPDX-License-Identifier: Apache-2.0

// The OCI runtime specification 1.3 as Swift values. Pure: no imports, no input or output.
//
//   JSON/        a strict reader and writer of RFC 8259 text, and the values between them
//   Decoding/    from JSON values to the model and back: paths, violations, one field list per type
//   Model/       every Linux field of config.json, one file per part of the document
//   Rules/       what the specification demands beyond types; one small function per rule
//   Documents/   the other documents: the state, the features, the template of `spec`
//   Sandbox/     the config of a common sandbox, and which system calls it may make, with reasons
//
// Enter at `Spec(json:)`, `Process(json:)`, `Resources(json:)` and `Spec.check()`.

@_exported public import ByteText
