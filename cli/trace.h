// --trace: what took how long, as a file that Perfetto and chrome://tracing show.
//
// Two lanes of events. "model" holds loading and every tap, one behind the other; "tokens" holds the
// tokens of the answers, each over the taps that it took.
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "paligemma/generate.h"
#include "processing/tokenizer.h"

namespace paligemma::cli {

class Trace {
 public:
  using json = nlohmann::ordered_json;

  // Without a file there is nothing to keep.
  explicit Trace(std::filesystem::path file) : file_(std::move(file)) {}
  bool wanted() const { return !file_.empty(); }

  // Whatever comes next begins now: an answer, say, after waiting for a prompt.
  void begin();
  // What took the time since the event before.
  void add(const std::string& name, const std::string& category, json args);
  void tap(const std::string& name, std::span<const Index> shape);
  void resume();  // the time since then is nobody's: listeners took it

  // Of what followed begin(), the first milliseconds were this.
  void began_with(const std::string& name, double milliseconds, json args);
  // What followed begin() was the answer to this prompt.
  void answered(const std::string& prompt, std::span<const GeneratedToken> tokens,
                const Tokenizer& tokenizer);

  // Throws std::runtime_error if it cannot be written.
  void write(json about) const;

 private:
  using Nanoseconds = std::chrono::nanoseconds;  // since the program began
  struct Event {
    std::string name, category;
    int lane;
    Nanoseconds start, end;
    json args;
  };
  static Nanoseconds now();
  void cut(std::size_t event, Nanoseconds at, const std::string& name, json args);

  std::filesystem::path file_;
  Nanoseconds last_ = now(), begun_ = last_;
  Nanoseconds zero_ = last_;
  std::vector<Event> events_;
  std::size_t first_ = 0;  // behind begin()
};

}  // namespace paligemma::cli
