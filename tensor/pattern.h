// Pattern: a regular expression, as Perl's and, but for rarities, as Python's.
//
// PCRE2 does the work; pattern.cpp alone sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace paligemma {

// "NAME is no regular expression that can be used: WHY"
struct PatternError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

class Pattern {
 public:
  // Throws PatternError. A name of its own, if messages do not call it by the expression.
  explicit Pattern(const std::string& expression) : Pattern(expression, expression) {}
  Pattern(const std::string& expression, const std::string& name);

  // Whether it stands anywhere in the text, or is all of it. Throws PatternError for a search that has no end in
  // sight, and for text that is not UTF-8.
  bool is_in(std::string_view text) const { return matches(text, 0); }
  bool is_all_of(std::string_view text) const;

 private:
  struct Compiled;

  bool matches(std::string_view text, std::uint32_t options) const;

  std::string name_;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace paligemma
