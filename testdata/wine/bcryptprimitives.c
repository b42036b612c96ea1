/*
 * bcryptprimitives.dll for a wine that has none: programs built by Go ask it,
 * and nothing else of it, for random bytes. advapi32 has had them all along,
 * by another name.
 */
#include <windows.h>

#define AT_ONCE 0x10000000

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T left)
{
	while (left > 0) {
		ULONG n = left < AT_ONCE ? (ULONG)left : AT_ONCE;
		if (!SystemFunction036(data, n))
			return FALSE;
		data += n;
		left -= n;
	}
	return TRUE;
}
