// What the emulation tells AddressSanitizer: nothing, where the program is built without it. Whether it is
// built with ThreadSanitizer.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PG_ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer)
#define PG_THREAD_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PG_ADDRESS_SANITIZER
#endif
#if defined(__SANITIZE_THREAD__)
#define PG_THREAD_SANITIZER
#endif

#ifdef PG_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace paligemma::emulation {

#ifdef PG_ADDRESS_SANITIZER
inline constexpr bool kAddressSanitizer = true;
inline void forbid(const void* p, std::size_t bytes) { __asan_poison_memory_region(p, bytes); }
inline void allow(const void* p, std::size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
inline void will_switch(void** save, const void* stack, std::size_t bytes) {
  __sanitizer_start_switch_fiber(save, stack, bytes);
}
inline void has_switched(void* saved, const void** left, std::size_t* left_bytes) {
  __sanitizer_finish_switch_fiber(saved, left, left_bytes);
}
#else
inline constexpr bool kAddressSanitizer = false;
inline void forbid(const void*, std::size_t) {}
inline void allow(const void*, std::size_t) {}
inline void will_switch(void**, const void*, std::size_t) {}
inline void has_switched(void*, const void**, std::size_t*) {}
#endif

}  // namespace paligemma::emulation
