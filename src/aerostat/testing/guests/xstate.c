/* ptrace() for a user-mode Linux on a processor whose extended state is larger than it knows.
 *
 * Its kernels before 6.13 hold 2696 bytes of a guest's vector registers, which is what AVX-512
 * needs. A host kernel takes registers back only whole (PTRACE_SETREGSET with NT_X86_XSTATE), and
 * where the processor has AMX the whole is 11008 bytes: the guest's first process dies of it.
 * Preloaded, this fills up what the user-mode Linux gives. No guest of the laboratory's uses AMX.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

enum { GETREGSET = 0x4204, SETREGSET = 0x4205, NT_X86_XSTATE = 0x202 };

/* Where the header of an XSAVE area says which of its components hold anything, and the two of
 * AMX (Intel SDM 1, 13.1 and 13.4.2). */
enum { XSTATE_BV = 512 };
#define AMX_COMPONENTS ((uint64_t)3 << 17)

typedef long ptrace_function(int, long, long, void *);

static unsigned char whole[65536]; /* a user-mode Linux has one thread that traces */

static long set_whole(ptrace_function *next, long pid, const struct iovec *given)
{
    struct iovec all = { whole, sizeof whole };
    uint64_t present;

    if (next(GETREGSET, pid, NT_X86_XSTATE, &all) != 0 || given->iov_len < XSTATE_BV + 8
        || all.iov_len <= given->iov_len)
        return next(SETREGSET, pid, NT_X86_XSTATE, (void *)given);
    memcpy(whole, given->iov_base, given->iov_len);
    memset(whole + given->iov_len, 0, all.iov_len - given->iov_len);
    memcpy(&present, whole + XSTATE_BV, sizeof present);
    present &= ~AMX_COMPONENTS;
    memcpy(whole + XSTATE_BV, &present, sizeof present);
    return next(SETREGSET, pid, NT_X86_XSTATE, &all);
}

long ptrace(int request, ...)
{
    static ptrace_function *next;
    va_list rest;
    long pid, address;
    void *data;

    va_start(rest, request);
    pid = va_arg(rest, long);
    address = va_arg(rest, long);
    data = va_arg(rest, void *);
    va_end(rest);
    if (next == NULL)
        next = (ptrace_function *)dlsym(RTLD_NEXT, "ptrace");
    if (request == SETREGSET && address == NT_X86_XSTATE)
        return set_whole(next, pid, data);
    return next(request, pid, address, data);
}
