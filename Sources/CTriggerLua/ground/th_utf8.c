// Which bytes are text.
#include <string.h>
#include "ground/th_ground.h"

// RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF.
int th_valid_utf8(const uint8_t *s, size_t n) {
  size_t i = 0;
  for (;;) {
    for (; i + 8 <= n; i += 8) {
      uint64_t word;
      memcpy(&word, s + i, 8);
      if (word & 0x8080808080808080u) break;
    }
    while (i < n && s[i] < 0x80) i++;
    if (i == n) return 1;
    uint8_t c = s[i];
    unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc2 || c > 0xf4 || n - i <= more) return 0;
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (s[i + 1] < low || s[i + 1] > high) return 0;
    for (unsigned k = 2; k <= more; k++) if ((s[i + k] & 0xc0) != 0x80) return 0;
    i += more + 1;
  }
}
