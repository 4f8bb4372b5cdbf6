#include "mnv2/model.h"
