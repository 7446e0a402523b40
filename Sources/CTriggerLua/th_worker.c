#include "th_internal.h"
