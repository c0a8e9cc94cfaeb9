/* hsmdkim-mktable(8) */
#include "tools/mktable.h"

int main(int argc, char **argv)
{
	return mktable_main(argc, argv);
}
