// What threads wait for: barriers of a block, meetings of a warp's lanes.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "cuda/emulation/block.h"

namespace paligemma::emulation {
namespace {

void wait(State state, const char* operation, const Site& where) {
  self->state = state;
  self->operation = operation;
  self->where = where;
}

bool same_operation(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

// Lets the live ones of `lanes` go on if all have come.
void meet(Block& b, unsigned warp, unsigned lanes) {
  Warp& w = b.warps[warp];
  lanes &= w.live;
  if ((w.waiting & lanes) != lanes || lanes == 0) return;
  Thread* const t = &b.threads[warp * 32];
  const Thread& first = t[__builtin_ctz(lanes)];
  void* slots[32];
  for_lanes(lanes, [&](int i) {
    if (t[i].mask != first.mask || !same_operation(t[i].operation, first.operation)) {
      fail("lanes %u and %d of warp %u disagree: %s with mask %08x (%s) and %s with mask %08x (%s)",
           first.lane, i, warp, first.operation, first.mask, describe(first.where).c_str(),
           t[i].operation, t[i].mask, describe(t[i].where).c_str());
    }
    slots[i] = t[i].slot;
  });
  first.act(slots, lanes);
  if (same_operation(first.operation, "__syncwarp")) synchronise(b, 1u << warp);
  for_lanes(lanes, [&](int i) { t[i].state = State::ready; });
  w.waiting &= ~lanes;
}

}  // namespace

void to_host(bool for_ever) { switch_fibers(self->fiber, host_fiber, for_ever); }

// The warps tell each other what they know, and a new moment begins for each.
void synchronise(Block& b, unsigned warps) {
  unsigned latest[32] = {};
  for_lanes(warps, [&](int w) {
    for (int v = 0; v < 32; ++v) latest[v] = std::max(latest[v], b.clocks[w][v]);
  });
  for_lanes(warps, [&](int w) {
    std::copy(latest, latest + 32, b.clocks[w]);
    ++b.clocks[w][w];
  });
}

void thread_ended() {
  Block& b = *self->block;
  Warp& w = b.warps[self->warp];
  self->state = State::done;
  --b.live;
  w.live &= ~(1u << self->lane);
  if (w.waiting != 0) {
    meet(b, self->warp, b.threads[self->warp * 32 + __builtin_ctz(w.waiting)].mask);
  }
}

void fail(const char* format, ...) {
  char text[1024];
  va_list list;
  va_start(list, format);
  std::vsnprintf(text, sizeof text, format, list);
  va_end(list);
  host_failure = std::string(text) + "\n  in " + describe("block", self->block->index).c_str() +
                 ", " + describe("thread", self->index).c_str() + " of the kernel launched at " +
                 describe(current.where).c_str();
  to_host();
  __builtin_unreachable();
}

unsigned lane() { return self->lane; }

void block_barrier(int id, unsigned threads, const char* operation, const Site& where) {
  Block& b = *self->block;
  Barrier& barrier = b.barriers[id];
  if (threads == 0 && barrier.arrived > 0 &&
      (barrier.where.line != where.line || barrier.where.file != where.file)) {
    fail("divergent %s: other threads wait at %s, this one comes to %s", operation,
         describe(barrier.where).c_str(), describe(where).c_str());
  }
  wait(State::at_barrier, operation, where);
  barrier.where = where;
  self->barrier = static_cast<unsigned>(id);
  if (++barrier.arrived < (threads != 0 ? threads : b.threads.size())) return to_host();

  barrier.arrived = 0;
  unsigned warps = 0;
  for (Thread& t : b.threads) {
    if (t.state != State::at_barrier || t.barrier != static_cast<unsigned>(id)) continue;
    t.state = State::ready;
    warps |= 1u << t.warp;
  }
  synchronise(b, warps);
}

void grid_barrier(const Site& where) {
  if (!current.cooperative) {
    fail("grid_sync (%s) needs launch_cooperative", describe(where).c_str());
  }
  wait(State::at_grid, "grid_sync", where);
  to_host();
}

void warp_meet(unsigned mask, const char* operation, void* slot, Act act, const Site& where) {
  Thread& me = *self;
  if ((mask >> me.lane & 1) == 0) {
    fail("%s (%s): lane %u calls it with mask %08x, which leaves it out", operation,
         describe(where).c_str(), me.lane, mask);
  }
  wait(State::in_warp, operation, where);
  me.mask = mask, me.slot = slot, me.act = act;
  Block& b = *me.block;
  b.warps[me.warp].waiting |= 1u << me.lane;
  meet(b, me.warp, mask);
  if (me.state != State::ready) to_host();
}

}  // namespace paligemma::emulation
