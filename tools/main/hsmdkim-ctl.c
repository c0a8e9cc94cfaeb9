/* hsmdkim-ctl(8) */
#include "tools/ctl.h"

int main(int argc, char **argv)
{
	return ctl_main(argc, argv);
}
