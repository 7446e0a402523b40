// trigger-host's C beside Lua. Every symbol carries the prefix th_.
#ifndef CTRIGGERLUA_H
#define CTRIGGERLUA_H
#include "th_worker.h"
#endif
