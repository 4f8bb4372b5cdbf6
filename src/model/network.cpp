#include "mnv2/network.h"
