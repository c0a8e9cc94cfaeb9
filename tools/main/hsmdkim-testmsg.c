/* hsmdkim-testmsg(8) */
#include "tools/exits.h"
#include "tools/testmsg.h"

int main(int argc, char **argv)
{
	return exits_finish("hsmdkim-testmsg", testmsg_main(argc, argv));
}
