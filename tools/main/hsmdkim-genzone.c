/* hsmdkim-genzone(8) */
#include "tools/genzone.h"

int main(int argc, char **argv)
{
	return genzone_main(argc, argv);
}
