// SPDX-License-Identifier: Apache-2.0
// SwiftPM wants one source file in a C target; everything stands in the header.
#include "CLinux.h"
