/* hsmdkim-genkey(8) */
#include "tools/genkey.h"

int main(int argc, char **argv)
{
	return genkey_main(argc, argv);
}
