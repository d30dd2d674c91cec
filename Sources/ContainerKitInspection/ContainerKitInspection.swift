// SPDX-License-Identifier: Apache-2.0

// ContainerKitInspection: what operators ask of configs, hosts and containers.
//
// A separate target, so that programs that only run containers do not contain this code.
//
//   Validation/        everything that is wrong with a config, with hints (validate)
//   Audit/             what makes a container weaker than Docker's default (audit)
//   Host/              what a machine can run (doctor): findings, and a report that judges them
//   Metrics/           what containers use, as OpenMetrics
//   Usage/             what containers use per second, read again and again (top)
//   Timing/            where the time of a launch went, as spans of OpenTelemetry (--trace)
//   Timestamp+Reading  times as states have them
//   TextSearch         parts of texts

@_exported public import ContainerKit
