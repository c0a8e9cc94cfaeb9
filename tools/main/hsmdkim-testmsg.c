/* hsmdkim-testmsg(8) */
#include "tools/testmsg.h"

int main(int argc, char **argv)
{
	return testmsg_main(argc, argv);
}
