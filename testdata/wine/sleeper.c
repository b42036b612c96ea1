/*
 * Stands in for a program of iCloud in the tests: it does nothing for two
 * minutes, and like a program that keeps its preferences open, it holds the
 * file that READMIT_TEST_HOLDS names so that nobody can move it meanwhile.
 */
#include <windows.h>

int WINAPI WinMain(HINSTANCE self, HINSTANCE before, LPSTR args, int show)
{
	WCHAR path[1024];
	DWORD n = GetEnvironmentVariableW(L"READMIT_TEST_HOLDS", path, 1024);
	if (n > 0 && n < 1024)
		CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
	Sleep(120 * 1000);
	return 0;
}
