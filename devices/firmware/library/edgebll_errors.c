/* Sentences for people. */
#include "edgebll.h"

const char *edgebll_error_text(int error)
{
    switch (error) {
    case EDGEBLL_OK: return "all is well";
    case EDGEBLL_SHORT: return "the plan has fewer bytes than it says; embed the block again";
    case EDGEBLL_MAGIC: return "these bytes are not a plan; embed the block again";
    case EDGEBLL_VERSION: return "the plan is of another version than this library; take both from one release of edgebll";
    case EDGEBLL_CRC: return "the plan is damaged; flash the firmware again";
    case EDGEBLL_INT8: return "the plan has int8 or int16, and this library was compiled with EDGEBLL_WITHOUT_INT8; compile it without that";
    case EDGEBLL_MEMORY: return "state or arena are smaller than the header of the block says, or not aligned to 8 bytes; use its sizes and uint64_t";
    case EDGEBLL_NOT_LOADED: return "the block is not loaded; call edgebll_load first and look at what it returns";
    case EDGEBLL_UNLIKE: return "step, forward pass and feedback head are not of one block; embed the block again";
    case EDGEBLL_INPUTS: return "the block takes more than x, y and a learning rate; export a network of one input, without masked batches";
    case EDGEBLL_NOT_FINITE: return "x, y or the learning rate has NaN or infinity, or the rate is below 0; nothing was learned from it";
    case EDGEBLL_NO_FEEDBACK: return "the block has no feedback head; the rule of its network does not use one";
    case EDGEBLL_STATE_SIZE: return "the state must have as many bytes as block->state_bytes says";
    case EDGEBLL_EMPTY: return "nothing is kept in flash yet; go on from the initial state";
    case EDGEBLL_FLASH: return "flash does not keep what is written; check its size, its pages and whether it is worn out";
    case EDGEBLL_NO_STEP: return "the block predicts alone; embed it without --int8 to train it";
    default: return error > 0 && error < EDGEBLL_NOT_LOADED ? "the plan breaks a rule of its format; embed the block again" : "no error of edgebll";
    }
}
