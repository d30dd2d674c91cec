// SPDX-License-Identifier: Apache-2.0
#ifdef __linux__
#include <seccomp.h>
#endif
