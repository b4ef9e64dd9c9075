/* What a board's startup calls once memory is as C expects it. */
#ifndef EDGEBLL_FIRMWARE_H
#define EDGEBLL_FIRMWARE_H

void firmware(void);

#endif
