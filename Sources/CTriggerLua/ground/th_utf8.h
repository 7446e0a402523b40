// Which bytes are text. Inline: every string that is stored is looked at.
#ifndef TH_UTF8_H
#define TH_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF.
static inline int th_valid_utf8(const uint8_t *s, size_t n) {
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

// Where to cut text for at most `most` bytes: not within a character, when it is UTF-8. The one place that counts back.
static inline size_t th_cut(const char *text, size_t length, size_t most) {
  if (length <= most) return length;
  for (size_t back = 0; back < 4 && back <= most; back++)
    if (((unsigned char)text[most - back] & 0xc0) != 0x80) return most - back;
  return most;  // no character is that long
}

#endif
