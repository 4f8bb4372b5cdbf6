#include "mnv2/preprocess.h"
