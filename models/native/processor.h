// What this processor runs and its operating system saves, by CPUID and XGETBV
// (Intel Software Developer's Manual, volume 1, chapters 13.3 and 15.2 to 15.4).
#ifndef REFRAIN_PROCESSOR_H
#define REFRAIN_PROCESSOR_H

#include <stdint.h>

// The bits of `processor_features`, known by the same values to library.py.
enum { HAS_AVX2 = 1, HAS_AVX512 = 2, HAS_AVX512_VNNI = 4, HAS_AVX512_BF16 = 8 };

#if defined(__x86_64__)
#include <cpuid.h>

static int has_bits(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

// All that x86-64-v2, -v3 and -v4 stand for is asked for, since the compiler may use any of it.
int32_t processor_features(void) {
    uint32_t a, b, c, d, extended_c, leaf7_b, leaf7_c, leaf71_a = 0;
    const uint32_t v2_in_1c = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE41 | bit_SSE42 | bit_POPCNT;
    const uint32_t v3_in_1c = v2_in_1c | bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
    const uint32_t v3_in_7b = bit_BMI | bit_AVX2 | bit_BMI2;
    const uint32_t v4_in_7b = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_bits(c, v3_in_1c)) return 0;
    if (!__get_cpuid(0x80000001, &a, &b, &extended_c, &d) || !has_bits(extended_c, bit_LAHF_LM | bit_LZCNT)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &leaf7_b, &leaf7_c, &d) || !has_bits(leaf7_b, v3_in_7b)) return 0;
    if (a >= 1) __get_cpuid_count(7, 1, &leaf71_a, &b, &c, &d);
    uint64_t saved = saved_registers();
    if ((saved & 0x6) != 0x6) return 0;  // xmm, and the upper halves of ymm
    int32_t features = HAS_AVX2;
    if ((saved & 0xe6) != 0xe6 || !has_bits(leaf7_b, v4_in_7b)) return features;  // masks, upper halves of zmm, zmm16 to 31
    features |= HAS_AVX512;
    if (has_bits(leaf7_c, bit_AVX512VNNI)) features |= HAS_AVX512_VNNI;
    if (has_bits(leaf71_a, bit_AVX512BF16)) features |= HAS_AVX512_BF16;
    return features;
}
#else
int32_t processor_features(void) { return 0; }
#endif

#endif
