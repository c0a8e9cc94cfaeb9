/* hsmdkim-testkey(8) */
#include "tools/exits.h"
#include "tools/testkey.h"

int main(int argc, char **argv)
{
	return exits_finish("hsmdkim-testkey", testkey_main(argc, argv));
}
