/* hsmdkim-testkey(8) */
#include "tools/testkey.h"

int main(int argc, char **argv)
{
	return testkey_main(argc, argv);
}
