/* hsmdkim-rotate(8) */
#include "tools/rotate_run.h"

int main(int argc, char **argv)
{
	return rotate_main(argc, argv);
}
