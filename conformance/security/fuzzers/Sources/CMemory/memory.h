// SPDX-License-Identifier: Apache-2.0
// The module of the C library leaves out malloc.h.

#include <malloc.h>
#include <sys/resource.h>

static inline long bytes_in_use(void) { return (long)mallinfo2().uordblks; }

static inline long peak_kilobytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}
