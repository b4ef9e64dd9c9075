/* The example as a program: its flash is a file, and losing its power is being killed.
 *
 *     gestures FLASH_FILE STEP      learn until a step; what is in the file is gone on with */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gestures_demo.h"

enum { PAGE = 1024 };

void machine_put(char character)
{
    putchar(character);
    if (character == '\n') fflush(stdout);
}

static int at_byte(FILE *file, uint32_t at)
{
    return fseek(file, (long)at, SEEK_SET) == 0;
}

static int flash_read(void *file, uint32_t at, void *to, uint32_t bytes)
{
    return !(at_byte(file, at) && fread(to, 1, bytes, file) == bytes);
}

static int flash_program(void *file, uint32_t at, const void *from, uint32_t bytes)
{
    return !(at_byte(file, at) && fwrite(from, 1, bytes, file) == bytes && fflush(file) == 0);
}

static int flash_erase(void *file, uint32_t at)
{
    uint8_t page[PAGE];
    memset(page, 0xFF, sizeof page);
    return flash_program(file, at, page, sizeof page);
}

/* A new file is an erased flash. */
static FILE *opened(const char *path, const struct edgebll_flash *flash)
{
    FILE *file = fopen(path, "r+b");
    uint32_t at, bytes = edgebll_store_bytes(flash, sizeof(struct learner_record));
    if (file != NULL) return file;
    file = fopen(path, "w+b");
    for (at = 0; file != NULL && at < bytes; at += PAGE) {
        if (flash_erase(file, at)) exit(1);
    }
    return file;
}

int main(int count, char **words)
{
    static struct learner learner;
    struct edgebll_flash flash = {flash_read, flash_erase, flash_program, NULL, 0, PAGE};
    int error;
    if (count != 3 || atol(words[2]) < 1) {
        fprintf(stderr, "usage: gestures FLASH_FILE STEP\n");
        return 2;
    }
    flash.context = opened(words[1], &flash);
    if (flash.context == NULL) {
        perror(words[1]);
        return 1;
    }
    error = demo_run(&learner, &flash, (uint32_t)atol(words[2]));
    if (!error) demo_say_state(&learner);
    fclose(flash.context);
    return error != 0;
}
