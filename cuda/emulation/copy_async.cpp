// cp.async: copies to shared memory that are done when somebody waits for them, or earlier.
#include <algorithm>
#include <cstring>

#include "cuda/emulation/block.h"
#include "cuda/emulation/tensor_core.h"

namespace paligemma::emulation {
namespace {

void perform(const Copy& c) {
  std::memcpy(c.to, c.from, c.from_bytes);
  std::memset(static_cast<char*>(c.to) + c.from_bytes, 0, c.bytes - c.from_bytes);
}

}  // namespace

void need_aligned(const char* operation, const void* p, const Site& where) {
  if (reinterpret_cast<std::uintptr_t>(p) % 16 == 0) return;
  fail("%s (%s): the address %p is no multiple of 16", operation, describe(where).c_str(), p);
}

void copy_async(void* to, const void* from, unsigned bytes, unsigned from_bytes,
                const Site& where) {
  need_aligned("cp.async", to, where);
  need_aligned("cp.async", from, where);
  touch(from, from_bytes, Touch::read, {nullptr, where});
  touch(to, bytes, Touch::copy_begins, {nullptr, where});
  self->copies.push_back({to, from, bytes, from_bytes, self->copy_group, where});
  if (toss_coin()) perform(self->copies.back());  // it may be done before anyone waits for it
}

void copy_commit() { ++self->copy_group; }

void copy_wait(unsigned groups_left) {
  auto& copies = self->copies;
  const auto first_left = std::find_if(copies.begin(), copies.end(), [&](const Copy& c) {
    return c.group + groups_left >= self->copy_group;
  });
  std::for_each(copies.begin(), first_left, [](const Copy& c) {
    perform(c);
    touch(c.to, c.bytes, Touch::copy_ends, {nullptr, c.where});
  });
  if (first_left != copies.begin() && !self->has_unfenced_copies) {
    self->has_unfenced_copies = true;
    ++self->block->unfenced;
  }
  copies.erase(copies.begin(), first_left);
}

}  // namespace paligemma::emulation
