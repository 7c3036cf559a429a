#include "cli/trace.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>

#include "tensor/write_file.h"

namespace paligemma::cli {
namespace {

using Nanoseconds = std::chrono::nanoseconds;

constexpr int kModel = 1, kTokens = 2;

double microseconds(Nanoseconds time) { return static_cast<double>(time.count()) / 1e3; }

Nanoseconds nanoseconds(double milliseconds) {
  return Nanoseconds(std::llround(milliseconds * 1e6));
}

Nanoseconds nanoseconds(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration_cast<Nanoseconds>(time.time_since_epoch());
}

Json named(const char* what, int lane, const char* name) {
  return object(
      {{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", lane}, {"args", object({{"name", name}})}});
}

}  // namespace

Nanoseconds Trace::now() { return nanoseconds(std::chrono::steady_clock::now()); }

void Trace::begin() {
  resume();
  begun_ = last_;
  first_ = events_.size();
}

void Trace::resume() { last_ = now(); }

void Trace::add(const std::string& name, const std::string& category, const Json& args) {
  const Nanoseconds end = now();
  events_.push_back({name, category, kModel, last_, end, args});
  last_ = end;
}

void Trace::tap(const std::string& name, std::span<const Index> shape) {
  add(name, name.substr(0, name.find('/')), object({{"shape", array_of(shape)}}));
}

// The first part of an event becomes one of its own.
void Trace::cut(std::size_t event, Nanoseconds at, const std::string& name, const Json& args) {
  Event part = events_[event];
  events_[event].start = part.end = std::clamp(at, part.start, part.end);
  part.name = name;
  part.category = "host";
  part.args = args;
  events_.push_back(std::move(part));
}

void Trace::began_with(const std::string& name, double milliseconds) {
  cut(first_, begun_ + nanoseconds(milliseconds), name);
}

void Trace::answered(const std::string& prompt, std::span<const GeneratedToken> tokens,
                     const Tokenizer& tokenizer) {
  std::vector<std::size_t> logits;
  for (std::size_t i = first_; i < events_.size(); ++i) {
    if (events_[i].name == "logits") logits.push_back(i);
  }
  if (logits.size() != tokens.size()) throw std::logic_error("as many logits as tokens");

  cut(first_, nanoseconds(tokens[0].start), "prompt", object({{"prompt", prompt}}));
  Nanoseconds end{0};
  for (std::size_t k = 0; k < tokens.size(); ++k) {
    // Behind the prefill there is no tap but the logits, which are then all that a token took.
    const Nanoseconds start = nanoseconds(tokens[k].start);
    if (k == 1) cut(logits[k], end, "choose");  // between the prefill's logits and its token
    end = start + nanoseconds(tokens[k].milliseconds);
    if (k > 0) events_[logits[k]].start = start, events_[logits[k]].end = end;
    events_.push_back({"token " + std::to_string(k) + (k == 0 ? " (prefill)" : ""), "token",
                       kTokens, start, end,
                       object({{"id", tokens[k].id}, {"text", tokenizer.piece(tokens[k].id)}})});
  }
}

void Trace::write(const Json& about) const {
  std::vector<Event> events = events_;
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return std::tie(a.start, a.end) < std::tie(b.start, b.end);
  });
  std::vector<Json> all{named("process_name", kModel, "paligemma"),
                        named("thread_name", kModel, "model"),
                        named("thread_name", kTokens, "tokens")};
  for (const Event& event : events) {
    all.push_back(object({{"name", event.name},
                          {"cat", event.category},
                          {"ph", "X"},
                          {"ts", microseconds(event.start - zero_)},
                          {"dur", microseconds(event.end - event.start)},
                          {"pid", 1},
                          {"tid", event.lane},
                          {"args", event.args}}));
  }

  // An event a line, for grep.
  std::string file = "{\"traceEvents\":[";
  const char* separator = "\n";
  for (const Json& event : all) {
    file += separator + event.text();
    separator = ",\n";
  }
  file += "\n],\n\"displayTimeUnit\":\"ms\",\n\"otherData\":" + about.text() + "}\n";
  write_file(file_, file);
}

}  // namespace paligemma::cli
