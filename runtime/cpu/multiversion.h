// How hot loops are compiled: once for each width of the processor's vectors, the best chosen when
// the program starts.
#pragma once

// All versions of a function give the same bits: the library is compiled with -ffp-contract=off,
// loops are written so that the order of every sum is theirs and not the vectoriser's, and a fused
// multiply-add is asked for by name. Versions are chosen through an ifunc, which runs before a
// sanitizer is initialised: none under sanitizers.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(MPAR_ONE_VERSION)
#define MPAR_MULTIVERSION                                                                          \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MPAR_MULTIVERSION
#endif

// A piece of such a function; inlined into each version and compiled for it.
#define MPAR_INLINE inline __attribute__((always_inline))

// The iterations of the next loop do not depend on one another; the result may be an operand
// itself.
#if defined(__clang__)
#define MPAR_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define MPAR_INDEPENDENT _Pragma("GCC ivdep")
#else
#define MPAR_INDEPENDENT
#endif
