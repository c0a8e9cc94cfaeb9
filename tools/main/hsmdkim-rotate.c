/* hsmdkim-rotate(8) */
#include "tools/exits.h"
#include "tools/rotate_run.h"

int main(int argc, char **argv)
{
	return exits_finish("hsmdkim-rotate", rotate_main(argc, argv));
}
