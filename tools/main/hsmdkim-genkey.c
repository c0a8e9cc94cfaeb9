/* hsmdkim-genkey(8) */
#include "tools/exits.h"
#include "tools/genkey.h"

int main(int argc, char **argv)
{
	return exits_finish("hsmdkim-genkey", genkey_main(argc, argv));
}
