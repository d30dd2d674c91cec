// SPDX-License-Identifier: Apache-2.0

// ContainerKitInspection: what operators ask of configs, hosts and containers.
//
// A separate target, so that programs that only run containers do not contain this code.

@_exported public import ContainerKit
