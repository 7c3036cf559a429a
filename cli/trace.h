// --trace: what took how long, as a file that Perfetto and chrome://tracing show.
//
// Two lanes of events. "model" holds loading and every tap, one behind the other; "tokens" holds the
// tokens of the answers, each over the taps that it took.
#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "paligemma/generate.h"
#include "processing/tokenizer.h"
#include "tensor/json.h"

namespace paligemma::cli {

class Trace {
 public:
  explicit Trace(std::filesystem::path file) : file_(std::move(file)) {}

  // Whatever comes next begins now: an answer, say, after waiting for a prompt.
  void begin();
  // What took the time since the event before.
  void add(const std::string& name, const std::string& category, const Json& args = object({}));
  void tap(const std::string& name, std::span<const Index> shape);
  void resume();  // what listeners took belongs to no event

  // Of what followed begin(), the first milliseconds were this.
  void began_with(const std::string& name, double milliseconds);
  // What followed begin() was the answer to this prompt.
  void answered(const std::string& prompt, std::span<const GeneratedToken> tokens,
                const Tokenizer& tokenizer);

  // Throws std::runtime_error if it cannot be written.
  void write(const Json& about) const;

 private:
  using Nanoseconds = std::chrono::nanoseconds;  // of the steady clock
  struct Event {
    std::string name, category;
    int lane;
    Nanoseconds start, end;
    Json args;
  };
  static Nanoseconds now();
  void cut(std::size_t event, Nanoseconds at, const std::string& name,
           const Json& args = object({}));

  std::filesystem::path file_;
  Nanoseconds zero_ = now(), last_ = zero_, begun_ = zero_;
  std::vector<Event> events_;
  std::size_t first_ = 0;  // behind begin()
};

}  // namespace paligemma::cli
