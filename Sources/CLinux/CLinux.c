// SPDX-License-Identifier: Apache-2.0
// SwiftPM requires a source file in a C target; all the code is in the header.
#include "CLinux.h"
