// SPDX-License-Identifier: Apache-2.0
#ifdef __linux__
#include <sys/capability.h>
#endif
